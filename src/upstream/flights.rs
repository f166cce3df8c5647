//! The questions that are out on one socket or connection, by their ids.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustc_hash::FxBuildHasher;

use super::question::Packet;
use crate::dns::{Header, Rcode, match_reply};

/// Ids that are drawn at once.
pub(super) const IDS: usize = 256;

/// Called once with the reply to a question, on a thread of the runtime; or with the reason why there
/// is none, on that or the asking thread.
pub(super) type Heard = Box<dyn FnOnce(Result<&[u8], Missed>) + Send>;

/// Why one server gave no reply over one transport.
#[derive(Debug)]
pub(super) enum Missed {
    /// None came in time.
    Silence,
    /// One came that does not say to which question, as servers send that could not read it.
    NoQuestion(Rcode),
    /// The server can't be reached, or it closed the connection.
    Network(io::Error),
    /// The question could not be sent for want of something on this side: a socket, memory, a
    /// firewall's consent. It says nothing about the server.
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

    /// The same for another question on the same socket.
    pub(super) fn again(error: &io::Error) -> Self {
        Self::of(io::Error::new(error.kind(), error.to_string()))
    }
}

/// One question that is out, or waits to be sent.
pub(super) struct Flight {
    pub(super) packet: Box<Packet>,
    pub(super) deadline: Instant,
    pub(super) heard: Heard,
}

/// Open questions, each with what its transport must know of it.
pub(super) struct Flights<M> {
    open: HashMap<u16, (Flight, M), FxBuildHasher>,
    /// When each is due, the earliest first; those that were answered stay until then.
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

    /// The question that a message answers, open no longer, with the message's header. `None` if it
    /// answers none: such a message is passed over (RFC 5452 §9.1). One without a question section can
    /// only be told by its id.
    pub(super) fn answered_by(&mut self, reply: &[u8]) -> Option<(Flight, Header)> {
        let header = Header::read(reply)?;
        let (flight, _) = self.open.get(&header.id)?;
        match_reply(header.id, flight.packet.question(), reply)?;
        Some((self.remove(header.id)?, header))
    }

    /// One that is overdue at `now`, open no longer.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(Flight, M)> {
        while let Some(Reverse((_, id))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            self.due.pop();
            // The id may have been given to a later question meanwhile.
            if self.open.get(&id).is_some_and(|(flight, _)| flight.deadline <= now) {
                return self.open.remove(&id);
            }
        }
        None
    }

    /// All of them, the earliest due first.
    pub(super) fn take_all(&mut self) -> Vec<(Flight, M)> {
        self.due.clear();
        let mut all: Vec<_> = std::mem::take(&mut self.open).into_values().collect();
        all.sort_by_key(|(flight, _)| flight.deadline);
        all
    }
}

/// What is heard of a message: its octets, unless it does not say which question it answers.
pub(super) fn heard(header: Header, reply: &[u8]) -> Result<&[u8], Missed> {
    if header.qdcount == 0 { Err(Missed::NoQuestion(header.rcode())) } else { Ok(reply) }
}

/// [`IDS`] ids from the system's source of randomness, or a few less: no two are the same.
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
        Flight { packet: Box::new(question.packet(false)), deadline, heard: Box::new(|_| {}) }
    }

    /// `answered_by` for the message with these changes of octets.
    fn answers(flights: &mut Flights<()>, changes: &[(usize, u8)]) -> Option<u16> {
        let mut reply = flight(now()).packet.octets().to_vec();
        reply[..3].copy_from_slice(&[0, 7, 0x81]);
        for (at, octet) in changes {
            reply[*at] = *octet;
        }
        flights.answered_by(&reply).map(|(_, header)| header.id)
    }

    #[expect(clippy::disallowed_methods, reason = "an instant can be made in no other way")]
    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn only_a_reply_to_an_open_question_is_taken() {
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
    fn an_id_that_is_used_again_has_its_own_time() {
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
