//! Why a server does not start.

use std::io;
use std::net::SocketAddr;

use crate::server;
use crate::sources::BuildError;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A list, a zone or the upstreams.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// An address for DNS.
    #[error(transparent)]
    Bind(#[from] server::BindError),
    /// An address for HTTP.
    #[error("cannot listen on {address} for {what}: {reason}; choose another address in {key}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What it is for.
        what: &'static str,
        /// The key of the configuration that names it.
        key: &'static str,
        /// The kernel's reason.
        reason: io::Error,
    },
    /// The socket for orders.
    #[cfg(unix)]
    #[error(transparent)]
    Control(#[from] server::control::BindError),
    /// The system has no Unix sockets.
    #[cfg(not(unix))]
    #[error("[control] needs a Unix socket, which this system does not have")]
    Control,
    /// The process can't become the user of `[server] user`.
    #[error("cannot run as the user `{name}` of [server] user: {reason}")]
    User {
        /// The user.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A thread, or the runtime that queries wait on.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StartError {
    /// True if another program uses an address for DNS.
    #[must_use]
    pub fn is_address_in_use(&self) -> bool {
        matches!(self, Self::Bind(error) if error.reason.kind() == io::ErrorKind::AddrInUse)
    }
}
