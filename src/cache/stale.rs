//! What to do with a cached reply of a given age: serve it, refresh it before it expires, or serve it stale
//! (RFC 8767).

use std::time::Duration;

use super::store::Stored;

/// After a prefetch has begun or failed, no other begins for this many seconds.
const REFRESH_PAUSE: u32 = 5;

/// How replies age: the timers of RFC 8767 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aging {
    /// How long after its expiry a reply may be served, in seconds ("maximum stale timer"); 0: never.
    pub max_stale: u32,
    /// How long a client waits for a fresh reply if a stale one is cached ("client response timer").
    pub patience: Duration,
    /// How long after a failure the upstreams are not queried again if a stale reply is cached, in seconds
    /// ("failure recheck timer").
    pub recheck: u32,
    /// How long a question that the upstreams could not answer is not asked again, at most, in seconds; 0:
    /// it is asked each time (RFC 9520 §3.2).
    pub max_failure: u32,
    /// Prefetch: refresh a reply that is requested in the last tenth of its lifetime.
    pub prefetch: bool,
}

impl Default for Aging {
    fn default() -> Self {
        Self {
            max_stale: 86_400,
            patience: Duration::from_millis(1800),
            recheck: 30,
            max_failure: 300,
            prefetch: true,
        }
    }
}

/// What to do with a reply of a given age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Serve it.
    Fresh,
    /// Serve it and refresh it: it is in demand and about to expire.
    Ending,
    /// Serve it as stale at once: the upstreams failed recently.
    StaleNow,
    /// Query the upstreams; serve it as stale if they fail or take too long.
    Stale,
    /// Too old to be served.
    Dead,
}

impl Aging {
    /// Judges a reply that is `age` seconds old. Only one caller in a while gets [`Age::Ending`], so that
    /// one refresh is sent and not one for each client.
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

    /// True if a reply that is `age` seconds old may still be served, fresh or stale.
    #[must_use]
    pub fn serves(&self, stored: &Stored, age: u32) -> bool {
        age < stored.lifetime().saturating_add(self.max_stale)
    }

    /// Records that the upstreams failed to refresh a reply that is `age` seconds old. Before the reply
    /// expires, this only postpones the next attempt.
    pub fn failed(&self, stored: &Stored, age: u32) {
        if age >= stored.lifetime() {
            stored.pause(age.saturating_add(self.recheck));
        }
    }
}
