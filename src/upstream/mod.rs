//! Who is asked when this server does not know: questions out, reply bytes back.

pub mod hickory;

use std::fmt;
use std::net::SocketAddr;

use crate::dns::name::Name;
use crate::dns::types::{Class, Qtype};

/// One upstream resolver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Never ask it over UDP.
    pub tcp_only: bool,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tcp_only { "tcp" } else { "udp" }, self.addr)
    }
}

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name.
    pub qname: Name<'a>,
    /// The type.
    pub qtype: Qtype,
    /// The class.
    pub qclass: Class,
    /// The DO bit: DNSSEC records are wanted.
    pub dnssec_ok: bool,
    /// The CD bit: do not validate.
    pub checking_disabled: bool,
    /// The AD bit: say whether you validated.
    pub authentic_data: bool,
}

/// A reply as it came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The whole message, whatever its response code.
    pub bytes: Vec<u8>,
    /// Index of the upstream that gave it.
    pub server: usize,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No upstream answered in time.
    Timeout,
    /// No upstream could be reached, or none sent a reply that could be read; the last reason.
    Network(String),
    /// There is no upstream.
    NoServers,
}
