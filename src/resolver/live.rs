//! The running engine: the pointer to the current snapshot, and the state that outlives every snapshot.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::ruling;
use super::snapshot::Snapshot;
use super::turns::Turns;
use super::waiting::Waiting;
use crate::dns::Query;
use crate::observe::counters::{Count, CounterSet};
use crate::observe::event::{Event, Line};
use crate::observe::listen::{Heard, Listen};
use crate::observe::sink::Sink;
use crate::policy::{self, Active, Orders};

/// Shared by every transport and thread.
pub struct Engine {
    snapshot: ArcSwap<Snapshot>,
    /// Held while the next generation is derived from the current one; never while waiting.
    changing: Mutex<()>,
    /// Held while an order is given.
    ordering: Mutex<()>,
    epochs: AtomicU64,
    /// Queries that wait for an upstream.
    pub waiting: Arc<Waiting>,
    /// Whose turn it is among several addresses.
    pub(super) turns: Turns,
    /// Counters of all threads.
    pub counters: Arc<CounterSet>,
    /// Who hears of each query after its reply has been sent.
    listeners: Vec<Box<dyn Listen>>,
}

impl Engine {
    /// An engine that serves `snapshot`.
    #[must_use]
    pub fn new(mut snapshot: Snapshot, counters: Arc<CounterSet>, sink: Option<Sink<Line>>) -> Self {
        let epochs = AtomicU64::new(0);
        snapshot.epoch = epoch(&epochs, &snapshot);
        let snapshot = ArcSwap::from_pointee(snapshot);
        let (changing, ordering) = (Mutex::default(), Mutex::default());
        let engine = Self {
            snapshot,
            changing,
            ordering,
            epochs,
            waiting: Arc::default(),
            turns: Turns::default(),
            counters,
            listeners: Vec::new(),
        };
        let Some(sink) = sink else { return engine };
        engine.counters.sinks.add(sink.drops());
        engine.heard_by([Box::new(sink) as Box<dyn Listen>])
    }

    /// The same engine, of whose queries these hear too.
    #[must_use]
    pub fn heard_by(mut self, listeners: impl IntoIterator<Item = Box<dyn Listen>>) -> Self {
        self.listeners.extend(listeners);
        self
    }

    /// The current generation, whatever the time. Cheap.
    #[must_use]
    pub fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The generation in force at `now`, in seconds since 1970 (UTC); to be held no longer than one batch
    /// of queries. Cheap, except when a schedule or an order begins or ends.
    #[must_use]
    pub fn snapshot_at(&self, now: i64) -> Guard<Arc<Snapshot>> {
        let current = self.snapshot.load();
        if current.active.holds_at(now) {
            return current;
        }
        drop(current);
        {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let current = self.snapshot.load();
            // Another thread may have been faster.
            if !current.active.holds_at(now) {
                self.store(Snapshot::clone(&current), now);
            }
        }
        self.snapshot.load()
    }

    /// Replaces the current generation with what `change` derives from it, keeping the orders given so far.
    /// Queries in progress keep the generation that they began with. All other changes wait for `change`,
    /// so build what takes time beforehand.
    pub fn change(&self, now: i64, change: impl FnOnce(&Snapshot) -> Snapshot) {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let current = self.snapshot.load();
        let next = Snapshot { orders: Arc::clone(&current.orders), ..change(&current) };
        self.store(next, now);
    }

    /// Replaces the orders with those that `change` derives from the current ones, if any. It may take
    /// long; only others that give orders wait for it.
    pub fn order<T>(&self, now: i64, change: impl FnOnce(&Orders) -> (Option<Orders>, T)) -> T {
        let _ordering = self.ordering.lock().unwrap_or_else(PoisonError::into_inner);
        let before = Arc::clone(&self.snapshot.load().orders);
        let (orders, result) = change(&before);
        if let Some(orders) = orders {
            let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let current = self.snapshot.load();
            self.store(Snapshot { orders: Arc::new(orders), ..Snapshot::clone(&current) }, now);
        }
        result
    }

    fn store(&self, mut next: Snapshot, now: i64) {
        next.active = Arc::new(Active::new(&next.policy, &next.orders, now));
        next.epoch = epoch(&self.epochs, &next);
        self.snapshot.store(Arc::new(next));
    }

    /// Counts one query and passes it to the listeners, if there are any; after its reply has been sent.
    /// `reply` is empty if there is none.
    pub fn observe(
        &self,
        counters: &mut impl Count,
        snapshot: &Snapshot,
        event: &Event,
        query: &[u8],
        reply: &[u8],
    ) {
        counters.count(event, event.verdict.list().and_then(|list| snapshot.list_slot(list)));
        if self.listeners.is_empty() {
            return;
        }
        let packet = query;
        let query = Query::parse(packet).ok();
        let name = query.as_ref().map(|query| query.qname);
        let rule = name.and_then(|name| policy::verdict_text(&snapshot.policy, event.verdict, name));
        let list = ruling::refused_by(snapshot, event.verdict);
        let reference = name.zip(list).map(|(name, list)| list.reference(name));
        let (query, rule) = (query.as_ref(), rule.as_ref());
        let heard = Heard { event, packet, query, reply, rule, reference };
        for listener in &self.listeners {
            listener.hear(&heard);
        }
    }

    /// A copy of a reply that is moved before [`Engine::observe`]; empty if there is no listener.
    #[must_use]
    pub fn copy_for_sink(&self, octets: &[u8]) -> Vec<u8> {
        if self.listeners.is_empty() { Vec::new() } else { octets.to_vec() }
    }
}

/// The number of a new generation; 0 if inspection may give different results for two clients of the same
/// group.
fn epoch(epochs: &AtomicU64, snapshot: &Snapshot) -> u64 {
    let next = epochs.fetch_add(1, Relaxed) + 1;
    if snapshot.policy.names_clients() || snapshot.active.has_orders() { 0 } else { next }
}
