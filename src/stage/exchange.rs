//! The truth about one query under a scenario: what was asked, what was done and why.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::censor::{End, Evidence, StubMode};
use crate::dns::{self, Query, Rcode, Transport};
use crate::observe::sink::Item;

/// One question with all that was sent for it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What was played.
    pub run: Arc<Run>,
    /// Its number since the start, from 1.
    pub number: u64,
    /// The scenario's clock, in seconds since 1970 (UTC).
    pub at: i64,
    /// How long the scenario had run when the query came.
    pub uptime: Duration,
    /// The network, by its id.
    pub network: String,
    /// Who asked.
    pub client: SocketAddr,
    /// The address and port that were asked.
    pub server: SocketAddr,
    /// How.
    pub transport: Transport,
    /// The query's octets.
    pub query: Vec<u8>,
    /// The rule that decided; `None`: none did, the genuine answer was let through.
    pub rule: Option<Decided>,
    /// What was sent, in the order of its sending.
    pub replies: Vec<Sent>,
    /// How the TCP connection was ended.
    pub end: End,
    /// Not all that was planned was sent: the connection ended before, or the server did.
    pub cut: bool,
}

impl Exchange {
    /// The question: `linkedin.com A`; `?` if the query is too broken to tell.
    #[must_use]
    pub fn question(&self) -> String {
        Query::parse(&self.query).map_or_else(|_| "?".into(), |q| format!("{} {}", q.qname, q.qtype))
    }

    /// True if the honest network does not know the name either: it is outside the scenario's zones, and
    /// nobody else is asked.
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

/// What an exchange is part of: the same of all that, and the same questions, give the same exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The scenario's name.
    pub scenario: String,
    /// What all draws start from.
    pub seed: u64,
    /// What addresses are given out.
    pub stubs: StubMode,
}

/// The rule behind an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Its id.
    pub id: String,
    /// The kind of its action, as it is written in the file.
    pub action: String,
    /// What is imitated, in words.
    pub intent: String,
    /// How sure that is.
    pub evidence: Evidence,
}

/// One packet that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// How long after the query it was meant to be sent.
    pub planned: Duration,
    /// How long after the query it was.
    pub after: Duration,
    /// The message.
    pub octets: Vec<u8>,
    /// It is what the honest network says.
    pub genuine: bool,
    /// The TTL of the IP packet; `None`: the system's.
    pub ip_ttl: Option<u8>,
}
