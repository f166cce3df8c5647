//! `[log]`: the query log.

use std::path::PathBuf;
use std::time::Duration;

/// The query log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The database, if there is one.
    pub store: Option<LogStore>,
    /// Where each query goes as a line of JSON.
    pub lines: Option<LogLines>,
    /// What is kept of whom and what.
    pub privacy: Privacy,
}

/// The database of the query log: a file a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStore {
    /// The folder of the files.
    pub folder: PathBuf,
    /// For how many days a file is kept after its own.
    pub days: u32,
    /// The most octets of all files together.
    pub size: u64,
    /// The longest time for which lines are kept in memory: a crash loses no more.
    pub commit_every: Duration,
}

/// Where lines of JSON go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogLines {
    /// Standard output.
    Output,
    /// The end of a file.
    File(PathBuf),
}

/// What the log keeps of whom and what. It is applied before a line leaves the thread that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// What it keeps of the client's address.
    pub client: ClientPrivacy,
    /// Whether it keeps the name, and the rule and reference that tell it.
    pub names: bool,
}

impl Default for Privacy {
    fn default() -> Self {
        Self { client: ClientPrivacy::Full, names: true }
    }
}

/// What the log keeps of a client's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientPrivacy {
    /// All of it.
    Full,
    /// Its network: the first 24 bits of IPv4, 56 of IPv6.
    Network,
    /// Nothing.
    None,
}
