//! One server: how it is doing, and sending it a query.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::deadline::clock;
use super::flights::{Missed, OnReply};
use super::hickory::Bootstrap;
use super::overhear::{Exchange, Overhear};
use super::race::Rank;
use super::rtt::Rtt;
use super::transports::{Location, Transports};
use super::udp::Send;
use super::{Question, Server, Tally};
use crate::dns::{Rcode, Transport};

/// How long a server that does not understand EDNS is queried without it, in milliseconds.
const PLAIN: u64 = 15 * 60 * 1000;
/// How long an OPT record proves that a server understands EDNS, in milliseconds.
const PROOF: u64 = 24 * 60 * 60 * 1000;
/// How often the proof is renewed at most, in milliseconds: not every reply has to be searched for it.
const RENEW: u64 = 1000;
/// So many replies in a row that can't be used, for so long, and something is wrong with the server.
const MANY_POOR: u32 = 20;
/// See [`MANY_POOR`], in milliseconds.
const LONG_POOR: u64 = 2000;

/// One upstream server.
pub(super) struct NameServer {
    pub(super) server: Server,
    pub(super) tally: Tally,
    pub(super) rtt: Rtt,
    location: Location,
    /// A [`Rank`], as its number.
    rank: AtomicU8,
    /// A task watches it until it is well again.
    watched: AtomicBool,
    /// Only a good reply ends the trouble, not just any.
    needs_good: AtomicBool,
    /// The time of the last reply, in milliseconds since the servers were made; 0: none yet.
    replied_at: AtomicU64,
    /// The time of the last good reply.
    good_at: AtomicU64,
    /// Replies since then that can't be used.
    poor: AtomicU32,
    /// Until when it is queried without EDNS.
    plain_until: AtomicU64,
    /// When an OPT record was last seen in a reply, in milliseconds since the servers were made; 0: never.
    opt_at: AtomicU64,
}

/// How a query is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// With an OPT record.
    pub(super) edns: bool,
    /// Over TCP.
    pub(super) tcp: bool,
}

/// When a query counts as slow, if ever, and when it has failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) slow: Option<Duration>,
    pub(super) wait: Duration,
    /// The reply has to repeat the letter case.
    pub(super) exact: bool,
}

impl NameServer {
    pub(super) fn new(server: Server, tick: Duration, bootstrap: &Arc<Bootstrap>) -> Self {
        let tally = Tally::default();
        Self {
            location: Location::new(&server.at, tick, bootstrap, &tally.unwanted),
            server,
            tally,
            rtt: Rtt::default(),
            rank: AtomicU8::new(Rank::Up as u8),
            watched: AtomicBool::new(false),
            needs_good: AtomicBool::new(false),
            replied_at: AtomicU64::new(0),
            good_at: AtomicU64::new(0),
            poor: AtomicU32::new(0),
            plain_until: AtomicU64::new(0),
            opt_at: AtomicU64::new(0),
        }
    }

    /// The transports to the server, unless its address is not known yet.
    pub(super) fn transports(&self, now: Instant) -> Option<Arc<Transports>> {
        self.location.known(now)
    }

    /// The transports to the server, once its address is known.
    ///
    /// # Errors
    /// Its name has no address.
    pub(super) async fn find(&self) -> Result<Arc<Transports>, Missed> {
        self.location.find().await.map_err(|why| Missed::Local(io::Error::other(why)))
    }

    /// The server does not reply at its address: another address of its name may.
    pub(super) fn move_on(&self, now: Instant) {
        if let Some(transports) = self.location.known(now) {
            self.location.failed(&transports, now);
        }
    }

    /// How a query is sent at first.
    pub(super) fn way(&self, now: u64) -> Way {
        Way { edns: now >= self.plain_until.load(Relaxed), tcp: self.server.tcp_only }
    }

    /// It replied without EDNS to what it did not understand with it. That says something about this one
    /// query if it is known to understand EDNS (RFC 6891 §7), and about all queries otherwise.
    pub(super) fn needs_plain(&self, now: u64) {
        let opt_at = self.opt_at.load(Relaxed);
        if opt_at == 0 || now.saturating_sub(opt_at) >= PROOF {
            self.plain_until.store(now.saturating_add(PLAIN), Relaxed);
        }
    }

    /// A reply arrived, with an OPT record or without, which is looked up only now and then.
    pub(super) fn may_know_edns(&self, now: u64, has_opt: impl FnOnce() -> bool) {
        let opt_at = self.opt_at.load(Relaxed);
        if (opt_at == 0 || now.saturating_sub(opt_at) >= RENEW) && has_opt() {
            self.opt_at.store(now.max(1), Relaxed);
            self.plain_until.store(0, Relaxed);
        }
    }

    /// A reply to a client's query arrived, whatever it says.
    pub(super) fn has_replied(&self, now: u64) {
        self.replied_at.store(now.max(1), Relaxed);
    }

    /// Any reply arrived, which is enough unless only a good one is. True if the server was down until now.
    pub(super) fn is_well(&self) -> bool {
        self.rank.load(Relaxed) != Rank::Up as u8 && !self.needs_good.load(Relaxed) && self.recover()
    }

    /// A good reply arrived. True if the server was down until now.
    pub(super) fn replied_well(&self, now: u64) -> bool {
        self.good_at.store(now, Relaxed);
        if self.poor.load(Relaxed) > 0 {
            self.poor.store(0, Relaxed);
        }
        self.rank.load(Relaxed) != Rank::Up as u8 && self.recover()
    }

    /// A reply arrived that can't be used. True if there have been so many that something is wrong.
    pub(super) fn replied_poorly(&self, now: u64) -> bool {
        let poor = self.poor.fetch_add(1, Relaxed).saturating_add(1);
        poor >= MANY_POOR && now.saturating_sub(self.good_at.load(Relaxed)) >= LONG_POOR
    }

    fn recover(&self) -> bool {
        self.tally.down.store(false, Relaxed);
        self.rank.swap(Rank::Up as u8, Relaxed) == Rank::Down as u8
    }

    /// True if a reply to any query has arrived since this time.
    pub(super) fn has_replied_since(&self, then: u64) -> bool {
        match self.replied_at.load(Relaxed) {
            0 => false,
            last => last >= then,
        }
    }

    /// How it is doing.
    pub(super) fn rank(&self) -> Rank {
        match self.rank.load(Relaxed) {
            0 => Rank::Up,
            1 => Rank::Suspect,
            _ => Rank::Down,
        }
    }

    /// True if it is down and does not reply at all.
    pub(super) fn is_mute(&self) -> bool {
        self.rank() == Rank::Down && !self.needs_good.load(Relaxed)
    }

    /// The server may be in trouble. True if nobody watches it yet: the caller does then.
    pub(super) fn suspect(&self, needs_good: bool) -> bool {
        if self.watched.swap(true, Relaxed) {
            return false;
        }
        self.needs_good.store(needs_good, Relaxed);
        self.poor.store(0, Relaxed);
        self.rank.store(Rank::Suspect as u8, Relaxed);
        true
    }

    /// It did not even reply to the probe, or not well. True if it was not down before.
    pub(super) fn is_down(&self) -> bool {
        self.tally.down.store(true, Relaxed);
        self.rank.swap(Rank::Down as u8, Relaxed) != Rank::Down as u8
    }

    /// Nobody watches it any more.
    pub(super) fn unwatched(&self) {
        self.watched.store(false, Relaxed);
    }

    /// Sends a query and returns. Must run within a runtime.
    pub(super) fn send(
        transports: &Transports,
        question: &Question,
        way: Way,
        now: Instant,
        limits: Limits,
        on_reply: OnReply,
    ) {
        let on_reply = match &transports.overhears {
            None => on_reply,
            Some(who) => overheard(who, transports.address, (question, way), now, on_reply),
        };
        if way.tcp {
            return transports.tcp.ask(question, way.edns, now, limits.wait, on_reply);
        }
        let Limits { slow, wait, exact } = limits;
        transports.udp.ask(&Send { question, edns: way.edns, now, slow, wait, exact }, on_reply);
    }
}

/// Tells `who` what `on_reply` hears at last.
fn overheard(
    who: &Arc<dyn Overhear>,
    server: SocketAddr,
    (question, way): (&Question, Way),
    sent: Instant,
    mut on_reply: OnReply,
) -> OnReply {
    let (who, mut packet) = (Arc::clone(who), question.packet(way.edns));
    let transport = if way.tcp { Transport::Tcp } else { Transport::Udp };
    Box::new(move |reply| {
        let octets = reply.as_ref().ok().copied();
        if let Some([high, low]) = octets.and_then(|octets| octets.first_chunk()) {
            packet.set_id(u16::from_be_bytes([*high, *low]));
        }
        if reply.as_ref().map_or_else(|missed| !missed.is_open(), |_| true) {
            let took = clock().saturating_duration_since(sent);
            who.exchanged(&Exchange { server, transport, query: packet.octets(), reply: octets, took });
        }
        on_reply(reply);
    })
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

    fn server() -> NameServer {
        let address = Endpoint::Address(([127, 0, 0, 1], 53).into());
        NameServer::new(Server::udp(address), Duration::from_millis(1), &Arc::new(Bootstrap::default()))
    }

    #[test]
    fn a_server_is_down_until_it_replies() {
        let server = server();
        assert_eq!(server.rank(), Rank::Up);
        assert!(server.suspect(false) && !server.suspect(false), "one task watches it");
        assert_eq!(server.rank(), Rank::Suspect);
        assert!(!server.is_well(), "it was not down");
        assert_eq!(server.rank(), Rank::Up);
        assert!(server.is_down() && !server.is_down(), "it goes down once");
        assert!(server.is_mute() && !server.tally.is_up());
        assert!(server.is_well() && !server.is_well(), "it is back once");
        assert!(server.rank() == Rank::Up && server.tally.is_up());
        server.has_replied(8);
        assert!(server.has_replied_since(8) && !server.has_replied_since(9));
    }

    #[test]
    fn bad_replies_are_trouble_only_if_there_are_no_others() {
        let server = server();
        let poor = |now| (0..MANY_POOR).filter(|_| server.replied_poorly(now)).count();
        assert!(!server.replied_well(100));
        assert_eq!(poor(100 + LONG_POOR - 1), 0, "for too short a time");
        assert!(!server.replied_well(5000));
        assert_eq!(poor(5000 + LONG_POOR), 1);
        assert!(server.suspect(true) && server.is_down());
        assert!(!server.is_mute());
        assert!(!server.is_well(), "any reply does not end it");
        assert!(server.replied_well(9000));
    }

    #[test]
    fn what_it_does_not_understand_is_remembered_for_a_while() {
        let server = server();
        assert!(server.way(0).edns);
        server.needs_plain(10);
        assert!(!server.way(10 + PLAIN - 1).edns && server.way(10 + PLAIN).edns);
    }

    #[test]
    fn a_server_that_knows_edns_is_not_remembered_as_one_that_does_not() {
        let server = server();
        server.may_know_edns(0, || true);
        server.needs_plain(10);
        server.needs_plain(PROOF);
        assert!(server.way(PROOF).edns);
        // It was replaced by one without EDNS.
        server.may_know_edns(PROOF, || false);
        server.needs_plain(PROOF + 1);
        assert!(!server.way(PROOF + 1).edns);
        // And then by one with EDNS.
        server.may_know_edns(PROOF + 2, || true);
        assert!(server.way(PROOF + 2).edns);
    }
}
