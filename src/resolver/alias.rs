//! An answer that begins with a chain of aliases: stub resolvers do not follow them.

use super::request::{Request, sent};
use super::ruling::{Ruling, inspected, is_inspected, replaced};
use super::snapshot::Snapshot;
use crate::answer::{self, End, Link};
use crate::dns::{self, MAX_ALIASES, MAX_MESSAGE, Message, Name, NameBuf, Query, Rcode, ReplyWriter, flag};
use crate::observe::event::{Event, Source};
use crate::policy::Verdict;
use crate::zones::answer::Answer;

/// Where the alias comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The rule that decided the query: the target is the list's responsibility too.
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
