//! When a rule applies.

use portcullis_core::dns::{Qtype, Transport};

use super::asked::Asked;

/// When a rule applies; empty or `None` sets no condition.
#[derive(Clone, Debug, Default)]
pub struct When {
    /// In these networks, by their index.
    pub networks: Vec<u16>,
    /// From this moment on, in seconds since 1970 (UTC).
    pub from: Option<i64>,
    /// Until this moment, exclusive.
    pub until: Option<i64>,
    /// At these minutes of the day, end exclusive; may run past midnight. And how many seconds the local
    /// clock is ahead of UTC.
    pub daily: Option<(u16, u16, i32)>,
    /// For these types.
    pub types: Vec<Qtype>,
    /// For all types except these.
    pub other_types: Vec<Qtype>,
    /// Over this transport.
    pub transport: Option<Transport>,
    /// With this probability.
    pub chance: Option<Chance>,
}

/// A random draw that decides whether a rule applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chance {
    /// The number of cases in which it applies.
    pub bad: u32,
    /// The number of all cases.
    pub of: u32,
    /// What shares one draw.
    pub sticky: Sticky,
}

/// The scope of one draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sticky {
    /// Each query has a draw of its own.
    Query,
    /// All queries for a name share a draw.
    Name,
    /// All queries of a client share a draw.
    Client,
    /// All queries of a client within this many seconds of the scenario's clock share a draw.
    Time(u32),
}

impl When {
    /// True if this applies whenever the other does.
    pub(super) fn covers(&self, other: &Self) -> bool {
        fn all_in<T: PartialEq>(all: &[T], some: &[T]) -> bool {
            all.is_empty() || !some.is_empty() && some.iter().all(|one| all.contains(one))
        }
        self.chance.is_none_or(|chance| chance.bad == chance.of)
            && all_in(&self.networks, &other.networks)
            && self.from.is_none_or(|from| other.from.is_some_and(|other| other >= from))
            && self.until.is_none_or(|until| other.until.is_some_and(|other| other <= until))
            && (self.daily.is_none() || self.daily == other.daily)
            && all_in(&self.types, &other.types)
            && self
                .other_types
                .iter()
                .all(|t| other.other_types.contains(t) || !other.types.is_empty() && !other.types.contains(t))
            && (self.transport.is_none() || self.transport == other.transport)
    }

    pub(super) fn holds(&self, asked: Asked<'_, '_>) -> bool {
        let qtype = asked.query.qtype;
        (self.networks.is_empty() || self.networks.contains(&asked.network))
            && self.from.is_none_or(|from| asked.unix >= from)
            && self.until.is_none_or(|until| asked.unix < until)
            && self.daily.is_none_or(|daily| is_daily(daily, asked.unix))
            && (self.types.is_empty() || self.types.contains(&qtype))
            && !self.other_types.contains(&qtype)
            && self.transport.is_none_or(|t| t == asked.transport)
    }
}

/// True within these minutes of the day, which may run past midnight.
fn is_daily((from, until, offset): (u16, u16, i32), unix: i64) -> bool {
    let minute = unix.saturating_add(i64::from(offset)).rem_euclid(86_400) / 60;
    let (from, until) = (i64::from(from), i64::from(until));
    if from <= until { (from..until).contains(&minute) } else { minute >= from || minute < until }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_time_of_the_clock_is_too_far() {
        for (unix, offset) in [(i64::MAX, 3600), (i64::MIN, -3600)] {
            let (early, late) = (is_daily((0, 720, offset), unix), is_daily((720, 1440, offset), unix));
            assert!(early != late, "{unix}");
        }
    }
}
