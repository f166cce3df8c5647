//! A point in time, read once for a batch of queries.

use std::time::Instant;

/// One point in time by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock: for ages and durations.
    pub at: Instant,
    /// By the wall clock, in seconds since 1970 (UTC): for schedules and orders.
    pub unix: i64,
}

/// Reads the time.
pub type Clock = fn() -> Moment;
