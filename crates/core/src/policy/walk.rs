//! Every rule that matches a name, with whether it applies to the question, and why not.

use std::net::IpAddr;

use super::ladder::{Decider, Rung};
use super::layer::{Entry, Layer};
use super::list::known;
use super::origin::RuleId;
use super::policy::Policy;
use super::view::View;
use crate::dns::{MAX_NAME, Name, Qtype};
use crate::rule::{Action, Client, Effect, Match, Scope};
use crate::trie::text_of;

/// A query's context beside the name: the client and the type.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'v> {
    /// The client's address.
    pub client: IpAddr,
    /// The type in question.
    pub qtype: Qtype,
    /// The lists that apply to the client; `None`: all of them.
    pub view: Option<&'v View>,
}

/// Why a rule that matches the name does not apply to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Its list does not apply to this client now.
    List,
    /// It is for other types.
    Type,
    /// It is for other clients.
    Client,
    /// It excepts the name (`$denyallow`).
    Name,
    /// A closer rule of its list decides.
    Closer,
}

/// What wants to know the rules for a name.
pub(super) trait Visitor {
    /// A rule applies.
    fn applies(&mut self, candidate: Decider);

    /// A rule that matches the name depends on the type: on one of these, or on none of these.
    fn depends_on(&mut self, _types: &[Qtype]) {}

    /// A rule matches the name, but does not apply.
    fn misses(&mut self, _candidate: Decider, _why: Missed) {}
}

/// Visits every rule that matches the name, in no particular order. Allocates nothing.
pub(super) fn walk(policy: &Policy, name: Name<'_>, asker: Asker<'_>, visitor: &mut impl Visitor) {
    for (layer, number) in policy.layers.iter().zip(0u16..) {
        let mut offer = |entry: Entry, at: u32, nth: usize, matching: Option<Match>, depth: u8| {
            if entry.rung == Rung::Nothing {
                return;
            }
            let candidate = |rung| {
                let nth = u16::try_from(nth).unwrap_or(u16::MAX);
                let (traits, source) = (entry.traits, entry.source);
                let rule = RuleId { layer: number, at, nth, matching, traits, source };
                Decider { rule, list: entry.list, depth, rung, others_pass: false }
            };
            if asker.view.is_some_and(|view| !view.has(entry.list)) {
                return visitor.misses(candidate(entry.rung), Missed::List);
            }
            if entry.scoped {
                if entry.typed {
                    types_of(policy, layer, entry, visitor);
                }
                if let Some(why) = misfit(policy, layer, entry, name, asker) {
                    return visitor.misses(candidate(entry.rung), why);
                }
            }
            if entry.closest && is_overridden(policy, layer, name, asker, (entry, depth, matching)) {
                return visitor.misses(candidate(entry.rung), Missed::Closer);
            }
            visitor.applies(candidate(rung_for(entry, asker)));
        };
        layer.compiled.index.lookup(name, |hit| {
            for (nth, entry) in layer.class(hit.id).iter().enumerate() {
                offer(*entry, hit.place, nth, Some(hit.matching), hit.depth);
            }
        });
        if !layer.patterns.is_empty() {
            let mut room = [0; MAX_NAME];
            layer.patterns.matches(text_of(name, &mut room), |id| {
                if let Some(entry) = layer.pattern_entries.get(id as usize) {
                    offer(*entry, id, 0, None, 0);
                }
            });
        }
    }
}

/// The rung of a rule for this client: one without an action of its own takes that of the client's group.
#[inline]
pub(super) fn rung_for(entry: Entry, asker: Asker<'_>) -> Rung {
    match asker.view.and_then(|v| v.action.as_ref()).filter(|_| entry.inherits) {
        Some(action) if *action == Action::Log => Rung::Log,
        Some(_) => entry.blocks,
        None => entry.rung,
    }
}

/// True if a closer rule of the same list applies to the question, or an exception of the list.
#[cold]
fn is_overridden(
    policy: &Policy,
    layer: &Layer,
    name: Name<'_>,
    asker: Asker<'_>,
    (entry, depth, matching): (Entry, u8, Option<Match>),
) -> bool {
    if layer.traits(entry.traits).is_none_or(|traits| !traits.closest) {
        return is_excepted(policy, layer, name, asker, entry);
    }
    let closeness = |depth: u8, matching: Option<Match>| (depth, matching == Some(Match::Exact));
    let mut found = false;
    layer.compiled.index.lookup(name, |hit| {
        if closeness(hit.depth, Some(hit.matching)) > closeness(depth, matching) {
            let speaks = |other: &&Entry| {
                other.source == entry.source
                    && other.closest
                    && (!other.scoped || misfit(policy, layer, **other, name, asker).is_none())
            };
            let mut others = layer.class(hit.id).iter().filter(speaks);
            // What ends a wildcard does not end a rule for every name.
            found |= if depth == 0 && matching.is_some() {
                let of = |other: &Entry| (*other, hit.depth, Some(hit.matching));
                let decides = |rung| rung != Rung::Nothing;
                others.any(|o| {
                    decides(o.rung) && !is_overridden(policy, layer, name, asker, of(o))
                        || layer.traits(o.traits).is_some_and(|t| t.effect == Effect::Except)
                })
            } else {
                others.next().is_some()
            };
        }
    });
    found
}

/// True if an exception of the rule's own list lifts it; an important rule only yields to an important one.
fn is_excepted(policy: &Policy, layer: &Layer, name: Name<'_>, asker: Asker<'_>, entry: Entry) -> bool {
    let important = |entry: Entry| layer.traits(entry.traits).is_some_and(|traits| traits.important);
    let lifts = |other: &Entry| {
        other.excepts
            && other.source == entry.source
            && (important(*other) || !important(entry))
            && (!other.scoped || misfit(policy, layer, *other, name, asker).is_none())
    };
    let mut found = false;
    layer.compiled.index.lookup(name, |hit| found |= layer.class(hit.id).iter().any(lifts));
    if !found && !layer.patterns.is_empty() {
        let mut room = [0; MAX_NAME];
        layer.patterns.matches(text_of(name, &mut room), |id| {
            found |= layer.pattern_entries.get(id as usize).is_some_and(lifts);
        });
    }
    found
}

/// The types of the rule's list.
fn of_list(policy: &Policy, entry: Entry) -> &[Qtype] {
    policy.list(entry.list).map_or(&[][..], |list| &list.types)
}

#[cold]
fn types_of(policy: &Policy, layer: &Layer, entry: Entry, visitor: &mut impl Visitor) {
    visitor.depends_on(of_list(policy, entry));
    if let Some(scope) = layer.scope(entry) {
        visitor.depends_on(&scope.types);
        visitor.depends_on(&scope.not_types);
    }
}

/// Why a rule does not apply to the question, by its list's types and its own scope; `None`: it applies.
#[cold]
pub(super) fn misfit(
    policy: &Policy,
    layer: &Layer,
    entry: Entry,
    name: Name<'_>,
    asker: Asker<'_>,
) -> Option<Missed> {
    let types = of_list(policy, entry);
    if !types.is_empty() && !types.contains(&asker.qtype) {
        return Some(Missed::Type);
    }
    let scope = layer.scope(entry)?;
    let is_type = (scope.types.is_empty() || scope.types.contains(&asker.qtype))
        && !scope.not_types.contains(&asker.qtype);
    if !is_type {
        Some(Missed::Type)
    } else if !is_for_client(scope, policy, asker) {
        Some(Missed::Client)
    } else {
        let excepted = scope.except.iter().any(|except| name.is_within(except.as_name()));
        excepted.then_some(Missed::Name)
    }
}

/// True if a rule with this scope is meant for the client.
fn is_for_client(scope: &Scope, policy: &Policy, asker: Asker<'_>) -> bool {
    let client = known(&policy.clients, asker.client);
    let is = |wanted: &Client| match wanted {
        Client::Network(network) => network.contains(&asker.client),
        Client::Name(wanted) => client.is_some_and(|c| c.name == *wanted),
    };
    let has = |tag: &String| client.is_some_and(|c| c.tags.contains(tag));
    (scope.clients.is_empty() || scope.clients.iter().any(is))
        && !scope.not_clients.iter().any(is)
        && (scope.tags.is_empty() || scope.tags.iter().any(has))
        && !scope.not_tags.iter().any(has)
}
