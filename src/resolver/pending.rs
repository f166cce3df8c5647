//! Queries that wait for an upstream: bounded in number, and asked once if they are the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::alias::Alias;
use super::live::Engine;
use super::moment::{Clock, Moment};
use super::outcome::Outcome;
use super::resolve::Step;
use super::snapshot::{Client, Snapshot};
use crate::cache::key::Key;
use crate::cache::store::Stored;
use crate::dns::ede::{Ede, EdeCode};
use crate::dns::header::flag;
use crate::dns::message::Message;
use crate::dns::name::Name;
use crate::dns::query::Query;
use crate::dns::relay::without_ech;
use crate::dns::types::Rcode;
use crate::observe::event::{Event, Source};
use crate::upstream::{Failure, Question, Upstream};

/// Names are told apart by this many counters when one crowds out the others.
const CROWDS: usize = 1024;

type Verdict = Result<Stored, Failure>;

/// Wakes one who waits, with what came and when.
type Wake = Box<dyn FnOnce(&Verdict, Moment) + Send>;

/// The queries that wait, by question and whom it was put to: everybody who asked it.
type Same = HashMap<Box<[u8]>, Vec<Wake>, RandomState>;

/// The queries that wait: how many, for which names, and who asks the same.
pub struct Waiting {
    count: AtomicUsize,
    /// How many wait for names with the same last two labels, by their hash. One domain gets a quarter
    /// of the places at most, so that random names below it crowd nobody out.
    crowds: Box<[AtomicUsize]>,
    hasher: RandomState,
    same: Mutex<Same>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            crowds: (0..CROWDS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
            same: Mutex::default(),
        }
    }
}

/// A place among the waiting; given back when dropped.
pub struct Place {
    engine: Arc<Engine>,
    crowd: usize,
}

impl Place {
    /// A place for a name, if one of `limit` is free.
    #[must_use]
    pub fn take(engine: &Arc<Engine>, qname: Name<'_>, limit: usize) -> Option<Self> {
        let waiting = &engine.waiting;
        let crowd = waiting.crowd(qname);
        let place = Self { engine: Arc::clone(engine), crowd };
        let all = waiting.count.fetch_add(1, Relaxed);
        let alike = waiting.crowds.get(crowd).map_or(0, |c| c.fetch_add(1, Relaxed));
        (all < limit && alike < limit.div_ceil(4)).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let waiting = &self.engine.waiting;
        waiting.count.fetch_sub(1, Relaxed);
        if let Some(crowd) = waiting.crowds.get(self.crowd) {
            crowd.fetch_sub(1, Relaxed);
        }
    }
}

impl Waiting {
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

    fn crowd(&self, qname: Name<'_>) -> usize {
        let name = qname.as_bytes();
        // From the label before the last: the name's own octets, in one case.
        let mut starts = [0; 2];
        let mut at = 0;
        while let Some(len) = name.get(at).filter(|len| **len > 0) {
            starts = [starts[1], at];
            at += usize::from(*len) + 1;
        }
        let mut hasher = self.hasher.build_hasher();
        for octet in name.get(starts[0]..).unwrap_or_default() {
            hasher.write_u8(octet.to_ascii_lowercase());
        }
        usize::try_from(hasher.finish() % CROWDS as u64).unwrap_or(0)
    }

    /// Joins those who ask the same; true for the first, who must ask for all.
    fn join(&self, asked: &[u8], wake: Wake) -> bool {
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        match same.entry(asked.into()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(wake);
                false
            }
            Entry::Vacant(free) => {
                free.insert(vec![wake]);
                true
            }
        }
    }

    fn take(&self, asked: &[u8]) -> Vec<Wake> {
        self.same.lock().unwrap_or_else(PoisonError::into_inner).remove(asked).unwrap_or_default()
    }
}

/// What came of the waiting, and when.
pub struct Answered {
    verdict: Verdict,
    now: Moment,
}

/// One query that must wait, with all that its answer needs.
pub struct Pending {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    upstream: Arc<dyn Upstream>,
    key: Key,
    packet: Box<[u8]>,
    client: Client,
    event: Event,
    received: Instant,
    /// What is served if no fresh answer comes, or none in time.
    stale: Option<Stored>,
    /// The answer begins with aliases, and another question than the client's is what waits.
    alias: Option<Alias>,
    _place: Place,
}

impl Pending {
    /// The query that `step` has come so far with; `key` is that of the question that waits.
    pub(super) fn new(
        (engine, snapshot, upstream): (&Arc<Engine>, &Arc<Snapshot>, &Arc<dyn Upstream>),
        step: Step<'_, '_>,
        (key, alias): (Key, Option<Alias>),
        event: Event,
        received: Instant,
        stale: Option<Stored>,
        place: Place,
    ) -> Box<Self> {
        Box::new(Self {
            engine: Arc::clone(engine),
            snapshot: Arc::clone(snapshot),
            upstream: Arc::clone(upstream),
            key,
            packet: step.query.packet().into(),
            client: step.client,
            event,
            received,
            stale,
            alias,
            _place: place,
        })
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

    /// Asks the upstreams, or joins another query that asks the same, and returns at once. `done` is
    /// called once, on a thread of the runtime or this one. `clock` is read when there is an answer.
    /// Must run within a runtime.
    pub fn begin(self: Box<Self>, clock: Clock, done: impl FnOnce(&Self, &Answered) + Send + 'static) {
        let asking = Asking::of(&self, clock);
        let patience = self.stale.as_ref().map(|_| self.snapshot.aging.patience);
        let wake: Wake = Box::new(move |verdict, now| {
            done(&self, &Answered { verdict: verdict.clone(), now });
        });
        let wake = match patience {
            None => wake,
            // Whoever comes first, the answer or the end of patience, takes it.
            Some(patience) => {
                let once = Arc::new(Mutex::new(Some(wake)));
                let take = move |verdict: &Verdict, now: Moment| {
                    let wake = once.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(wake) = wake {
                        wake(verdict, now);
                    }
                };
                let late = take.clone();
                let timer = tokio::spawn(async move {
                    tokio::time::sleep(patience).await;
                    late(&Err(Failure::Timeout), clock());
                });
                Box::new(move |verdict: &Verdict, now: Moment| {
                    timer.abort();
                    take(verdict, now);
                })
            }
        };
        asking.begin(wake);
    }

    /// Asks the upstreams for the cache alone; nobody waits for the answer.
    pub fn refresh(self: Box<Self>, clock: Clock) {
        Asking::of(&self, clock).begin(Box::new(move |_, _| drop(self)));
    }

    /// Writes the reply into `out`; returns its length in octets and the query's story.
    pub fn write(&self, answered: &Answered, out: &mut [u8]) -> (usize, Event) {
        let mut event = self.event;
        event.took = answered.now.at.saturating_duration_since(self.received);
        let Ok(query) = Query::parse(&self.packet) else { return (0, event) };
        let step = Step { query: &query, client: self.client };
        let stored = match (&answered.verdict, &self.stale) {
            (Ok(stored), Some(_)) if says_something_new(stored) => stored,
            (_, Some(stale)) => {
                event.source = Source::Stale;
                stale
            }
            (Ok(stored), None) => stored,
            (Err(failure), None) => {
                event.rcode = Some(Rcode::SERVFAIL);
                return (step.bare(out, Rcode::SERVFAIL, Some(failure_ede(failure))), event);
            }
        };
        if let Some(alias) = &self.alias {
            event.rcode = Some(stored.rcode());
            return (alias.write(step, stored, answered.now.at, out), event);
        }
        let source = event.source;
        match step.judged(&self.snapshot, stored, answered.now.at, source, out, &mut event) {
            Outcome::Reply(len) => (len, event),
            _ => (0, event),
        }
    }
}

/// One question on its way to the upstreams, for everybody who asks the same.
struct Asking {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    upstream: Arc<dyn Upstream>,
    key: Key,
    /// The key and the upstreams' address: others may say other things.
    asked: Box<[u8]>,
    question: Option<Question>,
    clock: Clock,
    received: Instant,
    told: bool,
}

impl Asking {
    fn of(pending: &Pending, clock: Clock) -> Self {
        let upstream = Arc::as_ptr(&pending.upstream).cast::<()>().addr();
        Self {
            engine: Arc::clone(&pending.engine),
            snapshot: Arc::clone(&pending.snapshot),
            upstream: Arc::clone(&pending.upstream),
            key: pending.key,
            asked: [pending.key.as_bytes(), &upstream.to_ne_bytes()].concat().into(),
            question: question(pending.alias.as_ref().map_or(&*pending.packet, Alias::packet)),
            clock,
            received: pending.received,
            told: true,
        }
    }

    fn begin(mut self, wake: Wake) {
        let Some(question) = self.question.take() else { return };
        if !self.engine.waiting.join(&self.asked, wake) {
            return;
        }
        self.told = false;
        let (upstream, received) = (Arc::clone(&self.upstream), self.received);
        upstream.begin(question, received, Box::new(move |reply| self.tell(reply)));
    }

    /// Keeps the reply and hands it to everybody. After that the question may be the next one's who
    /// asks, so the drop must not touch it any more.
    fn tell(mut self, reply: Result<&[u8], Failure>) {
        let now = (self.clock)();
        let verdict = reply.and_then(|bytes| {
            let lost = || Failure::Network("the reply of the upstream could not be read".into());
            let stripped = if self.snapshot.strip_ech { without_ech(bytes) } else { None };
            let message = Message::parse(stripped.as_deref().unwrap_or(bytes)).ok_or_else(lost)?;
            Stored::new(self.key.as_bytes(), &message, now.at, self.snapshot.max_ttl).ok_or_else(lost)
        });
        let Snapshot { cache, aging, .. } = &*self.snapshot;
        let key = self.key.as_bytes();
        match &verdict {
            Ok(stored) if says_something_new(stored) => {
                cache.put(stored);
                if stored.lifetime() == 0 {
                    // What it replaces may not be served any more, not even as stale.
                    cache.remove(key);
                }
            }
            _ => {
                if let Some(kept) = cache.get(key) {
                    aging.failed(&kept, kept.age(now.at));
                }
            }
        }
        self.told = true;
        for wake in self.engine.waiting.take(&self.asked) {
            wake(&verdict, now);
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if !self.told {
            // The runtime is going down: nobody will be told, and nobody may go on waiting.
            drop(self.engine.waiting.take(&self.asked));
        }
    }
}

/// A reply that takes the place of a stale one (RFC 8767 §4).
fn says_something_new(stored: &Stored) -> bool {
    matches!(stored.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) && !stored.is_truncated()
}

fn question(packet: &[u8]) -> Option<Question> {
    let query = Query::parse(packet).ok()?;
    Some(Question {
        // In lower case, so that what is cached shows nobody's mixture of cases (0x20).
        qname: query.qname.to_folded(),
        qtype: query.qtype,
        qclass: query.qclass,
        dnssec_ok: query.dnssec_ok(),
        checking_disabled: query.header.has(flag::CD),
        // AD is always asked for, so that one cached reply serves those who want it and those who
        // do not (RFC 6840 §5.7).
        authentic_data: true,
    })
}

fn failure_ede(failure: &Failure) -> Ede<'_> {
    match failure {
        Failure::Timeout => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream answered in time"),
        Failure::Network(text) => Ede::new(EdeCode::NETWORK_ERROR, text),
        Failure::NoServers => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream is configured"),
    }
}
