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
    /// `[policy]`
    pub policy: Policy,
    /// `[inspect]`
    pub inspect: Inspect,
    /// `[[schedule]]`
    pub schedule: Vec<Schedule>,
    /// `[[group]]`
    pub group: Vec<Group>,
    /// `[[rewrite]]`
    pub rewrite: Vec<Rewrite>,
    /// `[[forward]]`
    pub forward: Vec<Forward>,
    /// `[blockpage]`
    pub blockpage: Option<BlockPage>,
    /// `[control]`
    pub control: Option<Control>,
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
    pub listen: Option<Spanned<Vec<Spanned<String>>>>,
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
    /// Deny the names by which browsers and phones ask whether the network filters.
    pub canaries: Option<bool>,
    /// `[block.contact]`
    pub contact: Contact,
}

/// `[block.contact]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Contact {
    /// URIs.
    pub uris: Vec<Spanned<String>>,
    /// Who runs this server.
    pub organization: Option<String>,
    /// A language tag.
    pub language: Option<Spanned<String>>,
    /// A URI.
    pub blocked_by: Option<Spanned<String>>,
}

/// `[policy]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Policy {
    /// `allow-wins`, `most-specific` or `ordered`.
    pub precedence: Option<Spanned<String>>,
}

/// `[inspect]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Inspect {
    /// Look at the names that answers lead to.
    pub names: Option<bool>,
    /// Refuse private addresses of public names.
    pub rebinding: Option<bool>,
    /// Names that may have private addresses.
    pub private: Vec<Spanned<String>>,
    /// `keep` or `strip`.
    pub ech: Option<Spanned<String>>,
}

/// `[[schedule]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Schedule {
    /// Its name.
    pub name: Spanned<String>,
    /// A time zone.
    pub zone: Spanned<String>,
    /// Weekly windows.
    #[serde(default)]
    pub windows: Vec<Spanned<String>>,
    /// A time.
    pub from: Option<Spanned<String>>,
    /// A time.
    pub until: Option<Spanned<String>>,
}

/// `[[group]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Group {
    /// Its name.
    pub name: Spanned<String>,
    /// Addresses or networks.
    #[serde(default)]
    pub clients: Vec<Spanned<String>>,
    /// Addresses of `[server] listen`.
    #[serde(default)]
    pub listen: Vec<Spanned<String>>,
    /// Names of lists.
    pub lists: Option<Vec<Spanned<String>>>,
    /// The action of lists without one.
    pub action: Option<Spanned<Action>>,
    /// The name of a schedule.
    pub schedule: Option<Spanned<String>>,
    /// A time.
    pub from: Option<Spanned<String>>,
    /// A time.
    pub until: Option<Spanned<String>>,
    /// URLs or addresses.
    pub upstreams: Option<Vec<Spanned<String>>>,
}

/// `[[rewrite]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rewrite {
    /// A name, or `*.` and a name for those below it.
    pub name: Spanned<String>,
    /// Addresses of either family.
    pub address: Option<Spanned<Vec<Spanned<String>>>>,
    /// The target of an alias.
    pub cname: Option<Spanned<String>>,
    /// Records: type and data.
    pub records: Option<Spanned<Vec<Spanned<String>>>>,
}

/// `[[forward]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Forward {
    /// A name.
    pub suffix: Spanned<String>,
    /// URLs or addresses.
    pub servers: Vec<Spanned<String>>,
}

/// `[blockpage]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BlockPage {
    /// Addresses with ports.
    pub listen: Spanned<Vec<Spanned<String>>>,
    /// Addresses with ports.
    #[serde(default)]
    pub refuse_tls: Vec<Spanned<String>>,
}

/// `[control]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Control {
    /// A path.
    pub socket: Spanned<String>,
    /// A path.
    pub state: Option<Spanned<String>>,
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
    pub rules: Option<Vec<Spanned<Rule>>>,
    /// A format.
    pub format: Option<Spanned<String>>,
    /// `block`, `allow`, `addresses` or `resolvers`.
    pub kind: Option<Spanned<String>>,
    /// `exact` or `suffix`.
    #[serde(rename = "match")]
    pub matching: Option<Spanned<String>>,
    /// An action.
    pub action: Option<Spanned<Action>>,
    /// Who demands it.
    pub authority: Option<String>,
    /// Why, in a sentence.
    pub reason: Option<String>,
    /// Since when, for people.
    pub since: Option<String>,
    /// A word for the kind of danger.
    pub sub_error: Option<Spanned<String>>,
    /// Record types.
    #[serde(default)]
    pub types: Vec<Spanned<String>>,
    /// The name of a schedule.
    pub schedule: Option<Spanned<String>>,
    /// A time.
    pub from: Option<Spanned<String>>,
    /// A time.
    pub until: Option<Spanned<String>>,
}

/// A line of the adguard format, or a table with one and when it applies.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a rule: a line such as \"||example.org^\", or { rule = \"||example.org^\", schedule = \"lessons\" }"
)]
pub enum Rule {
    /// The line.
    Line(String),
    /// The line, and when.
    Timed(TimedRule),
}

/// `{ rule = "…", schedule = "…" }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedRule {
    /// The line.
    pub rule: String,
    /// The name of a schedule.
    pub schedule: Option<String>,
    /// A time.
    pub from: Option<String>,
    /// A time.
    pub until: Option<String>,
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
