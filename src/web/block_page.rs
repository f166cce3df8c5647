//! The block page: says over HTTP why a name is refused (RFC 7725).
//!
//! A stub address without a server behind it is a time-out. This server stands there and gives, for
//! any Host, method and path, one answer: 451 where an authority outside demands the block, 403
//! where the operator wants it, and 404 for a name that is not blocked. Requests' bodies are not read.
//!
//! Over TLS it can't be had honestly: a page for `https://name/` needs a certificate for `name`,
//! which nobody but its owner gets, and a forged one teaches people to click warnings away. So a
//! TLS client is refused at once, by an alert (see [`refuse_tls`]), rather than left to hang.

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

/// One listener takes this part of the connections that there may be; DNS takes half of them.
const PART: usize = 8;

/// Why a name is refused, in the words that a person gets to read.
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
    /// The URI of who implements the block, for `Link: …; rel="blocked-by"` (RFC 7725 §4).
    pub blocked_by: Option<String>,
    /// Since when, in any form that people read.
    pub since: Option<String>,
    /// The URIs of those to ask.
    pub contact: Vec<String>,
    /// Who runs the resolver.
    pub organization: Option<String>,
    /// What to quote when asking.
    pub id: String,
}

/// Says why a client, by its address, is refused a name; `None`: it is not.
pub type Why = Arc<dyn Fn(IpAddr, &NameBuf) -> Option<Refusal> + Send + Sync>;

/// What one client, and all of them together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the request line and the headers; what is longer gets 431 (RFC 6585 §5). At least 8,192.
    pub head: usize,
    /// The longest wait for a whole request head, and on an idle connection for the next one.
    pub wait: Duration,
    /// After this long a connection ends, whatever it does.
    pub life: Duration,
    /// Connections open at the same time; one more closes the oldest.
    pub open: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { head: 8192, wait: Duration::from_secs(10), life: Duration::from_secs(60), open: 4096 }
    }
}

/// What a block page says, and to whom how much.
#[derive(Clone)]
pub struct Site {
    /// Decides.
    pub why: Why,
    /// Who runs the resolver, for the page that is about no name.
    pub operator: Option<String>,
    /// What clients may take.
    pub limits: Limits,
}

/// Serves the block page over plain HTTP/1 until it is dropped, and its connections with it. A client
/// that begins with a TLS handshake is refused as [`refuse_tls`] does.
pub async fn serve(listener: TcpListener, site: Site) {
    let limits = site.limits;
    let site = Arc::new(site);
    each(listener, "the block page", limits, |stream, client| {
        answer::converse(stream, client, Arc::clone(&site))
    })
    .await;
}

/// Refuses every TLS handshake with the alert `access_denied` (RFC 8446 §6.2), until it is dropped.
pub async fn refuse_tls(listener: TcpListener, limits: Limits) {
    each(listener, "the block page (TLS)", limits, |stream, _| tls::turn_away(stream, limits)).await;
}

/// Has one task hold each connection. One more than allowed closes the oldest: an answer takes milliseconds,
/// so what has been open longest is idle, or a client that holds on to keep others out.
async fn each<C: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    what: &str,
    limits: Limits,
    converse: impl Fn(TcpStream, IpAddr) -> C,
) {
    let Bounds { open, .. } = Bounds::part(PART, limits.open);
    // Many people may share an address, and each browser opens several connections.
    let connections = Connections::new(Bounds { open, each: open }, Arc::default());
    accept(
        listener,
        what,
        &connections,
        std::future::pending(),
        |_| true,
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
