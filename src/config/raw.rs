//! The serde shape of the TOML, nothing else. What is wrong within a value is found by `check`.

use serde::Deserialize;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct File {
    /// `[server]`
    pub server: Server,
    /// `[upstream]`
    pub upstream: Option<Upstream>,
    /// `[block]`
    pub block: Block,
    /// `[cache]`
    pub cache: Cache,
    /// `[[list]]`
    pub list: Vec<List>,
    /// `[[client]]`
    pub client: Vec<Client>,
    /// `[[zone]]`
    pub zone: Vec<Zone>,
    /// `[metrics]`
    pub metrics: Option<Metrics>,
}

/// `[server]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Server {
    /// Addresses with ports.
    pub listen: Option<Vec<Spanned<String>>>,
    /// UDP threads.
    pub threads: Option<Spanned<u16>>,
    /// Keep each UDP thread on a processor of its own.
    pub pin: Option<bool>,
    /// Datagrams a call into the kernel.
    pub udp_batch: Option<Spanned<u16>>,
    /// Client networks.
    pub allow: Option<Vec<Spanned<String>>>,
    /// `version.bind`
    pub version: Option<String>,
    /// `id.server`
    pub identity: Option<String>,
}

/// `[upstream]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Upstream {
    /// URLs or addresses.
    pub servers: Option<Vec<Spanned<String>>>,
    /// A duration.
    pub timeout: Option<Spanned<String>>,
    /// Queries that may wait.
    pub max_waiting: Option<Spanned<u32>>,
    /// `servfail` or `drop`.
    pub when_full: Option<Spanned<String>>,
}

/// `[block]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Block {
    /// The action of lists without one.
    pub action: Option<Spanned<Action>>,
    /// A duration.
    pub ttl: Option<Spanned<String>>,
}

/// `[cache]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Cache {
    /// A size.
    pub size: Option<Spanned<String>>,
    /// A duration.
    pub max_ttl: Option<Spanned<String>>,
    /// A duration.
    pub max_stale: Option<Spanned<String>>,
    /// A duration.
    pub stale_after: Option<Spanned<String>>,
    /// A duration.
    pub stale_recheck: Option<Spanned<String>>,
    /// Fetch ahead of expiry.
    pub prefetch: Option<bool>,
}

/// `[[list]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct List {
    /// Its name.
    pub name: Spanned<String>,
    /// A path.
    pub source: Option<Spanned<String>>,
    /// Lines of the adguard format.
    pub rules: Option<Vec<String>>,
    /// A format.
    pub format: Option<Spanned<String>>,
    /// `block` or `allow`.
    pub kind: Option<Spanned<String>>,
    /// `exact` or `suffix`.
    #[serde(rename = "match")]
    pub matching: Option<Spanned<String>>,
    /// An action.
    pub action: Option<Spanned<Action>>,
    /// Who demands it.
    pub authority: Option<String>,
}

/// `[[client]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// Its name.
    pub name: Spanned<String>,
    /// Addresses or networks.
    pub addresses: Vec<Spanned<String>>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// `[[zone]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Zone {
    /// Its origin.
    pub origin: Spanned<String>,
    /// Its master file.
    pub file: Spanned<String>,
}

/// `[metrics]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// An address with a port.
    pub listen: Spanned<String>,
}

/// An action: a word, or a table with an address or an alias.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an action: a word such as \"nxdomain\", { address = [\"192.0.2.1\"] } or { cname = \"name.\" }"
)]
pub enum Action {
    /// One of the words.
    Word(String),
    /// `{ address = […] }`
    Address(AddressAction),
    /// `{ cname = "…" }`
    Cname(CnameAction),
}

/// `{ address = […] }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressAction {
    /// Addresses of either family.
    pub address: Vec<String>,
}

/// `{ cname = "…" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CnameAction {
    /// The target.
    pub cname: String,
}
