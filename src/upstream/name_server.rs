//! One server: how well it does, and asking it with care.

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

/// How long a server goes last after its first failure; each further failure in a row adds as much.
const PENALTY: Duration = Duration::from_secs(5);
/// The penalty grows no further than this many times [`PENALTY`].
const MAX_PENALTIES: u32 = 6;
/// Datagrams sent for one question to one server before its time is up.
pub(super) const SENDS: u32 = 3;

/// One upstream server.
pub(super) struct NameServer {
    pub(super) server: Server,
    pub(super) tally: Tally,
    location: Location,
    /// Failures since the last reply.
    failures: AtomicU32,
    /// When the last of them was, in milliseconds since the forwarder was made.
    failed_at: AtomicU64,
    /// When the last reply came, in milliseconds since the forwarder was made; 0: none yet.
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

    /// The transports to it, unless its address is yet to be found.
    pub(super) fn transports(&self, now: Instant) -> Option<Arc<Transports>> {
        self.location.known(now)
    }

    /// It gave an answer that is used.
    pub(super) fn succeeded(&self) {
        self.tally.add_answer();
        self.failures.store(0, Ordering::Relaxed);
    }

    /// It gave none over these transports, if it could be asked at all, and is in trouble.
    pub(super) fn has_failed(&self, now: u64, over: Option<&Arc<Transports>>) {
        self.tally.add_failure();
        self.failed_at.store(now, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        if let Some(transports) = over {
            self.location.failed(transports, clock());
        }
    }

    /// A reply came, whatever it says.
    pub(super) fn has_replied(&self, now: u64) {
        self.replied_at.store(now.max(1), Ordering::Relaxed);
    }

    /// True if no reply has come for so long, whatever the question.
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

    /// The transports to it, once its address is found.
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

    /// Its reply, without EDNS if that is the only way it understands the question (RFC 6891 §7). A
    /// question whose reply is known to be `truncated` goes over TCP at once.
    pub(super) async fn ask(
        &self,
        transports: &Transports,
        question: &Question,
        truncated: bool,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Missed> {
        let first = self.exchange(transports, question, true, truncated, deadline).await;
        let misread = match &first {
            Ok(bytes) => is_misread(rcode(bytes)),
            Err(Missed::NoQuestion(rcode)) => is_misread(*rcode),
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

/// Sends the question [`SENDS`] times while no reply comes; that to any of them is taken.
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
        let heard = Box::new(move |reply: Result<&[u8], Missed>| {
            // Nobody listens once another reply was taken.
            let _ = sender.send(reply.map(<[u8]>::to_vec));
        });
        transports.udp.ask(question, edns, now, end.saturating_duration_since(now), heard);
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
    let heard = Box::new(move |reply: Result<&[u8], Missed>| {
        // Nobody listens if the question was given up.
        let _ = sender.send(reply.map(<[u8]>::to_vec));
    });
    transports.tcp.ask(question, edns, clock(), budget, heard);
    reply.await.unwrap_or(Err(Missed::Silence))
}

/// The code of a reply, with the upper bits that its OPT record has (RFC 6891 §6.1.3).
pub(super) fn rcode(reply: &[u8]) -> Rcode {
    let low = || Header::read(reply).map_or(Rcode::SERVFAIL, Header::rcode);
    Message::parse(reply).map_or_else(low, |message| message.rcode())
}

/// True for what a server says that does not know EDNS: FORMERR and NOTIMP (RFC 6891 §7), and BADVERS,
/// though only version 0 is spoken here.
pub(super) const fn is_misread(rcode: Rcode) -> bool {
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
