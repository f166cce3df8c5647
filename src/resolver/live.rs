//! The running engine: the pointer to the current snapshot, and what outlives all snapshots.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::pending::Waiting;
use super::snapshot::Snapshot;
use crate::dns::query::Query;
use crate::observe::counters::{Count, CounterSet};
use crate::observe::event::Event;
use crate::observe::querylog::{Line, Sink};
use crate::policy::explain;

/// Shared by every transport and thread.
pub struct Engine {
    snapshot: ArcSwap<Snapshot>,
    /// Queries that wait for an upstream.
    pub waiting: Waiting,
    /// Counters of all threads.
    pub counters: Arc<CounterSet>,
    /// The query log, if somebody reads it.
    pub log: Option<Sink>,
}

impl Engine {
    /// An engine that serves `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, counters: Arc<CounterSet>, log: Option<Sink>) -> Self {
        Self { snapshot: ArcSwap::from_pointee(snapshot), waiting: Waiting::default(), counters, log }
    }

    /// The current generation. Cheap, and held no longer than one query.
    #[must_use]
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// Serves `next` from now on. Queries under way keep the generation that they began with.
    pub fn replace(&self, next: Snapshot) {
        self.snapshot.store(Arc::new(next));
    }

    /// Counts and logs one query, after its reply has left.
    pub fn observe(&self, counters: &mut impl Count, snapshot: &Snapshot, event: &Event, packet: &[u8]) {
        let decider = event.verdict.decider();
        counters.count(event, decider.and_then(|d| snapshot.list_slot(d.list)));
        if let Some(sink) = &self.log {
            let query = Query::parse(packet).ok();
            let rule = decider
                .zip(query.as_ref())
                .and_then(|(d, query)| explain::rule_text(&snapshot.policy, d, query.qname));
            sink.push(Line { event: *event, question: query.map(|q| (q.qname.to_buf(), q.qtype)), rule });
        }
    }
}
