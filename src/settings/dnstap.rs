//! `[dnstap]`: where every message goes.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where every message goes, as dnstap over Frame Streams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnstapSettings {
    /// The collector, or the file.
    pub to: DnstapTo,
    /// The server's name in each message.
    pub identity: Option<String>,
    /// Its version in each message.
    pub version: Option<String>,
}

/// A collector of dnstap, or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnstapTo {
    /// A Unix socket on which the collector listens.
    Unix(PathBuf),
    /// An address at which the collector listens.
    Tcp(SocketAddr),
    /// A file, which is begun anew at each start.
    File(PathBuf),
}
