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

impl Moment {
    /// The 32 bits of the wall clock that timestamps in messages have.
    #[must_use]
    pub fn seconds(self) -> u32 {
        u32::try_from(self.unix.rem_euclid(1 << 32)).unwrap_or_default()
    }
}

/// Reads the time.
pub type Clock = fn() -> Moment;
