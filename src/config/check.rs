//! The text of a file → settings, or every mistake with file, line, key and what was expected.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::addresses::Listener;
use super::error::{ConfigError, KeyPath, Mistake, Remedy, expected};
use super::key::Form;
use super::table::Table;
use super::{
    block, blockpage, cache, client, control, forward, group, inspect, list, metrics, policy, reference,
    rewrite, schedule, server, upstream, user, zone,
};
use crate::settings::Settings;

/// Reads and checks a file. Paths in it are relative to it.
///
/// # Errors
/// Every mistake that could be found.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    parse(&read(path, "configuration", "name an existing file with --config")?, path)
}

/// The most octets of a file that people write; a device has no end.
const LONGEST: u64 = 64 << 20;

/// The text of a file; `what` it is and the remedy are for the message.
pub(super) fn read(path: &Path, what: &str, remedy: &str) -> Result<String, ConfigError> {
    let mut octets = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut octets));
    read.map_err(|error| {
        let help = user::permission(&error).unwrap_or_else(|| remedy.to_owned());
        ConfigError(vec![Mistake::in_file(path, format!("cannot read the {what}: {error}"), &help)])
    })?;
    if octets.len() as u64 > LONGEST {
        let problem = format!("the {what} is longer than {} MiB", LONGEST >> 20);
        return Err(ConfigError(vec![Mistake::in_file(path, problem, remedy)]));
    }
    String::from_utf8(octets).map_err(|error| {
        let (octets, valid) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let before = octets.get(..valid).unwrap_or_default();
        let octet = octets.get(valid).copied().unwrap_or_default();
        let line = before.iter().filter(|octet| **octet == b'\n').count() + 1;
        let problem = format!("the octet 0x{octet:02x} is not UTF-8");
        let mistake = Mistake::in_file(path, problem, "save the file as UTF-8");
        ConfigError(vec![Mistake { line: Some(line), ..mistake }])
    })
}

/// Checks the text of a file; `path` is for messages and relative paths.
///
/// # Errors
/// Every mistake that could be found, in the order of their lines.
pub fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    let mut check = Check::new(text, path, reference::FORMS);
    let settings = check.toml(Check::file);
    check.finish(settings.unwrap_or_default())
}

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
    /// How many mistakes there are beyond those that are kept.
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

    /// Reads the file with `read`, unless it is not TOML: what a broken file would mean is not known.
    pub(super) fn toml<T>(&mut self, read: impl FnOnce(&mut Self, Table<'_>) -> T) -> Option<T> {
        let (file, errors) = DeTable::parse_recoverable(self.text);
        if !errors.is_empty() {
            self.syntax(&errors);
            return None;
        }
        Some(read(self, Table::file(file.get_ref())))
    }

    /// True if no more mistakes are kept; then it is counted.
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
    /// The tables in the order in which one needs another.
    fn file(&mut self, mut file: Table<'_>) -> Settings {
        let mut settings = Settings::default();
        let server = file.section(self, &server::FORM);
        self.server(server, &mut settings);
        if let Some(table) = file.section(self, &upstream::FORM) {
            self.upstreams(table, &mut settings);
        }
        if let Some(table) = file.section(self, &cache::FORM) {
            self.cache(table, &mut settings);
        }
        if let Some(table) = file.section(self, &policy::FORM) {
            self.policy(table, &mut settings);
        }
        if let Some(table) = file.section(self, &inspect::FORM) {
            self.inspect(table, &mut settings);
        }
        let schedules = file.sections(self, &schedule::FORM);
        let schedules = self.schedules(schedules);
        let block = file.section(self, &block::FORM);
        let block = self.block(block, &mut settings);
        let lists = file.sections(self, &list::FORM);
        self.lists(lists, &block, &schedules, &mut settings);
        let named = settings.lists.len();
        settings.lists.extend(block.canaries());
        let rewrites = file.sections(self, &rewrite::FORM);
        let rewrites = self.rewrites(rewrites);
        settings.lists.extend(block.rewrites(rewrites));
        let groups = file.sections(self, &group::FORM);
        self.groups(groups, named, &schedules, &mut settings);
        let forwards = file.sections(self, &forward::FORM);
        self.forwards(forwards, &mut settings);
        if let Some(table) = file.section(self, &blockpage::FORM) {
            settings.blockpage = self.block_page(table);
        }
        if let Some(table) = file.section(self, &control::FORM) {
            settings.control = self.control(table);
        }
        let clients = file.sections(self, &client::FORM);
        self.clients_with_names(clients, &mut settings);
        let zones = file.sections(self, &zone::FORM);
        self.zones(zones, &mut settings);
        if let Some(table) = file.section(self, &metrics::FORM) {
            settings.metrics = self.metrics(table);
        }
        file.done(self, "", &[]);
        settings
    }

    /// Remembers a name that only one of its kind may have.
    pub(super) fn name_once(
        &mut self,
        names: &mut Names,
        key: &KeyPath,
        name: &Spanned<String>,
        kind: &str,
        help: &str,
    ) {
        let line = self.line(&name.span());
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

    /// One of the words that are known.
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
            [] => "there is none to name".into(),
            _ => Remedy { help: did_you_mean(word.get_ref(), known), ..one_of(known) },
        };
        self.wrong(key, &word.span(), problem, remedy);
    }

    /// Where else a key would be known.
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

/// What a line has around a column, if all of it is too long to be read.
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

/// The word that is meant, if one is near.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    let nearest = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), k)).min();
    let (_, nearest) = nearest.filter(|(distance, _)| *distance <= 1 + word.len() / 3)?;
    Some(format!("did you mean `{nearest}`?"))
}
