//! Reads the words of one record's data in sequence, and helps to check its octets.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::token::{Problem, Word, shown, unescape};
use super::value;
use crate::dns::name::Name;
use crate::dns::types::Qtype;

/// The remaining words of a record's data.
pub(crate) struct Words<'t> {
    words: std::slice::Iter<'t, Word<'t>>,
    /// The origin, which is appended to relative names.
    pub(crate) origin: Name<'t>,
    /// The line of the last word read.
    pub(crate) line: u32,
}

impl<'t> Words<'t> {
    pub(crate) fn new(words: &'t [Word<'t>], origin: Name<'t>, line: u32) -> Self {
        Self { words: words.iter(), origin, line }
    }

    /// The next word, if there is one.
    pub(crate) fn next(&mut self) -> Option<Word<'t>> {
        let word = *self.words.next()?;
        self.line = word.line;
        Some(word)
    }

    pub(crate) fn peek(&self) -> Option<Word<'t>> {
        self.words.as_slice().first().copied()
    }

    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Problem {
        Problem::new(self.line, reason)
    }

    /// The next word, quoted or not.
    pub(crate) fn any(&mut self, what: &str) -> Result<Word<'t>, Problem> {
        self.next().ok_or_else(|| self.wrong(format!("the record ends where {what} is expected")))
    }

    /// The next word, which must not be quoted.
    pub(crate) fn bare(&mut self, what: &str) -> Result<&'t [u8], Problem> {
        let word = self.any(what)?;
        if word.quoted {
            return Err(
                self.wrong(format!("`\"{}\"` is in quotes; write {what} without them", shown(word.text)))
            );
        }
        Ok(word.text)
    }

    /// The next word, parsed by `read`.
    pub(crate) fn value<T>(
        &mut self,
        what: &str,
        read: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, Problem> {
        let text = self.bare(what)?;
        read(text).map_err(|reason| self.wrong(reason))
    }

    /// Reads a number and appends it as `octets` octets.
    pub(crate) fn number(&mut self, octets: usize, out: &mut Vec<u8>) -> Result<u64, Problem> {
        let max = u64::MAX >> (64 - 8 * octets.clamp(1, 8));
        let value = self.value("a number", |text| value::number(text, max))?;
        put(value, octets, out);
        Ok(value)
    }

    pub(crate) fn name(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let origin = self.origin;
        let name = self.value("a name", |text| value::name(text, origin))?;
        out.extend_from_slice(name.as_bytes());
        Ok(())
    }

    pub(crate) fn ip4(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let address = self.value("an IPv4 address", |text| {
            let address = std::str::from_utf8(text).ok().and_then(|t| t.parse::<Ipv4Addr>().ok());
            address.ok_or_else(|| format!("`{}` is not an IPv4 address", shown(text)))
        })?;
        out.extend(address.octets());
        Ok(())
    }

    pub(crate) fn ip6(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let address = self.value("an IPv6 address", |text| {
            let address = std::str::from_utf8(text).ok().and_then(|t| t.parse::<Ipv6Addr>().ok());
            address.ok_or_else(|| format!("`{}` is not an IPv6 address", shown(text)))
        })?;
        out.extend(address.octets());
        Ok(())
    }

    /// The octets of the next word, with escapes resolved; quoted or not.
    pub(crate) fn octets(&mut self, what: &str) -> Result<Vec<u8>, Problem> {
        let word = self.any(what)?;
        unescape(word.text).map_err(|why| self.wrong(format!("in `{}` {why}", shown(word.text))))
    }

    /// The remaining words, concatenated; none may be quoted.
    pub(crate) fn joined(&mut self, what: &str) -> Result<Vec<u8>, Problem> {
        let mut all = self.bare(what)?.to_vec();
        while self.peek().is_some() {
            all.extend_from_slice(self.bare(what)?);
        }
        Ok(all)
    }

    /// A character-string.
    pub(crate) fn text(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let octets = self.octets("a string")?;
        self.counted(&octets, "a string; split it into several quoted ones", out)
    }

    /// Appends octets after their length, which must fit one octet.
    pub(crate) fn counted(&self, octets: &[u8], what: &str, out: &mut Vec<u8>) -> Result<(), Problem> {
        let len = u8::try_from(octets.len())
            .map_err(|_| self.wrong(format!("{} octets are too many: 255 fit {what}", octets.len())))?;
        out.push(len);
        out.extend_from_slice(octets);
        Ok(())
    }
}

/// The low octets of a number, in network order.
pub(crate) fn put(value: u64, octets: usize, out: &mut Vec<u8>) {
    let bytes = value.to_be_bytes();
    out.extend_from_slice(bytes.get(bytes.len().saturating_sub(octets)..).unwrap_or_default());
}

/// A type by its mnemonic or as `TYPE###`.
pub(crate) fn rtype(text: &[u8]) -> Result<Qtype, String> {
    let known = std::str::from_utf8(text).ok().and_then(|t| t.parse().ok());
    known.ok_or_else(|| format!("`{}` is not a record type", shown(text)))
}

/// Takes octets off the front of the data.
pub(crate) fn cut<'d>(data: &mut &'d [u8], len: usize) -> Option<&'d [u8]> {
    let (front, rest) = data.split_at_checked(len)?;
    *data = rest;
    Some(front)
}

pub(crate) fn take_name(data: &mut &[u8]) -> Option<()> {
    let len = Name::parse(data).ok()?.as_bytes().len();
    cut(data, len).map(drop)
}

pub(crate) fn take_rest(data: &mut &[u8], least: usize) -> Option<()> {
    (std::mem::take(data).len() >= least).then_some(())
}

pub(crate) fn take_counted<'d>(data: &mut &'d [u8]) -> Option<&'d [u8]> {
    let len = *cut(data, 1)?.first()?;
    cut(data, usize::from(len))
}
