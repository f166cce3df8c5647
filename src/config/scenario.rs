//! The file of a scenario → a checked value, or every mistake with line, key and remedy.
//!
//! `docs/scenarios.md` describes the format; its example is read in the tests.

mod action;
mod expect;
mod matching;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::path::Path;

use ipnet::IpNet;
use toml::Spanned;

use super::check::{Check, Names};
use super::error::{ConfigError, KeyPath, expected, like};
use super::file::read;
use super::table::Table;
use crate::censor::{Event, Evidence, Network, Pick, Pool, Rule, Scenario, StubMode, ZoneText};
use crate::dns::Qtype;

/// Reads and checks a file.
///
/// # Errors
/// Every mistake that could be found, in the order of their lines.
pub fn load(path: &Path) -> Result<Scenario, ConfigError> {
    parse(&read(path, "scenario", "name the file of a scenario")?, path)
}

/// Checks the text of a file; `path` is for messages.
///
/// # Errors
/// Every mistake that could be found, in the order of their lines.
pub fn parse(text: &str, path: &Path) -> Result<Scenario, ConfigError> {
    let mut check = Check::new(text, path, &[]);
    let scenario = check.toml(|check, file| check.scenario(file, text));
    check.finish(scenario.unwrap_or_default())
}

impl Check<'_> {
    fn scenario(&mut self, mut file: Table<'_>, text: &str) -> Scenario {
        let mut scenario = Scenario::default();
        // The offset for times of the day.
        let mut ahead = 0;
        let head =
            file.value("scenario").and_then(|value| Table::of(self, KeyPath::table("[scenario]"), value));
        let place = head.as_ref().map_or(0..0, |head| head.span.clone());
        match head {
            Some(head) => ahead = self.head(head, &mut scenario),
            None if file.has("scenario") => {}
            None => self.wrong(
                &KeyPath::table("[scenario]"),
                &place,
                "the table is missing".into(),
                "describe the case",
            ),
        }
        self.networks(&mut file, &place, &mut scenario);
        for event in file.tables(self, "event", "[[event]]").unwrap_or_default() {
            scenario.events.extend(self.event(event));
        }
        if let Some(pools) = file.table(self, "pool") {
            for (id, value) in pools.all() {
                let title = KeyPath::table(&format!("[pool.{}]", id.get_ref()));
                let pool = Table::of(self, title, value).map(|pool| self.pool(id.into_inner(), pool));
                scenario.pools.extend(pool);
            }
        }
        let mut ids = Names::new();
        for rule in file.tables(self, "rule", "[[rule]]").unwrap_or_default() {
            let span = rule.span.clone();
            let Some(rule) = self.rule(rule, ahead, &mut ids, &scenario) else { continue };
            if let Some(first) = scenario.rules.iter().find(|first| first.hides(&rule)) {
                let problem = format!(
                    "`{}` is never reached: `{}` in line {} matches everything that it matches",
                    rule.id, first.id, first.line
                );
                self.wrong(
                    &KeyPath::table("[[rule]]"),
                    &span,
                    problem,
                    "put the narrower rule first, or leave it out",
                );
            }
            scenario.rules.push(rule);
        }
        let mut origins = Names::new();
        for zone in file.tables(self, "zone", "[[zone]]").unwrap_or_default() {
            scenario.zones.extend(self.zone_text(zone, &mut origins, text));
        }
        for expect in file.tables(self, "expect", "[[expect]]").unwrap_or_default() {
            let expect = self.expect(expect, &scenario.networks);
            scenario.expects.extend(expect);
        }
        file.done(self, "", &[]);
        scenario
    }

    /// `[scenario]`; gives the offset of its clock.
    fn head(&mut self, mut head: Table<'_>, scenario: &mut Scenario) -> i32 {
        if let Some(name) = head.needed(self, "name") {
            if name.get_ref().contains(char::is_whitespace) {
                let problem = format!("`{}` contains white space", name.get_ref());
                self.wrong(&head.key("name"), &name.span(), problem, "it is a word for the command line");
            }
            scenario.name = name.into_inner();
        }
        let mut text = |key| head.text(self, key).map(Spanned::into_inner);
        scenario.title = text("title").unwrap_or_else(|| scenario.name.clone());
        scenario.summary = text("summary").unwrap_or_default();
        if let Some(place) = head.text(self, "place") {
            let code = place.get_ref();
            if code.len() != 2 || !code.bytes().all(|b| b.is_ascii_uppercase()) {
                let problem = format!("`{code}` is not a country code");
                self.wrong(&head.key("place"), &place.span(), problem, expected("two capital letters"));
            }
            scenario.place = place.into_inner();
        }
        let from = head.time(self, "from").map(Spanned::into_inner);
        let until = head.time(self, "until").map(|until| until.get_ref().unix);
        scenario.from = from.map(|from| from.unix);
        scenario.until = until;
        self.order(&head, scenario.from, until);
        scenario.seed = head.number(self, "seed", 0..=u64::MAX).map_or(0, Spanned::into_inner);
        let sources = head.texts(self, "sources");
        match &sources {
            Some(sources) => {
                self.not_empty(&head.key("sources"), sources, "name the documents of the case");
            }
            None if head.has("sources") => {}
            None => head.missing(self, "sources", "name the documents of the case"),
        }
        let sources = sources.map(Spanned::into_inner).unwrap_or_default();
        scenario.sources = sources.into_iter().map(Spanned::into_inner).collect();
        // Both spellings are accepted.
        let spelling = if head.has("stub_mode") { "stub_mode" } else { "stub-mode" };
        if head.has("stub_mode") && head.has("stub-mode") {
            let problem = "`stub-mode` is given in both spellings".to_owned();
            self.wrong(&head.key(spelling), &head.place(spelling), problem, "keep one of the two");
        }
        let words =
            [("doc", StubMode::Doc), ("loopback", StubMode::Loopback), ("historical", StubMode::Historical)];
        scenario.stub_mode = head.word(self, spelling, &words).unwrap_or_default();
        let _ = head.value("stub-mode");
        head.done(self, "", &[]);
        scenario.offset = from.map_or(0, |from| from.ahead);
        scenario.offset
    }

    /// `until` must be later than `from`.
    fn order(&mut self, table: &Table<'_>, from: Option<i64>, until: Option<i64>) {
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            let problem = "it ends before it begins".to_owned();
            self.wrong(&table.key("until"), &table.place("until"), problem, "set `until` later than `from`");
        }
    }

    /// A new id, which must be unique.
    fn id(&mut self, table: &mut Table<'_>, key: &'static str, ids: &mut Names) -> Option<Spanned<String>> {
        let id = table.needed(self, key)?;
        let line = self.line(&id.span());
        if let Some(first) = ids.get(id.get_ref()) {
            let problem = format!("`{}` is already given in line {first}", id.get_ref());
            self.wrong(&table.key(key), &id.span(), problem, "give each a name of its own");
        } else {
            ids.insert(id.get_ref().clone(), line);
        }
        Some(id)
    }

    fn networks(&mut self, file: &mut Table<'_>, place: &Range<usize>, scenario: &mut Scenario) {
        let tables = file.tables(self, "network", "[[network]]");
        if !file.filled("network") {
            let problem = "no network is given".to_owned();
            self.wrong(&KeyPath::table("[[network]]"), place, problem, "give at least one, with an `id`");
        }
        let mut ids = Names::new();
        for mut table in tables.unwrap_or_default() {
            let id = self.id(&mut table, "id", &mut ids).map(Spanned::into_inner).unwrap_or_default();
            let title = table.text(self, "title").map_or_else(|| id.clone(), Spanned::into_inner);
            let modes = [("resolver", false), ("injector-only", true)];
            let injector_only = table.word(self, "mode", &modes).unwrap_or(false);
            let clients = table.texts(self, "clients").map(Spanned::into_inner).unwrap_or_default();
            let clients = self.clients(&table.key("clients"), &clients, &scenario.networks);
            table.done(self, "", &[]);
            scenario.networks.push(Network { id, title, clients, injector_only });
        }
    }

    /// Clients of one network, which must not be in another.
    fn clients(&mut self, key: &KeyPath, clients: &[Spanned<String>], others: &[Network]) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in clients {
            let Some(network) = self.network(key, text).map(|network| network.trunc()) else { continue };
            let theirs = others.iter().flat_map(|other| other.clients.iter().map(move |n| (n, &other.id)));
            let meets = |n: &IpNet| n.contains(&network) || network.contains(n);
            if let Some((rival, id)) = theirs.into_iter().find(|(n, _)| meets(n)) {
                let problem = format!("{network} overlaps {rival} of the network `{id}`");
                self.wrong(key, &text.span(), problem, "put each client in one network");
            }
            networks.push(network);
        }
        networks
    }

    fn event(&mut self, mut table: Table<'_>) -> Option<Event> {
        if !table.has("at") {
            table.missing(self, "at", "give the time of the event");
        }
        let at = table.time(self, "at").map(|at| at.get_ref().unix);
        let text = table.needed(self, "text").map(Spanned::into_inner);
        table.done(self, "", &[]);
        Some(Event { at: at?, text: text? })
    }

    fn pool(&mut self, id: String, mut table: Table<'_>) -> Pool {
        let v4 = self.family::<Ipv4Addr>(&mut table, "v4").unwrap_or_default();
        let v6 = self.family::<Ipv6Addr>(&mut table, "v6").unwrap_or_default();
        if !table.filled("v4") && !table.filled("v6") {
            let problem = "the pool is empty".to_owned();
            self.wrong(&table.path, &table.span, problem, "give addresses in `v4` or `v6`");
        }
        let picks = [("cycle", Pick::Cycle), ("hash", Pick::Hash), ("random", Pick::Random)];
        let pick = table.word(self, "pick", &picks).unwrap_or_default();
        let per_name = table.small(self, "per-name", 0..=u32::MAX).map_or(0, Spanned::into_inner);
        table.done(self, "", &[]);
        Pool { id, v4, v6, pick, per_name: usize::try_from(per_name).unwrap_or(usize::MAX) }
    }

    /// A list of addresses, all of one family.
    fn family<T: Family>(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<Vec<T>> {
        let texts = table.texts(self, key)?;
        let key = table.key(key);
        let mut addresses = Vec::new();
        for text in texts.get_ref() {
            match (text.get_ref().parse::<T>(), text.get_ref().parse::<IpAddr>()) {
                (Ok(address), _) => addresses.push(address),
                (_, Ok(_)) => {
                    let problem = format!("`{}` is not an {} address", text.get_ref(), T::NAME);
                    self.wrong(&key, &text.span(), problem, "move it to the other family");
                }
                _ => {
                    let problem = format!("`{}` is not an IP address", text.get_ref());
                    self.wrong(&key, &text.span(), problem, like(T::LIKE));
                }
            }
        }
        Some(addresses)
    }

    fn rule(
        &mut self,
        mut table: Table<'_>,
        ahead: i32,
        ids: &mut Names,
        scenario: &Scenario,
    ) -> Option<Rule> {
        let line = line_of(self, &table.span);
        let id = self.id(&mut table, "id", ids);
        let names = match table.table(self, "match") {
            Some(matching) => Some(self.names(matching)),
            None if table.has("match") => None,
            None => {
                table.missing(self, "match", "say which names it matches, such as { any = true }");
                None
            }
        };
        let when = table.table(self, "when");
        let when = when.map(|when| self.when(when, ahead, &scenario.networks)).unwrap_or_default();
        let action = match table.table(self, "action") {
            Some(action) => self.behaviour(action, when.transport, &scenario.pools),
            None if table.has("action") => None,
            None => {
                table.missing(self, "action", "describe the reply, such as { kind = \"drop\" }");
                None
            }
        };
        let words = [("measured", Evidence::Measured), ("modelled", Evidence::Modelled)];
        let evidence = table.word(self, "evidence", &words).unwrap_or_default();
        let intent = table.text(self, "intent").map(Spanned::into_inner).unwrap_or_default();
        table.done(self, "", &[]);
        let (kind, action) = action?;
        Some(Rule { id: id?.into_inner(), line, names: names?, when, kind, action, evidence, intent })
    }

    fn zone_text(&mut self, mut table: Table<'_>, origins: &mut Names, file: &str) -> Option<ZoneText> {
        let origin = table.needed(self, "origin");
        let origin = origin.and_then(|text| {
            let origin = self.name(&table.key("origin"), &text)?;
            let line = self.line(&text.span());
            if let Some(first) = origins.insert(origin.to_string(), line) {
                let problem = format!("zone {origin} is already given in line {first}");
                self.wrong(&table.key("origin"), &text.span(), problem, "keep one of the two");
            }
            Some(origin)
        });
        let text = table.needed(self, "records");
        table.done(self, "", &[]);
        let (origin, text) = (origin?, text?);
        // The end of the line after three quotes is not part of the text.
        let begin = file.get(text.span().start..).unwrap_or_default();
        let quotes = begin.strip_prefix("\"\"\"").or_else(|| begin.strip_prefix("'''"));
        let below = quotes.is_some_and(|rest| rest.starts_with('\n') || rest.starts_with("\r\n"));
        let line = line_of(self, &text.span()) + u32::from(below);
        Some(ZoneText { origin, text: text.into_inner(), line })
    }

    /// A type that is valid in a query.
    fn question_type(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<Qtype> {
        let found = text.get_ref().parse().ok().filter(|t| *t != Qtype::OPT && *t != Qtype(0));
        if found.is_none() {
            let problem = format!("`{}` is not a question type", text.get_ref());
            self.wrong(key, &text.span(), problem, like("\"AAAA\", \"ANY\" or \"TYPE65\""));
        }
        found
    }
}

/// The line of a place, as rules store it.
fn line_of(check: &Check<'_>, span: &Range<usize>) -> u32 {
    u32::try_from(check.line(span)).unwrap_or(u32::MAX - 1)
}

/// Octets in hexadecimal, which may have white space between them.
fn octets(text: &str) -> Option<Vec<u8>> {
    let digits = text.chars().filter(|c| !c.is_ascii_whitespace());
    let digits: Option<Vec<u8>> =
        digits.map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| !digits.is_empty())?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[a, b]| a << 4 | b).collect())
}

/// The 16 bits of flags in hexadecimal.
fn word16(text: &str) -> Option<u16> {
    octets(text).filter(|_| text.len() == 4)?.first_chunk::<2>().map(|b| u16::from_be_bytes(*b))
}

/// A family of addresses, to be read and named.
trait Family: std::str::FromStr + Clone {
    const NAME: &'static str;
    const LIKE: &'static str;
    /// How many of them a pool has.
    fn count(pool: &Pool) -> usize;
}

impl Family for Ipv4Addr {
    const NAME: &'static str = "IPv4";
    const LIKE: &'static str = "\"192.0.2.1\"";
    fn count(pool: &Pool) -> usize {
        pool.v4.len()
    }
}

impl Family for Ipv6Addr {
    const NAME: &'static str = "IPv6";
    const LIKE: &'static str = "\"2001:db8::1\"";
    fn count(pool: &Pool) -> usize {
        pool.v6.len()
    }
}
