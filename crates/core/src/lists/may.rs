//! What a list may do. It confines the rules of a list that somebody else maintains.

use ipnet::IpNet;

use super::breadth::{is_wide, is_wide_allow};
use crate::dns::{Match, Name, Pattern};
use crate::rule::{Effect, Traits};

/// Something that a list may do or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Power {
    /// Block names and addresses.
    Block,
    /// Lift the blocks of other lists: allow rules, and `$badfilter` rules that cancel rules of others.
    /// Without it, they lift only what the list itself blocks.
    Allow,
    /// Answer with data of its own: addresses, aliases, records.
    Rewrite,
    /// Take precedence over the plain rules of other lists (`$important`).
    Important,
    /// Rules for every name or address, for nearly every one, and allow rules for a whole top-level domain.
    EveryName,
}

impl Power {
    /// The powers by their words in the configuration.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("block", Self::Block),
        ("allow", Self::Allow),
        ("rewrite", Self::Rewrite),
        ("important", Self::Important),
        ("every-name", Self::EveryName),
    ];

    /// The word of the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, power)| *power == self).map_or("", |(word, _)| word)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What a list may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct May(u8);

impl May {
    /// Everything: the list is the operator's own.
    pub const ALL: Self = Self(u8::MAX);
    /// Nothing but block: the list is someone else's.
    pub const BLOCK: Self = Self(Power::Block.bit());

    /// What somebody else's list may do by default: only what its kind needs.
    #[must_use]
    pub const fn of_others(effect: Effect) -> Self {
        match effect {
            Effect::Allow => Self(Power::Allow.bit()),
            Effect::Block | Effect::Nothing | Effect::Except => Self::BLOCK,
        }
    }

    /// These powers.
    #[must_use]
    pub fn of(powers: &[Power]) -> Self {
        Self(powers.iter().fold(0, |bits, power| bits | power.bit()))
    }

    /// True if it includes a power.
    #[must_use]
    pub const fn has(self, power: Power) -> bool {
        self.0 & power.bit() != 0
    }

    /// What becomes of a rule that the list may not have as it is: the power that it lacks, and the rule
    /// that it has instead, if any. `wide` tells whether a rule with an effect is for every name, or nearly.
    #[must_use]
    pub(crate) fn confined(
        self,
        traits: &Traits,
        wide: impl Fn(Effect) -> bool,
    ) -> Option<(Power, Option<Traits>)> {
        if self == Self::ALL || !matches!(traits.effect, Effect::Block | Effect::Allow) {
            return None;
        }
        let (mut now, mut lacks) = (traits.clone(), None);
        if now.effect == Effect::Block {
            let data = now.action.as_ref().is_some_and(|action| !action.denies());
            if (now.rewrite || data) && !self.has(Power::Rewrite) {
                lacks = Some(Power::Rewrite);
                if data {
                    return Some((Power::Rewrite, None));
                }
                // An answer that only denies is a block, though not one above the ladder.
                now.rewrite = false;
            }
            if !now.rewrite && !data && !self.has(Power::Block) {
                return Some((Power::Block, None));
            }
        } else if !self.has(Power::Allow) {
            // An exception from rewrites lifts those of all lists.
            if now.rewrite {
                return Some((Power::Allow, None));
            }
            lacks = Some(Power::Allow);
            now.effect = Effect::Except;
        }
        if now.important && !self.has(Power::Important) {
            lacks = lacks.or(Some(Power::Important));
            // Within its own list, an exception keeps its effect.
            now.important = now.effect == Effect::Except;
        }
        if now.effect != Effect::Except && !self.has(Power::EveryName) && wide(now.effect) {
            return Some((Power::EveryName, None));
        }
        lacks.map(|power| (power, Some(now)))
    }
}

impl Default for May {
    fn default() -> Self {
        Self::ALL
    }
}

/// A line with something that its list may not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Confined {
    /// The line, from 1; 0 if it was not kept.
    pub line: u32,
    /// The rule in adguard syntax.
    pub rule: String,
    /// What the list lacks.
    pub power: Power,
    /// Whether a weaker rule stays in its place.
    pub weaker: bool,
}

impl Confined {
    /// What became of the rule, in words.
    #[must_use]
    pub fn fate(&self) -> String {
        let word = self.power.word();
        match (self.power, self.weaker) {
            (Power::Allow, true) => {
                format!("the list may not `{word}`; the rule lifts only blocks of its own list")
            }
            (Power::Important, true) => format!("the list may not be `{word}`; the rule is an ordinary one"),
            (_, true) => format!("the list may not `{word}`; the rule only blocks"),
            (Power::EveryName, false) => {
                "the list may not have rules for every name or address, or a whole top-level domain (`every-name`)"
                    .into()
            }
            (_, false) => format!("the list may not `{word}`"),
        }
    }
}

/// True if a rule for a name is for every name or, with an allow, for a whole top-level domain.
#[must_use]
pub fn name_is_wide(name: Name<'_>, matching: Match, effect: Effect) -> bool {
    match name.labels().count() {
        0 => true,
        1 => effect == Effect::Allow && matching != Match::Exact,
        _ => false,
    }
}

/// True if a pattern matches nearly every name or, with an allow, a whole top-level domain.
#[must_use]
pub fn pattern_is_wide(pattern: &Pattern, effect: Effect) -> bool {
    is_wide(pattern) || effect == Effect::Allow && is_wide_allow(pattern)
}

/// True if a network holds nearly every address: it is wider than any that one registry was given, /8 of IPv4
/// and /16 of IPv6.
#[must_use]
pub const fn network_is_wide(network: &IpNet) -> bool {
    match network {
        IpNet::V4(v4) => v4.prefix_len() < 8,
        IpNet::V6(v6) => v6.prefix_len() < 16,
    }
}
