//! Serves routes over HTTP/1 to programs that read metrics.
//!
//! `axum::serve` has no limits to set, so this uses hyper, behind the accept loop of all listeners.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::net::accept::{Bounds, Connections, accept};
use crate::net::stall::Stalling;

/// Connections at the same time; one more closes the oldest.
const OPEN: usize = 64;
/// One listener may have one in this many of all connections.
const PART: usize = 16;
/// Octets of a request's line and headers.
const HEAD: usize = 16 * 1024;
/// The longest wait for a whole request head, and on an idle connection for the next one.
const WAIT: Duration = Duration::from_secs(75);
/// The longest lifetime of a connection.
const LIFE: Duration = Duration::from_secs(3600);
/// The longest wait for a client to read more of a response.
const STALL: Duration = Duration::from_secs(10);
/// How long a connection at the end of its lifetime may take to finish the current response.
const GRACE: Duration = Duration::from_secs(2);

/// Serves these routes to the clients that `admits` lets in. Dropping it ends its connections. `what` names them
/// in the log.
pub async fn serve(listener: TcpListener, what: &str, routes: Router, admits: impl Fn(IpAddr) -> bool) {
    let connections = Connections::new(Bounds::part(PART, OPEN), Arc::default());
    accept(listener, what, &connections, std::future::pending(), admits, |stream, _, seat| {
        let service = TowerToHyperService::new(routes.clone());
        async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(WAIT).max_header_size(HEAD).max_buf_size(HEAD);
            let mut conversation =
                pin!(http.serve_connection(TokioIo::new(Stalling::new(stream, STALL)), service));
            tokio::select! {
                // Invalid requests have been answered, and a client that has gone away needs no answer.
                _ = conversation.as_mut() => {}
                () = sleep(LIFE) => {
                    conversation.as_mut().graceful_shutdown();
                    let _ = timeout(GRACE, conversation).await;
                }
            }
            drop(seat);
        }
    })
    .await;
}
