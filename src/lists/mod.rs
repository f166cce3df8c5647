//! Lists as operators have them: bytes → rules with their lines, and an account of every other line.
//!
//! A [`Reader`] takes a list in pieces of any size, so that neither a large file nor an endless line
//! is ever held whole. The first lines tell the format where none is given.

pub mod adguard;
mod detect;
pub mod dnsmasq;
pub mod domains;
pub mod hosts;
pub mod list;
pub mod rpz;
pub mod skip;
pub mod unbound;

use std::fmt;

pub use self::list::{List, NameRule};
pub use self::skip::{SkipReason, Skipped};
use crate::dns::name::{MAX_LABEL, MAX_NAME, NameBuf, NameError};
pub use crate::rule::Format;
use crate::rule::{Effect, Match, Pattern, Traits};

/// A line longer than this, in octets, is skipped unread; no rule is that long.
pub const MAX_LINE: usize = 8192;
/// Octets looked at to tell the format.
const HEAD: usize = 1 << 16;

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
            Self::Binary => "this is a binary file, not a list",
        })
    }
}

impl std::error::Error for NotAList {}

/// Reads a whole list that is in memory; see [`Reader::new`].
///
/// # Errors
/// [`NotAList`] for bytes that were never meant as one.
pub fn parse(bytes: &[u8], format: Format, plain: Option<Match>, effect: Effect) -> Result<List, NotAList> {
    let mut reader = Reader::new(format, plain, effect);
    reader.feed(bytes)?;
    reader.finish()
}

/// Reads one list, piece by piece.
pub struct Reader {
    list: List,
    /// How plain names match, where the configuration says so.
    plain: Option<Match>,
    traits: Traits,
    /// What is held back until the format is known; then the line that the last piece cut.
    held: Vec<u8>,
    /// What the formats that need it remember from line to line.
    state: Option<State>,
    /// Octets of the line under way that were let go because it is too long.
    overlong: bool,
}

/// What a format remembers from line to line.
enum State {
    Stateless,
    Rpz(rpz::State),
    Unbound(unbound::State),
}

impl Reader {
    /// Begins a list. Bad lines are kept with their reason and do not end it. `plain: None` takes the
    /// format's own meaning of plain names: exact for hosts and adguard, suffix for the others.
    /// `effect` is what a plain rule wants: the kind of the list.
    #[must_use]
    pub fn new(format: Format, plain: Option<Match>, effect: Effect) -> Self {
        let list = List::new(format);
        let (held, traits) = (Vec::new(), Traits::plain(effect));
        Self { list, plain, traits, held, state: None, overlong: false }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`NotAList`] for bytes that were never meant as one.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), NotAList> {
        if self.state.is_none() {
            self.held.extend_from_slice(piece);
            if self.held.len() < HEAD {
                return Ok(());
            }
            self.begin()?;
        } else {
            self.take(piece);
        }
        Ok(())
    }

    /// Takes what is left, and gives the list.
    ///
    /// # Errors
    /// [`NotAList`] for bytes that were never meant as one.
    pub fn finish(mut self) -> Result<List, NotAList> {
        if self.state.is_none() {
            self.begin()?;
        }
        let last = std::mem::take(&mut self.held);
        if !last.is_empty() || self.overlong {
            self.line(&last);
        }
        let (line, plain) = (self.list.lines, self.plain());
        let mut sink = Sink { line, raw: b"", plain, traits: &self.traits, list: &mut self.list, said: true };
        match &mut self.state {
            Some(State::Rpz(state)) => state.finish(&mut sink),
            Some(State::Unbound(state)) => state.finish(&mut sink),
            _ => {}
        }
        Ok(self.list)
    }

    /// Looks at the first octets: is it a list, and of which format?
    fn begin(&mut self) -> Result<(), NotAList> {
        let held = std::mem::take(&mut self.held);
        let bytes = held.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&held);
        detect::refuse(bytes)?;
        if self.list.format == Format::Auto {
            self.list.format = detect::format(bytes);
        }
        self.state = Some(match self.list.format {
            Format::Rpz => State::Rpz(rpz::State::default()),
            Format::Unbound => State::Unbound(unbound::State::default()),
            _ => State::Stateless,
        });
        self.take(bytes);
        Ok(())
    }

    fn take(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or_default();
            rest = after.get(1..).unwrap_or_default();
            if self.held.is_empty() {
                self.line(line);
            } else {
                let mut whole = std::mem::take(&mut self.held);
                whole.extend_from_slice(line.get(..line.len().min(MAX_LINE + 1)).unwrap_or_default());
                self.line(&whole);
                // The room is used again for the next line that is cut.
                whole.clear();
                self.held = whole;
            }
        }
        let room = (MAX_LINE + 1).saturating_sub(self.held.len());
        self.held.extend_from_slice(rest.get(..rest.len().min(room)).unwrap_or_default());
        self.overlong = self.held.len() > MAX_LINE;
    }

    fn plain(&self) -> Match {
        self.plain.unwrap_or(match self.list.format {
            Format::Hosts | Format::AdGuard => Match::Exact,
            _ => Match::Suffix,
        })
    }

    fn line(&mut self, raw: &[u8]) {
        self.list.lines = self.list.lines.saturating_add(1);
        let (line, plain) = (self.list.lines, self.plain());
        let format = self.list.format;
        let mut sink = Sink { line, raw, plain, traits: &self.traits, list: &mut self.list, said: false };
        if raw.len() > MAX_LINE {
            sink.skip(SkipReason::TooLong);
            return;
        }
        let text = raw.trim_ascii();
        // White space at the beginning of a line of a zone stands for the name before.
        let text = if format == Format::Rpz { raw.trim_ascii_end() } else { text };
        if text.is_empty() || is_comment(text, format) {
            sink.list.quiet += 1;
            return;
        }
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            // A comment behind a rule may be in any encoding.
            Err(error) => {
                let good = text.get(..error.valid_up_to()).unwrap_or_default();
                let good = std::str::from_utf8(good).unwrap_or_default();
                match good.find(" #") {
                    Some(comment) => good.get(..comment).unwrap_or_default(),
                    None => return sink.skip(SkipReason::Encoding),
                }
            }
        };
        match &mut self.state {
            Some(State::Rpz(state)) => state.line(text, &mut sink),
            Some(State::Unbound(state)) => state.line(text, &mut sink),
            _ => match format {
                Format::Hosts => hosts::line(text, &mut sink),
                Format::Wildcard => domains::wildcard_line(text, &mut sink),
                Format::AdGuard => adguard::line(text, &mut sink),
                Format::Dnsmasq => dnsmasq::line(text, &mut sink),
                _ => domains::line(text, &mut sink),
            },
        }
        if !sink.said {
            sink.list.quiet += 1;
        }
    }
}

/// Takes what one line gives.
pub struct Sink<'r> {
    line: u32,
    raw: &'r [u8],
    plain: Match,
    traits: &'r Traits,
    list: &'r mut List,
    said: bool,
}

impl Sink<'_> {
    /// How plain names match in this list.
    #[must_use]
    pub const fn plain(&self) -> Match {
        self.plain
    }

    /// The traits of a rule that says nothing of its own: the list's kind.
    #[must_use]
    pub fn traits(&self) -> Traits {
        self.traits.clone()
    }

    /// The line's number, from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// A rule on a name with the list's traits; the line is skipped with its reason if the text is
    /// not the name of a host.
    pub fn plain_name(&mut self, text: &str, matching: Match) {
        let traits = self.traits;
        self.name(text, matching, traits);
    }

    /// A rule on a name; the line is skipped with its reason if the text is not the name of a host.
    pub fn name(&mut self, text: &str, matching: Match, traits: &Traits) {
        let line = self.line;
        self.name_at(line, text, matching, traits);
    }

    /// Like [`Sink::name`], for a rule of an earlier line that only now is complete.
    pub fn name_at(&mut self, line: u32, text: &str, matching: Match, traits: &Traits) {
        self.said = true;
        let done = self.list.push_name(line, matching, traits, |names| push_host(text, names));
        if let Err(reason) = done {
            self.skip(reason);
        }
    }

    /// A rule that no name holds.
    pub fn pattern(&mut self, pattern: Pattern, traits: &Traits) {
        self.said = true;
        let number = self.list.traits_number(traits);
        self.list.patterns.push((self.line, pattern, number));
    }

    /// The line, or a name on it, gives no rule though it was meant to.
    pub fn skip(&mut self, reason: SkipReason) {
        self.said = true;
        let text = String::from_utf8_lossy(self.raw.get(..self.raw.len().min(80)).unwrap_or_default());
        let text = text.trim().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c });
        self.list.skipped.push(Skipped { line: self.line, text: text.collect(), reason });
    }
}

/// Appends the wire form of a host's name, in lower case.
fn push_host(text: &str, names: &mut Vec<u8>) -> Result<(), SkipReason> {
    let bytes = text.as_bytes();
    // A final dot has no meaning.
    let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
    let start = names.len();
    let mut digits_only = true;
    for label in bytes.split(|b| *b == b'.') {
        let (1..=MAX_LABEL, Ok(len)) = (label.len(), u8::try_from(label.len())) else {
            return slow_host(text, names, start);
        };
        names.push(len);
        for byte in label {
            if !(byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_') {
                return slow_host(text, names, start);
            }
            digits_only &= byte.is_ascii_digit();
            names.push(byte.to_ascii_lowercase());
        }
    }
    names.push(0);
    if names.len() - start > MAX_NAME {
        return Err(SkipReason::Name(NameError::NameTooLong));
    }
    if digits_only && text.parse::<std::net::IpAddr>().is_ok() {
        return Err(SkipReason::Address);
    }
    Ok(())
}

/// The same for text that is not plainly a host's name: other scripts, or something wrong.
#[cold]
fn slow_host(text: &str, names: &mut Vec<u8>, start: usize) -> Result<(), SkipReason> {
    names.truncate(start);
    if text.parse::<std::net::IpAddr>().is_ok() {
        return Err(SkipReason::Address);
    }
    let name = NameBuf::from_text(text).map_err(SkipReason::Name)?;
    // A stray dot must not block everything, nor may a rule of another syntax pass for a name that
    // nobody asks for.
    let mut bytes = name.as_name().labels().flatten();
    if name.as_name().is_root() || !bytes.all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)) {
        return Err(SkipReason::NotAHostName);
    }
    names.extend_from_slice(name.as_bytes());
    Ok(())
}

/// `#` begins comments in every format, `!` and `;` in most; but `##` is a rule for pages.
fn is_comment(line: &[u8], format: Format) -> bool {
    match (line, format) {
        ([b'#', b'#' | b'@' | b'%' | b'$' | b'?', ..], Format::AdGuard | Format::Auto) => false,
        (_, Format::Rpz) => line.trim_ascii_start().starts_with(b";"),
        ([b'#' | b'!' | b';', ..], _) => true,
        _ => false,
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
