//! When something is in force: weekly windows by the wall clock of a time zone, and absolute bounds.
//!
//! The time is always an argument, in seconds since 1970 UTC. The wall clock decides: an hour that a zone's
//! clocks show twice counts both times, and minutes that they skip never occur. The time zone rules are
//! built in, so that the result doesn't depend on the system's files.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60;
/// Minutes of a day, as windows count them.
const MIDNIGHT: u16 = 24 * 60;
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A weekly window: on these days, from one minute of the day up to another. If its end is not after its
/// start, it runs past midnight, and belongs to the day on which it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The days; bit 0 is Monday.
    pub days: u8,
    /// Its first minute, from 0 to 1439.
    pub start: u16,
    /// The minute before which it ends, from 1 to 1440.
    pub end: u16,
}

/// When a rule, a list or a group is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The zone whose wall clock the windows follow.
    pub zone: TimeZone,
    /// In force in any of these; always if there are none.
    pub windows: Vec<Window>,
    /// Not in force before this second.
    pub from: Option<i64>,
    /// Not in force from this second on.
    pub until: Option<i64>,
}

impl Window {
    /// Whether it is open at this minute of this day (0 is Monday).
    fn holds(self, day: i64, minute: i64) -> bool {
        let (start, end) = (i64::from(self.start), i64::from(self.end));
        let begins_on = |day: i64| (self.days >> day) & 1 == 1;
        if start < end {
            return begins_on(day) && start <= minute && minute < end;
        }
        begins_on(day) && start <= minute || begins_on((day + 6) % 7) && minute < end
    }
}

impl Schedule {
    /// When both are in force; `None` if both have windows that differ, which no single schedule can say.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Option<Self> {
        let windows_of = |s: &Self| (s.zone.clone(), s.windows.clone());
        let (zone, windows) = match (outer.windows.as_slice(), self.windows.as_slice()) {
            ([], _) => windows_of(self),
            (_, []) => windows_of(outer),
            _ if windows_of(self) == windows_of(outer) => windows_of(self),
            _ => return None,
        };
        let until = self.until.into_iter().chain(outer.until).min();
        Some(Self { zone, windows, from: self.from.max(outer.from), until })
    }

    /// Whether it is in force at this time.
    #[must_use]
    pub fn is_active(&self, unix: i64) -> bool {
        if self.from.is_some_and(|from| unix < from) || self.until.is_some_and(|until| until <= unix) {
            return false;
        }
        if self.windows.is_empty() {
            return true;
        }
        let minutes = self.wall_clock(unix).div_euclid(MINUTE);
        // 1970 began on a Thursday.
        let (day, minute) = ((minutes.div_euclid(DAY) + 3).rem_euclid(7), minutes.rem_euclid(DAY));
        self.windows.iter().any(|window| window.holds(day, minute))
    }

    /// A later time before which [`Self::is_active`] is certain to return the same: with windows at most
    /// the next whole minute of the wall clock, otherwise the next bound; `i64::MAX` if the result never
    /// changes again.
    #[must_use]
    pub fn steady_until(&self, unix: i64) -> i64 {
        let until = self.until.unwrap_or(i64::MAX);
        if until <= unix {
            return i64::MAX;
        }
        if let Some(from) = self.from.filter(|from| unix < *from) {
            return if from < until { from } else { i64::MAX };
        }
        if self.windows.is_empty() {
            return until;
        }
        let minute = unix.saturating_add(MINUTE - self.wall_clock(unix).rem_euclid(MINUTE));
        // Old offsets have odd seconds, so that clocks could change in the middle of a minute. Then only
        // the next second is certain; two changes within one such minute have never occurred.
        let clocks_stay = self.offset(minute - 1) == self.offset(unix);
        until.min(if clocks_stay { minute } else { unix + 1 })
    }

    /// What the zone's clocks show, as seconds since they showed the beginning of 1970.
    fn wall_clock(&self, unix: i64) -> i64 {
        unix.saturating_add(self.offset(unix))
    }

    /// Seconds by which the zone is ahead of UTC. Outside the years that jiff supports (-9999 to 9999)
    /// nothing changes any more.
    fn offset(&self, unix: i64) -> i64 {
        let end = if unix < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.zone.to_offset(Timestamp::from_second(unix).unwrap_or(end)).seconds().into()
    }
}

/// Why text is not a time zone, a window or a point in time; each says what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Not the name of a time zone; and a similar known one.
    #[error("`{text}` is not a time zone{}", did_you_mean(.near.as_deref()))]
    Zone {
        /// What was given.
        text: String,
        /// The most similar known name.
        near: Option<String>,
    },
    /// Not in the form of a window.
    #[error("`{0}` is not a window, expected one such as `Mon-Fri 08:00-15:30`")]
    Window(String),
    /// A window without a day.
    #[error("`{0}` names no day, expected one such as `Mon`, or `daily`")]
    NoDay(String),
    /// Not a day of the week.
    #[error("`{0}` is not a day, expected one such as `Mon`")]
    Day(String),
    /// Not a time of day.
    #[error("`{0}` is not a time of day, expected one from `00:00` to `24:00`")]
    TimeOfDay(String),
    /// A window that starts where the day ends.
    #[error("a window can't start at 24:00, only end there")]
    StartsAtMidnight,
    /// A window without length.
    #[error("`{0}` starts and ends at the same time")]
    Empty(String),
    /// Not a point in time.
    #[error(
        "`{0}` is not a time, expected one such as `2016-11-17T12:00:00+03:00`, `2016-11-17T12:00` or `2016-11-17`"
    )]
    Instant(String),
    /// The zone's clocks never show it.
    #[error("`{text}` does not exist in {zone}, the clocks skip it; give an offset, {} or {}", offsets[0], offsets[1])]
    Skipped {
        /// What was given.
        text: String,
        /// The zone.
        zone: String,
        /// The offsets before and after.
        offsets: [String; 2],
    },
    /// The zone's clocks show it twice.
    #[error("`{text}` occurs twice in {zone}; give an offset, {} or {}", offsets[0], offsets[1])]
    Twice {
        /// What was given.
        text: String,
        /// The zone.
        zone: String,
        /// The offsets before and after.
        offsets: [String; 2],
    },
}

/// A time zone by its IANA name.
///
/// # Errors
/// [`ScheduleError::Zone`], with the most similar known name if there is one.
pub fn zone(text: &str) -> Result<TimeZone, ScheduleError> {
    // Two names of the database mean "no zone was set", and would be taken for UTC.
    let unset = ["Etc/Unknown", "Factory"].iter().any(|name| name.eq_ignore_ascii_case(text));
    match TimeZoneDatabase::bundled().get(text) {
        Ok(zone) if !unset => Ok(zone),
        _ => Err(ScheduleError::Zone { text: text.to_owned(), near: nearest_zone(text) }),
    }
}

/// The zone with a similar name, or with the city of this name: people often omit the continent.
fn nearest_zone(text: &str) -> Option<String> {
    let asked = text.trim().to_ascii_lowercase().replace(' ', "_");
    let distance = |known: &str, asked: &str, most: usize| {
        Some(strsim::damerau_levenshtein(known, asked)).filter(|distance| *distance <= most)
    };
    let city = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    let asked_city = city(&asked);
    // No known name is half as long, and the comparison takes the product of the lengths.
    TimeZoneDatabase::bundled()
        .available()
        .filter(|_| (1..=64).contains(&asked.len()))
        .filter_map(|name| {
            let known = name.as_str().to_ascii_lowercase();
            let whole = distance(&known, &asked, 1 + asked.len() / 3);
            let part = distance(&city(&known), &asked_city, asked_city.len() / 3);
            let nearer = whole.into_iter().chain(part).min()?;
            Some((nearer, whole.is_none(), name.as_str().to_owned()))
        })
        .min()
        .map(|(_, _, name)| name)
}

fn did_you_mean(near: Option<&str>) -> String {
    match near {
        Some(name) => format!(" (did you mean `{name}`?)"),
        None => ", expected a name such as `Europe/Moscow`".to_owned(),
    }
}

/// Parses a window: `Mon-Fri 08:00-15:30`, `Sat,Sun 22:00-06:00`, `daily 00:00-24:00`. A day is its English
/// name or the first letters of it, at least three.
///
/// # Errors
/// [`ScheduleError`]
pub fn window(text: &str) -> Result<Window, ScheduleError> {
    let at = text.find(|c: char| c.is_ascii_digit()).unwrap_or(text.len());
    let shape = || ScheduleError::Window(text.to_owned());
    let (names, times) = text.split_at_checked(at).ok_or_else(shape)?;
    let (start, end) = times.split_once('-').ok_or_else(shape)?;
    if names.trim().is_empty() {
        return Err(ScheduleError::NoDay(text.to_owned()));
    }
    if names.trim_end() == names {
        return Err(shape());
    }
    let days = days(names.trim())?;
    let (start, end) = (time_of_day(start.trim())?, time_of_day(end.trim())?);
    if start == MIDNIGHT {
        return Err(ScheduleError::StartsAtMidnight);
    }
    if start == end {
        return Err(ScheduleError::Empty(text.to_owned()));
    }
    Ok(Window { days, start, end: if end == 0 { MIDNIGHT } else { end } })
}

fn days(text: &str) -> Result<u8, ScheduleError> {
    if text.eq_ignore_ascii_case("daily") {
        return Ok(0b111_1111);
    }
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (day(first.trim())?, day(last.trim())?);
        days |= 1 << last;
        // A range may wrap around the end of the week.
        while day != last {
            days |= 1 << day;
            day = (day + 1) % 7;
        }
    }
    Ok(days)
}

fn day(text: &str) -> Result<usize, ScheduleError> {
    let lower = text.to_ascii_lowercase();
    DAYS.iter()
        .position(|day| lower.len() >= 3 && day.starts_with(&lower))
        .ok_or_else(|| ScheduleError::Day(text.to_owned()))
}

fn time_of_day(text: &str) -> Result<u16, ScheduleError> {
    let number = |text: &str, most: u16| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number <= most)
    };
    let read = || {
        let (hour, minute) = text.split_once(':').filter(|(h, m)| h.len() <= 2 && m.len() == 2)?;
        let minutes = number(hour, 24)? * 60 + number(minute, 59)?;
        Some(minutes).filter(|minutes| *minutes <= MIDNIGHT)
    };
    read().ok_or_else(|| ScheduleError::TimeOfDay(text.to_owned()))
}

/// A point in time: RFC 3339 with an offset (`2016-11-17T12:00:00+03:00`), or without one by the wall clock
/// of a zone (`2016-11-17T12:00`, or only a date for its midnight). Fractions of a second are dropped.
///
/// # Errors
/// [`ScheduleError`], also for a time that the zone's clocks skip or show twice.
pub fn instant(text: &str, zone: &TimeZone) -> Result<i64, ScheduleError> {
    let wrong = || ScheduleError::Instant(text.to_owned());
    let time = after_date(text).ok_or_else(wrong)?;
    // jiff ignores an offset when it reads a time without one, so this must be checked first.
    if time.contains(['+', '-', 'Z', 'z']) {
        return text.parse().map(whole_second).map_err(|_| wrong());
    }
    let civil: DateTime = text.parse().map_err(|_| wrong())?;
    let name = || zone.iana_name().unwrap_or("its time zone").to_owned();
    let offset = match zone.to_ambiguous_timestamp(civil).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, after } => {
            let offsets = [shown(before), shown(after)];
            return Err(ScheduleError::Skipped { text: text.to_owned(), zone: name(), offsets });
        }
        AmbiguousOffset::Fold { before, after } => {
            let offsets = [shown(before), shown(after)];
            return Err(ScheduleError::Twice { text: text.to_owned(), zone: name(), offsets });
        }
    };
    offset.to_timestamp(civil).map(whole_second).map_err(|_| wrong())
}

/// The text after the date and its separator, if the text conforms to RFC 3339 so far: jiff accepts other
/// forms too, in which a typo could be read as another time.
fn after_date(text: &str) -> Option<&str> {
    let (date, rest) = text.split_at_checked(10)?;
    let digits = |text: &str, pattern: &[u8]| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern).all(|(b, p)| if *p == b'0' { b.is_ascii_digit() } else { b == *p })
    };
    if !digits(date, b"0000-00-00") || rest.contains('[') {
        return None;
    }
    if rest.is_empty() {
        return Some(rest);
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    time.get(..5).filter(|minute| digits(minute, b"00:00")).map(|_| time)
}

/// The second that contains it, also before 1970.
fn whole_second(time: Timestamp) -> i64 {
    time.as_second() - i64::from(time.subsec_nanosecond() < 0)
}

/// An offset in RFC 3339 form, such as `-05:00`.
fn shown(offset: Offset) -> String {
    let sign = if offset.is_negative() { '-' } else { '+' };
    let minutes = SignedDuration::from(offset).abs().as_mins();
    format!("`{sign}{:02}:{:02}`", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Time, Weekday};
    use jiff::{Span, ToSpan};
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> i64 {
        instant(text, &TimeZone::UTC).unwrap()
    }

    fn schedule(name: &str, windows: &[&str]) -> Schedule {
        let windows = windows.iter().map(|text| window(text).unwrap()).collect();
        Schedule { zone: zone(name).unwrap(), windows, from: None, until: None }
    }

    #[test]
    fn the_wall_clock_decides() {
        for (zone, window, time, active) in [
            ("Europe/Moscow", "Mon-Fri 08:00-15:30", "2026-01-05T07:59:59+03:00", false),
            ("Europe/Moscow", "Mon-Fri 08:00-15:30", "2026-01-05T08:00:00+03:00", true),
            ("Europe/Moscow", "Mon-Fri 08:00-15:30", "2026-01-05T15:29:59+03:00", true),
            ("Europe/Moscow", "Mon-Fri 08:00-15:30", "2026-01-05T15:30:00+03:00", false),
            ("Europe/Moscow", "Mon-Fri 08:00-15:30", "2026-01-04T12:00:00+03:00", false),
            ("Asia/Kolkata", "Thu 00:00-00:01", "1970-01-01T00:00:59+05:30", true),
            ("UTC", "Wed 23:59-24:00", "1969-12-31T23:59:59Z", true),
            // A window past midnight belongs to the day on which it begins.
            ("UTC", "Sat,Sun 22:00-06:00", "2026-01-03T05:00:00Z", false),
            ("UTC", "Sat,Sun 22:00-06:00", "2026-01-03T22:00:00Z", true),
            ("UTC", "Sat,Sun 22:00-06:00", "2026-01-05T05:59:59Z", true),
            ("UTC", "Sat,Sun 22:00-06:00", "2026-01-05T06:00:00Z", false),
            ("UTC", "Sat,Sun 22:00-06:00", "2026-01-05T22:00:00Z", false),
            ("UTC", "daily 00:00-24:00", "2026-01-05T00:00:00Z", true),
            // New York, 8 March 2026: 03:00 follows 01:59.
            ("America/New_York", "Sun 01:00-02:30", "2026-03-08T01:59:59-05:00", true),
            ("America/New_York", "Sun 01:00-02:30", "2026-03-08T03:00:00-04:00", false),
            ("America/New_York", "Sun 02:00-03:00", "2026-03-08T01:59:59-05:00", false),
            ("America/New_York", "Sun 02:00-03:00", "2026-03-08T03:00:00-04:00", false),
            ("America/New_York", "Sun 02:30-04:00", "2026-03-08T03:00:00-04:00", true),
            // New York, 1 November 2026: 01:00 follows 01:59 once more.
            ("America/New_York", "Sun 01:30-02:00", "2026-11-01T01:29:59-04:00", false),
            ("America/New_York", "Sun 01:30-02:00", "2026-11-01T01:30:00-04:00", true),
            ("America/New_York", "Sun 01:30-02:00", "2026-11-01T01:00:00-05:00", false),
            ("America/New_York", "Sun 01:30-02:00", "2026-11-01T01:30:00-05:00", true),
            ("America/New_York", "Sun 01:30-02:00", "2026-11-01T02:00:00-05:00", false),
            ("America/New_York", "Sat 22:00-01:30", "2026-11-01T01:00:00-05:00", true),
            // Moscow, 26 October 2014: at 02:00 the clocks went to 01:00, and stayed on winter time.
            ("Europe/Moscow", "Sun 01:00-02:00", "2014-10-26T00:59:59+04:00", false),
            ("Europe/Moscow", "Sun 01:00-02:00", "2014-10-26T01:00:00+04:00", true),
            ("Europe/Moscow", "Sun 01:00-02:00", "2014-10-26T01:59:59+03:00", true),
            ("Europe/Moscow", "Sun 01:00-02:00", "2014-10-26T02:00:00+03:00", false),
            ("Europe/Moscow", "daily 08:00-09:00", "2015-07-01T05:00:00Z", true),
            ("Europe/Moscow", "daily 08:00-09:00", "2014-07-01T04:00:00Z", true),
            ("Europe/Moscow", "daily 08:00-09:00", "2014-07-01T05:00:00Z", false),
            // Samoa went from Thursday to Saturday; the calendar's Friday evening extends into it.
            ("Pacific/Apia", "Fri 22:00-06:00", "2011-12-31T00:00:00+14:00", true),
            ("Pacific/Apia", "Fri 00:00-24:00", "2011-12-31T00:00:00+14:00", false),
            ("Pacific/Apia", "Fri 00:00-24:00", "2011-12-29T23:59:59-10:00", false),
        ] {
            assert_eq!(schedule(zone, &[window]).is_active(at(time)), active, "{zone} {window} {time}");
        }
    }

    #[test]
    fn bounds_are_exact() {
        let bounded = |windows: &[&str], from: Option<i64>, until: Option<i64>| Schedule {
            from,
            until,
            ..schedule("UTC", windows)
        };
        let never = i64::MAX;
        for (windows, from, until, time, active, steady) in [
            (&[][..], None, None, 0, true, never),
            (&[], Some(10), None, 9, false, 10),
            (&[], Some(10), None, 10, true, never),
            (&[], None, Some(20), 19, true, 20),
            (&[], None, Some(20), 20, false, never),
            (&[], Some(10), Some(20), i64::MIN, false, 10),
            (&[], Some(10), Some(20), 10, true, 20),
            (&[], Some(20), Some(10), 5, false, never),
            (&[], Some(20), Some(10), 15, false, never),
            (&[], None, None, i64::MAX, true, never),
            (&["daily 00:00-24:00"], None, None, 0, true, 60),
            (&["daily 00:00-24:00"], None, None, -1, true, 0),
            (&["daily 00:00-24:00"], None, Some(100), 61, true, 100),
            (&["daily 00:00-24:00"], Some(100), None, 61, false, 100),
            (&["daily 00:00-24:00"], Some(100), None, 100, true, 120),
            (&["daily 00:01-24:00"], None, Some(200), 59, false, 60),
            (&["daily 00:00-24:00"], None, None, i64::MAX - 1, true, never),
            (&["daily 00:00-24:00"], None, None, i64::MAX, true, never),
        ] {
            let schedule = bounded(windows, from, until);
            let got = (schedule.is_active(time), schedule.steady_until(time));
            assert_eq!(got, (active, steady), "{windows:?} {from:?} {until:?} {time}");
        }
    }

    #[test]
    fn the_end_of_all_years_is_no_trouble() {
        let schedule = schedule("America/New_York", &["Mon 22:00-06:00"]);
        for time in [i64::MIN, i64::MIN + 1, -400_000_000_000, 400_000_000_000, i64::MAX - 1] {
            let _ = schedule.is_active(time);
            assert!(schedule.steady_until(time) > time);
        }
    }

    #[test]
    fn clocks_put_in_the_middle_of_a_minute() {
        // New York's local mean time was 4 h 56 min 2 s behind UTC; one Sunday in 1883 its clocks
        // went from 12:03:58 to 12:00:00.
        let schedule = schedule("America/New_York", &["Sun 12:03-12:04"]);
        let change = at("1883-11-18T17:00:00Z");
        for (second, active) in [(-59, false), (-58, true), (-1, true), (0, false), (179, false), (180, true)]
        {
            assert_eq!(schedule.is_active(change + second), active, "{second}");
        }
        for (second, steady) in [(-59, -58), (-58, -57), (-1, 0), (0, 60)] {
            assert_eq!(schedule.steady_until(change + second), change + steady, "{second}");
        }
    }

    #[test]
    fn zones_have_iana_names() {
        for name in ["Europe/Moscow", "europe/moscow", "UTC", "Etc/UTC", "America/Argentina/Buenos_Aires"] {
            assert!(zone(name).is_ok(), "{name}");
        }
        for (text, error) in [
            ("Europe/Moscov", "`Europe/Moscov` is not a time zone (did you mean `Europe/Moscow`?)"),
            ("Russia/Moscow", "`Russia/Moscow` is not a time zone (did you mean `Europe/Moscow`?)"),
            ("Moscow", "`Moscow` is not a time zone (did you mean `Europe/Moscow`?)"),
            ("new york", "`new york` is not a time zone (did you mean `America/New_York`?)"),
            (
                "Buenos Aires",
                "`Buenos Aires` is not a time zone (did you mean `America/Argentina/Buenos_Aires`?)",
            ),
            ("+03:00", "`+03:00` is not a time zone, expected a name such as `Europe/Moscow`"),
            ("", "`` is not a time zone, expected a name such as `Europe/Moscow`"),
            (
                "no such place at all",
                "`no such place at all` is not a time zone, expected a name such as `Europe/Moscow`",
            ),
        ] {
            assert_eq!(zone(text).unwrap_err().to_string(), error);
        }
        for text in ["etc/unknown", "Factory", " Europe/Moscow", "../UTC", "MSK", &*"x".repeat(100_000)] {
            assert!(zone(text).is_err(), "{text}");
        }
    }

    #[test]
    fn windows_are_read() {
        for (text, days, start, end) in [
            ("Mon-Fri 08:00-15:30", 0b001_1111, 480, 930),
            ("Sat,Sun 22:00-06:00", 0b110_0000, 1320, 360),
            ("daily 00:00-24:00", 0b111_1111, 0, 1440),
            ("DAILY 00:00-24:00", 0b111_1111, 0, 1440),
            ("Fri-Mon 9:00-10:00", 0b111_0001, 540, 600),
            ("thurs 09:00-10:00", 0b000_1000, 540, 600),
            ("Wednesday, MON-tue,wed 09:00-10:00", 0b000_0111, 540, 600),
            ("sun-sun 00:00-00:01", 0b100_0000, 0, 1),
            ("Mon - Wed  08:00 - 09:00", 0b000_0111, 480, 540),
            ("Mon 22:00-00:00", 0b000_0001, 1320, 1440),
            ("Sun-Sat 23:59-00:01", 0b111_1111, 1439, 1),
        ] {
            assert_eq!(window(text), Ok(Window { days, start, end }), "{text}");
        }
    }

    #[test]
    fn windows_are_refused_with_the_reason() {
        for (text, error) in [
            ("", "`` is not a window, expected one such as `Mon-Fri 08:00-15:30`"),
            ("Mon", "`Mon` is not a window, expected one such as `Mon-Fri 08:00-15:30`"),
            ("Mon 08:00", "`Mon 08:00` is not a window, expected one such as `Mon-Fri 08:00-15:30`"),
            (
                "Mon08:00-09:00",
                "`Mon08:00-09:00` is not a window, expected one such as `Mon-Fri 08:00-15:30`",
            ),
            ("08:00-09:00", "`08:00-09:00` names no day, expected one such as `Mon`, or `daily`"),
            ("Mo 08:00-09:00", "`Mo` is not a day, expected one such as `Mon`"),
            ("Mondays 08:00-09:00", "`Mondays` is not a day, expected one such as `Mon`"),
            ("Mon, 08:00-09:00", "`` is not a day, expected one such as `Mon`"),
            ("Mon-Wed-Fri 08:00-09:00", "`Wed-Fri` is not a day, expected one such as `Mon`"),
            ("Mon,daily 08:00-09:00", "`daily` is not a day, expected one such as `Mon`"),
            ("Пн 08:00-09:00", "`Пн` is not a day, expected one such as `Mon`"),
            ("Mon 25:00-09:00", "`25:00` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 08:00-09:60", "`09:60` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 08:00-24:01", "`24:01` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 08:00-9", "`9` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 08:00-9:5", "`9:5` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 08:00-:30", "`:30` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 8:00-+9:00", "`+9:00` is not a time of day, expected one from `00:00` to `24:00`"),
            ("Mon 08:00-09:00:00", "`09:00:00` is not a time of day, expected one from `00:00` to `24:00`"),
            (
                "Mon 08:00-09:00-10:00",
                "`09:00-10:00` is not a time of day, expected one from `00:00` to `24:00`",
            ),
            ("Mon 24:00-06:00", "a window can't start at 24:00, only end there"),
            ("Mon 08:00-8:00", "`Mon 08:00-8:00` starts and ends at the same time"),
            ("daily 00:00-00:00", "`daily 00:00-00:00` starts and ends at the same time"),
        ] {
            assert_eq!(window(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn instants_are_read() {
        for (text, zone_name, expected) in [
            ("2016-11-17T12:00:00+03:00", "UTC", "2016-11-17T09:00:00Z"),
            ("2016-11-17T12:00:00Z", "Europe/Moscow", "2016-11-17T12:00:00Z"),
            ("2016-11-17t12:00:00z", "Europe/Moscow", "2016-11-17T12:00:00Z"),
            ("2016-11-17 12:00-05:00", "Europe/Moscow", "2016-11-17T17:00:00Z"),
            ("2016-11-17T12:00", "Europe/Moscow", "2016-11-17T09:00:00Z"),
            ("2016-11-17T12:00:30.75", "Europe/Moscow", "2016-11-17T09:00:30Z"),
            ("1969-12-31T23:59:58.5Z", "UTC", "1969-12-31T23:59:58Z"),
            ("2016-11-17", "Europe/Moscow", "2016-11-16T21:00:00Z"),
            ("2026-07-01", "America/New_York", "2026-07-01T04:00:00Z"),
            ("2026-11-01T01:30:00-04:00", "America/New_York", "2026-11-01T05:30:00Z"),
        ] {
            assert_eq!(instant(text, &zone(zone_name).unwrap()), Ok(at(expected)), "{text}");
        }
        assert_eq!(at("2016-11-17T09:00:00Z"), 1_479_373_200);
    }

    #[test]
    fn instants_are_refused_with_the_reason() {
        for (text, zone_name, error) in [
            (
                "2026-03-08T02:30",
                "America/New_York",
                "`2026-03-08T02:30` does not exist in America/New_York, the clocks skip it; give an offset, `-05:00` or `-04:00`",
            ),
            (
                "2026-11-01T01:30",
                "America/New_York",
                "`2026-11-01T01:30` occurs twice in America/New_York; give an offset, `-04:00` or `-05:00`",
            ),
            (
                "2014-10-26T01:00",
                "Europe/Moscow",
                "`2014-10-26T01:00` occurs twice in Europe/Moscow; give an offset, `+04:00` or `+03:00`",
            ),
            (
                "2011-12-30",
                "Pacific/Apia",
                "`2011-12-30` does not exist in Pacific/Apia, the clocks skip it; give an offset, `-10:00` or `+14:00`",
            ),
            (
                "2018-11-04",
                "America/Sao_Paulo",
                "`2018-11-04` does not exist in America/Sao_Paulo, the clocks skip it; give an offset, `-03:00` or `-02:00`",
            ),
        ] {
            assert_eq!(instant(text, &zone(zone_name).unwrap()).unwrap_err().to_string(), error);
        }
        for text in [
            "",
            "tomorrow",
            "2016-11-31",
            "2016-11",
            "20161117",
            "2016-11-17T",
            "2016-11-17T12",
            "2016-11-17T1200",
            "2016-11-17T25:00",
            "2016-11-17T24:00",
            "2016-11-17T12:00:61",
            "2016-11-17T12:00+25:99",
            "2016-11-17T12:00 ",
            "2016-11-17Z",
            "2016-11-17+03:00",
            "2016-11-17T12:00[Europe/Moscow]",
            "2016-11-17T12:00+03:00[America/New_York]",
            "+02016-11-17",
            "17.11.2016",
            "2016-11-1\u{661}T12:00",
        ] {
            let error = instant(text, &TimeZone::UTC).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a time, expected")), "{error}");
        }
    }

    const ZONES: [&str; 6] = [
        "Europe/Moscow",
        "America/New_York",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "America/Sao_Paulo",
    ];

    /// The absolute stretches of time in which a window is open, near a time: each date's window is applied
    /// to each stretch between two clock changes, in which the offset is constant.
    fn stretches(zone: &TimeZone, window: Window, near: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let span = |days: i64| Span::new().hours(days * 24);
        let (begin, end) = (near - span(3), near + span(3));
        let mut changes = vec![(begin, zone.to_offset(begin))];
        changes.extend(zone.following(begin).map(|c| (c.timestamp(), c.offset())).take_while(|c| c.0 < end));
        let mut open = Vec::new();
        for (i, (from, offset)) in changes.iter().enumerate() {
            let to = changes.get(i + 1).map_or(end, |next| next.0);
            for days in -4..=4 {
                let date = zone.to_datetime(near).date() + days.days();
                if window.days >> (date.weekday().to_monday_zero_offset()) & 1 == 0 {
                    continue;
                }
                let midnight = date.to_datetime(Time::midnight());
                let opens = midnight + i64::from(window.start).minutes();
                let next = i64::from(window.end <= window.start).days();
                let closes = midnight + next + i64::from(window.end).minutes();
                let opens = offset.to_timestamp(opens).unwrap().max(*from);
                let closes = offset.to_timestamp(closes).unwrap().min(to);
                if opens < closes {
                    open.push((opens, closes));
                }
            }
        }
        open
    }

    fn any_window() -> impl Strategy<Value = Window> {
        (0..128u8, 0..48u16, 1..=48u16).prop_map(|(days, start, end)| Window {
            days,
            start: start * 30,
            end: end * 30,
        })
    }

    /// A time near a clock change between 2010 and 2030, or anywhere in these years.
    fn any_time(zone: &TimeZone) -> impl Strategy<Value = i64> + use<> {
        let (begin, end) = (at("2010-01-01"), at("2031-01-01"));
        let changes = zone.following(Timestamp::from_second(begin).unwrap());
        let mut near: Vec<i64> =
            changes.map(|c| c.timestamp().as_second()).take_while(|c| *c < end).collect();
        near.push(at("2020-02-28"));
        let half_hours = prop_oneof![-4..=4i64, -100..=100i64];
        let near = (prop::sample::select(near), half_hours, -1..=1i64).prop_map(|(t, h, s)| t + h * 1800 + s);
        prop_oneof![4 => near, 1 => begin..end]
    }

    fn any_schedule() -> impl Strategy<Value = (Schedule, Vec<i64>)> {
        let windows = prop::collection::vec(any_window(), 1..4);
        (prop::sample::select(&ZONES[..]), windows).prop_flat_map(|(name, windows)| {
            let schedule = Schedule { zone: zone(name).unwrap(), windows, from: None, until: None };
            let times = prop::collection::vec(any_time(&schedule.zone), 1..20);
            (Just(schedule), times)
        })
    }

    proptest! {
        #[test]
        fn agrees_with_stretches_of_absolute_time((schedule, times) in any_schedule()) {
            for unix in times {
                let time = Timestamp::from_second(unix).unwrap();
                let mut stretches = schedule.windows.iter().flat_map(|w| stretches(&schedule.zone, *w, time));
                let expected = stretches.any(|(opens, closes)| opens <= time && time < closes);
                prop_assert_eq!(schedule.is_active(unix), expected, "{}", time);
            }
        }

        #[test]
        fn the_result_is_steady_until_the_stated_time(
            (schedule, times) in any_schedule(),
            bounds in (prop::option::of(-90..90i64), prop::option::of(-90..90i64)),
        ) {
            for unix in times {
                let schedule = Schedule {
                    from: bounds.0.map(|b| unix + b),
                    until: bounds.1.map(|b| unix + b),
                    ..schedule.clone()
                };
                let steady = schedule.steady_until(unix);
                prop_assert!(steady > unix);
                for t in unix..steady.min(unix + 200) {
                    prop_assert_eq!(schedule.is_active(t), schedule.is_active(unix), "{} {}", unix, t);
                }
            }
        }

        #[test]
        fn it_is_steady_also_with_offsets_of_odd_seconds(
            name in prop::sample::select(vec!["Africa/Monrovia", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata"]),
            windows in prop::collection::vec((0..128u8, 0..1440u16, 1..=1440u16), 1..4),
            change in 0..40usize,
            second in -200..200i64,
        ) {
            let windows = windows.into_iter().map(|(days, start, end)| Window { days, start, end }).collect();
            let schedule = Schedule { zone: zone(name).unwrap(), windows, from: None, until: None };
            let begin = Timestamp::from_second(at("1850-01-01")).unwrap();
            let change = schedule.zone.following(begin).nth(change).map_or(0, |c| c.timestamp().as_second());
            let unix = change + second;
            let steady = schedule.steady_until(unix);
            prop_assert!(unix < steady && steady <= unix + 60);
            for t in unix..steady {
                prop_assert_eq!(schedule.is_active(t), schedule.is_active(unix), "{} {}", unix, t);
            }
        }

        #[test]
        fn a_written_window_is_the_window(days in 1..128u8, start in 0..1440u16, end in 1..=1440u16) {
            prop_assume!(start != end);
            let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
            let names: Vec<&str> = (0..7).filter(|d| days >> d & 1 == 1).map(|d| names[d]).collect();
            let time = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
            let text = format!("{} {}-{}", names.join(","), time(start), time(end));
            prop_assert_eq!(window(&text), Ok(Window { days, start, end }));
        }

        #[test]
        fn no_text_is_too_much(text in "\\PC{0,30}", like in "[0-9TZ:+ -]{8,26}") {
            for text in [text, like] {
                let _ = (window(&text), zone(&text), instant(&text, &TimeZone::UTC));
            }
        }
    }

    #[test]
    fn the_week_of_the_bits_is_the_calendars() {
        for (weekday, bit) in [(Weekday::Monday, 0), (Weekday::Sunday, 6)] {
            assert_eq!(weekday.to_monday_zero_offset(), bit);
        }
    }
}
