//! What a cached reply's age means: serve it, fetch it anew before it expires, or serve it stale (RFC 8767).

use std::time::Duration;

use super::store::Stored;

/// A failed or begun fetch ahead of expiry is not tried again for so many seconds.
const REFRESH_PAUSE: u32 = 5;

/// How replies age, the timers of RFC 8767 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aging {
    /// How long past its expiry a reply may be served, in seconds ("maximum stale timer"); 0: never.
    pub max_stale: u32,
    /// How long a client waits for a fresh answer while there is a stale one ("client response timer").
    pub patience: Duration,
    /// How long after a failure the upstreams are not asked again while there is a stale answer, in
    /// seconds ("failure recheck timer").
    pub recheck: u32,
    /// Fetch anew what is asked for in the last tenth of its life.
    pub prefetch: bool,
}

impl Default for Aging {
    fn default() -> Self {
        Self { max_stale: 86_400, patience: Duration::from_millis(1800), recheck: 30, prefetch: true }
    }
}

/// What to do with a reply of some age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Serve it.
    Fresh,
    /// Serve it, and fetch it anew: it is asked for and about to expire.
    Ending,
    /// Serve it as stale at once: the upstreams failed a moment ago.
    StaleNow,
    /// Ask the upstreams; serve it as stale if they fail or take too long.
    Stale,
    /// Of no use any more.
    Dead,
}

impl Aging {
    /// Judges a reply that is `age` seconds old. [`Age::Ending`] is said once in a while, not to
    /// everybody who asks.
    #[must_use]
    pub fn judge(&self, stored: &Stored, age: u32) -> Age {
        let lifetime = stored.lifetime();
        if age < lifetime {
            let ending = self.prefetch && age >= lifetime - lifetime / 10;
            return if ending && stored.claim(age, age.saturating_add(REFRESH_PAUSE).min(lifetime)) {
                Age::Ending
            } else {
                Age::Fresh
            };
        }
        match age - lifetime {
            late if late >= self.max_stale => Age::Dead,
            _ if stored.is_paused(age) => Age::StaleNow,
            _ => Age::Stale,
        }
    }

    /// Notes that the upstreams failed to renew a reply that is `age` seconds old. Before its expiry
    /// that only puts off the next try.
    pub fn failed(&self, stored: &Stored, age: u32) {
        if age >= stored.lifetime() {
            stored.pause(age.saturating_add(self.recheck));
        }
    }
}
