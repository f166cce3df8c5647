//! What happened to one query.

use std::net::SocketAddr;
use std::time::Duration;

use super::sink::Item;
use crate::dns::{Rcode, Transport};
use crate::policy::{RuleText, Verdict};

/// The step that produced the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The packet is not a query that this server answers.
    Malformed,
    /// The access list.
    Guard,
    /// A block rule.
    Policy,
    /// The server itself: a zone, CHAOS, ANY, or a type or class that it does not serve.
    Local,
    /// The cache.
    Cache,
    /// An upstream, for this query or an identical one in flight.
    Upstream,
    /// The cache, with an expired reply, because the upstreams failed.
    Stale,
    /// The imitated censor: forged replies, or none.
    Censor,
    /// None: too many queries were waiting.
    Shed,
}

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Malformed,
        Self::Guard,
        Self::Policy,
        Self::Local,
        Self::Cache,
        Self::Upstream,
        Self::Stale,
        Self::Censor,
        Self::Shed,
    ];

    /// The word for it in logs and metrics labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Guard => "guard",
            Self::Policy => "policy",
            Self::Local => "local",
            Self::Cache => "cache",
            Self::Upstream => "upstream",
            Self::Stale => "stale",
            Self::Censor => "censor",
            Self::Shed => "shed",
        }
    }
}

/// What happened to one query. It does not hold the name: a reader that needs it parses the packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// The client's address.
    pub client: SocketAddr,
    /// How the query came.
    pub transport: Transport,
    /// The policy's verdict.
    pub verdict: Verdict,
    /// The step that produced the reply.
    pub source: Source,
    /// The response code sent; `None` if nothing was sent.
    pub rcode: Option<Rcode>,
    /// From receipt to reply.
    pub took: Duration,
}

impl Event {
    /// A query that has just been received.
    #[must_use]
    pub const fn new(client: SocketAddr, transport: Transport) -> Self {
        Self {
            client,
            transport,
            verdict: Verdict::NoRule,
            source: Source::Malformed,
            rcode: None,
            took: Duration::ZERO,
        }
    }
}

/// What a listener receives for one query.
#[derive(Clone, Debug)]
pub struct Line {
    /// What happened.
    pub event: Event,
    /// The octets of the query, well-formed or not.
    pub query: Box<[u8]>,
    /// The octets of the reply as sent to the client; empty if nothing was sent.
    pub reply: Box<[u8]>,
    /// The rule that decided, if one did.
    pub rule: Option<RuleText>,
}

impl Item for Line {
    fn octets(&self) -> usize {
        let rule = self.rule.as_ref().map_or(0, |rule| rule.rule.len() + rule.list.len());
        self.query.len() + self.reply.len() + rule
    }
}
