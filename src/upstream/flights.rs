//! The queries in flight on one socket or connection, by id.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustc_hash::FxBuildHasher;

use super::question::Packet;
use crate::dns::{Header, Rcode, match_reply};

/// How many ids are drawn at once.
pub(super) const IDS: usize = 256;

/// Called once with the reply to a query, on a thread of the runtime; or with the reason why there is none,
/// on that or the calling thread.
pub(super) type OnReply = Box<dyn FnOnce(Result<&[u8], Missed>) + Send>;

/// Why one server gave no reply over one transport.
#[derive(Debug)]
pub(super) enum Missed {
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

    /// The same error for another query on the same socket.
    pub(super) fn again(error: &io::Error) -> Self {
        Self::of(io::Error::new(error.kind(), error.to_string()))
    }
}

/// One query that is in flight, or waits to be sent.
pub(super) struct Flight {
    pub(super) packet: Box<Packet>,
    pub(super) deadline: Instant,
    pub(super) on_reply: OnReply,
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
        self.due.push(Reverse((flight.deadline, id)));
        self.open.insert(id, (flight, mark));
    }

    pub(super) fn remove(&mut self, id: u16) -> Option<Flight> {
        self.open.remove(&id).map(|(flight, _)| flight)
    }

    /// Removes and returns the query that a message answers, with the message's header. `None` if it
    /// answers none: such a message is ignored (RFC 5452 §9.1). A message without a question section is
    /// matched by its id alone.
    pub(super) fn answered_by(&mut self, reply: &[u8]) -> Option<(Flight, Header)> {
        let header = Header::read(reply)?;
        let (flight, _) = self.open.get(&header.id)?;
        match_reply(header.id, flight.packet.question(), reply)?;
        Some((self.remove(header.id)?, header))
    }

    /// Removes and returns one query that is overdue at `now`.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(Flight, M)> {
        while let Some(Reverse((_, id))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.due.pop();
            // The id may have been reused for a later query.
            if self.open.get(&id).is_some_and(|(flight, _)| flight.deadline <= now) {
                return self.open.remove(&id);
            }
        }
        None
    }

    /// Removes and returns all queries, the earliest due first.
    pub(super) fn take_all(&mut self) -> Vec<(Flight, M)> {
        self.due.clear();
        let mut all: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        all.sort_by_key(|(flight, _)| flight.deadline);
        all
    }
}

/// The reply's octets, or an error if it has no question section.
pub(super) fn with_question(header: Header, reply: &[u8]) -> Result<&[u8], Missed> {
    if header.qdcount == 0 { Err(Missed::NoQuestion(header.rcode())) } else { Ok(reply) }
}

/// [`IDS`] distinct ids from the system's random number generator, or slightly fewer.
pub(super) fn random_ids() -> io::Result<Vec<u16>> {
    let mut octets = [0; IDS * 2];
    getrandom::fill(&mut octets).map_err(io::Error::from)?;
    let mut seen = HashSet::with_capacity(IDS);
    Ok(octets
        .as_chunks::<2>()
        .0
        .iter()
        .map(|pair| u16::from_ne_bytes(*pair))
        .filter(|id| seen.insert(*id))
        .collect())
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
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
        Flight { packet: Box::new(question.packet(false)), deadline, on_reply: Box::new(|_| {}) }
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
        // Another id, a query, two questions, another name, type and class.
        for change in [(1, 8), (2, 0x01), (5, 2), (13, b'b'), (21, 2), (23, 3)] {
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
    fn ids_are_many_and_differ() {
        let ids = random_ids().unwrap();
        assert!(ids.len() > IDS / 2);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}
