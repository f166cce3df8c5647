//! A TOML table that reports every mistake: values of the wrong kind, and unknown keys.
//!
//! Serde stops at the first mistake and loses the place of what it tries in several ways; people write these
//! files by hand, and some keys take values of several forms.

use std::ops::{Range, RangeInclusive};

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::check::{Check, did_you_mean};
use super::error::{KeyPath, Remedy, expected};
use super::key::{Form, Key, Kind};
use crate::policy::schedule;

/// A value and its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// A table that is being read.
pub(super) struct Table<'t> {
    /// The path to it, such as `[[rule]] when`.
    pub(super) path: KeyPath,
    /// Its place.
    pub(super) span: Range<usize>,
    entries: &'t DeTable<'t>,
    /// Its declaration, where it has one.
    form: Option<&'static Form>,
    asked: Vec<&'static str>,
}

/// A moment: its second, and how many seconds its clock is ahead of UTC.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) unix: i64,
    pub(super) ahead: i32,
}

impl Check<'_> {
    /// Reads the file with `read`, unless it is not TOML: what a broken file would mean is not known.
    pub(super) fn toml<T>(&mut self, read: impl FnOnce(&mut Self, Table<'_>) -> T) -> Option<T> {
        let (file, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            self.syntax(&errors);
            return None;
        }
        Some(read(self, Table::file(file.get_ref())))
    }
}

impl<'t> Table<'t> {
    /// The whole file.
    pub(super) fn file(entries: &'t DeTable<'t>) -> Self {
        Self { path: KeyPath::default(), span: 0..0, entries, form: None, asked: Vec::new() }
    }

    /// A value that is a table, or the mistake that it is not.
    pub(super) fn of(check: &mut Check<'_>, path: KeyPath, value: &'t Value<'t>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(entries) => {
                Some(Self { path, span: value.span(), entries, form: None, asked: Vec::new() })
            }
            _ => {
                not_a(check, &path, value, &Key::from(""), "a table");
                None
            }
        }
    }

    /// The same with its declaration.
    pub(super) fn declared(self, form: &'static Form) -> Self {
        Self { form: Some(form), asked: form.keys.iter().map(|key| key.name).collect(), ..self }
    }

    /// The path to a key of this table.
    pub(super) fn key(&self, key: impl Into<Key>) -> KeyPath {
        self.path.key(key.into().name)
    }

    /// The value at a key, or at another word for it.
    fn entry(&self, key: &str) -> Option<&'t Value<'t>> {
        let also = self.form.map_or(&[][..], |form| form.also);
        let meant =
            || also.iter().filter(|(_, means)| *means == key).find_map(|(word, _)| self.entries.get(*word));
        self.entries.get(key).or_else(meant)
    }

    /// The value of a key, which counts as known from then on.
    pub(super) fn value(&mut self, key: impl Into<Key>) -> Option<&'t Value<'t>> {
        let key = key.into();
        self.asked.push(key.name);
        self.entry(key.name)
    }

    /// Accepts the words that people use for a key too, where it is not there itself: what is told of the
    /// value says already what to write.
    pub(super) fn also_known(&mut self, key: Key) {
        if self.entries.get(key.name).is_none() {
            let also = self.form.map_or(&[][..], |form| form.also);
            self.asked.extend(also.iter().filter(|(_, means)| *means == key.name).map(|(word, _)| *word));
        }
    }

    /// All keys and values, in the order of the file.
    pub(super) fn all(&self) -> Vec<(Spanned<String>, &'t Value<'t>)> {
        let owned =
            |key: &Spanned<DeString<'_>>| Spanned::new(key.span(), key.get_ref().clone().into_owned());
        let mut all: Vec<_> = self.entries.iter().map(|(key, value)| (owned(key), value)).collect();
        all.sort_by_key(|(key, _)| key.span().start);
        all
    }

    /// A value of one of TOML's kinds.
    fn read<T>(
        &mut self,
        check: &mut Check<'_>,
        key: impl Into<Key>,
        what: &str,
        of: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let key = key.into();
        let Some(value) = self.value(key) else {
            if key.is_required() {
                check.wrong(&self.path, &self.span, format!("`{}` is missing", key.name), key.remedy(what));
            }
            return None;
        };
        let read = of(value.get_ref());
        if read.is_none() {
            not_a(check, &self.key(key), value, &key, what);
        }
        read.map(|read| Spanned::new(value.span(), read))
    }

    pub(super) fn text(&mut self, check: &mut Check<'_>, key: impl Into<Key>) -> Option<Spanned<String>> {
        let key = key.into();
        let text = self.read(check, key, "a string in quotes", |value| value.as_str().map(str::to_owned))?;
        if text.get_ref().contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
            let problem = "the string has a control character".to_owned();
            check.wrong(&self.key(key), &text.span(), problem, "remove it");
            return None;
        }
        if key.is_required() && text.get_ref().trim().is_empty() {
            check.wrong(&self.key(key), &text.span(), "the string is empty".into(), key.remedy(""));
            return None;
        }
        Some(text)
    }

    /// A text that must be given, and not be empty.
    pub(super) fn needed(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Spanned<String>> {
        if !self.has(key) {
            self.missing(check, key, "give it");
            return None;
        }
        let text = self.text(check, key)?;
        if text.get_ref().trim().is_empty() {
            check.wrong(&self.key(key), &text.span(), "the string is empty".into(), "fill it in");
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(&mut self, check: &mut Check<'_>, key: impl Into<Key>) -> Option<bool> {
        self.read(check, key, "true or false", DeValue::as_bool).map(Spanned::into_inner)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        check: &mut Check<'_>,
        key: impl Into<Key>,
        bounds: RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let key = key.into();
        let number = self.read(check, key, "a whole number", |value| value.as_integer())?;
        let digits = number.get_ref();
        let read = u64::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|n| bounds.contains(n));
        if read.is_none() {
            let remedy = match bounds.end() {
                &u64::MAX => expected(format!("a whole number from {} on", bounds.start())),
                end => expected(format!("a whole number from {} to {end}", bounds.start())),
            };
            check.wrong(&self.key(key), &number.span(), format!("{digits} is out of bounds"), remedy);
        }
        read.map(|read| Spanned::new(number.span(), read))
    }

    /// A number within the bounds that the key declares.
    pub(super) fn bounded(&mut self, check: &mut Check<'_>, key: Key) -> Option<u64> {
        let Kind::Number(least, most) = key.kind else { return None };
        self.number(check, key, least..=most).map(Spanned::into_inner)
    }

    /// A number that fits into 32 bits.
    pub(super) fn small(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
        bounds: RangeInclusive<u32>,
    ) -> Option<Spanned<u32>> {
        let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
        let number = self.number(check, key, bounds)?;
        u32::try_from(*number.get_ref()).ok().map(|n| Spanned::new(number.span(), n))
    }

    /// Seconds for a TTL, which has 31 bits (RFC 2181 §8).
    pub(super) fn ttl(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Spanned<u32>> {
        self.small(check, key, 0..=MAX_TTL)
    }

    /// From 0 to 1.
    pub(super) fn fraction(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<f64> {
        let text = self.read(check, key, "a number from 0 to 1", |value| match value {
            DeValue::Float(float) => Some(float.as_str()),
            DeValue::Integer(integer) => Some(integer.as_str()),
            _ => None,
        })?;
        let read = text.get_ref().parse().ok().filter(|f| (0.0..=1.0).contains(f));
        if read.is_none() {
            let problem = format!("{} is not a probability", text.get_ref());
            check.wrong(&self.key(key), &text.span(), problem, expected("a number from 0 to 1"));
        }
        read
    }

    pub(super) fn word<T: Clone>(
        &mut self,
        check: &mut Check<'_>,
        key: impl Into<Key>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let key = key.into();
        let word = self.text(check, key)?;
        check.word(&self.key(key), &word, known)
    }

    /// A list of texts.
    pub(super) fn texts(
        &mut self,
        check: &mut Check<'_>,
        key: impl Into<Key>,
    ) -> Option<Spanned<Vec<Spanned<String>>>> {
        let key = key.into();
        let list = self.read(check, key, "a list of strings, in brackets", |value| value.as_array())?;
        let full = self.key(key);
        let mut texts = Vec::new();
        for item in *list.get_ref() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Spanned::new(item.span(), text.clone().into_owned())),
                _ => not_a(check, &full, item, &Key::from(""), "a string in quotes"),
            }
        }
        Some(Spanned::new(list.span(), texts))
    }

    /// A table within this one.
    pub(super) fn table(&mut self, check: &mut Check<'_>, key: impl Into<Key>) -> Option<Table<'t>> {
        let key = key.into();
        let value = self.value(key)?;
        Table::of(check, self.key(key), value)
    }

    /// The table with this header.
    pub(super) fn section(&mut self, check: &mut Check<'_>, form: &'static Form) -> Option<Table<'t>> {
        let value = self.value(form.name())?;
        let path = KeyPath::table(form.header);
        match value.get_ref() {
            DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => {
                let problem = format!("`[[{}]]` has one bracket too many on each side", form.name());
                let help = format!("write `{}`: there is only one", form.header);
                check.wrong(&path, &value.span(), problem, help);
                // Its contents may have more mistakes.
                Some(Table::of(check, path, items.first()?)?.declared(form))
            }
            _ => Some(Table::of(check, path, value)?.declared(form)),
        }
    }

    /// All tables with this header.
    pub(super) fn sections(&mut self, check: &mut Check<'_>, form: &'static Form) -> Vec<Table<'t>> {
        let Some(value) = self.value(form.name()) else { return Vec::new() };
        if value.get_ref().is_table() {
            // Its contents may have more mistakes.
            let header = format!("[{}]", form.name());
            let path = KeyPath::table(&header);
            let problem = "one bracket is missing on each side".to_owned();
            let help = format!("write `{}`: there can be several", form.header);
            check.wrong(&path, &value.span(), problem, help);
            return Table::of(check, KeyPath::table(form.header).at(0), value)
                .map(|table| vec![table.declared(form)])
                .unwrap_or_default();
        }
        let tables = self.items(check, form.name(), form.header);
        tables.unwrap_or_default().into_iter().map(|table| table.declared(form)).collect()
    }

    /// A list of tables, each with this header.
    pub(super) fn tables(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
        header: &str,
    ) -> Option<Vec<Table<'t>>> {
        let _ = self.value(key)?;
        self.items(check, key, header)
    }

    fn items(&self, check: &mut Check<'_>, key: &'static str, header: &str) -> Option<Vec<Table<'t>>> {
        let value = self.entry(key)?;
        let path = if header.starts_with("[[") { KeyPath::table(header) } else { self.path.key(key) };
        let DeValue::Array(array) = value.get_ref() else {
            let what = if header.starts_with("[[") { header } else { "a list of tables, in brackets" };
            not_a(check, &self.path.key(key), value, &Key::from(""), what);
            return None;
        };
        let items = array.iter().enumerate();
        Some(items.filter_map(|(at, item)| Table::of(check, path.clone().at(at), item)).collect())
    }

    /// A moment, which must have a time zone.
    pub(super) fn time(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Spanned<Moment>> {
        let what = "a time without quotes, such as 2016-11-17T12:00:00+03:00";
        let time = self.read(check, key, what, |value| value.as_datetime().copied())?;
        let (span, time): (_, Datetime) = (time.span(), time.into_inner());
        let Some(offset) = time.offset else {
            let problem = format!("`{time}` has no time zone");
            let remedy = "add an offset, as in 2016-11-17T12:00:00+03:00";
            check.wrong(&self.key(key), &span, problem, remedy);
            return None;
        };
        let ahead = match offset {
            Offset::Z => 0,
            Offset::Custom { minutes } => i32::from(minutes) * 60,
        };
        match schedule::instant(&time.to_string(), &TimeZone::UTC) {
            Ok(unix) => Some(Spanned::new(span, Moment { unix, ahead })),
            Err(problem) => {
                let text = Spanned::new(span, String::new());
                check.parser_mistake(&self.key(key), &text, &problem.to_string(), what);
                None
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// True if a key is there and is not an empty list.
    pub(super) fn filled(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|v| v.get_ref().as_array().is_none_or(|list| !list.is_empty()))
    }

    /// True if any of these keys is there and is not an empty list.
    pub(super) fn filled_any(&self, keys: &[Key]) -> bool {
        keys.iter().any(|key| self.filled(key.name))
    }

    /// The place of the value at a key, or of the whole table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.entry(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Reports a required key that is not given.
    pub(super) fn missing(&mut self, check: &mut Check<'_>, key: &'static str, remedy: impl Into<Remedy>) {
        self.asked.push(key);
        check.wrong(&self.path, &self.span, format!("`{key}` is missing"), remedy);
    }

    /// Reports keys that were not read. The keys in `other` belong to the table in other cases than this one.
    pub(super) fn done(self, check: &mut Check<'_>, case: &str, other: &[&str]) {
        // The one key with two spellings is reported in the first.
        let mut known: Vec<&str> = self.asked.iter().copied().filter(|key| !key.contains('_')).collect();
        known.sort_unstable();
        known.dedup();
        // A declaration has an order of its own.
        if let Some(form) = self.form {
            known = form.keys.iter().map(|key| key.name).collect();
        }
        for (key, value) in self.all() {
            let word = key.get_ref().as_str();
            if self.asked.contains(&word) {
                continue;
            }
            let one_of = expected(format!("one of {}", known.join(", ")));
            if let Some(key_of) = self.form.and_then(|form| form.meant(word)) {
                let problem = format!("unknown key `{word}`");
                let help = format!("write `{}`, such as {}", key_of.name, key_of.line(key_of.example));
                check.wrong(&self.path.key(word), &key.span(), problem, help);
                continue;
            }
            let what = match value.get_ref() {
                DeValue::Table(_) if self.path.is_whole_file() => "table",
                DeValue::Array(items) if self.path.is_whole_file() && is_tables(items) => "table",
                _ => "key",
            };
            let (problem, remedy) = if other.contains(&word) {
                (format!("`{word}` does not belong to {case}"), one_of)
            } else {
                let (near, home) = (did_you_mean(word, &known), check.elsewhere(word, &self.path));
                let near = if self.path.is_whole_file() { home.or(near) } else { near.or(home) };
                (format!("unknown {what} `{word}`"), Remedy { help: near, ..one_of })
            };
            check.wrong(&self.path.key(word), &key.span(), problem, remedy);
        }
    }
}

fn is_tables(items: &[Value<'_>]) -> bool {
    !items.is_empty() && items.iter().all(|item| item.get_ref().is_table())
}

/// The greatest TTL.
pub(super) const MAX_TTL: u32 = i32::MAX.unsigned_abs();

/// Reports a value of the wrong kind. Where the intention is clear, the example is the corrected value.
pub(super) fn not_a(check: &mut Check<'_>, path: &KeyPath, value: &Value<'_>, key: &Key, what: &str) {
    let written = check.written(&value.span());
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let meant = match (key.kind, value.get_ref()) {
        (Kind::Texts(_), DeValue::String(text)) if !text.is_empty() => Some(format!("[{written}]")),
        (Kind::Duration, DeValue::Integer(_)) => Some(format!("\"{written}s\"")),
        (Kind::Size, DeValue::Integer(_)) => Some(format!("\"{written}MiB\"")),
        (Kind::TextOf(_), DeValue::Datetime(_)) => Some(format!("\"{written}\"")),
        (Kind::Flag, DeValue::String(text)) if matches!(&**text, "true" | "false") => Some(text.to_string()),
        (Kind::Number(..), DeValue::String(text)) if text.parse::<u64>().is_ok() => Some(text.to_string()),
        _ => None,
    };
    let remedy = match meant {
        Some(meant) => key.remedy(what).such_as(key.line(&meant)),
        None => key.remedy(what),
    };
    check.wrong(path, &value.span(), format!("found {found}"), remedy);
}
