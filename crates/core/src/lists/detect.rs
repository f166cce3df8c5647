//! Detects a list's format from its first lines.

use super::{dnscrypt, regex, v2fly};
use crate::rule::Format;

/// Bytes that are not a list at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAList {
    /// A web page, usually an error page of the server that should have sent a list.
    #[error("this is a web page, not a list; fetch the list itself")]
    Html,
    /// Many octets near the beginning that do not occur in text.
    #[error("this is a binary file, not a list")]
    Binary,
}

/// Number of lines examined.
const SAMPLE: usize = 200;

/// Rejects input that is not a list.
///
/// # Errors
/// [`NotAList`]
pub(super) fn refuse(bytes: &[u8]) -> Result<(), NotAList> {
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    let start = head.trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype") || start.starts_with(b"<html") || start.starts_with(b"<?xml") {
        return Err(NotAList::Html);
    }
    // A stray NUL costs only its line; in binary data at least every tenth octet is not text.
    let text = |b: &u8| *b >= b' ' || b.is_ascii_whitespace() || *b == 0x1b;
    let others = head.iter().filter(|b| !text(b)).count();
    if others * 50 > head.len() {
        return Err(NotAList::Binary);
    }
    Ok(())
}

/// The format that most of the first lines match.
pub(super) fn format(bytes: &[u8]) -> Format {
    let (mut hosts, mut adguard, mut wildcard, mut domains) = (0, 0, 0, 0);
    let (mut dnsmasq, mut unbound, mut rpz) = (0, 0, 0);
    let (mut regex, mut dnscrypt, mut v2fly) = (0, 0, 0);
    let lines = bytes.split(|b| *b == b'\n');
    let sample =
        lines.map(<[u8]>::trim_ascii).filter(|l| !l.is_empty() && !is_comment(l, Format::Auto)).take(SAMPLE);
    for line in sample {
        let line = String::from_utf8_lossy(line.get(..line.len().min(256)).unwrap_or_default());
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        let in_zone = |w: &str| ["CNAME", "SOA", "IN"].iter().any(|z| w.eq_ignore_ascii_case(z));
        if ["address=/", "server=/", "local=/"].iter().any(|d| line.starts_with(d)) {
            dnsmasq += 1;
        } else if ["local-zone:", "local-data:", "server:", "local-data-ptr:"].contains(&first) {
            unbound += 1;
        } else if ["$TTL", "$ORIGIN"].contains(&first) || words.take(3).any(in_zone) {
            rpz += 1;
        } else if line.starts_with("||")
            || line.starts_with("@@")
            || line.contains("##")
            || line.ends_with('^')
            || line.contains("^$")
            || (line.len() > 2 && line.starts_with('/') && line.ends_with('/'))
        {
            adguard += 1;
        } else if regex::is_expression(&line) {
            regex += 1;
        } else if v2fly::is_mark(&line) {
            v2fly += 1;
        } else if dnscrypt::is_mark(&line) {
            dnscrypt += 1;
        } else if first.len() < line.len() && first.parse::<std::net::IpAddr>().is_ok() {
            hosts += 1;
        } else if first.contains('*') {
            wildcard += 1;
        } else {
            domains += 1;
        }
    }
    // A list of names with some wildcards is a wildcard list; other mixtures go by majority.
    // One line that only v2fly or dnscrypt-proxy has tells what the plain names are.
    let names = match (v2fly, dnscrypt, wildcard) {
        (0, 0, 0) => Format::Domains,
        (0, 0, _) => Format::Wildcard,
        (0, ..) => Format::Dnscrypt,
        _ => Format::V2fly,
    };
    let counts = [
        (wildcard + domains + dnscrypt + v2fly, names),
        (regex, Format::Regex),
        (hosts, Format::Hosts),
        (adguard, Format::AdGuard),
        (dnsmasq, Format::Dnsmasq),
        (unbound, Format::Unbound),
        (rpz, Format::Rpz),
    ];
    // Of two with the same count, the later one: its syntax is more specific.
    counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .max_by_key(|(count, _)| *count)
        .map_or(Format::Domains, |(_, format)| *format)
}

/// `#` begins comments in every format, `!` and `;` in most; but `##` begins a cosmetic rule.
pub(super) fn is_comment(line: &[u8], format: Format) -> bool {
    match (line, format) {
        ([b'#', b'#' | b'@' | b'%' | b'$' | b'?', ..], Format::AdGuard | Format::Auto) => is_banner(line),
        (_, Format::Rpz) => line.trim_ascii_start().starts_with(b";"),
        ([b'#' | b'!' | b';', ..], _) => true,
        _ => false,
    }
}

/// A line of `#` only, or `#` around words: a heading above a list. In a cosmetic rule a selector follows
/// immediately.
fn is_banner(line: &[u8]) -> bool {
    let rest = line.iter().position(|b| *b != b'#').and_then(|at| line.get(at..));
    rest.is_none_or(|rest| matches!(rest, [b' ' | b'\t' | b'=' | b'-' | b'*', ..]))
}
