//! One upstream server as configured.

use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::dns::NameBuf;

/// One upstream server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens.
    pub at: Endpoint,
    /// Query it over TCP only, never over UDP.
    pub tcp_only: bool,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// At an address and port. A link-local address has its interface as scope id.
    Address(SocketAddr),
    /// At a port of the addresses of a host, which a [`Bootstrap`](super::hickory::Bootstrap) resolves.
    Host {
        /// The host's name.
        name: NameBuf,
        /// The port.
        port: u16,
    },
}

impl Server {
    /// A server that is queried over UDP, and over TCP if a reply is truncated.
    #[must_use]
    pub const fn udp(at: Endpoint) -> Self {
        Self { at, tcp_only: false }
    }

    /// A server that is queried over TCP only.
    #[must_use]
    pub const fn tcp(at: Endpoint) -> Self {
        Self { at, tcp_only: true }
    }

    /// True if it is given by name.
    #[must_use]
    pub const fn has_name(&self) -> bool {
        matches!(self.at, Endpoint::Host { .. })
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

/// True if packets to `to` arrive at one of the addresses `listen`, so that a server that forwards there
/// queries itself. Reads the machine's addresses, sends nothing.
pub(super) fn returns_to(listen: &[SocketAddr], to: SocketAddr) -> bool {
    let ip = to.ip().to_canonical();
    listen.iter().filter(|own| own.port() == to.port()).any(|own| {
        let own = own.ip().to_canonical();
        own == ip || own.is_unspecified() && own.is_ipv4() == ip.is_ipv4() && is_of_this_machine(ip)
    })
}

/// A packet to one of the machine's own addresses has that address as its source too.
fn is_of_this_machine(ip: IpAddr) -> bool {
    let any: IpAddr = match ip {
        IpAddr::V4(_) => [0, 0, 0, 0].into(),
        IpAddr::V6(_) => [0; 16].into(),
    };
    let source = || {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        // For a datagram socket this only looks up the route.
        socket.connect((ip, 53)).ok()?;
        socket.local_addr().ok()
    };
    ip.is_loopback() || ip.is_unspecified() || source().is_some_and(|source| source.ip() == ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_forwards_to_itself_is_detected() {
        for (listen, to, returns) in [
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("127.0.0.1:5300", "127.0.0.1:53", false),
            ("127.0.0.1:53", "127.0.0.53:53", false),
            ("0.0.0.0:53", "127.0.0.53:53", true),
            ("0.0.0.0:53", "192.0.2.1:53", false),
            ("0.0.0.0:53", "[::1]:53", false),
            ("[::]:53", "[::1]:53", true),
            ("[::ffff:127.0.0.1]:53", "127.0.0.1:53", true),
        ] {
            let listen = [listen.parse().unwrap()];
            assert_eq!(returns_to(&listen, to.parse().unwrap()), returns, "{listen:?} {to}");
        }
        assert!(!returns_to(&[], "127.0.0.1:53".parse().unwrap()));
    }
}
