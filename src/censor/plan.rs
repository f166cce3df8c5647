//! One question and a scenario → the packets that the censor sends.

use std::time::Duration;

use super::End;

/// What is done with one query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The rule that decided, by its place; `None`: none did.
    pub rule: Option<u16>,
    /// The forged answers, in the order in which they are sent.
    pub forged: Vec<Shot>,
    /// When the genuine answer is let through; `None`: it is not.
    pub genuine: Option<Duration>,
    /// How the TCP connection ends after that.
    pub end: End,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// How long after the query.
    pub after: Duration,
    /// The message, without the length that stands before it over TCP.
    pub octets: Vec<u8>,
    /// The TTL of the IP packet; `None`: the system's.
    pub ip_ttl: Option<u8>,
}
