//! `[[schedule]]`: named weekly times; and the keys that give times to lists, rules and groups.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::Range;

use jiff::tz::TimeZone;
use toml::Spanned;

use super::check::{Check, Names};
use super::error::{KeyPath, expected, like};
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::policy::schedule::{self, Schedule};

const NAME: Key = Key::required("name", Kind::Text)
    .like(r#""lessons""#)
    .means("The name by which lists, rules and groups refer to it.");
const ZONE: Key = Key::required("zone", Kind::TextOf("a time zone"))
    .like(r#""Europe/Berlin""#)
    .means("The time zone of the times: a name from the IANA database, which is built in.");
const WINDOWS: Key = Key::optional("windows", Kind::Texts("windows"), "always, within `from` and `until`")
    .like(r#"["Mon-Fri 08:00-15:30"]"#)
    .means("Times of the week. One that ends before it begins runs past midnight.");

/// The name of the schedule of a list, a rule or a group.
const SCHEDULE: Key = Key::optional("schedule", Kind::TextOf("the name of a `[[schedule]]`"), "always")
    .like(r#""lessons""#)
    .means("When it is in force.");
const FROM: Key = Key::optional("from", Kind::TextOf("a time"), "no beginning")
    .like(r#""2026-09-01T08:00:00+02:00""#)
    .means("The start. A time without an offset is in the schedule's zone.");
const UNTIL: Key = Key::optional("until", Kind::TextOf("a time"), "no end")
    .like(r#""2027-07-15T00:00:00+02:00""#)
    .means("The end, which is not included.");

/// The keys of a list, rule or group with times.
pub(super) const TIMES: [Key; 3] = [SCHEDULE, FROM, UNTIL];

pub(super) static FORM: Form = Form {
    header: "[[schedule]]",
    meaning: "Named times of the week, for lists, rules and groups.",
    keys: &[NAME, ZONE, WINDOWS, FROM, UNTIL],
    also: &[("timezone", "zone"), ("tz", "zone"), ("times", "windows"), ("window", "windows")],
};

/// The schedules of the configuration by their names.
pub(super) type Schedules = HashMap<String, Schedule>;

impl Check<'_> {
    pub(super) fn schedules(&mut self, tables: Vec<Table<'_>>) -> Schedules {
        let (mut schedules, mut names) = (Schedules::new(), Names::new());
        for table in tables {
            if let Some((name, schedule)) = self.named_schedule(table, &mut names) {
                schedules.insert(name, schedule);
            }
        }
        schedules
    }

    fn named_schedule(&mut self, mut table: Table<'_>, names: &mut Names) -> Option<(String, Schedule)> {
        let name = table.text(self, NAME);
        if let Some(name) = &name {
            self.name_once(names, &table.key(NAME), name, "schedule", "give each a name of its own");
        }
        let zone = table.text(self, ZONE).and_then(|text| match schedule::zone(text.get_ref()) {
            Ok(zone) => Some(zone),
            Err(problem) => {
                let remedy = expected("a name of the IANA database").such_as(ZONE.example);
                self.wrong(&table.key(ZONE), &text.span(), problem.to_string(), remedy);
                None
            }
        });
        let zone = zone.unwrap_or(TimeZone::UTC);
        let mut windows = Vec::new();
        let key = table.key(WINDOWS);
        for text in table.texts(self, WINDOWS).map(Spanned::into_inner).unwrap_or_default() {
            match schedule::window(text.get_ref()) {
                Ok(window) => windows.push(window),
                Err(problem) => {
                    self.parser_mistake(
                        &key,
                        &text,
                        &problem.to_string(),
                        r#""Mon-Fri 08:00-15:30" or "daily 22:00-06:00""#,
                    );
                }
            }
        }
        if !table.filled_any(&[WINDOWS, FROM, UNTIL]) {
            let problem = "the schedule sets no times".to_owned();
            self.wrong(&table.path, &table.span, problem, "give `windows`, `from` or `until`");
        }
        let whole = Schedule { zone, windows, from: None, until: None };
        let whole = self.bounded(&mut table, whole, true);
        table.done(self, "", &[]);
        Some((name?.into_inner(), whole))
    }

    /// When something applies: by a named schedule, or from and until a time, or both.
    pub(super) fn times(&mut self, table: &mut Table<'_>, schedules: &Schedules) -> Option<Schedule> {
        let name = table.text(self, SCHEDULE);
        let named = name.is_some();
        let base = match name {
            Some(name) => {
                let found = schedules.get(name.get_ref()).cloned();
                if found.is_none() {
                    let mut known: Vec<&str> = schedules.keys().map(String::as_str).collect();
                    known.sort_unstable();
                    let problem = format!("there is no schedule `{}`", name.get_ref());
                    let remedy = match known.as_slice() {
                        [] => "define it as a [[schedule]]".into(),
                        known => super::check::one_of(known),
                    };
                    self.wrong(&table.key(SCHEDULE), &name.span(), problem, remedy);
                }
                found
            }
            None => Some(Schedule { zone: TimeZone::UTC, windows: Vec::new(), from: None, until: None }),
        };
        // A missing schedule has no zone.
        let Some(base) = base else {
            let _ = (table.value(FROM), table.value(UNTIL));
            return None;
        };
        let given = named || table.has(FROM.name) || table.has(UNTIL.name);
        let whole = self.bounded(table, base, named);
        given.then_some(whole)
    }

    /// Within the bounds given. Times without an offset are those of the schedule's zone, if it has one.
    fn bounded(&mut self, table: &mut Table<'_>, base: Schedule, has_zone: bool) -> Schedule {
        let from = self.bound(table, FROM, &base.zone, has_zone);
        let until = self.bound(table, UNTIL, &base.zone, has_zone);
        let whole = Schedule { from: base.from.max(from), until: earlier(base.until, until), ..base };
        // Without bounds of its own the mistake is the schedule's, which is reported already.
        let end = [UNTIL, FROM].into_iter().find(|key| table.has(key.name));
        if let Some(key) = end.filter(|_| is_never(&whole)) {
            let problem = "it ends before it begins".to_owned();
            self.wrong(&table.key(key), &table.place(key.name), problem, "set `until` later than `from`");
        }
        whole
    }

    fn bound(&mut self, table: &mut Table<'_>, key: Key, zone: &TimeZone, has_zone: bool) -> Option<i64> {
        let text = table.text(self, key)?;
        let (path, value) = (table.key(key), text.get_ref().trim());
        let offset = value.ends_with(['Z', 'z'])
            || value.split_once(['T', 't', ' ']).is_some_and(|(_, time)| time.contains(['+', '-']));
        if !has_zone && !offset {
            let problem = format!("`{value}` has no time zone");
            let help = r#"add an offset, as in "2026-09-01T08:00:00+02:00", or name a schedule with a zone"#;
            self.wrong(&path, &text.span(), problem, help);
            return None;
        }
        match schedule::instant(value, zone) {
            Ok(at) => Some(at),
            Err(problem) => {
                self.parser_mistake(&path, &text, &problem.to_string(), FROM.example);
                None
            }
        }
    }

    /// When a rule applies in a list with a schedule: while both are in force.
    pub(super) fn narrowed(
        &mut self,
        of_list: Option<&Schedule>,
        own: Option<Schedule>,
        key: &KeyPath,
        place: &Range<usize>,
    ) -> Option<Schedule> {
        let (list, own) = match (of_list, own) {
            (Some(list), Some(own)) => (list, own),
            (list, own) => return own.or_else(|| list.cloned()),
        };
        let Some(whole) = own.within(list) else {
            let problem = "a rule with its own schedule in a list that has one too".to_owned();
            self.wrong(key, place, problem, "put the rule into a list without a schedule");
            return Some(list.clone());
        };
        if is_never(&whole) && !is_never(list) && !is_never(&own) {
            let problem = "the rule and its list are never in force together".to_owned();
            self.wrong(key, place, problem, "make the times of the rule and of its list overlap");
        }
        Some(whole)
    }

    /// A mistake that the parser of a value described, perhaps with the expected form.
    pub(super) fn parser_mistake(
        &mut self,
        key: &KeyPath,
        text: &Spanned<String>,
        problem: &impl Display,
        example: &str,
    ) {
        let problem = problem.to_string();
        let parts = problem.rsplit_once("; expected ").or_else(|| problem.rsplit_once(", expected "));
        match parts {
            Some((problem, what)) => self.wrong(key, &text.span(), problem.to_owned(), expected(what)),
            None => self.wrong(key, &text.span(), problem, like(example)),
        }
    }
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// True if it ends before it begins.
fn is_never(schedule: &Schedule) -> bool {
    schedule.from.zip(schedule.until).is_some_and(|(from, until)| until <= from)
}
