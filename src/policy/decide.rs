//! The ladder: which of the rules that match a name wins.
//!
//! From the top: `important` allow, `important` block, allow, block. Within a rung the rule on the
//! more specific name wins, then the list named first in the configuration. A list whose action is
//! `log` stands beside the ladder: it is noted and stops nothing.

use super::compile::{Entry, Policy};
use crate::dns::name::Name;
use crate::rule::{Action, Effect, Match, RuleId};

/// What the policy says about one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No rule speaks of the name.
    NoRule,
    /// A rule lets it pass.
    Allowed(Decider),
    /// A rule blocks it; the action is the list's.
    Blocked(Decider),
    /// Nothing but a `log` list speaks of it: note it and let it pass.
    Logged(Decider),
}

impl Verdict {
    /// The rule that decided, if one did.
    #[must_use]
    pub const fn decider(self) -> Option<Decider> {
        match self {
            Self::NoRule => None,
            Self::Allowed(d) | Self::Blocked(d) | Self::Logged(d) => Some(d),
        }
    }

    /// The word for it in logs and labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NoRule => "pass",
            Self::Allowed(_) => "allowed",
            Self::Blocked(_) => "blocked",
            Self::Logged(_) => "logged",
        }
    }
}

/// A rule of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// `important` allow.
    ImportantAllow,
    /// `important` block.
    ImportantBlock,
    /// Allow.
    Allow,
    /// Block.
    Block,
    /// A `log` list: beside the ladder.
    Log,
}

impl Rung {
    /// All rungs, highest first.
    pub const ALL: [Self; 5] =
        [Self::ImportantAllow, Self::ImportantBlock, Self::Allow, Self::Block, Self::Log];

    fn of(entry: Entry, action: &Action) -> Self {
        match (entry.effect, entry.important) {
            (Effect::Block, _) if *action == Action::Log => Self::Log,
            (Effect::Allow, true) => Self::ImportantAllow,
            (Effect::Block, true) => Self::ImportantBlock,
            (Effect::Allow, false) => Self::Allow,
            (Effect::Block, false) => Self::Block,
        }
    }

    /// What the rung is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ImportantAllow => "important allow",
            Self::ImportantBlock => "important block",
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Log => "log (noted only)",
        }
    }
}

/// The rule that stands on a rung, and how it matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider {
    /// Its number.
    pub rule: RuleId,
    /// Index of its list.
    pub list: u16,
    /// How its name is compared.
    pub matching: Match,
    /// Labels of its name: the last `depth` labels of the question.
    pub depth: u8,
    /// Its rung.
    pub rung: Rung,
}

impl Decider {
    /// True if `self` wins over `other`: higher rung, then longer name, then exact before suffix
    /// before subdomains, then the list named first.
    fn beats(self, other: Self) -> bool {
        let key = |d: Self| (d.rung, std::cmp::Reverse(d.depth), d.matching, d.list);
        key(self) < key(other)
    }
}

/// Walks the ladder for one name. Allocates nothing.
#[must_use]
pub fn decide(policy: &Policy, name: Name<'_>) -> Verdict {
    let mut best: Option<Decider> = None;
    candidates(policy, name, |candidate| {
        if best.is_none_or(|b| candidate.beats(b)) {
            best = Some(candidate);
        }
    });
    match best {
        None => Verdict::NoRule,
        Some(d) => match d.rung {
            Rung::ImportantAllow | Rung::Allow => Verdict::Allowed(d),
            Rung::ImportantBlock | Rung::Block => Verdict::Blocked(d),
            Rung::Log => Verdict::Logged(d),
        },
    }
}

/// Every rule that matches, each with its rung, in no particular order.
pub fn candidates(policy: &Policy, name: Name<'_>, mut found: impl FnMut(Decider)) {
    policy.index().lookup(name, |hit| {
        for (rule, entry) in policy.entries_at(hit.id) {
            let Some(list) = policy.list(entry.list) else { continue };
            let rung = Rung::of(entry, &list.action);
            found(Decider { rule, list: entry.list, matching: hit.matching, depth: hit.depth, rung });
        }
    });
}

/// The names that bear a rule, most specific first: for `explain`.
#[must_use]
pub fn ladder(policy: &Policy, name: Name<'_>) -> Vec<Decider> {
    let mut all = Vec::new();
    candidates(policy, name, |c| all.push(c));
    all.sort_by(|a, b| if a.beats(*b) { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater });
    all
}

#[cfg(test)]
mod tests {
    use super::super::compile::ListPolicy;
    use super::*;
    use crate::dns::name::NameBuf;
    use crate::rule::Rule;
    use proptest::prelude::*;

    fn rule(text: &str) -> Rule {
        let (effect, text) = match text.strip_prefix("@@") {
            Some(rest) => (Effect::Allow, rest),
            None => (Effect::Block, text),
        };
        let (important, text) = match text.strip_suffix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (matching, text) = match (text.strip_prefix("*."), text.strip_prefix('=')) {
            (Some(rest), _) => (Match::Subdomains, rest),
            (_, Some(rest)) => (Match::Exact, rest),
            _ => (Match::Suffix, text),
        };
        Rule { name: NameBuf::from_text(text).unwrap(), matching, effect, important }
    }

    fn policy(lists: &[(&str, Action, &[&str])]) -> Policy {
        let lists = lists
            .iter()
            .map(|(name, action, rules)| {
                let rules = (1u32..).zip(rules.iter().map(|r| rule(r))).collect();
                (ListPolicy::new((*name).into(), action.clone(), 60, None), rules)
            })
            .collect();
        Policy::compile(lists).unwrap()
    }

    /// Verdict, list name and line.
    fn ask(policy: &Policy, name: &str) -> String {
        let verdict = decide(policy, NameBuf::from_text(name).unwrap().as_name());
        match verdict.decider().and_then(|d| policy.origin(d.rule)) {
            None => verdict.word().to_owned(),
            Some(o) => format!("{} {}:{}", verdict.word(), policy.lists[usize::from(o.list)].name, o.line),
        }
    }

    #[test]
    fn the_ladder() {
        let p = policy(&[
            ("watch", Action::Log, &["noted.org", "linkedin.com"]),
            (
                "ads",
                Action::NxDomain,
                &["linkedin.com", "*.sub.org", "=only.org", "shared.net", "x.hard.org!"],
            ),
            ("own", Action::NoData, &["@@business.linkedin.com", "shared.net", "@@hard.org", "a.shared.net"]),
            ("must", Action::Refused, &["@@y.x.hard.org!", "linkedin.com"]),
        ]);
        for (name, expected) in [
            ("linkedin.com", "blocked ads:1"),
            ("LinkedIn.com", "blocked ads:1"),
            ("www.linkedin.com", "blocked ads:1"),
            ("notlinkedin.com", "pass"),
            ("business.linkedin.com", "allowed own:1"),
            ("x.business.linkedin.com", "allowed own:1"),
            ("noted.org", "logged watch:1"),
            ("sub.org", "pass"),
            ("a.sub.org", "blocked ads:2"),
            ("only.org", "blocked ads:3"),
            ("a.only.org", "pass"),
            ("shared.net", "blocked ads:4"),
            ("b.a.shared.net", "blocked own:4"),
            ("hard.org", "allowed own:3"),
            ("x.hard.org", "blocked ads:5"),
            ("y.x.hard.org", "allowed must:1"),
        ] {
            assert_eq!(ask(&p, name), expected, "{name}");
        }
    }

    proptest! {
        /// The naive model: keep all rules in a vector, apply the ladder by definition.
        #[test]
        fn agrees_with_the_ladder_by_definition(
            lists in prop::collection::vec(
                prop::collection::vec("(@@)?(\\*\\.|=)?[ab](\\.[ab]){0,3}!?", 0..12), 1..4),
            question in "[ab](\\.[ab]){0,4}",
        ) {
            let named: Vec<(String, Vec<&str>)> =
                lists.iter().enumerate().map(|(i, l)| (i.to_string(), l.iter().map(String::as_str).collect())).collect();
            let input: Vec<(&str, Action, &[&str])> =
                named.iter().map(|(n, l)| (n.as_str(), Action::NxDomain, l.as_slice())).collect();
            let p = policy(&input);
            let q = NameBuf::from_text(&question).unwrap();
            let mut matching: Vec<(u8, i32, Match, usize, usize)> = Vec::new();
            for (l, list) in lists.iter().enumerate() {
                for (line, text) in list.iter().enumerate() {
                    let r = rule(text);
                    let within = q.as_name().is_within(r.name.as_name());
                    let same = q == r.name;
                    let yes = match r.matching {
                        Match::Exact => same,
                        Match::Suffix => within,
                        Match::Subdomains => within && !same,
                    };
                    let rung = match (r.effect, r.important) {
                        (Effect::Allow, true) => 1,
                        (Effect::Block, true) => 2,
                        (Effect::Allow, false) => 3,
                        (Effect::Block, false) => 4,
                    };
                    if yes {
                        let labels = r.name.as_name().labels().map(|_| 1).sum::<i32>();
                        matching.push((rung, -labels, r.matching, l, line + 1));
                    }
                }
            }
            matching.sort_unstable();
            let expected = match matching.first() {
                None => "pass".to_owned(),
                Some((rung, _, _, list, line)) => {
                    format!("{} {list}:{line}", if rung % 2 == 1 { "allowed" } else { "blocked" })
                }
            };
            prop_assert_eq!(ask(&p, &question), expected);
        }
    }
}
