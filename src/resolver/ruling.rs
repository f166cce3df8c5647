//! From a verdict to what the client gets instead of an answer: from which list, which action, on what
//! grounds.

use super::request::{Request, sent};
use super::snapshot::Snapshot;
use crate::answer::{self, Blocked, Link, Right};
use crate::cache::store::Stored;
use crate::dns::{self, Message, Name, NameBuf, Qtype, Query, Rcode, Transport};
use crate::observe::event::{Event, Source};
use crate::policy::{
    self, Asker, Decider, Inspector, ListPolicy, Ordered, Policy, Rung, Verdict, View, decide, inspect,
};
use crate::rule::{Action, Data};

/// What replaces an answer.
#[derive(Clone, Copy)]
pub(super) struct Ruling<'s> {
    /// The list that decides.
    pub(super) list: &'s ListPolicy,
    /// What the client gets.
    pub(super) action: &'s Action,
    /// On what grounds.
    pub(super) right: Right,
    /// A rule for every name decides, or the group's default.
    every: bool,
}

/// The result of a ruling.
pub(super) enum MadeUp<'s> {
    /// A reply of this many octets, or none at all.
    Reply(Option<usize>),
    /// An alias that is still to be followed.
    Alias(&'s NameBuf),
    /// Nothing: the answer passes.
    Nothing,
}

impl<'s> Ruling<'s> {
    /// The ruling for a verdict; `None`: the answer passes.
    #[inline]
    pub(super) fn of(snapshot: &'s Snapshot, view: Option<&'s View>, verdict: Verdict) -> Option<Self> {
        // The most frequent one needs no call.
        if verdict == Verdict::NoRule { None } else { Self::by(snapshot, view, verdict) }
    }

    fn by(snapshot: &'s Snapshot, view: Option<&'s View>, verdict: Verdict) -> Option<Self> {
        let policy = &snapshot.policy;
        let by_rule = |d: Decider, right| {
            let (list, action) = (policy.list(d.list)?, policy.action(d, view)?);
            Some(Self { list, action, right, every: d.depth == 0 && d.matching().is_some() })
        };
        let own =
            |list: &'s ListPolicy| Self { list, action: &list.action, right: Right::Block, every: false };
        match verdict {
            Verdict::Blocked(d) => {
                by_rule(d, if d.rung.is_rewrite() { Right::Rewrite } else { Right::Block })
            }
            Verdict::InAnswer(d) if matches!(d.rung, Rung::Block | Rung::ImportantBlock) => {
                by_rule(d, Right::Block)
            }
            // An address says nothing about the name's other types.
            Verdict::Address(list) => {
                let (list, action) = (policy.list(list)?, policy.list_action(list, view)?);
                Some(Self { action, ..own(list) }.of_one_type())
            }
            Verdict::Default { others_pass } => {
                let of_group = view.and_then(|view| view.action.as_ref());
                let action = of_group.unwrap_or(&snapshot.unlisted.action);
                // A group that only logs what its lists block has a default all the same.
                let action = if *action == Action::Log { &Action::NxDomain } else { action };
                let ruling = Self { action, every: true, ..own(&snapshot.unlisted) };
                Some(if others_pass { ruling.of_one_type() } else { ruling })
            }
            Verdict::Rebinding => Some(own(&snapshot.rebinding)),
            Verdict::Ordered(Ordered::Blocked, _) => Some(own(&snapshot.ordered)),
            Verdict::NoRule
            | Verdict::Allowed(_)
            | Verdict::Logged(_)
            | Verdict::InAnswer(_)
            | Verdict::NotedAddress(_)
            | Verdict::Ordered(Ordered::Allowed | Ordered::Paused, _) => None,
        }
    }

    /// The ruling on a question of which only this type is refused: NODATA instead of NXDOMAIN, which would
    /// deny the types that pass too (RFC 2308 §2.2).
    fn of_one_type(self) -> Self {
        match self.action {
            Action::NxDomain => Self { action: &Action::NoData, ..self },
            _ => self,
        }
    }

    /// The ruling on a name: where nothing passes but some names, those above them exist, as the root does. To
    /// deny them would deny the others to a cache too (RFC 8020).
    pub(super) fn on(self, policy: &Policy, qname: Name<'_>) -> Self {
        if self.every && (qname.is_root() || policy.opens_below(qname)) { self.of_one_type() } else { self }
    }

    /// The reply to a query. `of` tells who asks and what the verdict was, which only some need.
    #[inline]
    pub(super) fn blocked<'a>(
        self,
        policy: &Policy,
        (query, of): (&Query<'_>, impl FnOnce() -> (Asker<'a>, Verdict)),
        transport: Transport,
        out: &mut [u8],
    ) -> Blocked<'s> {
        // Only a rewrite with records is completed by further rules.
        if self.right == Right::Rewrite && matches!(self.action, Action::Records(_)) {
            return self.completed(policy, (query, of()), transport, out);
        }
        answer::blocked((self.list, self.right), (self.action, &|_| {}), query, transport, out)
    }

    #[cold]
    fn completed(
        self,
        policy: &Policy,
        (query, (asker, verdict)): (&Query<'_>, (Asker<'_>, Verdict)),
        transport: Transport,
        out: &mut [u8],
    ) -> Blocked<'s> {
        let added = |each: &mut dyn FnMut(&Data)| {
            if let Some(by) = verdict.decider() {
                policy::added_records(policy, query.qname, asker, by, &mut |record| each(record));
            }
        };
        answer::blocked((self.list, self.right), (self.action, &added), query, transport, out)
    }

    /// Writes what the client gets.
    pub(super) fn write(
        self,
        request: Request<'_, '_>,
        snapshot: &Snapshot,
        view: Option<&View>,
        out: &mut [u8],
        event: &mut Event,
    ) -> MadeUp<'s> {
        let verdict = event.verdict;
        let question = (request.query, || (request.asker(view), verdict));
        let ruling = self.on(&snapshot.policy, request.query.qname);
        match ruling.blocked(&snapshot.policy, question, request.client.transport, out) {
            Blocked::Reply(len) => {
                let rcode = dns::rcode(out).unwrap_or(Rcode::NOERROR);
                MadeUp::Reply(sent(event, Source::Policy, rcode, len))
            }
            Blocked::Drop => {
                event.source = Source::Policy;
                MadeUp::Reply(None)
            }
            Blocked::Pass => MadeUp::Nothing,
            Blocked::Alias(target) => MadeUp::Alias(target),
        }
    }
}

/// The list that refuses what this verdict was given on; its reference is in the reply. `None`: nothing is
/// refused.
pub(super) fn refused_by(snapshot: &Snapshot, verdict: Verdict) -> Option<&ListPolicy> {
    Ruling::of(snapshot, None, verdict)
        .filter(|ruling| ruling.right == Right::Block)
        .map(|ruling| ruling.list)
}

/// The verdict of the orders on the query or, without one, of the lists.
pub(super) fn verdict(request: Request<'_, '_>, snapshot: &Snapshot, view: Option<&View>) -> Verdict {
    let (qname, asker) = (request.query.qname, request.asker(view));
    if snapshot.active.has_orders() {
        let group = view.and_then(|v| snapshot.policy.group_name(v));
        if let Some((what, number)) = snapshot.active.ordered(qname, asker.client, group) {
            // A rewrite is not a block, so it stays in force while blocking is paused.
            let rewrite = match decide(&snapshot.policy, qname, asker) {
                verdict if verdict.class() == policy::Class::Rewritten && what != Ordered::Blocked => {
                    Some(verdict)
                }
                _ => None,
            };
            return rewrite.unwrap_or(Verdict::Ordered(what, number));
        }
    }
    decide(&snapshot.policy, qname, asker)
}

/// A reply of an upstream, with its age in seconds, or what the policy replaces it with because of names and
/// addresses in it. The inspection covers the whole cached reply, whatever part of it fits the client; it
/// does not cover what the upstream itself truncated.
pub(super) fn filtered(
    request: Request<'_, '_>,
    snapshot: &Snapshot,
    (stored, age, source): (&Stored, u32, Source),
    out: &mut [u8],
    event: &mut Event,
) -> Option<usize> {
    match passed_or_found(request, snapshot, event.verdict, stored) {
        Verdict::NoRule => {}
        found => {
            let view = snapshot.view(&request.client);
            if let Some(reply) = replaced(request, snapshot, view, found, out, event) {
                return reply;
            }
        }
    }
    let len = request.stored(stored, age, out);
    sent(event, source, stored.rcode(), len)
}

/// The policy's verdict on a reply of an upstream to a query for which `verdict` decided; [`Verdict::NoRule`]:
/// it passes. A reply that passed with the same lists is not inspected again.
#[inline]
pub(super) fn passed_or_found(
    request: Request<'_, '_>,
    snapshot: &Snapshot,
    verdict: Verdict,
    stored: &Stored,
) -> Verdict {
    if !is_inspected(snapshot, verdict) || stored.is_truncated() {
        return Verdict::NoRule;
    }
    let view = snapshot.view(&request.client);
    let mark = snapshot.mark(view);
    if mark.is_some_and(|mark| stored.has_mark(mark)) {
        return Verdict::NoRule;
    }
    let found = inspected(request, snapshot, view, verdict, &stored.message());
    if let (Verdict::NoRule, Some(mark)) = (found, mark) {
        stored.mark(mark);
    }
    found
}

/// True if answers are inspected for a query with this verdict. A name that a rule allowed is not inspected
/// again for its target.
pub(super) fn is_inspected(snapshot: &Snapshot, verdict: Verdict) -> bool {
    snapshot.blocking
        && (snapshot.inspects || snapshot.active.has_orders())
        && !matches!(verdict, Verdict::Allowed(_) | Verdict::Ordered(Ordered::Allowed, _))
}

/// The policy's verdict on what an answer leads to; [`Verdict::NoRule`]: it passes.
pub(super) fn inspected(
    request: Request<'_, '_>,
    snapshot: &Snapshot,
    view: Option<&View>,
    verdict: Verdict,
    answer: &Message<'_>,
) -> Verdict {
    let by = Inspector {
        inspection: &snapshot.inspection,
        asker: request.asker(view),
        active: &snapshot.active,
        group: view.and_then(|v| snapshot.policy.group_name(v)),
        paused: matches!(verdict, Verdict::Ordered(Ordered::Paused, _)),
    };
    inspect(&snapshot.policy, by, request.query.qname, answer)
}

/// The reply, or silence, that replaces an answer because of what was `found` in it; `None`: the answer
/// passes, and its verdict is recorded.
#[expect(clippy::option_option, reason = "no reply in its place is not the same as silence in its place")]
pub(super) fn replaced(
    request: Request<'_, '_>,
    snapshot: &Snapshot,
    view: Option<&View>,
    found: Verdict,
    out: &mut [u8],
    event: &mut Event,
) -> Option<Option<usize>> {
    event.verdict = found;
    let mut ruling = Ruling::of(snapshot, view, found)?;
    // The target of a service binding says nothing about the name's addresses.
    if matches!(found, Verdict::Ordered(..)) && matches!(request.query.qtype, Qtype::HTTPS | Qtype::SVCB) {
        ruling = ruling.of_one_type();
    }
    match ruling.write(request, snapshot, view, out, event) {
        MadeUp::Reply(len) => Some(len),
        // The blocked answer is replaced by the CNAME alone, because the client's name is not the blocked
        // one.
        MadeUp::Alias(target) => {
            let (by, links) = ((ruling.list, ruling.right), [Link::cname(None, target, ruling.list.ttl)]);
            let len = answer::aliased(by, &links, None, request.query, request.client.transport, out);
            Some(sent(event, Source::Policy, Rcode::NOERROR, len))
        }
        // An action that only logs, or truncates over UDP alone.
        MadeUp::Nothing => {
            event.verdict = match found {
                Verdict::InAnswer(decider) => Verdict::InAnswer(Decider { rung: Rung::Log, ..decider }),
                Verdict::Address(list) => Verdict::NotedAddress(list),
                other => other,
            };
            None
        }
    }
}
