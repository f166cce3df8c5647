//! The servers that questions are passed on to, and what comes back from them.
//!
//! The types here name no DNS library; [`forwarder`] is the one place that does. A [`Forwarder`] takes a
//! [`Question`] and hands back the reply exactly as a server sent it, so that nothing in it is lost: not
//! the AD bit, not an extended error, not the SOA of a negative answer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dns::edns::{self, PAYLOAD_SIZE};
use crate::dns::header::{Header, LEN, flag};
use crate::dns::name::{MAX_NAME, NameBuf};
use crate::dns::types::{Class, Qtype};

pub mod forwarder;
pub mod route;
mod udp;

pub use forwarder::Forwarder;

/// One upstream server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Ask it over TCP only, never over UDP.
    pub tcp_only: bool,
}

/// What to ask.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name, sent in the case in which it stands here.
    pub qname: NameBuf,
    /// The type; any number goes through.
    pub qtype: Qtype,
    /// The class; any number goes through.
    pub qclass: Class,
    /// The DO bit: the asker wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// The CD bit: the asker checks signatures itself (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// The AD bit: the asker wants to hear whether the answer is authentic (RFC 6840 §5.7).
    pub authentic_data: bool,
}

/// The most octets of a question as a message: header, name, type, class and OPT.
const MAX_QUESTION: usize = LEN + MAX_NAME + 4 + 11;

impl Question {
    /// Writes it as a message with RD and an OPT record; gives the message. `None` if it does not fit
    /// into `out`.
    fn write<'o>(&self, id: u16, out: &'o mut [u8; MAX_QUESTION]) -> Option<&'o [u8]> {
        let bit = |on, mask| if on { mask } else { 0 };
        let flags = flag::RD | bit(self.checking_disabled, flag::CD) | bit(self.authentic_data, flag::AD);
        let header = Header { id, flags, qdcount: 1, ancount: 0, nscount: 0, arcount: 1 };
        let [p0, p1] = PAYLOAD_SIZE.to_be_bytes();
        let [d0, d1] = bit(self.dnssec_ok, edns::DO).to_be_bytes();
        let mut len = 0;
        for part in [
            &header.to_bytes()[..],
            self.qname.as_bytes(),
            &self.qtype.0.to_be_bytes(),
            &self.qclass.0.to_be_bytes(),
            &[0, 0, 41, p0, p1, 0, 0, d0, d1, 0, 0],
        ] {
            out.get_mut(len..len + part.len())?.copy_from_slice(part);
            len += part.len();
        }
        out.get(..len)
    }

    /// The octets of the question section of a message that [`Question::write`] made.
    fn on_wire<'o>(&self, message: &'o [u8]) -> &'o [u8] {
        message.get(LEN..LEN + self.qname.as_bytes().len() + 4).unwrap_or_default()
    }
}

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole message as received. Its id is the one this module chose, not the client's.
    pub bytes: Vec<u8>,
    /// Which server replied: the index into the list that the [`Forwarder`] was made with.
    pub server: usize,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Every server kept silent: extended error 22, No Reachable Authority.
    Timeout,
    /// At least one server could not be reached or sent something that is no reply to the question;
    /// the text says which server and why. Extended error 23, Network Error.
    Network(String),
    /// There is no server to ask.
    NoServers,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no upstream server answered in time"),
            Self::Network(text) => f.write_str(text),
            Self::NoServers => f.write_str("no upstream server is configured"),
        }
    }
}

impl std::error::Error for Failure {}

/// What became of the questions put to one server.
#[derive(Debug, Default)]
pub struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Questions that the server replied to, whatever the response code.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Questions that it left without a usable reply.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}
