//! The results of a build, and the reason for a failed one.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::dns::NameBuf;
use crate::lists::{Confined, Detected, Format, List, Skipped, Unkept};
use crate::policy::Account;
use crate::rule::Match;
use crate::settings::ListSettings;

/// The result of reading one list.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The list's name.
    pub name: String,
    /// Where its text came from.
    pub source: String,
    /// Whether that is a file.
    pub in_file: bool,
    /// The format it was read as.
    pub format: Format,
    /// How sure the format is, if the configuration does not give it.
    pub detected: Option<Detected>,
    /// Number of lines; 0 for a compiled index.
    pub lines: u32,
    /// Rules of the list in the index, including patterns.
    pub rules: usize,
    /// Counts of how each line was read.
    pub account: Account,
    /// Lines, or names on them, that were meant as rules but gave none.
    pub skipped: Vec<Skipped>,
    /// Skipped lines that were only counted.
    pub unkept: Unkept,
    /// Rules that `may` weakened or stopped.
    pub confined: Vec<Confined>,
    /// The rules that it gave before this reload.
    pub before: Option<usize>,
    /// Why these are the rules of an earlier load, and the new text is not used.
    pub kept: Option<String>,
    /// How it was read, where there is a choice.
    pub reading: Reading,
}

/// How a list was read where its lines could be read otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Lines `*.name`.
    pub stars: u32,
    /// They are rules only for what is below the name.
    pub below: bool,
    /// Rules that were not taken, by their attributes.
    pub not_chosen: u32,
    /// Lines that answer only for addresses of one family.
    pub one_family: u32,
    /// Lines of a hosts file that give another address than 0.0.0.0 or loopback, and are read as blocks.
    pub addressed: u32,
    /// The setting `match` has no effect on the list.
    pub match_unused: bool,
}

impl Reading {
    /// How this list was read, given how it should be.
    #[must_use]
    pub fn of(list: &List, settings: &ListSettings) -> Self {
        let match_unused = match settings.plain {
            Some(Match::Subdomains) => list.stars == 0,
            Some(_) => matches!(list.format, Format::Dnsmasq | Format::Unbound | Format::Regex),
            None => false,
        };
        Self {
            stars: list.stars,
            below: list.below,
            not_chosen: list.not_chosen,
            one_family: list.one_family,
            addressed: list.addressed,
            match_unused,
        }
    }

    /// A sentence for each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let lines = |n: u32| if n == 1 { "1 line".to_owned() } else { format!("{n} lines") };
        let mut out = Vec::new();
        if self.stars > 0 {
            let lines = lines(self.stars);
            out.push(if self.below {
                format!("{lines} `*.name`, read as what is below the name (`match = \"below\"`)")
            } else {
                format!("{lines} `*.name`, read as the name and everything below it; `match = \"below\"` excludes the name")
            });
        }
        if self.one_family > 0 {
            let lines = lines(self.one_family);
            out.push(format!(
                "{lines} with an address of one family: questions for the other pass, as in dnsmasq; write `#` to answer both"
            ));
        }
        if self.not_chosen > 0 {
            out.push(format!("{} left out by `attributes`", lines(self.not_chosen)));
        }
        if self.addressed > 0 {
            let lines = lines(self.addressed);
            out.push(format!(
                "{lines} with an address other than 0.0.0.0 or loopback: the names are blocked; \
                with `addresses = \"answer\"` they are answered with the address"
            ));
        }
        if self.match_unused {
            out.push("`match` changes nothing in this list".to_owned());
        }
        out
    }
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
    /// Its file has no lines.
    #[error("the list `{name}` ({from}) gives no rules: the file is empty")]
    Empty {
        /// The list's name.
        name: String,
        /// The file.
        from: String,
    },
    /// More than a tenth of its lines that are neither blank nor comments are invalid.
    #[error("of the list `{name}` ({from}), {invalid} of {lines} lines are invalid{}", hint(*.format))]
    ManyInvalid {
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
    /// It has lost more than three tenths of its rules since it was last read.
    #[error("the list `{name}` ({from}) shrank: {before} -> {after} rules")]
    Shrank {
        /// The list's name.
        name: String,
        /// Where its text came from.
        from: String,
        /// The rules it had.
        before: usize,
        /// The rules it has.
        after: usize,
    },
    /// Its new text is not used.
    #[error("the list `{name}` ({from}) is not reloaded: {why}; it keeps the rules it gave before: {rules}")]
    Kept {
        /// The list's name.
        name: String,
        /// Where its text came from.
        from: String,
        /// The rules it has.
        rules: usize,
        /// Why the new text is not used.
        why: String,
    },
}

impl ListWarning {
    /// The kind, in a word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::NoRules { .. } | Self::Empty { .. } => "empty",
            Self::ManyInvalid { .. } => "invalid",
            Self::Shrank { .. } => "shrank",
            Self::Kept { .. } => "kept",
        }
    }
}

fn hint(format: Format) -> String {
    match format {
        Format::Index => String::new(),
        format => format!("; check `source`, and whether its format is really {format}"),
    }
}

impl ListReport {
    /// Warnings about the list as a whole.
    #[must_use]
    pub fn warnings(&self) -> Vec<ListWarning> {
        let (name, from, format) = (self.name.clone(), self.source.clone(), self.format);
        if let Some(why) = self.kept.clone() {
            return vec![ListWarning::Kept { name, from, rules: self.rules, why }];
        }
        let mut all = Vec::new();
        if let Some(before) = self.before
            && before.saturating_sub(self.rules).saturating_mul(10) > before.saturating_mul(3)
        {
            let (name, from) = (name.clone(), from.clone());
            all.push(ListWarning::Shrank { name, from, before, after: self.rules });
        }
        let invalid = self.account.invalid;
        let lines = self.lines.saturating_sub(self.account.blank);
        if self.lines == 0 && format != Format::Index && self.in_file {
            all.push(ListWarning::Empty { name, from });
        } else if self.rules == 0 {
            all.push(ListWarning::NoRules { name, from, format });
        } else if invalid.saturating_mul(10) > lines {
            all.push(ListWarning::ManyInvalid { name, from, format, invalid, lines });
        }
        all
    }
}

impl Report {
    /// The lists whose new text is not used, as failures.
    pub(super) fn not_reloaded(&self) -> Vec<Failure> {
        let failure = |list: &ListReport| {
            let what = Part::List { name: list.name.clone(), source: list.source.clone() };
            let reason = list.kept.clone()?;
            Some(Failure { what, file: None, line: None, reason, help: None })
        };
        self.lists.iter().filter_map(failure).collect()
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

/// Why a build failed, at least one reason; the current snapshot stays in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(pub Vec<Failure>);

/// One thing that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What failed.
    pub what: Part,
    /// The file; `None` for what does not come from one.
    pub file: Option<PathBuf>,
    /// The line of the file, from 1, where one is to blame.
    pub line: Option<u32>,
    /// Why.
    pub reason: String,
    /// What to do about it, where the reason does not say so.
    pub help: Option<&'static str>,
}

/// A part of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A list.
    List {
        /// Its name.
        name: String,
        /// Where its text comes from.
        source: String,
    },
    /// The zone with this origin.
    Zone(NameBuf),
    /// Something else, in words: the upstreams, all lists together.
    Other(String),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { name, source } if name == source => write!(f, "list `{name}`"),
            Self::List { name, source } => write!(f, "list `{name}` ({source})"),
            Self::Zone(origin) => write!(f, "zone `{origin}`"),
            Self::Other(words) => f.write_str(words),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.what)?;
        match (&self.what, &self.file, self.line) {
            (_, Some(file), Some(line)) => write!(f, "{}:{line}: ", file.display())?,
            (_, None, Some(line)) => write!(f, "line {line}: ")?,
            // Of a list, the source is said already.
            (Part::Zone(_), Some(file), None) => write!(f, "{}: ", file.display())?,
            _ => {}
        }
        f.write_str(&self.reason)?;
        self.help.map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, failure) in self.0.iter().enumerate() {
            write!(f, "{}{failure}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

impl From<Failure> for BuildError {
    fn from(failure: Failure) -> Self {
        Self(vec![failure])
    }
}

impl BuildError {
    /// Both results, or the failures of both.
    ///
    /// # Errors
    /// Either has failed.
    pub fn both<A, B>(one: Result<A, Self>, other: Result<B, Self>) -> Result<(A, B), Self> {
        match (one, other) {
            (Ok(one), Ok(other)) => Ok((one, other)),
            (Err(mut one), Err(other)) => {
                one.0.extend(other.0);
                Err(one)
            }
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        }
    }
}

/// A failure that no single file is to blame for.
pub(super) fn error(what: impl Into<String>, reason: &dyn fmt::Display, help: &'static str) -> BuildError {
    let (what, reason) = (Part::Other(what.into()), reason.to_string());
    Failure { what, file: None, line: None, reason, help: Some(help) }.into()
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
