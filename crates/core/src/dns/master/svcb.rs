//! The parameters of SVCB and HTTPS records (RFC 9460 §2.1 and appendix A, RFC 9461, RFC 9540).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::token::{Problem, Word, shown, unescape};
use super::value;
use super::words::{Words, cut, put, take_counted};

/// The names of the parameters, by key from 0.
const KEYS: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];
const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;

/// Reads the parameters.
pub(crate) fn read(words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while let Some(word) = words.next() {
        if word.quoted {
            return Err(words.wrong(format!("`\"{}\"` is in quotes; expected `key=value`", shown(word.text))));
        }
        let (key, value) = match word.text.iter().position(|c| *c == b'=') {
            None => (word.text, None),
            Some(at) => {
                let (key, value) = word.text.split_at(at);
                let plain = value.get(1..).unwrap_or_default();
                (key, Some(quoted_value(words, plain)?))
            }
        };
        let param = param(key, value).map_err(|why| words.wrong(why))?;
        if params.iter().any(|(key, _)| *key == param.0) {
            return Err(words.wrong(format!("the parameter `{}` is given twice", shown(key))));
        }
        params.push(param);
    }
    // Sorted by key (RFC 9460 §2.2).
    params.sort_unstable_by_key(|(key, _)| *key);
    consistent(&params).map_err(|why| words.wrong(why))?;
    for (key, value) in params {
        put(u64::from(key), 2, out);
        let len = u16::try_from(value.len()).map_err(|_| words.wrong("a parameter is too long"))?;
        put(u64::from(len), 2, out);
        out.extend(value);
    }
    Ok(())
}

/// The value after `=`, with or without quotes.
fn quoted_value<'t>(words: &mut Words<'t>, plain: &'t [u8]) -> Result<&'t [u8], Problem> {
    match words.peek() {
        Some(Word { quoted: true, joined: true, text, .. }) if plain.is_empty() => {
            words.next();
            Ok(text)
        }
        Some(Word { joined: true, .. }) => Err(words.wrong("a quote within a value; quote all of it")),
        _ => Ok(plain),
    }
}

/// Rules that concern several parameters (RFC 9460 §2.4.3, §7.1.1, §8).
fn consistent(params: &[(u16, Vec<u8>)]) -> Result<(), String> {
    let has = |key: u16| params.iter().any(|(k, _)| *k == key);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err("`no-default-alpn` requires `alpn`".into());
    }
    let listed = params.iter().find(|(key, _)| *key == MANDATORY).map_or(&[][..], |(_, value)| value);
    for key in listed.as_chunks::<2>().0 {
        let key = u16::from_be_bytes(*key);
        if key == MANDATORY || !has(key) {
            return Err(format!("`mandatory` lists `{}`, which is not among the parameters", key_text(key)));
        }
    }
    Ok(())
}

fn key_text(key: u16) -> String {
    KEYS.get(usize::from(key)).map_or_else(|| format!("key{key}"), |name| (*name).to_owned())
}

fn key_number(text: &[u8]) -> Result<u16, String> {
    if let Some((_, number)) = KEYS.iter().zip(0u16..).find(|(name, _)| name.as_bytes() == text) {
        return Ok(number);
    }
    let digits = text.strip_prefix(b"key").filter(|d| *d == b"0" || !d.starts_with(b"0"));
    digits.and_then(|d| value::number(d, 65_534).ok()).and_then(|n| u16::try_from(n).ok()).ok_or_else(|| {
        format!(
            "`{}` is not a parameter: expected one of {}, or `key` and a number",
            shown(text),
            KEYS.join(", ")
        )
    })
}

/// One parameter: its key and the octets of its value.
fn param(key: &[u8], value: Option<&[u8]>) -> Result<(u16, Vec<u8>), String> {
    let number = key_number(key)?;
    let name = shown(key);
    let octets = unescape(value.unwrap_or_default()).map_err(|why| format!("in `{name}` {why}"))?;
    let generic = key.starts_with(b"key");
    let out =
        if generic { octets } else { known(number, &octets).map_err(|why| format!("`{name}`: {why}"))? };
    let mut rest = &out[..];
    if check(number, &mut rest).is_none() || !rest.is_empty() {
        let named = key_text(number);
        let what = if out.is_empty() {
            "needs a value".into()
        } else {
            format!("has octets that `{named}` can't have")
        };
        return Err(format!("`{name}` {what}"));
    }
    Ok((number, out))
}

/// The value of a parameter that is known by name, after the escapes of the master file were resolved.
fn known(key: u16, text: &[u8]) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    match key {
        MANDATORY => {
            let mut keys = text.split(|c| *c == b',').map(key_number).collect::<Result<Vec<_>, _>>()?;
            keys.sort_unstable();
            if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
                return Err("a parameter is listed twice".into());
            }
            out.extend(keys.iter().flat_map(|k| k.to_be_bytes()));
        }
        ALPN => {
            for item in list(text) {
                let len = u8::try_from(item.len()).ok().filter(|len| *len > 0);
                out.push(len.ok_or("expected protocols of 1 to 255 octets, separated by commas")?);
                out.extend(item);
            }
        }
        3 => put(value::number(text, 65_535)?, 2, &mut out),
        4 => {
            for item in text.split(|c| *c == b',') {
                let address = std::str::from_utf8(item).ok().and_then(|t| t.parse::<Ipv4Addr>().ok());
                out.extend(
                    address.ok_or_else(|| format!("`{}` is not an IPv4 address", shown(item)))?.octets(),
                );
            }
        }
        5 => out = value::base64(text)?,
        6 => {
            for item in text.split(|c| *c == b',') {
                let address = std::str::from_utf8(item).ok().and_then(|t| t.parse::<Ipv6Addr>().ok());
                out.extend(
                    address.ok_or_else(|| format!("`{}` is not an IPv6 address", shown(item)))?.octets(),
                );
            }
        }
        2 | 8 if !text.is_empty() => return Err("it takes no value".into()),
        7 if !contains(text, b"{?dns}") => {
            return Err("expected a path with `{?dns}`, such as `/dns-query{?dns}`".into());
        }
        _ => out.extend_from_slice(text),
    }
    Ok(out)
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

/// Items separated by commas; `\,` and `\\` are a comma and a backslash in an item (RFC 9460 appendix A.1).
fn list(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut items, mut item) = (Vec::new(), Vec::new());
    let mut octets = text.iter().copied();
    while let Some(c) = octets.next() {
        match c {
            b'\\' => item.extend(octets.next()),
            b',' => items.push(std::mem::take(&mut item)),
            _ => item.push(c),
        }
    }
    items.push(item);
    items
}

/// Takes the parameters, which are the rest of the data; `None` if they are not valid.
pub(crate) fn take(data: &mut &[u8]) -> Option<()> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    while !data.is_empty() {
        let [k0, k1, l0, l1] = *cut(data, 4)?.first_chunk::<4>()?;
        let key = u16::from_be_bytes([k0, k1]);
        let value = cut(data, usize::from(u16::from_be_bytes([l0, l1])))?;
        let mut rest = value;
        let ordered = params.last().is_none_or(|(before, _)| *before < key) && key != u16::MAX;
        check(key, &mut rest).filter(|()| rest.is_empty() && ordered)?;
        params.push((key, value.to_vec()));
    }
    consistent(&params).ok()
}

/// Takes the value of a known parameter; the value of an unknown one may be anything.
fn check(key: u16, value: &mut &[u8]) -> Option<()> {
    match key {
        MANDATORY => {
            let (keys, odd) = std::mem::take(value).as_chunks::<2>();
            let ascend = keys.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
            (!keys.is_empty() && odd.is_empty() && ascend).then_some(())
        }
        ALPN => {
            take_counted(value).filter(|id| !id.is_empty())?;
            while !value.is_empty() {
                take_counted(value).filter(|id| !id.is_empty())?;
            }
            Some(())
        }
        3 => cut(value, 2).map(drop),
        4 | 6 => {
            let whole = std::mem::take(value).len();
            (whole > 0 && whole.is_multiple_of(if key == 4 { 4 } else { 16 })).then_some(())
        }
        5 => (!std::mem::take(value).is_empty()).then_some(()),
        7 => {
            let path = std::mem::take(value);
            (std::str::from_utf8(path).is_ok() && contains(path, b"{?dns}")).then_some(())
        }
        // `no-default-alpn` and `ohttp` must be empty: the caller checks for a remainder.
        2 | 8 => Some(()),
        _ => {
            *value = &[];
            Some(())
        }
    }
}
