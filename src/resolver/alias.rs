//! Following the alias that a rewrite or a block gives as its answer, because a stub resolver does not.

use std::sync::Arc;
use std::time::Instant;

use super::live::Engine;
use super::moment::Moment;
use super::outcome::Outcome;
use super::pending::{Pending, Place};
use super::resolve::{Step, sent, wire_rcode};
use super::snapshot::{Client, Snapshot};
use crate::answer::{self, Blocked, Right};
use crate::cache::key::Key;
use crate::cache::stale::Age;
use crate::cache::store::Stored;
use crate::dns::header::flag;
use crate::dns::message::Message;
use crate::dns::name::NameBuf;
use crate::dns::query::{Query, encode};
use crate::dns::reply::{ReplyWriter, Transport};
use crate::dns::types::Rcode;
use crate::observe::event::{Event, Source};
use crate::policy::active::View;
use crate::policy::decide::{Asker, Rung, Verdict, decide, decide_in_answer};
use crate::policy::list::ListPolicy;
use crate::rule::Action;
use crate::zones::answer as zone;

/// Aliases that are followed; the same bound as within zones.
const MAX_CHAIN: usize = 8;
/// The longest message, in octets.
const MAX_MESSAGE: usize = 65_535;

/// By whose rule the answer is an alias, and what else goes for the client.
pub(super) struct Aliased<'a> {
    pub(super) list: &'a ListPolicy,
    pub(super) right: Right,
    pub(super) view: Option<&'a View>,
    pub(super) asker: Asker<'a>,
}

/// An answer that begins with aliases; its end is on the way.
pub struct Alias {
    /// Each points to the next; the last is what is asked.
    targets: Vec<NameBuf>,
    /// The question for the last of them, as a packet.
    packet: Box<[u8]>,
    list: ListPolicy,
    right: Right,
}

impl Alias {
    /// The question that waits.
    pub(super) fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Writes the answer to the client's question, now that its end has come.
    pub(super) fn write(&self, step: Step<'_, '_>, end: &Stored, now: Instant, out: &mut [u8]) -> usize {
        let Ok(query) = Query::parse(&self.packet) else { return 0 };
        let mut room = vec![0; MAX_MESSAGE];
        let len = Step { query: &query, client: over_tcp(step.client) }.stored(end, now, &mut room);
        let end = Message::parse(room.get(..len).unwrap_or_default());
        let by = (&self.list, self.right);
        answer::aliased(by, &self.targets, end.as_ref(), step.query, step.client.transport, out)
    }
}

/// Answers with the alias `target` and what it leads to: another rewrite, a zone of this server, a reply
/// from the cache, or one that an upstream must be asked for.
#[expect(clippy::too_many_arguments, reason = "the state of one query on its way")]
pub(super) fn follow(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    step: Step<'_, '_>,
    target: &NameBuf,
    by: &Aliased<'_>,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    let mut targets = vec![target.clone()];
    let (list, right) = (by.list, by.right);
    let transport = step.client.transport;
    let finish = |targets: &[NameBuf], end: Option<&Message<'_>>, out: &mut [u8], event: &mut Event| {
        let len = answer::aliased((list, right), targets, end, step.query, transport, out);
        sent(event, Source::Policy, wire_rcode(out), len)
    };
    let mut room = vec![0; MAX_MESSAGE];
    loop {
        let Some(last) = targets.last() else { return Outcome::Drop };
        let packet = question(step.query, last);
        let Ok(query) = Query::parse(&packet) else { return finish(&targets, None, out, event) };
        let inner = Step { query: &query, client: over_tcp(step.client) };
        // Another rewrite.
        if let Verdict::Blocked(d) = decide(&snapshot.policy, query.qname, by.asker)
            && matches!(d.rung, Rung::OwnRewrite | Rung::Rewrite)
            && let Some(own) = snapshot.policy.list(d.list)
            && let Some(action) = snapshot.policy.action(d.rule, d.list, by.view)
        {
            match action {
                Action::Cname(next) if !targets.contains(next) && targets.len() < MAX_CHAIN => {
                    targets.push(next.clone());
                    continue;
                }
                // Round and round: `check` refuses that among rewrites, lists may have it all the same.
                Action::Cname(_) => {
                    return sent(
                        event,
                        Source::Policy,
                        Rcode::SERVFAIL,
                        step.bare(out, Rcode::SERVFAIL, None),
                    );
                }
                _ => {}
            }
            let made = answer::blocked((own, Right::Rewrite), action, &query, Transport::Tcp, &mut room);
            if let Blocked::Reply(len) = made {
                let end = Message::parse(room.get(..len).unwrap_or_default());
                return finish(&targets, end.as_ref(), out, event);
            }
        }
        // Where a list, and not the operator, points to a name that is blocked, that is what it gets.
        if !by.list.rewrites
            && right == Right::Rewrite
            && let Verdict::Blocked(d) = decide_in_answer(&snapshot.policy, query.qname, by.asker)
            && let Some(blocking) = snapshot.policy.list(d.list)
            && let Some(action) = snapshot.policy.action(d.rule, d.list, by.view)
            && let Blocked::Reply(len) =
                answer::blocked((blocking, Right::Block), action, step.query, transport, out)
        {
            event.verdict = Verdict::InAnswer(d);
            return sent(event, Source::Policy, wire_rcode(out), len);
        }
        // A zone of this server.
        if let Some(local) = zone::of(&snapshot.zones, &query) {
            let mut reply = ReplyWriter::new(&query, &mut room, MAX_MESSAGE);
            zone::write(&snapshot.zones, local, &query, &mut reply);
            let len = reply.finish();
            let end = Message::parse(room.get(..len).unwrap_or_default());
            return finish(&targets, end.as_ref(), out, event);
        }
        let route = snapshot.routes.route(query.qname, by.view.map_or(0, |v| v.route));
        let key = Key::of(&query, route);
        let kept = snapshot.cache.get(key.as_bytes());
        let age = kept.as_ref().map_or(Age::Dead, |stored| snapshot.aging.judge(stored, stored.age(now.at)));
        if let Some(stored) = &kept
            && matches!(age, Age::Fresh | Age::Ending | Age::StaleNow)
        {
            let len = inner.stored(stored, now.at, &mut room);
            let end = Message::parse(room.get(..len).unwrap_or_default());
            return finish(&targets, end.as_ref(), out, event);
        }
        // Without anybody to ask, the client goes on by itself if it can.
        let Some(upstream) = snapshot.routes.get(route).filter(|_| step.query.header.has(flag::RD)) else {
            return finish(&targets, None, out, event);
        };
        let stale = kept.filter(|_| age == Age::Stale);
        let Some(place) = Place::take(engine, query.qname, snapshot.queue.limit) else {
            return step.shed(snapshot, out, event);
        };
        let alias = Alias { packet: packet.as_slice().into(), targets, list: list.clone(), right };
        event.source = Source::Upstream;
        let parts = (engine, snapshot, upstream);
        return Outcome::Later(Pending::new(parts, step, (key, Some(alias)), *event, now.at, stale, place));
    }
}

/// The client's question for another name, with its flags and its wish for DNSSEC records.
fn question(query: &Query<'_>, name: &NameBuf) -> Vec<u8> {
    let mut packet = encode(name.as_name(), query.qtype);
    if let Some(flags) = packet.get_mut(2..4) {
        let wanted = flag::RD | (query.header.flags & flag::CD);
        flags.copy_from_slice(&wanted.to_be_bytes());
    }
    // The last octets are an OPT record: its flags, then the length of its options.
    if let Some([high, _, _, _]) = packet.last_chunk_mut::<4>() {
        *high = if query.dnssec_ok() { 0x80 } else { 0 };
    }
    packet
}

/// The end of a chain is written without regard to the size that the client takes.
const fn over_tcp(client: Client) -> Client {
    Client { transport: Transport::Tcp, ..client }
}
