//! A point in time, read once for a batch of queries.

use std::time::Instant;

/// One moment by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the clock that only runs on: for ages and durations.
    pub at: Instant,
    /// By the clock on the wall, in seconds since 1970 (UTC): for schedules and orders.
    pub unix: i64,
}

/// Reads the time.
pub type Clock = fn() -> Moment;
