//! From one word to one value: names, numbers, durations, times, and octets as hexadecimal or base 64.

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER_PERMISSIVE};

use super::token::{escaped, shown};
use crate::dns::name::{MAX_LABEL, Name, NameBuf};

/// The largest TTL (RFC 2181 §8).
pub(crate) const MAX_TTL: u32 = 0x7fff_ffff;

/// A name in its original case; the origin is appended if it has no final dot, and `@` is the origin
/// itself.
pub(crate) fn name(text: &[u8], origin: Name<'_>) -> Result<NameBuf, String> {
    let bad = |why: &str| format!("`{}` is not a domain name: {why}", shown(text));
    match text {
        b"@" => return Ok(origin.to_buf()),
        b"." => return Ok(Name::ROOT.to_buf()),
        _ => {}
    }
    let (mut wire, mut label, mut rest, mut absolute) = (Vec::new(), Vec::new(), text, false);
    while let Some(((octet, was_escaped), after)) = escaped(rest).map_err(|why| bad(&why))? {
        rest = after;
        absolute = octet == b'.' && !was_escaped;
        if absolute {
            close_label(&mut wire, &mut label).map_err(bad)?;
            continue;
        }
        if !octet.is_ascii() && !was_escaped {
            return Err(bad(&foreign(text)));
        }
        label.push(octet);
    }
    if absolute {
        wire.push(0);
    } else {
        close_label(&mut wire, &mut label).map_err(bad)?;
        wire.extend_from_slice(origin.as_bytes());
    }
    NameBuf::try_from(wire).map_err(|_| {
        let with = if absolute { String::new() } else { format!(" with `.{origin}` appended") };
        bad(&format!("it is longer than 255 octets{with}"))
    })
}

fn close_label(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), &'static str> {
    match u8::try_from(label.len()) {
        Ok(0) => return Err("a label is empty"),
        Ok(len) if label.len() <= MAX_LABEL => wire.push(len),
        _ => return Err("a label is longer than 63 octets"),
    }
    wire.append(label);
    Ok(())
}

/// What to write for a name that is not ASCII: its A-labels, or its octets (DNS-SD has such names).
fn foreign(text: &[u8]) -> String {
    let ascii = std::str::from_utf8(text).ok().and_then(|t| idna::domain_to_ascii(t).ok());
    let instead = ascii.map_or_else(String::new, |ascii| format!("`{ascii}`, or "));
    format!("write {instead}each octet that is not ASCII as `\\DDD`")
}

/// A number in decimal digits, from 0 to `max`.
pub(crate) fn number(text: &[u8], max: u64) -> Result<u64, String> {
    digits(text)
        .filter(|n| *n <= max)
        .ok_or_else(|| format!("`{}` is not a number from 0 to {max}", shown(text)))
}

fn digits(text: &[u8]) -> Option<u64> {
    let all = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(text).ok().filter(|_| all)?.parse().ok()
}

/// Seconds, or numbers with the units w, d, h, m, s, as in BIND: `3600`, `1h30m`.
pub(crate) fn period(text: &[u8]) -> Result<u32, String> {
    seconds(text).ok_or_else(|| {
        format!(
            "`{}` is not a number of seconds up to {}, nor a duration such as `1h30m`",
            shown(text),
            u32::MAX
        )
    })
}

/// A time to live.
pub(crate) fn ttl(text: &[u8]) -> Result<u32, String> {
    seconds(text).filter(|ttl| *ttl <= MAX_TTL).ok_or_else(|| {
        format!(
            "`{}` is not a TTL: expected seconds up to {MAX_TTL}, or a duration such as `1h30m`",
            shown(text)
        )
    })
}

fn seconds(text: &[u8]) -> Option<u32> {
    if let Some(plain) = digits(text) {
        return u32::try_from(plain).ok();
    }
    let (mut total, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let unit = rest.iter().position(|c| !c.is_ascii_digit())?;
        let (count, after) = rest.split_at_checked(unit)?;
        let (unit, after) = after.split_first()?;
        let factor = match unit.to_ascii_lowercase() {
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        total = total.checked_add(digits(count)?.checked_mul(factor)?)?;
        rest = after;
    }
    u32::try_from(total).ok().filter(|_| !text.is_empty())
}

/// A time of a signature: `YYYYMMDDHHMMSS` in UTC, or seconds since 1970 (RFC 4034 §3.2), modulo 2^32.
pub(crate) fn time(text: &[u8]) -> Result<u32, String> {
    let bad = || format!("`{}` is not a time as YYYYMMDDHHMMSS, nor seconds since 1970", shown(text));
    if text.len() <= 10 {
        return digits(text).and_then(|n| u32::try_from(n).ok()).ok_or_else(bad);
    }
    calendar(text).ok_or_else(bad)
}

fn calendar(text: &[u8]) -> Option<u32> {
    let part = |from: usize, to: usize| digits(text.get(from..to)?);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let index = usize::try_from(month.checked_sub(1)?).ok()?;
    let valid = text.len() == 14
        && year >= 1970
        && (1..=*lengths.get(index)?).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    // Leap years from the year 0 to before this one, less those before 1970.
    let leaps = |y: u64| y / 4 - y / 100 + y / 400;
    let days =
        (year - 1970) * 365 + leaps(year - 1) - leaps(1969) + lengths.iter().take(index).sum::<u64>() + day
            - 1;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    // RFC 1982 arithmetic: the time is stored modulo 2^32.
    u32::try_from(seconds & u64::from(u32::MAX)).ok()
}

/// Octets from pairs of hexadecimal digits.
pub(crate) fn hex(text: &[u8]) -> Result<Vec<u8>, String> {
    HEXUPPER_PERMISSIVE.decode(text).map_err(|_| {
        format!("`{}` is not hexadecimal: expected pairs of digits 0 to 9 and a to f", shown(text))
    })
}

/// Octets from base 64, padded (RFC 4648 §4).
pub(crate) fn base64(text: &[u8]) -> Result<Vec<u8>, String> {
    BASE64.decode(text).map_err(|_| format!("`{}` is not complete base 64 (RFC 4648 §4)", shown(text)))
}

/// Octets from base 32 with the extended hex alphabet, unpadded (RFC 5155 §3.3).
pub(crate) fn base32hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let upper = text.to_ascii_uppercase();
    BASE32HEX_NOPAD
        .decode(&upper)
        .map_err(|_| format!("`{}` is not base 32 with the digits 0 to 9 and a to v", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_case_and_are_completed() {
        let origin = name(b"Example.org.", Name::ROOT).unwrap();
        for (text, expected) in [
            ("@", "Example.org"),
            (".", "."),
            ("WWW", "WWW.Example.org"),
            ("a.b.", "a.b"),
            (r"\@", r"\@.Example.org"),
            (r"a\.b\065.", r"a\.bA"),
            (r"a.\.", r"a.\..Example.org"),
            (r"b\195\188.", r"b\195\188"),
        ] {
            let read = name(text.as_bytes(), origin.as_name()).map(|n| n.to_string());
            assert_eq!(read.as_deref(), Ok(expected), "{text}");
        }
        for (text, why) in [
            ("", "a label is empty"),
            ("a..b", "a label is empty"),
            (".a", "a label is empty"),
            (&*"x".repeat(64), "a label is longer than 63 octets"),
            (&*"x.".repeat(128), "it is longer than 255 octets"),
            (&"x.".repeat(125)[..249], "it is longer than 255 octets with `.Example.org` appended"),
            ("bücher", "write `xn--bcher-kva`, or each octet that is not ASCII as `\\DDD`"),
            ("a\\", "the backslash at the end has nothing after it"),
        ] {
            let read = name(text.as_bytes(), origin.as_name()).map(|n| n.to_string());
            assert!(read.as_ref().is_err_and(|e| e.ends_with(why)), "{text}: {read:?}");
        }
    }

    #[test]
    fn numbers_durations_and_times_are_read() {
        for (text, expected) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("1h30M", Some(5400)),
            ("2w1d1s", Some(1_296_001)),
            ("1h30", None),
            ("h", None),
            ("", None),
            ("-1", None),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("7102w", None),
        ] {
            assert_eq!(period(text.as_bytes()).ok(), expected, "{text}");
        }
        assert_eq!(ttl(b"2147483648").ok(), None);
        for (text, expected) in [
            ("19700101000000", Some(0)),
            ("20000229235959", Some(951_868_799)),
            ("20260301000000", Some(1_772_323_200)),
            // 2^32 seconds after 1970: the time wraps around.
            ("21060207062816", Some(0)),
            ("1772323200", Some(1_772_323_200)),
            ("20230229000000", None),
            ("20231301000000", None),
            ("19691231235959", None),
            ("202301010000", None),
            ("4294967296", None),
        ] {
            assert_eq!(time(text.as_bytes()).ok(), expected, "{text}");
        }
    }
}
