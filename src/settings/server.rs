//! `[server]`: listeners, allowed clients and threads.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use crate::dns::CookieSecret;

/// Listeners, allowed clients and threads.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The addresses to listen on, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// UDP threads on each address; 0: one per core.
    pub threads: usize,
    /// Whether each UDP thread is pinned to a core.
    pub pin: bool,
    /// The most datagrams per system call; 1: use the portable calls.
    pub udp_batch: usize,
    /// The networks whose clients are allowed.
    pub allow: Vec<IpNet>,
    /// Those of them that get what other servers know; `None`: all.
    pub allow_recursion: Option<Vec<IpNet>>,
    /// Whether replies to clients with cookies have the server's (RFC 7873).
    pub answer_cookie: bool,
    /// The secrets behind the server's cookies: the first makes them, all are accepted. None: a random one.
    pub cookie_secrets: Vec<CookieSecret>,
    /// Whether a client that sends cookies must return the server's over UDP.
    pub require_cookie: bool,
    /// The user that the process becomes once the sockets are bound; `None`: it stays who it is.
    pub user: Option<String>,
    /// The answer to `version.bind`, if configured.
    pub version: Option<String>,
    /// The answer to `id.server`, if configured.
    pub identity: Option<String>,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 5300))],
            threads: 0,
            pin: false,
            udp_batch: 64,
            allow: private_networks(),
            allow_recursion: None,
            answer_cookie: true,
            cookie_secrets: Vec::new(),
            require_cookie: false,
            user: None,
            version: None,
            identity: None,
        }
    }
}

/// True if a network is so wide that it takes in strangers: no network of one's own is that wide.
#[must_use]
pub fn is_everybody(network: &IpNet) -> bool {
    network.prefix_len() < if network.addr().is_ipv4() { 8 } else { 16 } && !is_private(network)
}

/// True if a network lies within the private ones.
#[must_use]
pub fn is_private(network: &IpNet) -> bool {
    private_networks().iter().any(|private| private.contains(network))
}

/// Loopback, private and link-local networks.
#[must_use]
pub fn private_networks() -> Vec<IpNet> {
    let v4 = |a, b, c, d, len| IpNet::new(Ipv4Addr::new(a, b, c, d).into(), len);
    let v6 = |first, last, len| IpNet::new(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last).into(), len);
    [
        v4(127, 0, 0, 0, 8),
        v4(10, 0, 0, 0, 8),
        v4(172, 16, 0, 0, 12),
        v4(192, 168, 0, 0, 16),
        v4(169, 254, 0, 0, 16),
        v6(0, 1, 128),
        v6(0xfc00, 0, 7),
        v6(0xfe80, 0, 10),
    ]
    .into_iter()
    .flatten()
    .collect()
}
