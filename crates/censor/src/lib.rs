//! A network that lies on purpose: what is imitated, as checked values.
//!
//! A [`Scenario`] is data. [`plan`](plan::plan()) makes of it and of one question the packets that the
//! censor would send, each with its delay and its quirks; it sends nothing, reads no clock, and the same
//! arguments always give the same packets.

pub mod draw;
pub mod expect;
pub mod forge;
pub mod judge;
pub mod names;
pub mod plan;
pub mod seen;
pub mod stub;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

use expect::Expect;
use names::Names;
use portcullis_core::dns::ede::EdeCode;
use portcullis_core::dns::name::NameBuf;
use portcullis_core::dns::reply::Transport;
use portcullis_core::dns::types::{Qtype, Rcode};

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
    pub stubs: stub::Stubs,
    /// What is given out for forged addresses, unless another mode is set.
    pub stub_mode: stub::StubMode,
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

/// When a rule applies; what is empty or `None` sets no condition.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// To these networks, by their place.
    pub networks: Vec<u16>,
    /// From this moment on, in seconds since 1970 (UTC).
    pub from: Option<i64>,
    /// Until before this moment.
    pub until: Option<i64>,
    /// At these minutes of the day, the end not included; may run over midnight. And how many seconds
    /// the clock there is ahead of UTC.
    pub daily: Option<(u16, u16, i32)>,
    /// To these types.
    pub types: Vec<Qtype>,
    /// To all types but these.
    pub other_types: Vec<Qtype>,
    /// Over this transport.
    pub transport: Option<Transport>,
    /// Not always.
    pub chance: Option<Chance>,
}

/// A draw on whether a rule applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// In how many of `of` cases it does.
    pub bad: u32,
    /// Of how many.
    pub of: u32,
    /// What draws once and keeps to it.
    pub sticky: Sticky,
}

/// How long one draw holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Each query draws anew.
    Query,
    /// All queries for a name fare alike.
    Name,
    /// All queries of a client fare alike.
    Client,
    /// All queries of a client within so many seconds of the scenario's clock fare alike.
    Time(u32),
}

/// What a rule does with a query.
#[derive(Clone, Debug)]
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

/// How long something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delay {
    /// The middle, or the least.
    pub base: Duration,
    /// How far it strays.
    pub jitter: Duration,
    /// How it is spread.
    pub spread: Spread,
}

/// The distribution of a delay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Anything from `base - jitter` to `base + jitter` alike.
    #[default]
    Uniform,
    /// Around `base` with `jitter` as standard deviation, never below zero.
    Normal,
    /// `base`, and on top of it a waiting time whose mean is `jitter`.
    Exponential,
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

/// How a forged answer looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// The flags, the code left out; `None`: QR, RA, and RD as it was sent.
    pub flags: Option<Flags>,
    /// AD is copied from the query.
    pub echo_ad: bool,
    /// What becomes of EDNS.
    pub edns: EdnsManner,
    /// The question comes back in lower case.
    pub lower_case: bool,
    /// A fault in the packet.
    pub malform: Malform,
    /// TTL of the answer, in seconds.
    pub ttl: u32,
    /// How the TTL goes on.
    pub ttl_mode: TtlMode,
    /// TTL of the IP packet, for UDP over IPv4 and IPv6; `None`: the system's.
    pub ip_ttl: Option<u8>,
    /// An Extended DNS Error, for those who sent EDNS.
    pub ede: Option<(EdeCode, String)>,
    /// Records that give the forger away, or tell the truth.
    pub extra: Vec<Extra>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            flags: None,
            echo_ad: false,
            edns: EdnsManner::Keep,
            lower_case: false,
            malform: Malform::No,
            ttl: 300,
            ttl_mode: TtlMode::Static,
            ip_ttl: None,
            ede: None,
            extra: Vec::new(),
        }
    }
}

/// Header flags, code and all, by what the query had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// If it desired recursion.
    pub rd: u16,
    /// If it did not.
    pub no_rd: u16,
}

/// What becomes of the client's EDNS in a forged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EdnsManner {
    /// An OPT record of the server's own, for those who sent one.
    #[default]
    Keep,
    /// None.
    Strip,
    /// The client's own OPT record, octet for octet.
    Echo,
}

/// What is broken in a forged answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Malform {
    /// Nothing.
    #[default]
    No,
    /// The answer stands after the client's OPT record, so that the OPT is read as the answer.
    AppendAfterOpt,
    /// The question lacks its class, over TCP alone.
    NoQclassTcp,
    /// Four octets follow the message.
    ExtraBytes,
    /// The id is another one.
    WrongId,
    /// The RDATA of the answer is one octet short.
    ShortRdata,
}

/// How the TTL of a forged answer goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TtlMode {
    /// Always the same.
    #[default]
    Static,
    /// Counts down and begins anew, as out of a cache.
    Tick,
    /// Anything from here up to the TTL.
    Random(u32),
}

/// A record beside the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its owner; `None`: the name that was asked for.
    pub owner: Option<NameBuf>,
    /// Its type.
    pub rtype: Qtype,
    /// Its TTL in seconds.
    pub ttl: u32,
    /// Wire RDATA, names uncompressed.
    pub rdata: Vec<u8>,
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
