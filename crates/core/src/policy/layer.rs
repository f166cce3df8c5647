//! Lists that were compiled together, with their rules prepared for the ladder.

use std::fmt;

use super::compile::Compiled;
use super::ladder::Rung;
use super::list::ListPolicy;
use super::origin::RuleId;
use crate::dns::Name;
use crate::rule::{Action, Effect, Scope, Traits};
use crate::trie::{BuildError, Patterns};

/// Lists that were compiled together: all text lists, or one compiled file.
pub(super) struct Layer {
    pub(super) compiled: Compiled,
    /// Which list each of its sources is.
    pub(super) numbers: Vec<u16>,
    /// The classes, one after the other, with each rule prepared for the ladder.
    entries: Vec<Entry>,
    /// Where the class of an id begins and ends among the entries.
    classes: Vec<(u32, u32)>,
    pub(super) patterns: Patterns,
    pub(super) pattern_entries: Vec<Entry>,
    /// The rules for addresses in answers, in the order of the tables.
    pub(super) address_entries: Vec<Entry>,
}

/// One rule, prepared for the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Index of its list in [`super::Policy::lists`].
    pub(super) list: u16,
    /// Number of the list that it was compiled from.
    pub(super) source: u16,
    /// Number of its traits.
    pub(super) traits: u32,
    pub(super) rung: Rung,
    /// Its action is that of the client's group, if the group has one. Then the stored rung applies unless
    /// the group only logs.
    pub(super) inherits: bool,
    pub(super) blocks: Rung,
    /// It has a [`Scope`], or its list applies to some types only.
    pub(super) scoped: bool,
    /// Whether it applies depends on the type.
    pub(super) typed: bool,
    /// Other rules of its list may override it: a closer one, whatever the rungs, or an exception. Only set
    /// if the list has such rules.
    pub(super) closest: bool,
    /// It lifts the blocks of its own list; see [`Effect::Except`].
    pub(super) excepts: bool,
}

/// A pattern that can't be served, and its origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("list `{list}`, line {line}: {reason}")]
pub struct BadPattern {
    /// The list.
    pub list: String,
    /// The line, from 1.
    pub line: u32,
    /// The pattern, and the reason.
    pub reason: String,
}

impl Layer {
    pub(super) fn new(compiled: Compiled, numbers: &[u16], lists: &[ListPolicy]) -> Result<Self, BadPattern> {
        let tables = &compiled.tables;
        let entry = |source: u16, traits: u32| {
            let list = numbers.get(usize::from(source)).copied().unwrap_or(0);
            let own = tables.traits.get(traits as usize);
            let of_list = lists.get(usize::from(list));
            // A list that only logs does so with rules that have an action of their own too.
            let logs = of_list.is_some_and(|l| l.action == Action::Log);
            let blocks = match own.map_or(Rung::Log, Rung::of) {
                Rung::Rewrite if of_list.is_some_and(|l| l.rewrites) => Rung::OwnRewrite,
                rung => rung,
            };
            let rung = if logs && blocks.answers() { Rung::Log } else { blocks };
            let scope = own.and_then(|t| t.scope.as_deref());
            let of_types = of_list.is_some_and(|l| !l.types.is_empty());
            Entry {
                list,
                source,
                traits,
                rung,
                inherits: of_list.is_some_and(|l| l.inherits)
                    && own.is_some_and(|t| t.action.is_none() || logs)
                    && blocks.answers(),
                blocks,
                scoped: scope.is_some() || of_types,
                typed: of_types || scope.is_some_and(|s| !(s.types.is_empty() && s.not_types.is_empty())),
                closest: own.is_some_and(|t| t.closest),
                excepts: own.is_some_and(|t| t.effect == Effect::Except && !t.closest),
            }
        };
        let mut entries = Vec::new();
        let mut classes = Vec::with_capacity(tables.classes.len());
        for class in &tables.classes {
            let begin = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            entries.extend(class.iter().map(|(source, traits)| entry(*source, *traits)));
            classes.push((begin, u32::try_from(entries.len()).unwrap_or(u32::MAX)));
        }
        let mut pattern_entries: Vec<Entry> =
            tables.patterns.iter().map(|p| entry(p.source, p.traits)).collect();
        let address_entries: Vec<Entry> =
            tables.addresses.iter().map(|a| entry(a.source, a.traits)).collect();
        let mut rungs: Vec<Option<Rung>> = vec![None; tables.sources.len()];
        let mut several = vec![false; tables.sources.len()];
        let mut exceptions = vec![false; tables.sources.len()];
        for entry in &entries {
            let source = usize::from(entry.source);
            if let (Some(rung), Some(several)) = (rungs.get_mut(source), several.get_mut(source)) {
                *several |= *rung.get_or_insert(entry.rung) != entry.rung;
            }
        }
        for entry in entries.iter().chain(&pattern_entries).filter(|entry| entry.excepts) {
            if let Some(exceptions) = exceptions.get_mut(usize::from(entry.source)) {
                *exceptions = true;
            }
        }
        let of = |all: &[bool], entry: &Entry| all.get(usize::from(entry.source)).copied().unwrap_or(false);
        for entry in &mut entries {
            entry.closest &= of(&several, entry);
        }
        for entry in entries.iter_mut().chain(&mut pattern_entries) {
            entry.closest |= of(&exceptions, entry);
        }
        let numbered: Vec<_> = tables.patterns.iter().map(|p| p.pattern.clone()).zip(0u32..).collect();
        let patterns = Patterns::build(&numbered).map_err(|BuildError { index, reason }| {
            let rule = tables.patterns.get(index);
            let list = rule.and_then(|r| tables.sources.get(usize::from(r.source)));
            BadPattern {
                list: list.cloned().unwrap_or_default(),
                line: rule.map_or(0, |r| r.line),
                reason: rule.map_or_else(|| reason.to_string(), |r| format!("{}: {reason}", r.pattern)),
            }
        })?;
        Ok(Self {
            numbers: numbers.to_vec(),
            entries,
            classes,
            patterns,
            pattern_entries,
            address_entries,
            compiled,
        })
    }

    /// True if one of its rules is for every name.
    pub(super) fn has_rule_for_every_name(&self) -> bool {
        let mut any = false;
        self.compiled.index.lookup(Name::ROOT, |hit| any |= hit.depth == 0);
        any
    }

    /// True if some rules depend on the type.
    pub(super) fn is_typed(&self) -> bool {
        self.entries.iter().chain(&self.pattern_entries).any(|entry| entry.typed)
    }

    pub(super) fn traits(&self, number: u32) -> Option<&Traits> {
        self.compiled.tables.traits.get(number as usize)
    }

    pub(super) fn scope(&self, entry: Entry) -> Option<&Scope> {
        self.traits(entry.traits)?.scope.as_deref()
    }

    pub(super) fn class(&self, id: u32) -> &[Entry] {
        let (begin, end) = self.classes.get(id as usize).copied().unwrap_or_default();
        self.entries.get(begin as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn pattern_or_name_list(&self, rule: RuleId) -> Option<u16> {
        if rule.matching.is_none() {
            return self.pattern_entries.get(rule.at as usize).map(|e| e.list);
        }
        let of = |e: &&Entry| e.source == rule.source;
        self.entries.iter().find(of).map(|e| e.list)
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layer({:?}, {} patterns)", self.compiled.index, self.pattern_entries.len())
    }
}
