//! What a rule does with a query.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis_core::dns::{NameBuf, Rcode};

use super::delay::Delay;
use super::shape::Shape;

/// What a rule does with a query.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// The genuine answer, after a delay.
    Pass(Delay),
    /// No reply.
    Drop,
    /// The TCP connection is closed; over UDP there is no reply.
    End(End),
    /// Forged answers, optionally followed by the genuine one.
    Forge {
        /// The forged answers, at least one.
        forged: Vec<Forged>,
        /// When the genuine answer is let through; `None`: never.
        genuine: Option<Delay>,
    },
    /// The genuine answer, from another resolver than the one queried: names that report the resolver's
    /// address reveal it.
    Redirect(Identity),
}

/// How a TCP connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It stays open.
    #[default]
    Open,
    /// By RST.
    Reset,
    /// By FIN.
    Close,
}

impl End {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Reset => "reset",
            Self::Close => "close",
        }
    }
}

/// How a resolver identifies itself.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The address from which it queries others, as names like `whoami.akamai.net` report it.
    pub whoami: Option<IpAddr>,
    /// Its answer to `id.server` and `hostname.bind` in class CH.
    pub chaos_id: Option<String>,
    /// TTL of both answers, in seconds.
    pub ttl: u32,
}

/// One forged answer.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    /// Its content.
    pub body: Body,
    /// Its characteristics on the wire.
    pub shape: Shape,
    /// When it is sent, relative to the query.
    pub after: Delay,
}

/// The content of a forged answer.
#[derive(Clone, Debug)]
pub enum Body {
    /// A response code without records.
    Rcode(Rcode, Soa),
    /// NOERROR without records.
    NoData(Soa),
    /// Addresses.
    Addresses {
        /// For A.
        a: Addresses<Ipv4Addr>,
        /// For AAAA.
        aaaa: Addresses<Ipv6Addr>,
        /// The reply to types other than A and AAAA.
        other: Other,
    },
    /// An alias, and the addresses of its target.
    Cname {
        /// The target.
        target: NameBuf,
        /// The target's addresses.
        a: Addresses<Ipv4Addr>,
        /// The target's addresses.
        aaaa: Addresses<Ipv6Addr>,
        /// The TTL of the target's addresses.
        target_ttl: u32,
        /// The reply to types other than A, AAAA and CNAME.
        other: Other,
    },
    /// TC set and nothing else, over UDP; over TCP the query passes.
    Truncated,
    /// These octets after the id, whatever the question.
    Raw(Vec<u8>),
}

impl Default for Body {
    fn default() -> Self {
        Self::NoData(Soa::None)
    }
}

/// The addresses of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses<T> {
    /// All of these; may be empty.
    These(Vec<T>),
    /// One from the pool with this index.
    Pool(u16),
}

impl<T> Default for Addresses<T> {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// The reply to a type for which the forger has no address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Other {
    /// NOERROR without records.
    #[default]
    NoData,
    /// The genuine answer.
    Pass,
    /// An A record, whatever the question.
    A,
    /// The alias, as a resolver returns it for a type that its target does not have.
    Alias,
    /// No reply.
    Drop,
}

/// The SOA of a negative answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Soa {
    /// None, as with most forgers.
    #[default]
    None,
    /// A made-up one owned by the query name, with the TTL of the answer.
    Own,
    /// This one.
    Given {
        /// The owner.
        owner: NameBuf,
        /// The TTL in seconds.
        ttl: u32,
        /// RDATA in wire format.
        rdata: Vec<u8>,
    },
}
