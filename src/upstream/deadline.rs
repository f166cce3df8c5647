//! The clock for time limits, and the time limit of a query.

use std::time::{Duration, Instant};

/// The time limit of a query.
pub(super) struct Deadline {
    /// The end of all steps together.
    pub(super) end: Instant,
    /// The longest time for one step.
    pub(super) each: Duration,
}

impl Deadline {
    /// The time limit of the next step.
    pub(super) fn next(&self) -> Duration {
        self.end.saturating_duration_since(clock()).min(self.each)
    }
}

/// Time-outs run on the runtime's clock, which is this one.
#[expect(clippy::disallowed_methods, reason = "waiting needs a clock of its own")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
