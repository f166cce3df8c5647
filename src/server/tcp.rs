//! TCP: listeners whose connections are streams of messages, within the bounds of `net::accept`.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::stream::{self, Phase, Shared};
use crate::dns::Transport;
use crate::net::accept::{Bounds, Connections, accept};
use crate::net::memory;
use crate::resolver::snapshot::Client;

/// The most connections at the same time.
const CONNECTIONS: usize = 8192;

/// How often it is looked whether connections hold less memory than before.
const LOOK: Duration = Duration::from_secs(2);

/// The TCP side of the server.
pub(super) struct Tcp {
    phase: watch::Sender<Phase>,
    listeners: JoinSet<()>,
}

impl Tcp {
    /// Serves these listeners. Must run within a runtime.
    pub(super) fn start(listeners: Vec<TcpListener>, shared: &Arc<Shared>) -> Self {
        let (phase, at) = watch::channel(Phase::Serves);
        let counters = Arc::clone(&shared.engine.counters.connections);
        // The other half is for the pages, the control socket, and future transports.
        let connections = Connections::new(Bounds::part(2, CONNECTIONS), counters);
        let mut tasks = JoinSet::new();
        tasks.spawn(give_back(Arc::clone(shared), at.clone()));
        for (listener, number) in listeners.into_iter().zip(0u16..) {
            let (shared, connections, at) = (Arc::clone(shared), Arc::clone(&connections), at.clone());
            tasks.spawn(async move { listen(listener, number, shared, &connections, at).await });
        }
        Self { phase, listeners: tasks }
    }

    /// Takes no more connections and queries.
    pub(super) fn close(&self) {
        let _ = self.phase.send(Phase::Drains);
    }

    /// Waits until all queries are answered; call it after [`Tcp::close`].
    pub(super) async fn drained(&mut self) {
        while self.listeners.join_next().await.is_some() {}
    }

    /// Ends all connections.
    pub(super) async fn stop(mut self) {
        let _ = self.phase.send(Phase::Ends);
        self.drained().await;
    }
}

/// Gives memory back after connections held much of it.
async fn give_back(shared: Arc<Shared>, mut phase: watch::Receiver<Phase>) {
    let serves = |phase: &Phase| *phase != Phase::Serves;
    while timeout(LOOK, phase.wait_for(serves)).await.is_err() {
        if shared.budget.has_fallen() {
            let _ = spawn_blocking(memory::give_back).await;
        }
    }
}

async fn listen(
    listener: TcpListener,
    number: u16,
    shared: Arc<Shared>,
    connections: &Arc<Connections>,
    phase: watch::Receiver<Phase>,
) {
    let mut at = phase.clone();
    let closed = async move {
        // An error means that the server is gone.
        let _ = at.wait_for(|phase| *phase != Phase::Serves).await;
    };
    let engine = Arc::clone(&shared.engine);
    // A client that may not ask gets no connection.
    let admits = |ip| engine.snapshot().acl.admits(ip);
    accept(listener, "DNS over TCP", connections, closed, admits, |stream, client, seat| {
        let (shared, phase) = (Arc::clone(&shared), phase.clone());
        async move {
            let Some(address) = client else { return };
            let client = Client { address, transport: Transport::Tcp, listener: number };
            // Small replies must not wait for one another.
            let _ = stream.set_nodelay(true);
            let server = stream.local_addr().ok();
            if let Some(stream) = stream::serve(stream, client, server, seat, shared, phase).await {
                reset(stream);
            }
        }
    })
    .await;
}

/// Ends a connection by RST, which a linger time of zero causes (tcp(7), SO_LINGER).
fn reset(stream: TcpStream) {
    if let Err(reason) = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)) {
        tracing::debug!(%reason, "the connection cannot be reset and is closed");
    }
    drop(stream);
}
