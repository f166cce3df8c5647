//! A verdict told in words, with list and line: for the command line, the log and the demo.

use super::compile::Policy;
use super::decide::{Decider, Verdict};
use crate::dns::name::Name;
use crate::rule::Match;

/// A rule as a person finds it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// The rule in the form of the adguard format, such as `||linkedin.com^`.
    pub rule: String,
    /// The list's name.
    pub list: String,
    /// The line in the list, from 1.
    pub line: u32,
}

/// Describes a rule that matched `name`.
#[must_use]
pub fn rule_text(policy: &Policy, decider: Decider, name: Name<'_>) -> Option<RuleText> {
    let origin = policy.origin(decider.rule)?;
    let list = policy.list(decider.list)?;
    let owner = name.offsets().suffix(usize::from(decider.depth)).map(|n| n.to_folded().to_string())?;
    let important =
        matches!(decider.rung, super::decide::Rung::ImportantAllow | super::decide::Rung::ImportantBlock);
    let allow = matches!(decider.rung, super::decide::Rung::ImportantAllow | super::decide::Rung::Allow);
    let pattern = match decider.matching {
        Match::Exact => format!("|{owner}|"),
        Match::Suffix => format!("||{owner}^"),
        Match::Subdomains => format!("||*.{owner}^"),
    };
    let rule =
        format!("{}{pattern}{}", if allow { "@@" } else { "" }, if important { "$important" } else { "" });
    Some(RuleText { rule, list: list.name.clone(), line: origin.line })
}

/// One line for a log: the verdict, and the rule with its list and line if one decided.
#[must_use]
pub fn one_line(policy: &Policy, verdict: Verdict, name: Name<'_>) -> String {
    match verdict.decider().and_then(|d| rule_text(policy, d, name)) {
        Some(text) => format!("{} by {} ({}:{})", verdict.word(), text.rule, text.list, text.line),
        None => verdict.word().to_owned(),
    }
}
