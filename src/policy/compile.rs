//! Rules of all lists → one rule table and the trie over its names.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::dns::name::NameBuf;
use crate::rule::{Action, Effect, Match, Origin, Rule, RuleId};
use crate::trie::build::{TooLarge, build};
use crate::trie::index::Index;

/// What every rule of one list shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPolicy {
    /// The list's name in the configuration.
    pub name: String,
    /// What a client gets for a name that the list blocks.
    pub action: Action,
    /// TTL of the answers made up for it, in seconds.
    pub ttl: u32,
    /// The outside authority that demands it, if any: EDE 16 instead of 15.
    pub authority: Option<String>,
    /// EXTRA-TEXT of the Extended DNS Error, made once.
    pub ede_text: String,
}

impl ListPolicy {
    /// A list's policy; the EXTRA-TEXT names the list and, if there is one, the authority.
    #[must_use]
    pub fn new(name: String, action: Action, ttl: u32, authority: Option<String>) -> Self {
        let ede_text = match &authority {
            Some(authority) => format!("{name} ({authority})"),
            None => name.clone(),
        };
        Self { name, action, ttl, authority, ede_text }
    }
}

/// One rule in the hot table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Index of its list.
    pub list: u16,
    /// Block or allow.
    pub effect: Effect,
    /// `$important`.
    pub important: bool,
    /// The last rule on this name and kind; the rules before it stand before it in the table.
    pub last: bool,
}

/// A compiled policy: immutable, shared by all threads.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The lists in the order of the configuration.
    pub lists: Vec<ListPolicy>,
    index: Index<Vec<u8>>,
    entries: Vec<Entry>,
    /// Beside [`Policy::entries`], read only to explain.
    origins: Vec<Origin>,
    /// Rules that said what an earlier rule of the same list had said.
    pub duplicates: u64,
}

impl Policy {
    /// Compiles lists: each one's policy, and its rules with their lines.
    ///
    /// # Errors
    /// [`TooLarge`] at four billion rules.
    pub fn compile(lists: Vec<(ListPolicy, Vec<(u32, Rule)>)>) -> Result<Self, TooLarge> {
        type Key = (NameBuf, Match);
        let mut by_name: HashMap<Key, Vec<(Entry, Origin)>, FxBuildHasher> = HashMap::default();
        let mut order: Vec<Key> = Vec::new();
        let mut policies = Vec::with_capacity(lists.len());
        let mut duplicates = 0;
        for (number, (policy, rules)) in lists.into_iter().enumerate() {
            let list = u16::try_from(number).map_err(|_| TooLarge)?;
            for (line, rule) in rules {
                let entry = Entry { list, effect: rule.effect, important: rule.important, last: false };
                let key = (rule.name, rule.matching);
                let same = by_name.entry(key.clone()).or_insert_with(|| {
                    order.push(key);
                    Vec::with_capacity(1)
                });
                if same.iter().any(|(known, _)| *known == entry) {
                    duplicates += 1;
                } else {
                    same.push((entry, Origin { list, line }));
                }
            }
            policies.push(policy);
        }
        let mut names = Vec::with_capacity(order.len());
        let (mut entries, mut origins) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
        for key in order {
            let Some(mut same) = by_name.remove(&key) else { continue };
            if let Some((last, _)) = same.last_mut() {
                last.last = true;
            }
            let id = u32::try_from(entries.len()).ok().filter(|id| *id < u32::MAX).ok_or(TooLarge)?;
            names.push((key.0, key.1, id));
            for (entry, origin) in same {
                entries.push(entry);
                origins.push(origin);
            }
        }
        Ok(Self { lists: policies, index: build(names)?, entries, origins, duplicates })
    }

    /// A policy without a rule.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            lists: Vec::new(),
            index: Index::empty(),
            entries: Vec::new(),
            origins: Vec::new(),
            duplicates: 0,
        }
    }

    /// How many rules it holds.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        self.entries.len()
    }

    /// The index over the names.
    #[must_use]
    pub const fn index(&self) -> &Index<Vec<u8>> {
        &self.index
    }

    /// The rules that share an id of the index, in list order, with their numbers.
    pub(super) fn entries_at(&self, id: u32) -> impl Iterator<Item = (RuleId, Entry)> + '_ {
        let mut next = Some(id);
        std::iter::from_fn(move || {
            let id = next?;
            let entry = *self.entries.get(id as usize)?;
            next = if entry.last { None } else { id.checked_add(1) };
            Some((RuleId(id), entry))
        })
    }

    /// Where a rule was written.
    #[must_use]
    pub fn origin(&self, rule: RuleId) -> Option<Origin> {
        self.origins.get(rule.0 as usize).copied()
    }

    /// The list of a rule.
    #[must_use]
    pub fn list(&self, number: u16) -> Option<&ListPolicy> {
        self.lists.get(usize::from(number))
    }
}
