//! Recovers rules from a policy: those of a list, for a reload that can't use the list's new text, and those
//! with conditions.

use ipnet::IpNet;

use super::compile::{Compiled, MORE};
use super::layer::{Entry, Layer};
use super::policy::Policy;
use crate::dns::NameBuf;
use crate::lists::List;
use crate::rule::{Format, Match, Pattern, Scope, Traits};

/// A rule with conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedRule<'p> {
    /// Its list, by number.
    pub list: u16,
    /// Its line, from 1; 0 if the index was compiled without lines.
    pub line: u32,
    /// Its name or its pattern.
    pub rule: String,
    /// Its conditions.
    pub scope: &'p Scope,
}

/// How many rules [`Policy::scoped_rules`] gives.
const MOST: usize = 1000;

impl Policy {
    /// The rules of a list that was read as text, with their lines. What a broader rule covered, and what a
    /// `$badfilter` cancelled, is missing.
    #[must_use]
    pub fn kept(&self, list: u16, format: Format) -> List {
        let mut names: Vec<(u32, NameBuf, Match, Traits)> = Vec::new();
        let mut patterns: Vec<(u32, Pattern, Traits)> = Vec::new();
        let mut addresses: Vec<(u32, IpNet, Traits)> = Vec::new();
        for layer in &self.layers {
            let name = |line, name: &NameBuf, matching, entry: &Entry| {
                let traits = layer.traits(entry.traits).cloned();
                names.extend(traits.map(|traits| (line, name.clone(), matching, traits)));
            };
            each_name(layer, |entry| entry.list == list, name);
            for (rule, entry) in layer.compiled.tables.patterns.iter().zip(&layer.pattern_entries) {
                if entry.list == list {
                    let traits = layer.traits(rule.traits).cloned();
                    patterns.extend(traits.map(|traits| (rule.line, rule.pattern.clone(), traits)));
                }
            }
            for (rule, entry) in layer.compiled.tables.addresses.iter().zip(&layer.address_entries) {
                if entry.list == list {
                    let traits = layer.traits(rule.traits).cloned();
                    addresses.extend(traits.map(|traits| (rule.line, rule.network, traits)));
                }
            }
        }
        names.sort_by_key(|(line, ..)| *line);
        List::of_rules(format, names, patterns, addresses)
    }

    /// The first thousand rules with conditions like these, by list and line. For tools: it allocates.
    #[must_use]
    pub fn scoped_rules(&self, wanted: impl Fn(&Scope) -> bool) -> Vec<ScopedRule<'_>> {
        let mut found = Vec::new();
        for layer in &self.layers {
            let scopes = layer.compiled.tables.traits.iter();
            let scopes: Vec<_> = scopes.map(|t| t.scope.as_deref().filter(|scope| wanted(scope))).collect();
            // Most lists have none, and need no walk through all names.
            if scopes.iter().all(Option::is_none) {
                continue;
            }
            let scope = |entry: &Entry| scopes.get(entry.traits as usize).copied().flatten();
            let mut add = |line, rule: String, entry: &Entry| {
                if let Some(scope) = scope(entry).filter(|_| found.len() < MOST) {
                    found.push(ScopedRule { list: entry.list, line, rule, scope });
                }
            };
            each_name(
                layer,
                |e| scope(e).is_some(),
                |line, name, _, entry| add(line, name.to_string(), entry),
            );
            for (rule, entry) in layer.compiled.tables.patterns.iter().zip(&layer.pattern_entries) {
                add(rule.line, rule.pattern.to_string(), entry);
            }
            for (rule, entry) in layer.compiled.tables.addresses.iter().zip(&layer.address_entries) {
                add(rule.line, rule.network.to_string(), entry);
            }
        }
        found.sort_by_key(|rule| (rule.list, rule.line));
        found
    }

    /// A list that was read from a compiled file.
    #[must_use]
    pub fn kept_index(&self, list: u16) -> Option<Compiled> {
        let of_list = |layer: &&Layer| layer.numbers.first() == Some(&list);
        self.layers.iter().find(of_list).map(|layer| layer.compiled.clone())
    }
}

/// Calls `each` for every rule of a layer that has a name and is wanted: line, name, how it matches, rule.
fn each_name(
    layer: &Layer,
    wanted: impl Fn(&Entry) -> bool,
    mut each: impl FnMut(u32, &NameBuf, Match, &Entry),
) {
    let (index, more) = (&layer.compiled.index, &layer.compiled.tables.more);
    index.for_each(|name, matching, id, at| {
        for (nth, entry) in layer.class(id).iter().enumerate().filter(|(_, entry)| wanted(entry)) {
            let line = match index.aside(at, matching) {
                Some(word) if word & MORE == 0 => word,
                Some(word) => more.get((word & !MORE) as usize + nth).copied().unwrap_or(0),
                None => 0,
            };
            each(line, name, matching, entry);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::compile::{Options, compile};
    use super::super::list::ListPolicy;
    use super::*;
    use crate::lists::parse;
    use crate::rule::{Action, Effect};

    #[test]
    fn a_list_that_is_kept_compiles_to_the_same_rules() {
        let texts = [
            (
                "one",
                "||a.test^\n|b.test^$important\n@@||c.a.test^\n||c.test^$client=192.0.2.1\n/ads[0-9]/\n*track*\n\
                192.0.2.7\n@@198.51.100.0/24$important\n",
            ),
            (
                "two",
                "||a.test^\n||b.test^$dnsrewrite=192.0.2.1\n||x.test^\n/ads[0-9]/$important\n192.0.2.7\n",
            ),
        ];
        let lists: Vec<_> = texts
            .iter()
            .map(|(name, text)| {
                let list = parse(text.as_bytes(), Format::AdGuard, None, Effect::Block).unwrap();
                ((*name).to_owned(), list)
            })
            .collect();
        let how = Options { lines: true, left_out: false };
        let policy_of = |lists: &[(String, List)]| {
            let (compiled, _) = compile(lists, how).unwrap();
            let of = |(name, _): &(String, List)| ListPolicy::new(name.clone(), Action::NxDomain, 60, None);
            Policy::new(lists.iter().map(of).collect(), Vec::new(), vec![(compiled, vec![0, 1])]).unwrap()
        };
        let policy = policy_of(&lists);
        let kept = |number: u16| policy.kept(number, Format::AdGuard);
        for (one, two) in [(kept(0), lists[1].1.clone()), (lists[0].1.clone(), kept(1)), (kept(0), kept(1))] {
            let again = policy_of(&[("one".into(), one), ("two".into(), two)]);
            let (was, is) = (&policy.layers[0].compiled, &again.layers[0].compiled);
            assert_eq!(is.tables.patterns, was.tables.patterns);
            assert_eq!(is.tables.addresses, was.tables.addresses);
            assert_eq!(is.index.entry_count(), was.index.entry_count());
            let all = |compiled: &Compiled| {
                let mut all = Vec::new();
                compiled.index.for_each(|name, matching, id, at| {
                    let rules: Vec<_> = compiled.tables.classes[id as usize]
                        .iter()
                        .map(|(source, traits)| (*source, compiled.tables.traits[*traits as usize].clone()))
                        .collect();
                    let line = compiled.index.aside(at, matching).filter(|word| word & MORE == 0);
                    all.push((name.clone(), matching, rules, line));
                });
                all.sort();
                all
            };
            assert_eq!(all(is), all(was));
        }
    }
}
