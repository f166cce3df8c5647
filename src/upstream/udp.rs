//! Asking one server over UDP, many questions at little cost: each goes out on the asking thread, the
//! reply is read by a task.
//!
//! A [`Port`] is a socket connected to the server, on a source port that the kernel picked at random.
//! It takes a few hundred questions and a second or two, then the next one is opened; so a port is
//! gone before it can be found out, and what an attacker must guess is port and id together (RFC 5452
//! §9). Nothing is asked twice here: what gets no reply, or one that is not plain, is the business of
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
use super::flights::{Flight, Flights, Heard, Missed, heard, lock, random_ids};
use super::question::Packet;

/// How long a port takes questions; it asks [`IDS`](super::flights::IDS) at most.
const LIFE: Duration = Duration::from_secs(2);
/// The longest reply read; the payload size that questions announce is less.
const MAX_REPLY: usize = 4096;
/// Replies read before other tasks get their turn.
const BURST: usize = 64;

/// The ports of one server; one of them takes questions.
pub(super) struct Ports {
    server: SocketAddr,
    /// How often questions that are overdue are looked for.
    tick: Duration,
    open: Mutex<Option<Arc<Port>>>,
}

impl Ports {
    /// No port is opened before the first question. That a question's time is up is noticed at most
    /// `tick` later.
    #[must_use]
    pub(super) const fn new(server: SocketAddr, tick: Duration) -> Self {
        Self { server, tick, open: Mutex::new(None) }
    }

    /// Sends a question, with EDNS or without, and returns; `done` hears of the reply, or after about
    /// `wait` that there is none. Must run within a runtime.
    pub(super) fn ask(&self, question: &Question, edns: bool, now: Instant, wait: Duration, done: Heard) {
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
        port.ask(Flight { packet: Box::new(question.packet(edns)), deadline: now + wait, heard: done }, id);
    }
}

/// One socket with the questions that went out on it.
struct Port {
    /// Read by a task, written to by whoever asks.
    socket: UdpSocket,
    /// When it takes no more questions.
    until: Instant,
    state: Mutex<State>,
}

struct State {
    /// Ids not used yet, drawn at random, no two the same.
    ids: Vec<u16>,
    /// Ids that are taken but not yet among the flights.
    reserved: usize,
    flights: Flights<()>,
}

impl Port {
    /// A new port and the id of its first question.
    fn open(server: SocketAddr, now: Instant, tick: Duration) -> io::Result<(Arc<Self>, u16)> {
        let any: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = std::net::UdpSocket::bind(any)?;
        // Connected, the kernel drops datagrams from anyone else and tells when nobody listens there.
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

    /// An id for a question that [`Port::ask`] then sends; the port lives until it has.
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
        // Beyond the lock: on loopback the reply may be there before the call returns. And past tokio,
        // which would have to learn first that the socket is writable.
        if let Err(error) = SockRef::from(&self.socket).send(packet.octets())
            && let Some(flight) = self.take(id)
        {
            (flight.heard)(Err(Missed::of(error)));
        }
    }

    fn take(&self, id: u16) -> Option<Flight> {
        lock(&self.state).flights.remove(id)
    }

    /// Hands a datagram to whoever waits for it; what answers no open question is passed over.
    fn deliver(&self, reply: &[u8]) {
        let answered = lock(&self.state).flights.answered_by(reply);
        if let Some((flight, header)) = answered {
            (flight.heard)(heard(header, reply));
        }
    }

    /// Gives up what is overdue at `now`. False when the port has nothing left to do: no question is
    /// out, and no other will be.
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
            (late.heard)(Err(Missed::Silence));
        }
    }

    /// The kernel reported an error, which is the server's and so everybody's.
    fn fail(&self, error: &io::Error) {
        let flights = lock(&self.state).flights.take_all();
        for (flight, ()) in flights {
            (flight.heard)(Err(Missed::Network(io::Error::new(error.kind(), error.to_string()))));
        }
    }
}

/// Reads the replies of a port until it has nothing left to wait for.
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
