//! The only place that reads the clocks; everything inside the edge gets the time as an argument.

use std::time::{Instant, SystemTime};

use crate::resolver::moment::Moment;

/// The current time, by both clocks.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge owns the clocks")]
pub fn now() -> Moment {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    Moment { at: Instant::now(), unix: i64::try_from(unix).unwrap_or(i64::MAX) }
}

/// The time by the wall clock, in microseconds since 1970 (UTC).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge owns the clocks")]
pub fn unix_micros() -> i64 {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_micros());
    i64::try_from(unix).unwrap_or(i64::MAX)
}
