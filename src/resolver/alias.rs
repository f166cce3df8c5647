//! An answer that begins with a chain of aliases: stub resolvers do not follow them.

use std::time::Instant;

use super::request::{Request, sent};
use super::ruling::{Ruling, inspected, is_inspected, passed_or_found, replaced, verdict};
use super::snapshot::Snapshot;
use crate::answer::{self, End, Link};
use crate::cache::store::Stored;
use crate::dns::{
    self, MAX_ALIASES, MAX_MESSAGE, MAX_QUERY, Message, Name, NameBuf, Query, QueryBuilder, Rcode,
    ReplyWriter, flag,
};
use crate::observe::event::{Event, Source};
use crate::policy::Verdict;
use crate::zones::answer::Answer;

/// Where the alias comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The rule that decided the query. The reply for the target is inspected like one to a client that asks
    /// for the target itself.
    Rule,
    /// A zone of this server: the target is inspected like any answer.
    Zone,
}

/// The chain of aliases at the beginning of an answer.
pub(super) struct Alias {
    targets: Vec<NameBuf>,
    links: Vec<Link>,
    pub(super) by: By,
}

/// The chain is a loop, or longer than the limit.
pub(super) struct TooLong;

impl Alias {
    pub(super) const fn new(by: By) -> Self {
        Self { targets: Vec::new(), links: Vec::new(), by }
    }

    /// The targets of the aliases, in order.
    pub(super) fn targets(&self) -> impl Iterator<Item = &NameBuf> {
        self.targets.iter()
    }

    /// The target of the last alias.
    pub(super) fn last(&self) -> Option<&NameBuf> {
        self.targets.last()
    }

    /// Appends an alias to `target` with this TTL.
    pub(super) fn push(&mut self, target: NameBuf, ttl: u32) -> Result<(), TooLong> {
        self.links.push(Link::cname(self.last().cloned(), &target, ttl));
        self.to(target)
    }

    fn to(&mut self, target: NameBuf) -> Result<(), TooLong> {
        if self.targets.len() >= MAX_ALIASES
            || self.targets.iter().any(|known| known.as_name() == target.as_name())
        {
            return Err(TooLong);
        }
        self.targets.push(target);
        Ok(())
    }

    /// Appends the aliases of a zone, which begin at the name of `query`; `asked` is the client's.
    pub(super) fn through(
        &mut self,
        answer: &Answer<'_>,
        query: &Query<'_>,
        asked: Name<'_>,
    ) -> Result<(), TooLong> {
        let mut room = vec![0; MAX_MESSAGE];
        let mut reply = ReplyWriter::new(query, &mut room, MAX_MESSAGE);
        answer.write_aliases(query, &mut reply);
        let len = reply.finish();
        if let Some(message) = Message::parse(room.get(..len).unwrap_or_default()) {
            self.links.extend(Link::all_of(&message, asked));
        }
        let mut reached = Ok(());
        answer.targets(query.qname, |target| {
            if reached.is_ok() {
                reached = self.to(target.to_buf());
            }
        });
        reached
    }

    /// Writes the whole answer, which ends with a reply of an upstream, or what the policy puts in its place.
    /// Returns its length in octets; `None`: nothing is sent.
    pub(super) fn answer_by(
        &self,
        request: Request<'_, '_>,
        snapshot: &Snapshot,
        (stored, now, source): (&Stored, Instant, Source),
        out: &mut [u8],
        event: &mut Event,
    ) -> Option<usize> {
        if self.by == By::Rule
            && let Some(reply) = self.filtered(request, snapshot, stored, out, event)
        {
            return reply;
        }
        let ttl = |given| stored.ttl(given, now);
        let end = End { reply: stored.message(), rcode: stored.rcode(), ttl: &ttl };
        self.answer(request, snapshot, (Some(end), source), out, event)
    }

    /// What replaces the answer because of the names and addresses in the reply to the question for the last
    /// target; `None`: it passes.
    #[expect(clippy::option_option, reason = "the reply in place of the answer may be none at all")]
    fn filtered(
        &self,
        request: Request<'_, '_>,
        snapshot: &Snapshot,
        stored: &Stored,
        out: &mut [u8],
        event: &mut Event,
    ) -> Option<Option<usize>> {
        let mut packet = [0; MAX_QUERY];
        let query = Query::parse(question(request.query, self.last()?).write(&mut packet)).ok()?;
        let of_target = Request { query: &query, client: request.client };
        let view = snapshot.view(&request.client);
        let found = passed_or_found(of_target, snapshot, verdict(of_target, snapshot, view), stored);
        if found == Verdict::NoRule {
            return None;
        }
        // If it passes all the same, the rule with the alias has decided.
        let decided = event.verdict;
        let reply = replaced(request, snapshot, view, found, out, event);
        if reply.is_none() {
            event.verdict = decided;
        }
        reply
    }

    /// Writes the whole answer, or what the policy puts in its place. Returns its length in octets; `None`:
    /// nothing is sent.
    pub(super) fn answer(
        &self,
        request: Request<'_, '_>,
        snapshot: &Snapshot,
        (end, source): (Option<End<'_>>, Source),
        out: &mut [u8],
        event: &mut Event,
    ) -> Option<usize> {
        if self.by == By::Zone && is_inspected(snapshot, event.verdict) {
            let view = snapshot.view(&request.client);
            let mut whole = vec![0; MAX_MESSAGE];
            let len = self.write(request.unlimited(), snapshot, event.verdict, end, &mut whole);
            if let Some(answer) = Message::parse(whole.get(..len).unwrap_or_default()) {
                match inspected(request, snapshot, view, event.verdict, &answer) {
                    Verdict::NoRule => {}
                    found => {
                        if let Some(reply) = replaced(request, snapshot, view, found, out, event) {
                            return reply;
                        }
                    }
                }
            }
        }
        let len = self.write(request, snapshot, event.verdict, end, out);
        sent(event, source, dns::rcode(out).unwrap_or(Rcode::NOERROR), len)
    }

    fn write(
        &self,
        request: Request<'_, '_>,
        snapshot: &Snapshot,
        verdict: Verdict,
        end: Option<End<'_>>,
        out: &mut [u8],
    ) -> usize {
        let ruling = match self.by {
            By::Rule => Ruling::of(snapshot, snapshot.view(&request.client), verdict),
            By::Zone => None,
        };
        if let Some(Ruling { list, right, .. }) = ruling {
            let transport = request.client.transport;
            return answer::aliased((list, right), &self.links, end, request.query, transport, out);
        }
        let mut reply = request.writer(out);
        // AA refers to the first owner name (RFC 1035 §4.1.1).
        reply.flags(flag::AA, snapshot.authority);
        answer::write_aliases(&mut reply, &self.links, end, request.query.dnssec_ok());
        reply.finish()
    }
}

/// The client's question for another name, with its flags and DO bit.
pub(super) fn question<'n>(query: &Query<'_>, name: &'n NameBuf) -> QueryBuilder<'n> {
    QueryBuilder {
        flags: query.header.flags & (flag::RD | flag::CD),
        edns: Some(query.dnssec_ok()),
        ..QueryBuilder::new(name.as_name(), query.qtype)
    }
}
