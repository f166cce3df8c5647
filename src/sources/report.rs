//! The results of a build, and the reason for a failed one.

use std::fmt;
use std::io;

use crate::dns::NameBuf;
use crate::lists::{Format, Skipped};
use crate::policy::Account;

/// The result of reading one list.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The list's name.
    pub name: String,
    /// Where its text came from.
    pub source: String,
    /// The format it was read as.
    pub format: Format,
    /// Number of lines; 0 for a compiled index.
    pub lines: u32,
    /// Rules of the list in the index, including patterns.
    pub rules: usize,
    /// Counts of how each line was read.
    pub account: Account,
    /// Lines, or names on them, that were meant as rules but gave none.
    pub skipped: Vec<Skipped>,
}

/// A result that the owner of a list can hardly have intended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListWarning {
    /// It has no effect.
    #[error("the list `{name}` ({from}) gives no rules{}", hint(*.format))]
    NoRules {
        /// The list's name.
        name: String,
        /// Where its text came from.
        from: String,
        /// The format it was read as.
        format: Format,
    },
    /// More than half of its lines that are neither blank nor comments are invalid.
    #[error("of the list `{name}` ({from}), {invalid} of {lines} lines are invalid{}", hint(*.format))]
    MostlyInvalid {
        /// The list's name.
        name: String,
        /// Where its text came from.
        from: String,
        /// The format it was read as.
        format: Format,
        /// The invalid lines.
        invalid: u32,
        /// The lines that are neither blank nor comments.
        lines: u32,
    },
}

fn hint(format: Format) -> String {
    match format {
        Format::Index => String::new(),
        format => format!("; check `source`, and whether its format is really {format}"),
    }
}

impl ListReport {
    /// A warning about the list as a whole, if one is due.
    #[must_use]
    pub fn warning(&self) -> Option<ListWarning> {
        let (name, from, format) = (self.name.clone(), self.source.clone(), self.format);
        if self.rules == 0 {
            return Some(ListWarning::NoRules { name, from, format });
        }
        let invalid = self.account.invalid;
        let lines = self.lines.saturating_sub(self.account.blank);
        (invalid > lines / 2).then_some(ListWarning::MostlyInvalid { name, from, format, invalid, lines })
    }
}

/// The result of reading one zone.
#[derive(Clone, Debug)]
pub struct ZoneReport {
    /// The zone's origin.
    pub origin: NameBuf,
    /// Where its text came from.
    pub source: String,
    /// Names that have records.
    pub names: usize,
}

/// The results of a build.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The lists in order.
    pub lists: Vec<ListReport>,
    /// The zones in order.
    pub zones: Vec<ZoneReport>,
    /// Rules in the index.
    pub rules: usize,
    /// Octets of the index.
    pub index_bytes: usize,
}

/// Why a build failed; the current snapshot stays in service.
#[derive(Debug)]
pub struct BuildError {
    /// What failed: a list, a zone, the upstreams.
    pub what: String,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub help: &'static str,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl std::error::Error for BuildError {}

pub(super) fn error(what: impl Into<String>, reason: &dyn fmt::Display, help: &'static str) -> BuildError {
    BuildError { what: what.into(), reason: reason.to_string(), help }
}

/// The operating system's reason, without its number.
pub(super) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "is a directory".into(),
        _ => error.to_string(),
    }
}
