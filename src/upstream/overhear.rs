//! Who hears of every message that is exchanged with the servers.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::dns::Transport;

/// A query to a server, and the reply to it.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'e> {
    /// The server.
    pub server: SocketAddr,
    /// How the query was sent.
    pub transport: Transport,
    /// The octets of the query; without a reply, its id is 0.
    pub query: &'e [u8],
    /// The octets of the reply; `None`: there was none in time, or none that answers the query.
    pub reply: Option<&'e [u8]>,
    /// From the query to its reply or its end.
    pub took: Duration,
}

/// Who hears of every exchange. It is called on the threads that serve the upstreams, so it must neither wait nor
/// fail.
pub trait Overhear: Send + Sync + fmt::Debug {
    /// Hears of one exchange when it is over.
    fn exchanged(&self, exchange: &Exchange<'_>);
}
