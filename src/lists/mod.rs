//! Lists as operators have them: bytes → rules with their lines, and the lines that are none.

pub mod adguard;
pub mod domains;
pub mod hosts;

use std::fmt;

use crate::dns::name::{NameBuf, NameError};
pub use crate::rule::Format;
use crate::rule::{Effect, Match, Rule};

/// A line longer than this is skipped unread; no rule is that long.
const MAX_LINE: usize = 4096;
/// Lines looked at to tell the format.
const SAMPLE: usize = 200;

/// Why a line gives no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Longer than any rule is.
    TooLong,
    /// Not UTF-8.
    Encoding,
    /// Not a name.
    Name(NameError),
    /// A name that no host has: the root, or with characters other than letters, digits, `-` and `_`.
    NotAHostName,
    /// An address where a name belongs.
    Address,
    /// A hosts line that does not begin with an address.
    NotAnAddress(String),
    /// A hosts line with an address alone.
    NoName,
    /// More than a name on a line of names.
    NotOneName,
    /// A modifier without support.
    Modifier(String),
    /// A rule about the elements of a page, not about names.
    Cosmetic,
    /// A regular expression or an inner wildcard.
    Pattern,
    /// A rule without `||`, which would match anywhere in a name.
    Substring,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {MAX_LINE} octets"),
            Self::Encoding => f.write_str("not UTF-8"),
            Self::Name(error) => error.fmt(f),
            Self::NotAHostName => f.write_str("not a name that a host can have; is the format right?"),
            Self::Address => f.write_str("an address where a name belongs"),
            Self::NotAnAddress(word) => {
                write!(f, "a hosts line begins with an address, and `{word}` is none")
            }
            Self::NoName => f.write_str("an address without a name"),
            Self::NotOneName => f.write_str("more than one name on the line"),
            Self::Modifier(word) => write!(f, "the modifier `{word}` is not supported"),
            Self::Cosmetic => f.write_str("a rule for the contents of pages, not for names"),
            Self::Pattern => f.write_str("regular expressions and inner wildcards are not supported"),
            Self::Substring => {
                f.write_str("a pattern that matches anywhere in a name is not supported; write ||name^")
            }
        }
    }
}

/// A line that gave no rule, or not all that it could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The line, from 1.
    pub line: u32,
    /// Its beginning, control characters escaped.
    pub text: String,
    /// Why.
    pub reason: SkipReason,
}

/// What a list gave.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The format it was read as.
    pub format: Format,
    /// The rules, each with its line.
    pub rules: Vec<(u32, Rule)>,
    /// Lines in all.
    pub lines: u32,
    /// Lines that gave no rule and are no comment.
    pub skipped: Vec<Skipped>,
}

/// Bytes that are no list at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAList {
    /// A web page, most often an error page of the server that should have given a list.
    Html,
    /// NUL octets near the beginning.
    Binary,
}

impl fmt::Display for NotAList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Html => "this is a web page, not a list; fetch the list itself",
            Self::Binary => "this is a binary file, not a list; unpack it first",
        })
    }
}

impl std::error::Error for NotAList {}

/// How the lines of one list are read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// How plain names match.
    pub plain: Match,
    /// What plain rules want: the kind of the list.
    pub effect: Effect,
}

impl Reading {
    fn rule(self, name: &str, matching: Match) -> Result<Rule, SkipReason> {
        if name.parse::<std::net::IpAddr>().is_ok() {
            return Err(SkipReason::Address);
        }
        let name = NameBuf::from_text(name).map_err(SkipReason::Name)?;
        // A stray dot must not block everything, nor may a rule of another syntax pass for a name
        // that nobody asks for.
        let bytes = name.as_name().labels().flatten();
        if name.as_name().is_root()
            || !bytes.copied().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        {
            return Err(SkipReason::NotAHostName);
        }
        Ok(Rule { name, matching, effect: self.effect, important: false })
    }
}

/// Reads a list. Bad lines are kept with their reason and do not end it. `plain: None` takes the
/// format's own meaning of plain names: exact for hosts and adguard, suffix for the others.
///
/// # Errors
/// [`NotAList`] for bytes that were never meant as one.
pub fn parse(bytes: &[u8], format: Format, plain: Option<Match>, effect: Effect) -> Result<Parsed, NotAList> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    let start = head.trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype") || start.starts_with(b"<html") {
        return Err(NotAList::Html);
    }
    if head.contains(&0) {
        return Err(NotAList::Binary);
    }
    let format = if format == Format::Auto { detect(bytes) } else { format };
    let by_format =
        if matches!(format, Format::Hosts | Format::AdGuard) { Match::Exact } else { Match::Suffix };
    let reading = Reading { plain: plain.unwrap_or(by_format), effect };
    let mut parsed = Parsed { format, rules: Vec::new(), lines: 0, skipped: Vec::new() };
    for raw in lines(bytes) {
        parsed.lines = parsed.lines.saturating_add(1);
        let mut sink = Sink { line: parsed.lines, raw, parsed: &mut parsed };
        if raw.len() > MAX_LINE {
            sink.skip(SkipReason::TooLong);
            continue;
        }
        let line = raw.trim_ascii();
        // A comment may be in any encoding.
        if line.is_empty() || is_comment(line) {
            continue;
        }
        let Ok(line) = std::str::from_utf8(line) else {
            sink.skip(SkipReason::Encoding);
            continue;
        };
        match format {
            Format::Hosts => hosts::line(line, reading, &mut sink),
            Format::Wildcard => domains::wildcard_line(line, reading, &mut sink),
            Format::AdGuard => adguard::line(line, reading, &mut sink),
            Format::Domains | Format::Auto => domains::line(line, reading, &mut sink),
        }
    }
    Ok(parsed)
}

/// Takes what one line gives.
pub struct Sink<'p> {
    line: u32,
    raw: &'p [u8],
    parsed: &'p mut Parsed,
}

impl Sink<'_> {
    /// A rule, or the reason why the line gives none.
    pub fn take(&mut self, rule: Result<Rule, SkipReason>) {
        match rule {
            Ok(rule) => self.parsed.rules.push((self.line, rule)),
            Err(reason) => self.skip(reason),
        }
    }

    fn skip(&mut self, reason: SkipReason) {
        let text = String::from_utf8_lossy(self.raw.get(..self.raw.len().min(80)).unwrap_or_default());
        let text =
            text.trim().chars().flat_map(|c| if c.is_control() { '\u{fffd}' } else { c }.to_lowercase());
        self.parsed.skipped.push(Skipped { line: self.line, text: text.collect(), reason });
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.split(|b| *b == b'\n').take(if bytes.is_empty() { 0 } else { usize::MAX })
}

/// `#` and `!` begin comments in every format, but `##` is a rule for pages.
fn is_comment(line: &[u8]) -> bool {
    match line {
        [b'#', b'#' | b'@' | b'%' | b'$', ..] => false,
        [b'#' | b'!' | b';', ..] => true,
        _ => false,
    }
}

/// The format that most of the first lines look like.
fn detect(bytes: &[u8]) -> Format {
    let (mut hosts, mut adguard, mut wildcard, mut domains) = (0, 0, 0, 0);
    let sample =
        lines(bytes).map(<[u8]>::trim_ascii).filter(|l| !l.is_empty() && !is_comment(l)).take(SAMPLE);
    for line in sample {
        let line = String::from_utf8_lossy(line.get(..line.len().min(256)).unwrap_or_default());
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if line.starts_with("||") || line.starts_with("@@") || line.contains("##") || line.ends_with('^') {
            adguard += 1;
        } else if first.len() < line.len() && first.parse::<std::net::IpAddr>().is_ok() {
            hosts += 1;
        } else if line.starts_with("*.") {
            wildcard += 1;
        } else {
            domains += 1;
        }
    }
    // A list of names with some wildcards is one of wildcards; other mixtures go to the majority.
    let most = hosts.max(adguard).max(wildcard + domains);
    if most == adguard && adguard > 0 {
        Format::AdGuard
    } else if most == hosts && hosts > 0 {
        Format::Hosts
    } else if wildcard > 0 {
        Format::Wildcard
    } else {
        Format::Domains
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rules as `line:name kind effect`, skipped lines as `line!`.
    fn read(text: &[u8], format: Format) -> Vec<String> {
        let parsed = parse(text, format, None, Effect::Block).unwrap();
        let rules = parsed.rules.iter().map(|(line, r)| {
            let mark = if r.important { " important" } else { "" };
            format!("{line}:{} {:?} {:?}{mark}", r.name, r.matching, r.effect).to_lowercase()
        });
        rules.chain(parsed.skipped.iter().map(|s| format!("{}! {}", s.line, s.reason))).collect()
    }

    #[test]
    fn each_format_by_its_table() {
        for (format, text, expected) in [
            (Format::Hosts, "0.0.0.0 a.org b.org # two", vec!["1:a.org exact block", "1:b.org exact block"]),
            (Format::Hosts, "127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback", vec![]),
            (Format::Hosts, "127.0.0.1 x", vec!["1:x exact block"]),
            (Format::Hosts, "a.org", vec!["1! a hosts line begins with an address, and `a.org` is none"]),
            (Format::Hosts, "0.0.0.0", vec!["1! an address without a name"]),
            (Format::Hosts, "0.0.0.0 a..b c.org", vec!["1:c.org exact block", "1! a label is empty"]),
            (
                Format::Domains,
                "a.org\r\nB.ORG. # note\n",
                vec!["1:a.org suffix block", "2:b.org suffix block"],
            ),
            (Format::Domains, "a.org b.org", vec!["1! more than one name on the line"]),
            (Format::Domains, ".", vec!["1! not a name that a host can have; is the format right?"]),
            (Format::Domains, "||a.org^", vec!["1! not a name that a host can have; is the format right?"]),
            (
                Format::Domains,
                "http://a.org/x",
                vec!["1! not a name that a host can have; is the format right?"],
            ),
            (
                Format::Domains,
                "a.org,b.org",
                vec!["1! not a name that a host can have; is the format right?"],
            ),
            (Format::Domains, "192.0.2.1", vec!["1! an address where a name belongs"]),
            (
                Format::AdGuard,
                "||a.org:80^",
                vec!["1! not a name that a host can have; is the format right?"],
            ),
            (Format::Domains, "bücher.example", vec!["1:xn--bcher-kva.example suffix block"]),
            (Format::Wildcard, "*.a.org\nb.org", vec!["1:a.org subdomains block", "2:b.org suffix block"]),
            (
                Format::Wildcard,
                "ads*.a.org",
                vec!["1! regular expressions and inner wildcards are not supported"],
            ),
            (Format::AdGuard, "||a.org^", vec!["1:a.org suffix block"]),
            (Format::AdGuard, "||*.a.org^", vec!["1:a.org subdomains block"]),
            (Format::AdGuard, "@@||a.org^", vec!["1:a.org suffix allow"]),
            (Format::AdGuard, "@@||a.org^|", vec!["1:a.org suffix allow"]),
            (Format::AdGuard, "|a.org^", vec!["1:a.org exact block"]),
            (Format::AdGuard, "|a.org|", vec!["1:a.org exact block"]),
            (Format::AdGuard, "||a.org^$important", vec!["1:a.org suffix block important"]),
            (Format::AdGuard, "a.org", vec!["1:a.org exact block"]),
            (Format::AdGuard, "0.0.0.0 a.org b.org", vec!["1:a.org exact block", "1:b.org exact block"]),
            (Format::AdGuard, "||a.org^$third-party", vec!["1! the modifier `third-party` is not supported"]),
            (Format::AdGuard, "a.org##.banner", vec!["1! a rule for the contents of pages, not for names"]),
            (Format::AdGuard, "##.banner", vec!["1! a rule for the contents of pages, not for names"]),
            (
                Format::AdGuard,
                "/ads[0-9]/",
                vec!["1! regular expressions and inner wildcards are not supported"],
            ),
            (
                Format::AdGuard,
                "||a.org",
                vec!["1! a pattern that matches anywhere in a name is not supported; write ||name^"],
            ),
        ] {
            let mut got = read(text.as_bytes(), format);
            got.sort();
            let mut expected: Vec<_> = expected.into_iter().map(str::to_owned).collect();
            expected.sort();
            assert_eq!(got, expected, "{format} {text}");
        }
    }

    #[test]
    fn the_format_is_told_from_the_lines() {
        for (text, format) in [
            ("# c\n0.0.0.0 a.org\n0.0.0.0 b.org\n", Format::Hosts),
            ("! c\n||a.org^\n@@||b.org^\n", Format::AdGuard),
            ("*.a.org\nb.org\n", Format::Wildcard),
            ("a.org\nb.org\n", Format::Domains),
            ("", Format::Domains),
        ] {
            assert_eq!(
                parse(text.as_bytes(), Format::Auto, None, Effect::Block).unwrap().format,
                format,
                "{text}"
            );
        }
        assert_eq!(
            parse(b"\n<!DOCTYPE html>", Format::Auto, None, Effect::Block).unwrap_err(),
            NotAList::Html
        );
        assert_eq!(parse(b"\x1f\x8b\0\0", Format::Auto, None, Effect::Block).unwrap_err(), NotAList::Binary);
    }

    #[test]
    fn odd_bytes_cost_one_line_at_most() {
        let mut text = b"\xef\xbb\xbfa.org\n# caf\xe9\nb\xe9.org\n".to_vec();
        text.extend(vec![b'x'; 100_000]);
        text.extend(b"\n  c.org  \n");
        let parsed = parse(&text, Format::Domains, None, Effect::Block).unwrap();
        let rules: Vec<_> = parsed.rules.iter().map(|(l, r)| (*l, r.name.to_string())).collect();
        assert_eq!(rules, [(1, "a.org".to_owned()), (5, "c.org".to_owned())]);
        let skipped: Vec<_> = parsed.skipped.iter().map(|s| (s.line, s.reason.clone())).collect();
        assert_eq!(skipped, [(3, SkipReason::Encoding), (4, SkipReason::TooLong)]);
        assert_eq!(parsed.lines, 5);
    }

    #[test]
    fn an_allow_list_allows() {
        let parsed = parse(b"a.org", Format::Domains, Some(Match::Exact), Effect::Allow).unwrap();
        assert_eq!((parsed.rules[0].1.effect, parsed.rules[0].1.matching), (Effect::Allow, Match::Exact));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"|^@$.*/\n# a1:".to_vec())], 0..200),
        ) {
            for (_, format) in Format::WORDS {
                let _ = parse(&bytes, format, None, Effect::Block);
            }
        }
    }
}
