//! How long a server takes to reply, and how long to wait before a query is sent again (RFC 6298).

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// The shortest time before a query is sent again.
const MIN: Duration = Duration::from_millis(50);
/// The longest time before a query is sent again to a server whose time is not known.
const UNKNOWN: Duration = Duration::from_millis(500);
/// The time is doubled at most this often.
const MAX_DOUBLINGS: u32 = 6;

/// The round-trip time of one server, smoothed. Two samples at once may lose one of them; that is no harm.
#[derive(Debug, Default)]
pub(super) struct Rtt {
    /// SRTT in microseconds; 0: not known.
    smoothed: AtomicU32,
    /// RTTVAR in microseconds.
    variation: AtomicU32,
    /// How often the time to wait has been doubled since the last reply (§5.5).
    doublings: AtomicU32,
}

impl Rtt {
    /// A reply came after this time. Each try has an id of its own, so a reply is never ambiguous (§3).
    pub(super) fn sample(&self, took: Duration) {
        let took = u32::try_from(took.as_micros()).unwrap_or(u32::MAX).max(1);
        let (smoothed, variation) = match self.smoothed.load(Relaxed) {
            // §2.2
            0 => (took, took / 2),
            // §2.3, with alpha 1/8 and beta 1/4
            smoothed => {
                let variation = self.variation.load(Relaxed);
                let off = smoothed.abs_diff(took);
                (smoothed - smoothed / 8 + took / 8, variation - variation / 4 + off / 4)
            }
        };
        self.smoothed.store(smoothed.max(1), Relaxed);
        self.variation.store(variation, Relaxed);
        if self.doublings.load(Relaxed) > 0 {
            self.doublings.store(0, Relaxed);
        }
    }

    /// How long to wait for a reply before the query is sent again; `limit` is the time limit of a try.
    pub(super) fn wait(&self, limit: Duration) -> Duration {
        let smoothed = self.smoothed.load(Relaxed);
        if smoothed == 0 {
            return (limit / 4).min(UNKNOWN);
        }
        // Replies of a server that always takes the same time still vary by the load on this machine.
        let spread = self.variation.load(Relaxed).saturating_mul(4).max(smoothed / 4);
        Duration::from_micros(u64::from(smoothed) + u64::from(spread)).max(MIN).min(limit)
    }

    /// The same, doubled for each time that it has passed without a reply (§5.5).
    pub(super) fn patient_wait(&self, limit: Duration) -> Duration {
        self.wait(limit).saturating_mul(1 << self.doublings.load(Relaxed).min(MAX_DOUBLINGS)).min(limit)
    }

    /// A query is sent again to this server: the next one waits longer.
    pub(super) fn double(&self) {
        let doublings = self.doublings.load(Relaxed);
        if doublings < MAX_DOUBLINGS {
            self.doublings.store(doublings + 1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_wait_follows_the_server() {
        let rtt = Rtt::default();
        assert_eq!(rtt.wait(LIMIT), MS(500));
        assert_eq!(rtt.wait(MS(400)), MS(100));
        // The first sample counts three times (RFC 6298 §2.2), but no try waits beyond its limit.
        rtt.sample(MS(300));
        assert_eq!(rtt.wait(LIMIT), MS(900));
        assert_eq!(rtt.wait(MS(700)), MS(700));
        for _ in 0..100 {
            rtt.sample(MS(1800));
        }
        assert_eq!(rtt.wait(LIMIT), LIMIT);
        for _ in 0..200 {
            rtt.sample(MS(1200));
        }
        let steady = rtt.wait(LIMIT);
        assert!(steady > MS(1400) && steady < MS(1600), "{steady:?}");
        for _ in 0..200 {
            rtt.sample(Duration::from_micros(20));
        }
        assert_eq!(rtt.wait(LIMIT), MIN);
    }

    #[test]
    fn the_wait_doubles_until_a_reply_comes() {
        let rtt = Rtt::default();
        rtt.sample(MS(100));
        let times = |n: u32| {
            (0..n).for_each(|_| rtt.double());
            rtt.patient_wait(LIMIT)
        };
        assert_eq!([times(0), times(1), times(1), times(9)], [MS(300), MS(600), MS(1200), LIMIT]);
        rtt.sample(MS(100));
        assert!(rtt.patient_wait(LIMIT) < MS(300));
    }
}
