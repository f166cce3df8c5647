//! `[metrics]`: the page with the counters.

use std::net::SocketAddr;

/// The page with the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where it is served over HTTP.
    pub listen: SocketAddr,
}
