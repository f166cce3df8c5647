//! Identifies a rule of a policy, and where it was written.

use crate::rule::Match;

/// Identifies a rule of a policy: enough to find its list and line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId {
    pub(super) layer: u16,
    /// Position in the index, or number of the pattern.
    pub(super) at: u32,
    /// Its number among the rules on the same name.
    pub(super) nth: u16,
    /// How the name matches; `None` for a pattern.
    pub(super) matching: Option<Match>,
    pub(super) traits: u32,
    pub(super) source: u16,
}

/// Where a rule was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin<'p> {
    /// The list that was compiled, if it is not one of the configuration.
    pub source: Option<&'p str>,
    /// The line, from 1; 0 if the index was compiled without lines.
    pub line: u32,
}
