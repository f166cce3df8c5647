//! RDATA from presentation format (RFC 1035 §5.1), for records in rules.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::name::{Name, NameBuf, NameError};
use super::types::Qtype;

/// Why text is not the data of a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RdataError {
    /// Not an IPv4 address.
    #[error("`{0}` is not an IPv4 address")]
    Ipv4(String),
    /// Not an IPv6 address.
    #[error("`{0}` is not an IPv6 address")]
    Ipv6(String),
    /// Not a name.
    #[error("`{0}` is not a name: {1}")]
    Name(String, NameError),
    /// Not a number, or one that does not fit this many bits.
    #[error("`{0}` is not a number of {1} bits")]
    Number(String, usize),
    /// A type that takes one value has none or several.
    #[error("{0} takes one value")]
    OneValue(Qtype),
    /// Not the fields of the type.
    #[error("not the fields of {0}")]
    Fields(Qtype),
    /// A type without a presentation format here.
    #[error("records of type {0} are written as \\# LENGTH HEX here (RFC 3597)")]
    Generic(Qtype),
    /// Data in the form of RFC 3597 is not hexadecimal.
    #[error("not hexadecimal")]
    Hex,
    /// Data in the format of RFC 3597 whose length differs from the stated one.
    #[error("the length differs from the stated one")]
    Length,
    /// The tag of a CAA record is longer than 255 octets.
    #[error("the tag is too long")]
    Tag,
    /// Not a parameter of a service binding (RFC 9460).
    #[error("`{0}` is not a parameter")]
    Parameter(String),
    /// A parameter that is known, but not supported.
    #[error("the parameter `{0}` is not supported")]
    Unsupported(&'static str),
    /// A parameter that is given twice.
    #[error("a parameter is given twice")]
    Twice,
    /// The value of a parameter is longer than 65,535 octets, or a protocol in it longer than 255.
    #[error("a parameter is too long")]
    TooLong,
    /// A backslash that is not followed by a character or three digits up to 255.
    #[error("a backslash must be followed by a character or by three digits up to 255")]
    Escape,
    /// A quote that is not closed.
    #[error("a quote is not closed")]
    Quote,
}

/// RDATA in wire format from text; names are uncompressed. `origin` is appended to a name without a final
/// dot.
///
/// # Errors
/// [`RdataError`]
pub fn from_text(rtype: Qtype, text: &str, origin: Name<'_>) -> Result<Vec<u8>, RdataError> {
    let words = words(text)?;
    let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
    if let ["\\#", len, hex @ ..] = &texts[..] {
        return generic(len, &hex.concat());
    }
    match (rtype, &texts[..]) {
        (Qtype::A, [a]) => {
            a.parse::<Ipv4Addr>().map(|a| a.octets().to_vec()).map_err(|_| RdataError::Ipv4((*a).to_owned()))
        }
        (Qtype::AAAA, [a]) => {
            a.parse::<Ipv6Addr>().map(|a| a.octets().to_vec()).map_err(|_| RdataError::Ipv6((*a).to_owned()))
        }
        (Qtype::NS | Qtype::CNAME | Qtype::PTR | Qtype::DNAME, [target]) => name(target, origin),
        (Qtype::MX, [preference, host]) => Ok([&number::<2>(preference)?[..], &name(host, origin)?].concat()),
        (Qtype::SRV, [priority, weight, port, target]) => Ok([
            &number::<2>(priority)?[..],
            &number::<2>(weight)?,
            &number::<2>(port)?,
            &name(target, origin)?,
        ]
        .concat()),
        (Qtype::SOA, [primary, mailbox, numbers @ ..]) if numbers.len() == 5 => {
            let mut out = [name(primary, origin)?, name(mailbox, origin)?].concat();
            for text in numbers {
                out.extend(number::<4>(text)?);
            }
            Ok(out)
        }
        (Qtype::TXT | Qtype::SPF, [_, ..]) => {
            let mut out = Vec::new();
            for word in &words {
                // A text of over 255 octets becomes several strings (RFC 1035 §3.3.14).
                let chunks = word.octets.chunks(255).chain(word.octets.is_empty().then_some(&[][..]));
                for chunk in chunks {
                    out.push(u8::try_from(chunk.len()).unwrap_or(u8::MAX));
                    out.extend_from_slice(chunk);
                }
            }
            Ok(out)
        }
        (Qtype::CAA, [flags, tag, value]) => {
            let tag_len = u8::try_from(tag.len()).map_err(|_| RdataError::Tag)?;
            Ok([&number::<1>(flags)?[..], &[tag_len], tag.as_bytes(), value.as_bytes()].concat())
        }
        (Qtype::SVCB | Qtype::HTTPS, [priority, target, params @ ..]) => {
            let mut out = number::<2>(priority)?.to_vec();
            out.extend(name(target, origin)?);
            let mut params = params.iter().map(|p| param(p)).collect::<Result<Vec<_>, _>>()?;
            // Sorted by key, each once (RFC 9460 §2.2).
            params.sort_by_key(|(key, _)| *key);
            if params.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
                return Err(RdataError::Twice);
            }
            for (key, value) in params {
                out.extend(key.to_be_bytes());
                out.extend(u16::try_from(value.len()).map_err(|_| RdataError::TooLong)?.to_be_bytes());
                out.extend(value);
            }
            Ok(out)
        }
        (Qtype::A | Qtype::AAAA | Qtype::CNAME | Qtype::PTR | Qtype::NS | Qtype::DNAME, _) => {
            Err(RdataError::OneValue(rtype))
        }
        (Qtype::MX | Qtype::SOA | Qtype::SRV | Qtype::TXT | Qtype::CAA | Qtype::SVCB | Qtype::HTTPS, _) => {
            Err(RdataError::Fields(rtype))
        }
        _ => Err(RdataError::Generic(rtype)),
    }
}

fn name(text: &str, origin: Name<'_>) -> Result<Vec<u8>, RdataError> {
    let bad = |e| RdataError::Name(text.to_owned(), e);
    if text == "@" {
        return Ok(origin.as_bytes().to_vec());
    }
    let relative = NameBuf::from_text(text).map_err(bad)?;
    if text.ends_with('.') {
        return Ok(relative.as_bytes().to_vec());
    }
    let mut wire = relative.as_bytes().to_vec();
    wire.pop();
    wire.extend_from_slice(origin.as_bytes());
    Name::parse(&wire).map_err(bad)?;
    Ok(wire)
}

/// A number as `N` octets, network order.
fn number<const N: usize>(text: &str) -> Result<[u8; N], RdataError> {
    let bad = || RdataError::Number(text.to_owned(), N * 8);
    let value: u32 = text.parse().map_err(|_| bad())?;
    let [high @ .., _, _] = value.to_be_bytes();
    let bytes = value.to_be_bytes();
    if N < 4 && (value >> (8 * N)) != 0 || N == 2 && high != [0, 0] {
        return Err(bad());
    }
    bytes.last_chunk::<N>().copied().ok_or_else(bad)
}

fn generic(len: &str, hex: &str) -> Result<Vec<u8>, RdataError> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits.ok_or(RdataError::Hex)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    let out: Vec<u8> = pairs.iter().map(|[a, b]| a << 4 | b).collect();
    if rest.is_empty() && len.parse() == Ok(out.len()) { Ok(out) } else { Err(RdataError::Length) }
}

/// One `key=value` of a service binding (RFC 9460 §2.1): key and wire value.
fn param(text: &str) -> Result<(u16, Vec<u8>), RdataError> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let list = || value.split(',').filter(|v| !v.is_empty());
    match key {
        "mandatory" => {
            let mut keys = list().map(key_number).collect::<Result<Vec<_>, _>>()?;
            keys.sort_unstable();
            Ok((0, keys.into_iter().flat_map(u16::to_be_bytes).collect()))
        }
        "alpn" => {
            let mut out = Vec::new();
            for id in list() {
                out.push(u8::try_from(id.len()).map_err(|_| RdataError::TooLong)?);
                out.extend_from_slice(id.as_bytes());
            }
            Ok((1, out))
        }
        "no-default-alpn" => Ok((2, Vec::new())),
        "port" => Ok((3, number::<2>(value)?.to_vec())),
        "ipv4hint" => {
            let read = |a: &str| a.parse::<Ipv4Addr>().map_err(|_| RdataError::Ipv4(a.to_owned()));
            let all = list().map(read).collect::<Result<Vec<_>, _>>()?;
            Ok((4, all.iter().flat_map(Ipv4Addr::octets).collect()))
        }
        "ipv6hint" => {
            let read = |a: &str| a.parse::<Ipv6Addr>().map_err(|_| RdataError::Ipv6(a.to_owned()));
            let all = list().map(read).collect::<Result<Vec<_>, _>>()?;
            Ok((6, all.iter().flat_map(Ipv6Addr::octets).collect()))
        }
        "dohpath" => Ok((7, value.as_bytes().to_vec())),
        other => Ok((key_number(other)?, value.as_bytes().to_vec())),
    }
}

/// The data of an HTTPS or SVCB record as text that [`from_text`] reads back; `None` if it would not.
#[must_use]
pub fn binding_text(rtype: Qtype, data: &[u8]) -> Option<String> {
    let (&priority, rest) = data.split_first_chunk::<2>()?;
    let target = Name::parse(rest).ok()?;
    let mut text = format!("{} {}", u16::from_be_bytes(priority), target.dotted());
    let mut rest = rest.get(target.as_bytes().len()..)?;
    while let Some((&[k0, k1, l0, l1], tail)) = rest.split_first_chunk::<4>() {
        let key = u16::from_be_bytes([k0, k1]);
        let (value, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes([l0, l1])))?;
        rest = tail;
        text.push(' ');
        text.push_str(&key_text(key));
        if key == 2 {
            continue;
        }
        text.push('=');
        text.push_str(&value_text(key, value)?);
    }
    (from_text(rtype, &text, Name::ROOT).as_deref() == Ok(data)).then_some(text)
}

fn value_text(key: u16, value: &[u8]) -> Option<String> {
    let list = match key {
        0 => value.as_chunks::<2>().0.iter().map(|k| key_text(u16::from_be_bytes(*k))).collect(),
        1 => {
            let (mut all, mut rest) = (Vec::new(), value);
            while let Some((&len, tail)) = rest.split_first() {
                let (id, tail) = tail.split_at_checked(usize::from(len))?;
                all.push(std::str::from_utf8(id).ok()?.to_owned());
                rest = tail;
            }
            all
        }
        3 => vec![u16::from_be_bytes(value.try_into().ok()?).to_string()],
        4 => value.as_chunks::<4>().0.iter().map(|a| Ipv4Addr::from(*a).to_string()).collect(),
        6 => value.as_chunks::<16>().0.iter().map(|a| Ipv6Addr::from(*a).to_string()).collect(),
        _ => vec![std::str::from_utf8(value).ok().filter(|v| !v.contains(char::is_control))?.to_owned()],
    };
    Some(list.join(","))
}

fn key_text(key: u16) -> String {
    KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).to_owned())
}

/// The names of the parameters by key from 0 (RFC 9460 §14.3.2, RFC 9461 §7).
const KEYS: [&str; 8] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"];

fn key_number(key: &str) -> Result<u16, RdataError> {
    if key == "ech" {
        return Err(RdataError::Unsupported("ech"));
    }
    match (KEYS.iter().zip(0u16..).find(|(k, _)| **k == key), key.strip_prefix("key")) {
        (Some((_, number)), _) => Ok(number),
        (None, Some(digits)) => digits.parse().map_err(|_| RdataError::Parameter(key.to_owned())),
        _ => Err(RdataError::Parameter(key.to_owned())),
    }
}

struct Word {
    /// The word as written, with escapes and without quotes.
    text: String,
    /// Escapes resolved.
    octets: Vec<u8>,
}

/// Words, separated by white space or quoted.
fn words(text: &str) -> Result<Vec<Word>, RdataError> {
    let mut out: Vec<Word> = Vec::new();
    let mut open: Option<(Word, bool)> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (&mut open, c) {
            (None, c) if c.is_whitespace() => {}
            (None, '"') => open = Some((Word { text: String::new(), octets: Vec::new() }, true)),
            (Some((_, true)), '"') => out.extend(open.take().map(|(word, _)| word)),
            (Some((_, false)), c) if c.is_whitespace() => out.extend(open.take().map(|(word, _)| word)),
            (_, c) => {
                let (word, _) =
                    open.get_or_insert_with(|| (Word { text: String::new(), octets: Vec::new() }, false));
                word.text.push(c);
                let mut bytes = [0; 4];
                if c != '\\' {
                    word.octets.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes());
                    continue;
                }
                let next = chars.next().ok_or(RdataError::Escape)?;
                word.text.push(next);
                let Some(first) = next.to_digit(10) else {
                    word.octets.extend_from_slice(next.encode_utf8(&mut bytes).as_bytes());
                    continue;
                };
                let mut value = first;
                for _ in 0..2 {
                    let digit = chars.next().and_then(|c| c.to_digit(10)).ok_or(RdataError::Escape)?;
                    word.text.push(char::from_digit(digit, 10).unwrap_or('0'));
                    value = value * 10 + digit;
                }
                word.octets.push(u8::try_from(value).map_err(|_| RdataError::Escape)?);
            }
        }
    }
    match open {
        Some((_, true)) => Err(RdataError::Quote),
        Some((word, false)) => {
            out.push(word);
            Ok(out)
        }
        None => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_wire() {
        let origin = NameBuf::from_text("x.org").unwrap();
        for (rtype, text, wire) in [
            (Qtype::A, "192.0.2.1", &b"\xc0\0\x02\x01"[..]),
            (Qtype::CNAME, "a", b"\x01a\x01x\x03org\0"),
            (Qtype::CNAME, "a.", b"\x01a\0"),
            (Qtype::NS, "@", b"\x01x\x03org\0"),
            (Qtype::MX, "10 mx.", b"\0\x0a\x02mx\0"),
            (
                Qtype::SOA,
                "ns a. 1 2 3 4 4294967295",
                b"\x02ns\x01x\x03org\0\x01a\0\0\0\0\x01\0\0\0\x02\0\0\0\x03\0\0\0\x04\xff\xff\xff\xff",
            ),
            (Qtype::SRV, "1 2 53 a.", b"\0\x01\0\x02\0\x35\x01a\0"),
            (Qtype::TXT, "\"a b\" c\\;\\009", b"\x03a b\x03c;\x09"),
            (Qtype::TXT, "\"\"", b"\0"),
            (
                Qtype::HTTPS,
                "1 . port=443 alpn=h2,h3",
                b"\0\x01\0\0\x01\0\x06\x02h2\x02h3\0\x03\0\x02\x01\xbb",
            ),
            (Qtype::HTTPS, "0 a.", b"\0\0\x01a\0"),
            (
                Qtype::SVCB,
                "1 . ipv4hint=192.0.2.1 mandatory=ipv4hint",
                b"\0\x01\0\0\0\0\x02\0\x04\0\x04\0\x04\xc0\0\x02\x01",
            ),
            (Qtype::CAA, "0 issue \"ca.org\"", b"\0\x05issueca.org"),
            (Qtype::LOC, "\\# 2 0aFF", b"\x0a\xff"),
        ] {
            assert_eq!(from_text(rtype, text, origin.as_name()).as_deref(), Ok(wire), "{rtype} {text}");
        }
    }

    #[test]
    fn bad_text_is_refused() {
        for (rtype, text) in [
            (Qtype::A, "::1"),
            (Qtype::A, ""),
            (Qtype::MX, "70000 a."),
            (Qtype::MX, "a."),
            (Qtype::SOA, "a. b. 1 2 3 4"),
            (Qtype::SOA, "a. b. 1 2 3 4 4294967296"),
            (Qtype::TXT, "\"open"),
            (Qtype::TXT, "\\25"),
            (Qtype::TXT, "\\999"),
            (Qtype::HTTPS, "1 . port=1 port=2"),
            (Qtype::HTTPS, "1 . ech=AAAA"),
            (Qtype::LOC, "\\# 3 0aFF"),
            (Qtype::LOC, "52 N"),
        ] {
            assert!(from_text(rtype, text, Name::ROOT).is_err(), "{rtype} {text}");
        }
    }
}
