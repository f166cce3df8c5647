//! The ladder: which of the rules that match a question wins.
//!
//! From the top: the rewrites of the configuration; `important` allow, `important` rewrite, `important`
//! block; rewrite (`$dnsrewrite`, unless an exception cancels it), allow, block. Within a rung the rule for
//! the more specific name wins, then the list that comes first in the configuration; a pattern is less
//! specific than any name. A list whose action is `log` is outside the ladder: its matches are logged and
//! stop nothing.
//!
//! That is [`Precedence::AllowWins`]. The other precedences also keep the rewrites of the configuration above
//! `important` rules, those above other rewrites, and these above the rest, but within each of the four they
//! compare the name's length first, or the order of the lists.

use std::cmp::Reverse;

use super::origin::RuleId;
use crate::rule::{Action, Effect, Match, Traits};

/// What decides between two rules of equal strength.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precedence {
    /// Allow before block, then the longer name, then the earlier list.
    #[default]
    AllowWins,
    /// The longer name, then allow before block, then the earlier list.
    MostSpecific,
    /// The earlier list, then allow before block, then the longer name.
    Ordered,
}

impl Precedence {
    /// The precedences by their words in the configuration.
    pub const WORDS: [(&'static str, Self); 3] =
        [("allow-wins", Self::AllowWins), ("most-specific", Self::MostSpecific), ("ordered", Self::Ordered)];

    /// The word of the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, p)| *p == self).map_or("", |(word, _)| word)
    }
}

/// A rule of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// A rewrite of the configuration.
    OwnRewrite,
    /// `important` allow.
    ImportantAllow,
    /// `important` rewrite of a list.
    ImportantRewrite,
    /// `important` block.
    ImportantBlock,
    /// An exception from the rewrites of lists: has no effect by itself.
    RewriteException,
    /// A rewrite of a list.
    Rewrite,
    /// Allow.
    Allow,
    /// Block.
    Block,
    /// A `log` list: outside the ladder.
    Log,
    /// Not on the ladder: see [`Effect::Nothing`] and [`Effect::Except`].
    Nothing,
}

impl Rung {
    /// All rungs of the ladder, highest first.
    pub const ALL: [Self; 9] = [
        Self::OwnRewrite,
        Self::ImportantAllow,
        Self::ImportantRewrite,
        Self::ImportantBlock,
        Self::RewriteException,
        Self::Rewrite,
        Self::Allow,
        Self::Block,
        Self::Log,
    ];

    /// The rung of a rule in a list that does more than log.
    pub(super) fn of(traits: &Traits) -> Self {
        match (traits.effect, traits.important) {
            (Effect::Nothing | Effect::Except, _) => Self::Nothing,
            (Effect::Allow, _) if traits.rewrite => Self::RewriteException,
            (Effect::Block, true) if traits.rewrite => Self::ImportantRewrite,
            (Effect::Block, false) if traits.rewrite => Self::Rewrite,
            (Effect::Block, _) if traits.action == Some(Action::Log) => Self::Log,
            (Effect::Allow, true) => Self::ImportantAllow,
            (Effect::Block, true) => Self::ImportantBlock,
            (Effect::Allow, false) => Self::Allow,
            (Effect::Block, false) => Self::Block,
        }
    }

    /// The strength of a rung; rungs that differ only in their effect have the same.
    pub(super) const fn force(self) -> u8 {
        match self {
            Self::OwnRewrite => 0,
            Self::ImportantAllow | Self::ImportantRewrite | Self::ImportantBlock => 1,
            Self::RewriteException => 2,
            Self::Rewrite => 3,
            Self::Allow | Self::Block => 4,
            Self::Log => 5,
            Self::Nothing => 6,
        }
    }

    /// True for a rule that answers in place of the upstreams.
    pub(super) const fn answers(self) -> bool {
        self.is_rewrite() || matches!(self, Self::ImportantBlock | Self::Block)
    }

    /// True for a rule that replaces the answer with data of its own.
    #[must_use]
    pub const fn is_rewrite(self) -> bool {
        matches!(self, Self::OwnRewrite | Self::ImportantRewrite | Self::Rewrite)
    }

    /// The rung's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OwnRewrite => "own rewrite",
            Self::RewriteException => "no rewrite",
            Self::ImportantRewrite => "important rewrite",
            Self::Rewrite => "rewrite",
            Self::ImportantAllow => "important allow",
            Self::ImportantBlock => "important block",
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Log => "log (noted only)",
            Self::Nothing => "nothing",
        }
    }
}

/// A rule on its rung, and how it matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider {
    /// The rule.
    pub rule: RuleId,
    /// Index of its list.
    pub list: u16,
    /// Labels of its name: the last `depth` labels of the question. 0 for a pattern.
    pub depth: u8,
    /// Its rung.
    pub rung: Rung,
    /// It denies the name to this question, but another type of the name passes. NXDOMAIN would deny that
    /// one too.
    pub others_pass: bool,
}

impl Decider {
    /// How its name matched; `None` for a pattern.
    #[must_use]
    pub const fn matching(self) -> Option<Match> {
        self.rule.matching
    }

    /// True if `self` wins over `other`. For [`Precedence::AllowWins`]: higher rung, then longer name, then
    /// exact before suffix before subdomains before a pattern, then the earlier list.
    pub(super) fn beats(self, other: Self, precedence: Precedence) -> bool {
        let rung = |d: Self| d.rung;
        let force = |d: Self| d.rung.force();
        let name = |d: Self| (Reverse(d.depth), d.rule.matching.is_none(), d.rule.matching);
        match precedence {
            Precedence::AllowWins => {
                let key = |d| (rung(d), name(d), d.list);
                key(self) < key(other)
            }
            Precedence::MostSpecific => {
                let key = |d| (force(d), name(d), rung(d), d.list);
                key(self) < key(other)
            }
            Precedence::Ordered => {
                let key = |d: Self| (force(d), d.list, rung(d), name(d));
                key(self) < key(other)
            }
        }
    }

    /// Why `self` loses to `winner`, in a few words.
    #[must_use]
    pub fn loses_by(self, winner: Self, precedence: Precedence) -> String {
        let longer = winner.depth > self.depth;
        let earlier = winner.list < self.list;
        let rungs = || format!("{} goes before {}", winner.rung.name(), self.rung.name());
        let stronger = winner.rung.force() < self.rung.force();
        match precedence {
            _ if stronger => rungs(),
            Precedence::AllowWins if winner.rung < self.rung => rungs(),
            Precedence::AllowWins | Precedence::MostSpecific if longer => "its name is longer".into(),
            Precedence::Ordered if earlier => "its list is named earlier".into(),
            Precedence::MostSpecific | Precedence::Ordered if winner.rung < self.rung => rungs(),
            Precedence::Ordered if longer => "its name is longer".into(),
            _ if winner.rule.matching.is_some() && self.rule.matching.is_none() => {
                "a name goes before a pattern".into()
            }
            _ if winner.rule.matching < self.rule.matching => "it matches the name more exactly".into(),
            _ if earlier => "its list is named earlier".into(),
            _ => "of two equal rules in a list, one decides".into(),
        }
    }
}
