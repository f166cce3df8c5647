//! One query and its client: what every small reply needs.

use std::time::Instant;

use super::snapshot::{Client, Snapshot};
use crate::cache::store::{Failed, Stored};
use crate::dns::{Ede, EdeCode, Query, Rcode, ReplyWriter, Transport, flag};
use crate::observe::event::{Event, Source};
use crate::policy::{Asker, View};

/// One query and its client.
#[derive(Clone, Copy)]
pub(super) struct Request<'q, 'p> {
    pub(super) query: &'q Query<'p>,
    pub(super) client: Client,
}

impl Request<'_, '_> {
    pub(super) fn writer<'b, 't>(self, out: &'b mut [u8]) -> ReplyWriter<'b, 't> {
        ReplyWriter::new(self.query, out, self.client.transport.limit(self.query))
    }

    pub(super) fn asker(self, view: Option<&View>) -> Asker<'_> {
        Asker { client: self.client.address.ip(), qtype: self.query.qtype, view }
    }

    /// A reply with only a response code.
    pub(super) fn bare(self, out: &mut [u8], rcode: Rcode, ede: Option<Ede<'_>>) -> usize {
        let mut reply = self.writer(out);
        reply.rcode(rcode);
        if let Some(ede) = ede {
            reply.ede(ede);
        }
        reply.finish()
    }

    /// A reply of an upstream that is `age` seconds old.
    pub(super) fn stored(self, stored: &Stored, age: u32, out: &mut [u8]) -> usize {
        let mut reply = self.writer(out);
        // AD is only for clients that understand it (RFC 6840 §5.7).
        let wants_ad = self.query.dnssec_ok() || self.query.header.has(flag::AD);
        stored.write(&mut reply, wants_ad, age);
        reply.finish()
    }

    /// The reply to a question that failed a moment ago (RFC 9520 §3.2).
    pub(super) fn failed(
        self,
        failed: &Failed,
        now: Instant,
        out: &mut [u8],
        event: &mut Event,
    ) -> Option<usize> {
        let mut reply = self.writer(out);
        let rcode = match failed {
            // As it came; but if the question is that of an alias, the client's is another.
            Failed::Reply(stored) if stored.is_for(self.query) => {
                stored.write(&mut reply, false, stored.age(now));
                stored.rcode()
            }
            Failed::Reply(_) => Rcode::SERVFAIL,
            Failed::Silence(code, text) => {
                reply.ede(Ede::new(*code, text));
                reply.ede(Ede::new(EdeCode::CACHED_ERROR, ""));
                Rcode::SERVFAIL
            }
        };
        reply.rcode(rcode);
        let len = reply.finish();
        sent(event, Source::Cache, rcode, len)
    }

    /// The reply if too many queries are waiting already.
    pub(super) fn shed(self, snapshot: &Snapshot, out: &mut [u8], event: &mut Event) -> Option<usize> {
        if snapshot.queue.silent {
            event.source = Source::Shed;
            return None;
        }
        let ede = Ede::new(EdeCode::NETWORK_ERROR, "too many queries are waiting");
        sent(event, Source::Shed, Rcode::SERVFAIL, self.bare(out, Rcode::SERVFAIL, Some(ede)))
    }

    /// The same request as if received over a stream, for writing without regard to the client's payload
    /// size.
    pub(super) const fn unlimited(self) -> Self {
        Self { client: Client { transport: Transport::Tcp, ..self.client }, ..self }
    }
}

/// Records the source and response code. Returns the reply's length in octets; `None`: nothing is sent.
pub(super) fn sent(event: &mut Event, source: Source, rcode: Rcode, len: usize) -> Option<usize> {
    event.source = source;
    if len == 0 {
        return None;
    }
    event.rcode = Some(rcode);
    Some(len)
}
