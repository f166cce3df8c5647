//! The status of a running server, in a few numbers.

use serde_json::{Value, json};

use crate::policy::What;
use crate::resolver::live::Engine;

/// The status of a running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Rules of all lists.
    pub rules: usize,
    /// Queries since the start.
    pub queries: u64,
    /// Queries that are waiting for an upstream.
    pub waiting: usize,
    /// Orders in force.
    pub orders: usize,
    /// Whether the lists are applied.
    pub blocking: bool,
    /// An order pauses blocking for some clients or for all.
    pub paused: bool,
}

impl Status {
    /// The status at `now`, in seconds since 1970 (UTC).
    #[must_use]
    pub fn of(engine: &Engine, now: i64) -> Self {
        let snapshot = engine.snapshot_at(now);
        let mut in_force = snapshot.orders.all().iter().filter(|order| order.is_in_force(now));
        Self {
            rules: snapshot.policy.rule_count(),
            queries: engine.counters.totals().queries.iter().map(|(_, n)| n).sum(),
            waiting: engine.waiting.len(),
            orders: in_force.clone().count(),
            blocking: snapshot.blocking,
            paused: in_force.any(|order| order.what == What::Pause),
        }
    }

    /// The numbers by name, with the program's version.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "version": env!("CARGO_PKG_VERSION"), "rules": self.rules, "queries": self.queries,
            "waiting": self.waiting, "orders": self.orders, "blocking": self.blocking, "paused": self.paused,
        })
    }
}
