//! What a build saw, and why there is none.

use std::fmt;
use std::io;

use crate::dns::NameBuf;
use crate::lists::{Format, Skipped};
use crate::policy::Account;

/// What one list gave.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The list's name.
    pub name: String,
    /// Where its text came from.
    pub source: String,
    /// The format it was read as.
    pub format: Format,
    /// Lines in all; 0 for a compiled index.
    pub lines: u32,
    /// Rules of it in the index, patterns included.
    pub rules: usize,
    /// What became of every line.
    pub account: Account,
    /// Lines, or names on them, that gave no rule though they were meant to.
    pub skipped: Vec<Skipped>,
}

/// What the owner of a list can hardly have meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListWarning {
    /// It changes nothing.
    #[error("the list `{name}` ({from}) gives no rules{}", hint(*.format))]
    NoRules {
        /// The list's name.
        name: String,
        /// Where its text came from.
        from: String,
        /// The format it was read as.
        format: Format,
    },
    /// More than half of its lines that are neither empty nor a comment are broken.
    #[error("of the list `{name}` ({from}), {invalid} of {lines} lines are invalid{}", hint(*.format))]
    MostlyInvalid {
        /// The list's name.
        name: String,
        /// Where its text came from.
        from: String,
        /// The format it was read as.
        format: Format,
        /// The broken lines.
        invalid: u32,
        /// The lines that are neither empty nor a comment.
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
    /// What its owner should look at, beside single lines.
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

/// What one zone holds.
#[derive(Clone, Debug)]
pub struct ZoneReport {
    /// The zone's origin.
    pub origin: NameBuf,
    /// Where its text came from.
    pub source: String,
    /// Names that bear records.
    pub names: usize,
}

/// What a build saw.
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

/// Why there is no next snapshot; the one that serves goes on serving.
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

/// The kernel's reason without its number.
pub(super) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "is a directory".into(),
        _ => error.to_string(),
    }
}
