//! The queries in flight on one socket or connection, by id.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustc_hash::FxBuildHasher;

use super::question::Packet;
use crate::dns::{HEADER_LEN, Header, Rcode, match_reply};

/// The bits of the opcode in the flags; that of a query is 0 (RFC 1035 §4.1.1).
const OPCODE: u16 = 0x7800;
/// How many ids are drawn at once.
pub(super) const IDS: usize = 256;

/// Called with the reply to a query, on a thread of the runtime; or with the reason why there is none, on
/// that or the calling thread. [`Missed::Slow`] and [`Missed::Error`] may come before, in any number; then
/// locks are held, and it must do no more than wake others.
pub(super) type OnReply = Box<dyn FnMut(Result<&[u8], Missed>) + Send>;

/// Why one server gave no reply over one transport.
#[derive(Debug)]
pub(super) enum Missed {
    /// No reply has arrived in the usual time. It may still come.
    Slow,
    /// The network reported an error about some packet of the same port, or somebody forged that report. A
    /// reply may still come.
    Error(io::Error),
    /// So many messages arrived that answer nothing that somebody may be guessing: the port was closed.
    Guessed,
    /// The reply does not repeat the letter case of the question.
    Case,
    /// A reply that can't be used, and why.
    Unusable(String),
    /// No reply arrived in time.
    Silence,
    /// A reply without a question section, which some servers send if they can't parse the query.
    NoQuestion(Rcode),
    /// The server can't be reached, or it closed the connection.
    Network(io::Error),
    /// The query could not be sent because of a problem on this side: no socket, no memory, a firewall. It
    /// says nothing about the server.
    Local(io::Error),
}

impl Missed {
    pub(super) fn of(error: io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::UnexpectedEof
            | Kind::InvalidData
            | Kind::TimedOut
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown => Self::Network(error),
            _ => Self::Local(error),
        }
    }

    /// True if a reply may still come.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self, Self::Slow | Self::Error(_))
    }

    /// The same error for another query on the same socket.
    pub(super) fn again(error: &io::Error) -> Self {
        Self::of(io::Error::new(error.kind(), error.to_string()))
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow | Self::Silence => f.write_str("no reply in time"),
            Self::Guessed => f.write_str("many messages that answer nothing"),
            Self::Case => f.write_str("a reply in another letter case"),
            Self::Unusable(why) => f.write_str(why),
            Self::NoQuestion(rcode) => write!(f, "{rcode} without a question"),
            Self::Error(error) | Self::Network(error) | Self::Local(error) => error.fmt(f),
        }
    }
}

/// One query that is in flight, or waits to be sent.
pub(super) struct Flight {
    pub(super) packet: Box<Packet>,
    /// When it counts as slow; `None`: never, or it has been told.
    pub(super) slow: Option<Instant>,
    pub(super) deadline: Instant,
    /// The reply has to repeat the letter case of the question too.
    pub(super) exact: bool,
    pub(super) on_reply: OnReply,
}

impl Flight {
    /// When something is due next.
    fn due(&self) -> Instant {
        self.slow.map_or(self.deadline, |slow| slow.min(self.deadline))
    }
}

/// Queries in flight, each with the data that its transport attaches.
pub(super) struct Flights<M> {
    open: HashMap<u16, (Flight, M), FxBuildHasher>,
    /// When each is due, the earliest first; answered ones stay until then.
    due: BinaryHeap<Reverse<(Instant, u16)>>,
}

impl<M> Flights<M> {
    pub(super) fn new() -> Self {
        Self { open: HashMap::with_hasher(FxBuildHasher), due: BinaryHeap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn has(&self, id: u16) -> bool {
        self.open.contains_key(&id)
    }

    pub(super) fn insert(&mut self, id: u16, flight: Flight, mark: M) {
        self.due.push(Reverse((flight.due(), id)));
        self.open.insert(id, (flight, mark));
    }

    pub(super) fn remove(&mut self, id: u16) -> Option<Flight> {
        self.open.remove(&id).map(|(flight, _)| flight)
    }

    /// Removes and returns the query that a message answers, with the message's header. `None` if it
    /// answers none: such a message is ignored (RFC 5452 §9.1). A message without a question section is
    /// matched by its id alone.
    pub(super) fn answered_by(&mut self, reply: &[u8]) -> Option<(Flight, Header)> {
        let header = Header::read(reply).filter(|header| header.flags & OPCODE == 0)?;
        let (flight, _) = self.open.get(&header.id)?;
        match_reply(header.id, flight.packet.question(), reply)?;
        Some((self.remove(header.id)?, header))
    }

    /// Removes and returns one query that is overdue at `now`. Those that are slow are told so.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(Flight, M)> {
        while let Some(Reverse((_, id))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.due.pop();
            // The id may have been reused for a later query.
            let Some((flight, _)) = self.open.get_mut(&id).filter(|(flight, _)| flight.due() <= now) else {
                continue;
            };
            if flight.deadline <= now {
                return self.open.remove(&id);
            }
            flight.slow = None;
            self.due.push(Reverse((flight.deadline, id)));
            (flight.on_reply)(Err(Missed::Slow));
        }
        None
    }

    /// Tells all queries about an error of the network; they stay in flight.
    pub(super) fn tell(&mut self, error: &io::Error) {
        for (flight, _) in self.open.values_mut() {
            (flight.on_reply)(Err(Missed::Error(io::Error::new(error.kind(), error.to_string()))));
        }
    }

    /// Removes and returns all queries, the earliest due first.
    pub(super) fn take_all(&mut self) -> Vec<(Flight, M)> {
        self.due.clear();
        let mut all: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        all.sort_by_key(|(flight, _)| flight.deadline);
        all
    }
}

/// The reply's octets, or an error if it has no question section or not in the same case.
pub(super) fn with_question<'r>(
    flight: &Flight,
    header: Header,
    reply: &'r [u8],
) -> Result<&'r [u8], Missed> {
    if header.qdcount == 0 {
        return Err(Missed::NoQuestion(header.rcode()));
    }
    let question = flight.packet.question();
    if flight.exact && reply.get(HEADER_LEN..).is_none_or(|rest| !rest.starts_with(question)) {
        return Err(Missed::Case);
    }
    Ok(reply)
}

/// [`IDS`] distinct ids from the system's random number generator, or slightly fewer.
pub(super) fn random_ids() -> io::Result<Vec<u16>> {
    let mut octets = [0; IDS * 2];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    // One bit for each id: a set would take longer than all else here.
    let mut seen = [0_u64; 1 << 10];
    let mut is_new = |id: u16| {
        let bit = 1 << (id & 63);
        seen.get_mut(usize::from(id >> 6)).is_some_and(|word| {
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new
        })
    };
    Ok(octets
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_ne_bytes(*pair))
        .filter(|id| is_new(*id))
        .collect())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::dns::{Class, NameBuf, Qtype};
    use crate::upstream::Question;

    fn flight(deadline: Instant) -> Flight {
        let question = Question {
            qname: NameBuf::from_text("a.test").unwrap(),
            qtype: Qtype::A,
            qclass: Class::IN,
            dnssec_ok: false,
            checking_disabled: false,
            authentic_data: false,
        };
        let packet = Box::new(question.packet(false));
        Flight { packet, slow: None, deadline, exact: false, on_reply: Box::new(|_| {}) }
    }

    /// The result of `answered_by` for the message with these octets changed.
    fn answers(flights: &mut Flights<()>, changes: &[(usize, u8)]) -> Option<u16> {
        let mut reply = flight(now()).packet.octets().to_vec();
        reply[..3].copy_from_slice(&[0, 7, 0x81]);
        for (at, octet) in changes {
            reply[*at] = *octet;
        }
        flights.answered_by(&reply).map(|(_, header)| header.id)
    }

    #[expect(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn only_a_reply_to_a_query_in_flight_is_accepted() {
        let mut flights = Flights::new();
        flights.insert(7, flight(now()), ());
        // Another id, a query, another opcode, two questions, another name, type and class.
        for change in [(1, 8), (2, 0x01), (2, 0xa1), (5, 2), (13, b'b'), (21, 2), (23, 3)] {
            assert_eq!(answers(&mut flights, &[change]), None, "{change:?}");
        }
        assert_eq!(answers(&mut flights, &[(13, b'A')]), Some(7));
        assert_eq!(answers(&mut flights, &[]), None, "it is answered");
        flights.insert(7, flight(now()), ());
        assert_eq!(answers(&mut flights, &[(5, 0)]), Some(7));
    }

    #[test]
    fn a_reused_id_has_its_own_deadline() {
        let (start, second) = (now(), Duration::from_secs(1));
        let mut flights = Flights::new();
        flights.insert(7, flight(start + second), ());
        assert!(flights.remove(7).is_some());
        flights.insert(7, flight(start + 3 * second), ());
        flights.insert(9, flight(start + 2 * second), ());
        assert!(flights.overdue(start + second).is_none());
        assert_eq!(flights.overdue(start + 2 * second).map(|(f, ())| f.deadline), Some(start + 2 * second));
        assert!(flights.overdue(start + 2 * second).is_none());
        assert!(flights.overdue(start + 3 * second).is_some());
        assert!(flights.is_empty());
    }

    #[test]
    fn a_slow_query_is_told_and_stays() {
        let (start, second) = (now(), Duration::from_secs(1));
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let mut flights = Flights::new();
        let on_reply = Box::new(move |reply: Result<&[u8], Missed>| {
            assert!(reply.is_err_and(|missed| missed.is_open()));
            count.fetch_add(1, Ordering::Relaxed);
        });
        flights.insert(7, Flight { slow: Some(start + second), on_reply, ..flight(start + 3 * second) }, ());
        assert!(flights.overdue(start + 2 * second).is_none());
        assert!(flights.overdue(start + 2 * second).is_none());
        flights.tell(&io::ErrorKind::ConnectionRefused.into());
        assert_eq!(told.load(Ordering::Relaxed), 2);
        assert_eq!(answers(&mut flights, &[]), Some(7), "a late reply counts");
        assert!(flights.overdue(start + 4 * second).is_none());
    }

    #[test]
    fn ids_are_many_and_differ() {
        let ids = random_ids().unwrap();
        assert!(ids.len() > IDS / 2);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}
