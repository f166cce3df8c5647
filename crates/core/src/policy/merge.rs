//! Several rewrites of one name give one answer with the records of all.
//!
//! Rules of a list that differ only in their records are merged when they are compiled. What remains are
//! rules for different clients or types, and those of which an exception may cancel one.

use super::decide::excepted;
use super::ladder::{Decider, Rung};
use super::policy::Policy;
use super::walk::{Asker, Visitor, walk};
use crate::dns::Name;
use crate::rule::{Action, Data};

/// More rules than anyone writes for one name; the records of further ones are left out.
const MOST: usize = 256;

/// Calls `each` with the records that other rules for the same name add to those of the rewrite that decides:
/// rules of its list and rung that apply to the question. Allocates nothing.
#[cold]
pub fn added_records<'p>(
    policy: &'p Policy,
    name: Name<'_>,
    asker: Asker<'_>,
    by: Decider,
    each: &mut dyn FnMut(&'p Data),
) {
    // A name has one rewrite of the configuration.
    if by.rung == Rung::OwnRewrite {
        return;
    }
    let mut all = Rewrites { policy, name, asker, rules: [by; MOST], count: 1 };
    walk(policy, name, asker, &mut all);
    for (number, rule) in all.known().iter().enumerate().skip(1) {
        for record in records(policy, *rule) {
            if !all.known().iter().take(number).any(|earlier| has(records(policy, *earlier), record)) {
                each(record);
            }
        }
    }
}

/// True if a rule that applies adds to the answer of the rewrite that decides.
pub(super) fn is_added(policy: &Policy, by: Decider, rule: Decider) -> bool {
    is_alike(policy, by, rule) && !records(policy, by).is_empty() && !records(policy, rule).is_empty()
}

/// True if a rule is for the same name as the one that decides, in its list and on its rung.
fn is_alike(policy: &Policy, by: Decider, rule: Decider) -> bool {
    let place = |d: Decider| (d.rung, d.list, d.depth, d.matching());
    let pattern = |d: Decider| policy.pattern(d.rule).map(|p| &p.pattern);
    by.rung.is_rewrite()
        && by.rung != Rung::OwnRewrite
        && place(by) == place(rule)
        && pattern(by) == pattern(rule)
}

/// The rewrites of one name in one list, the deciding one first.
struct Rewrites<'a> {
    policy: &'a Policy,
    name: Name<'a>,
    asker: Asker<'a>,
    rules: [Decider; MOST],
    count: usize,
}

impl Rewrites<'_> {
    fn known(&self) -> &[Decider] {
        self.rules.get(..self.count).unwrap_or_default()
    }
}

impl Visitor for Rewrites<'_> {
    fn applies(&mut self, candidate: Decider) {
        let new = |record: &Data| !self.known().iter().any(|rule| has(records(self.policy, *rule), record));
        if self.rules.first().is_some_and(|by| is_alike(self.policy, *by, candidate))
            && records(self.policy, candidate).iter().any(new)
            && !excepted(self.policy, self.name, self.asker, candidate)
            && let Some(slot) = self.rules.get_mut(self.count)
        {
            *slot = candidate;
            self.count += 1;
        }
    }
}

fn records(policy: &Policy, rule: Decider) -> &[Data] {
    match policy.traits(rule.rule).and_then(|t| t.action.as_ref()) {
        Some(Action::Records(data)) => data,
        _ => &[],
    }
}

/// A rule has one record, or those of several rules in their order.
fn has(records: &[Data], record: &Data) -> bool {
    records.binary_search(record).is_ok()
}
