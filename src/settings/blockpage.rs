//! `[blockpage]`: the page that says why a name is refused.

use std::net::SocketAddr;

use ipnet::IpNet;

/// The block page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockPageSettings {
    /// The addresses on which it listens for HTTP.
    pub listen: Vec<SocketAddr>,
    /// The addresses on which TLS handshakes are rejected at once.
    pub refuse_tls: Vec<SocketAddr>,
    /// The networks whose clients may connect; `None`: all.
    pub allow: Option<Vec<IpNet>>,
}
