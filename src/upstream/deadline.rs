//! The clock for time limits.

use std::time::{Duration, Instant};

/// Time-outs run on the runtime's clock, which is this one.
#[expect(clippy::disallowed_methods, reason = "waiting needs a clock of its own")]
pub(super) fn clock() -> Instant {
    Instant::now()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
