//! An address on which the server listens, as the configuration has it.

use std::net::SocketAddr;

use super::error::KeyPath;

/// An address on which the server listens.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) key: KeyPath,
    /// `None`: the configuration does not say it.
    pub(super) line: Option<usize>,
}

impl Listener {
    /// One for DNS that goes without saying.
    pub(super) fn default_at(address: SocketAddr) -> Self {
        Self { address, key: KeyPath::table("[server]").key("listen"), line: None }
    }

    /// True for one for DNS.
    pub(super) fn is_dns(&self) -> bool {
        self.key.to_string() == "[server] listen"
    }

    /// True if what is sent to `to` arrives here. Any loopback address may be meant where the server
    /// listens on all.
    pub(super) fn receives(&self, to: SocketAddr) -> bool {
        let (own, ip) = (self.address.ip().to_canonical(), to.ip().to_canonical());
        let any = own.is_unspecified() && own.is_ipv4() == ip.is_ipv4();
        self.address.port() == to.port() && (own == ip || any && (ip.is_loopback() || ip.is_unspecified()))
    }
}
