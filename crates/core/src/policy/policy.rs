//! A policy in service: its lists, their rules, and lookups in them.

use super::compile::{Compiled, MORE, Options, PatternRule, compile};
use super::garden::Openings;
use super::group::Groups;
use super::ladder::{Decider, Precedence};
use super::layer::{BadPattern, Entry, Layer};
use super::list::{KnownClient, ListPolicy};
use super::origin::{Origin, RuleId};
use super::prefix::Prefixes;
use super::view::View;
use crate::dns::{MAX_NAME, Name, NameBuf};
use crate::lists::List;
use crate::rule::{Action, Effect, Match, Scope, Traits, modifiers};
use crate::trie::{TooLarge, text_of};

/// A policy in service: immutable, shared by all threads.
#[derive(Debug, Default)]
pub struct Policy {
    /// The lists in the order of the configuration.
    pub lists: Vec<ListPolicy>,
    /// The clients that rules can name.
    pub clients: Vec<KnownClient>,
    /// What decides between rules of equal strength.
    pub precedence: Precedence,
    /// Which lists apply to which clients.
    pub groups: Groups,
    /// Block every name that no rule lets pass, for clients in no group.
    pub closed: bool,
    /// The networks of the rules for addresses in answers, by their kinds.
    pub(super) addresses: Prefixes<u16>,
    /// The distinct kinds of those rules: the layer, and the rule without its network.
    pub(super) address_kinds: Vec<(u16, Entry)>,
    pub(super) layers: Vec<Layer>,
    /// Some rules depend on the type.
    pub(super) typed: bool,
    /// Names that are blocked with NODATA instead of NXDOMAIN, because a name below them passes; see
    /// [`Policy::opens_below`].
    openings: Openings,
}

/// Why lists can't be compiled into a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// They have too many rules.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// One of their patterns can't be served.
    #[error(transparent)]
    BadPattern(#[from] BadPattern),
}

impl Policy {
    /// TTL of the answers of [`Policy::compile`], in seconds.
    const TTL: u32 = 60;

    /// Compiles named lists into a policy for all clients: a name that one of them blocks does not exist
    /// (NXDOMAIN), for a minute. [`compile`] and [`Policy::new`] support everything that a configuration
    /// can set.
    ///
    /// # Errors
    /// [`CompileError`]
    pub fn compile<N: Into<String>>(
        lists: impl IntoIterator<Item = (N, List)>,
    ) -> Result<Self, CompileError> {
        let lists: Vec<_> = lists.into_iter().map(|(name, list)| (name.into(), list)).collect();
        let (compiled, _) = compile(&lists, Options { lines: true, left_out: false })?;
        let of =
            |(name, _): &(String, List)| ListPolicy::new(name.clone(), Action::NxDomain, Self::TTL, None);
        let numbers = (0u16..).take(lists.len()).collect();
        Ok(Self::new(lists.iter().map(of).collect(), Vec::new(), vec![(compiled, numbers)])?)
    }

    /// A policy of these lists. Each layer states which list each of its sources is.
    ///
    /// # Errors
    /// [`BadPattern`]
    pub fn new(
        lists: Vec<ListPolicy>,
        clients: Vec<KnownClient>,
        layers: Vec<(Compiled, Vec<u16>)>,
    ) -> Result<Self, BadPattern> {
        let layers = layers.into_iter().map(|(compiled, numbers)| Layer::new(compiled, &numbers, &lists));
        let layers = layers.collect::<Result<Vec<_>, _>>()?;
        let (addresses, address_kinds) = addresses(&layers);
        let typed = layers.iter().any(Layer::is_typed);
        let mut policy = Self { layers, lists, clients, typed, addresses, address_kinds, ..Self::default() };
        if policy.layers.iter().any(Layer::has_rule_for_every_name) {
            policy.prepare_garden();
        }
        Ok(policy)
    }

    /// Prepares [`Policy::opens_below`]: for a policy in which everything is blocked except some names.
    pub fn prepare_garden(&mut self) {
        if self.openings == Openings::Unknown {
            self.openings = Openings::of(&self.layers);
        }
    }

    /// True if a rule lets some name below this one pass. NXDOMAIN for this one would make caches deny that one
    /// too (RFC 8020 §2), so it gets NODATA. Exact only after [`Policy::prepare_garden`].
    #[must_use]
    pub fn opens_below(&self, name: Name<'_>) -> bool {
        self.openings.below(name)
    }

    /// A policy without a rule.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The number of rules in it.
    #[must_use]
    pub fn rule_count(&self) -> usize {
        let of =
            |l: &Layer| l.compiled.index.entry_count() + l.pattern_entries.len() + l.address_entries.len();
        self.layers.iter().map(of).sum()
    }

    /// Octets of its indexes, including those of the lines.
    #[must_use]
    pub fn index_len(&self) -> usize {
        self.layers.iter().map(|l| l.compiled.index.as_bytes().len()).sum()
    }

    /// The rules that have a pattern instead of a name, as text.
    pub fn pattern_rules(&self) -> impl Iterator<Item = String> {
        self.layers.iter().flat_map(|layer| {
            layer.compiled.tables.patterns.iter().filter_map(|rule| {
                let traits = layer.traits(rule.traits)?;
                let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
                Some(format!("{allow}{}{}", rule.pattern, modifiers(traits)))
            })
        })
    }

    /// The number of rules that have a pattern instead of a name.
    #[must_use]
    pub fn pattern_count(&self) -> usize {
        self.layers.iter().map(|layer| layer.pattern_entries.len()).sum()
    }

    /// How many patterns match a name, whatever their rules do: for measuring what patterns cost a query.
    #[must_use]
    pub fn matching_patterns(&self, name: Name<'_>) -> usize {
        let (mut room, mut count) = ([0; MAX_NAME], 0);
        let text = text_of(name, &mut room);
        self.layers.iter().for_each(|layer| layer.patterns.matches(text, |_| count += 1));
        count
    }

    /// Every scope among the rules.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.layers.iter().flat_map(|l| l.compiled.tables.traits.iter().filter_map(|t| t.scope.as_deref()))
    }

    /// Calls `each` with every name that has a rule, and how it matches. For tools: it allocates.
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

    /// A rule's properties besides its name.
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

    /// What a client gets when a rule blocks: the rule's own action, or its list's, or that of the client's
    /// group if the list has none of its own. NODATA instead of NXDOMAIN where another type of the name passes
    /// (RFC 2308 §2.2).
    #[must_use]
    pub fn action<'p>(&'p self, by: Decider, view: Option<&'p View>) -> Option<&'p Action> {
        let own = self.traits(by.rule).and_then(|t| t.action.as_ref());
        match own.or_else(|| self.list_action(by.list, view)) {
            Some(Action::NxDomain) if by.others_pass => Some(&Action::NoData),
            action => action,
        }
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

    /// True if some rules apply to certain clients only, so that two clients of a group may get different
    /// results.
    #[must_use]
    pub fn names_clients(&self) -> bool {
        let of_clients = |s: &Scope| {
            !(s.clients.is_empty() && s.not_clients.is_empty() && s.tags.is_empty() && s.not_tags.is_empty())
        };
        self.scopes().any(of_clients)
    }
}

/// The networks of all layers with the number of each rule's kind, and the kinds.
fn addresses(layers: &[Layer]) -> (Prefixes<u16>, Vec<(u16, Entry)>) {
    let mut kinds: Vec<(u16, Entry)> = Vec::new();
    let mut networks = Vec::new();
    for (layer, number) in layers.iter().zip(0u16..) {
        for (rule, entry) in layer.compiled.tables.addresses.iter().zip(&layer.address_entries) {
            let kind = (number, *entry);
            // A list has few kinds, and its rules come one after the other.
            let known = kinds.iter().rposition(|known| *known == kind);
            let known = known.unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            });
            if let Ok(known) = u16::try_from(known) {
                networks.push((rule.network, known));
            }
        }
    }
    (Prefixes::new(networks), kinds)
}
