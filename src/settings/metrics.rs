//! `[metrics]`: the page with the counters.

use std::net::SocketAddr;

use ipnet::IpNet;

/// The page with the counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where it is served over HTTP.
    pub listen: SocketAddr,
    /// The networks whose clients may connect; `None`: all.
    pub allow: Option<Vec<IpNet>>,
}
