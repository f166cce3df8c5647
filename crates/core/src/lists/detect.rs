//! Detects the format of a list from all of its lines.
//!
//! For each format and line it is checked whether the format can read the line, and whether only this format
//! writes it that way. The format that can read the most lines is chosen. Some lines settle the format
//! (`[Adblock Plus 2.0]`, a SOA record) unless most others contradict them.

use super::detected::Detected;
use super::hosts::is_entry;
use super::network::is_alone;
use crate::rule::Format;

/// How a format sees a line of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// The format has no such line.
    No,
    /// The format can read the line, and so can others.
    Reads,
    /// The line is written as only this format writes it.
    Own,
    /// The line settles the format of the whole file.
    Certain,
}

/// A format that can be detected.
struct Candidate {
    format: Format,
    fit: fn(&str) -> Fit,
    /// Lines that only this format has count if at least one in this many lines is such. The format reads plain
    /// names in its own way, and a few stray lines must not cause that. 0: names alone suffice.
    one_in: u32,
}

/// The formats. If two read equally many lines, and have equally many of their own, the earlier one wins.
const CANDIDATES: [Candidate; 10] = [
    Candidate { format: Format::Domains, fit: domains, one_in: 0 },
    Candidate { format: Format::Hosts, fit: hosts, one_in: u32::MAX },
    Candidate { format: Format::AdGuard, fit: adguard, one_in: 500 },
    Candidate { format: Format::Wildcard, fit: wildcard, one_in: u32::MAX },
    Candidate { format: Format::V2fly, fit: v2fly, one_in: u32::MAX },
    Candidate { format: Format::Dnscrypt, fit: dnscrypt, one_in: u32::MAX },
    // Nearly any line is an expression of some kind.
    Candidate { format: Format::Regex, fit: regex, one_in: 3 },
    Candidate { format: Format::Dnsmasq, fit: dnsmasq, one_in: u32::MAX },
    Candidate { format: Format::Unbound, fit: unbound, one_in: u32::MAX },
    Candidate { format: Format::Rpz, fit: rpz, one_in: u32::MAX },
];

/// Examines a list, in chunks of any size.
#[derive(Clone, Default)]
pub(super) struct Detector {
    tallies: [Tally; CANDIDATES.len()],
    /// How many lines are like each of [`COMMON`].
    common: [u32; COMMON.len()],
    /// Lines that are neither blank nor comments nor addresses.
    lines: u32,
    /// The line that the last chunk cut, or its beginning.
    cut: Vec<u8>,
}

/// How a format fits the lines so far.
#[derive(Clone, Copy, Default)]
struct Tally {
    reads: u32,
    own: u32,
    certain: bool,
}

/// Lines as most lists have them; each stands for its kind, so that the formats see it only once.
const COMMON: [&str; 4] = ["a.example", "||a.example^", "0.0.0.0 a.example", "127.0.0.1 a.example"];

/// Octets of a line that are examined; the rest does not change the result.
const EXAMINED: usize = 256;

impl Detector {
    /// Takes the next chunk.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(end).unwrap_or_default();
            rest = after.get(1..).unwrap_or_default();
            if self.cut.is_empty() {
                self.line(line);
            } else {
                self.keep(line);
                let line = std::mem::take(&mut self.cut);
                self.line(&line);
            }
        }
        self.keep(rest);
    }

    fn keep(&mut self, line: &[u8]) {
        let room = EXAMINED.saturating_sub(self.cut.len());
        self.cut.extend_from_slice(line.get(..line.len().min(room)).unwrap_or_default());
    }

    fn line(&mut self, line: &[u8]) {
        let line = line.get(..line.len().min(EXAMINED)).unwrap_or_default().trim_ascii();
        if let Some(kind) = common(line)
            && let Some(count) = self.common.get_mut(kind)
        {
            *count = count.saturating_add(1);
            self.lines = self.lines.saturating_add(1);
            return;
        }
        self.other(line);
    }

    fn other(&mut self, line: &[u8]) {
        let header = is_header(line);
        if line.is_empty() || (is_comment(line, Format::Auto) && !header) {
            return;
        }
        let text = String::from_utf8_lossy(line);
        if is_alone(&text) {
            return;
        }
        // The header is a comment that says which format this is.
        self.lines = self.lines.saturating_add(u32::from(!header));
        for (tally, candidate) in self.tallies.iter_mut().zip(&CANDIDATES) {
            let fit = (candidate.fit)(&text);
            tally.certain |= fit == Fit::Certain;
            if !header {
                tally.add(fit, 1);
            }
        }
    }

    /// The format of a whole list.
    pub(super) fn finish(mut self) -> Detected {
        let last = std::mem::take(&mut self.cut);
        self.line(&last);
        let mut all = self.tallies;
        for (count, line) in self.common.iter().zip(COMMON) {
            for (tally, candidate) in all.iter_mut().zip(&CANDIDATES) {
                tally.add((candidate.fit)(line), *count);
            }
        }
        let lines = self.lines;
        let mut ranked: Vec<(&Candidate, Tally)> = CANDIDATES.iter().zip(all).collect();
        // The sort is stable, so that among equals the earlier in the table stays first.
        ranked.sort_by_key(|(_, tally)| std::cmp::Reverse((tally.reads, tally.own)));
        let has_own = |(candidate, tally): &&(&Candidate, Tally)| match candidate.one_in {
            0 => tally.reads > 0,
            one_in => tally.own > 0 && tally.own >= lines / one_in,
        };
        let most = |tally: &Tally| tally.reads >= lines - lines / 2;
        let certain = ranked.iter().find(|(_, tally)| tally.certain && most(tally));
        let own = ranked.iter().find(has_own).filter(|(_, tally)| most(tally));
        // A format without lines of its own is better than one that can't read most lines.
        let any = ranked.first().filter(|(_, tally)| tally.reads > 0);
        let Some((best, tally)) = certain.or(own).or(any) else {
            return Detected { format: Format::Domains, lines, read: 0, certain: false, runner_up: None };
        };
        let runner_up = ranked
            .iter()
            .filter(|(other, tally)| other.format != best.format && tally.reads > 0)
            .find(|each| has_own(each));
        Detected {
            format: best.format,
            lines,
            read: tally.reads,
            certain: certain.is_some(),
            runner_up: runner_up.map(|(other, tally)| (other.format, tally.reads)),
        }
    }
}

impl Tally {
    fn add(&mut self, fit: Fit, count: u32) {
        if fit >= Fit::Reads {
            self.reads = self.reads.saturating_add(count);
        }
        if fit >= Fit::Own {
            self.own = self.own.saturating_add(count);
        }
    }
}

/// Which of [`COMMON`] a line is like.
fn common(line: &[u8]) -> Option<usize> {
    let start = |start: &[u8]| line.strip_prefix(start).filter(|name| is_plain(name));
    match line.first()? {
        b'|' => line.strip_prefix(b"||")?.strip_suffix(b"^").filter(|name| is_plain(name)).map(|_| 1),
        b'0' if line.starts_with(b"0.0.0.0 ") => start(b"0.0.0.0 ").map(|_| 2),
        b'1' if line.starts_with(b"127.0.0.1 ") => start(b"127.0.0.1 ").map(|_| 3),
        _ => is_plain(line).then_some(0),
    }
}

/// A host name of several labels, such as `ads.example.org`: no format disputes it.
fn is_plain(name: &[u8]) -> bool {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return false };
    // The loop visits all octets, so that the compiler can vectorise it.
    let known = name.iter().fold(true, |known, b| known & PLAIN.get(usize::from(*b)).is_some_and(|p| *p));
    known && first.is_ascii_alphanumeric() && last.is_ascii_alphabetic() && name.contains(&b'.')
}

static PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut octet = 0;
    #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "when compiled")]
    while octet < 256 {
        let byte = octet as u8;
        plain[octet] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        octet += 1;
    }
    plain
};

//--- Comments ------------------------------------------------------------------------------------

/// `#` begins comments in every format, `!` and `;` in most; but `##` begins a cosmetic rule.
pub(super) fn is_comment(line: &[u8], format: Format) -> bool {
    match (line, format) {
        ([b'#', b'#' | b'@' | b'%' | b'$' | b'?', ..], Format::AdGuard | Format::Auto) => is_banner(line),
        (_, Format::Rpz) => line.trim_ascii_start().starts_with(b";"),
        ([b'#' | b'!' | b';', ..], _) => true,
        ([b'[', ..], Format::AdGuard | Format::Auto) => is_header(line),
        _ => false,
    }
}

/// A line of `#` only, or `#` around words: a heading above a list. In a cosmetic rule a selector follows
/// immediately.
fn is_banner(line: &[u8]) -> bool {
    let rest = line.iter().position(|b| *b != b'#').and_then(|at| line.get(at..));
    rest.is_none_or(|rest| matches!(rest, [b' ' | b'\t' | b'=' | b'-' | b'*', ..]))
}

/// `[Adblock Plus 2.0]`, `[AdGuard]`, `[uBlock Origin]`: the first line of a filter.
fn is_header(line: &[u8]) -> bool {
    let Some(inside) = line.strip_prefix(b"[").and_then(|l| l.strip_suffix(b"]")) else { return false };
    let word = inside.split(|b| *b == b' ').next().unwrap_or_default();
    [&b"adblock"[..], b"adguard", b"ublock", b"ubo"].iter().any(|name| name.eq_ignore_ascii_case(word))
}

//--- One function per format ---------------------------------------------------------------------

/// One name, and nothing else before a comment.
fn domains(line: &str) -> Fit {
    let below =
        |word: &str| word.strip_prefix("*.").or(word.strip_prefix('.')).map_or(is_name(word), is_name);
    if word(line).is_some_and(below) { Fit::Reads } else { Fit::No }
}

/// A name, or one with asterisks.
fn wildcard(line: &str) -> Fit {
    let Some(word) = word(line).filter(|word| word.contains('*')) else { return domains(line) };
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.*".contains(&b) || b >= 0x80;
    if word.bytes().all(known) && word.bytes().any(|b| b.is_ascii_alphanumeric()) {
        Fit::Own
    } else {
        Fit::No
    }
}

/// An address, and at least one name.
fn hosts(line: &str) -> Fit {
    if is_entry(line) { Fit::Own } else { Fit::No }
}

/// `||name^`, `@@`, `$modifier`, cosmetic rules; also hosts lines, names and parts of names.
fn adguard(line: &str) -> Fit {
    /// The words before which a `$` begins modifiers; the first are those of DNS filters.
    const MODIFIERS: [&str; 22] = [
        "important",
        "badfilter",
        "client",
        "ctag",
        "denyallow",
        "dnstype",
        "dnsrewrite",
        "third-party",
        "3p",
        "first-party",
        "domain",
        "script",
        "image",
        "stylesheet",
        "popup",
        "document",
        "all",
        "subdocument",
        "xmlhttprequest",
        "media",
        "match-case",
        "network",
    ];
    if is_header(line.as_bytes()) {
        return Fit::Certain;
    }
    let marked = |at: usize| {
        let rest = line.get(at + 1..).unwrap_or_default();
        let rest = rest.strip_prefix('~').unwrap_or(rest);
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        at > 0 && rest.get(..end).is_some_and(|name| MODIFIERS.contains(&name))
    };
    let cosmetic = ["##", "#@#", "#?#", "#$#", "#%#", "#@?#", "#@$#", "#@%#"].iter().any(|mark| {
        // After white space `##` begins a comment.
        line.find(mark).is_some_and(|at| !line.get(..at).is_some_and(|before| before.ends_with([' ', '\t'])))
    });
    if line.starts_with("||") || line.starts_with("@@") || line.ends_with('^') || cosmetic {
        return Fit::Own;
    }
    if line.match_indices('$').any(|(at, _)| marked(at)) || (line.starts_with('|') && line.ends_with('|')) {
        return Fit::Own;
    }
    if line.len() > 2 && line.starts_with('/') && line.ends_with('/') {
        return Fit::Own;
    }
    if hosts(line) == Fit::Own {
        return Fit::Reads;
    }
    let part = |b: u8| b.is_ascii_alphanumeric() || b"-_.*^|/:?&=%~".contains(&b) || b >= 0x80;
    let reads =
        word(line).is_some_and(|w| w.bytes().all(part) && w.bytes().any(|b| b.is_ascii_alphanumeric()));
    let others = [dnsmasq, v2fly, dnscrypt].iter().any(|fit| fit(line) == Fit::Own);
    if reads && !others { Fit::Reads } else { Fit::No }
}

/// Names, and `full:name` and its like.
fn v2fly(line: &str) -> Fit {
    if super::v2fly::is_mark(line) {
        return Fit::Own;
    }
    // `name @attribute`
    let name = line.split_once(" @").map_or(line, |(name, _)| name);
    if name.contains('*') { Fit::No } else { domains(name) }
}

/// Names, those with asterisks too, and `=name` and its like.
fn dnscrypt(line: &str) -> Fit {
    if super::dnscrypt::is_mark(line) {
        return Fit::Own;
    }
    wildcard(line).min(Fit::Reads)
}

/// Expressions.
fn regex(line: &str) -> Fit {
    if super::regex::is_expression(line) {
        return Fit::Own;
    }
    if line.starts_with(['/', '|', '@', '*']) { Fit::No } else { domains(line) }
}

/// `address=/name/…` and its like.
fn dnsmasq(line: &str) -> Fit {
    let Some((directive, value)) = line.strip_prefix("--").unwrap_or(line).split_once('=') else {
        return Fit::No;
    };
    let (directive, value) = (directive.trim(), value.trim().trim_start_matches('"'));
    let word = !directive.is_empty() && directive.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    match directive {
        "address" | "server" | "local" | "ipset" | "nftset" | "rebind-domain-ok"
            if value.starts_with('/') =>
        {
            Fit::Own
        }
        _ if word && !value.is_empty() => Fit::Reads,
        _ => Fit::No,
    }
}

/// `local-zone:` and its like.
fn unbound(line: &str) -> Fit {
    let Some((option, value)) = line.split_once(':') else { return Fit::No };
    let word = !option.is_empty() && option.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    match option {
        "local-zone" | "local-data" | "local-data-ptr" | "local-zone-tag" | "local-zone-override" => Fit::Own,
        "server" | "view" | "forward-zone" | "stub-zone" | "auth-zone" | "remote-control"
            if value.trim().is_empty() || value.trim_start().starts_with('#') =>
        {
            Fit::Own
        }
        // Other formats have words before a colon, but nothing between it and the value.
        _ if word && value.starts_with([' ', '\t', '"']) => Fit::Reads,
        _ => Fit::No,
    }
}

/// Records: an owner, perhaps a TTL and a class, a type, and data.
fn rpz(line: &str) -> Fit {
    const TYPES: [&str; 10] = ["CNAME", "A", "AAAA", "TXT", "NS", "MX", "SRV", "PTR", "HTTPS", "DNAME"];
    let line = line.split(';').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    if ["$TTL", "$ORIGIN"].iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return if words.next().is_some() { Fit::Certain } else { Fit::No };
    }
    // White space stands for the previous owner.
    let rest: Vec<&str> = std::iter::once(first).chain(words).take(5).collect();
    let is = |word: &str, types: &[&str]| types.iter().any(|t| t.eq_ignore_ascii_case(word));
    let before = |word: &&str| is(word, &["IN"]) || word.starts_with(|c: char| c.is_ascii_digit());
    for owner in 0..2 {
        let mut words = rest.iter().skip(owner).skip_while(|word| before(word));
        let rtype = words.next().copied().unwrap_or_default();
        if is(rtype, &["SOA"]) && words.next().is_some() {
            return Fit::Certain;
        }
        if is(rtype, &TYPES) && words.next().is_some() {
            return Fit::Own;
        }
    }
    // The numbers of a SOA record on lines of their own.
    let number = |word: &&str| word.bytes().all(|b| b.is_ascii_digit() || b"()smhdwSMHDW".contains(&b));
    if !rest.is_empty() && rest.iter().all(number) && !first.starts_with(char::is_alphabetic) {
        Fit::Reads
    } else {
        Fit::No
    }
}

/// The only word before a comment.
fn word(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let word = words.next()?;
    words.next().is_none_or(|next| next.starts_with('#')).then_some(word)
}

/// A name that a host can have.
fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || !c.is_ascii();
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(known)
    };
    text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lists::{ReadError, Reader, parse};
    use crate::rule::Effect;

    fn detected(text: &str) -> Detected {
        let mut detector = Detector::default();
        text.as_bytes().chunks(1000).for_each(|piece| detector.feed(piece));
        detector.finish()
    }

    fn many(line: &str, count: usize) -> String {
        (0..count).map(|n| line.replace('#', &n.to_string()) + "\n").collect()
    }

    /// Lines as each format has them.
    const LINES: [(Format, &str); 10] = [
        (Format::Domains, "bad#.example"),
        (Format::Hosts, "0.0.0.0 bad#.example"),
        (Format::AdGuard, "||bad#.example^"),
        (Format::Wildcard, "*.bad#.example"),
        (Format::Dnsmasq, "address=/bad#.example/0.0.0.0"),
        (Format::Unbound, "local-zone: \"bad#.example\" always_nxdomain"),
        (Format::Rpz, "bad#.example CNAME ."),
        (Format::Regex, "^bad#[0-9]\\."),
        (Format::Dnscrypt, "=bad#.example"),
        (Format::V2fly, "full:bad#.example"),
    ];

    #[test]
    fn a_foreign_head_decides_nothing() {
        for (head, foreign) in LINES {
            for (format, line) in LINES {
                let text = many(foreign, 1000) + &many(line, 5000);
                let found = detected(&text);
                // The format of the first line reads these as well, and only it reads its own lines.
                let format = match (head, format) {
                    (Format::AdGuard, Format::Domains | Format::Hosts | Format::Wildcard) => Format::AdGuard,
                    (Format::Dnscrypt, Format::Domains | Format::Wildcard) => Format::Dnscrypt,
                    (Format::V2fly, Format::Domains) => Format::V2fly,
                    (Format::Wildcard, Format::Domains) => Format::Wildcard,
                    _ => format,
                };
                assert_eq!(found.format, format, "{head} before {line}: {found:?}");
            }
        }
    }

    #[test]
    fn comments_and_addresses_decide_nothing() {
        let zone = "$TTL 60\n@ SOA ns. host. 1 2 3 4 5\n";
        for (format, line) in LINES {
            for head in [
                "# ads.example\n",
                "! ads.example\n",
                "; ads.example\n",
                "192.0.2.1\n",
                "2001:db8::/32\n",
                "\n",
            ] {
                let text = head.repeat(20_000) + &many(line, 10);
                assert_eq!(detected(&text).format, format, "{head}{line}");
                assert_eq!(detected(&(many(line, 10) + &head.repeat(20_000))).format, format, "{line}{head}");
            }
        }
        let text = "; a comment\n".repeat(20_000) + zone + &many("bad#.example CNAME .", 2);
        let found = detected(&text);
        assert_eq!((found.format, found.certain, found.lines), (Format::Rpz, true, 4));
    }

    #[test]
    fn few_lines_of_another_format_decide_nothing() {
        for (text, format) in [
            (many("bad#.example", 10_000) + "||ads.example^\n", Format::Domains),
            (many("bad#.example", 10_000) + &many("||ads#.example^", 50), Format::AdGuard),
            (many("bad#.example", 400) + "||ads.example^\n", Format::AdGuard),
            (many("0.0.0.0 bad#.example", 10_000) + "ads.example\n", Format::Hosts),
            (many("bad#.example", 10_000) + "$TTL 60\n", Format::Domains),
            (many("-ad-banner-#-", 250) + &many("||bad#.example^", 5000), Format::AdGuard),
            (many("-ad-banner-#-", 250), Format::AdGuard),
            (many("! comment", 5) + &many("*-ad#.*", 400) + &many("||bad#.example^", 100), Format::AdGuard),
            ("[Adblock Plus 2.0]\n".to_owned() + &many("bad#.example", 10_000), Format::AdGuard),
            ("[Adblock Plus 2.0]\n".to_owned() + &many("local=/bad#.example/", 10), Format::Dnsmasq),
            (many("bad#.example", 5) + &many("192.0.2.#", 1000), Format::Domains),
            (many("bad#.example # why", 5), Format::Domains),
            (many("b\u{fc}cher#.example", 5), Format::Domains),
            (many("/^ads#\\./", 5), Format::AdGuard),
            ((many("example#.org@@.banner", 5).replace("@@", "##")), Format::AdGuard),
            (many("example.org$third-party", 5), Format::AdGuard),
            ("server:\n".to_owned() + &many("  local-zone: \"bad#.example\" static", 1), Format::Unbound),
        ] {
            let start: String = text.chars().take(60).collect();
            assert_eq!(detected(&text).format, format, "{start}");
        }
    }

    #[test]
    fn the_runner_up_is_a_format_that_the_list_has_lines_of() {
        let found = detected(&(many("bad#.example", 30) + &many("0.0.0.0 bad#.example", 70)));
        assert_eq!((found.format, found.read, found.lines), (Format::Hosts, 70, 100));
        assert_eq!(found.runner_up, Some((Format::Domains, 30)));
        assert_eq!(detected(&many("bad#.example", 30)).runner_up, None);
        assert_eq!(detected("").lines, 0);
    }

    /// A reader in chunks, as a file is read: a second pass if the first was in another format.
    #[test]
    fn a_list_with_a_misleading_head_is_read_again() {
        let text = many("-ad-banner-#-", 250) + &many("a#.example", 10_000) + &many("||bad#.example^", 5000);
        let read = |mut reader: Reader| {
            text.as_bytes().chunks(1 << 16).try_for_each(|piece| reader.feed(piece))?;
            reader.finish()
        };
        let reader = || Reader::new(Format::Auto, None, Effect::Block);
        let Err(ReadError::OtherFormat(found)) = read(reader()) else { panic!("read at once") };
        let list = read(reader().detected(found)).unwrap();
        assert_eq!((list.format, list.detected, list.skipped.len()), (Format::AdGuard, Some(found), 0));
        let whole = parse(text.as_bytes(), Format::Auto, None, Effect::Block).unwrap();
        assert_eq!((whole.format, whole.detected), (list.format, list.detected));
    }
}
