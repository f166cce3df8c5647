//! How many replies each client network gets over UDP: a token bucket each, in a table of fixed size.
//!
//! A bucket is one number: the time at which it will be full again. Each reply moves that time on by the
//! interval between two replies; a reply that would move it further ahead than `burst` intervals is one too
//! many. A network without a place in the table takes that of the one with the fullest bucket among a few.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ipnet::IpNet;

use super::acl::Acl;

/// Networks that are watched at the same time.
const PLACES: usize = 1 << 16;
/// Places that a network may have.
const WAYS: usize = 4;
const NANOS: u64 = 1_000_000_000;

/// The settings of the buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Replies a second of one network; 0: there is no limit.
    pub rate: u32,
    /// Replies that it may get at once, after a time without any.
    pub burst: u32,
    /// Of so many queries beyond the limit, one gets a truncated reply instead of none; 0: none does.
    pub slip: u32,
    /// The prefix length of an IPv4 client's network.
    pub v4_prefix: u8,
    /// The prefix length of an IPv6 client's network.
    pub v6_prefix: u8,
    /// Networks without a limit.
    pub exempt: Vec<IpNet>,
}

/// What a query gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A reply.
    Pass,
    /// A truncated reply: a client that is who it says comes back over TCP.
    Slip,
    /// None.
    Drop,
}

/// The buckets of all networks.
pub struct RateLimit {
    rate: Rate,
    exempt: Acl,
    /// Between two replies, in nanoseconds.
    interval: u64,
    /// How far ahead of now the time of a bucket may be before the reply, in nanoseconds.
    ahead: u64,
    places: Box<[Place]>,
    hasher: RandomState,
    /// Times are counted from the first query, and from 1.
    first: OnceLock<Instant>,
}

/// A bucket. Threads may mix up two networks that take a place at the same moment: a bucket is then as full as
/// the other's for a while.
#[derive(Default)]
struct Place {
    /// The hash of the network.
    network: AtomicU64,
    /// When it will be full.
    full: AtomicU64,
    /// Queries beyond the limit.
    beyond: AtomicU32,
}

impl RateLimit {
    /// Full buckets for every network; `None` if there is no limit.
    #[must_use]
    pub fn new(rate: Rate) -> Option<Self> {
        let interval = NANOS.checked_div(rate.rate.into())?;
        Some(Self {
            exempt: Acl::new(rate.exempt.clone()),
            interval,
            ahead: interval.saturating_mul(u64::from(rate.burst.saturating_sub(1))),
            places: std::iter::repeat_with(Place::default).take(PLACES).collect(),
            hasher: RandomState::new(),
            first: OnceLock::new(),
            rate,
        })
    }

    /// Its settings.
    #[must_use]
    pub const fn rate(&self) -> &Rate {
        &self.rate
    }

    /// True if some client of these networks may have a limit.
    #[must_use]
    pub fn concerns(&self, networks: &[IpNet]) -> bool {
        networks.iter().any(|network| !self.rate.exempt.iter().any(|exempt| exempt.contains(network)))
    }

    /// Takes a token for the reply to a query of `client` at `now`.
    #[must_use]
    pub fn take(&self, client: IpAddr, now: Instant) -> Fate {
        if self.exempt.admits(client) {
            return Fate::Pass;
        }
        let since = now.saturating_duration_since(*self.first.get_or_init(|| now));
        let now = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).saturating_add(1);
        let Some(place) = self.place(self.network(client.to_canonical())) else { return Fate::Pass };
        let taken = place.full.fetch_update(Relaxed, Relaxed, |full| {
            let from = full.max(now);
            (from - now <= self.ahead).then(|| from.saturating_add(self.interval))
        });
        if taken.is_ok() {
            return Fate::Pass;
        }
        let beyond = place.beyond.fetch_add(1, Relaxed);
        // The first one too: a client that is who it says does not wait for its time-out.
        if beyond.checked_rem(self.rate.slip) == Some(0) { Fate::Slip } else { Fate::Drop }
    }

    /// The hash of a client's network.
    fn network(&self, client: IpAddr) -> u64 {
        let bits = |prefix: u8, of: u8| u32::from(of.saturating_sub(prefix));
        let network = match client {
            IpAddr::V4(ip) => {
                let host = bits(self.rate.v4_prefix, 32);
                (4, u128::from(ip.to_bits()).unbounded_shr(host))
            }
            IpAddr::V6(ip) => (6, ip.to_bits().unbounded_shr(bits(self.rate.v6_prefix, 128))),
        };
        self.hasher.hash_one(network)
    }

    fn place(&self, network: u64) -> Option<&Place> {
        let sets = (PLACES / WAYS) as u64;
        let set = usize::try_from(network % sets).ok()? * WAYS;
        let set = self.places.get(set..set + WAYS)?;
        if let Some(place) = set.iter().find(|place| place.network.load(Relaxed) == network) {
            return Some(place);
        }
        let place = set.iter().min_by_key(|place| place.full.load(Relaxed))?;
        place.network.store(network, Relaxed);
        place.full.store(0, Relaxed);
        place.beyond.store(0, Relaxed);
        Some(place)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests read the clock")]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limit(rate: u32, burst: u32, slip: u32) -> RateLimit {
        let exempt = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        RateLimit::new(Rate { rate, burst, slip, v4_prefix: 24, v6_prefix: 56, exempt }).unwrap()
    }

    /// What so many queries of a client get at once: passed, slipped, dropped.
    fn got(limit: &RateLimit, client: &str, queries: usize, now: Instant) -> [usize; 3] {
        let client = client.parse().unwrap();
        let fates: Vec<_> = (0..queries).map(|_| limit.take(client, now)).collect();
        [Fate::Pass, Fate::Slip, Fate::Drop].map(|fate| fates.iter().filter(|f| **f == fate).count())
    }

    #[test]
    fn a_network_gets_its_burst_and_then_its_rate() {
        let (limit, start) = (limit(10, 50, 2), Instant::now());
        assert_eq!(got(&limit, "192.0.2.1", 150, start), [50, 50, 50]);
        // The whole network shares it, as do both forms of its addresses; others have their own.
        for (client, fates) in [
            ("192.0.2.255", [0, 2, 2]),
            ("::ffff:192.0.2.7", [0, 2, 2]),
            ("192.0.3.1", [4, 0, 0]),
            ("2001:db8::1", [4, 0, 0]),
        ] {
            assert_eq!(got(&limit, client, 4, start), fates, "{client}");
        }
        assert_eq!(got(&limit, "2001:db8::ff:ffff:ffff:ffff:ffff", 50, start)[0], 46, "a /56");
        assert_eq!(got(&limit, "2001:db8:0:100::", 50, start)[0], 50, "another /56");
        // A second brings ten more, and a long time no more than the burst.
        assert_eq!(got(&limit, "192.0.2.1", 20, start + Duration::from_secs(1))[0], 10);
        assert_eq!(got(&limit, "192.0.2.1", 100, start + Duration::from_secs(3600))[0], 50);
    }

    #[test]
    fn slip_says_how_many_are_truncated() {
        let now = Instant::now();
        for (slip, fates) in [(0, [1, 0, 12]), (1, [1, 12, 0]), (2, [1, 6, 6]), (5, [1, 3, 9])] {
            assert_eq!(got(&limit(1, 1, slip), "192.0.2.1", 13, now), fates, "slip {slip}");
        }
    }

    #[test]
    fn exempt_networks_have_no_limit() {
        let (limit, now) = (limit(1, 1, 0), Instant::now());
        for client in ["10.1.2.3", "::ffff:10.1.2.3", "::1"] {
            assert_eq!(got(&limit, client, 100, now)[0], 100, "{client}");
        }
        let networks = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<IpNet>>();
        assert!(!limit.concerns(&networks(&["10.1.0.0/16", "::1/128"])));
        assert!(limit.concerns(&networks(&["10.1.0.0/16", "0.0.0.0/0"])));
        assert!(!limit.concerns(&[]));
        assert!(RateLimit::new(Rate { rate: 0, ..limit.rate().clone() }).is_none());
    }

    /// A flood that claims to come from everywhere gives nobody else's bucket new tokens while that is in use.
    #[test]
    fn a_flood_of_networks_does_not_refill_a_bucket() {
        let (limit, now) = (limit(10, 50, 0), Instant::now());
        assert_eq!(got(&limit, "192.0.2.1", 60, now)[0], 50);
        for network in 0..500_000_u32 {
            let client = IpAddr::V4((0x1400_0000 + (network << 8)).into());
            let _ = limit.take(client, now);
        }
        assert_eq!(got(&limit, "192.0.2.1", 60, now)[0], 0);
    }

    #[test]
    fn whole_addresses_and_everybody_are_networks_too() {
        let now = Instant::now();
        let with = |v4_prefix, v6_prefix| {
            let rate = limit(1, 1, 0).rate().clone();
            RateLimit::new(Rate { v4_prefix, v6_prefix, ..rate }).unwrap()
        };
        let single = with(32, 128);
        for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"] {
            assert_eq!(got(&single, client, 3, now)[0], 1, "{client}");
        }
        let all = with(0, 0);
        for (client, passed) in [("192.0.2.1", 1), ("198.51.100.1", 0), ("2001:db8::1", 1), ("2a00::1", 0)] {
            assert_eq!(got(&all, client, 3, now)[0], passed, "{client}");
        }
    }
}
