//! The path of one query. Every transport calls [`resolve`], which names each step in order.

use std::sync::Arc;

use super::admission::admit;
use super::follow;
use super::live::Engine;
use super::lookup::{Lookup, lookup};
use super::moment::Moment;
use super::outcome::Outcome;
use super::pending::Pending;
use super::request::{Request, sent};
use super::ruling::{self, MadeUp, Ruling, filtered};
use super::snapshot::{Client, Snapshot};
use crate::dns::{self, Class, Ede, EdeCode, Qtype, Query, Rcode, Section};
use crate::observe::event::{Event, Source};
use crate::policy::Verdict;

/// Answers one packet: writes the reply into `out`, or reports that nothing is to be sent, or that an
/// upstream must be queried first. Fills in `event` for the observer. Nothing on the path to a blocked
/// answer allocates.
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
    let outcome = answer(engine, snapshot, packet, client, now, out, event);
    if let Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) = &outcome
        && (snapshot.rotate || snapshot.recursion.is_some())
        && let Some(reply) = out.get_mut(..*len)
    {
        if snapshot.rotate {
            engine.turns.take(reply);
        }
        if !snapshot.recurses_for(client.address.ip()) {
            dns::clear_ra(reply);
        }
    }
    outcome
}

/// The steps, in order.
fn answer(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    packet: &[u8],
    client: Client,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    // A packet that is not a query gets the response code that its error calls for, or no reply.
    let mut query = match Query::parse(packet) {
        Ok(query) => query,
        Err(fault) => {
            return match fault.reply(packet, out) {
                Some(len) => {
                    let rcode = fault.rcode().unwrap_or(Rcode::FORMERR);
                    Outcome::of(sent(event, Source::Malformed, rcode, len), None)
                }
                None => Outcome::Drop,
            };
        }
    };
    // May this client ask, is it who it says, and how often has it asked?
    if let Some(outcome) = admit(engine, snapshot, &mut query, client, now, out, event) {
        return outcome;
    }
    let request = Request { query: &query, client };
    // Only EDNS version 0 is supported (RFC 6891 §6.1.3).
    if query.edns.is_some_and(|e| e.version > 0) {
        let len = request.bare(out, Rcode::BADVERS, None);
        return Outcome::of(sent(event, Source::Malformed, Rcode::BADVERS, len), None);
    }
    // The server identifies itself only in class CH, and only as configured.
    if query.qclass == Class::CH {
        let (rcode, len) = chaos(request, snapshot, out);
        return Outcome::of(sent(event, Source::Local, rcode, len), None);
    }
    // Unsupported classes and question types: transfers are refused, the rest is not implemented.
    if let Some(rcode) = not_served(&query) {
        let len = request.bare(out, rcode, None);
        return Outcome::of(sent(event, Source::Local, rcode, len), None);
    }
    // The client's group, which determines the lists that apply and the upstreams to query.
    let view = snapshot.view(&client);
    // An order given at run time, else the ladder: which rule wins, and what the client gets for it.
    if snapshot.blocking {
        event.verdict = ruling::verdict(request, snapshot, view);
        if let Some(ruling) = Ruling::of(snapshot, view, event.verdict) {
            match ruling.write(request, snapshot, view, out, event) {
                MadeUp::Reply(reply) => return Outcome::of(reply, None),
                MadeUp::Alias(target) => {
                    let alias = (target, ruling.list.ttl);
                    return follow::by_rule(engine, snapshot, request, alias, now, out, event);
                }
                // A name that is truncated over UDP passes over TCP: that is not a block.
                MadeUp::Nothing => {
                    if let Verdict::Blocked(decider) = event.verdict {
                        event.verdict = Verdict::Logged(decider);
                    }
                }
            }
        }
    }
    // The source of the answer. A cached reply is inspected against the current lists, a pending one when
    // it arrives.
    let parts = (engine, snapshot);
    match lookup(engine, snapshot, view, &query, client.address.ip(), now.at) {
        Lookup::Local(answer) => {
            let mut reply = request.writer(out);
            answer.write(snapshot, &query, &mut reply);
            let len = reply.finish();
            let rcode = dns::rcode(out).unwrap_or(Rcode::NOERROR);
            Outcome::of(sent(event, Source::Local, rcode, len), None)
        }
        Lookup::Aliases(answer) => follow::by_zone(engine, snapshot, request, &answer, now, out, event),
        Lookup::Cached { stored, age, source, refresh } => {
            let reply = filtered(request, snapshot, (&stored, age, source), out, event);
            let refresh = refresh.map(|ask| Pending::new(parts, request, ask, None, *event, now.at));
            Outcome::of(reply, refresh)
        }
        Lookup::Ask(ask) => {
            event.source = Source::Upstream;
            Outcome::Later(Pending::new(parts, request, ask, None, *event, now.at))
        }
        Lookup::Failed(failed) => Outcome::of(request.failed(&failed, now.at, out, event), None),
        Lookup::Forbidden => {
            let ede = Ede::new(EdeCode::PROHIBITED, "");
            let len = request.bare(out, Rcode::REFUSED, Some(ede));
            Outcome::of(sent(event, Source::Guard, Rcode::REFUSED, len), None)
        }
        Lookup::NoSource if query.qtype == Qtype::ANY => {
            Outcome::of(sent(event, Source::Local, Rcode::NOERROR, minimal_any(request, out)), None)
        }
        Lookup::NoSource => {
            let ede = Ede::new(EdeCode::NOT_AUTHORITATIVE, "");
            let len = request.bare(out, Rcode::REFUSED, Some(ede));
            Outcome::of(sent(event, Source::Local, Rcode::REFUSED, len), None)
        }
        Lookup::Full => Outcome::of(request.shed(snapshot, out, event), None),
    }
}

fn not_served(query: &Query<'_>) -> Option<Rcode> {
    match query.qtype {
        _ if query.qclass != Class::IN => Some(Rcode::REFUSED),
        Qtype::AXFR | Qtype::IXFR => Some(Rcode::REFUSED),
        Qtype::ANY => None,
        // OPT is a pseudo-record of the message and can't be queried (RFC 6891 §6.1.1).
        Qtype::OPT | Qtype(0) => Some(Rcode::FORMERR),
        other if other.is_meta() => Some(Rcode::NOTIMP),
        _ => None,
    }
}

/// The minimal answer to ANY (RFC 8482 §4.2).
fn minimal_any(request: Request<'_, '_>, out: &mut [u8]) -> usize {
    let mut reply = request.writer(out);
    // A reply that does not fit is truncated.
    let _ = reply.record(Section::Answer, None, Qtype::HINFO, 3600, &[b"\x07RFC8482\0"]);
    reply.finish()
}

/// `version.bind` and `id.server` (RFC 4892 §2), if configured; everything else is refused.
fn chaos(request: Request<'_, '_>, snapshot: &Snapshot, out: &mut [u8]) -> (Rcode, usize) {
    let name = request.query.qname.as_bytes();
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let text = if is(b"\x07version\x04bind\0") || is(b"\x07version\x06server\0") {
        snapshot.version.as_deref()
    } else if is(b"\x02id\x06server\0") || is(b"\x08hostname\x04bind\0") {
        snapshot.identity.as_deref()
    } else {
        None
    };
    let Some(text) = text.filter(|_| matches!(request.query.qtype, Qtype::TXT | Qtype::ANY)) else {
        return (Rcode::REFUSED, request.bare(out, Rcode::REFUSED, None));
    };
    let text = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
    let len = [u8::try_from(text.len()).unwrap_or(u8::MAX)];
    let mut reply = request.writer(out);
    let _ = reply.record_in(Section::Answer, None, (Qtype::TXT, Class::CH), 0, &[&len, text]);
    (Rcode::NOERROR, reply.finish())
}
