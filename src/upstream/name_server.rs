//! One server: its recent success, and querying it with retries.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::deadline::{Deadline, clock, millis};
use super::flights::Missed;
use super::hickory::Bootstrap;
use super::transports::{Location, Transports};
use super::{Question, Server, Tally};
use crate::dns::{Header, Message, Rcode, flag};

/// How long a server is moved to the end after its first failure; each further consecutive failure adds as
/// much.
const PENALTY: Duration = Duration::from_secs(5);
/// The penalty is at most this many times [`PENALTY`].
const MAX_PENALTIES: u32 = 6;
/// How often a query is sent to one server over UDP within its time limit.
pub(super) const SENDS: u32 = 3;

/// One upstream server.
pub(super) struct NameServer {
    pub(super) server: Server,
    pub(super) tally: Tally,
    location: Location,
    /// Failures since the last reply.
    failures: AtomicU32,
    /// The time of the last failure, in milliseconds since the forwarder was made.
    failed_at: AtomicU64,
    /// The time of the last reply, in milliseconds since the forwarder was made; 0: none yet.
    replied_at: AtomicU64,
}

impl NameServer {
    pub(super) fn new(server: Server, tick: Duration, bootstrap: &Arc<Bootstrap>) -> Self {
        Self {
            location: Location::new(&server.at, tick, bootstrap),
            server,
            tally: Tally::default(),
            failures: AtomicU32::new(0),
            failed_at: AtomicU64::new(0),
            replied_at: AtomicU64::new(0),
        }
    }

    /// The transports to the server, unless its address is not known yet.
    pub(super) fn transports(&self, now: Instant) -> Option<Arc<Transports>> {
        self.location.known(now)
    }

    /// The server gave a reply that is used.
    pub(super) fn succeeded(&self) {
        self.tally.add_answer();
        self.failures.store(0, Ordering::Relaxed);
    }

    /// The server gave no reply over these transports, if it could be queried at all, and is in trouble.
    pub(super) fn has_failed(&self, now: u64, over: Option<&Arc<Transports>>) {
        self.tally.add_failure();
        self.failed_at.store(now, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(transports) = over {
            self.location.failed(transports, clock());
        }
    }

    /// A reply arrived, whatever it says.
    pub(super) fn has_replied(&self, now: u64) {
        self.replied_at.store(now.max(1), Ordering::Relaxed);
    }

    /// True if no reply to any query has arrived for this long.
    pub(super) fn is_silent(&self, now: u64, wait: Duration) -> bool {
        match self.replied_at.load(Ordering::Relaxed) {
            0 => true,
            last => now.saturating_sub(last) >= millis(wait),
        }
    }

    /// True while the server's penalty lasts.
    pub(super) fn is_late(&self, now: u64) -> bool {
        let failures = self.failures.load(Ordering::Relaxed).min(MAX_PENALTIES);
        let since = now.saturating_sub(self.failed_at.load(Ordering::Relaxed));
        since < millis(PENALTY.saturating_mul(failures))
    }

    /// The transports to the server, once its address is known.
    ///
    /// # Errors
    /// Its name has no address, or none is found in time.
    pub(super) async fn find(&self, deadline: &Deadline) -> Result<Arc<Transports>, Missed> {
        match timeout(deadline.next(), self.location.find()).await {
            Ok(Ok(transports)) => Ok(transports),
            Ok(Err(why)) => Err(Missed::Local(io::Error::other(why))),
            Err(_) => Err(Missed::Silence),
        }
    }

    /// Its reply, without EDNS if the server understands the query only that way (RFC 6891 §7). If the
    /// reply is known to be `truncated`, the query goes over TCP at once.
    pub(super) async fn ask(
        &self,
        transports: &Transports,
        question: &Question,
        truncated: bool,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Missed> {
        let first = self.exchange(transports, question, true, truncated, deadline).await;
        let misread = match &first {
            Ok(bytes) => rejects_edns(rcode(bytes)),
            Err(Missed::NoQuestion(rcode)) => rejects_edns(*rcode),
            Err(_) => false,
        };
        if !misread {
            return first;
        }
        match self.exchange(transports, question, false, truncated, deadline).await {
            Ok(bytes) => Ok(bytes),
            Err(second) => first.map_err(|_| second),
        }
    }

    async fn exchange(
        &self,
        transports: &Transports,
        question: &Question,
        edns: bool,
        truncated: bool,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Missed> {
        if !self.server.tcp_only && !truncated {
            let bytes = over_udp(transports, question, edns, deadline.next()).await?;
            if !Header::read(&bytes).is_some_and(|header| header.has(flag::TC)) {
                return Ok(bytes);
            }
        }
        over_tcp(transports, question, edns, deadline.next()).await
    }
}

/// Sends the query up to [`SENDS`] times until a reply arrives; a reply to any of them is accepted.
async fn over_udp(
    transports: &Transports,
    question: &Question,
    edns: bool,
    budget: Duration,
) -> Result<Vec<u8>, Missed> {
    let end = clock() + budget;
    let (sender, mut replies) = mpsc::unbounded_channel();
    for _ in 0..SENDS {
        let (now, sender) = (clock(), sender.clone());
        let on_reply = Box::new(move |reply: Result<&[u8], Missed>| {
            // The receiver is gone once another reply was accepted.
            let _ = sender.send(reply.map(<[u8]>::to_vec));
        });
        transports.udp.ask(question, edns, now, end.saturating_duration_since(now), on_reply);
        if let Ok(Some(reply)) = timeout(budget / SENDS, replies.recv()).await {
            return reply;
        }
    }
    Err(Missed::Silence)
}

async fn over_tcp(
    transports: &Transports,
    question: &Question,
    edns: bool,
    budget: Duration,
) -> Result<Vec<u8>, Missed> {
    let (sender, reply) = oneshot::channel();
    let on_reply = Box::new(move |reply: Result<&[u8], Missed>| {
        // The receiver is gone if the query was cancelled.
        let _ = sender.send(reply.map(<[u8]>::to_vec));
    });
    transports.tcp.ask(question, edns, clock(), budget, on_reply);
    reply.await.unwrap_or(Err(Missed::Silence))
}

/// The code of a reply, including the upper bits in its OPT record (RFC 6891 §6.1.3).
pub(super) fn rcode(reply: &[u8]) -> Rcode {
    let low = || Header::read(reply).map_or(Rcode::SERVFAIL, Header::rcode);
    Message::parse(reply).map_or_else(low, |message| message.rcode())
}

/// True for the response codes of a server without EDNS: FORMERR and NOTIMP (RFC 6891 §7), and BADVERS,
/// although only version 0 is sent.
pub(super) const fn rejects_edns(rcode: Rcode) -> bool {
    matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP | Rcode::BADVERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Endpoint;

    #[test]
    fn a_penalty_grows_and_ends() {
        let address = Endpoint::Address(([127, 0, 0, 1], 53).into());
        let tick = Duration::from_millis(1);
        let server = NameServer::new(Server::udp(address), tick, &Arc::new(Bootstrap::default()));
        assert!(!server.is_late(0));
        for (failures, until) in [(1, 5_000), (2, 10_000), (6, 30_000), (1000, 30_000)] {
            server.failures.store(failures, Ordering::Relaxed);
            server.failed_at.store(100, Ordering::Relaxed);
            assert!(server.is_late(100 + until - 1), "{failures}");
            assert!(!server.is_late(100 + until), "{failures}");
        }
        server.succeeded();
        assert!(!server.is_late(100));
    }
}
