//! The fields that record data consists of: from words to octets, and the check of given octets.

use super::special::Special;
use super::svcb;
use super::token::{Problem, shown};
use super::value;
use super::words::{Words, cut, put, rtype, take_counted, take_name, take_rest};
use crate::dns::types::Qtype;

/// A kind of field. A list or string at the end of a record takes all remaining words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    /// A number of this many octets.
    Number(usize),
    /// A number of this many octets, or one of these mnemonics.
    Code(usize, &'static [(&'static str, u16)]),
    /// Seconds in 4 octets, with or without units.
    Period,
    /// The time of a signature, in 4 octets.
    Time,
    /// A name, never compressed.
    Name,
    Ip4,
    Ip6,
    /// A character-string: a length octet and at most 255 octets.
    Text,
    /// An optional character-string.
    MaybeText,
    /// At least one character-string.
    Texts,
    /// One string without a length octet, up to the end of the data.
    Rest,
    /// The tag of a CAA record: a length octet, then letters and digits.
    Tag,
    /// Hexadecimal up to the end.
    Hex,
    /// Base 64 up to the end.
    Base64,
    /// Optional base 64.
    MaybeBase64,
    /// Octets after a length octet, in hexadecimal; `-` for none.
    Salt,
    /// Octets after a length octet, in base 32.
    Hash,
    /// A record type, in 2 octets.
    Type,
    /// A set of types (RFC 4034 §4.1.2); the flag allows an empty one.
    Types(bool),
    /// The set of types of NXT (RFC 2535 §5.2).
    OldTypes,
    /// This many octets in hexadecimal, with hyphens between them.
    Eui(usize),
    /// 8 octets in four groups (RFC 6742 §2.1.2).
    Locator,
    /// Data with a presentation format of its own.
    Special(&'static Special),
    /// The parameters of a service binding.
    Params,
}

impl Field {
    /// Reads the field and appends its octets.
    pub(crate) fn read(self, words: &mut Words<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        match self {
            Self::Number(octets) => words.number(octets, out).map(drop),
            Self::Code(octets, names) => {
                let max = u64::MAX >> (64 - 8 * octets);
                let value = words.value("a number", |text| {
                    let named = names.iter().find(|(n, _)| n.as_bytes().eq_ignore_ascii_case(text));
                    match named {
                        Some((_, value)) => Ok(u64::from(*value)),
                        None => value::number(text, max).map_err(|e| {
                            let all: Vec<&str> = names.iter().map(|(n, _)| *n).collect();
                            format!("{e}, nor one of {}", all.join(", "))
                        }),
                    }
                })?;
                put(value, octets, out);
                Ok(())
            }
            Self::Period => {
                let seconds = words.value("a duration", value::period)?;
                out.extend(seconds.to_be_bytes());
                Ok(())
            }
            Self::Time => {
                let time = words.value("a time", value::time)?;
                out.extend(time.to_be_bytes());
                Ok(())
            }
            Self::Name => words.name(out),
            Self::Ip4 => words.ip4(out),
            Self::Ip6 => words.ip6(out),
            Self::Text => words.text(out),
            Self::MaybeText => {
                if words.peek().is_some() {
                    words.text(out)
                } else {
                    Ok(())
                }
            }
            Self::Texts => {
                words.text(out)?;
                while words.peek().is_some() {
                    words.text(out)?;
                }
                Ok(())
            }
            Self::Rest => {
                out.extend(words.octets("a string")?);
                Ok(())
            }
            Self::Tag => {
                let tag = words.bare("a tag")?;
                if tag.is_empty() || !tag.iter().all(u8::is_ascii_alphanumeric) {
                    return Err(words.wrong(format!("`{}` is not a tag of letters and digits", shown(tag))));
                }
                words.counted(tag, "a tag", out)
            }
            Self::Hex => {
                let all = words.joined("hexadecimal data")?;
                out.extend(value::hex(&all).map_err(|e| words.wrong(e))?);
                Ok(())
            }
            Self::MaybeBase64 if words.peek().is_none() => Ok(()),
            Self::Base64 | Self::MaybeBase64 => {
                let all = words.joined("base 64")?;
                out.extend(value::base64(&all).map_err(|e| words.wrong(e))?);
                Ok(())
            }
            Self::Salt => {
                let salt = words.value("a salt, or `-`", |text| {
                    if text == b"-" { Ok(Vec::new()) } else { value::hex(text) }
                })?;
                words.counted(&salt, "a salt", out)
            }
            Self::Hash => {
                let hash = words.value("a hashed name", value::base32hex)?;
                words.counted(&hash, "a hash", out)
            }
            Self::Type => {
                let rtype = words.value("a record type", rtype)?;
                out.extend(rtype.0.to_be_bytes());
                Ok(())
            }
            Self::Types(may_be_empty) => {
                let types = types(words)?;
                if types.is_empty() && !may_be_empty {
                    return Err(words.wrong("the record ends where a record type is expected"));
                }
                bitmap(&types, out);
                Ok(())
            }
            Self::OldTypes => {
                let types = types(words)?;
                if let Some(high) = types.iter().find(|t| t.0 == 0 || t.0 > 127) {
                    return Err(words.wrong(format!("{high} does not fit here: types 1 to 127 do")));
                }
                let mut map = [0u8; 16];
                types.iter().for_each(|t| set_bit(&mut map, t.0));
                out.extend(
                    map.get(..types.last().map_or(0, |t| usize::from(t.0 / 8) + 1)).unwrap_or_default(),
                );
                Ok(())
            }
            Self::Eui(octets) => {
                let value = words.value("an identifier", |text| {
                    let groups: Vec<&[u8]> = text.split(|c| *c == b'-').collect();
                    let pairs = groups.len() == octets && groups.iter().all(|g| g.len() == 2);
                    let value = value::hex(&groups.concat()).ok().filter(|_| pairs);
                    value.ok_or_else(|| {
                        format!(
                            "`{}` is not {octets} pairs of hexadecimal digits with hyphens between",
                            shown(text)
                        )
                    })
                })?;
                out.extend(value);
                Ok(())
            }
            Self::Locator => {
                let value = words.value("a locator", |text| {
                    let groups: Option<Vec<u16>> = text.split(|c| *c == b':').map(group).collect();
                    groups.filter(|g| g.len() == 4).ok_or_else(|| {
                        format!(
                            "`{}` is not four groups of hexadecimal digits with colons between",
                            shown(text)
                        )
                    })
                })?;
                out.extend(value.iter().flat_map(|g| g.to_be_bytes()));
                Ok(())
            }
            Self::Special(special) => (special.read)(words, out),
            Self::Params => svcb::read(words, out),
        }
    }

    /// Takes the field's octets off the front of `data`; `None` if they are not valid.
    pub(crate) fn take(self, data: &mut &[u8]) -> Option<()> {
        match self {
            Self::Number(octets) | Self::Code(octets, _) | Self::Eui(octets) => cut(data, octets).map(drop),
            Self::Period | Self::Time | Self::Ip4 => cut(data, 4).map(drop),
            Self::Ip6 => cut(data, 16).map(drop),
            Self::Locator => cut(data, 8).map(drop),
            Self::Type => cut(data, 2).map(drop),
            Self::Name => take_name(data),
            Self::Text | Self::Salt => take_counted(data).map(drop),
            Self::MaybeText => {
                if data.is_empty() {
                    Some(())
                } else {
                    take_counted(data).map(drop)
                }
            }
            Self::Texts => {
                take_counted(data)?;
                while !data.is_empty() {
                    take_counted(data)?;
                }
                Some(())
            }
            Self::Tag => take_counted(data)
                .filter(|tag| !tag.is_empty() && tag.iter().all(u8::is_ascii_alphanumeric))
                .map(drop),
            Self::Hash => take_counted(data).filter(|hash| !hash.is_empty()).map(drop),
            Self::Hex | Self::Base64 => take_rest(data, 1),
            Self::Rest | Self::MaybeBase64 => take_rest(data, 0),
            Self::Types(may_be_empty) => take_types(data, may_be_empty),
            Self::OldTypes => {
                let map = std::mem::take(data);
                let valid =
                    map.len() <= 16 && map.first().is_none_or(|b| b & 0x80 == 0) && map.last() != Some(&0);
                valid.then_some(())
            }
            Self::Special(special) => (special.take)(data),
            Self::Params => svcb::take(data),
        }
    }
}

fn group(text: &[u8]) -> Option<u16> {
    let digits = (1..=4).contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(std::str::from_utf8(text).ok().filter(|_| digits)?, 16).ok()
}

/// The remaining types, sorted and without duplicates.
fn types(words: &mut Words<'_>) -> Result<Vec<Qtype>, Problem> {
    let mut all = Vec::new();
    while words.peek().is_some() {
        all.push(words.value("a record type", rtype)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Sorted types as windows of bits.
fn bitmap(types: &[Qtype], out: &mut Vec<u8>) {
    for window in types.chunk_by(|a, b| a.0 >> 8 == b.0 >> 8) {
        let mut map = [0u8; 32];
        window.iter().for_each(|t| set_bit(&mut map, t.0 & 0xff));
        let [number, last] = window.last().map_or([0, 0], |t| t.0.to_be_bytes());
        let len = last / 8 + 1;
        out.extend([number, len]);
        out.extend(map.get(..usize::from(len)).unwrap_or_default());
    }
}

fn set_bit(map: &mut [u8], bit: u16) {
    if let Some(octet) = map.get_mut(usize::from(bit / 8)) {
        *octet |= 0x80 >> (bit % 8);
    }
}

fn take_types(data: &mut &[u8], may_be_empty: bool) -> Option<()> {
    if data.is_empty() {
        return may_be_empty.then_some(());
    }
    let mut before = None;
    while !data.is_empty() {
        let [window, len] = *cut(data, 2)?.first_chunk::<2>()?;
        let map = cut(data, usize::from(len))?;
        if before.is_some_and(|b| b >= window) || len > 32 || matches!(map.last(), None | Some(0)) {
            return None;
        }
        before = Some(window);
    }
    Some(())
}
