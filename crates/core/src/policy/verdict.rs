//! The policy's verdict on one name.

use super::ladder::{Decider, Rung};
use super::overrides::Ordered;

/// The policy's verdict on one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule matches the name.
    NoRule,
    /// A rule lets it pass.
    Allowed(Decider),
    /// A rule blocks it; the action is the list's.
    Blocked(Decider),
    /// Only a `log` list matches it: log it and let it pass.
    Logged(Decider),
    /// An order given at run time decides; the order's number.
    Ordered(Ordered, u32),
    /// A rule matches a name that the answer leads to: it blocks, allows or only logs, by its rung.
    InAnswer(Decider),
    /// No rule lets it pass, and the client's group blocks what no rule lets pass.
    Default {
        /// Another type of the name passes.
        others_pass: bool,
    },
    /// A list of addresses, by its number, contains an address in the answer.
    Address(u16),
    /// The same for a list that only logs.
    NotedAddress(u16),
    /// The answer has a private address for a public name.
    Rebinding,
}

impl Verdict {
    /// The rule that decided, if one did.
    #[must_use]
    pub const fn decider(self) -> Option<Decider> {
        match self {
            Self::Allowed(d) | Self::Blocked(d) | Self::Logged(d) | Self::InAnswer(d) => Some(d),
            Self::NoRule
            | Self::Default { .. }
            | Self::Ordered(..)
            | Self::Address(_)
            | Self::NotedAddress(_)
            | Self::Rebinding => None,
        }
    }

    /// The number of the list that decided, if one did.
    #[must_use]
    pub const fn list(self) -> Option<u16> {
        match (self, self.decider()) {
            (Self::Address(list) | Self::NotedAddress(list), _) => Some(list),
            (_, Some(decider)) => Some(decider.list),
            (_, None) => None,
        }
    }

    /// Its class.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::NoRule => Class::Pass,
            Self::Allowed(_) | Self::Ordered(Ordered::Allowed, _) => Class::Allowed,
            Self::Logged(_) | Self::NotedAddress(_) => Class::Logged,
            Self::Ordered(Ordered::Paused, _) => Class::Paused,
            Self::Blocked(d) | Self::InAnswer(d) => match d.rung {
                Rung::OwnRewrite | Rung::ImportantRewrite | Rung::Rewrite | Rung::RewriteException => {
                    Class::Rewritten
                }
                Rung::ImportantAllow | Rung::Allow => Class::Allowed,
                Rung::Log | Rung::Nothing => Class::Logged,
                Rung::ImportantBlock | Rung::Block => Class::Blocked,
            },
            Self::Default { .. }
            | Self::Address(_)
            | Self::Rebinding
            | Self::Ordered(Ordered::Blocked, _) => Class::Blocked,
        }
    }

    /// The word for it in logs and metrics labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.class().word()
    }
}

/// The class of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No rule matches the query.
    Pass,
    /// A rule lets it pass.
    Allowed,
    /// It is blocked.
    Blocked,
    /// It is logged, and passes.
    Logged,
    /// Blocking is paused.
    Paused,
    /// It is answered with the operator's own data.
    Rewritten,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Pass, Self::Allowed, Self::Blocked, Self::Logged, Self::Paused, Self::Rewritten];

    /// The word for it in logs and metrics labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::Logged => "logged",
            Self::Paused => "paused",
            Self::Rewritten => "rewritten",
        }
    }
}
