//! Mistakes in a file: where each one is, what is wrong with it, and what to write instead.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::dns::is_unsafe;

/// One mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// The table and key.
    pub key: KeyPath,
    /// The problem.
    pub problem: String,
    /// The value in the file, as it is written there.
    pub found: Option<String>,
    /// What should be there.
    pub expected: Option<String>,
    /// Something that would be accepted there.
    pub example: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// The line of the file; of a long one, what is around the column.
    pub source: Option<String>,
}

impl Mistake {
    /// A mistake of the file as a whole.
    pub(super) fn in_file(file: &Path, problem: String, help: &str) -> Self {
        Self {
            file: file.into(),
            line: None,
            column: None,
            key: KeyPath::default(),
            problem,
            found: None,
            expected: None,
            example: None,
            help: Some(help.to_owned()),
            source: None,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_whole_file() {
            write!(f, "{}: ", Printable(&self.key.shown))?;
        }
        write!(f, "{}", Printable(&self.problem))?;
        let [expected, example, help] =
            [&self.expected, &self.example, &self.help].map(|text| text.as_deref().map(Printable));
        match (&expected, &example) {
            (Some(expected), Some(example)) => write!(f, "; expected {expected}, such as {example}")?,
            (Some(expected), None) => write!(f, "; expected {expected}")?,
            (None, Some(example)) => write!(f, "; expected one such as {example}")?,
            (None, None) => {}
        }
        match help {
            Some(help) if expected.is_some() || example.is_some() => write!(f, " ({help})")?,
            Some(help) => write!(f, "; {help}")?,
            None => {}
        }
        if let (Some(source), Some(line)) = (&self.source, self.line) {
            write!(f, "\n  {line} | {}", Printable(source))?;
        }
        Ok(())
    }
}

/// A text that may hold what stands in the file, for a terminal: no control characters, and not without end.
struct Printable<'t>(&'t str);

/// More characters than any text of our own has.
const READABLE: usize = 1000;

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, char) in self.0.chars().enumerate() {
            if count == READABLE {
                return f.write_char('…');
            }
            if is_unsafe(char) { write!(f, "{}", char.escape_unicode())? } else { f.write_char(char)? }
        }
        Ok(())
    }
}

/// The mistakes of a file in the order of its lines, at least one; of very many, the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ConfigError(pub Vec<Mistake>);

/// The most mistakes shown as text; JSON has all that are kept.
const SHOWN: usize = 100;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().take(SHOWN).enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        match self.0.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            Some(more) => write!(f, "\nand {more} more mistakes"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The way to a key: the tables around it, and the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPath {
    /// For people: `[[list]] action.address`; empty for the file as a whole.
    shown: String,
    parts: Vec<Part>,
}

/// A step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Part {
    /// A key.
    Key(String),
    /// A position in a list, from 0.
    Index(usize),
}

impl KeyPath {
    /// A table of the file itself, as its header has it: `[server]`, `[[list]]`, `[block.contact]`.
    #[must_use]
    pub fn table(header: &str) -> Self {
        let keys = header.trim_matches(['[', ']']).split('.');
        Self { shown: header.to_owned(), parts: keys.map(|key| Part::Key(key.to_owned())).collect() }
    }

    /// The same with one of several tables of this name.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        self.parts.push(Part::Index(index));
        self
    }

    /// A key of what this leads to.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let shown = match self.shown.as_str() {
            "" => key.to_owned(),
            table if table.ends_with(']') => format!("{table} {key}"),
            table => format!("{table}.{key}"),
        };
        let mut parts = self.parts.clone();
        parts.push(Part::Key(key.to_owned()));
        Self { shown, parts }
    }

    /// True if no key is meant.
    #[must_use]
    pub const fn is_whole_file(&self) -> bool {
        self.shown.is_empty()
    }

    /// The steps, for programs.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// True for a table with a header of its own.
    pub(super) fn is_table(&self) -> bool {
        self.shown.is_empty() || self.shown.ends_with(']')
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Serialize for KeyPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.parts.serialize(serializer)
    }
}

/// What to write instead, or what to do.
#[derive(Default)]
pub(super) struct Remedy {
    pub(super) expected: Option<String>,
    pub(super) example: Option<String>,
    pub(super) help: Option<String>,
}

/// This should be there.
pub(super) fn expected(what: impl Into<String>) -> Remedy {
    Remedy { expected: Some(what.into()), ..Remedy::default() }
}

/// Something like this should be there.
pub(super) fn like(example: impl Into<String>) -> Remedy {
    Remedy { example: Some(example.into()), ..Remedy::default() }
}

impl Remedy {
    pub(super) fn such_as(mut self, example: impl Into<String>) -> Self {
        self.example = Some(example.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<&str> for Remedy {
    fn from(help: &str) -> Self {
        Self::default().help(help)
    }
}

impl From<String> for Remedy {
    fn from(help: String) -> Self {
        Self::default().help(help)
    }
}
