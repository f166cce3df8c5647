//! Asking one server over UDP, many questions at little cost: each goes out on the asking thread, the
//! reply is read by a task.
//!
//! A [`Port`] is a socket connected to the server, on a source port that the kernel picked at random.
//! It takes a few hundred questions and a second or two, then the next one is opened; so a port is
//! gone before it can be found out, and what an attacker must guess is port and id together (RFC 5452
//! §9). Nothing is asked twice here: what gets no reply, or one that is not plain, is the business of
//! the [`Forwarder`](super::Forwarder).

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustc_hash::FxBuildHasher;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;

use super::{MAX_QUESTION, Question};
use crate::dns::header::{Header, LEN, flag};

/// Questions that one port asks.
const QUESTIONS: usize = 256;
/// How long a port takes questions.
const LIFE: Duration = Duration::from_secs(2);
/// The longest reply read; the payload size that questions announce is less.
const MAX_REPLY: usize = 4096;
/// Replies read before other tasks get their turn.
const BURST: usize = 64;

/// Called once with the reply to a question, on a thread of the runtime; or with the reason why there
/// is none, on that or the asking thread.
pub(super) type Done = Box<dyn FnOnce(Result<&[u8], Missed>) + Send>;

/// Why there is no reply.
#[derive(Debug)]
pub(super) enum Missed {
    /// None came in time.
    Silence,
    /// One came that does not say to which question, as servers send that could not read it.
    NoQuestion,
    /// The kernel says that the server can't be reached.
    Network(io::Error),
    /// The question could not be sent for want of something on this side: a socket, memory, a
    /// firewall's consent. It says nothing about the server.
    Local(io::Error),
}

impl Missed {
    fn of(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown => Self::Network(error),
            _ => Self::Local(error),
        }
    }
}

/// The ports of one server; one of them takes questions.
pub(super) struct Ports {
    server: SocketAddr,
    open: Mutex<Option<Arc<Port>>>,
}

impl Ports {
    /// No port is opened before the first question.
    #[must_use]
    pub(super) const fn new(server: SocketAddr) -> Self {
        Self { server, open: Mutex::new(None) }
    }

    /// Sends a question and returns; `done` hears of the reply, or after about `wait` that there is
    /// none. Must run within a runtime.
    pub(super) fn ask(&self, question: &Question, now: Instant, wait: Duration, done: Done) {
        let mut open = lock(&self.open);
        let taken = open.as_ref().and_then(|port| Some((Arc::clone(port), port.take_id(now)?)));
        let (port, id) = match taken {
            Some(taken) => taken,
            None => match Port::open(self.server, now, wait) {
                Ok((port, id)) => (Arc::clone(open.insert(port)), id),
                Err(error) => {
                    drop(open);
                    return done(Err(Missed::of(error)));
                }
            },
        };
        drop(open);
        port.ask(question, id, now + wait, done);
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
    flights: HashMap<u16, Flight, FxBuildHasher>,
    /// In the order of sending, which is that of the deadlines.
    deadlines: VecDeque<(Instant, u16)>,
}

struct Flight {
    question: Box<[u8]>,
    done: Done,
}

impl Port {
    /// A new port and the id of its first question.
    fn open(server: SocketAddr, now: Instant, wait: Duration) -> io::Result<(Arc<Self>, u16)> {
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
        let flights = HashMap::with_hasher(FxBuildHasher);
        let state = State { ids, reserved: 1, flights, deadlines: VecDeque::new() };
        let port = Arc::new(Self { socket, until: now + LIFE, state: Mutex::new(state) });
        tokio::spawn(read(Arc::clone(&port), wait));
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

    fn ask(&self, question: &Question, id: u16, deadline: Instant, done: Done) {
        let mut packet = [0; MAX_QUESTION];
        let Some(packet) = question.write(id, &mut packet) else {
            lock(&self.state).reserved -= 1;
            return done(Err(Missed::Local(io::ErrorKind::InvalidInput.into())));
        };
        {
            let mut state = lock(&self.state);
            state.reserved -= 1;
            state.flights.insert(id, Flight { question: question.on_wire(packet).into(), done });
            state.deadlines.push_back((deadline, id));
        }
        // Beyond the lock: on loopback the reply may be there before the call returns. And past tokio,
        // which would have to learn first that the socket is writable.
        if let Err(error) = SockRef::from(&self.socket).send(packet)
            && let Some(flight) = self.take(id)
        {
            (flight.done)(Err(Missed::of(error)));
        }
    }

    fn take(&self, id: u16) -> Option<Flight> {
        lock(&self.state).flights.remove(&id)
    }

    /// Hands a datagram to whoever waits for it; what answers no open question is passed over.
    fn deliver(&self, reply: &[u8]) {
        let reply_to_one = |h: &Header| h.has(flag::QR) && h.qdcount <= 1;
        let Some(header) = Header::read(reply).filter(reply_to_one) else { return };
        let flight = {
            let mut state = lock(&self.state);
            let Some(flight) = state.flights.get(&header.id) else { return };
            if header.qdcount != 0 && !is_same(&flight.question, reply) {
                return;
            }
            state.flights.remove(&header.id)
        };
        if let Some(flight) = flight {
            (flight.done)(if header.qdcount == 0 { Err(Missed::NoQuestion) } else { Ok(reply) });
        }
    }

    /// Gives up what is overdue at `now`. False when the port has nothing left to do: no question is
    /// out, and no other will be.
    fn expire(&self, now: Instant) -> bool {
        loop {
            let mut state = lock(&self.state);
            let Some(id) = state.deadlines.front().filter(|(at, _)| *at <= now).map(|(_, id)| *id) else {
                let idle = state.flights.is_empty() && state.reserved == 0;
                let ends = idle && (now >= self.until || state.ids.is_empty());
                if ends {
                    state.ids.clear();
                }
                return !ends;
            };
            state.deadlines.pop_front();
            let late = state.flights.remove(&id);
            drop(state);
            if let Some(flight) = late {
                (flight.done)(Err(Missed::Silence));
            }
        }
    }

    /// The kernel reported an error, which is the server's and so everybody's.
    fn fail(&self, error: &io::Error) {
        let flights = std::mem::take(&mut lock(&self.state).flights);
        for flight in flights.into_values() {
            (flight.done)(Err(Missed::Network(io::Error::new(error.kind(), error.to_string()))));
        }
    }
}

/// Reads the replies of a port until it has nothing left to wait for.
async fn read(port: Arc<Port>, wait: Duration) {
    let socket = &port.socket;
    let mut ticks = tokio::time::interval((wait / 4).max(Duration::from_millis(1)));
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

/// True if the message repeats the question: the name in whatever case, type and class to the bit.
fn is_same(question: &[u8], reply: &[u8]) -> bool {
    let Some(theirs) = reply.get(LEN..LEN + question.len()) else { return false };
    let split = question.len().saturating_sub(4);
    let (Some((name, kind)), Some((their_name, their_kind))) =
        (question.split_at_checked(split), theirs.split_at_checked(split))
    else {
        return false;
    };
    name.eq_ignore_ascii_case(their_name) && kind == their_kind
}

/// The ids of one port, from the system's source of randomness.
fn random_ids() -> io::Result<Vec<u16>> {
    let mut octets = [0; QUESTIONS * 2];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    let mut seen = HashSet::with_capacity(QUESTIONS);
    Ok(octets
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_ne_bytes(*pair))
        .filter(|id| seen.insert(*id))
        .collect())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
