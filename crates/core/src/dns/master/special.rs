//! Data with presentation formats of its own: LOC, APL, WKS, gateways, HIP, and a few rare types.

use std::net::Ipv6Addr;

use super::token::{Problem, shown};
use super::value;
use super::words::{Words, cut, put, take_name, take_rest};

/// How a kind of data is read from text, and how its octets are checked.
#[derive(Debug)]
pub(crate) struct Special {
    /// Reads the words and appends the octets.
    pub(crate) read: fn(&mut Words<'_>, &mut Vec<u8>) -> Result<(), Problem>,
    /// Takes the octets off the front of the data; `None` if they are not valid.
    pub(crate) take: fn(&mut &[u8]) -> Option<()>,
}

//--- LOC (RFC 1876 §3) --------------------------------------------------------------------------------

/// Latitude, longitude, altitude, and their precision.
pub(crate) static LOC: Special = Special { read: read_loc, take: take_loc };

/// The equator and the prime meridian, in thousandths of a second of arc.
const MIDDLE: u32 = 1 << 31;

fn read_loc(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let latitude = angle(words, 90, b'N', b'S')?;
    let longitude = angle(words, 180, b'E', b'W')?;
    let height = words.value("a height in metres", |text| {
        // From 100,000 m below the ellipsoid, in centimetres.
        let value = metres(text).map(|cm| cm + 10_000_000);
        let value = value.and_then(|cm| u32::try_from(cm).ok());
        value.ok_or_else(|| format!("`{}` is not a height from -100000.00m to 42849672.95m", shown(text)))
    })?;
    out.push(0);
    // Size, horizontal and vertical precision default to 1 m, 10 km and 10 m.
    for default in [0x12, 0x16, 0x13] {
        let octet =
            if words.peek().is_some() { words.value("a size in metres", precision)? } else { default };
        out.push(octet);
    }
    for value in [latitude, longitude, height] {
        out.extend(value.to_be_bytes());
    }
    Ok(())
}

fn angle(words: &mut Words<'_>, most: u32, plus: u8, minus: u8) -> Result<u32, Problem> {
    let what = format!("degrees, minutes and seconds, then {} or {}", char::from(plus), char::from(minus));
    let mut parts: Vec<u32> = Vec::new();
    loop {
        let text = words.bare(&what)?;
        let wrong = || words.wrong(format!("`{}` is not part of {what}", shown(text)));
        let sign = match text {
            [c] if c.eq_ignore_ascii_case(&plus) => Some(true),
            [c] if c.eq_ignore_ascii_case(&minus) => Some(false),
            _ => None,
        };
        if let Some(positive) = sign {
            let [degrees, minutes, milli] = [0, 1, 2].map(|i| parts.get(i).copied().unwrap_or(0));
            let value = (degrees * 60 + minutes) * 60_000 + milli;
            if parts.is_empty() || value > most * 3_600_000 {
                return Err(words.wrong(format!("the angle is not from 0 to {most} degrees")));
            }
            return Ok(if positive { MIDDLE + value } else { MIDDLE - value });
        }
        let limit = match parts.len() {
            0 => u64::from(most),
            1 => 59,
            2 => {
                let milli = decimals(text, 3).filter(|milli| *milli < 60_000).ok_or_else(wrong)?;
                parts.push(u32::try_from(milli).map_err(|_| wrong())?);
                continue;
            }
            _ => return Err(wrong()),
        };
        let number = value::number(text, limit).map_err(|_| wrong())?;
        parts.push(u32::try_from(number).map_err(|_| wrong())?);
    }
}

/// A number with up to this many decimal places, in units of the last place.
fn decimals(text: &[u8], places: usize) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let plain = |t: &str| t.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(part) || part.len() > places || whole.len() > 10 {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}

/// Metres, optionally followed by `m`, in centimetres.
fn metres(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"m").or_else(|| text.strip_suffix(b"M")).unwrap_or(text);
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = i64::try_from(decimals(text, 2)?).ok()?;
    Some(if negative { -value } else { value })
}

/// A size as one digit and a power of ten, in centimetres; a value that does not fit is refused, not
/// rounded.
fn precision(text: &[u8]) -> Result<u8, String> {
    let cm = metres(text).and_then(|cm| u64::try_from(cm).ok());
    let mut digit = cm.ok_or_else(|| format!("`{}` is not a size in metres", shown(text)))?;
    let mut power = 0u8;
    while digit > 9 && digit % 10 == 0 {
        digit /= 10;
        power += 1;
    }
    match u8::try_from(digit) {
        Ok(digit) if digit <= 9 && power <= 9 => Ok(digit << 4 | power),
        _ => Err(format!(
            "`{}` can't be kept: a size in LOC is one digit and zeros, up to 90000000m",
            shown(text)
        )),
    }
}

fn take_loc(data: &mut &[u8]) -> Option<()> {
    let loc = cut(data, 16)?.first_chunk::<16>()?;
    let [version, precisions @ .., _, _, _, _, _, _, _, _, _, _, _, _] = *loc;
    let number =
        |at: usize| loc.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).map(|b| u32::from_be_bytes(*b));
    let within = |at, most: u32| number(at).is_some_and(|v| v.abs_diff(MIDDLE) <= most * 3_600_000);
    let exact = precisions.iter().all(|b| b >> 4 <= 9 && b & 15 <= 9);
    (version == 0 && exact && within(4, 90) && within(8, 180)).then_some(())
}

//--- APL (RFC 3123) -----------------------------------------------------------------------------------

/// Networks, possibly negated.
pub(crate) static APL: Special = Special { read: read_apl, take: take_apl };

fn read_apl(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    while words.peek().is_some() {
        out.extend(words.value("a network", |text| {
            network(text).ok_or_else(|| {
                format!("`{}` is not a network such as `1:192.0.2.0/24` or `!2:2001:db8::/32`", shown(text))
            })
        })?);
    }
    Ok(())
}

fn network(text: &[u8]) -> Option<Vec<u8>> {
    let (negated, text) = match text.strip_prefix(b"!") {
        Some(rest) => (0x80, rest),
        None => (0, text),
    };
    let (family, rest) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let (address, prefix) = rest.split_once('/')?;
    let (family, octets, most) = match family {
        "1" => (1, address.parse::<std::net::Ipv4Addr>().ok()?.octets().to_vec(), 32),
        "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec(), 128),
        _ => return None,
    };
    let prefix = u8::try_from(value::number(prefix.as_bytes(), most).ok()?).ok()?;
    let used = octets.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1);
    let mut out = vec![0, family, prefix, negated | u8::try_from(used).ok()?];
    out.extend(octets.get(..used)?);
    Some(out)
}

fn take_apl(data: &mut &[u8]) -> Option<()> {
    while !data.is_empty() {
        let [f0, f1, prefix, length] = *cut(data, 4)?.first_chunk::<4>()?;
        let part = cut(data, usize::from(length & 0x7f))?;
        let (most, width) = match u16::from_be_bytes([f0, f1]) {
            1 => (32, 4),
            2 => (128, 16),
            _ => (u8::MAX, 127),
        };
        if prefix > most || part.len() > width || part.last() == Some(&0) {
            return None;
        }
    }
    Some(())
}

//--- WKS (RFC 1035 §3.4.2) ----------------------------------------------------------------------------

/// A protocol, and a bit for the port of each service.
pub(crate) static WKS: Special = Special { read: read_wks, take: |data| take_rest(data, 5) };

/// The services that are known by name; others are written as their port.
const SERVICES: [(&str, u16); 16] = [
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("domain", 53),
    ("tftp", 69),
    ("finger", 79),
    ("http", 80),
    ("pop3", 110),
    ("nntp", 119),
    ("ntp", 123),
    ("imap2", 143),
    ("snmp", 161),
    ("https", 443),
];

fn read_wks(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    words.ip4(out)?;
    let protocol = words.value("a protocol", |text| match text.to_ascii_lowercase().as_slice() {
        b"tcp" => Ok(6),
        b"udp" => Ok(17),
        _ => value::number(text, 255).map_err(|e| format!("{e}, nor tcp or udp")),
    })?;
    put(protocol, 1, out);
    let mut map: Vec<u8> = Vec::new();
    while words.peek().is_some() {
        let port = words.value("a service", |text| {
            let named = SERVICES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text));
            let number = || value::number(text, 65_535).ok().and_then(|n| u16::try_from(n).ok());
            named
                .map(|(_, port)| *port)
                .or_else(number)
                .ok_or_else(|| format!("`{}` is not a known service; write its port number", shown(text)))
        })?;
        let at = usize::from(port / 8);
        map.resize(map.len().max(at + 1), 0);
        if let Some(octet) = map.get_mut(at) {
            *octet |= 0x80 >> (port % 8);
        }
    }
    out.extend(map);
    Ok(())
}

//--- Gateways: IPSECKEY (RFC 4025 §3), AMTRELAY (RFC 8777 §4) -----------------------------------------

/// Precedence, kind of gateway, algorithm, gateway, key.
pub(crate) static IPSECKEY: Special = Special { read: read_ipseckey, take: take_ipseckey };
/// Precedence, whether discovery is optional, kind of relay, relay.
pub(crate) static AMTRELAY: Special = Special { read: read_amtrelay, take: take_amtrelay };

fn read_gateway(kind: u64, words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    match kind {
        0 => words.value("`.`", |text| {
            if text == b"." {
                Ok(())
            } else {
                Err(format!("`{}`: kind 0 is none, written as `.`", shown(text)))
            }
        }),
        1 => words.ip4(out),
        2 => words.ip6(out),
        3 => words.name(out),
        _ => Err(words.wrong(format!("{kind} is not a kind of gateway: 0 none, 1 IPv4, 2 IPv6, 3 a name"))),
    }
}

fn take_gateway(kind: u8, data: &mut &[u8]) -> Option<()> {
    match kind {
        0 => Some(()),
        1 => cut(data, 4).map(drop),
        2 => cut(data, 16).map(drop),
        3 => take_name(data),
        _ => None,
    }
}

fn read_ipseckey(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    words.number(1, out)?;
    let kind = words.number(1, out)?;
    let algorithm = words.number(1, out)?;
    read_gateway(kind, words, out)?;
    if algorithm != 0 || words.peek().is_some() {
        let key = words.joined("a key in base 64")?;
        out.extend(value::base64(&key).map_err(|e| words.wrong(e))?);
    }
    Ok(())
}

fn take_ipseckey(data: &mut &[u8]) -> Option<()> {
    let [_, kind, algorithm] = *cut(data, 3)?.first_chunk::<3>()?;
    take_gateway(kind, data)?;
    take_rest(data, usize::from(algorithm != 0))
}

fn read_amtrelay(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    words.number(1, out)?;
    let discovery = words.value("0 or 1", |text| value::number(text, 1))?;
    let kind = words.value("a kind of relay", |text| value::number(text, 127))?;
    put(discovery << 7 | kind, 1, out);
    read_gateway(kind, words, out)
}

fn take_amtrelay(data: &mut &[u8]) -> Option<()> {
    let [_, kind] = *cut(data, 2)?.first_chunk::<2>()?;
    take_gateway(kind & 0x7f, data)
}

//--- HIP (RFC 8005 §5) --------------------------------------------------------------------------------

/// Algorithm, host identity tag, key, rendezvous servers.
pub(crate) static HIP: Special = Special { read: read_hip, take: take_hip };

fn read_hip(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let algorithm = words.value("an algorithm", |text| value::number(text, 255))?;
    let tag = words.value("a tag in hexadecimal", value::hex)?;
    let key = words.value("a key in base 64", value::base64)?;
    let (Ok(tag_len), Ok(key_len)) = (u8::try_from(tag.len()), u16::try_from(key.len())) else {
        return Err(words.wrong("the tag or the key is too long"));
    };
    if tag.is_empty() || key.is_empty() {
        return Err(words.wrong("the tag or the key is empty"));
    }
    put(u64::from(tag_len), 1, out);
    put(algorithm, 1, out);
    put(u64::from(key_len), 2, out);
    out.extend(tag);
    out.extend(key);
    while words.peek().is_some() {
        words.name(out)?;
    }
    Ok(())
}

fn take_hip(data: &mut &[u8]) -> Option<()> {
    let [tag, _, k0, k1] = *cut(data, 4)?.first_chunk::<4>()?;
    let key = usize::from(u16::from_be_bytes([k0, k1]));
    if tag == 0 || key == 0 {
        return None;
    }
    cut(data, usize::from(tag) + key)?;
    while !data.is_empty() {
        take_name(data)?;
    }
    Some(())
}

//--- Addresses of other networks ----------------------------------------------------------------------

/// NSAP (RFC 1706 §4): `0x` and hexadecimal digits, dots among them.
pub(crate) static NSAP: Special = Special { read: read_nsap, take: |data| take_rest(data, 1) };
/// ATMA (af-saa-0069 §4.1.2): `+` and digits, or hexadecimal digits; dots among them.
pub(crate) static ATMA: Special = Special { read: read_atma, take: |data| take_rest(data, 2) };
/// A6 (RFC 2874 §3.1): the prefix length, the address suffix, the prefix name.
pub(crate) static A6: Special = Special { read: read_a6, take: take_a6 };

fn without_dots(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|c| *c != b'.').collect()
}

fn read_nsap(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    out.extend(words.value("an address", |text| {
        let digits = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X"));
        let octets = digits.and_then(|d| value::hex(&without_dots(d)).ok()).filter(|o| !o.is_empty());
        octets.ok_or_else(|| format!("`{}` is not `0x` and pairs of hexadecimal digits", shown(text)))
    })?);
    Ok(())
}

fn read_atma(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    out.extend(words.value("an address", |text| {
        let bad = || format!("`{}` is not `+` and digits, nor pairs of hexadecimal digits", shown(text));
        match text.strip_prefix(b"+").map(without_dots) {
            Some(digits) if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
                Ok([&[1], &digits[..]].concat())
            }
            Some(_) => Err(bad()),
            None => match value::hex(&without_dots(text)) {
                Ok(octets) if !octets.is_empty() => Ok([&[0], &octets[..]].concat()),
                _ => Err(bad()),
            },
        }
    })?);
    Ok(())
}

fn read_a6(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let prefix = words.value("a number of bits", |text| value::number(text, 128))?;
    put(prefix, 1, out);
    let prefix = u32::try_from(prefix).unwrap_or(128);
    if prefix < 128 {
        let mut address = Vec::new();
        words.ip6(&mut address)?;
        let bits = address.first_chunk::<16>().map_or(0, |octets| u128::from_be_bytes(*octets));
        if prefix > 0 && bits >> (128 - prefix) != 0 {
            return Err(
                words.wrong(format!("the first {prefix} bits of the address must be 0: the name gives them"))
            );
        }
        let skip = usize::try_from(prefix / 8).unwrap_or(0);
        out.extend(address.get(skip..).unwrap_or_default());
    }
    if prefix > 0 { words.name(out) } else { Ok(()) }
}

fn take_a6(data: &mut &[u8]) -> Option<()> {
    let prefix = *cut(data, 1)?.first()?;
    let suffix = cut(data, 16usize.checked_sub(usize::from(prefix / 8))?)?;
    let pad = suffix.first().is_none_or(|b| *b <= 0xff >> (prefix % 8));
    if prefix > 128 || !pad {
        return None;
    }
    if prefix > 0 { take_name(data) } else { Some(()) }
}

//--- DOA (draft-durand-doa-over-dns §3) ---------------------------------------------------------------

/// The data of a digital object in base 64; `-` for none.
pub(crate) static DOA_DATA: Special = Special { read: read_doa, take: |data| take_rest(data, 0) };

fn read_doa(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let text = words.joined("base 64, or `-`")?;
    if text != b"-" {
        out.extend(value::base64(&text).map_err(|e| words.wrong(e))?);
    }
    Ok(())
}
