//! Queries one server over UDP at little cost: each query is sent on the calling thread, the reply is read
//! by a task.
//!
//! A [`Port`] is a socket connected to the server, on a source port that the kernel picked at random. It
//! takes a few hundred queries or a second or two, then the next one is opened; so a port is closed before
//! it can be discovered, and an attacker must guess both port and id (RFC 5452 §9). Nothing is retried
//! here: a query without a reply, or with a reply that needs handling, is the business of
//! [`NameServer`](super::name_server::NameServer).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use super::Question;
use super::flights::{Flight, Flights, Missed, OnReply, lock, random_ids, with_question};
use super::question::Packet;

/// How long a port takes queries; it takes at most [`IDS`](super::flights::IDS).
const LIFE: Duration = Duration::from_secs(2);
/// The longest reply that is read; the advertised payload size is smaller.
const MAX_REPLY: usize = 4096;
/// How many replies are read before other tasks get their turn.
const BURST: usize = 64;

/// The ports to one server; one of them takes queries.
pub(super) struct Ports {
    server: SocketAddr,
    /// Interval between checks for overdue queries.
    tick: Duration,
    open: Mutex<Option<Arc<Port>>>,
}

impl Ports {
    /// No port is opened before the first query. An expired query is noticed at most `tick` after its
    /// deadline.
    #[must_use]
    pub(super) const fn new(server: SocketAddr, tick: Duration) -> Self {
        Self { server, tick, open: Mutex::new(None) }
    }

    /// Sends a query, with or without EDNS, and returns; `done` is called with the reply or, after about
    /// `wait`, with the failure. Must run within a runtime.
    pub(super) fn ask(&self, question: &Question, edns: bool, now: Instant, wait: Duration, done: OnReply) {
        let mut open = lock(&self.open);
        let taken = open.as_ref().and_then(|port| Some((Arc::clone(port), port.take_id(now)?)));
        let (port, id) = match taken {
            Some(taken) => taken,
            None => match Port::open(self.server, now, self.tick) {
                Ok((port, id)) => (Arc::clone(open.insert(port)), id),
                Err(error) => {
                    drop(open);
                    return done(Err(Missed::of(error)));
                }
            },
        };
        drop(open);
        port.ask(
            Flight { packet: Box::new(question.packet(edns)), deadline: now + wait, on_reply: done },
            id,
        );
    }
}

/// One socket with its queries in flight.
struct Port {
    /// Read by a task, written by the callers.
    socket: UdpSocket,
    /// When it stops taking queries.
    until: Instant,
    state: Mutex<State>,
}

struct State {
    /// Unused ids, drawn at random, all different.
    ids: Vec<u16>,
    /// Ids that are taken but not yet among the flights.
    reserved: usize,
    flights: Flights<()>,
}

impl Port {
    /// Opens a port and takes the id of its first query.
    fn open(server: SocketAddr, now: Instant, tick: Duration) -> io::Result<(Arc<Self>, u16)> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = std::net::UdpSocket::bind(any)?;
        // On a connected socket the kernel drops datagrams from other sources and reports a closed port.
        socket.connect(server)?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let mut ids = random_ids()?;
        let first = ids.pop().ok_or(io::ErrorKind::InvalidData)?;
        let state = State { ids, reserved: 1, flights: Flights::new() };
        let port = Arc::new(Self { socket, until: now + LIFE, state: Mutex::new(state) });
        tokio::spawn(read(Arc::clone(&port), tick));
        Ok((port, first))
    }

    /// Takes an id for a query that [`Port::ask`] then sends; the port lives until it has.
    fn take_id(&self, now: Instant) -> Option<u16> {
        if now >= self.until {
            return None;
        }
        let mut state = lock(&self.state);
        let id = state.ids.pop()?;
        state.reserved += 1;
        Some(id)
    }

    fn ask(&self, mut flight: Flight, id: u16) {
        flight.packet.set_id(id);
        let packet = Packet::clone(&flight.packet);
        {
            let mut state = lock(&self.state);
            state.reserved -= 1;
            state.flights.insert(id, flight, ());
        }
        // Outside the lock: on loopback the reply may arrive before the call returns. And past tokio, which
        // would first have to learn that the socket is writable.
        if let Err(error) = SockRef::from(&self.socket).send(packet.octets())
            && let Some(flight) = self.take(id)
        {
            (flight.on_reply)(Err(Missed::of(error)));
        }
    }

    fn take(&self, id: u16) -> Option<Flight> {
        lock(&self.state).flights.remove(id)
    }

    /// Passes a datagram to the query that it answers; ignores one that answers none.
    fn deliver(&self, reply: &[u8]) {
        let answered = lock(&self.state).flights.answered_by(reply);
        if let Some((flight, header)) = answered {
            (flight.on_reply)(with_question(header, reply));
        }
    }

    /// Fails the queries that are overdue at `now`. False when the port is finished: no query is in flight,
    /// and none will be.
    fn expire(&self, now: Instant) -> bool {
        loop {
            let mut state = lock(&self.state);
            let Some((late, ())) = state.flights.overdue(now) else {
                let idle = state.flights.is_empty() && state.reserved == 0;
                let ends = idle && (now >= self.until || state.ids.is_empty());
                if ends {
                    state.ids.clear();
                }
                return !ends;
            };
            drop(state);
            (late.on_reply)(Err(Missed::Silence));
        }
    }

    /// The kernel reported an error of the server, which concerns all queries.
    fn fail(&self, error: &io::Error) {
        let flights = lock(&self.state).flights.take_all();
        for (flight, ()) in flights {
            (flight.on_reply)(Err(Missed::Network(io::Error::new(error.kind(), error.to_string()))));
        }
    }
}

/// Reads the replies of a port until none are outstanding.
async fn read(port: Arc<Port>, tick: Duration) {
    let socket = &port.socket;
    let mut ticks = tokio::time::interval(tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reply = vec![0; MAX_REPLY];
    loop {
        tokio::select! {
            // On Linux an ICMP error raises EPOLLERR without EPOLLIN.
            _ = socket.ready(Interest::READABLE | Interest::ERROR) => {
                for _ in 0..BURST {
                    match socket.try_recv(&mut reply) {
                        Ok(len) => port.deliver(reply.get(..len).unwrap_or_default()),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => port.fail(&error),
                    }
                }
                // Clears the readiness for errors, and takes the error if there is one.
                let pending = socket.try_io(Interest::ERROR, || {
                    Err::<(), _>(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
                });
                if let Err(error) = pending
                    && error.kind() != io::ErrorKind::WouldBlock
                {
                    port.fail(&error);
                }
            }
            now = ticks.tick() => {
                if !port.expire(now.into_std()) {
                    return;
                }
            }
        }
    }
}
