//! Binds the sockets, starts the threads, drains and stops them.

pub mod clock;
#[cfg(unix)]
pub mod control;
pub mod delay;
pub mod hickory;
mod passage;
mod play;
mod stream;
pub mod udp;

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::resolver::live::Engine;
use crate::resolver::moment::Clock;
pub use clock::now;
use delay::{Bound as Waiting, Delayer};
use passage::Passage;
use play::Player;
use stream::Streams;
use udp::worker::{self, Hold, Manner, Shared};

/// How long a stop waits for answers that are still under way.
const DRAIN: Duration = Duration::from_secs(5);

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// UDP or TCP.
    pub transport: &'static str,
    /// The kernel's reason.
    pub reason: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, transport, reason } = self;
        write!(f, "cannot listen on {address} ({transport}): {reason}")?;
        match reason.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "; another program uses it: stop it, or listen on another port (port 0 takes any free one)",
            ),
            io::ErrorKind::PermissionDenied => {
                f.write_str("; ports below 1024 need a privilege: use a higher one")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str("; no interface of this machine has the address"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

/// Sockets that are bound and not yet served.
pub struct Bound {
    sockets: Vec<Vec<UdpSocket>>,
    listeners: Vec<TcpListener>,
    /// The way on, for who stands on the way.
    passage: Option<Arc<Passage>>,
    /// The addresses, with the ports that the kernel chose for port 0.
    pub addresses: Vec<SocketAddr>,
}

/// Binds UDP and TCP on each address, `threads` UDP sockets on each. Must run within a runtime.
///
/// # Errors
/// The first address that could not be bound; everything bound before is released.
pub fn bind(addresses: &[SocketAddr], threads: usize) -> Result<Bound, BindError> {
    bind_as(addresses, threads, None)
}

/// Binds UDP and TCP on each address, which must be wildcards, to answer for any address that packets are
/// routed to this machine for; what the censor lets through goes on to whoever was asked. Linux only. Must
/// run within a runtime.
///
/// # Errors
/// The first address that could not be bound, most often because a privilege is missing; everything bound
/// before is released.
pub fn bind_transparent(addresses: &[SocketAddr]) -> Result<Bound, BindError> {
    let passage = Passage::open().map_err(|reason| BindError {
        address: addresses.first().copied().unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        transport: "UDP",
        reason,
    })?;
    bind_as(addresses, 1, Some(Arc::new(passage)))
}

fn bind_as(
    addresses: &[SocketAddr],
    threads: usize,
    passage: Option<Arc<Passage>>,
) -> Result<Bound, BindError> {
    let transparent = passage.is_some();
    let mut bound = Bound { sockets: Vec::new(), listeners: Vec::new(), passage, addresses: Vec::new() };
    for &wanted in addresses {
        let (address, first, listener) = bind_pair(wanted, transparent)?;
        let mut sockets = vec![first];
        for _ in 1..threads.max(1) {
            let socket = worker::bind(address, Hold { shared: true, transparent })
                .map_err(|reason| BindError { address, transport: "UDP", reason })?;
            sockets.push(socket);
        }
        bound.sockets.push(sockets);
        bound.listeners.push(listener);
        bound.addresses.push(address);
    }
    Ok(bound)
}

/// One address for both transports. Under port 0 the port that UDP got may be taken for TCP, so
/// some are tried.
fn bind_pair(
    wanted: SocketAddr,
    transparent: bool,
) -> Result<(SocketAddr, UdpSocket, TcpListener), BindError> {
    let mut tries = if wanted.port() == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        let udp = |reason| BindError { address: wanted, transport: "UDP", reason };
        // SO_REUSEPORT would let a second server share the port unseen, so the address is claimed
        // without it first.
        drop(worker::bind(wanted, Hold { shared: false, transparent }).map_err(udp)?);
        let socket = worker::bind(wanted, Hold { shared: true, transparent }).map_err(udp)?;
        let address = socket.local_addr().map_err(udp)?;
        match hickory::bind(address, transparent) {
            Ok(listener) => return Ok((address, socket, listener)),
            Err(_) if tries > 0 => {}
            Err(reason) => return Err(BindError { address, transport: "TCP", reason }),
        }
    }
}

/// How the UDP threads work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpThreads {
    /// The most datagrams that one call into the kernel moves.
    pub batch: usize,
    /// Each stays on a processor of its own.
    pub pin: bool,
}

/// A server that answers; [`Running::stop`] drains it.
pub struct Running {
    engine: Arc<Engine>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    tcp: Tcp,
    delayer: Option<Arc<Delayer>>,
    passage: Option<Arc<Passage>>,
}

/// Who serves TCP: hickory, or for scenarios we ourselves.
enum Tcp {
    Hickory(hickory::Tcp),
    Own(Streams),
}

/// Serves what was bound. Must run within a multi-threaded runtime, on which queries wait.
///
/// # Errors
/// The kernel's, when a thread cannot be started.
pub fn start(
    bound: Bound,
    engine: &Arc<Engine>,
    clock: Clock,
    UdpThreads { batch, pin }: UdpThreads,
) -> io::Result<Running> {
    let stop = Arc::new(AtomicBool::new(false));
    // Only a censor sends what neither goes out at once nor is what hickory would write.
    let delayer = match engine.snapshot().censor {
        Some(_) => Some(Arc::new(Delayer::start(clock, Waiting::default())?)),
        None => None,
    };
    let passage = bound.passage;
    let shared = Shared {
        engine: Arc::clone(engine),
        runtime: tokio::runtime::Handle::current(),
        waited: engine.counters.shared(),
        clock,
        stop: Arc::clone(&stop),
        player: delayer
            .as_ref()
            .map(|d| Arc::new(Player { delayer: Arc::clone(d), passage: passage.clone() })),
    };
    let mut threads = Vec::new();
    // The nth socket of each address stays on the nth processor.
    for (sockets, listener) in bound.sockets.into_iter().zip(0u16..) {
        for (number, socket) in sockets.into_iter().enumerate() {
            let (socket, shared) = (Arc::new(socket), shared.clone());
            let manner = Manner { batch, processor: pin.then_some(number) };
            let thread = std::thread::Builder::new().name(format!("udp-{number}"));
            threads.push(thread.spawn(move || worker::run(&socket, listener, &shared, manner))?);
        }
    }
    let tcp = match &delayer {
        None => Tcp::Hickory(hickory::Tcp::start(bound.listeners, engine, clock)),
        Some(delayer) => {
            let (engine, delayer) = (Arc::clone(engine), Arc::clone(delayer));
            let counters = engine.counters.shared();
            let passage = passage.clone();
            let shared = stream::Shared { engine, counters, clock, delayer, passage };
            Tcp::Own(Streams::start(bound.listeners, &shared))
        }
    };
    Ok(Running { engine: Arc::clone(engine), stop, threads, tcp, delayer, passage })
}

impl Running {
    /// How many packets of a censor were sent before their time, because too many waited for theirs.
    #[must_use]
    pub fn hurried(&self) -> u64 {
        self.delayer.as_ref().map_or(0, |d| d.hurried())
    }

    /// How many queries were not passed on to whoever was asked, because too many were on their way.
    #[must_use]
    pub fn held_up(&self) -> u64 {
        self.passage.as_ref().map_or(0, |p| p.dropped())
    }

    /// Takes no more queries, waits for those under way, and ends.
    pub async fn stop(mut self) {
        self.stop.store(true, Relaxed);
        if let Tcp::Own(streams) = &self.tcp {
            streams.close();
        }
        let threads = self.threads;
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).all(|r| r.is_ok()));
        if !matches!(joined.await, Ok(true)) {
            tracing::error!("a UDP thread ended by a panic");
        }
        let engine = self.engine;
        let delayed = || self.delayer.as_ref().map_or(0, |d| d.waiting());
        let passing = || self.passage.as_ref().map_or(0, |p| p.passing());
        let tcp = &mut self.tcp;
        let drained = async {
            // What has passed may then wait for its time.
            while !engine.waiting.is_empty() || passing() > 0 || delayed() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if let Tcp::Own(streams) = tcp {
                streams.drained().await;
            }
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            let (waiting, packets) = (engine.waiting.len(), delayed());
            tracing::warn!(waiting, packets, "stopped before all answers had come or were sent");
        }
        if let Some(passage) = self.passage {
            passage.stop().await;
        }
        match self.tcp {
            Tcp::Hickory(tcp) => {
                if let Err(reason) = tcp.stop().await {
                    tracing::debug!(reason, "closing TCP");
                }
            }
            Tcp::Own(streams) => streams.stop().await,
        }
        if let Some(delayer) = self.delayer {
            delayer.stop();
        }
    }
}
