//! A list as a policy serves it, to be compiled again: for a reload that can't use the list's new text.

use super::compile::{Compiled, MORE};
use super::policy::Policy;
use crate::dns::NameBuf;
use crate::lists::List;
use crate::rule::{Format, Match, Pattern, Traits};

impl Policy {
    /// The rules of a list that was read as text, with their lines. What a broader rule covered, and what a
    /// `$badfilter` cancelled, is missing.
    #[must_use]
    pub fn kept(&self, list: u16, format: Format) -> List {
        let mut names: Vec<(u32, NameBuf, Match, Traits)> = Vec::new();
        let mut patterns: Vec<(u32, Pattern, Traits)> = Vec::new();
        for layer in &self.layers {
            let tables = &layer.compiled.tables;
            let traits = |number: u32| layer.traits(number).cloned();
            layer.compiled.index.for_each(|name, matching, id, at| {
                for (nth, entry) in layer.class(id).iter().enumerate().filter(|(_, e)| e.list == list) {
                    let line = match layer.compiled.index.aside(at, matching) {
                        Some(word) if word & MORE == 0 => word,
                        Some(word) => tables.more.get((word & !MORE) as usize + nth).copied().unwrap_or(0),
                        None => 0,
                    };
                    names.extend(traits(entry.traits).map(|traits| (line, name.clone(), matching, traits)));
                }
            });
            for (rule, entry) in tables.patterns.iter().zip(&layer.pattern_entries) {
                if entry.list == list {
                    let traits = traits(rule.traits);
                    patterns.extend(traits.map(|traits| (rule.line, rule.pattern.clone(), traits)));
                }
            }
        }
        names.sort_by_key(|(line, ..)| *line);
        List::of_rules(format, names, patterns)
    }

    /// A list that was read from a compiled file.
    #[must_use]
    pub fn kept_index(&self, list: u16) -> Option<Compiled> {
        let of_list = |layer: &&super::layer::Layer| layer.numbers.first() == Some(&list);
        self.layers.iter().find(of_list).map(|layer| layer.compiled.clone())
    }
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
                "||a.test^\n|b.test^$important\n@@||c.a.test^\n||c.test^$client=192.0.2.1\n/ads[0-9]/\n*track*\n",
            ),
            ("two", "||a.test^\n||b.test^$dnsrewrite=192.0.2.1\n||x.test^\n/ads[0-9]/$important\n"),
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
