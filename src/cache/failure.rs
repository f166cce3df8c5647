//! Questions that the upstreams could not answer a moment ago, so that they are not asked again and again
//! (RFC 9520).

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use quick_cache::sync::Cache as Map;

use super::key::Key;

/// The most questions that are remembered.
const MAX: usize = 8192;
/// How long the first failure is remembered (RFC 9520 §3.2: at least a second); twice as long each time that
/// the next attempt fails too.
const FIRST: Duration = Duration::from_secs(1);

/// The questions that failed lately, bounded in number, and what was said to each.
pub struct Failures<T> {
    map: Map<u64, Entry<T>>,
    hasher: RandomState,
    /// Something was remembered once: without it, nothing needs to be looked up.
    any: AtomicBool,
}

#[derive(Clone)]
struct Entry<T> {
    key: Box<[u8]>,
    until: Instant,
    lasts: Duration,
    /// How often servers had come back when it failed.
    revivals: u64,
    failed: T,
}

impl<T: Clone> Default for Failures<T> {
    fn default() -> Self {
        Self { map: Map::new(MAX), hasher: RandomState::new(), any: AtomicBool::new(false) }
    }
}

impl<T: Clone> Failures<T> {
    /// The failure of a question, while it is remembered. `revivals` is how often servers have come back so
    /// far: a failure from before the last time says nothing.
    #[must_use]
    pub fn get(&self, key: &Key, revivals: u64, now: Instant) -> Option<T> {
        let entry = self.entry(key)?;
        (now < entry.until && entry.revivals == revivals).then_some(entry.failed)
    }

    /// Remembers that a question has failed, for at most `max`.
    pub fn put(&self, key: &Key, failed: T, revivals: u64, now: Instant, max: Duration) {
        let before = self.entry(key).filter(|entry| entry.revivals == revivals);
        let lasts = match before {
            // It was asked again meanwhile, for another reason.
            Some(entry) if now < entry.until => return,
            // A failure of long ago is over.
            Some(entry) if now < entry.until + entry.lasts.max(Duration::from_secs(60)) => entry.lasts * 2,
            _ => FIRST,
        };
        let lasts = lasts.min(max);
        if lasts.is_zero() {
            return;
        }
        let key = key.as_bytes();
        let entry = Entry { key: key.into(), until: now + lasts, lasts, revivals, failed };
        self.map.insert(self.hasher.hash_one(key), entry);
        self.any.store(true, Relaxed);
    }

    /// A question has been answered.
    pub fn remove(&self, key: &Key) {
        if self.any.load(Relaxed) {
            self.map.remove(&self.hasher.hash_one(key.as_bytes()));
        }
    }

    fn entry(&self, key: &Key) -> Option<Entry<T>> {
        if !self.any.load(Relaxed) {
            return None;
        }
        let key = key.as_bytes();
        self.map.get(&self.hasher.hash_one(key)).filter(|entry| *entry.key == *key)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
mod tests {
    use super::*;
    use crate::dns::Query;

    const MAX: Duration = Duration::from_secs(300);

    fn key(route: u16) -> Key {
        let packet = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        Key::of(&Query::parse(packet).unwrap(), route)
    }

    #[test]
    fn a_failure_is_remembered_twice_as_long_each_time() {
        let (failures, mut now) = (Failures::default(), Instant::now());
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            assert!(failures.get(&key(0), 0, now).is_none(), "{seconds}");
            failures.put(&key(0), (), 0, now, MAX);
            let lasts = Duration::from_secs(seconds);
            assert!(failures.get(&key(0), 0, now + lasts - Duration::from_millis(1)).is_some(), "{seconds}");
            assert!(failures.get(&key(1), 0, now).is_none(), "another route");
            // Another failure meanwhile changes nothing.
            failures.put(&key(0), (), 0, now + lasts / 2, MAX);
            now += lasts;
        }
        // After an answer, or a long time, it begins anew.
        failures.remove(&key(0));
        failures.put(&key(0), (), 0, now, MAX);
        assert!(failures.get(&key(0), 0, now + FIRST).is_none());
        now += Duration::from_secs(62);
        failures.put(&key(0), (), 0, now, MAX);
        assert!(failures.get(&key(0), 0, now + FIRST).is_none());
    }

    #[test]
    fn a_server_that_is_back_gets_the_question_again() {
        let (failures, now) = (Failures::default(), Instant::now());
        failures.put(&key(0), (), 3, now, MAX);
        assert!(failures.get(&key(0), 3, now).is_some());
        assert!(failures.get(&key(0), 4, now).is_none());
        failures.put(&key(0), (), 4, now, MAX);
        assert!(failures.get(&key(0), 4, now).is_some());
    }

    #[test]
    fn nothing_is_remembered_if_the_bound_is_zero_and_little_if_there_is_much() {
        let (failures, now) = (Failures::default(), Instant::now());
        failures.put(&key(0), (), 0, now, Duration::ZERO);
        assert!(failures.get(&key(0), 0, now).is_none());
        for route in 0..20_000 {
            failures.put(&key(route), (), 0, now, MAX);
        }
        let kept = (0..20_000).filter(|route| failures.get(&key(*route), 0, now).is_some()).count();
        assert!(kept > 0 && kept <= super::MAX, "{kept}");
    }
}
