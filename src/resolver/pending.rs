//! Queries that wait for an upstream: bounded in number, and asked once if they are the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::RandomState;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use super::live::Engine;
use super::resolve::Step;
use super::snapshot::Snapshot;
use crate::cache::key::Key;
use crate::cache::store::Stored;
use crate::dns::ede::{Ede, EdeCode};
use crate::dns::header::flag;
use crate::dns::message::Message;
use crate::dns::query::Query;
use crate::dns::types::Rcode;
use crate::observe::event::Event;
use crate::upstream::hickory::Forwarder;
use crate::upstream::{Failure, Question};

/// The most queries that wait at once; more are shed.
const MAX_WAITING: usize = 20_000;

type Verdict = Result<Arc<Stored>, Failure>;

/// By question: everybody who asked it.
type Same = HashMap<Box<[u8]>, Vec<oneshot::Sender<Verdict>>, RandomState>;

/// The queries that wait, by question.
#[derive(Default)]
pub struct Waiting {
    count: Arc<AtomicUsize>,
    same: Mutex<Same>,
}

/// A place among the waiting; given back when dropped.
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Waiting {
    /// A place, if one is free.
    #[must_use]
    pub fn admit(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.count));
        (self.count.fetch_add(1, Relaxed) < MAX_WAITING).then_some(place)
    }

    /// How many wait now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// True if none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Joins those who ask the same; true for the first, who must ask for all.
    fn join(&self, key: &[u8], sender: oneshot::Sender<Verdict>) -> bool {
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        match same.entry(key.into()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(sender);
                false
            }
            Entry::Vacant(free) => {
                free.insert(vec![sender]);
                true
            }
        }
    }

    fn take(&self, key: &[u8]) -> Vec<oneshot::Sender<Verdict>> {
        self.same.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default()
    }
}

/// Tells everybody who asked the same, even if the asking task dies.
struct Leader {
    engine: Arc<Engine>,
    key: Option<Key>,
}

impl Leader {
    /// Hands the answer to everybody. From here on the key may belong to the next leader, so the
    /// drop must not touch it any more.
    fn tell(mut self, verdict: &Verdict) {
        if let Some(key) = self.key.take() {
            for waiting in self.engine.waiting.take(key.as_bytes()) {
                // A receiver that is gone has hung up.
                let _ = waiting.send(verdict.clone());
            }
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            // Senders that are dropped unused wake their receivers with an error.
            drop(self.engine.waiting.take(key.as_bytes()));
        }
    }
}

/// What came of the waiting, and when.
pub struct Answered {
    verdict: Verdict,
    at: Instant,
}

/// One query that must wait, with all that its answer needs.
pub struct Pending {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    upstream: Arc<Forwarder>,
    key: Key,
    packet: Box<[u8]>,
    event: Event,
    received: Instant,
    _place: Place,
}

impl Pending {
    #[expect(clippy::too_many_arguments, reason = "all that a query knows, moved once")]
    pub(super) fn new(
        engine: &Arc<Engine>,
        snapshot: &Arc<Snapshot>,
        upstream: Arc<Forwarder>,
        key: Key,
        packet: &[u8],
        event: Event,
        received: Instant,
        place: Place,
    ) -> Self {
        Self {
            engine: Arc::clone(engine),
            snapshot: Arc::clone(snapshot),
            upstream,
            key,
            packet: packet.into(),
            event,
            received,
            _place: place,
        }
    }

    /// The generation that the query began with.
    #[must_use]
    pub const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The query's octets.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Asks the upstreams, or waits for another query that asks the same. `clock` is read once the
    /// answer is there.
    pub async fn wait(&self, clock: fn() -> Instant) -> Answered {
        let verdict = self.answer(clock).await;
        Answered { verdict, at: clock() }
    }

    /// Writes the reply into `out`; returns its length in octets and the query's story.
    pub fn write(&self, answered: &Answered, out: &mut [u8]) -> (usize, Event) {
        let mut event = self.event;
        event.took = answered.at.saturating_duration_since(self.received);
        let Ok(query) = Query::parse(&self.packet) else { return (0, event) };
        let step = Step { query: &query, transport: event.transport };
        let len = match &answered.verdict {
            Ok(stored) => {
                let mut reply = step.writer(out);
                stored.write(&mut reply, step.wants_ad(), answered.at);
                event.rcode = Some(stored.rcode());
                reply.finish()
            }
            Err(failure) => {
                event.rcode = Some(Rcode::SERVFAIL);
                step.bare(out, Rcode::SERVFAIL, Some(failure_ede(failure)))
            }
        };
        (len, event)
    }

    async fn answer(&self, clock: fn() -> Instant) -> Verdict {
        let (sender, receiver) = oneshot::channel();
        if self.engine.waiting.join(self.key.as_bytes(), sender) {
            let leader = Leader { engine: Arc::clone(&self.engine), key: Some(self.key) };
            let key = self.key;
            let (snapshot, upstream) = (Arc::clone(&self.snapshot), Arc::clone(&self.upstream));
            let packet = self.packet.clone();
            // A task of its own, so that a client that hangs up takes nobody's answer with it.
            tokio::spawn(async move {
                let verdict = ask(&upstream, &packet, snapshot.max_ttl, clock).await;
                if let Ok(stored) = &verdict {
                    snapshot.cache.put(key.as_bytes(), stored);
                }
                leader.tell(&verdict);
            });
        }
        receiver.await.unwrap_or_else(|_| Err(Failure::Network("the query was lost".into())))
    }
}

async fn ask(upstream: &Forwarder, packet: &[u8], max_ttl: u32, clock: fn() -> Instant) -> Verdict {
    let lost = || Failure::Network("the reply of the upstream could not be read".into());
    let query = Query::parse(packet).map_err(|_| lost())?;
    // In lower case, so that what is cached shows nobody's mixture of cases (0x20).
    let qname = query.qname.to_folded();
    let question = Question {
        qname: qname.as_name(),
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok(),
        checking_disabled: query.header.has(flag::CD),
        // AD is always asked for, so that one cached reply serves those who want it and those who
        // do not (RFC 6840 §5.7).
        authentic_data: true,
    };
    let answer = upstream.ask(&question).await?;
    let message = Message::parse(&answer.bytes).ok_or_else(lost)?;
    Stored::new(&message, clock(), max_ttl).map(Arc::new).ok_or_else(lost)
}

fn failure_ede(failure: &Failure) -> Ede<'_> {
    match failure {
        Failure::Timeout => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream answered in time"),
        Failure::Network(text) => Ede::new(EdeCode::NETWORK_ERROR, text),
        Failure::NoServers => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream is configured"),
    }
}
