//! The way of one query. Every transport calls [`resolve`]; it names each step in its order.

use std::sync::Arc;
use std::time::Instant;

use super::alias::{self, Aliased};
use super::live::Engine;
use super::moment::Moment;
use super::outcome::Outcome;
use super::pending::{Pending, Place};
use super::snapshot::{Client, Snapshot};
use crate::answer::{self, Blocked, Right};
use crate::cache::key::Key;
use crate::cache::stale::Age;
use crate::cache::store::Stored;
use crate::dns::ede::{Ede, EdeCode};
use crate::dns::header::flag;
use crate::dns::message::Message;
use crate::dns::name::NameBuf;
use crate::dns::query::Query;
use crate::dns::reply::{ReplyWriter, Section};
use crate::dns::types::{Class, Qtype, Rcode};
use crate::observe::event::{Event, Source};
use crate::policy::active::{Ordered, View};
use crate::policy::decide::{self, Asker, Decider, Rung, Verdict, decide};
use crate::policy::inspect::{Inspector, inspect};
use crate::policy::list::ListPolicy;
use crate::rule::Action;
use crate::zones::answer as zone;

/// Answers one packet: writes the reply into `out`, or says that nothing is to be sent, or that an
/// upstream must be asked first. `event` is filled in for whoever observes. Nothing on the way to a
/// blocked answer allocates.
pub fn resolve(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    packet: &[u8],
    client: Client,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    *event = Event::new(client.address, client.transport);

    // A packet that is no query gets the code its fault calls for, or silence.
    let query = match Query::parse(packet) {
        Ok(query) => query,
        Err(fault) => {
            return match fault.reply(packet, out) {
                Some(len) => sent(event, Source::Malformed, fault.rcode().unwrap_or(Rcode::FORMERR), len),
                None => Outcome::Drop,
            };
        }
    };
    let step = Step { query: &query, client };

    // Who may not ask is told so (RFC 8914 §4.19).
    if !snapshot.acl.admits(client.address.ip()) {
        let ede = Ede::new(EdeCode::PROHIBITED, "");
        return sent(event, Source::Guard, Rcode::REFUSED, step.bare(out, Rcode::REFUSED, Some(ede)));
    }
    // Only EDNS version 0 is spoken here (RFC 6891 §6.1.3).
    if query.edns.is_some_and(|e| e.version > 0) {
        return sent(event, Source::Malformed, Rcode::BADVERS, step.bare(out, Rcode::BADVERS, None));
    }
    // The server speaks of itself only in class CH, and only if the operator says what.
    if query.qclass == Class::CH {
        let (rcode, len) = step.chaos(snapshot, out);
        return sent(event, Source::Local, rcode, len);
    }
    // Classes and question types that are not served: transfers are refused, the rest unknown here.
    if let Some(rcode) = not_served(&query) {
        return sent(event, Source::Local, rcode, step.bare(out, rcode, None));
    }
    // The client's group, which says what lists speak and which upstreams are asked.
    let view = snapshot.view(&client);
    // An order given at run time, else the ladder: which rule wins, and what the client gets for it.
    if snapshot.blocking {
        event.verdict = step.verdict(snapshot, view);
        let parts = (engine, snapshot, view);
        if let Some(outcome) = step.refuse(parts, now, out, event) {
            return outcome;
        }
    }
    // Names that this server answers for.
    if let Some(local) = zone::of(&snapshot.zones, &query) {
        let mut reply = step.writer(out);
        zone::write(&snapshot.zones, local, &query, &mut reply);
        if !snapshot.authority {
            reply.flags(flag::AA, false);
        }
        let len = reply.finish();
        return sent(event, Source::Local, wire_rcode(out), len);
    }
    // ANY is answered with as little as can be (RFC 8482 §4.2).
    if query.qtype == Qtype::ANY {
        return sent(event, Source::Local, Rcode::NOERROR, step.minimal_any(out));
    }
    // A reply to the same question of the same upstreams: fresh, or stale while they fail (RFC 8767).
    // What is kept is judged as the lists are now.
    let route = snapshot.routes.route(query.qname, view.map_or(0, |v| v.route));
    let key = Key::of(&query, route);
    let kept = snapshot.cache.get(key.as_bytes());
    let age = kept.as_ref().map_or(Age::Dead, |stored| snapshot.aging.judge(stored, stored.age(now.at)));
    if let Some(stored) = &kept
        && matches!(age, Age::Fresh | Age::Ending | Age::StaleNow)
    {
        let source = if age == Age::StaleNow { Source::Stale } else { Source::Cache };
        let reply = step.judged(snapshot, stored, now.at, source, out, event);
        return match (reply, snapshot.routes.get(route)) {
            // Asked for and about to expire: the next one who asks should not have to wait.
            (Outcome::Reply(len), Some(upstream)) if age == Age::Ending => {
                match Place::take(engine, query.qname, snapshot.queue.limit) {
                    Some(place) => {
                        let parts = (engine, snapshot, upstream);
                        let pending = Pending::new(parts, step, (key, None), *event, now.at, None, place);
                        Outcome::ReplyAndRefresh(len, pending)
                    }
                    None => Outcome::Reply(len),
                }
            }
            (reply, _) => reply,
        };
    }
    // Without recursion desired there is nobody else to ask; nor is there without an upstream.
    let Some(upstream) = snapshot.routes.get(route).filter(|_| query.header.has(flag::RD)) else {
        let ede = Ede::new(EdeCode::NOT_AUTHORITATIVE, "");
        return sent(event, Source::Local, Rcode::REFUSED, step.bare(out, Rcode::REFUSED, Some(ede)));
    };
    // The upstreams, unless too many already wait for them; then a stale reply, or none. What they say
    // is judged when it comes.
    let stale = kept.filter(|_| age == Age::Stale);
    match (Place::take(engine, query.qname, snapshot.queue.limit), stale) {
        (Some(place), stale) => {
            event.source = Source::Upstream;
            let parts = (engine, snapshot, upstream);
            Outcome::Later(Pending::new(parts, step, (key, None), *event, now.at, stale, place))
        }
        (None, Some(stale)) => step.judged(snapshot, &stale, now.at, Source::Stale, out, event),
        (None, None) => step.shed(snapshot, out, event),
    }
}

pub(super) fn sent(event: &mut Event, source: Source, rcode: Rcode, len: usize) -> Outcome {
    event.source = source;
    if len == 0 {
        return Outcome::Drop;
    }
    event.rcode = Some(rcode);
    Outcome::Reply(len)
}

/// The low bits of the code in a reply that another step has written.
pub(super) fn wire_rcode(out: &[u8]) -> Rcode {
    Rcode(out.get(3).map_or(0, |b| u16::from(b & 0xf)))
}

fn not_served(query: &Query<'_>) -> Option<Rcode> {
    match query.qtype {
        _ if query.qclass != Class::IN => Some(Rcode::REFUSED),
        Qtype::AXFR | Qtype::IXFR => Some(Rcode::REFUSED),
        Qtype::ANY => None,
        // OPT is a record of the message, not a thing to ask for (RFC 6891 §6.1.1).
        Qtype::OPT | Qtype(0) => Some(Rcode::FORMERR),
        other if other.is_meta() => Some(Rcode::NOTIMP),
        _ => None,
    }
}

/// What the policy made in place of an answer.
enum MadeUp<'a> {
    Outcome(Outcome),
    /// An alias, yet to be followed.
    Alias(&'a NameBuf),
    /// Nothing: the answer passes.
    Nothing,
}

/// One query and who asked it: what every small answer needs.
#[derive(Clone, Copy)]
pub(super) struct Step<'q, 'p> {
    pub(super) query: &'q Query<'p>,
    pub(super) client: Client,
}

impl Step<'_, '_> {
    pub(super) fn writer<'b, 't>(self, out: &'b mut [u8]) -> ReplyWriter<'b, 't> {
        ReplyWriter::new(self.query, out, self.client.transport.limit(self.query))
    }

    fn asker(self, view: Option<&View>) -> Asker<'_> {
        Asker { client: self.client.address.ip(), qtype: self.query.qtype, view }
    }

    fn verdict(self, snapshot: &Snapshot, view: Option<&View>) -> Verdict {
        if !snapshot.active.is_quiet() {
            let group = view.and_then(|v| snapshot.policy.group_name(v));
            let client = self.client.address.ip();
            if let Some((what, number)) = snapshot.active.ordered(self.query.qname, client, group) {
                // A rewrite is no block, so that it goes on while blocking is paused.
                let rewrite = match decide(&snapshot.policy, self.query.qname, self.asker(view)) {
                    verdict if verdict.class() == decide::Class::Rewritten && what != Ordered::Blocked => {
                        Some(verdict)
                    }
                    _ => None,
                };
                return rewrite.unwrap_or(Verdict::Ordered(what, number));
            }
        }
        decide(&snapshot.policy, self.query.qname, self.asker(view))
    }

    /// What the verdict gives instead of an answer; `None`: the name may pass.
    fn refuse(
        self,
        (engine, snapshot, view): (&Arc<Engine>, &Arc<Snapshot>, Option<&View>),
        now: Moment,
        out: &mut [u8],
        event: &mut Event,
    ) -> Option<Outcome> {
        let (list, action, right) = match event.verdict {
            Verdict::Blocked(decider) => {
                let list = snapshot.policy.list(decider.list)?;
                let action = snapshot.policy.action(decider.rule, decider.list, view)?;
                let rewrite = matches!(decider.rung, Rung::OwnRewrite | Rung::Rewrite);
                let right = if rewrite { Right::Rewrite } else { Right::Block };
                (list, action, right)
            }
            Verdict::Ordered(Ordered::Blocked, _) => {
                (&*snapshot.ordered, &snapshot.ordered.action, Right::Block)
            }
            _ => return None,
        };
        let outcome = self.made_up((list, right), action, out, event);
        match (outcome, event.verdict) {
            (MadeUp::Outcome(outcome), _) => Some(outcome),
            (MadeUp::Alias(target), _) => {
                let by = Aliased { list, right, view, asker: self.asker(view) };
                Some(alias::follow(engine, snapshot, self, target, &by, now, out, event))
            }
            // Over TCP what is truncated over UDP passes: that is no block.
            (MadeUp::Nothing, Verdict::Blocked(decider)) => {
                event.verdict = Verdict::Logged(decider);
                None
            }
            (MadeUp::Nothing, _) => None,
        }
    }

    fn made_up<'a>(
        self,
        by: (&ListPolicy, Right),
        action: &'a Action,
        out: &mut [u8],
        event: &mut Event,
    ) -> MadeUp<'a> {
        match answer::blocked(by, action, self.query, self.client.transport, out) {
            Blocked::Reply(len) => MadeUp::Outcome(sent(event, Source::Policy, wire_rcode(out), len)),
            Blocked::Drop => {
                event.source = Source::Policy;
                MadeUp::Outcome(Outcome::Drop)
            }
            Blocked::Pass => MadeUp::Nothing,
            Blocked::Alias(target) => MadeUp::Alias(target),
        }
    }

    /// A reply of an upstream as old as it is at `now`, or what the policy puts in its place because of
    /// the names and addresses in it. A name that was let pass by a rule is not looked at again.
    pub(super) fn judged(
        self,
        snapshot: &Snapshot,
        stored: &Stored,
        now: Instant,
        source: Source,
        out: &mut [u8],
        event: &mut Event,
    ) -> Outcome {
        let len = self.stored(stored, now, out);
        let answer = |event: &mut Event| sent(event, source, stored.rcode(), len);
        let looks = snapshot.blocking && (snapshot.looks || !snapshot.active.is_quiet());
        if !looks || matches!(event.verdict, Verdict::Allowed(_) | Verdict::Ordered(Ordered::Allowed, _)) {
            return answer(event);
        }
        let view = snapshot.view(&self.client);
        let mark = snapshot.mark(view);
        if mark.is_some_and(|mark| stored.has_mark(mark)) {
            return answer(event);
        }
        // What was truncated is looked at when the client comes back over TCP.
        let written = out.get(..len).unwrap_or_default();
        let Some(reply) = Message::parse(written).filter(|m| !m.header.has(flag::TC)) else {
            return answer(event);
        };
        let by = Inspector {
            inspection: &snapshot.inspection,
            asker: self.asker(view),
            active: &snapshot.active,
            group: view.and_then(|v| snapshot.policy.group_name(v)),
            paused: matches!(event.verdict, Verdict::Ordered(Ordered::Paused, _)),
        };
        let found = inspect(&snapshot.policy, by, self.query.qname, &reply);
        let (list, action) = match found {
            Verdict::Behind(d) if matches!(d.rung, Rung::Block | Rung::ImportantBlock) => {
                (snapshot.policy.list(d.list), snapshot.policy.action(d.rule, d.list, view))
            }
            Verdict::Address(list) => (snapshot.policy.list(list), snapshot.policy.list_action(list, view)),
            Verdict::Rebinding => (Some(&*snapshot.rebinding), Some(&snapshot.rebinding.action)),
            Verdict::Ordered(Ordered::Blocked, _) => {
                (Some(&*snapshot.ordered), Some(&snapshot.ordered.action))
            }
            Verdict::NoRule => {
                if let Some(mark) = mark {
                    stored.mark(mark);
                }
                return answer(event);
            }
            _ => {
                event.verdict = found;
                return answer(event);
            }
        };
        let (Some(list), Some(action)) = (list, action) else { return answer(event) };
        event.verdict = found;
        match self.made_up((list, Right::Block), action, out, event) {
            MadeUp::Outcome(outcome) => outcome,
            // An action that only notes, or truncates over UDP alone.
            MadeUp::Nothing => {
                if let Verdict::Behind(decider) = found {
                    event.verdict = Verdict::Behind(Decider { rung: Rung::Log, ..decider });
                }
                let len = self.stored(stored, now, out);
                sent(event, source, stored.rcode(), len)
            }
            MadeUp::Alias(target) => {
                let (query, transport) = (self.query, self.client.transport);
                let targets = std::slice::from_ref(target);
                let len = answer::aliased((list, Right::Block), targets, None, query, transport, out);
                sent(event, Source::Policy, Rcode::NOERROR, len)
            }
        }
    }

    /// Too many wait already.
    pub(super) fn shed(self, snapshot: &Snapshot, out: &mut [u8], event: &mut Event) -> Outcome {
        if snapshot.queue.silent {
            event.source = Source::Shed;
            return Outcome::Drop;
        }
        let ede = Ede::new(EdeCode::NETWORK_ERROR, "too many queries are waiting");
        sent(event, Source::Shed, Rcode::SERVFAIL, self.bare(out, Rcode::SERVFAIL, Some(ede)))
    }

    /// A reply of nothing but a code.
    pub(super) fn bare(self, out: &mut [u8], rcode: Rcode, ede: Option<Ede<'_>>) -> usize {
        let mut reply = self.writer(out);
        reply.rcode(rcode);
        if let Some(ede) = ede {
            reply.ede(ede);
        }
        reply.finish()
    }

    /// A reply of an upstream, as old as it is at `now`.
    pub(super) fn stored(self, stored: &Stored, now: Instant, out: &mut [u8]) -> usize {
        let mut reply = self.writer(out);
        // AD is for those who can read it (RFC 6840 §5.7).
        let wants_ad = self.query.dnssec_ok() || self.query.header.has(flag::AD);
        stored.write(&mut reply, wants_ad, now);
        reply.finish()
    }

    fn minimal_any(self, out: &mut [u8]) -> usize {
        let mut reply = self.writer(out);
        // A reply that does not fit is sent truncated.
        let _ = reply.record(Section::Answer, None, Qtype::HINFO, 3600, &[b"\x07RFC8482\0"]);
        reply.finish()
    }

    /// `version.bind` and `id.server` (RFC 4892 §2), if configured; everything else is refused.
    fn chaos(self, snapshot: &Snapshot, out: &mut [u8]) -> (Rcode, usize) {
        let name = self.query.qname.as_bytes();
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        let text = if is(b"\x07version\x04bind\0") || is(b"\x07version\x06server\0") {
            snapshot.version.as_deref()
        } else if is(b"\x02id\x06server\0") || is(b"\x08hostname\x04bind\0") {
            snapshot.identity.as_deref()
        } else {
            None
        };
        let Some(text) = text.filter(|_| matches!(self.query.qtype, Qtype::TXT | Qtype::ANY)) else {
            return (Rcode::REFUSED, self.bare(out, Rcode::REFUSED, None));
        };
        let text = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
        let len = [u8::try_from(text.len()).unwrap_or(u8::MAX)];
        let mut reply = self.writer(out);
        let _ = reply.record_in(Section::Answer, None, (Qtype::TXT, Class::CH), 0, &[&len, text]);
        (Rcode::NOERROR, reply.finish())
    }
}
