//! The DNS server over UDP and TCP: bound, running, stopped.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;

use super::intercept::Interceptor;
use super::stream::{self, Patience};
use super::tcp::Tcp;
use super::udp::worker::{self, Manner, Shared};
use crate::net::bind::{self, BindError, Hold};
use crate::resolver::live::Engine;
use crate::resolver::moment::Clock;

/// How long a stop waits for queries that are still in progress.
const DRAIN: Duration = Duration::from_secs(5);

/// Sockets that are bound and not served yet.
pub struct Bound {
    sockets: Vec<Vec<UdpSocket>>,
    listeners: Vec<TcpListener>,
    /// The addresses, with the ports that the kernel chose for port 0.
    pub addresses: Vec<SocketAddr>,
}

/// Binds UDP and TCP on each address, `threads` UDP sockets on each. Must run within a runtime.
///
/// # Errors
/// The first address that could not be bound; everything bound before is released.
pub fn bind(addresses: &[SocketAddr], threads: usize) -> Result<Bound, BindError> {
    bind_as(addresses, threads, false)
}

/// Binds UDP and TCP on each address, which must be a wildcard, to answer for any address whose packets are
/// routed to this machine. Linux only. Must run within a runtime.
///
/// # Errors
/// The first address that could not be bound, most often because a privilege is missing; everything bound
/// before is released.
pub fn bind_transparent(addresses: &[SocketAddr]) -> Result<Bound, BindError> {
    bind_as(addresses, 1, true)
}

fn bind_as(addresses: &[SocketAddr], threads: usize, transparent: bool) -> Result<Bound, BindError> {
    let mut bound = Bound { sockets: Vec::new(), listeners: Vec::new(), addresses: Vec::new() };
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

/// One address for both transports. With port 0, the port that UDP got may be taken for TCP, so several
/// are tried.
fn bind_pair(
    wanted: SocketAddr,
    transparent: bool,
) -> Result<(SocketAddr, UdpSocket, TcpListener), BindError> {
    let mut tries = if wanted.port() == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        let udp = |reason| BindError { address: wanted, transport: "UDP", reason };
        // With SO_REUSEPORT the kernel gives the port of another server away, even for port 0, and half of
        // that server's packets with it. So the port is bound without, and shared when it is ours.
        let socket = worker::bind(wanted, Hold { shared: false, transparent }).map_err(udp)?;
        bind::share(&socket).map_err(udp)?;
        let address = socket.local_addr().map_err(udp)?;
        match bind::tcp(address, transparent) {
            Ok(listener) => return Ok((address, socket, listener)),
            Err(_) if tries > 0 => {}
            Err(reason) => return Err(BindError { address, transport: "TCP", reason }),
        }
    }
}

/// Settings of the UDP threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpThreads {
    /// The most datagrams per system call.
    pub batch: usize,
    /// Pins each thread to a processor of its own.
    pub pin: bool,
}

/// A running server; [`Running::stop`] drains it.
pub struct Running {
    engine: Arc<Engine>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    tcp: Tcp,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// Serves the bound sockets. Must run within a multi-threaded runtime, on which queries wait.
///
/// # Errors
/// The kernel's, when a thread cannot be started.
pub fn start(bound: Bound, engine: &Arc<Engine>, clock: Clock, threads: UdpThreads) -> io::Result<Running> {
    start_behind(None, bound, engine, clock, threads)
}

/// Serves the bound sockets, with an interceptor before the resolver. Must run within a multi-threaded
/// runtime.
///
/// # Errors
/// The kernel's, when a thread cannot be started.
pub fn start_behind(
    interceptor: Option<Arc<dyn Interceptor>>,
    bound: Bound,
    engine: &Arc<Engine>,
    clock: Clock,
    UdpThreads { batch, pin }: UdpThreads,
) -> io::Result<Running> {
    let stop = Arc::new(AtomicBool::new(false));
    let shared = Shared {
        engine: Arc::clone(engine),
        runtime: tokio::runtime::Handle::current(),
        waited: engine.counters.shared(),
        clock,
        stop: Arc::clone(&stop),
        interceptor: interceptor.clone(),
    };
    let mut threads = Vec::new();
    // The thread of the nth socket of each address stays on the nth processor.
    for (sockets, listener) in bound.sockets.into_iter().zip(0u16..) {
        for (number, socket) in sockets.into_iter().enumerate() {
            let (socket, shared) = (Arc::new(socket), shared.clone());
            let manner = Manner { batch, processor: pin.then_some(number) };
            let thread = std::thread::Builder::new().name(format!("udp-{number}"));
            threads.push(thread.spawn(move || worker::run(&socket, listener, &shared, manner))?);
        }
    }
    let shared = stream::Shared {
        engine: Arc::clone(engine),
        counters: engine.counters.shared(),
        clock,
        patience: Patience::default(),
        interceptor: interceptor.clone(),
    };
    let tcp = Tcp::start(bound.listeners, &Arc::new(shared));
    Ok(Running { engine: Arc::clone(engine), stop, threads, tcp, interceptor })
}

impl Running {
    /// Takes no more queries, waits for those in progress, and ends.
    pub async fn stop(mut self) {
        self.stop.store(true, Relaxed);
        self.tcp.close();
        let threads = self.threads;
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().map(JoinHandle::join).all(|r| r.is_ok()));
        if !matches!(joined.await, Ok(true)) {
            tracing::error!("a UDP thread ended by a panic");
        }
        let engine = self.engine;
        let intercepted = || self.interceptor.as_ref().map_or(0, |i| i.under_way());
        let tcp = &mut self.tcp;
        let drained = async {
            while !engine.waiting.is_empty() || intercepted() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            tcp.drained().await;
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            let (waiting, packets) = (engine.waiting.len(), intercepted());
            tracing::warn!(waiting, packets, "stopped before all replies had arrived or were sent");
        }
        self.tcp.stop().await;
        if let Some(interceptor) = self.interceptor {
            interceptor.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn the_threads_share_a_port_that_no_other_server_gets() {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = bind(&[wanted], 2).unwrap();
        let [address] = bound.addresses[..] else { panic!("one address: {:?}", bound.addresses) };
        let again = bind(&[address], 2).map(|bound| bound.addresses);
        assert_eq!(again.map_err(|e| e.reason.kind()), Err(io::ErrorKind::AddrInUse));
        // The kernel chooses a socket by the client's port.
        for i in 0..64 {
            let client = UdpSocket::bind(wanted).unwrap();
            client.send_to(&[i], address).unwrap();
        }
        for socket in &bound.sockets[0] {
            socket.recv(&mut [0]).expect("each thread's socket gets some of 64 packets");
        }
    }
}
