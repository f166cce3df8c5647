//! The block page: explains over HTTP why a name is refused (RFC 7725).
//!
//! A stub address without a server behind it means a time-out. This server listens there and gives, for
//! any Host, method and path, one response: 451 where an outside authority demands the block, 403
//! where the operator wants it, and 404 for a name that is not blocked. Request bodies are not read.
//!
//! Over TLS there is no honest block page: `https://name/` needs a certificate for `name`, which only
//! its owner can get, and a forged one teaches people to ignore warnings. So a TLS client is refused at
//! once, by an alert (see [`refuse_tls`]), rather than left to hang.

mod answer;
mod connections;
mod finding;
mod html;
mod negotiate;
mod texts;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::dns::NameBuf;
use crate::net::accept::{Bounds, Connections, accept};

/// All listeners may have one in this many of all connections; DNS has half of them.
const PART: usize = 8;

/// Why a name is refused, as text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name that is refused.
    pub name: String,
    /// The list whose rule decided.
    pub list: String,
    /// The reason that the list gives.
    pub reason: Option<String>,
    /// The outside authority that demands the block; with one, the status is 451 (RFC 7725 §3).
    pub authority: Option<String>,
    /// The URI of the party that implements the block, for `Link: …; rel="blocked-by"` (RFC 7725 §4).
    pub blocked_by: Option<String>,
    /// Since when, as text for people.
    pub since: Option<String>,
    /// The URIs of the contact.
    pub contact: Vec<String>,
    /// The operator of the resolver.
    pub organization: Option<String>,
    /// The reference to quote to the contact.
    pub id: String,
}

/// Finds why a client, by its address, is refused a name; `None`: it is not.
pub type Why = Arc<dyn Fn(IpAddr, &NameBuf) -> Option<Refusal> + Send + Sync>;

/// Limits for one client, and for all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the request line and the headers; a longer head gets 431 (RFC 6585 §5). At least 8,192.
    pub head: usize,
    /// The longest wait for a whole request head, and on an idle connection for the next one.
    pub wait: Duration,
    /// The longest lifetime of a connection.
    pub life: Duration,
    /// Connections open at the same time; one more closes the oldest.
    pub open: usize,
    /// The listeners that share the connections of the block page.
    pub listeners: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 8192,
            wait: Duration::from_secs(10),
            life: Duration::from_secs(60),
            open: 4096,
            listeners: 1,
        }
    }
}

/// The contents and limits of a block page.
#[derive(Clone)]
pub struct Site {
    /// Decides.
    pub why: Why,
    /// The operator of the resolver, for the page without a name.
    pub operator: Option<String>,
    /// Limits for clients.
    pub limits: Limits,
    /// Which clients may connect.
    pub admits: Admits,
}

/// Whether a client may connect, by its address.
pub type Admits = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// Serves the block page over plain HTTP/1. Dropping it ends its connections. A client that begins with a
/// TLS handshake is refused as by [`refuse_tls`].
pub async fn serve(listener: TcpListener, site: Site) {
    let (limits, admits) = (site.limits, Arc::clone(&site.admits));
    let site = Arc::new(site);
    each(listener, "the block page", limits, admits, |stream, client| {
        answer::converse(stream, client, Arc::clone(&site))
    })
    .await;
}

/// Refuses every TLS handshake with the alert `access_denied` (RFC 8446 §6.2) until dropped.
pub async fn refuse_tls(listener: TcpListener, limits: Limits, admits: Admits) {
    each(listener, "the block page (TLS)", limits, admits, |stream, _| tls::turn_away(stream, limits)).await;
}

/// Runs a task for each connection. One more than allowed closes the oldest: a response takes milliseconds,
/// so the oldest connection is idle, or held open to keep others out.
async fn each<C: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    what: &str,
    limits: Limits,
    admits: Admits,
    converse: impl Fn(TcpStream, IpAddr) -> C,
) {
    let Bounds { open, .. } = Bounds::part(PART * limits.listeners.max(1), limits.open);
    // Many people may share an address, and each browser opens several connections.
    let connections = Connections::new(Bounds { open, each: open }, Arc::default());
    accept(
        listener,
        what,
        &connections,
        std::future::pending(),
        |ip| admits(ip),
        |stream, client, seat| {
            let conversation = client.map(|client| converse(stream, client.ip().to_canonical()));
            async move {
                if let Some(conversation) = conversation {
                    conversation.await;
                }
                drop(seat);
            }
        },
    )
    .await;
}
