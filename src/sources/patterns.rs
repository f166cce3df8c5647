//! Measures how long a query takes in the patterns of the lists.

use std::time::Duration;

use crate::dns::NameBuf;
use crate::policy::Policy;
use crate::resolver::moment::Clock;

/// Names to measure with: usual ones, and one with every character, at full length.
const NAMES: [&str; 5] = [
    "www.example.com",
    "e12345.dsca.akamaiedge.net",
    "clients4-ads-tracking.g.doubleclick.example.org",
    "a1b2c3d4e5f6.cdn-0123456789.eu-west-1.compute.example-company.co.uk",
    "the-quick-brown-fox-jumps-over-the-lazy-dog-0123456789-banner.ads-stats-track-metrics-analytics-pixel-counter.\
    zyxwvutsrqponmlkjihgfedcba-9876543210-event-log-beacon-click.affiliate-promo-popup-telemetry-collect.example.com",
];

/// How often each is measured; the fastest counts, because other work on the machine only adds to it.
const TIMES: usize = 5;

/// From this time on, the patterns deserve a warning.
const SLOW: Duration = Duration::from_micros(100);

/// The warning about patterns that take this time for a query, if it is long.
#[must_use]
pub fn slow_patterns(time: Duration) -> Option<String> {
    let micros = time.as_secs_f64() * 1e6;
    (time >= SLOW).then(|| {
        format!("patterns cost up to {micros:.0} µs per query: use fewer wildcards and expressions without fixed text")
    })
}

/// The longest time that one of some usual and unusual names takes; `None` without patterns.
#[must_use]
pub fn pattern_time(policy: &Policy, clock: Clock) -> Option<Duration> {
    if policy.pattern_count() == 0 {
        return None;
    }
    let once = |name: &NameBuf| {
        let begin = clock().at;
        std::hint::black_box(policy.matching_patterns(name.as_name()));
        clock().at.duration_since(begin)
    };
    let names = NAMES.iter().filter_map(|text| NameBuf::from_text(text).ok());
    names.filter_map(|name| (0..TIMES).map(|_| once(&name)).min()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::List;
    use crate::net::now;
    use crate::rule::Effect;

    #[test]
    fn the_names_are_names_and_only_patterns_take_time() {
        assert!(NAMES.iter().all(|name| NameBuf::from_text(name).is_ok()));
        let policy =
            |text: &str| Policy::compile([("l", List::parse(text, Effect::Block).unwrap())]).unwrap();
        assert_eq!(pattern_time(&policy("||a.test^\n"), now), None);
        assert!(pattern_time(&policy("||a.test^\n/[0-9]{5}/\n"), now).is_some());
    }

    #[test]
    fn slow_patterns_are_told_from_a_tenth_of_a_millisecond_on() {
        assert_eq!(slow_patterns(Duration::from_nanos(99_999)), None);
        let warning = slow_patterns(Duration::from_micros(100)).unwrap();
        assert!(warning.starts_with("patterns cost up to 100 µs per query: "), "{warning}");
    }
}
