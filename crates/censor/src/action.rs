//! What a rule does with a query.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis_core::dns::{NameBuf, Rcode};

use super::delay::Delay;
use super::shape::Shape;

/// What a rule does with a query.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// The genuine answer, after a while.
    Pass(Delay),
    /// Nothing at all.
    Drop,
    /// The TCP connection is ended; over UDP there is no answer.
    End(End),
    /// Forged answers, and perhaps the genuine one behind them.
    Forge {
        /// At least one.
        forged: Vec<Forged>,
        /// When the genuine one is let through; `None`: it is not.
        genuine: Option<Delay>,
    },
    /// The genuine answer, by another resolver than the one that was asked: names that tell who asks
    /// betray it.
    Redirect(Identity),
}

/// How a TCP connection ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// It does not.
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

/// What a resolver says of itself.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The address from which it asks others, as names like `whoami.akamai.net` tell it.
    pub whoami: Option<IpAddr>,
    /// What it answers to `id.server` and `hostname.bind` in class CH.
    pub chaos_id: Option<String>,
    /// TTL of both, in seconds.
    pub ttl: u32,
}

/// One forged answer.
#[derive(Clone, Debug, Default)]
pub struct Forged {
    /// What it says.
    pub body: Body,
    /// How it looks.
    pub shape: Shape,
    /// When it is sent, counted from the query.
    pub after: Delay,
}

/// What a forged answer says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A code and no answer.
    Rcode(Rcode, Soa),
    /// NOERROR and no answer.
    NoData(Soa),
    /// Addresses.
    Addresses {
        /// For A.
        a: Addresses<Ipv4Addr>,
        /// For AAAA.
        aaaa: Addresses<Ipv6Addr>,
        /// What the types without an address get.
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
        /// What types other than A, AAAA and CNAME get.
        other: Other,
    },
    /// TC set and nothing else, over UDP; over TCP the query passes.
    Truncated,
    /// These octets after the id, whatever was asked.
    Raw(Vec<u8>),
}

impl Default for Body {
    fn default() -> Self {
        Self::NoData(Soa::None)
    }
}

/// Which addresses an answer gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses<T> {
    /// All of these; may be none.
    These(Vec<T>),
    /// One of the pool with this place.
    Pool(u16),
}

impl<T> Default for Addresses<T> {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// What a type gets for which a forger has no address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Other {
    /// NOERROR and no answer.
    #[default]
    NoData,
    /// The genuine answer.
    Pass,
    /// An A record, whatever was asked.
    A,
    /// The alias, as a resolver gives it for whatever type of which its target has nothing.
    Alias,
    /// Nothing at all.
    Drop,
}

/// The SOA of a negative answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Soa {
    /// None, as most forgers.
    #[default]
    None,
    /// An invented one at the name that was asked for, with the TTL of the answer.
    Own,
    /// This one.
    Given {
        /// The owner.
        owner: NameBuf,
        /// The TTL in seconds.
        ttl: u32,
        /// Wire RDATA.
        rdata: Vec<u8>,
    },
}
