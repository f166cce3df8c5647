//! Rules, which lists produce and policies compile: a rule's effect, the clients it applies to, and what
//! they get.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use crate::dns::{Match, Pattern, Start};
use crate::dns::{NameBuf, Qtype};

/// The effect of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Effect {
    /// Answer with the list's action.
    Block,
    /// Let the name pass, despite any block rule.
    Allow,
    /// No effect of its own: the name only limits what a broader rule of its list covers.
    Nothing,
    /// An allow of a list that may not allow: it lifts blocks of its own list and no others.
    Except,
}

/// What a client gets for a blocked name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Action {
    /// The name does not exist.
    NxDomain,
    /// The name exists, but not with this type.
    NoData,
    /// The server refuses to answer.
    Refused,
    /// The server fails to answer.
    ServFail,
    /// The unspecified addresses, 0.0.0.0 and `::`.
    Null,
    /// A stub address: these for A and AAAA, NODATA for other types.
    Address(Vec<Ipv4Addr>, Vec<Ipv6Addr>),
    /// An alias, which the client resolves itself.
    Cname(NameBuf),
    /// The operator's own records: those of the requested type, else NODATA.
    Records(Vec<Data>),
    /// No reply at all.
    Drop,
    /// An empty reply with TC, so that the client retries over TCP, where the name passes.
    Truncate,
    /// Log it and let it pass.
    Log,
}

impl Action {
    /// True for an answer that gives no data of its own: a refusal, or an address that leads nowhere (the
    /// unspecified one, loopback). False for one that leads the client elsewhere.
    #[must_use]
    pub fn denies(&self) -> bool {
        let v4 = |a: &Ipv4Addr| a.is_unspecified() || a.is_loopback();
        let v6 = |a: &Ipv6Addr| a.is_unspecified() || a.is_loopback();
        match self {
            Self::Address(a, b) => a.iter().all(v4) && b.iter().all(v6),
            Self::Records(data) => data.iter().all(|d| match d.rtype {
                Qtype::A => <[u8; 4]>::try_from(&*d.rdata).is_ok_and(|a| v4(&a.into())),
                Qtype::AAAA => <[u8; 16]>::try_from(&*d.rdata).is_ok_and(|a| v6(&a.into())),
                _ => false,
            }),
            Self::Cname(_) => false,
            _ => true,
        }
    }
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
            Self::Records(data) => {
                f.write_str("records")?;
                data.iter().try_for_each(|d| write!(f, " {}", d.rtype))
            }
            Self::Cname(name) => write!(f, "cname {name}"),
            Self::Address(v4, v6) => {
                f.write_str("address")?;
                v4.iter().try_for_each(|a| write!(f, " {a}"))?;
                v6.iter().try_for_each(|a| write!(f, " {a}"))
            }
        }
    }
}

/// One record of [`Action::Records`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Data {
    /// Its type.
    pub rtype: Qtype,
    /// Its RDATA in wire format; names are uncompressed.
    pub rdata: Vec<u8>,
}

/// The properties of a rule besides its name or pattern. A list has few different combinations, so a rule
/// stores only the number of its traits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Traits {
    /// Block or allow.
    pub effect: Effect,
    /// Takes precedence over rules without this mark (`$important`).
    pub important: bool,
    /// A `$dnsrewrite`: takes precedence over block and allow; without an action, it leaves the name as it
    /// is. With [`Effect::Allow`], an exception from rewrites, or only from those with the same action if it
    /// has one.
    pub rewrite: bool,
    /// A `$badfilter`: cancels the rule that is otherwise the same.
    pub cancels: bool,
    /// The closest rule of its list decides, whatever its effect, as in dnsmasq, Unbound and response
    /// policy zones; otherwise an allow for a broader name takes precedence over a block for a longer one.
    pub closest: bool,
    /// The rule's own action, which overrides the list's.
    pub action: Option<Action>,
    /// The questions and clients that it applies to; `None`: all.
    pub scope: Option<Box<Scope>>,
}

impl Traits {
    /// A rule with only an effect.
    #[must_use]
    pub const fn plain(effect: Effect) -> Self {
        Self {
            effect,
            important: false,
            rewrite: false,
            cancels: false,
            closest: false,
            action: None,
            scope: None,
        }
    }
}

/// The questions and clients that a rule applies to. An empty field sets no condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// Only these types.
    pub types: Vec<Qtype>,
    /// All types except these.
    pub not_types: Vec<Qtype>,
    /// Only these clients.
    pub clients: Vec<Client>,
    /// All clients except these.
    pub not_clients: Vec<Client>,
    /// Only clients with one of these tags.
    pub tags: Vec<String>,
    /// Only clients without any of these tags.
    pub not_tags: Vec<String>,
    /// Not these names or their subdomains (`$denyallow`).
    pub except: Vec<NameBuf>,
}

/// A client as named in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Client {
    /// All with an address in a network.
    Network(IpNet),
    /// The one that the configuration calls by this name.
    Name(String),
}

/// The modifiers after the `$`, in canonical order.
#[must_use]
pub fn modifiers(traits: &Traits) -> String {
    let mut words: Vec<String> = Vec::new();
    if traits.important {
        words.push("important".into());
    }
    if let Some(scope) = &traits.scope {
        let mut list = |word: &str, yes: Vec<String>, no: Vec<String>| {
            let no = no.into_iter().map(|n| format!("~{n}"));
            let all: Vec<String> = yes.into_iter().chain(no).collect();
            if !all.is_empty() {
                words.push(format!("{word}={}", all.join("|")));
            }
        };
        let client = |clients: &[Client]| {
            let text = |c: &Client| match c {
                Client::Network(network) => network.to_string(),
                Client::Name(name) => format!("'{name}'"),
            };
            clients.iter().map(text).collect()
        };
        let types = |types: &[Qtype]| types.iter().map(Qtype::to_string).collect();
        list("dnstype", types(&scope.types), types(&scope.not_types));
        list("client", client(&scope.clients), client(&scope.not_clients));
        list("ctag", scope.tags.clone(), scope.not_tags.clone());
        list("denyallow", scope.except.iter().map(ToString::to_string).collect(), Vec::new());
    }
    match (&traits.action, traits.rewrite) {
        (Some(action), true) => words.push(format!("dnsrewrite={action}")),
        (None, true) if traits.effect == Effect::Block => words.push("(as it is)".into()),
        (None, true) => words.push("dnsrewrite".into()),
        (Some(action), false) => words.push(format!("({action})")),
        (None, false) => {}
    }
    if words.is_empty() { String::new() } else { format!("${}", words.join(",")) }
}

/// The syntax of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Decided from the lines.
    Auto,
    /// `ADDRESS name [name…]`.
    Hosts,
    /// One name per line.
    Domains,
    /// One name per line; `*` anywhere stands for any characters.
    Wildcard,
    /// `||name^`, `@@||name^`, `/expression/`, `$modifier`.
    AdGuard,
    /// Pi-hole's regular expressions: one per line, `;querytype=AAAA` after it.
    Regex,
    /// dnscrypt-proxy's names: `name`, `=name`, `ads*.name`, `@schedule` after it.
    Dnscrypt,
    /// v2fly's domain lists: `full:name`, `keyword:part`, `@attribute` after it.
    V2fly,
    /// `address=/name/`, `local=/name/`, `server=/name/`.
    Dnsmasq,
    /// `local-zone: "name" type`, `local-data: "name A 192.0.2.1"`.
    Unbound,
    /// A response policy zone, with QNAME triggers.
    Rpz,
    /// The output of `compile`.
    Index,
}

impl Format {
    /// The formats by their words in the configuration.
    pub const WORDS: [(&'static str, Self); 12] = [
        ("auto", Self::Auto),
        ("hosts", Self::Hosts),
        ("domains", Self::Domains),
        ("wildcard", Self::Wildcard),
        ("adguard", Self::AdGuard),
        ("regex", Self::Regex),
        ("dnscrypt", Self::Dnscrypt),
        ("v2fly", Self::V2fly),
        ("dnsmasq", Self::Dnsmasq),
        ("unbound", Self::Unbound),
        ("rpz", Self::Rpz),
        ("index", Self::Index),
    ];
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::WORDS.iter().find(|(_, format)| format == self).map_or("auto", |(word, _)| word))
    }
}
