//! One thread: receive, resolve, send, observe. What must wait goes to tokio and comes back to the
//! same socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use crate::dns::edns::PAYLOAD_SIZE;
use crate::dns::reply::Transport;
use crate::observe::counters::Counters;
use crate::observe::event::Event;
use crate::resolver::live::Engine;
use crate::resolver::outcome::Outcome;
use crate::resolver::pending::Pending;
use crate::resolver::resolve::resolve;

/// How long a thread sleeps in the kernel before it looks whether it should end.
const WAKE: Duration = Duration::from_millis(100);
/// The longest packet read; what is longer is no query.
const MAX_PACKET: usize = 4096;

/// A socket on `address`; several may share the address if each is opened with `shared`.
///
/// # Errors
/// The kernel's, most often that the address is in use.
pub fn bind(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
    if shared {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin")))))]
    let _ = shared;
    // A burst waits in the kernel rather than being lost; the kernel may give less.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.bind(&address.into())?;
    let socket: UdpSocket = socket.into();
    socket.set_read_timeout(Some(WAKE))?;
    Ok(socket)
}

/// Answers what arrives on `socket` until `stop` is set.
pub fn run(
    socket: &Arc<UdpSocket>,
    engine: &Arc<Engine>,
    waiting: &tokio::runtime::Handle,
    clock: fn() -> Instant,
    stop: &AtomicBool,
) {
    let counters = engine.counters.thread();
    let mut packet = [0u8; MAX_PACKET];
    let mut out = [0u8; PAYLOAD_SIZE as usize];
    while !stop.load(Relaxed) {
        // An error means that it is time to look at `stop`, or tells of an earlier reply that could
        // not be delivered (ICMP): neither ends the thread.
        let Ok((len, client)) = socket.recv_from(&mut packet) else { continue };
        let packet = packet.get(..len).unwrap_or_default();
        let received = clock();
        let snapshot = engine.snapshot();
        let mut event = Event::new(client, Transport::Udp);
        match resolve(engine, &snapshot, packet, (client, Transport::Udp), received, &mut out, &mut event) {
            Outcome::Reply(len) => send(socket, &out, len, client),
            Outcome::Drop => {}
            Outcome::Later(pending) => {
                waiting.spawn(finish(
                    pending,
                    Arc::clone(socket),
                    Arc::clone(engine),
                    Arc::clone(&counters),
                    clock,
                ));
                continue;
            }
        }
        event.took = clock().saturating_duration_since(received);
        engine.observe(&counters, &snapshot, &event, packet);
    }
}

async fn finish(
    pending: Box<Pending>,
    socket: Arc<UdpSocket>,
    engine: Arc<Engine>,
    counters: Arc<Counters>,
    clock: fn() -> Instant,
) {
    let answered = pending.wait(clock).await;
    let mut out = [0u8; PAYLOAD_SIZE as usize];
    let (len, event) = pending.write(&answered, &mut out);
    send(&socket, &out, len, event.client);
    engine.observe(&counters, pending.snapshot(), &event, pending.packet());
}

fn send(socket: &UdpSocket, out: &[u8], len: usize, client: SocketAddr) {
    if let Some(reply) = out.get(..len).filter(|r| !r.is_empty()) {
        // A reply that the kernel will not take is lost as any datagram may be; the client asks again.
        let _ = socket.send_to(reply, client);
    }
}
