//! One query that waits for an upstream, and its reply once the upstream has answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::alias::Alias;
use super::cookie;
use super::live::Engine;
use super::lookup::Ask;
use super::moment::{Clock, Moment};
use super::request::Request;
use super::ruling::filtered;
use super::snapshot::{Client, Snapshot};
use super::waiting::{Fetched, Wake};
use crate::cache::key::Key;
use crate::cache::store::{Failed, Stored};
use crate::dns::{Ede, EdeCode, Message, NameBuf, Query, Rcode, without_ech};
use crate::observe::event::{Event, Source};
use crate::upstream::{Failure, Question, Upstream};

/// The upstream's reply or failure, and when it arrived.
pub struct Answered {
    fetched: Fetched,
    now: Moment,
}

/// One query that must wait, with everything its reply needs.
pub struct Pending {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    ask: Box<Ask>,
    packet: Box<[u8]>,
    client: Client,
    event: Event,
    received: Instant,
    /// If the answer begins with aliases, the question that is pending differs from the client's.
    alias: Option<Alias>,
}

impl Pending {
    /// The query that `event` describes; `ask` is what is pending.
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

    /// The generation that the query started with.
    #[must_use]
    pub const fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The targets of the aliases that the answer begins with.
    pub(super) fn aliases(&self) -> impl Iterator<Item = &NameBuf> {
        self.alias.iter().flat_map(Alias::targets)
    }

    /// The query's octets.
    #[must_use]
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Queries the upstreams, or joins another query for the same question, and returns at once. `done` is
    /// called once, on a thread of the runtime or this one. `clock` is read when the reply arrives. Must
    /// run within a runtime.
    pub fn begin(self: Box<Self>, clock: Clock, done: impl FnOnce(&Self, &Answered) + Send + 'static) {
        let (in_flight, question) = (InFlight::of(&self, clock), self.ask.question.clone());
        let patience = self.ask.stale.as_ref().map(|_| self.snapshot.aging.patience);
        let wake: Wake = Box::new(move |fetched, now| {
            done(&self, &Answered { fetched: fetched.clone(), now });
        });
        let wake = match patience {
            None => wake,
            // The reply and the patience timer race; the first takes `done`.
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
        in_flight.begin(question, wake);
    }

    /// Queries the upstreams for the cache alone; nothing waits for the reply.
    pub fn refresh(self: Box<Self>, clock: Clock) {
        let question = self.ask.question.clone();
        InFlight::of(&self, clock).begin(question, Box::new(move |_, _| drop(self)));
    }

    /// Writes the reply into `out`; returns its length in octets and the query's event.
    pub fn write(&self, answered: &Answered, out: &mut [u8]) -> (usize, Event) {
        let mut event = self.event;
        event.took = answered.now.at.saturating_duration_since(self.received);
        let Ok(mut query) = Query::parse(&self.packet) else { return (0, event) };
        cookie::note_again(&self.snapshot, &mut query, self.client, answered.now);
        let request = Request { query: &query, client: self.client };
        let stored = match (&answered.fetched, &self.ask.stale) {
            (Ok(stored), Some(_)) if replaces_stale(stored) => stored,
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
            Some(alias) => alias.answer_by(request, &self.snapshot, (stored, now, source), out, &mut event),
            None => filtered(request, &self.snapshot, (stored, stored.age(now), source), out, &mut event),
        };
        let len = reply.unwrap_or(0);
        if let Some(reply) = out.get_mut(..len).filter(|_| self.snapshot.rotate) {
            self.engine.turns.take(reply);
        }
        (len, event)
    }
}

/// One question in flight to the upstreams, on behalf of all queries for it.
struct InFlight {
    engine: Arc<Engine>,
    snapshot: Arc<Snapshot>,
    upstream: Arc<dyn Upstream>,
    key: Key,
    /// The key and the upstreams' address: other upstreams may answer differently.
    asked: Box<[u8]>,
    clock: Clock,
    received: Instant,
    delivered: bool,
}

impl InFlight {
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
            delivered: true,
        }
    }

    fn begin(mut self, question: Question, wake: Wake) {
        if !self.engine.waiting.join(&self.asked, wake) {
            return;
        }
        self.delivered = false;
        let (upstream, received) = (Arc::clone(&self.upstream), self.received);
        upstream.begin(question, received, Box::new(move |reply| self.deliver(reply)));
    }

    /// Caches the reply and delivers it to all waiting queries. After that another query may own the
    /// question, so the drop must not touch it any more.
    fn deliver(mut self, reply: Result<&[u8], Failure>) {
        let now = (self.clock)();
        let fetched = reply.and_then(|bytes| {
            let lost = || Failure::Network("the reply of the upstream could not be read".into());
            let stripped = if self.snapshot.strip_ech { without_ech(bytes) } else { None };
            let message = Message::parse(stripped.as_deref().unwrap_or(bytes)).ok_or_else(lost)?;
            Stored::new(&self.key, &message, now.at, self.snapshot.max_ttl).ok_or_else(lost)
        });
        let Snapshot { cache, aging, .. } = &*self.snapshot;
        let failed = failure(&fetched);
        if let Some(qname) = self.key.qname() {
            self.engine.waiting.learn(qname, failed.is_none());
        }
        match &fetched {
            Ok(stored) if replaces_stale(stored) => {
                cache.failures.remove(&self.key);
                cache.put(stored);
                if stored.lifetime() == 0 {
                    // The reply that this one supersedes may not be served any more, not even as stale.
                    cache.remove(&self.key);
                }
            }
            _ => match cache.get(&self.key).filter(|kept| aging.serves(kept, kept.age(now.at))) {
                Some(kept) => aging.failed(&kept, kept.age(now.at)),
                None => {
                    if let Some(failed) = failed {
                        let max = Duration::from_secs(aging.max_failure.into());
                        cache.failures.put(&self.key, failed, self.upstream.revivals(), now.at, max);
                    }
                }
            },
        }
        self.delivered = true;
        for wake in self.engine.waiting.take(&self.asked) {
            wake(&fetched, now);
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if !self.delivered {
            // The runtime is shutting down: no reply will arrive, so nothing may keep waiting.
            drop(self.engine.waiting.take(&self.asked));
        }
    }
}

/// Whether the reply replaces a stale one (RFC 8767 §4).
fn replaces_stale(stored: &Stored) -> bool {
    matches!(stored.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN) && !stored.is_truncated()
}

/// What is to be remembered if the upstreams could not answer. That a query was not sent at all is not.
fn failure(fetched: &Fetched) -> Option<Failed> {
    match fetched {
        Ok(stored) if matches!(stored.rcode(), Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN) => None,
        Ok(stored) => Some(Failed::Reply(stored.clone())),
        Err(Failure::Down | Failure::NoServers) => None,
        Err(failure) => {
            let ede = failure_ede(failure);
            Some(Failed::Silence(ede.code, ede.text.into()))
        }
    }
}

fn failure_ede(failure: &Failure) -> Ede<'_> {
    match failure {
        Failure::Timeout => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream answered in time"),
        Failure::Down => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream answers"),
        Failure::Network(text) => Ede::new(EdeCode::NETWORK_ERROR, text),
        Failure::NoServers => Ede::new(EdeCode::NO_REACHABLE_AUTHORITY, "no upstream is configured"),
    }
}
