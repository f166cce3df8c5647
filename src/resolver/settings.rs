//! What the engine is told to do: plain values, checked by whoever made them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::cache::stale::Aging;
use crate::dns::name::NameBuf;
use crate::dns::types::Qtype;
use crate::policy::decide::Precedence;
use crate::policy::inspect::Inspection;
use crate::policy::list::{KnownClient, Notes};
use crate::policy::schedule::Schedule;
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
    /// Who is asked for the addresses of upstreams that are given by name; empty: the system's resolvers.
    pub bootstrap: Vec<SocketAddr>,
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
    /// Groups of clients in order.
    pub groups: Vec<GroupSettings>,
    /// What decides between rules of the same force.
    pub precedence: Precedence,
    /// What is looked at in replies of the upstreams.
    pub inspection: Inspection,
    /// Names that have upstreams of their own.
    pub forwards: Vec<ForwardSettings>,
    /// Whom people are told to ask.
    pub contact: Contact,
    /// The page that says why a name is refused.
    pub block_page: Option<BlockPageSettings>,
    /// Where orders come in at run time.
    pub control: Option<ControlSettings>,
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
    /// Rewrites of the configuration.
    Rewrites(Vec<RewriteSettings>),
}

/// One rewrite: what a name is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteSettings {
    /// The name.
    pub name: NameBuf,
    /// Whether the name itself or those below it.
    pub matching: Match,
    /// The answer.
    pub action: Action,
    /// The line of the configuration.
    pub line: u32,
}

impl TextSource {
    /// What to call it in messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Inline(_) => "inline rules".into(),
            Self::Embedded(name, _) => format!("{name} (built in)"),
            Self::Rewrites(_) => "[[rewrite]]".into(),
        }
    }
}

/// One list.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The action is not the list's own, so that of the client's group goes before it.
    pub inherits: bool,
    /// TTL of made-up answers, in seconds.
    pub ttl: u32,
    /// Who demands it, if somebody outside does.
    pub authority: Option<String>,
    /// What people are told beside that.
    pub notes: Notes,
    /// It speaks of these types alone; empty: of all.
    pub types: Vec<Qtype>,
    /// When it speaks; `None`: always.
    pub schedule: Option<Schedule>,
    /// What becomes of lines that are an address or a network.
    pub addresses: Addresses,
}

impl ListSettings {
    /// True for the rewrites of the configuration.
    #[must_use]
    pub const fn is_rewrites(&self) -> bool {
        matches!(self.source, TextSource::Rewrites(_))
    }
}

/// What becomes of the lines of a list that are an address or a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// They are what they are in the list's format.
    #[default]
    AsRules,
    /// They, and nothing else, are the list: answers that give one of them are blocked.
    Only,
    /// They are looked for in answers, the other lines are rules: the list tells of servers by both.
    Beside,
}

impl Default for ListSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: TextSource::Inline(Vec::new()),
            format: Format::Auto,
            effect: Effect::Block,
            plain: None,
            action: Action::NxDomain,
            inherits: false,
            ttl: 60,
            authority: None,
            notes: Notes::default(),
            types: Vec::new(),
            schedule: None,
            addresses: Addresses::AsRules,
        }
    }
}

/// One group of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// Its name, unique.
    pub name: String,
    /// Where its clients ask from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// The listeners that they ask at, of those in [`Settings::listen`]; empty: any.
    pub listeners: Vec<SocketAddr>,
    /// The places of its lists in [`Settings::lists`]; `None`: all.
    pub lists: Option<Vec<u16>>,
    /// What a client gets for a blocked name where its list does not say.
    pub action: Option<Action>,
    /// When it takes clients; `None`: always.
    pub schedule: Option<Schedule>,
    /// Its own upstreams; `None`: those of all.
    pub upstreams: Option<Vec<Server>>,
}

/// Names that go to upstreams of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSettings {
    /// This name and those below it.
    pub suffix: NameBuf,
    /// The upstreams.
    pub servers: Vec<Server>,
}

/// Whom people are told to ask about a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// URIs.
    pub uris: Vec<String>,
    /// Who runs this server.
    pub organization: Option<String>,
    /// The language of reasons and of the organisation's name (RFC 5646).
    pub language: Option<String>,
    /// The URI of whoever blocks, for the `blocked-by` link (RFC 7725 §4).
    pub blocked_by: Option<String>,
}

/// The block page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockPageSettings {
    /// Where it listens for HTTP.
    pub listen: Vec<SocketAddr>,
    /// Where TLS is refused at once.
    pub refuse_tls: Vec<SocketAddr>,
}

/// The socket for orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where it is.
    pub socket: PathBuf,
    /// Where orders that are to be kept are written.
    pub state: Option<PathBuf>,
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl Settings {
    /// Has one upstream in the place of the system's, where those are meant. For explaining: nothing is
    /// sent, but whether a question would be depends on there being somebody to ask.
    pub fn imagine_upstream(&mut self) {
        let nobody = Server::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)).into());
        self.upstreams.get_or_insert_with(|| vec![nobody]);
    }
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
            bootstrap: Vec::new(),
            upstream_timeout: Duration::from_secs(2),
            queue: Queue::default(),
            cache_bytes: 64 << 20,
            max_ttl: 86_400,
            aging: Aging::default(),
            lists: Vec::new(),
            clients: Vec::new(),
            zones: Vec::new(),
            groups: Vec::new(),
            precedence: Precedence::default(),
            inspection: Inspection::default(),
            forwards: Vec::new(),
            contact: Contact::default(),
            block_page: None,
            control: None,
            metrics: None,
            blocking: true,
        }
    }
}
