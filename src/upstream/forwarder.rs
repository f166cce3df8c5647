//! Which server is queried, in which order and for how long.
//!
//! Most queries take the fast path: each is sent once to the first server. Only if that brings no good
//! reply does a task query the other servers, or the same one in another way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::ask::{Answer, Done, Failure, Tally, Upstream};
use super::deadline::{Deadline, clock, millis};
use super::flights::Missed;
use super::hickory::Bootstrap;
use super::name_server::{NameServer, SENDS, rejects_edns};
use super::transports::Transports;
use super::{Endpoint, Question, Server};
use crate::dns::{Message, Rcode, flag};

/// How many queries go through all servers at once while every server is under a penalty. Enough to notice
/// that one has recovered; more would only take resources from queries that can be answered.
const MAX_PROBES: usize = 64;
/// While that many probes are in flight, one in this many further queries is still sent: all probes may be
/// for names that no server can answer.
const STILL_ASKED: usize = 16;
/// The most characters of a library's error text that are passed on.
const MAX_TEXT: usize = 100;

/// Sends queries to a list of servers, in order, until one gives a good reply.
pub struct Forwarder {
    servers: Vec<NameServer>,
    timeout: Duration,
    /// Probes in flight: queries that no server has replied to yet while all are under a penalty.
    probes: AtomicUsize,
    /// Queries that arrived while there were enough probes.
    refused: AtomicUsize,
    /// The origin of the servers' timestamps.
    born: Instant,
}

/// The result of the first attempt.
#[derive(Debug)]
enum Known {
    Nothing,
    /// The server replied, but another may do better, or the same one in another way.
    Poor,
    /// The reply of the server with this index was truncated.
    Truncated(usize),
    /// The server with this index did not reply, or can't be reached.
    Bad(usize, Missed),
}

impl Forwarder {
    /// Queries `servers` in the order given, each for at most `timeout` at a time. The system's resolver
    /// finds servers that are given by name; see [`Forwarder::with_bootstrap`].
    #[must_use]
    pub fn new(servers: Vec<Server>, timeout: Duration) -> Self {
        Self::with_bootstrap(servers, timeout, &Arc::new(Bootstrap::default()))
    }

    /// The same, but `bootstrap` resolves servers that are given by name: before their first use, when the
    /// TTL of the addresses expires, and when none of them replies.
    #[must_use]
    pub fn with_bootstrap(servers: Vec<Server>, timeout: Duration, bootstrap: &Arc<Bootstrap>) -> Self {
        // A quarter of the time limit for a datagram.
        let tick = (timeout / (4 * SENDS)).clamp(Duration::from_millis(1), Duration::from_secs(1));
        let servers = servers.into_iter().map(|server| NameServer::new(server, tick, bootstrap)).collect();
        Self { servers, timeout, probes: AtomicUsize::new(0), refused: AtomicUsize::new(0), born: clock() }
    }

    /// The time limit of the first attempt: over UDP it leaves time for another.
    fn first_wait(&self, server: &NameServer) -> Duration {
        if server.server.tcp_only { self.timeout } else { self.timeout / SENDS }
    }

    /// The reply to the first attempt if it is good, else what later attempts need to know.
    fn judge<'r>(
        &self,
        index: usize,
        transports: &Arc<Transports>,
        reply: Result<&'r [u8], Missed>,
    ) -> Result<&'r [u8], Known> {
        let server = self.servers.get(index).ok_or(Known::Nothing)?;
        let missed = match reply {
            Ok(bytes) => {
                server.has_replied(self.now());
                let Some(reply) = Message::parse(bytes) else { return Err(Known::Poor) };
                if reply.header.has(flag::TC) && !server.server.tcp_only {
                    return Err(Known::Truncated(index));
                }
                // Another server may do better, or this one without EDNS.
                let rcode = reply.rcode();
                if is_poor(rcode) && (self.servers.len() > 1 || rejects_edns(rcode)) {
                    return Err(Known::Poor);
                }
                server.succeeded();
                return Ok(bytes);
            }
            Err(missed) => missed,
        };
        match &missed {
            Missed::NoQuestion(_) => return Err(Known::Poor),
            Missed::Local(error) => {
                tracing::debug!(server = %server.server.at, %error, "a query could not be sent");
                return Err(Known::Nothing);
            }
            Missed::Network(error) => {
                tracing::debug!(server = %server.server.at, %error, "no reply from upstream");
                server.has_failed(self.now(), Some(transports));
            }
            Missed::Silence => {
                // One datagram may be lost; a server that has not replied to any other query either is in
                // trouble.
                if server.is_silent(self.now(), self.first_wait(server)) {
                    server.has_failed(self.now(), Some(transports));
                } else if server.server.tcp_only {
                    server.tally.add_failure();
                }
            }
        }
        Err(Known::Bad(index, missed))
    }

    /// Runs [`Forwarder::ask`] in a task of its own.
    fn carefully(self: Arc<Self>, question: Question, known: Known, done: Done) {
        let probe = matches!(known, Known::Nothing | Known::Bad(..)).then(|| Probe::new(&self));
        tokio::spawn(async move {
            let answer = self.ask_knowing(&question, known).await;
            drop(probe);
            match answer {
                Ok(answer) => done(Ok(&answer.bytes)),
                Err(failure) => done(Err(failure)),
            }
        });
    }

    /// True if every server is under a penalty and enough probes are in flight.
    fn has_enough_probes(&self) -> bool {
        self.probes.load(Ordering::Relaxed) >= MAX_PROBES
            && self.servers.iter().all(|server| server.is_late(self.now()))
    }

    /// Sends the query to the servers, recently failed ones last, until one replies with something other
    /// than SERVFAIL, REFUSED, NOTIMP or FORMERR. If none does better, the first such reply is the answer.
    /// Takes at most the timeout times one more than the number of servers.
    ///
    /// Dropping the future cancels the query.
    ///
    /// # Errors
    /// [`Failure`] if no server sent any reply to the query.
    pub async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        self.ask_knowing(question, Known::Nothing).await
    }

    async fn ask_knowing(&self, question: &Question, known: Known) -> Result<Answer, Failure> {
        if self.servers.is_empty() {
            return Err(Failure::NoServers);
        }
        let turns = u32::try_from(self.servers.len()).unwrap_or(u32::MAX).saturating_add(1);
        let deadline = Deadline { end: clock() + self.timeout.saturating_mul(turns), each: self.timeout };
        let mut poor = None;
        let mut network = None;
        for (index, server) in self.in_order(&known) {
            if let Known::Bad(bad, missed) = &known
                && *bad == index
                && server.server.tcp_only
            {
                // Nothing was lost on the way, and the server had its full time.
                network = network.or_else(|| why(server, missed));
                continue;
            }
            if deadline.next().is_zero() {
                break;
            }
            let truncated = matches!(&known, Known::Truncated(by) if *by == index);
            let found = server.find(&deadline).await;
            let over = found.as_ref().ok().cloned();
            let asked = match found {
                Ok(transports) => server.ask(&transports, question, truncated, &deadline).await,
                Err(missed) => Err(missed),
            };
            match asked {
                Ok(bytes) => {
                    server.has_replied(self.now());
                    server.succeeded();
                    let good = Message::parse(&bytes).is_some_and(|reply| !is_poor(reply.rcode()));
                    let answer = Answer { bytes, server: index };
                    if good {
                        return Ok(answer);
                    }
                    poor.get_or_insert(answer);
                }
                Err(missed) => {
                    // A name that no server can answer, or broken TCP, does not count against a server that
                    // replies to other queries.
                    if !truncated && server.is_silent(self.now(), self.timeout) {
                        server.has_failed(self.now(), over.as_ref());
                    } else {
                        server.tally.add_failure();
                    }
                    tracing::debug!(server = %server.server.at, ?missed, "no reply from upstream");
                    network = network.or_else(|| why(server, &missed));
                }
            }
        }
        match (poor, network) {
            (Some(answer), _) => Ok(answer),
            (None, Some(why)) => Err(Failure::Network(why)),
            (None, None) => Err(Failure::Timeout),
        }
    }

    /// The servers with their indexes, by rank, then as configured. The rank is first (0), late because of
    /// a penalty, or last because the server has just failed.
    fn in_order(&self, known: &Known) -> Vec<(usize, &NameServer)> {
        let mut order: Vec<_> = self.servers.iter().enumerate().collect();
        order.sort_by_cached_key(|(index, server)| match known {
            Known::Bad(bad, _) if bad == index => 2,
            _ => u8::from(server.is_late(self.now())),
        });
        order
    }

    /// Milliseconds since [`Forwarder::born`].
    fn now(&self) -> u64 {
        millis(clock().saturating_duration_since(self.born))
    }
}

impl Upstream for Forwarder {
    /// Sends the query to the first server once. If that brings no complete and good reply, continues as
    /// [`Forwarder::ask`], unless all servers are in trouble.
    fn begin(self: Arc<Self>, question: Question, now: Instant, done: Done) {
        if self.has_enough_probes()
            && !self.refused.fetch_add(1, Ordering::Relaxed).is_multiple_of(STILL_ASKED)
        {
            return done(Err(Failure::Timeout));
        }
        let this = Arc::clone(&self);
        let mut servers = self.servers.iter().enumerate();
        let first = servers
            .find(|(_, server)| !server.is_late(self.now()))
            .or_else(|| self.servers.iter().enumerate().next())
            .and_then(|(index, server)| Some((index, server, server.transports(now)?)));
        let Some((index, server, transports)) = first else {
            return this.carefully(question, Known::Nothing, done);
        };
        let asked = question.clone();
        let over = Arc::clone(&transports);
        let on_reply = move |reply: Result<&[u8], Missed>| match this.judge(index, &over, reply) {
            Ok(reply) => done(Ok(reply)),
            Err(Known::Bad(..)) if this.has_enough_probes() => done(Err(Failure::Timeout)),
            Err(known) => this.carefully(asked, known, done),
        };
        let wait = self.first_wait(server);
        if server.server.tcp_only {
            transports.tcp.ask(&question, true, now, wait, Box::new(on_reply));
        } else {
            transports.udp.ask(&question, true, now, wait, Box::new(on_reply));
        }
    }

    fn tallies(&self) -> Vec<(&Endpoint, &Tally)> {
        self.servers.iter().map(|server| (&server.server.at, &server.tally)).collect()
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("servers", &self.servers.iter().map(|s| &s.server).collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// One of [`Forwarder::probes`], until dropped.
struct Probe(Arc<Forwarder>);

impl Probe {
    fn new(forwarder: &Arc<Forwarder>) -> Self {
        forwarder.probes.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(forwarder))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.probes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// True for a response code that another server may improve on.
fn is_poor(rcode: Rcode) -> bool {
    !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN)
}

/// Which server gave no reply and why, unless it timed out.
fn why(server: &NameServer, missed: &Missed) -> Option<String> {
    let at = &server.server.at;
    match missed {
        Missed::Silence => None,
        Missed::NoQuestion(rcode) => Some(format!("{at}: {rcode} without a question")),
        Missed::Network(error) | Missed::Local(error) => Some(format!("{at}: {}", short(&error.to_string()))),
    }
}

/// The first line of a text, cut to [`MAX_TEXT`] characters.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_cut() {
        assert_eq!(short("one\ntwo"), "one");
        assert_eq!(short(&"é".repeat(101)).chars().count(), 101);
        assert_eq!(short(&"é".repeat(100)), "é".repeat(100));
    }
}
