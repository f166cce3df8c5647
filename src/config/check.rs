//! A file that is being checked, and its mistakes so far: each with line, key and what was expected.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::error::{ConfigError, KeyPath, Mistake, Remedy, expected};
use super::key::Form;
use super::listener::Listener;

/// The most mistakes of a file that are kept; the others are counted.
const MOST: usize = 1000;

/// The names that were given so far, and their lines.
pub(super) type Names = HashMap<String, usize>;

/// A file that is being checked, and its mistakes so far.
pub(super) struct Check<'t> {
    pub(super) text: &'t str,
    pub(super) path: &'t Path,
    /// Where each line begins.
    lines: Vec<usize>,
    pub(super) mistakes: Vec<Mistake>,
    /// How many mistakes were counted beyond those that are kept.
    more: usize,
    /// The tables that the file can have, where they are declared.
    pub(super) forms: &'static [&'static Form],
    /// The addresses that are taken so far.
    pub(super) listeners: Vec<Listener>,
}

impl<'t> Check<'t> {
    pub(super) fn new(text: &'t str, path: &'t Path, forms: &'static [&'static Form]) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(ends).collect();
        Self { text, path, lines, mistakes: Vec::new(), more: 0, forms, listeners: Vec::new() }
    }

    /// True if no more mistakes are kept; this one is then only counted.
    pub(super) fn is_one_too_many(&mut self) -> bool {
        let full = self.mistakes.len() >= MOST;
        self.more += usize::from(full);
        full
    }

    /// What was read, unless there were mistakes.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, ConfigError> {
        self.mistakes.sort_by_key(|mistake| mistake.line);
        if self.more > 0 {
            let problem = format!("there are {} more mistakes", self.more);
            self.mistakes.push(Mistake::in_file(self.path, problem, "correct these first"));
        }
        if self.mistakes.is_empty() { Ok(value) } else { Err(ConfigError(self.mistakes)) }
    }
}

impl Check<'_> {
    /// Remembers a name that must be unique among its kind.
    pub(super) fn name_once(
        &mut self,
        names: &mut Names,
        key: &KeyPath,
        name: &Spanned<String>,
        kind: &str,
        help: &str,
    ) {
        let line = self.line(&name.span());
        if name.get_ref().contains(char::is_control) {
            let problem = "the name has a line break or a tab".to_owned();
            return self.wrong(key, &name.span(), problem, "write it on one line, with spaces");
        }
        match names.get(name.get_ref()) {
            Some(first) => {
                let problem =
                    format!("two {kind}s are named `{}`, the first in line {first}", name.get_ref());
                self.wrong(key, &name.span(), problem, help);
            }
            None => {
                names.insert(name.get_ref().clone(), line);
            }
        }
    }

    /// The value of a known word.
    pub(super) fn word<T: Clone>(
        &mut self,
        key: &KeyPath,
        word: &Spanned<String>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let found = known.iter().find(|(w, _)| w == word.get_ref()).map(|(_, value)| value.clone());
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(w, _)| *w).collect();
            self.unknown_word(key, word, &words);
        }
        found
    }

    pub(super) fn unknown_word(&mut self, key: &KeyPath, word: &Spanned<String>, known: &[&str]) {
        let problem = format!("`{}` is not known", word.get_ref());
        let remedy = match known {
            [] => "none is defined".into(),
            _ => Remedy { help: did_you_mean(word.get_ref(), known), ..one_of(known) },
        };
        self.wrong(key, &word.span(), problem, remedy);
    }

    /// The other table that has this key.
    pub(super) fn elsewhere(&self, word: &str, here: &KeyPath) -> Option<String> {
        let mut others = self.forms.iter().filter(|form| form.header != here.to_string());
        let home = others.find(|form| form.keys.iter().any(|key| key.name == word))?;
        Some(format!("`{word}` is a key of {}", home.header))
    }

    pub(super) fn not_empty<T>(&mut self, key: &KeyPath, all: &Spanned<Vec<T>>, remedy: &str) {
        if all.get_ref().is_empty() {
            self.wrong(key, &all.span(), "the list is empty".into(), remedy);
        }
    }

    /// A mistake in the value at a place.
    pub(super) fn wrong(
        &mut self,
        key: &KeyPath,
        span: &Range<usize>,
        problem: String,
        remedy: impl Into<Remedy>,
    ) {
        if self.is_one_too_many() {
            return;
        }
        let Remedy { expected, example, help } = remedy.into();
        let (line, column) = self.position(span.start);
        self.mistakes.push(Mistake {
            file: self.path.into(),
            line: Some(line),
            column: Some(column),
            key: key.clone(),
            problem,
            found: (!key.is_table()).then(|| self.written(span)),
            expected,
            example,
            help,
            source: self.line_text(line).map(|text| around(text.trim_end(), column)),
        });
    }

    /// The text at a place, shortened to what fits on a line.
    pub(super) fn written(&self, span: &Range<usize>) -> String {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        match line.char_indices().nth(100) {
            Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
            None if line.len() < text.len() => format!("{line}…"),
            None => line.to_owned(),
        }
    }

    /// The line of a place, from 1.
    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        self.position(span.start).0
    }

    /// Line and column of an octet, from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, 1 + self.text.get(start..at).unwrap_or_default().chars().count())
    }

    pub(super) fn line_text(&self, line: usize) -> Option<&str> {
        let start = *self.lines.get(line.checked_sub(1)?)?;
        self.text.get(start..)?.lines().next()
    }
}

/// The part around a column of a line that is too long to show.
fn around(line: &str, column: usize) -> String {
    const BEFORE: usize = 40;
    const LONGEST: usize = 160;
    if line.len() <= LONGEST {
        return line.to_owned();
    }
    let skipped = column.saturating_sub(BEFORE);
    let mut shown: String = line.chars().skip(skipped).take(LONGEST).collect();
    if skipped > 0 {
        shown.insert(0, '…');
    }
    if line.chars().nth(skipped + LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// One of these is expected.
pub(super) fn one_of(known: &[&str]) -> Remedy {
    expected(format!("one of {}", known.join(", ")))
}

/// A suggestion, if a known word is near.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    let nearest = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), k)).min();
    let (_, nearest) = nearest.filter(|(distance, _)| *distance <= 1 + word.len() / 3)?;
    Some(format!("did you mean `{nearest}`?"))
}
