//! `[blockpage]`: the page that says why a name is refused.

use std::net::SocketAddr;

/// The block page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockPageSettings {
    /// Where it listens for HTTP.
    pub listen: Vec<SocketAddr>,
    /// Where TLS is refused at once.
    pub refuse_tls: Vec<SocketAddr>,
}
