//! One query that waits for an upstream, and what becomes of it when there is an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::alias::Alias;
use super::live::Engine;
use super::lookup::Ask;
use super::moment::{Clock, Moment};
use super::request::Request;
use super::ruling::judged;
use super::snapshot::{Client, Snapshot};
use super::waiting::{Fetched, Wake};
use crate::answer::End;
use crate::cache::key::Key;
use crate::cache::store::Stored;
use crate::dns::{Ede, EdeCode, Message, Query, Rcode, without_ech};
use crate::observe::event::{Event, Source};
use crate::upstream::{Failure, Question, Upstream};

/// What came of a question, and when.
pub struct Answered {
    fetched: Fetched,
    now: Moment,
}

/// One query that must wait, with all that its answer needs.
pub struct Pending {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    ask: Box<Ask>,
    packet: Box<[u8]>,
    client: Client,
    event: Event,
    received: Instant,
    /// The answer begins with aliases, and another question than the client's is what waits.
    alias: Option<Alias>,
}

impl Pending {
    /// The query that `event` tells of; `ask` is what waits.
    pub(super) fn new(
        (engine, snapshot): (&Arc<Engine>, &Arc<Snapshot>),
        request: Request<'_, '_>,
        ask: Box<Ask>,
        alias: Option<Alias>,
        event: Event,
        received: Instant,
    ) -> Box<Self> {
        Box::new(Self {
            engine: Arc::clone(engine),
            snapshot: Arc::clone(snapshot),
            ask,
            packet: request.query.packet().into(),
            client: request.client,
            event,
            received,
            alias,
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
        let (asking, question) = (Asking::of(&self, clock), self.ask.question.clone());
        let patience = self.ask.stale.as_ref().map(|_| self.snapshot.aging.patience);
        let wake: Wake = Box::new(move |fetched, now| {
            done(&self, &Answered { fetched: fetched.clone(), now });
        });
        let wake = match patience {
            None => wake,
            // Whoever comes first, the answer or the end of patience, takes it.
            Some(patience) => {
                let once = Arc::new(Mutex::new(Some(wake)));
                let take = move |fetched: &Fetched, now: Moment| {
                    let wake = once.lock().unwrap_or_else(PoisonError::into_inner).take();
                    if let Some(wake) = wake {
                        wake(fetched, now);
                    }
                };
                let late = take.clone();
                let timer = tokio::spawn(async move {
                    tokio::time::sleep(patience).await;
                    late(&Err(Failure::Timeout), clock());
                });
                Box::new(move |fetched: &Fetched, now: Moment| {
                    timer.abort();
                    take(fetched, now);
                })
            }
        };
        asking.begin(question, wake);
    }

    /// Asks the upstreams for the cache alone; nobody waits for the answer.
    pub fn refresh(self: Box<Self>, clock: Clock) {
        let question = self.ask.question.clone();
        Asking::of(&self, clock).begin(question, Box::new(move |_, _| drop(self)));
    }

    /// Writes the reply into `out`; returns its length in octets and the query's story.
    pub fn write(&self, answered: &Answered, out: &mut [u8]) -> (usize, Event) {
        let mut event = self.event;
        event.took = answered.now.at.saturating_duration_since(self.received);
        let Ok(query) = Query::parse(&self.packet) else { return (0, event) };
        let request = Request { query: &query, client: self.client };
        let stored = match (&answered.fetched, &self.ask.stale) {
            (Ok(stored), Some(_)) if says_something_new(stored) => stored,
            (_, Some(stale)) => {
                event.source = Source::Stale;
                stale
            }
            (Ok(stored), None) => stored,
            (Err(failure), None) => {
                event.rcode = Some(Rcode::SERVFAIL);
                return (request.bare(out, Rcode::SERVFAIL, Some(failure_ede(failure))), event);
            }
        };
        let (now, source) = (answered.now.at, event.source);
        let reply = match &self.alias {
            Some(alias) => {
                let ttl = |given| stored.ttl(given, now);
                let end = End { reply: stored.message(), rcode: stored.rcode(), ttl: &ttl };
                alias.answer(request, &self.snapshot, (Some(end), source), out, &mut event)
            }
            None => judged(request, &self.snapshot, (stored, source), now, out, &mut event),
        };
        (reply.unwrap_or(0), event)
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
    clock: Clock,
    received: Instant,
    told: bool,
}

impl Asking {
    fn of(pending: &Pending, clock: Clock) -> Self {
        let upstream = Arc::as_ptr(&pending.ask.upstream).addr();
        Self {
            engine: Arc::clone(&pending.engine),
            snapshot: Arc::clone(&pending.snapshot),
            upstream: Arc::clone(&pending.ask.upstream),
            key: pending.ask.key,
            asked: [pending.ask.key.as_bytes(), &upstream.to_ne_bytes()].concat().into(),
            clock,
            received: pending.received,
            told: true,
        }
    }

    fn begin(mut self, question: Question, wake: Wake) {
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
        let fetched = reply.and_then(|bytes| {
            let lost = || Failure::Network("the reply of the upstream could not be read".into());
            let stripped = if self.snapshot.strip_ech { without_ech(bytes) } else { None };
            let message = Message::parse(stripped.as_deref().unwrap_or(bytes)).ok_or_else(lost)?;
            Stored::new(&self.key, &message, now.at, self.snapshot.max_ttl).ok_or_else(lost)
        });
        let Snapshot { cache, aging, .. } = &*self.snapshot;
        match &fetched {
            Ok(stored) if says_something_new(stored) => {
                cache.put(stored);
                if stored.lifetime() == 0 {
                    // What it replaces may not be served any more, not even as stale.
                    cache.remove(&self.key);
                }
            }
            _ => {
                if let Some(kept) = cache.get(&self.key) {
                    aging.failed(&kept, kept.age(now.at));
                }
            }
        }
        self.told = true;
        for wake in self.engine.waiting.take(&self.asked) {
            wake(&fetched, now);
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

fn failure_ede(failure: &Failure) -> Ede<'_> {
    match failure {
        Failure::Timeout => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream answered in time"),
        Failure::Network(text) => Ede::new(EdeCode::NETWORK_ERROR, text),
        Failure::NoServers => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream is configured"),
    }
}
