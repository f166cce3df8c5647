//! The account of one decision: every rule that matches the name, and what became of it. For `explain`.

use super::decide::{cancelling, leaves_the_name};
use super::ladder::{Decider, Rung};
use super::merge::is_added;
use super::policy::Policy;
use super::walk::{Asker, Missed, Visitor, walk};
use crate::dns::Name;

/// What became of a rule that matches the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It decides.
    Decides,
    /// Its records are part of the answer, together with those of the rule that decides.
    Adds,
    /// The other rule is stronger.
    Stopped(Decider),
    /// A rewrite that an exception cancels.
    Cancelled(Decider),
    /// A rewrite of a name that another rewrite leaves as it is.
    Left(Decider),
    /// A rewrite that leaves the name as it is.
    Leaves,
    /// An exception that cancels a rewrite.
    Cancels(Decider),
    /// An exception without a rewrite that it could cancel.
    CancelsNothing,
    /// It only logs.
    Logs,
    /// It does not apply to this question.
    Missed(Missed),
}

/// Every rule that matches the name, those that apply first, each part in the order of the ladder.
#[must_use]
pub fn account(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Vec<(Decider, Standing)> {
    let mut all = All::default();
    walk(policy, name, asker, &mut all);
    let cancelled = |rule: Decider| rule.rung.is_rewrite().then(|| cancelling(policy, name, asker, rule));
    let by_exception: Vec<Option<Decider>> = all.apply.iter().map(|d| cancelled(*d).flatten()).collect();
    let standing = |rule: &Decider, without_rewrites: bool| match rule.rung {
        Rung::RewriteException => false,
        rung if rung.is_rewrite() => !without_rewrites && cancelled(*rule).flatten().is_none(),
        _ => true,
    };
    let strongest = |without_rewrites: bool| {
        let left = all.apply.iter().filter(|rule| standing(rule, without_rewrites));
        left.copied().reduce(|best, rule| if rule.beats(best, policy.precedence) { rule } else { best })
    };
    let first = strongest(false);
    let leaving = first.filter(|d| d.rung.is_rewrite() && leaves_the_name(policy, *d, name));
    let winner = if leaving.is_some() { strongest(true) } else { first };
    let mut account: Vec<(Decider, Standing)> = all
        .apply
        .iter()
        .zip(&by_exception)
        .map(|(rule, exception)| {
            let standing = match (winner, leaving) {
                _ if winner == Some(*rule) => Standing::Decides,
                _ if rule.rung == Rung::Log => Standing::Logs,
                _ if rule.rung == Rung::RewriteException => {
                    let victim = all.apply.iter().zip(&by_exception).find(|(_, by)| **by == Some(*rule));
                    victim.map_or(Standing::CancelsNothing, |(victim, _)| Standing::Cancels(*victim))
                }
                (_, Some(leaving)) if leaving == *rule => Standing::Leaves,
                (_, Some(leaving)) if rule.rung.is_rewrite() => Standing::Left(leaving),
                (Some(winner), _) => match exception {
                    Some(exception) => Standing::Cancelled(*exception),
                    None if is_added(policy, winner, *rule) => Standing::Adds,
                    None => Standing::Stopped(winner),
                },
                (None, _) => exception.map_or(Standing::CancelsNothing, Standing::Cancelled),
            };
            (*rule, standing)
        })
        .collect();
    account.extend(all.missed.into_iter().map(|(rule, why)| (rule, Standing::Missed(why))));
    // The sort is stable, so that of two on the same name in the same list the earlier line stays first.
    account.sort_by(|(a, of_a), (b, of_b)| {
        let apart = |standing: &Standing| matches!(standing, Standing::Missed(_));
        let ladder = match (a.beats(*b, policy.precedence), b.beats(*a, policy.precedence)) {
            (true, _) => std::cmp::Ordering::Less,
            (_, true) => std::cmp::Ordering::Greater,
            _ => std::cmp::Ordering::Equal,
        };
        apart(of_a).cmp(&apart(of_b)).then(ladder)
    });
    account
}

#[derive(Default)]
struct All {
    apply: Vec<Decider>,
    missed: Vec<(Decider, Missed)>,
}

impl Visitor for All {
    fn applies(&mut self, candidate: Decider) {
        self.apply.push(candidate);
    }

    fn misses(&mut self, candidate: Decider, why: Missed) {
        self.missed.push((candidate, why));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::dns::{NameBuf, Qtype};
    use crate::lists::parse;
    use crate::policy::{decide, rule_text};
    use crate::rule::{Effect, Format};

    /// What became of each rule, as `line: standing`, in the order of the account.
    fn told(rules: &[&str], name: &str) -> Vec<String> {
        let list = parse(rules.join("\n").as_bytes(), Format::AdGuard, None, Effect::Block).unwrap();
        let policy = Policy::compile([("l", list)]).unwrap();
        let name = NameBuf::from_text(name).unwrap();
        let asker = Asker { client: IpAddr::V4(Ipv4Addr::LOCALHOST), qtype: Qtype::A, view: None };
        let line = |d: Decider| rule_text(&policy, d, name.as_name()).unwrap().line;
        let account = account(&policy, name.as_name(), asker);
        let decides = account.iter().find(|(_, s)| *s == Standing::Decides).map(|(d, _)| d.rule);
        assert_eq!(decide(&policy, name.as_name(), asker).decider().map(|d| d.rule), decides, "{rules:?}");
        let word = |standing: Standing| match standing {
            Standing::Decides => "decides".to_owned(),
            Standing::Adds => "adds".to_owned(),
            Standing::Stopped(by) => format!("stopped by {}", line(by)),
            Standing::Cancelled(by) => format!("cancelled by {}", line(by)),
            Standing::Left(by) => format!("left by {}", line(by)),
            Standing::Leaves => "leaves".to_owned(),
            Standing::Cancels(victim) => format!("cancels {}", line(victim)),
            Standing::CancelsNothing => "cancels nothing".to_owned(),
            Standing::Logs => "logs".to_owned(),
            Standing::Missed(why) => format!("{why:?}"),
        };
        account.iter().map(|(d, standing)| format!("{}: {}", line(*d), word(*standing))).collect()
    }

    #[test]
    fn every_rule_that_matches_is_told() {
        for (rules, expected) in [
            (&["||a.test^", "@@||x.a.test^"][..], &["2: decides", "1: stopped by 2"][..]),
            (&["||a.test^$dnstype=AAAA"], &["1: Type"]),
            (&["||a.test^$client=10.0.0.1", "||a.test^$client=~127.0.0.1"], &["2: Client", "1: Client"]),
            (&["||a.test^$denyallow=x.a.test"], &["1: Name"]),
            (
                &["||a.test^$dnsrewrite=192.0.2.1", "@@||a.test^$dnsrewrite", "||test^"],
                &["2: cancels 1", "1: cancelled by 2", "3: decides"],
            ),
            (&["@@||a.test^$dnsrewrite"], &["1: cancels nothing"]),
            (
                &["||x.a.test^$dnsrewrite=x.a.test", "||a.test^$dnsrewrite=192.0.2.1", "||test^"],
                &["1: leaves", "2: left by 1", "3: decides"],
            ),
            (
                &["||a.test^$dnsrewrite=192.0.2.1", "||a.test^$dnstype=A,dnsrewrite=192.0.2.2"],
                &["1: decides", "2: adds"],
            ),
            (
                &["||a.test^$important", "||a.test^$dnsrewrite=192.0.2.1", "@@||a.test^"],
                &["1: decides", "2: stopped by 1", "3: stopped by 1"],
            ),
        ] {
            assert_eq!(told(rules, "x.a.test"), expected, "{rules:?}");
        }
    }
}
