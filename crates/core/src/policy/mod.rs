//! The decision: rules of all lists compiled into an index, and the ladder that picks the winner.

pub mod active;
pub mod ahead;
pub mod compile;
pub mod decide;
pub mod explain;
pub mod file;
pub mod group;
pub mod inspect;
pub mod list;
pub mod network;
pub mod overrides;
pub mod prefix;
pub mod schedule;

use std::fmt;

use self::active::View;
use self::compile::{Compiled, MORE, PatternRule};
use self::decide::{Precedence, Rung};
use self::group::Groups;
use self::list::{KnownClient, ListPolicy};
use self::prefix::Prefixes;
use crate::dns::name::NameBuf;
use crate::rule::{Action, Effect, Match, Scope, Traits};
use crate::trie::pattern::{BuildError, Patterns};

/// A policy that serves: immutable, shared by all threads.
#[derive(Debug, Default)]
pub struct Policy {
    /// The lists in the order of the configuration.
    pub lists: Vec<ListPolicy>,
    /// The clients that rules can name.
    pub clients: Vec<KnownClient>,
    /// What decides between rules of the same force.
    pub precedence: Precedence,
    /// Which lists speak to whom.
    pub groups: Groups,
    /// The networks of lists of addresses, by the lists' numbers.
    pub addresses: Prefixes<u16>,
    /// How many entries those lists have.
    pub address_count: usize,
    layers: Vec<Layer>,
}

/// Lists that were compiled together: all that were text, or one compiled file.
struct Layer {
    compiled: Compiled,
    /// The classes, one after the other, each rule ready for the ladder.
    entries: Vec<Entry>,
    /// Where the class of an id begins and ends among them.
    classes: Vec<(u32, u32)>,
    patterns: Patterns,
    pattern_entries: Vec<Entry>,
}

/// One rule, ready for the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Index of its list in [`Policy::lists`].
    pub(crate) list: u16,
    /// Number of the list it was compiled from.
    pub(crate) source: u16,
    /// Number of its traits.
    pub(crate) traits: u32,
    pub(crate) rung: Rung,
    /// Its action is that of the client's group, where that has one. Then this is its rung unless the
    /// group only notes.
    pub(crate) inherits: bool,
    pub(crate) blocks: Rung,
    /// It has a [`Scope`], or its list speaks of some types only.
    pub(crate) scoped: bool,
    /// A closer rule of its list goes before it, whatever the rungs; only set where the list has
    /// rules on several.
    pub(crate) closest: bool,
}

/// Which rule of a policy: enough to find its list and line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId {
    pub(crate) layer: u16,
    /// Place in the index, or number of the pattern.
    pub(crate) at: u32,
    /// Its number among the rules on the same name.
    pub(crate) nth: u16,
    /// How the name matches; `None` for a pattern.
    pub(crate) matching: Option<Match>,
    pub(crate) traits: u32,
    pub(crate) source: u16,
}

/// Where a rule was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'p> {
    /// The list that was compiled, where it is not one of the configuration.
    pub source: Option<&'p str>,
    /// The line, from 1; 0 where the index was compiled without.
    pub line: u32,
}

/// A pattern that can't be served, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPattern {
    /// The list.
    pub list: String,
    /// The line, from 1.
    pub line: u32,
    /// The pattern and why.
    pub reason: String,
}

impl fmt::Display for BadPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list `{}`, line {}: {}", self.list, self.line, self.reason)
    }
}

impl std::error::Error for BadPattern {}

impl Policy {
    /// A policy of these lists. A layer says for each of its sources which of the lists it is.
    ///
    /// # Errors
    /// [`BadPattern`]
    pub fn new(
        lists: Vec<ListPolicy>,
        clients: Vec<KnownClient>,
        layers: Vec<(Compiled, Vec<u16>)>,
    ) -> Result<Self, BadPattern> {
        let layers =
            layers.into_iter().map(|(compiled, numbers)| Layer::new(compiled, &numbers, &lists)).collect();
        Ok(Self { layers: layers_or_error(layers)?, lists, clients, ..Self::default() })
    }

    /// A policy without a rule.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// How many rules it holds.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        let of_names = |l: &Layer| l.compiled.index.entry_count() + l.pattern_entries.len();
        self.address_count + self.layers.iter().map(of_names).sum::<usize>()
    }

    /// Octets of its indexes, those of the lines included.
    #[must_use]
    pub fn index_len(&self) -> usize {
        self.layers.iter().map(|l| l.compiled.index.as_bytes().len()).sum()
    }

    /// The rules that no name holds, as text.
    pub fn pattern_rules(&self) -> impl Iterator<Item = String> {
        self.layers.iter().flat_map(|layer| {
            layer.compiled.tables.patterns.iter().filter_map(|rule| {
                let traits = layer.traits(rule.traits)?;
                let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
                Some(format!("{allow}{}{}", rule.pattern, explain::modifiers(traits)))
            })
        })
    }

    /// Every scope that a rule has.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.layers.iter().flat_map(|l| l.compiled.tables.traits.iter().filter_map(|t| t.scope.as_deref()))
    }

    /// Calls `each` with every name that bears a rule, and how it matches. For tools: it allocates.
    pub fn for_each_name(&self, each: &mut impl FnMut(&NameBuf, Match)) {
        for layer in &self.layers {
            layer.compiled.index.for_each(|name, matching, _, _| each(name, matching));
        }
    }

    /// Where a rule was written.
    #[must_use]
    pub fn origin(&self, rule: RuleId) -> Option<Origin<'_>> {
        let layer = self.layers.get(usize::from(rule.layer))?;
        let tables = &layer.compiled.tables;
        let line = match rule.matching {
            None => tables.patterns.get(rule.at as usize)?.line,
            Some(matching) => match layer.compiled.index.aside(rule.at, matching) {
                None => 0,
                Some(word) if word & MORE == 0 => word,
                Some(word) => *tables.more.get((word & !MORE) as usize + usize::from(rule.nth))?,
            },
        };
        let name = tables.sources.get(usize::from(rule.source)).map(String::as_str);
        let list = layer.pattern_or_name_list(rule)?;
        let known = self.lists.get(usize::from(list)).map(|l| l.name.as_str());
        Some(Origin { source: name.filter(|n| Some(*n) != known), line })
    }

    /// The list of a rule.
    #[must_use]
    pub fn list(&self, number: u16) -> Option<&ListPolicy> {
        self.lists.get(usize::from(number))
    }

    /// What a rule says beside its name.
    #[must_use]
    pub fn traits(&self, rule: RuleId) -> Option<&Traits> {
        self.layers.get(usize::from(rule.layer))?.traits(rule.traits)
    }

    /// The pattern of a rule, if it has one instead of a name.
    #[must_use]
    pub fn pattern(&self, rule: RuleId) -> Option<&PatternRule> {
        let layer = self.layers.get(usize::from(rule.layer)).filter(|_| rule.matching.is_none())?;
        layer.compiled.tables.patterns.get(rule.at as usize)
    }

    /// What a client gets when a rule blocks: the rule's own action, or its list's, or that of the
    /// client's group where the list has none of its own.
    #[must_use]
    pub fn action<'p>(&'p self, rule: RuleId, list: u16, view: Option<&'p View>) -> Option<&'p Action> {
        let own = self.traits(rule).and_then(|t| t.action.as_ref());
        own.or_else(|| self.list_action(list, view))
    }

    /// What a client gets when a list blocks.
    #[must_use]
    pub fn list_action<'p>(&'p self, list: u16, view: Option<&'p View>) -> Option<&'p Action> {
        let list = self.list(list)?;
        let of_group = view.and_then(|v| v.action.as_ref()).filter(|_| list.inherits);
        Some(of_group.unwrap_or(&list.action))
    }

    /// The name of a view's group.
    #[must_use]
    pub fn group_name(&self, view: &View) -> Option<&str> {
        self.groups.all().get(usize::from(view.group?)).map(|g| g.name.as_str())
    }

    /// True if rules speak of some clients alone, so that two clients of a group may fare differently.
    #[must_use]
    pub fn names_clients(&self) -> bool {
        let of_clients = |s: &Scope| {
            !(s.clients.is_empty() && s.not_clients.is_empty() && s.tags.is_empty() && s.not_tags.is_empty())
        };
        self.scopes().any(of_clients)
    }
}

fn layers_or_error(layers: Vec<Result<Layer, BadPattern>>) -> Result<Vec<Layer>, BadPattern> {
    layers.into_iter().collect()
}

impl Layer {
    fn new(compiled: Compiled, numbers: &[u16], lists: &[ListPolicy]) -> Result<Self, BadPattern> {
        let tables = &compiled.tables;
        let entry = |source: u16, traits: u32| {
            let list = numbers.get(usize::from(source)).copied().unwrap_or(0);
            let own = tables.traits.get(traits as usize);
            let of_list = lists.get(usize::from(list));
            let action = own.and_then(|t| t.action.as_ref()).or_else(|| of_list.map(|l| &l.action));
            let rung = match own.map_or(Rung::Log, |own| Rung::of(own, action)) {
                Rung::Rewrite if of_list.is_some_and(|l| l.rewrites) => Rung::OwnRewrite,
                rung => rung,
            };
            let blocks = own.map_or(Rung::Log, |own| Rung::of(own, None));
            Entry {
                list,
                source,
                traits,
                rung,
                inherits: of_list.is_some_and(|l| l.inherits)
                    && own.is_some_and(|t| t.action.is_none())
                    && matches!(blocks, Rung::Block | Rung::ImportantBlock),
                blocks,
                scoped: own.is_some_and(|t| t.scope.is_some())
                    || lists.get(usize::from(list)).is_some_and(|l| !l.types.is_empty()),
                closest: own.is_some_and(|t| t.closest),
            }
        };
        let mut entries = Vec::new();
        let mut classes = Vec::with_capacity(tables.classes.len());
        for class in &tables.classes {
            let begin = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            entries.extend(class.iter().map(|(source, traits)| entry(*source, *traits)));
            classes.push((begin, u32::try_from(entries.len()).unwrap_or(u32::MAX)));
        }
        let mut rungs: Vec<Option<Rung>> = vec![None; tables.sources.len()];
        let mut several = vec![false; tables.sources.len()];
        for entry in &entries {
            let source = usize::from(entry.source);
            if let (Some(rung), Some(several)) = (rungs.get_mut(source), several.get_mut(source)) {
                *several |= *rung.get_or_insert(entry.rung) != entry.rung;
            }
        }
        for entry in &mut entries {
            entry.closest &= several.get(usize::from(entry.source)).copied().unwrap_or(false);
        }
        let pattern_entries = tables.patterns.iter().map(|p| entry(p.source, p.traits)).collect();
        let numbered: Vec<_> = tables.patterns.iter().map(|p| p.pattern.clone()).zip(0u32..).collect();
        let patterns = Patterns::build(&numbered).map_err(|BuildError { index, reason }| {
            let rule = tables.patterns.get(index);
            let list = rule.and_then(|r| tables.sources.get(usize::from(r.source)));
            BadPattern {
                list: list.cloned().unwrap_or_default(),
                line: rule.map_or(0, |r| r.line),
                reason: rule.map_or(reason.clone(), |r| format!("{}: {reason}", r.pattern)),
            }
        })?;
        Ok(Self { entries, classes, patterns, pattern_entries, compiled })
    }

    fn traits(&self, number: u32) -> Option<&Traits> {
        self.compiled.tables.traits.get(number as usize)
    }

    fn scope(&self, entry: Entry) -> Option<&Scope> {
        self.traits(entry.traits)?.scope.as_deref()
    }

    fn class(&self, id: u32) -> &[Entry] {
        let (begin, end) = self.classes.get(id as usize).copied().unwrap_or_default();
        self.entries.get(begin as usize..end as usize).unwrap_or_default()
    }

    fn pattern_or_name_list(&self, rule: RuleId) -> Option<u16> {
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
