//! The servers of one forwarder, and what a reply says about the one that sent it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::Server;
use super::deadline::{clock, millis};
use super::flights::Missed;
use super::hickory::Bootstrap;
use super::name_server::{NameServer, Way, rejects_edns};
use super::race::Rank;
use crate::dns::{Message, Rcode, Screened, flag, screen};

/// How many queries may be in flight while no server replies to anything. Enough to notice that one is back;
/// more would only take memory. The servers are probed besides, so whatever these are for, a server that is
/// back is noticed.
const MAX_IN_VAIN: usize = 256;
/// Interval between checks for slow and overdue queries, at most.
const TICK: Duration = Duration::from_millis(10);

/// The servers of one forwarder, in order of preference.
pub(super) struct Servers {
    pub(super) all: Vec<NameServer>,
    /// The time limit of one try.
    pub(super) timeout: Duration,
    /// Queries in flight while all servers are down.
    in_vain: AtomicUsize,
    /// How often a server that was down has replied again.
    pub(super) revivals: AtomicU64,
    /// The origin of timestamps.
    born: Instant,
}

/// What came of a try.
#[derive(Debug)]
pub(super) enum Came<'r> {
    /// The answer, as it is relayed.
    Good(Cow<'r, [u8]>),
    /// An error that another server may not have.
    Poor(Cow<'r, [u8]>),
    /// The server may understand the query without EDNS. The reply, if there is one; and whether it has an
    /// OPT record, so that EDNS as such is not the reason.
    Plain(Option<Vec<u8>>, bool),
    /// The query is to be sent over TCP, and why, unless the reply was merely truncated.
    OverTcp(Option<String>),
    /// A reply may still come.
    Open(Missed),
    /// None will.
    Ended(Missed),
}

impl Servers {
    pub(super) fn new(servers: Vec<Server>, timeout: Duration, bootstrap: &Arc<Bootstrap>) -> Self {
        let tick = (timeout / 16).clamp(Duration::from_millis(1), TICK);
        Self {
            all: servers.into_iter().map(|server| NameServer::new(server, tick, bootstrap)).collect(),
            timeout,
            in_vain: AtomicUsize::new(0),
            revivals: AtomicU64::new(0),
            born: clock(),
        }
    }

    /// Milliseconds since the servers were made.
    pub(super) fn millis(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.born))
    }

    /// The server to be queried first: the best one, in order of preference.
    pub(super) fn first(&self) -> Option<(usize, &NameServer)> {
        let mut best: Option<(usize, &NameServer, Rank)> = None;
        for (index, server) in self.all.iter().enumerate() {
            let rank = server.rank();
            if rank == Rank::Up {
                return Some((index, server));
            }
            if best.is_none_or(|(_, _, known)| rank < known) {
                best = Some((index, server, rank));
            }
        }
        best.map(|(index, server, _)| (index, server))
    }

    /// Counts a query to a server.
    pub(super) fn count(&self, index: usize, replied: bool) {
        match self.all.get(index) {
            Some(server) if replied => server.tally.add_answer(),
            Some(server) => server.tally.add_failure(),
            None => {}
        }
    }

    /// True if no server replies to anything.
    pub(super) fn are_mute(&self) -> bool {
        !self.all.is_empty() && self.all.iter().all(NameServer::is_mute)
    }

    /// What came of a try at a server, and what that says about it. The reply to a probe says nothing about
    /// how long others take.
    pub(super) fn judge<'r>(
        &self,
        index: usize,
        way: Way,
        sent: Option<Instant>,
        reply: Result<&'r [u8], Missed>,
    ) -> Came<'r> {
        let Some(server) = self.all.get(index) else { return Came::Ended(Missed::Silence) };
        let bytes = match reply {
            Ok(bytes) => bytes,
            Err(missed) => return self.without_reply(server, way, missed),
        };
        let now = clock();
        let at = self.millis(now);
        if let Some(sent) = sent {
            if !way.tcp {
                server.rtt.sample(now.saturating_duration_since(sent));
            }
            server.has_replied(at);
        }
        if server.is_well() {
            self.is_back(server);
        }
        let again = |why: String| {
            if way.tcp { Came::Ended(Missed::Unusable(why)) } else { Came::OverTcp(Some(why)) }
        };
        let Some(reply) = Message::parse(bytes) else { return again("a malformed reply".to_owned()) };
        let rcode = reply.rcode();
        // BADVERS needs an OPT record, and yet the server does not understand this version.
        let has_opt = || reply.header.arcount > 0 && rcode != Rcode::BADVERS && reply.edns().is_some();
        server.may_know_edns(at, has_opt);
        if reply.header.has(flag::TC) && !way.tcp {
            return Came::OverTcp(None);
        }
        if rejects_edns(rcode) && way.edns {
            return Came::Plain(Some(bytes.to_vec()), rcode != Rcode::BADVERS && reply.edns().is_some());
        }
        let bytes = match screen(&reply) {
            Ok(Screened::Whole) => Cow::Borrowed(bytes),
            Ok(Screened::Part(part)) => Cow::Owned(part),
            Err(unsound) => return again(format!("a reply that can't be relayed: {unsound}")),
        };
        if is_poor(rcode) {
            return Came::Poor(bytes);
        }
        if server.replied_well(at) {
            self.is_back(server);
        }
        Came::Good(bytes)
    }

    fn without_reply<'r>(&self, server: &NameServer, way: Way, missed: Missed) -> Came<'r> {
        match missed {
            Missed::NoQuestion(rcode) => {
                server.has_replied(self.millis(clock()));
                if server.is_well() {
                    self.is_back(server);
                }
                if rejects_edns(rcode) && way.edns {
                    return Came::Plain(None, false);
                }
                Came::Ended(missed)
            }
            // It may be a forged reply, or a server that does not keep the case; TCP is safe.
            Missed::Case => Came::OverTcp(None),
            missed if missed.is_open() => Came::Open(missed),
            missed => Came::Ended(missed),
        }
    }

    fn is_back(&self, server: &NameServer) {
        self.revivals.fetch_add(1, Relaxed);
        tracing::info!(upstream = %server.server.at, "the upstream answers again");
    }
}

/// True for a response code that another server may improve on.
pub(super) fn is_poor(rcode: Rcode) -> bool {
    !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN)
}

/// One of the queries in flight while all servers are down, until dropped.
pub(super) struct InVain(Arc<Servers>);

impl InVain {
    /// `None` if there are enough.
    pub(super) fn new(servers: &Arc<Servers>) -> Option<Self> {
        let this = Self(Arc::clone(servers));
        (servers.in_vain.fetch_add(1, Relaxed) < MAX_IN_VAIN).then_some(this)
    }
}

impl Drop for InVain {
    fn drop(&mut self) {
        self.0.in_vain.fetch_sub(1, Relaxed);
    }
}
