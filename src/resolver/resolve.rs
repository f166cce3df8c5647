//! The way of one query. Every transport calls [`resolve`]; it names each step in its order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::live::Engine;
use super::outcome::Outcome;
use super::pending::{Pending, Place};
use super::snapshot::Snapshot;
use crate::answer::{self, Blocked};
use crate::cache::key::Key;
use crate::cache::stale::Age;
use crate::cache::store::Stored;
use crate::dns::ede::{Ede, EdeCode};
use crate::dns::header::flag;
use crate::dns::query::Query;
use crate::dns::reply::{ReplyWriter, Section, Transport};
use crate::dns::types::{Class, Qtype, Rcode};
use crate::observe::event::{Event, Source};
use crate::policy::decide::{Asker, Verdict, decide};
use crate::zones::answer as zone;

/// Answers one packet: writes the reply into `out`, or says that nothing is to be sent, or that an
/// upstream must be asked first. `event` is filled in for whoever observes. Nothing on the way to a
/// blocked answer allocates.
pub fn resolve(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    packet: &[u8],
    (client, transport): (SocketAddr, Transport),
    now: Instant,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    *event = Event::new(client, transport);

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
    let step = Step { query: &query, transport };

    // Who may not ask is told so (RFC 8914 §4.19).
    if !snapshot.acl.admits(client.ip()) {
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
    // The ladder: which rule wins, and if it blocks, what the client gets.
    if snapshot.blocking {
        let asker = Asker { client: client.ip(), qtype: query.qtype };
        event.verdict = decide(&snapshot.policy, query.qname, asker);
        if let Verdict::Blocked(decider) = event.verdict
            && let Some(list) = snapshot.policy.list(decider.list)
            && let Some(action) = snapshot.policy.action(decider.rule, decider.list)
        {
            match answer::blocked(list, action, &query, transport, out) {
                Blocked::Reply(len) => return sent(event, Source::Policy, wire_rcode(out), len),
                Blocked::Drop => {
                    event.source = Source::Policy;
                    return Outcome::Drop;
                }
                // Over TCP what is truncated over UDP passes: that is no block.
                Blocked::Pass => event.verdict = Verdict::Logged(decider),
            }
        }
    }
    // Names that this server answers for.
    if let Some(local) = zone::of(&snapshot.zones, &query) {
        let mut reply = step.writer(out);
        zone::write(&snapshot.zones, local, &query, &mut reply);
        let len = reply.finish();
        return sent(event, Source::Local, wire_rcode(out), len);
    }
    // ANY is answered with as little as can be (RFC 8482 §4.2).
    if query.qtype == Qtype::ANY {
        return sent(event, Source::Local, Rcode::NOERROR, step.minimal_any(out));
    }
    // A reply to the same question: fresh, or stale while the upstreams fail (RFC 8767).
    let kept = snapshot.cache.get(Key::of(&query).as_bytes());
    let age = kept.as_ref().map_or(Age::Dead, |stored| snapshot.aging.judge(stored, stored.age(now)));
    if let Some(stored) = &kept
        && matches!(age, Age::Fresh | Age::Ending | Age::StaleNow)
    {
        let source = if age == Age::StaleNow { Source::Stale } else { Source::Cache };
        let reply = sent(event, source, stored.rcode(), step.stored(stored, now, out));
        return match (reply, &snapshot.upstream) {
            // Asked for and about to expire: the next one who asks should not have to wait.
            (Outcome::Reply(len), Some(upstream)) if age == Age::Ending => {
                match Place::take(engine, query.qname, snapshot.queue.limit) {
                    Some(place) => {
                        let parts = (engine, snapshot, upstream);
                        let pending = Pending::new(parts, &query, *event, now, None, place);
                        Outcome::ReplyAndRefresh(len, pending)
                    }
                    None => Outcome::Reply(len),
                }
            }
            (reply, _) => reply,
        };
    }
    // Without recursion desired there is nobody else to ask; nor is there without an upstream.
    let Some(upstream) = snapshot.upstream.as_ref().filter(|_| query.header.has(flag::RD)) else {
        let ede = Ede::new(EdeCode::NOT_AUTHORITATIVE, "");
        return sent(event, Source::Local, Rcode::REFUSED, step.bare(out, Rcode::REFUSED, Some(ede)));
    };
    // The upstreams, unless too many already wait for them; then a stale reply, or none.
    let stale = kept.filter(|_| age == Age::Stale);
    match (Place::take(engine, query.qname, snapshot.queue.limit), stale) {
        (Some(place), stale) => {
            event.source = Source::Upstream;
            let parts = (engine, snapshot, upstream);
            Outcome::Later(Pending::new(parts, &query, *event, now, stale, place))
        }
        (None, Some(stale)) => sent(event, Source::Stale, stale.rcode(), step.stored(&stale, now, out)),
        (None, None) if snapshot.queue.silent => {
            event.source = Source::Shed;
            Outcome::Drop
        }
        (None, None) => {
            let ede = Ede::new(EdeCode::NETWORK_ERROR, "too many queries are waiting");
            sent(event, Source::Shed, Rcode::SERVFAIL, step.bare(out, Rcode::SERVFAIL, Some(ede)))
        }
    }
}

fn sent(event: &mut Event, source: Source, rcode: Rcode, len: usize) -> Outcome {
    event.source = source;
    if len == 0 {
        return Outcome::Drop;
    }
    event.rcode = Some(rcode);
    Outcome::Reply(len)
}

/// The low bits of the code in a reply that another step has written.
fn wire_rcode(out: &[u8]) -> Rcode {
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

/// One query and how its reply travels: what every small answer needs.
#[derive(Clone, Copy)]
pub(super) struct Step<'q, 'p> {
    pub(super) query: &'q Query<'p>,
    pub(super) transport: Transport,
}

impl Step<'_, '_> {
    pub(super) fn writer<'b, 't>(self, out: &'b mut [u8]) -> ReplyWriter<'b, 't> {
        ReplyWriter::new(self.query, out, self.transport.limit(self.query))
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
