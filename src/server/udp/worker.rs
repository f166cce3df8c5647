//! One thread: receive a batch, resolve each query, send the replies, observe. A query that must wait goes to
//! tokio, and its reply returns through the same socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::{Receive, Return, Transmit, plain, send_one};
use crate::dns::{PAYLOAD_SIZE, Transport};
use crate::net::bind::{self, Hold};
use crate::observe::counters::Counters;
use crate::observe::event::Event;
use crate::resolver::ahead::read_ahead;
use crate::resolver::live::Engine;
use crate::resolver::moment::Clock;
use crate::resolver::outcome::Outcome;
use crate::resolver::pending::{Answered, Pending};
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::Client;
use crate::server::intercept::{Interceptor, ReplyPath};

/// How long a thread sleeps in the kernel before it checks whether to end.
const WAKE: Duration = Duration::from_millis(100);
/// The longest packet read; a longer one is not a query.
const MAX_PACKET: usize = 4096;
/// The longest reply.
const MAX_REPLY: usize = PAYLOAD_SIZE as usize;

/// Settings of the threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The most datagrams per system call; 1 uses portable calls.
    pub batch: usize,
    /// The processor that this thread is pinned to, if any.
    pub processor: Option<usize>,
}

/// State that all threads share.
#[derive(Clone)]
pub struct Shared {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The runtime on which queries wait for an upstream.
    pub runtime: tokio::runtime::Handle,
    /// Counters of the queries that waited.
    pub waited: Arc<Counters>,
    /// Reads the time.
    pub clock: Clock,
    /// Set when the threads should end.
    pub stop: Arc<AtomicBool>,
    /// The interceptor before the resolver.
    pub interceptor: Option<Arc<dyn Interceptor>>,
}

/// A socket on `address` that the threads read from.
///
/// # Errors
/// The kernel's, most often that the address is in use.
pub fn bind(address: SocketAddr, hold: Hold) -> io::Result<UdpSocket> {
    let socket = bind::udp(address, hold)?;
    socket.set_read_timeout(Some(WAKE))?;
    #[cfg(target_os = "linux")]
    if address.ip().is_unspecified() {
        super::mmsg::tell_destination(&socket)?;
    }
    Ok(socket)
}

/// Answers the queries that arrive on `socket` until `shared.stop` is set.
pub fn run(socket: &Arc<UdpSocket>, listener: u16, shared: &Shared, manner: Manner) {
    #[cfg(target_os = "linux")]
    {
        use super::mmsg;
        if let Some(processor) = manner.processor
            && let Err(reason) = mmsg::pin(processor)
        {
            tracing::warn!(processor, %reason, "cannot pin this UDP thread to its processor");
        }
        if manner.batch > 1 {
            let inbox = mmsg::Inbox::new(manner.batch, MAX_PACKET);
            let outbox = mmsg::Outbox::new(manner.batch, MAX_REPLY);
            return answer(socket, listener, shared, inbox, outbox);
        }
    }
    answer(socket, listener, shared, plain::Inbox::new(MAX_PACKET), plain::Outbox::new(MAX_REPLY));
}

fn answer(
    socket: &Arc<UdpSocket>,
    listener: u16,
    shared: &Shared,
    mut inbox: impl Receive,
    mut outbox: impl Transmit,
) {
    let engine = &shared.engine;
    let mut counters = engine.counters.own();
    // The datagrams that were handled on this thread, the results, and the slots of the replies.
    let mut events: Vec<(usize, Event, Option<usize>)> = Vec::new();
    let mut begun = Vec::new();
    let _runtime = shared.runtime.enter();
    while !shared.stop.load(Relaxed) {
        // An error is a time-out, to check `stop`, or reports an earlier reply that could not be
        // delivered (ICMP): neither ends the thread.
        let Ok(received) = inbox.receive(socket) else { continue };
        let now = (shared.clock)();
        let snapshot = engine.snapshot_at(now.unix);
        let mut replies = 0..;
        read_ahead(&snapshot, received, |slot| inbox.get(slot).map(|(packet, _)| packet), &mut begun);
        for slot in 0..received {
            let (Some((packet, to)), Some(out)) = (inbox.get(slot), outbox.space()) else { continue };
            let client = Client { address: to.peer, transport: Transport::Udp, listener };
            if let Some(interceptor) = &shared.interceptor {
                let path = ReplyPath::Datagram { socket: Arc::clone(socket), to };
                if interceptor.intercept(packet, client, now, path).is_ok() {
                    continue;
                }
            }
            let mut event = Event::new(to.peer, Transport::Udp);
            let reply = match resolve(engine, &snapshot, packet, client, now, out, &mut event) {
                Outcome::Reply(len) => {
                    outbox.commit(len, &to);
                    replies.next()
                }
                Outcome::ReplyAndRefresh(len, pending) => {
                    outbox.commit(len, &to);
                    pending.refresh(shared.clock);
                    replies.next()
                }
                Outcome::Drop => None,
                Outcome::Later(pending) => {
                    let (socket, shared) = (Arc::clone(socket), shared.clone());
                    let clock = shared.clock;
                    pending.begin(clock, move |pending, answered| {
                        finish(pending, answered, &to, &socket, &shared);
                    });
                    continue;
                }
            };
            events.push((slot, event, reply));
        }
        outbox.send(socket);
        let took = (shared.clock)().at.saturating_duration_since(now.at);
        for (slot, mut event, reply) in events.drain(..) {
            event.took = took;
            let packet = inbox.get(slot).map_or(&[][..], |(packet, _)| packet);
            let reply = reply.and_then(|reply| outbox.sent(reply)).unwrap_or_default();
            engine.observe(&mut counters, &snapshot, &event, packet, reply);
        }
    }
}

/// Sends the reply to a query that waited, from any thread.
fn finish(pending: &Pending, answered: &Answered, to: &Return, socket: &UdpSocket, shared: &Shared) {
    let mut out = [0u8; MAX_REPLY];
    let (len, event) = pending.write(answered, &mut out);
    let reply = out.get(..len).unwrap_or_default();
    if !reply.is_empty() {
        // A reply that the kernel rejects is lost, as any datagram may be; the client asks again.
        let _ = send_one(socket, reply, to);
    }
    shared.engine.observe(&mut &*shared.waited, pending.snapshot(), &event, pending.packet(), reply);
}
