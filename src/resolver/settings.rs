//! What the engine is told to do: plain values, checked by whoever made them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::cache::stale::Aging;
use crate::dns::name::NameBuf;
use crate::policy::list::KnownClient;
use crate::rule::{Action, Effect, Format, Match};
use crate::upstream::Server;

/// Everything that a server needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// UDP threads on each address; 0: one a core.
    pub threads: usize,
    /// Each UDP thread stays on a processor of its own.
    pub pin: bool,
    /// The most datagrams that one call into the kernel moves; 1: the portable calls.
    pub udp_batch: usize,
    /// Whose queries are answered.
    pub allow: Vec<IpNet>,
    /// The answer to `version.bind`, if any is to be given.
    pub version: Option<String>,
    /// The answer to `id.server`, if any is to be given.
    pub identity: Option<String>,
    /// Upstreams in order; `None`: the system's; empty: never forward.
    pub upstreams: Option<Vec<Server>>,
    /// How long one try at one upstream may take.
    pub upstream_timeout: Duration,
    /// How many queries may wait for them.
    pub queue: Queue,
    /// Octets of the reply cache; 0: no cache.
    pub cache_bytes: u64,
    /// No reply is cached longer, in seconds.
    pub max_ttl: u32,
    /// How cached replies age.
    pub aging: Aging,
    /// Lists in order.
    pub lists: Vec<ListSettings>,
    /// Clients that rules can name.
    pub clients: Vec<KnownClient>,
    /// Zones answered with authority.
    pub zones: Vec<ZoneSettings>,
    /// Where the metrics page listens.
    pub metrics: Option<SocketAddr>,
    /// False: lists are read but not applied.
    pub blocking: bool,
}

/// The bound on queries that wait for the upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The most that wait at once; a quarter of them for names of one domain. More are shed.
    pub limit: usize,
    /// What is shed gets no reply instead of SERVFAIL.
    pub silent: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { limit: 20_000, silent: false }
    }
}

/// Where text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextSource {
    /// A file.
    File(PathBuf),
    /// Lines of the configuration itself.
    Inline(Vec<String>),
    /// Text that is built into the program; its name for people.
    Embedded(&'static str, &'static str),
}

impl TextSource {
    /// What to call it in messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "inline rules".into(),
            Self::Embedded(name, _) => format!("{name} (built in)"),
        }
    }
}

/// One list.
#[derive(Clone, Debug)]
pub struct ListSettings {
    /// Its name, unique.
    pub name: String,
    /// Its text.
    pub source: TextSource,
    /// Its format, or [`Format::Auto`].
    pub format: Format,
    /// Block or allow.
    pub effect: Effect,
    /// How plain names match; `None`: as the format has it.
    pub plain: Option<Match>,
    /// What a client gets.
    pub action: Action,
    /// TTL of made-up answers, in seconds.
    pub ttl: u32,
    /// Who demands it, if somebody outside does.
    pub authority: Option<String>,
}

/// One zone.
#[derive(Clone, Debug)]
pub struct ZoneSettings {
    /// Its origin.
    pub origin: NameBuf,
    /// Its master file.
    pub source: TextSource,
}

/// Loopback, private and link-local networks.
#[must_use]
pub fn private_networks() -> Vec<IpNet> {
    let v4 = |a, b, c, d, len| IpNet::new(Ipv4Addr::new(a, b, c, d).into(), len);
    let v6 = |first, last, len| IpNet::new(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last).into(), len);
    [
        v4(127, 0, 0, 0, 8),
        v4(10, 0, 0, 0, 8),
        v4(172, 16, 0, 0, 12),
        v4(192, 168, 0, 0, 16),
        v4(169, 254, 0, 0, 16),
        v6(0, 1, 128),
        v6(0xfc00, 0, 7),
        v6(0xfe80, 0, 10),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 5300))],
            threads: 0,
            pin: false,
            udp_batch: 64,
            allow: private_networks(),
            version: None,
            identity: None,
            upstreams: None,
            upstream_timeout: Duration::from_secs(2),
            queue: Queue::default(),
            cache_bytes: 64 << 20,
            max_ttl: 86_400,
            aging: Aging::default(),
            lists: Vec::new(),
            clients: Vec::new(),
            zones: Vec::new(),
            metrics: None,
            blocking: true,
        }
    }
}
