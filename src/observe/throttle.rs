//! A budget for repeated lines of the program's log: whoever causes them must not decide how much is written.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The lines of one kind that may come at once.
const BURST: u32 = 50;
/// How long until one more may come.
const EACH: Duration = Duration::from_millis(200);

/// The lines that were left out since the start of the process, which has one log.
static LEFT_OUT: AtomicU64 = AtomicU64::new(0);

/// The lines that were left out since the start of the process.
#[must_use]
pub fn left_out() -> u64 {
    LEFT_OUT.load(Relaxed)
}

/// What of each kind of lines may still be written. A kind is a place in the program, so there are few.
pub struct Throttle<K>(Mutex<HashMap<K, Kind>>);

struct Kind {
    name: &'static str,
    /// When as many lines as come at once may come again.
    full: Instant,
    left_out: u64,
}

impl<K> Default for Throttle<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> Throttle<K> {
    /// Whether one more line of this kind may be written; if not, it is counted. `name` is for [`Throttle::take`].
    pub fn admits(&self, kind: K, name: &'static str, now: Instant) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(kind).or_insert(Kind { name, full: now, left_out: 0 });
        let full = kind.full.max(now) + EACH;
        let admitted = full <= now + EACH * BURST;
        if admitted {
            kind.full = full;
        } else {
            kind.left_out += 1;
            LEFT_OUT.fetch_add(1, Relaxed);
        }
        admitted
    }

    /// How many lines of each kind were left out since the last call, most first.
    pub fn take(&self) -> Vec<(&'static str, u64)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = kinds.values_mut().map(|kind| (kind.name, std::mem::take(&mut kind.left_out)));
        let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        counts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        counts
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point in time to begin with")]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_kind_is_cut_and_counted_and_others_are_not() {
        let (throttle, begin) = (Throttle::default(), std::time::Instant::now());
        let written =
            |kind, name, count: u32, now| (0..count).filter(|_| throttle.admits(kind, name, now)).count();
        assert_eq!(written(1, "one", 10_000, begin), 50);
        assert_eq!(written(2, "two", 40, begin), 40);
        let later = begin + Duration::from_secs(2);
        assert_eq!(written(1, "one", 10_000, later), 10, "five a second");
        assert_eq!(written(2, "two", 60, begin + Duration::from_secs(3600)), 50);
        assert_eq!(throttle.take(), [("one", 19_940), ("two", 10)]);
        assert_eq!(throttle.take(), []);
        assert!(left_out() >= 19_950);
    }
}
