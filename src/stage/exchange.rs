//! The truth about one query under a scenario: the query, the replies, and the rule behind them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::censor::{End, Evidence, StubMode};
use crate::dns::{self, Query, Rcode, Transport};
use crate::observe::sink::Item;

/// One query with all packets that were sent for it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The run that it is part of.
    pub run: Arc<Run>,
    /// Its number since the start, from 1.
    pub number: u64,
    /// The scenario's clock, in seconds since 1970 (UTC).
    pub at: i64,
    /// How long the scenario had run when the query arrived.
    pub uptime: Duration,
    /// The network, by its id.
    pub network: String,
    /// The client.
    pub client: SocketAddr,
    /// The address and port that the query was sent to.
    pub server: SocketAddr,
    /// The transport.
    pub transport: Transport,
    /// The query's octets.
    pub query: Vec<u8>,
    /// The rule that decided; `None`: none did, and the genuine answer was let through.
    pub rule: Option<Decided>,
    /// The packets sent, in order.
    pub replies: Vec<Sent>,
    /// How the TCP connection was ended.
    pub end: End,
    /// Not all planned packets were sent: the connection or the server ended before.
    pub cut: bool,
}

impl Exchange {
    /// The question: `linkedin.com A`; `?` if the query cannot be parsed.
    #[must_use]
    pub fn question(&self) -> String {
        Query::parse(&self.query).map_or_else(|_| "?".into(), |q| format!("{} {}", q.qname, q.qtype))
    }

    /// True if the honest network refuses the name as well: it is outside the scenario's zones, and there is
    /// no upstream.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        let refused = |sent: &Sent| dns::rcode(&sent.octets) == Some(Rcode::REFUSED);
        self.rule.is_none() && matches!(&self.replies[..], [sent] if sent.genuine && refused(sent))
    }

    /// The octets of all packets in it.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.query.len() + self.replies.iter().map(|reply| reply.octets.len()).sum::<usize>()
    }

    /// The id of the rule that decided; `None`: none did.
    #[must_use]
    pub fn rule_id(&self) -> Option<&str> {
        self.rule.as_ref().map(|rule| rule.id.as_str())
    }
}

impl Item for Exchange {
    fn octets(&self) -> usize {
        Self::octets(self)
    }
}

/// The run that an exchange is part of: the same run and the same queries give the same exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The scenario's name.
    pub scenario: String,
    /// The seed of all random draws.
    pub seed: u64,
    /// The kind of addresses in forged answers.
    pub stubs: StubMode,
}

/// The rule behind an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Its id.
    pub id: String,
    /// The kind of its action, as it is written in the file.
    pub action: String,
    /// The imitated behaviour, in words.
    pub intent: String,
    /// The evidence for it.
    pub evidence: Evidence,
}

/// One packet that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The planned time of sending after the query.
    pub planned: Duration,
    /// The real time of sending after the query.
    pub after: Duration,
    /// The message.
    pub octets: Vec<u8>,
    /// It is the honest network's reply.
    pub genuine: bool,
    /// The TTL of the IP packet; `None`: the system's.
    pub ip_ttl: Option<u8>,
}
