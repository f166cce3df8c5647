//! Follows the alias that a rule or a zone of this server gives as an answer.

use std::sync::Arc;

use super::alias::{Alias, By, TooLong, question};
use super::live::Engine;
use super::lookup::{Lookup, lookup};
use super::moment::Moment;
use super::outcome::Outcome;
use super::pending::Pending;
use super::request::{Request, sent};
use super::ruling::{Ruling, replaced};
use super::snapshot::Snapshot;
use crate::answer::{Blocked, End, Right};
use crate::dns::{MAX_MESSAGE, MAX_QUERY, Message, NameBuf, Query, Rcode, ReplyWriter, Transport};
use crate::observe::event::{Event, Source};
use crate::policy::{Verdict, View, decide, decide_in_answer};
use crate::rule::Action;
use crate::zones::answer::Answer;

/// Answers with the alias `target`, from the rule that decided, and with its target's records.
pub(super) fn by_rule(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    request: Request<'_, '_>,
    (target, ttl): (&NameBuf, u32),
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    let mut alias = Alias::new(By::Rule);
    match alias.push(target.clone(), ttl) {
        Ok(()) => follow(engine, snapshot, request, alias, now, out, event),
        Err(TooLong) => endless(request, out, event),
    }
}

/// Answers with the aliases of this server's zones, and with their target's records.
pub(super) fn by_zone(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    request: Request<'_, '_>,
    answer: &Answer<'_>,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    let mut alias = Alias::new(By::Zone);
    match alias.through(answer, request.query, request.query.qname) {
        Ok(()) => follow(engine, snapshot, request, alias, now, out, event),
        Err(TooLong) => endless(request, out, event),
    }
}

/// Follows the last alias to another rewrite, to a zone of this server, to a cached reply, or to one that
/// an upstream must be queried for.
fn follow(
    engine: &Arc<Engine>,
    snapshot: &Arc<Snapshot>,
    request: Request<'_, '_>,
    mut alias: Alias,
    now: Moment,
    out: &mut [u8],
    event: &mut Event,
) -> Outcome {
    let view = snapshot.view(&request.client);
    let source = if alias.by == By::Rule { Source::Policy } else { Source::Local };
    loop {
        let Some(last) = alias.last() else { return Outcome::Drop };
        let mut packet = [0; MAX_QUERY];
        let Ok(query) = Query::parse(question(request.query, last).write(&mut packet)) else {
            return Outcome::of(alias.answer(request, snapshot, (None, source), out, event), None);
        };
        if alias.by == By::Rule {
            let rewrite = rewrite(request, snapshot, view, &query);
            match rewrite.map(|(ruling, verdict)| (ruling, ruling.action, verdict)) {
                // An alias to itself would not be one.
                Some((_, Action::Cname(next), _)) if next.as_name() == query.qname => {}
                Some((ruling, Action::Cname(next), _)) => match alias.push(next.clone(), ruling.list.ttl) {
                    Ok(()) => continue,
                    // `check` rejects loops among rewrites, but lists may contain them.
                    Err(TooLong) => return endless(request, out, event),
                },
                Some((ruling, _, verdict)) => {
                    let mut room = vec![0; MAX_MESSAGE];
                    let question = (&query, || (request.asker(view), verdict));
                    if let Blocked::Reply(len) =
                        ruling.blocked(&snapshot.policy, question, Transport::Tcp, &mut room)
                    {
                        let end = Message::parse(room.get(..len).unwrap_or_default()).map(End::written);
                        return Outcome::of(alias.answer(request, snapshot, (end, source), out, event), None);
                    }
                }
                None => {}
            }
            if let Some(reply) = blocked(request, snapshot, view, &query, out, event) {
                return Outcome::of(reply, None);
            }
        }
        return match lookup(engine, snapshot, view, &query, request.client.address.ip(), now.at) {
            Lookup::Local(answer) => {
                let mut room = vec![0; MAX_MESSAGE];
                let mut reply = ReplyWriter::new(&query, &mut room, MAX_MESSAGE);
                answer.write(snapshot, &query, &mut reply);
                let len = reply.finish();
                let end = Message::parse(room.get(..len).unwrap_or_default()).map(End::written);
                Outcome::of(alias.answer(request, snapshot, (end, source), out, event), None)
            }
            Lookup::Aliases(answer) => match alias.through(&answer, &query, request.query.qname) {
                Ok(()) => continue,
                Err(TooLong) => endless(request, out, event),
            },
            Lookup::Cached { stored, age: _, source: from, refresh } => {
                let from = if alias.by == By::Rule { source } else { from };
                let reply = alias.answer_by(request, snapshot, (&stored, now.at, from), out, event);
                let parts = (engine, snapshot);
                let refresh = refresh.map(|ask| Pending::new(parts, request, ask, None, *event, now.at));
                Outcome::of(reply, refresh)
            }
            Lookup::Ask(ask) => {
                event.source = Source::Upstream;
                let parts = (engine, snapshot);
                Outcome::Later(Pending::new(parts, request, ask, Some(alias), *event, now.at))
            }
            Lookup::Failed(failed) => Outcome::of(request.failed(&failed, now.at, out, event), None),
            // Without an upstream, the client follows the alias itself if it can.
            Lookup::NoSource | Lookup::Forbidden => {
                Outcome::of(alias.answer(request, snapshot, (None, source), out, event), None)
            }
            Lookup::Full => Outcome::of(request.shed(snapshot, out, event), None),
        };
    }
}

/// The rewrite of the alias's target, if there is one.
fn rewrite<'s>(
    request: Request<'_, '_>,
    snapshot: &'s Snapshot,
    view: Option<&'s View>,
    query: &Query<'_>,
) -> Option<(Ruling<'s>, Verdict)> {
    let verdict = decide(&snapshot.policy, query.qname, request.asker(view));
    let ruling = Ruling::of(snapshot, view, verdict).filter(|ruling| ruling.right == Right::Rewrite)?;
    Some((ruling, verdict))
}

/// If a list, rather than the operator, points to a blocked name, the client gets the block's action.
#[expect(clippy::option_option, reason = "the reply in place of the answer may be none at all")]
fn blocked(
    request: Request<'_, '_>,
    snapshot: &Snapshot,
    view: Option<&View>,
    query: &Query<'_>,
    out: &mut [u8],
    event: &mut Event,
) -> Option<Option<usize>> {
    let by = Ruling::of(snapshot, view, event.verdict)?;
    if by.list.rewrites || by.right != Right::Rewrite {
        return None;
    }
    let found = match decide_in_answer(&snapshot.policy, query.qname, request.asker(view)) {
        Verdict::Blocked(decider) => Verdict::InAnswer(decider),
        default @ Verdict::Default { .. } => default,
        _ => return None,
    };
    let decided = event.verdict;
    let reply = replaced(request, snapshot, view, found, out, event);
    if reply.is_none() {
        event.verdict = decided;
    }
    reply
}

fn endless(request: Request<'_, '_>, out: &mut [u8], event: &mut Event) -> Outcome {
    let len = request.bare(out, Rcode::SERVFAIL, None);
    Outcome::of(sent(event, Source::Policy, Rcode::SERVFAIL, len), None)
}
