//! Rules, the currency of lists, policy and trie: a name, how it matches, what happens, whence.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

pub use crate::dns::name::Match;
use crate::dns::name::NameBuf;

/// What a rule wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Answer with the action of the list.
    Block,
    /// Let the name pass, whatever a block rule says.
    Allow,
}

/// What a client gets for a blocked name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The name does not exist.
    NxDomain,
    /// The name exists, the type does not.
    NoData,
    /// The server will not say.
    Refused,
    /// The server could not say.
    ServFail,
    /// The unspecified addresses, 0.0.0.0 and `::`.
    Null,
    /// A stub address: these for A and AAAA, NODATA for other types.
    Address(Vec<Ipv4Addr>, Vec<Ipv6Addr>),
    /// An alias, which the client resolves for itself.
    Cname(NameBuf),
    /// No reply at all.
    Drop,
    /// An empty reply with TC, so that the client comes back over TCP, where the name passes.
    Truncate,
    /// Note it and let it pass.
    Log,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NxDomain => f.write_str("nxdomain"),
            Self::NoData => f.write_str("nodata"),
            Self::Refused => f.write_str("refused"),
            Self::ServFail => f.write_str("servfail"),
            Self::Null => f.write_str("null"),
            Self::Drop => f.write_str("drop"),
            Self::Truncate => f.write_str("truncate"),
            Self::Log => f.write_str("log"),
            Self::Cname(name) => write!(f, "cname {name}"),
            Self::Address(v4, v6) => {
                f.write_str("address")?;
                v4.iter().try_for_each(|a| write!(f, " {a}"))?;
                v6.iter().try_for_each(|a| write!(f, " {a}"))
            }
        }
    }
}

/// Where a rule was written: the list's place in the configuration, and its line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Index of the list.
    pub list: u16,
    /// Line of the source, from 1; for inline rules their place in the array, from 1.
    pub line: u32,
}

/// The number of a rule in a compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// One rule as a list gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name, in lower case.
    pub name: NameBuf,
    /// How the name is compared.
    pub matching: Match,
    /// Block or allow.
    pub effect: Effect,
    /// Ahead of the rules without this mark (`$important`).
    pub important: bool,
}

/// The syntax of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Decided from the first lines.
    Auto,
    /// `ADDRESS name [name…]`.
    Hosts,
    /// One name a line.
    Domains,
    /// One name a line, `*.name` for the names below it.
    Wildcard,
    /// `||name^`, `@@||name^`.
    AdGuard,
}

impl Format {
    /// The formats by the words of the configuration.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("auto", Self::Auto),
        ("hosts", Self::Hosts),
        ("domains", Self::Domains),
        ("wildcard", Self::Wildcard),
        ("adguard", Self::AdGuard),
    ];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS.iter().find(|(_, format)| format == self).map_or("auto", |(word, _)| word))
    }
}
