//! `[[list]]`: a list of names, and where its text comes from.

use std::path::PathBuf;

use super::rewrite::RewriteSettings;
use crate::dns::Qtype;
use crate::policy::{Notes, schedule::Schedule};
use crate::rule::{Action, Effect, Format, Match};

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSettings {
    /// Its name, unique.
    pub name: String,
    /// Its text.
    pub source: TextSource,
    /// Its format, or [`Format::Auto`].
    pub format: Format,
    /// Block or allow.
    pub effect: Effect,
    /// How plain names match; `None`: as the format has it.
    pub plain: Option<Match>,
    /// What a client gets.
    pub action: Action,
    /// The action is not the list's own, so that of the client's group goes before it.
    pub inherits: bool,
    /// TTL of made-up answers, in seconds.
    pub ttl: u32,
    /// Who demands it, if somebody outside does.
    pub authority: Option<String>,
    /// What people are told beside that.
    pub notes: Notes,
    /// It speaks of these types alone; empty: of all.
    pub types: Vec<Qtype>,
    /// When it speaks; `None`: always.
    pub schedule: Option<Schedule>,
    /// What becomes of lines that are an address or a network.
    pub addresses: Addresses,
}

impl ListSettings {
    /// True for the rewrites of the configuration.
    #[must_use]
    pub const fn is_rewrites(&self) -> bool {
        matches!(self.source, TextSource::Rewrites(_))
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
            action: Action::NxDomain,
            inherits: false,
            ttl: 60,
            authority: None,
            notes: Notes::default(),
            types: Vec::new(),
            schedule: None,
            addresses: Addresses::AsRules,
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
    /// Text that is built into the program; its name for people.
    Embedded(&'static str, &'static str),
    /// Rewrites of the configuration.
    Rewrites(Vec<RewriteSettings>),
}

impl TextSource {
    /// What to call it in messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "inline rules".into(),
            Self::Embedded(name, _) => format!("{name} (built in)"),
            Self::Rewrites(_) => "[[rewrite]]".into(),
        }
    }
}

/// What becomes of the lines of a list that are an address or a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// They are what they are in the list's format.
    #[default]
    AsRules,
    /// They, and nothing else, are the list: answers that give one of them are blocked.
    Only,
    /// They are looked for in answers, the other lines are rules: the list tells of servers by both.
    Beside,
}
