//! One documented censor: its networks, pools, rules, and expected replies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use portcullis_core::dns::NameBuf;

use super::action::Action;
use super::expect::Expect;
use super::names::Names;
use super::when::When;

/// One documented case of interference with the DNS.
#[derive(Clone, Debug, Default)]
pub struct Scenario {
    /// Its short name, for the command line.
    pub name: String,
    /// Its title, for people.
    pub title: String,
    /// What happened, in a paragraph.
    pub summary: String,
    /// Where: a country, as its two-letter code, or empty.
    pub place: String,
    /// The sources that document it.
    pub sources: Vec<String>,
    /// When it begins, in seconds since 1970 (UTC).
    pub from: Option<i64>,
    /// The last moment that it describes; the clock's default.
    pub until: Option<i64>,
    /// How many seconds the local clocks are ahead of UTC.
    pub offset: i32,
    /// The default seed of all draws.
    pub seed: u64,
    /// The vantage points, at least one.
    pub networks: Vec<Network>,
    /// What happened when, for people: it has no effect on the wire.
    pub events: Vec<Event>,
    /// Addresses that answers are picked from.
    pub pools: Vec<Pool>,
    /// The rules; the first that applies decides.
    pub rules: Vec<Rule>,
    /// The expected replies to some questions.
    pub expects: Vec<Expect>,
    /// The rest of the network: zones that are answered truthfully.
    pub zones: Vec<ZoneText>,
    /// The forged addresses, in the file and as sent.
    pub stubs: Stubs,
    /// The default replacement of forged addresses.
    pub stub_mode: StubMode,
}

/// One vantage point: a provider, a resolver, an address behind a censor.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Its name, unique.
    pub id: String,
    /// Its title for people.
    pub title: String,
    /// Its clients; a client belongs to the network with the longest prefix, else to the first network.
    pub clients: Vec<IpNet>,
    /// Whether the network has no servers: names that no rule matches get no reply.
    pub injector_only: bool,
}

impl Network {
    /// The first address of its clients.
    #[must_use]
    pub fn first_client(&self) -> Option<IpAddr> {
        self.clients.first().and_then(|net| net.hosts().next())
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, in seconds since 1970 (UTC).
    pub at: i64,
    /// What.
    pub text: String,
}

/// A zone in the text of the scenario.
#[derive(Clone, Debug)]
pub struct ZoneText {
    /// Its origin.
    pub origin: NameBuf,
    /// Its records, a master file (RFC 1035 §5).
    pub text: String,
    /// The line where the text begins.
    pub line: u32,
}

/// Addresses, of which an answer contains one.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Its name, unique.
    pub id: String,
    /// For A.
    pub v4: Vec<Ipv4Addr>,
    /// For AAAA.
    pub v6: Vec<Ipv6Addr>,
    /// How one is picked.
    pub pick: Pick,
    /// How many of them each name sees, always the same ones; 0: all.
    pub per_name: usize,
}

/// How an address is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// In turn, across all clients.
    #[default]
    Cycle,
    /// By the name: always the same.
    Hash,
    /// At random for each query.
    Random,
}

/// One behaviour of the censor.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique.
    pub id: String,
    /// Its line in the file.
    pub line: u32,
    /// The names that it matches.
    pub names: Names,
    /// When it applies.
    pub when: When,
    /// The kind of its action, as written in the file.
    pub kind: String,
    /// What it does.
    pub action: Action,
    /// How certain it is that the real censor did this.
    pub evidence: Evidence,
    /// What is imitated, in words: it goes into the record of the truth.
    pub intent: String,
}

impl Rule {
    /// A rule that always applies to these names.
    #[must_use]
    pub fn new(id: impl Into<String>, names: Names, action: Action) -> Self {
        Self {
            id: id.into(),
            line: 0,
            names,
            when: When::default(),
            kind: String::new(),
            action,
            evidence: Evidence::default(),
            intent: String::new(),
        }
    }
}

/// How certain a claim is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    /// Observed on the wire by the source.
    Measured,
    /// Inferred from other cases or from reports.
    #[default]
    Modelled,
}

impl Evidence {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Modelled => "modelled",
        }
    }
}

/// Where forged answers point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StubMode {
    /// Addresses for documentation (RFC 5737, RFC 3849).
    #[default]
    Doc,
    /// Loopback.
    Loopback,
    /// The addresses that were observed.
    Historical,
}

/// The public addresses of a scenario, and what is sent instead of each.
#[derive(Clone, Debug, Default)]
pub struct Stubs {
    /// Each address in the file, in order of first use, and what is sent instead.
    pub v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// The same.
    pub v6: Vec<(Ipv6Addr, Ipv6Addr)>,
}

impl StubMode {
    /// The words for them.
    pub const WORDS: [(&str, Self); 3] =
        [("doc", Self::Doc), ("loopback", Self::Loopback), ("historical", Self::Historical)];
}

impl Stubs {
    /// What is sent instead of an address in the file.
    #[must_use]
    pub fn given_for(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(a) => self.v4.iter().find(|(old, _)| *old == a).map_or(a, |(_, new)| *new).into(),
            IpAddr::V6(a) => self.v6.iter().find(|(old, _)| *old == a).map_or(a, |(_, new)| *new).into(),
        }
    }
}

impl Scenario {
    /// The network of a client: the listener's own, else the one with the longest prefix, else the first.
    #[must_use]
    pub fn network_of(&self, client: IpAddr, listener: Option<u16>) -> u16 {
        if let Some(pinned) = listener {
            return pinned;
        }
        let client = client.to_canonical();
        let fits = self.networks.iter().zip(0u16..).flat_map(|(network, place)| {
            network.clients.iter().filter(|n| n.contains(&client)).map(move |n| (n.prefix_len(), place))
        });
        // The longest; the first of equals.
        fits.max_by_key(|(len, place)| (*len, u16::MAX - place)).map_or(0, |(_, place)| place)
    }

    /// The clock's default: the last moment that the scenario describes.
    #[must_use]
    pub fn last_state(&self) -> i64 {
        self.until.or(self.from).unwrap_or(0)
    }
}
