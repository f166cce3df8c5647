//! Queries one server over UDP at little cost: each query is sent on the calling thread, the replies are read
//! by one task, see [`Reader`].
//!
//! A [`Port`] is a socket connected to the server, on a random source port. There are as many ports as
//! there are queries in flight, up to [`MAX_PORTS`] (RFC 5452 §9.2). Each takes a few hundred queries or a
//! second or two, then it is replaced; so a port is closed before it can be discovered, and an attacker must
//! guess both port and id. A port is also replaced when the network reports an error for it, or when
//! messages arrive that answer nothing. Nothing is retried here: that is the business of
//! [`Race`](super::race::Race).

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::Interest;
#[cfg(unix)]
use tokio::io::unix::AsyncFd;
use tokio::time::MissedTickBehavior;

use super::Question;
use super::flights::{Flight, Flights, Missed, OnReply, lock, random_ids, with_question};
use super::question::Packet;
use super::reader::{self, Reader};

/// How long a port takes queries; it takes at most [`IDS`](super::flights::IDS).
const LIFE: Duration = Duration::from_secs(2);
/// The most ports to one server that take queries.
const MAX_PORTS: usize = 64;
/// The lowest source port: those below need a privilege.
const MIN_PORT: u16 = 1024;
/// How many random source ports are tried before the kernel picks one.
const PORT_TRIES: usize = 4;
/// A port is closed after this many messages that answer nothing (RFC 5452 §9).
const MAX_UNWANTED: u32 = 20;
/// The longest reply that is read; the advertised payload size is smaller.
const MAX_REPLY: usize = 4096;
/// How many replies are read before other tasks get their turn.
const BURST: usize = 64;

/// The ports to one server.
pub(super) struct Ports {
    pool: Arc<Pool>,
}

struct Pool {
    server: SocketAddr,
    /// Interval between checks for slow and overdue queries.
    tick: Duration,
    /// Messages that answered nothing.
    unwanted: Arc<AtomicU64>,
    state: Mutex<PoolState>,
}

struct PoolState {
    /// Those that take queries.
    open: Vec<Arc<Port>>,
    /// Those that only wait for replies.
    closing: Vec<Arc<Port>>,
    /// For choosing among open ports. Not secret: the ports and the ids are.
    random: u64,
    /// Reads the ports. `None`: there are none, and no task checks for overdue queries.
    reader: Option<Arc<Reader>>,
}

/// One query to be sent.
pub(super) struct Send<'q> {
    pub(super) question: &'q Question,
    pub(super) edns: bool,
    pub(super) now: Instant,
    /// When the query counts as slow.
    pub(super) slow: Option<Duration>,
    /// When it has failed.
    pub(super) wait: Duration,
    /// Whether the reply has to repeat the letter case.
    pub(super) exact: bool,
}

impl Ports {
    /// No port is opened before the first query. What is due is noticed at most `tick` late. `unwanted`
    /// counts messages that answer nothing.
    #[must_use]
    pub(super) fn new(server: SocketAddr, tick: Duration, unwanted: Arc<AtomicU64>) -> Self {
        let state = PoolState { open: Vec::new(), closing: Vec::new(), random: 0, reader: None };
        Self { pool: Arc::new(Pool { server, tick, unwanted, state: Mutex::new(state) }) }
    }

    /// Sends a query and returns. Must run within a runtime.
    pub(super) fn ask(&self, send: &Send<'_>, mut done: OnReply) {
        let mut state = lock(&self.pool.state);
        let taken = state.take(send.now);
        let (port, id) = match taken {
            Some((port, id, true)) => (port, id),
            fallback => match Port::open(&self.pool, send.now) {
                Ok((port, id)) => {
                    if let Some((other, id, _)) = fallback {
                        other.give_back(id);
                    }
                    state.open.push(Arc::clone(&port));
                    let reader = state.reader.get_or_insert_with(|| {
                        let reader = Arc::new(Reader::default());
                        tokio::spawn(tick(Arc::clone(&self.pool), Arc::clone(&reader)));
                        reader
                    });
                    let reading = reader.add(read(Arc::clone(&port)));
                    lock(&port.state).reading = Some(reading);
                    (port, id)
                }
                // No descriptors are left, say: a port that is in use will do.
                Err(error) => match fallback {
                    Some((port, id, _)) => (port, id),
                    None => {
                        drop(state);
                        return done(Err(Missed::of(error)));
                    }
                },
            },
        };
        drop(state);
        let flight = Flight {
            packet: Box::new(send.question.packet(send.edns)),
            slow: send.slow.map(|slow| send.now + slow),
            deadline: send.now + send.wait,
            exact: send.exact,
            on_reply: done,
        };
        port.ask(flight, id);
    }
}

impl PoolState {
    /// A port with an id for a query, and whether it will do: it is free, or there are enough ports.
    fn take(&mut self, now: Instant) -> Option<(Arc<Port>, u16, bool)> {
        while !self.open.is_empty() {
            // The less busy one of two.
            let (one, other) = (self.pick(), self.pick());
            let load = |at: usize| self.open.get(at).map_or(usize::MAX, |port| port.load.load(Relaxed));
            let at = if load(one) <= load(other) { one } else { other };
            let port = Arc::clone(self.open.get(at)?);
            let free = port.load.load(Relaxed) == 0;
            match port.take_id(now) {
                Some(id) => return Some((port, id, free || self.open.len() >= MAX_PORTS)),
                None => self.closing.push(self.open.swap_remove(at)),
            }
        }
        None
    }

    /// The index of an open port at random (xorshift).
    fn pick(&mut self) -> usize {
        if self.random == 0 {
            self.random = getrandom::u64().unwrap_or(1) | 1;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).unwrap_or(0) % self.open.len().max(1)
    }
}

/// One socket with its queries in flight.
struct Port {
    /// Read by a task, written by the callers.
    socket: Socket,
    /// When it stops taking queries.
    until: Instant,
    /// It has stopped before.
    retired: AtomicBool,
    /// Queries in flight, approximately.
    load: AtomicUsize,
    unwanted: Arc<AtomicU64>,
    state: Mutex<State>,
}

struct State {
    /// Unused ids, drawn at random, all different.
    ids: Vec<u16>,
    /// Ids that were used: a second reply with one of them is no guess.
    used: Vec<u16>,
    /// Ids that are taken but not yet among the flights.
    reserved: usize,
    flights: Flights<()>,
    /// Messages that answered nothing.
    unwanted: u32,
    reading: Option<Arc<reader::Port>>,
}

impl Port {
    /// Opens a port and takes the id of its first query.
    fn open(pool: &Pool, now: Instant) -> io::Result<(Arc<Self>, u16)> {
        let socket = bound(pool.server)?;
        // On a connected socket the kernel drops datagrams from other sources and reports a closed port.
        socket.connect(pool.server)?;
        socket.set_nonblocking(true)?;
        let socket = Socket::new(socket)?;
        let mut ids = random_ids()?;
        let first = ids.pop().ok_or(io::ErrorKind::InvalidData)?;
        let state =
            State { ids, used: Vec::new(), reserved: 1, flights: Flights::new(), unwanted: 0, reading: None };
        let port = Arc::new(Self {
            socket,
            until: now + LIFE,
            retired: AtomicBool::new(false),
            load: AtomicUsize::new(1),
            unwanted: Arc::clone(&pool.unwanted),
            state: Mutex::new(state),
        });
        Ok((port, first))
    }

    /// Takes an id for a query that [`Port::ask`] then sends; the port lives until it has.
    fn take_id(&self, now: Instant) -> Option<u16> {
        if now >= self.until || self.retired.load(Relaxed) {
            return None;
        }
        let mut state = lock(&self.state);
        let id = state.ids.pop()?;
        state.reserved += 1;
        drop(state);
        self.load.fetch_add(1, Relaxed);
        Some(id)
    }

    /// An id that was taken is not needed.
    fn give_back(&self, id: u16) {
        let mut state = lock(&self.state);
        state.ids.push(id);
        state.reserved -= 1;
        drop(state);
        self.load.fetch_sub(1, Relaxed);
    }

    fn ask(&self, mut flight: Flight, id: u16) {
        flight.packet.set_id(id);
        let packet = Packet::clone(&flight.packet);
        {
            let mut state = lock(&self.state);
            state.reserved -= 1;
            state.used.push(id);
            state.flights.insert(id, flight, ());
        }
        // Outside the lock: on loopback the reply may arrive before the call returns.
        let Err(error) = self.socket.send(packet.octets()) else { return };
        match Missed::of(error) {
            // The send buffer is full: lost like any datagram.
            Missed::Local(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // The error is about an earlier datagram, or this one; nobody knows.
            Missed::Network(error) => self.fail(&error),
            missed => {
                let flight = lock(&self.state).flights.remove(id);
                if let Some(mut flight) = flight {
                    self.load.fetch_sub(1, Relaxed);
                    (flight.on_reply)(Err(missed));
                }
            }
        }
    }

    /// Passes a datagram to the query that it answers; counts one that answers none.
    fn deliver(&self, reply: &[u8]) {
        let mut state = lock(&self.state);
        if let Some((mut flight, header)) = state.flights.answered_by(reply) {
            drop(state);
            self.load.fetch_sub(1, Relaxed);
            let checked = with_question(&flight, header, reply);
            return (flight.on_reply)(checked);
        }
        self.unwanted.fetch_add(1, Relaxed);
        let id = reply.first_chunk().map(|id| u16::from_be_bytes(*id));
        if id.is_some_and(|id| state.used.contains(&id) && !state.flights.has(id)) {
            return;
        }
        state.unwanted += 1;
        if state.unwanted < MAX_UNWANTED {
            return;
        }
        // Somebody is guessing: what is in flight is asked again on another port.
        self.retired.store(true, Relaxed);
        let flights = state.flights.take_all();
        drop(state);
        self.load.fetch_sub(flights.len(), Relaxed);
        for (mut flight, ()) in flights {
            (flight.on_reply)(Err(Missed::Guessed));
        }
    }

    /// Fails the queries that are overdue at `now`. False when the port is finished: no query is in flight,
    /// and none will be.
    fn expire(&self, now: Instant) -> bool {
        loop {
            let mut state = lock(&self.state);
            let Some((mut late, ())) = state.flights.overdue(now) else {
                let idle = state.flights.is_empty() && state.reserved == 0;
                let ends = idle && (now >= self.until || self.retired.load(Relaxed) || state.ids.is_empty());
                let reading = if ends {
                    state.ids.clear();
                    state.reading.take()
                } else {
                    None
                };
                drop(state);
                // Outside the lock, which the reading takes.
                if let Some(reading) = reading {
                    reading.stop();
                }
                return !ends;
            };
            drop(state);
            self.load.fetch_sub(1, Relaxed);
            (late.on_reply)(Err(Missed::Silence));
        }
    }

    /// The kernel reported an error. It does not say for which datagram, and anybody can forge what causes
    /// it; so the port takes no more queries, and those in flight are told but go on waiting.
    fn fail(&self, error: &io::Error) {
        self.retired.store(true, Relaxed);
        lock(&self.state).flights.tell(error);
    }
}

/// A socket on a random source port of the whole range (RFC 6056 §3.2, RFC 5452 §9.2).
fn bound(server: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut octets = [0; PORT_TRIES * 2];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    let ports = octets.as_chunks::<2>().0.iter().map(|pair| u16::from_ne_bytes(*pair));
    for port in ports.filter(|port| *port >= MIN_PORT) {
        if let Ok(socket) = std::net::UdpSocket::bind((any, port)) {
            return Ok(socket);
        }
    }
    std::net::UdpSocket::bind((any, 0))
}

/// Notices slow and overdue queries, and has the ports read, as long as there are any.
async fn tick(pool: Arc<Pool>, reader: Arc<Reader>) {
    let reading = tokio::spawn(reader.run());
    let mut ticks = tokio::time::interval(pool.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ports = Vec::new();
    loop {
        let now = ticks.tick().await.into_std();
        {
            let state = lock(&pool.state);
            ports.extend(state.open.iter().chain(&state.closing).cloned());
        }
        ports.retain(|port| !port.expire(now));
        let mut state = lock(&pool.state);
        let ended = |port: &Arc<Port>| ports.iter().any(|ended| Arc::ptr_eq(ended, port));
        if !ports.is_empty() {
            state.open.retain(|port| !ended(port));
            state.closing.retain(|port| !ended(port));
            ports.clear();
        }
        if state.open.is_empty() && state.closing.is_empty() {
            state.reader = None;
            reading.abort();
            return;
        }
    }
}

/// Reads the replies of a port until it is stopped.
async fn read(port: Arc<Port>) {
    let socket = &port.socket;
    let mut reply = vec![0; MAX_REPLY];
    loop {
        let Ok(has_error) = socket.ready().await else { return };
        for _ in 0..BURST {
            let drained = socket.try_io(Interest::READABLE, |socket| {
                match (&*socket).read(&mut reply) {
                    Ok(len) => port.deliver(reply.get(..len).unwrap_or_default()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                    Err(error) => port.fail(&error),
                }
                // If nothing is in flight, nothing is to come, and the kernel need not be asked.
                if port.load.load(Relaxed) > 0 { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
            });
            if drained.is_err() {
                break;
            }
        }
        if !has_error {
            continue;
        }
        // Clears the readiness for errors, and takes the error if there is one.
        let pending = socket.try_io(Interest::ERROR, |socket| {
            Err(socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
        });
        if let Err(error) = pending
            && error.kind() != io::ErrorKind::WouldBlock
        {
            port.fail(&error);
        }
    }
}

/// A UDP socket that the runtime watches for what arrives. It does not watch whether there is room to send:
/// each datagram that leaves the buffer would wake it, and a full buffer loses the datagram anyway.
#[cfg(unix)]
struct Socket(AsyncFd<std::net::UdpSocket>);

/// A UDP socket that the runtime watches.
#[cfg(not(unix))]
struct Socket(tokio::net::UdpSocket);

impl Socket {
    #[cfg(unix)]
    #[expect(
        deprecated,
        reason = "the new name is unsafe, for types that give another descriptor each time; this one can't"
    )]
    fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        AsyncFd::with_interest(socket, Interest::READABLE | Interest::ERROR).map(Self)
    }

    #[cfg(not(unix))]
    fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        tokio::net::UdpSocket::from_std(socket).map(Self)
    }

    fn send(&self, packet: &[u8]) -> io::Result<usize> {
        SockRef::from(&self.0).send(packet)
    }

    /// Waits for a datagram or an error; returns whether there is an error. On Linux an ICMP error raises
    /// EPOLLERR without EPOLLIN.
    async fn ready(&self) -> io::Result<bool> {
        let ready = self.0.ready(Interest::READABLE | Interest::ERROR).await?;
        #[cfg(unix)]
        let ready = ready.ready();
        Ok(ready.is_error())
    }

    /// If it is ready, as far as is known, for `interest`: what `attempt` returns; it is not ready if that
    /// is [`WouldBlock`](io::ErrorKind::WouldBlock).
    fn try_io(
        &self,
        interest: Interest,
        attempt: impl FnOnce(SockRef<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        #[cfg(unix)]
        return self.0.try_io(interest, |socket| attempt(SockRef::from(socket)));
        #[cfg(not(unix))]
        return self.0.try_io(interest, || attempt(SockRef::from(&self.0)));
    }
}
