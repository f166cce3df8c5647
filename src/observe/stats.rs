//! Counts of what the query log and dnstap wrote, dropped and lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::sink::Drops;

/// Tells the replies and failures of each upstream so far.
pub type Tallies = Box<dyn FnMut() -> Vec<(String, u64, u64)> + Send>;

/// What became of the lines for the query log and dnstap.
#[derive(Default)]
pub struct SinkStats {
    /// The query log in its database.
    pub log: SinkStat,
    /// Lines of JSON.
    pub lines: SinkStat,
    /// Messages for dnstap.
    pub dnstap: SinkStat,
    other: Mutex<Vec<Drops>>,
}

/// What became of the items for one sink.
#[derive(Default)]
pub struct SinkStat {
    /// Items written.
    pub written: AtomicU64,
    /// Items that could not be written: the disk is full, the collector away.
    pub lost: AtomicU64,
    /// True while nothing can be written.
    pub failing: AtomicBool,
    drops: Mutex<Vec<Drops>>,
}

impl SinkStat {
    /// Counts the drops of a queue too.
    pub fn add(&self, drops: Drops) {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).push(drops);
    }

    /// Items dropped because a queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.drops.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Drops::count).sum()
    }

    /// Counts items that were written.
    pub fn wrote(&self, items: u64) {
        self.written.fetch_add(items, Relaxed);
    }

    /// Counts items that could not be written.
    pub fn lose(&self, items: u64) {
        self.lost.fetch_add(items, Relaxed);
    }
}

impl SinkStats {
    /// Counts the drops of a queue for somebody else's reader.
    pub fn add(&self, drops: Drops) {
        self.other.lock().unwrap_or_else(PoisonError::into_inner).push(drops);
    }

    /// Lines of any query log dropped because its queue was full.
    #[must_use]
    pub fn lines_dropped(&self) -> u64 {
        let other =
            self.other.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Drops::count).sum::<u64>();
        other + self.log.dropped() + self.lines.dropped()
    }
}
