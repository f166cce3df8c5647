//! One documented censor: its networks, pools, rules, and what must come back.

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
    /// Its name, a short one for the command line.
    pub name: String,
    /// Its title for people.
    pub title: String,
    /// What happened, a paragraph.
    pub summary: String,
    /// Where: a country, as its two-letter code, or empty.
    pub place: String,
    /// Where it is documented.
    pub sources: Vec<String>,
    /// When it begins, in seconds since 1970 (UTC).
    pub from: Option<i64>,
    /// The last moment that it tells of; the clock stands here unless it is set.
    pub until: Option<i64>,
    /// How many seconds the clocks there are ahead of UTC.
    pub offset: i32,
    /// What all draws start from, unless another seed is given.
    pub seed: u64,
    /// The vantage points, at least one.
    pub networks: Vec<Network>,
    /// What happened when, for people: nothing on the wire follows from it.
    pub events: Vec<Event>,
    /// Addresses that answers are picked from.
    pub pools: Vec<Pool>,
    /// The rules; the first that applies decides.
    pub rules: Vec<Rule>,
    /// What must come back for some questions.
    pub expects: Vec<Expect>,
    /// The rest of the network: zones that are answered truthfully.
    pub zones: Vec<ZoneText>,
    /// The forged addresses, as they are in the file and as they are given out.
    pub stubs: Stubs,
    /// What is given out for forged addresses, unless another mode is set.
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
    /// Nobody is at home there: names that no rule takes get no answer at all.
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

/// Addresses, of which an answer gives one.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    /// Its name, unique.
    pub id: String,
    /// For A.
    pub v4: Vec<Ipv4Addr>,
    /// For AAAA.
    pub v6: Vec<Ipv6Addr>,
    /// Which one.
    pub pick: Pick,
    /// Each name sees only so many of them, always the same; 0: all.
    pub per_name: usize,
}

/// How an address is picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pick {
    /// One after the other, whoever asks.
    #[default]
    Cycle,
    /// By the name: always the same.
    Hash,
    /// Anew for each question.
    Random,
}

/// One thing that the censor does.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique.
    pub id: String,
    /// Its line in the file.
    pub line: u32,
    /// The names that it takes.
    pub names: Names,
    /// When it applies.
    pub when: When,
    /// The kind of its action, as it is written in the file.
    pub kind: String,
    /// What it does.
    pub action: Action,
    /// How sure it is that the real censor did so.
    pub evidence: Evidence,
    /// What is imitated, in words: goes into the record of the truth.
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

/// How sure a claim is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evidence {
    /// Seen on the wire by the source.
    Measured,
    /// Filled in from other cases or from reports.
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

/// What forged answers lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StubMode {
    /// Addresses for documentation (RFC 5737, RFC 3849).
    #[default]
    Doc,
    /// Loopback.
    Loopback,
    /// Those that were seen in the world.
    Historical,
}

/// The addresses of a scenario that stand in the internet, and what is given out for each.
#[derive(Clone, Debug, Default)]
pub struct Stubs {
    /// As they are in the file, in the order of their first mention, and what is given out.
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
    /// What is given out for an address of the file.
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
        // The longest; of two alike the first.
        fits.max_by_key(|(len, place)| (*len, u16::MAX - place)).map_or(0, |(_, place)| place)
    }

    /// The moment at which the clock stands unless it is set: the last that the scenario tells of.
    #[must_use]
    pub fn last_state(&self) -> i64 {
        self.until.or(self.from).unwrap_or(0)
    }
}
