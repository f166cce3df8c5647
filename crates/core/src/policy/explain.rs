//! A verdict in words, with list and line: for the command line, the log and the demo.

use super::ladder::Decider;
use super::policy::Policy;
use super::verdict::Verdict;
use crate::dns::Name;
use crate::rule::{Effect, Match, modifiers};

/// A rule in a form that a reader can look up.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RuleText {
    /// The rule in adguard syntax, such as `||linkedin.com^`.
    pub rule: String,
    /// The list's name.
    pub list: String,
    /// The line in the list, from 1.
    pub line: u32,
}

impl RuleText {
    /// A rule in the line of a list, from 1; 0: its lines were not kept.
    #[must_use]
    pub const fn new(rule: String, list: String, line: u32) -> Self {
        Self { rule, list, line }
    }

    /// `list:line`, or only the list if its lines were not kept.
    #[must_use]
    pub fn place(&self) -> String {
        if self.line == 0 { self.list.clone() } else { format!("{}:{}", self.list, self.line) }
    }
}

/// Describes a rule that matched `name`.
#[must_use]
pub fn rule_text(policy: &Policy, decider: Decider, name: Name<'_>) -> Option<RuleText> {
    let origin = policy.origin(decider.rule)?;
    let list = policy.list(decider.list)?;
    let traits = policy.traits(decider.rule)?;
    let pattern = match decider.matching() {
        None => policy.pattern(decider.rule)?.pattern.to_string(),
        Some(matching) => {
            let owner =
                name.offsets().suffix(usize::from(decider.depth)).map(|n| n.to_folded().to_string())?;
            match matching {
                Match::Exact => format!("|{owner}|"),
                Match::Suffix => format!("||{owner}^"),
                Match::Subdomains => format!("||*.{owner}^"),
            }
        }
    };
    let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
    let list = match origin.source {
        Some(source) => format!("{}/{source}", list.name),
        None => list.name.clone(),
    };
    Some(RuleText { rule: format!("{allow}{pattern}{}", modifiers(traits)), list, line: origin.line })
}

/// The basis of a verdict: a rule, a list of addresses, or an order.
#[must_use]
pub fn verdict_text(policy: &Policy, verdict: Verdict, name: Name<'_>) -> Option<RuleText> {
    let made_up = |rule: &str, list: String| Some(RuleText { rule: rule.to_owned(), list, line: 0 });
    match verdict {
        Verdict::NoRule => None,
        Verdict::Allowed(d) | Verdict::Blocked(d) | Verdict::Logged(d) => rule_text(policy, d, name),
        // The rule matched a name in the answer, which is not available here.
        Verdict::InAnswer(d) => {
            let origin = policy.origin(d.rule)?;
            let list = policy.list(d.list)?.name.clone();
            Some(RuleText { rule: "(a name in the answer)".into(), list, line: origin.line })
        }
        Verdict::Address(list) | Verdict::NotedAddress(list) => {
            made_up("(an address in the answer)", policy.list(list)?.name.clone())
        }
        Verdict::Default { .. } => made_up("(the group's default)", "default".into()),
        Verdict::Rebinding => made_up("(a private address in the answer)", "rebinding".into()),
        Verdict::Ordered(_, number) => made_up("(ordered at run time)", format!("order {number}")),
    }
}

/// One line for a log: the verdict, and the rule with its list and line if one decided.
#[must_use]
pub fn one_line(policy: &Policy, verdict: Verdict, name: Name<'_>) -> String {
    match verdict_text(policy, verdict, name) {
        Some(text) => format!("{} by {} ({})", verdict.word(), text.rule, text.place()),
        None => verdict.word().to_owned(),
    }
}
