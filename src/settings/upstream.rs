//! `[upstream]`: the upstream servers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::upstream::Server;

/// The upstream servers.
#[derive(Clone, Debug)]
pub struct UpstreamSettings {
    /// In order; `None`: the system's; empty: never forward.
    pub servers: Option<Vec<Server>>,
    /// The servers that resolve upstreams given by name; empty: the system's resolvers.
    pub bootstrap: Vec<SocketAddr>,
    /// How long one attempt at one server may take.
    pub timeout: Duration,
    /// Whether names are sent in random letter case.
    pub mix_case: bool,
    /// How many queries may wait for the upstreams.
    pub queue: Queue,
}

impl UpstreamSettings {
    /// These servers, with defaults for everything else.
    #[must_use]
    pub fn of(servers: Vec<Server>) -> Self {
        Self { servers: Some(servers), ..Self::default() }
    }
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            servers: None,
            bootstrap: Vec::new(),
            timeout: Duration::from_secs(2),
            mix_case: false,
            queue: Queue::default(),
        }
    }
}

/// The bound on queries that wait for the upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The most that wait at once; a quarter of them for names of one domain. More are shed.
    pub limit: usize,
    /// Shed queries get no reply instead of SERVFAIL.
    pub silent: bool,
}

impl Default for Queue {
    fn default() -> Self {
        Self { limit: 20_000, silent: false }
    }
}
