//! `[blockpage]`: the page that says why a name is refused.

use std::net::SocketAddr;

/// The block page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockPageSettings {
    /// The addresses on which it listens for HTTP.
    pub listen: Vec<SocketAddr>,
    /// The addresses on which TLS handshakes are rejected at once.
    pub refuse_tls: Vec<SocketAddr>,
}
