//! A table of TOML of which every mistake is told: values of another kind, and keys that nobody asks for.
//!
//! Serde stops at the first mistake and loses the place of what it tries in several ways; people write these
//! files by hand, and some keys take values of several forms.

use std::ops::{Range, RangeInclusive};

use jiff::tz::TimeZone;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use toml::value::{Datetime, Offset};

use super::check::{Check, did_you_mean};
use crate::policy::schedule;

/// A value and its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// A table that is being read.
pub(super) struct Table<'t> {
    /// The key of the whole in messages, such as `[[rule]] when`.
    pub(super) title: String,
    /// Where it stands.
    pub(super) span: Range<usize>,
    entries: &'t DeTable<'t>,
    asked: Vec<&'static str>,
}

/// A moment: its second, and how many seconds its clock is ahead of UTC.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) unix: i64,
    pub(super) ahead: i32,
}

impl<'t> Table<'t> {
    pub(super) const fn new(title: String, span: Range<usize>, entries: &'t DeTable<'t>) -> Self {
        Self { title, span, entries, asked: Vec::new() }
    }

    /// A value that is a table, or the mistake that it is none.
    pub(super) fn of(check: &mut Check<'_>, title: String, value: &'t Value<'t>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(entries) => Some(Self::new(title, value.span(), entries)),
            other => {
                not_a(check, &title, &value.span(), other, "a table");
                None
            }
        }
    }

    /// A key of this table as messages name it.
    pub(super) fn key(&self, key: &str) -> String {
        match self.title.as_str() {
            "" => key.to_owned(),
            title if title.ends_with(']') => format!("{title} {key}"),
            title => format!("{title}.{key}"),
        }
    }

    /// The value of a key, which is known from then on.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Value<'t>> {
        self.asked.push(key);
        self.entries.get(key)
    }

    /// All keys and values, in the order of the file.
    pub(super) fn all(&self) -> Vec<(Spanned<String>, &'t Value<'t>)> {
        let owned =
            |key: &Spanned<DeString<'_>>| Spanned::new(key.span(), key.get_ref().clone().into_owned());
        let mut all: Vec<_> = self.entries.iter().map(|(key, value)| (owned(key), value)).collect();
        all.sort_by_key(|(key, _)| key.span().start);
        all
    }

    /// A value that one of the kinds of TOML is read from.
    fn read<T>(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
        what: &str,
        of: impl FnOnce(&'t DeValue<'t>) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let value = self.value(key)?;
        let read = of(value.get_ref());
        if read.is_none() {
            not_a(check, &self.key(key), &value.span(), value.get_ref(), what);
        }
        read.map(|read| Spanned::new(value.span(), read))
    }

    pub(super) fn text(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Spanned<String>> {
        self.read(check, key, "a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    /// A text that must be given, and not be empty.
    pub(super) fn needed(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Spanned<String>> {
        if !self.has(key) {
            self.missing(check, key, "give it");
            return None;
        }
        let text = self.text(check, key)?;
        if text.get_ref().trim().is_empty() {
            check.wrong(&self.key(key), &text.span(), "the text is empty".into(), "fill it in");
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<bool> {
        self.read(check, key, "true or false", DeValue::as_bool).map(Spanned::into_inner)
    }

    /// A whole number within bounds.
    pub(super) fn number(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
        bounds: RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let number = self.read(check, key, "a whole number", |value| value.as_integer())?;
        let digits = number.get_ref();
        let read = u64::from_str_radix(digits.as_str(), digits.radix()).ok().filter(|n| bounds.contains(n));
        if read.is_none() {
            let remedy = match bounds.end() {
                &u64::MAX => format!("expected a whole number from {} on", bounds.start()),
                end => format!("expected a whole number from {} to {end}", bounds.start()),
            };
            check.wrong(&self.key(key), &number.span(), format!("{digits} is out of bounds"), &remedy);
        }
        read.map(|read| Spanned::new(number.span(), read))
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
            let problem = format!("{} is no probability", text.get_ref());
            check.wrong(&self.key(key), &text.span(), problem, "expected a number from 0 to 1");
        }
        read
    }

    pub(super) fn word<T: Clone>(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
        known: &[(&str, T)],
    ) -> Option<T> {
        let word = self.text(check, key)?;
        check.word(&self.key(key), Some(word), known)
    }

    /// A list of texts.
    pub(super) fn texts(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
    ) -> Option<Spanned<Vec<Spanned<String>>>> {
        let list = self.read(check, key, "a list of texts, in brackets", |value| value.as_array())?;
        let full = self.key(key);
        let mut texts = Vec::new();
        for item in *list.get_ref() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(Spanned::new(item.span(), text.clone().into_owned())),
                other => not_a(check, &full, &item.span(), other, "a text in quotes"),
            }
        }
        Some(Spanned::new(list.span(), texts))
    }

    /// A table within this one.
    pub(super) fn table(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Table<'t>> {
        let value = self.value(key)?;
        let title = self.key(key);
        Table::of(check, title, value)
    }

    /// A list of tables, each with this title.
    pub(super) fn tables(
        &mut self,
        check: &mut Check<'_>,
        key: &'static str,
        title: &str,
    ) -> Option<Vec<Table<'t>>> {
        let value = self.value(key)?;
        let DeValue::Array(array) = value.get_ref() else {
            let what = if title.starts_with("[[") { title } else { "a list of tables, in brackets" };
            not_a(check, &self.key(key), &value.span(), value.get_ref(), what);
            return None;
        };
        Some(array.iter().filter_map(|item| Table::of(check, title.to_owned(), item)).collect())
    }

    /// A moment, which must say in which time zone.
    pub(super) fn time(&mut self, check: &mut Check<'_>, key: &'static str) -> Option<Spanned<Moment>> {
        let what = "a time without quotes, such as 2016-11-17T12:00:00+03:00";
        let time = self.read(check, key, what, |value| value.as_datetime().copied())?;
        let (span, time): (_, Datetime) = (time.span(), time.into_inner());
        let Some(offset) = time.offset else {
            let problem = format!("`{time}` does not say in which time zone");
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
                check.told(&self.key(key), &text, &problem, what);
                None
            }
        }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// True if a key is there and is no empty list.
    pub(super) fn filled(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|v| v.get_ref().as_array().is_none_or(|list| !list.is_empty()))
    }

    /// The place of what stands at a key, or of the whole table.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// A key that must be given is not.
    pub(super) fn missing(&mut self, check: &mut Check<'_>, key: &'static str, remedy: &str) {
        self.asked.push(key);
        check.wrong(&self.title, &self.span, format!("`{key}` is missing"), remedy);
    }

    /// Tells of keys that nobody asked for. Some belong to the table in `other` cases than this one.
    pub(super) fn done(self, check: &mut Check<'_>, case: &str, other: &[&str]) {
        // The one key with a second spelling is told in the first.
        let mut known: Vec<&str> = self.asked.iter().copied().filter(|key| !key.contains('_')).collect();
        known.sort_unstable();
        known.dedup();
        for (key, _) in self.all() {
            let word = key.get_ref().as_str();
            if self.asked.contains(&word) {
                continue;
            }
            let all = known.join(", ");
            let (problem, remedy) = if other.contains(&word) {
                (format!("`{word}` does not belong to {case}"), format!("expected one of {all}"))
            } else {
                let near = did_you_mean(word, &known);
                (format!("unknown key `{word}`"), format!("expected one of {all}{near}"))
            };
            check.wrong(&self.key(word), &key.span(), problem, &remedy);
        }
    }
}

/// The greatest TTL.
pub(super) const MAX_TTL: u32 = i32::MAX.unsigned_abs();

/// A value of another kind than it must be.
pub(super) fn not_a(check: &mut Check<'_>, key: &str, span: &Range<usize>, value: &DeValue<'_>, what: &str) {
    let found = match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    check.wrong(key, span, format!("found {found}"), &format!("expected {what}"));
}
