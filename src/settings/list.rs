//! `[[list]]`: a list of rules, and where its text comes from.

use std::path::PathBuf;

use super::rewrite::RewriteSettings;
use crate::dns::Qtype;
use crate::lists::Budget;
pub use crate::lists::{Addresses, May, Power};
use crate::policy::{Notes, schedule::Schedule};
use crate::rule::{Action, Effect, Format, Match};

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSettings {
    /// Its name, unique.
    pub name: String,
    /// Where its text comes from.
    pub source: TextSource,
    /// Its format, or [`Format::Auto`].
    pub format: Format,
    /// Block or allow.
    pub effect: Effect,
    /// How names match; `None`: as the format defines it. See [`crate::lists::Reader::new`].
    pub plain: Option<Match>,
    /// The rules to take from a v2fly list: those with all of these attributes; `-name`: without it.
    pub attributes: Vec<String>,
    /// What a client gets.
    pub action: Action,
    /// Whether the action is a default, so that the action of the client's group takes precedence.
    pub inherits: bool,
    /// TTL of synthesised answers, in seconds.
    pub ttl: u32,
    /// The outside authority that demands it, if any.
    pub authority: Option<String>,
    /// What else blocked clients are told.
    pub notes: Notes,
    /// The query types it applies to; empty: all.
    pub types: Vec<Qtype>,
    /// When it applies; `None`: always.
    pub schedule: Option<Schedule>,
    /// How addresses in it are read.
    pub addresses: Addresses,
    /// What it may do.
    pub may: May,
    /// What it may cost, if it is a file.
    pub bounds: ListBounds,
}

/// What a list may cost, and which changes of it are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListBounds {
    /// The bounds of its text.
    pub budget: Budget,
    /// The most octets of its file, as stored.
    pub packed: u64,
    /// How many times its size a packed file may unpack to.
    pub ratio: u32,
    /// The most lines that repeat an earlier one.
    pub duplicates: u32,
    /// The least number of rules; `None`: one, once the list has given rules.
    pub min_rules: Option<u32>,
    /// The largest loss of rules that a reload accepts, in per cent.
    pub max_shrink: Option<u8>,
}

impl Default for ListBounds {
    fn default() -> Self {
        Self {
            budget: Budget::default(),
            packed: 1 << 30,
            ratio: 100,
            duplicates: 10_000_000,
            min_rules: None,
            max_shrink: None,
        }
    }
}

impl ListSettings {
    /// True for the rewrites of the configuration.
    #[must_use]
    pub const fn is_rewrites(&self) -> bool {
        matches!(self.source, TextSource::Rewrites(_))
    }
}

impl TextSource {
    /// What a list from here may do if its settings don't say: the operator's own lists everything. The one place
    /// that decides this; a list that is fetched from others gets [`May::of_others`].
    #[must_use]
    pub const fn may(&self) -> May {
        match self {
            Self::File(_) | Self::Inline(_) | Self::Embedded(..) | Self::Rewrites(_) => May::ALL,
        }
    }
}

impl Default for ListSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: TextSource::Inline(Vec::new()),
            format: Format::Auto,
            effect: Effect::Block,
            plain: None,
            attributes: Vec::new(),
            action: Action::NxDomain,
            inherits: false,
            ttl: 60,
            authority: None,
            notes: Notes::default(),
            types: Vec::new(),
            schedule: None,
            addresses: Addresses::AsRules,
            may: May::ALL,
            bounds: ListBounds::default(),
        }
    }
}

/// Where text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// A file.
    File(PathBuf),
    /// Lines of the configuration itself.
    Inline(Vec<String>),
    /// Text that is built into the program, and its name for messages.
    Embedded(&'static str, &'static str),
    /// Rewrites of the configuration, all for the clients of the same groups.
    Rewrites(Vec<RewriteSettings>),
}

impl TextSource {
    /// How messages refer to it.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "inline rules".into(),
            Self::Embedded(name, _) => format!("{name} (built in)"),
            Self::Rewrites(rewrites) => match rewrites.first().map_or(&[][..], |first| &first.groups) {
                [] => "[[rewrite]]".into(),
                groups => format!("[[rewrite]] for {}", groups.join(", ")),
            },
        }
    }
}
