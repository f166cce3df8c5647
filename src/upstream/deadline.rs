//! The clock that waiting goes by, and when a question must be done with.

use std::time::{Duration, Instant};

/// When a question must be done with.
pub(super) struct Deadline {
    /// The end of all steps.
    pub(super) end: Instant,
    /// The most that one step may take.
    pub(super) each: Duration,
}

impl Deadline {
    /// How long the next step may take.
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
