//! Reads a list in chunks: splits lines and passes each to the parser of its format.

use super::attributes::Attributes;
use super::budget::{Budget, Exceeded};
use super::condition::Conditions;
use super::detect::{Detector, is_comment};
use super::detected::Detected;
use super::foreign::{self, NotAList};
use super::list::List;
use super::sink::Sink;
use super::skip::{MAX_LINE, SkipReason};
use super::{addresses, adguard, comment, dnscrypt, dnsmasq, domains, hosts, regex, rpz, unbound, v2fly};
use crate::rule::{Effect, Format, Match, Traits};

/// How many octets are held back to guess the format; the whole list confirms the guess.
const HEAD: usize = 1 << 16;

impl List {
    /// Reads a complete list in memory: the format is detected from its lines, and plain names match as the
    /// format defines. `effect` is the effect of a plain rule: the kind of the list.
    ///
    /// # Errors
    /// [`NotAList`] for input that is not a list.
    pub fn parse(bytes: impl AsRef<[u8]>, effect: Effect) -> Result<Self, NotAList> {
        parse(bytes.as_ref(), Format::Auto, None, effect)
    }
}

/// Reads a complete list in memory, in a given format; see [`Reader::new`].
///
/// # Errors
/// [`NotAList`] for input that is not a list.
pub fn parse(bytes: &[u8], format: Format, plain: Option<Match>, effect: Effect) -> Result<List, NotAList> {
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    foreign::refuse(bytes)?;
    let detected = (format == Format::Auto).then(|| {
        let mut detector = Detector::default();
        detector.feed(bytes);
        detector.finish()
    });
    let format = detected.map_or(format, |detected| detected.format);
    let mut reader = Reader::new(format, plain, effect).within(Budget::NONE);
    let read = reader.feed(bytes).and_then(|()| reader.finish());
    match read {
        Ok(mut list) => {
            list.detected = detected;
            Ok(list)
        }
        Err(ReadError::NotAList(error)) => Err(error),
        // Neither can happen to a list without bounds in a given format.
        Err(ReadError::TooMuch(_) | ReadError::OtherFormat(_)) => Err(NotAList::Binary),
    }
}

/// A mark that some programs put before UTF-8 text.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Why a [`Reader`] gives no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is not a list.
    #[error(transparent)]
    NotAList(#[from] NotAList),
    /// It exceeds its budget.
    #[error(transparent)]
    TooMuch(#[from] Exceeded),
    /// The whole list shows a different format from its beginning. Read it again, with [`Reader::detected`].
    #[error("the list is in the format {}, which its beginning does not show", .0.format)]
    OtherFormat(Detected),
}

/// How the addresses in a list are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// A line that is an address or a network is a rule for answers. A hosts file names what to block.
    #[default]
    AsRules,
    /// Every line is an address or a network.
    Only,
    /// A hosts file is data to answer with.
    Answer,
}

/// Reads one list in chunks.
pub struct Reader {
    list: List,
    budget: Budget,
    /// Examines all lines, if the format is to be detected.
    detector: Option<Detector>,
    /// How plain names match, if the configuration says so.
    plain: Option<Match>,
    addresses: Addresses,
    traits: Traits,
    /// Input held back until the format is known; later, the line that the last chunk cut.
    held: Vec<u8>,
    /// The state that some formats keep from line to line.
    state: Option<State>,
    /// Whether the start of the current line was discarded because it is too long.
    overlong: bool,
    /// The rules that the list takes, by their attributes.
    chosen: Attributes,
    /// The conditions of an adguard list that the next line is under.
    conditions: Conditions,
}

/// The state that a format keeps from line to line.
enum State {
    Stateless,
    Rpz(rpz::State),
    Unbound(unbound::State),
}

impl Reader {
    /// Begins a list with the default [`Budget`]. Bad lines are recorded with their reason and do not end it.
    /// `plain: None` takes the format's own meaning of plain names: exact for hosts, adguard and rpz, suffix
    /// for the others; so does `Subdomains`, by which `*.name` is only what is below the name. `effect` is the
    /// effect of a plain rule: the kind of the list.
    #[must_use]
    pub fn new(format: Format, plain: Option<Match>, effect: Effect) -> Self {
        let mut list = List::new(format);
        list.below = plain == Some(Match::Subdomains);
        let plain = plain.filter(|_| !list.below);
        let (held, traits) = (Vec::new(), Traits::plain(effect));
        let detector = (format == Format::Auto).then(Detector::default);
        let budget = Budget::default();
        Self {
            list,
            budget,
            detector,
            plain,
            addresses: Addresses::default(),
            traits,
            held,
            state: None,
            overlong: false,
            chosen: Attributes::default(),
            conditions: Conditions::default(),
        }
    }

    /// With other bounds.
    #[must_use]
    pub fn within(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self.list.kept = budget.kept;
        self
    }

    /// In the format that an earlier reading of the list has shown.
    #[must_use]
    pub fn detected(mut self, detected: Detected) -> Self {
        self.list.format = detected.format;
        self.list.detected = Some(detected);
        self.detector = None;
        self
    }

    /// Reads addresses in another way.
    #[must_use]
    pub fn with_addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        match addresses {
            Addresses::AsRules => {}
            Addresses::Only => self.list.format = Format::Domains,
            Addresses::Answer => self.list.format = Format::Hosts,
        }
        self
    }

    /// The same, with schedules by which lines can limit their rules to some times; those rules go to
    /// [`List::timed`]. A line with a schedule that is not among them gives no rule.
    #[must_use]
    pub fn with_schedules(mut self, names: impl IntoIterator<Item = String>) -> Self {
        let format = self.list.format;
        self.list.timed = names.into_iter().map(|name| (name, List::new(format))).collect();
        self.list.timed.values_mut().for_each(|part| part.below = self.list.below);
        self
    }

    /// The same, for a list that takes only the rules with some attributes.
    #[must_use]
    pub fn with_attributes(mut self, chosen: Attributes) -> Self {
        self.chosen = chosen;
        self
    }

    /// Takes the next chunk.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), ReadError> {
        self.list.spent.octets = self.list.spent.octets.saturating_add(piece.len() as u64);
        if self.state.is_none() {
            self.held.extend_from_slice(piece);
            if self.held.len() < HEAD {
                return Ok(());
            }
            self.begin()
        } else {
            if let Some(detector) = &mut self.detector {
                detector.feed(piece);
            }
            self.take(piece)
        }
    }

    /// Handles the remaining input, and returns the list.
    ///
    /// # Errors
    /// [`ReadError`]; of a list whose format is detected also [`ReadError::OtherFormat`].
    pub fn finish(mut self) -> Result<List, ReadError> {
        if self.state.is_none() {
            self.begin()?;
        }
        if let Some(detector) = self.detector.take() {
            let detected = detector.finish();
            if detected.format != self.list.format {
                return Err(ReadError::OtherFormat(detected));
            }
            self.list.detected = Some(detected);
        }
        let last = std::mem::take(&mut self.held);
        if !last.is_empty() || self.overlong {
            self.line(&last);
            self.check()?;
        }
        let (line, plain) = (self.list.lines, self.plain());
        let (traits, list) = (&self.traits, &mut self.list);
        let mut sink = Sink { line, raw: b"", plain, traits, list, handled: true, answers: false };
        match &mut self.state {
            Some(State::Rpz(state)) => state.finish(&mut sink),
            Some(State::Unbound(state)) => state.finish(&mut sink),
            _ => {}
        }
        self.list.timed.retain(|_, part| part.name_count() + part.patterns.len() > 0);
        for part in self.list.timed.values_mut() {
            (part.format, part.lines, part.blank) = (self.list.format, self.list.lines, self.list.lines);
        }
        Ok(self.list)
    }

    /// Examines the first octets: whether this is a list, and probably in which format.
    fn begin(&mut self) -> Result<(), ReadError> {
        let held = std::mem::take(&mut self.held);
        let bytes = held.strip_prefix(BOM).unwrap_or(&held);
        foreign::refuse(bytes)?;
        if let Some(detector) = &mut self.detector {
            detector.feed(bytes);
            self.list.format = detector.clone().finish().format;
        }
        self.traits.closest = matches!(self.list.format, Format::Rpz | Format::Unbound | Format::Dnsmasq);
        self.state = Some(match self.list.format {
            Format::Rpz => State::Rpz(rpz::State::default()),
            Format::Unbound => State::Unbound(unbound::State::default()),
            _ => State::Stateless,
        });
        self.take(bytes)
    }

    fn take(&mut self, piece: &[u8]) -> Result<(), ReadError> {
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
                // The buffer is reused for the next line that is cut.
                whole.clear();
                self.held = whole;
            }
            self.check()?;
        }
        let room = (MAX_LINE + 1).saturating_sub(self.held.len());
        self.held.extend_from_slice(rest.get(..rest.len().min(room)).unwrap_or_default());
        self.overlong = self.held.len() > MAX_LINE;
        Ok(())
    }

    fn check(&self) -> Result<(), Exceeded> {
        self.budget.exceeded(&self.list.spent, self.list.lines, self.rules())
    }

    fn plain(&self) -> Match {
        self.plain.unwrap_or(match self.list.format {
            Format::Hosts | Format::AdGuard | Format::Rpz => Match::Exact,
            _ => Match::Suffix,
        })
    }

    fn line(&mut self, raw: &[u8]) {
        self.list.lines = self.list.lines.saturating_add(1);
        let before = (self.rules(), self.list.unkept);
        self.read(raw);
        // A line counts once, and not at all if it gave a rule.
        let grown = self.rules() > before.0;
        self.list.unkept.count_once(before.1, grown);
    }

    fn rules(&self) -> usize {
        self.list.rule_count() + self.list.timed.values().map(List::rule_count).sum::<usize>()
    }

    fn read(&mut self, raw: &[u8]) {
        let (line, plain) = (self.list.lines, self.plain());
        let format = self.list.format;
        let answers = self.addresses == Addresses::Answer;
        let (traits, list) = (&self.traits, &mut self.list);
        let mut sink = Sink { line, raw, plain, traits, list, handled: false, answers };
        if raw.len() > MAX_LINE {
            sink.skip(SkipReason::TooLong);
            return;
        }
        let text = raw.trim_ascii();
        // In a zone, white space at the beginning of a line means the previous owner.
        let text = if format == Format::Rpz { raw.trim_ascii_end() } else { text };
        if format == Format::AdGuard
            && let Some(reason) = self.conditions.line(text)
        {
            return sink.skip(reason);
        }
        if text.is_empty() || is_comment(text, format) {
            sink.list.blank += 1;
            return;
        }
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            // A comment after a rule may be in any encoding.
            Err(error) => {
                let good = text.get(..error.valid_up_to()).unwrap_or_default();
                let good = std::str::from_utf8(good).unwrap_or_default();
                let comment = if format == Format::Rpz { good.find(';') } else { comment::start(good) };
                match comment {
                    Some(comment) => good.get(..comment).unwrap_or_default(),
                    None => return sink.skip(SkipReason::Encoding),
                }
            }
        };
        match &mut self.state {
            Some(State::Rpz(state)) => state.line(text, &mut sink),
            Some(State::Unbound(state)) => state.line(text, &mut sink),
            _ if self.addresses == Addresses::Only => addresses::line(text, &mut sink),
            _ => match format {
                Format::Hosts => hosts::line(text, &mut sink),
                Format::Wildcard => domains::wildcard_line(text, &mut sink),
                Format::AdGuard => adguard::line(text, &mut sink),
                Format::Dnsmasq => dnsmasq::line(text, &mut sink),
                Format::Regex => regex::line(text, &mut sink),
                Format::Dnscrypt => dnscrypt::line(text, &mut sink),
                Format::V2fly => v2fly::line(text, &self.chosen, &mut sink),
                _ => domains::line(text, &mut sink),
            },
        }
        if !sink.handled {
            sink.list.blank += 1;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rule::modifiers;
    use proptest::prelude::*;

    fn show(list: &List) -> Vec<String> {
        let names = list.rules().map(|r| {
            let rule = match r.matching {
                Match::Exact => format!("|{}|", r.name),
                Match::Suffix => format!("||{}^", r.name),
                Match::Subdomains => format!("||*.{}^", r.name),
            };
            (r.line, rule, r.traits)
        });
        let patterns = list.patterns.iter().map(|(line, p, t)| (*line, format!("pattern {p}"), *t));
        let addresses = list.addresses.iter().map(|(line, n, t)| (*line, format!("address {n}"), *t));
        let mut out: Vec<(u32, String)> = names
            .chain(patterns)
            .chain(addresses)
            .map(|(line, rule, traits)| {
                let traits = &list.traits[traits as usize];
                let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
                (line, format!("{allow}{rule}{}", modifiers(traits)))
            })
            .chain(list.skipped.iter().map(|s| (s.line, format!("! {}", s.reason))))
            .collect();
        out.sort_by_key(|(line, _)| *line);
        out.into_iter().map(|(line, text)| format!("{line}:{text}")).collect()
    }

    /// What each line gives, as this program writes it.
    pub(in super::super) fn read(text: &str, format: Format) -> Vec<String> {
        show(&parse(text.as_bytes(), format, None, Effect::Block).unwrap())
    }

    #[test]
    fn each_format_reads_its_own() {
        let not_a_name = "1:! not a name that a host can have; is the format right?";
        for (format, text, expected) in [
            (Format::Hosts, "0.0.0.0 a.org", vec!["1:|a.org|"]),
            (Format::Hosts, "127.0.0.1 a.org b.org # c.org", vec!["1:|a.org|", "1:|b.org|"]),
            (Format::Hosts, "::1\tA.Org.", vec!["1:|a.org|"]),
            (Format::Hosts, "0.0.0.0 a.org#comment", vec!["1:|a.org|"]),
            (Format::Hosts, "192.0.2.7 a.org", vec!["1:|a.org|"]),
            (Format::Hosts, "127.0.0.1 localhost\n::1 ip6-localhost\n0.0.0.0 0.0.0.0", vec![]),
            (Format::Hosts, "0 a.org\nfe80::1%lo0 b.org localhost", vec!["1:|a.org|", "2:|b.org|"]),
            (Format::Hosts, "a.org", vec!["1:! a hosts line begins with an address, and `a.org` is not one"]),
            (Format::Hosts, "0.0.0.0", vec!["1:! an address without a name"]),
            (Format::Domains, "a.org\nb.org # why", vec!["1:||a.org^", "2:||b.org^"]),
            (Format::Domains, "a.org b.org", vec!["1:! more than one name on the line"]),
            (Format::Domains, "192.0.2.1", vec!["1:address 192.0.2.1/32"]),
            (Format::Domains, "192.0.2.0/24 # why", vec!["1:address 192.0.2.0/24"]),
            (Format::Domains, "@@2001:db8::1", vec!["1:@@address 2001:db8::1/128"]),
            (Format::Domains, "*", vec!["1:||.^"]),
            (Format::Hosts, "192.0.2.7", vec!["1:address 192.0.2.7/32"]),
            (Format::Hosts, "@@192.0.2.0/28", vec!["1:@@address 192.0.2.0/28"]),
            (Format::Wildcard, "192.0.2.*", vec!["1:address 192.0.2.0/24"]),
            (Format::Domains, "||a.org^", vec![not_a_name]),
            (Format::Domains, "bücher.example", vec!["1:||xn--bcher-kva.example^"]),
            (Format::Domains, "*.a.org\n*.b.org # why", vec!["1:||a.org^", "2:||b.org^"]),
            (Format::Domains, "*.", vec!["1:! a label is empty"]),
            (Format::Domains, "a*.org", vec![not_a_name]),
            (Format::Hosts, "0.0.0.0 *.a.org b.org", vec!["1:||a.org^", "1:|b.org|"]),
            (Format::Domains, ".a.org", vec!["1:||a.org^"]),
            (Format::Domains, ".", vec![not_a_name]),
            (Format::Wildcard, "*.a.org\nb.org", vec!["1:||a.org^", "2:||b.org^"]),
            (Format::Wildcard, "*.a.org # why\n.b.org", vec!["1:||a.org^", "2:||b.org^"]),
            (Format::Wildcard, "*.*.org\n*ads.org", vec!["1:pattern |*.*.org^", "2:pattern |*ads.org^"]),
            (Format::Wildcard, "ads*.a.org", vec!["1:pattern |ads*.a.org^"]),
            (Format::Wildcard, "*", vec!["1:||.^"]),
            (Format::Wildcard, "*.*", vec!["1:! would match every name"]),
            (Format::Dnsmasq, "address=/a.org/", vec!["1:||a.org^"]),
            (Format::Dnsmasq, "address=/.a.org/*.b.org/", vec!["1:||a.org^", "1:||*.b.org^"]),
            (Format::Dnsmasq, "address=/*ads.org/", vec!["1:pattern ads.org^"]),
            (Format::Dnsmasq, "address=/a.org/#", vec!["1:||a.org^$(null)"]),
            (
                Format::Dnsmasq,
                "address=/a.org/0.0.0.0\naddress=/a.org/::",
                vec!["1:||a.org^$dnstype=A|SVCB|HTTPS,(null)", "2:||a.org^$dnstype=AAAA|SVCB|HTTPS,(null)"],
            ),
            (
                Format::Dnsmasq,
                "address=/a.org/b.org/192.0.2.1",
                vec![
                    "1:||a.org^$dnstype=A|SVCB|HTTPS,(address 192.0.2.1)",
                    "1:||b.org^$dnstype=A|SVCB|HTTPS,(address 192.0.2.1)",
                ],
            ),
            (
                Format::Dnsmasq,
                "address=/a.org/2001:db8::1",
                vec!["1:||a.org^$dnstype=AAAA|SVCB|HTTPS,(address 2001:db8::1)"],
            ),
            (
                Format::Dnsmasq,
                "server=/a.org/127.0.0.1\nserver=/b.org/::1#53\nlocal=/c.org/0.0.0.0 # why",
                vec!["1:||a.org^", "2:||b.org^", "3:||c.org^"],
            ),
            (
                Format::Dnsmasq,
                "server=/a.org/127.0.0.1#5353\nserver=/b.org/127.0.0.53\nserver=/c.org/127.0.0.1@eth0",
                vec![
                    "1:! not supported: a server for some names; that is forwarding, not blocking",
                    "2:! not supported: a server for some names; that is forwarding, not blocking",
                    "3:! not supported: a server for some names; that is forwarding, not blocking",
                ],
            ),
            (
                Format::Dnsmasq,
                "local=//\nserver=192.0.2.1\nrev-server=192.0.2.0/24,192.0.2.1\ndomain=a.org\nipset=/a.org/x",
                vec![
                    "1:! not supported: a rule for names without a dot",
                    "2:! not supported: a server for all names",
                    "3:! not supported: the directive `rev-server`",
                    "4:! not supported: the directive `domain`",
                    "5:! not supported: the directive `ipset`",
                ],
            ),
            (Format::Dnsmasq, "local=/a.org/\nserver=/b.org/", vec!["1:||a.org^", "2:||b.org^"]),
            (Format::Dnsmasq, "server=/a.org/#", vec!["1:@@||a.org^"]),
            (
                Format::Dnsmasq,
                "server=/a.org/192.0.2.1#5353",
                vec!["1:! not supported: a server for some names; that is forwarding, not blocking"],
            ),
            (Format::Dnsmasq, "address=/#/0.0.0.0", vec!["1:||.^$dnstype=A|SVCB|HTTPS,(null)"]),
            (Format::Dnsmasq, "local=/#/\nserver=/#/", vec!["1:||.^", "2:||.^"]),
            (Format::Dnsmasq, "server=/#/#", vec![]),
            (
                Format::Dnsmasq,
                "server=/#/192.0.2.1",
                vec!["1:! not supported: a server for some names; that is forwarding, not blocking"],
            ),
            (Format::Unbound, "local-zone: \".\" refuse", vec!["1:||.^$(refused)"]),
            (Format::Unbound, "local-zone: . transparent", vec![]),
            (
                Format::Unbound,
                "local-zone: \".\" redirect\nlocal-data: \". A 192.0.2.1\"",
                vec!["2:||.^$(records A)"],
            ),
            (Format::Unbound, "local-zone: \".\" block_a", vec!["1:||.^$dnstype=A,(nodata)"]),
            (Format::Rpz, "$TTL 60\n* CNAME rpz-drop.", vec!["2:||.^$(drop)"]),
            (
                Format::Rpz,
                "$TTL 60\n* CNAME *.garden.org.",
                vec!["2:||.^", "2:! not supported: an alias derived from the query name"],
            ),
            (Format::Dnsmasq, "cache-size=5", vec!["1:! not supported: the directive `cache-size`"]),
            (Format::Dnsmasq, "address=/a.org", vec!["1:! expected a slash after the name"]),
            (Format::Dnsmasq, "address=/a.org/x", vec!["1:! `x` is not an address"]),
            (
                Format::Unbound,
                "server:\nlocal-zone: \"a.org\" always_nxdomain",
                vec!["2:||a.org^$(nxdomain)"],
            ),
            (Format::Unbound, "local-zone: a.org. static # why", vec!["1:||a.org^$(nxdomain)"]),
            (Format::Unbound, "local-zone: 'a.org' refuse", vec!["1:||a.org^$(refused)"]),
            (Format::Unbound, "local-zone: \"a.org\" always_refuse", vec!["1:||a.org^$(refused)"]),
            (Format::Unbound, "local-zone: \"a.org\" deny", vec!["1:||a.org^$(drop)"]),
            (Format::Unbound, "local-zone: \"a.org\" inform_deny", vec!["1:||a.org^$(drop)"]),
            (Format::Unbound, "local-zone: \"a.org\" always_nodata", vec!["1:||a.org^$(nodata)"]),
            (Format::Unbound, "local-zone: \"a.org\" always_null", vec!["1:||a.org^$(null)"]),
            (Format::Unbound, "local-zone: \"a.org\" inform", vec!["1:||a.org^$(log)"]),
            (Format::Unbound, "local-zone: \"a.org\" transparent", vec!["1:@@||a.org^"]),
            (Format::Unbound, "local-zone: \"a.org\" typetransparent", vec!["1:@@||a.org^"]),
            (Format::Unbound, "local-zone: \"a.org\" block_a", vec!["1:||a.org^$dnstype=A,(nodata)"]),
            (Format::Unbound, "local-zone: \"a.org\" redirect", vec!["1:||a.org^$(nodata)"]),
            (
                Format::Unbound,
                "local-data: \"a.org A 192.0.2.1\"\nlocal-zone: \"a.org\" redirect",
                vec!["1:||a.org^$(records A)"],
            ),
            (
                Format::Unbound,
                "local-zone: \"a.org\" redirect\nlocal-data: 'a.org. 60 IN TXT \"x y\"'",
                vec!["2:||a.org^$(records TXT)"],
            ),
            (
                Format::Unbound,
                "local-zone: \"a.org\" redirect\nlocal-data: \"a.org 1h IN CNAME b.org\"",
                vec!["2:||a.org^$(cname b.org)"],
            ),
            (
                Format::Unbound,
                "local-data: \"w.a.org A 192.0.2.1\"\nlocal-zone: \"a.org\" always_nxdomain",
                vec![
                    "1:! not supported: data in a zone that ignores it (always_…, block_a)",
                    "2:||a.org^$(nxdomain)",
                ],
            ),
            (
                Format::Unbound,
                "local-data: \"a..b A 192.0.2.1\"\nlocal-zone: b.org static",
                vec!["1:! a label is empty", "2:||b.org^$(nxdomain)"],
            ),
            (Format::Unbound, "local-data: \"a.org AAAA ::1\"", vec!["1:|a.org|$(records AAAA)"]),
            (Format::Unbound, "local-zone: \"a.org\" noview", vec!["1:! not supported: views"]),
            (Format::Unbound, "local-zone: \"a.org\" nope", vec!["1:! `nope` is not a type of a local zone"]),
            (Format::Unbound, "local-data: \"a.org A x\"", vec!["1:! `x` is not an IPv4 address"]),
            (Format::Unbound, "num-threads: 4", vec!["1:! not supported: the option `num-threads`"]),
            (
                Format::Rpz,
                "$TTL 60\n@ IN SOA ns. host. (\n  1 2 3 ; comment\n  4 5 )\n  NS ns.\na.org CNAME .\n*.a.org 60 IN CNAME *.",
                vec!["6:|a.org|$(nxdomain)", "7:||*.a.org^$(nodata)"],
            ),
            (
                Format::Rpz,
                "$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\nx.org.rpz.test. CNAME rpz-passthru.\ny.org CNAME rpz-drop.\nz.org CNAME rpz-tcp-only.\nw.org. CNAME .",
                vec![
                    "3:@@|x.org|",
                    "4:|y.org|$(drop)",
                    "5:|z.org|$(truncate)",
                    "6:! the owner is not below the zone's name",
                ],
            ),
            (
                Format::Rpz,
                "rpz.test. SOA a. b. 1 2 3 4 5\na.org A 192.0.2.1\n  AAAA ::1\nb.org CNAME walled.garden.\nc.org CNAME c.org.\nd.org CNAME *.e.",
                vec![
                    "2:|a.org|$(records A)",
                    "3:|a.org|$(records AAAA)",
                    "4:|b.org|$(cname walled.garden)",
                    "5:@@|c.org|",
                    "6:! not supported: an alias derived from the query name",
                ],
            ),
            // An unclosed parenthesis costs its own line.
            (
                Format::Rpz,
                "@ SOA a. b. ( 1 2 3 4 5\na.org CNAME .\nb.org CNAME .",
                vec!["1:! a parenthesis is not closed", "2:|a.org|$(nxdomain)", "3:|b.org|$(nxdomain)"],
            ),
            (
                Format::Rpz,
                "$ORIGIN rpz.test.\n@ SOA a. b. 1 2 3 4 5\n*.a.org CNAME a.org.\n$ORIGIN com\nwww CNAME .",
                vec!["3:||*.a.org^$(cname a.org)", "5:|www.com|$(nxdomain)"],
            ),
            (
                Format::Rpz,
                "32.1.2.0.192.rpz-ip CNAME .\nb.org CNAME rpz-nope.\na.org IN (",
                vec![
                    "1:! not supported: the trigger `rpz-ip` in a list of names",
                    "2:! `rpz-nope.` is not an action of a policy zone",
                    "3:! a parenthesis is not closed",
                ],
            ),
        ] {
            assert_eq!(read(text, format), expected, "{format} {text}");
        }
    }

    /// The readings of `*.name`, by the list's `match`.
    #[test]
    fn an_asterisk_before_a_name_includes_the_name_unless_the_list_says_below() {
        let lines = "*.a.org\nb.org";
        for (format, matching, expected) in [
            (Format::Wildcard, None, ["||a.org^", "||b.org^"]),
            (Format::Wildcard, Some(Match::Exact), ["||a.org^", "|b.org|"]),
            (Format::Wildcard, Some(Match::Suffix), ["||a.org^", "||b.org^"]),
            (Format::Wildcard, Some(Match::Subdomains), ["||*.a.org^", "||b.org^"]),
            (Format::Domains, None, ["||a.org^", "||b.org^"]),
            (Format::Domains, Some(Match::Subdomains), ["||*.a.org^", "||b.org^"]),
            (Format::AdGuard, None, ["||a.org^", "|b.org|"]),
            (Format::AdGuard, Some(Match::Subdomains), ["||*.a.org^", "|b.org|"]),
            (Format::Dnscrypt, None, ["||a.org^", "||b.org^"]),
            (Format::Dnscrypt, Some(Match::Exact), ["||a.org^", "|b.org|"]),
            (Format::Dnscrypt, Some(Match::Subdomains), ["||*.a.org^", "||b.org^"]),
        ] {
            let list = parse(lines.as_bytes(), format, matching, Effect::Block).unwrap();
            let expected = [format!("1:{}", expected[0]), format!("2:{}", expected[1])];
            assert_eq!(show(&list), expected, "{format} {matching:?}");
            assert_eq!((list.stars, list.below), (1, matching == Some(Match::Subdomains)));
        }
        // Formats that define `*.name` themselves keep their meaning.
        let zone = "@ SOA a. b. 1 2 3 4 5\n*.a.org CNAME .";
        for (format, text) in
            [(Format::Rpz, zone), (Format::Dnsmasq, "address=/*.a.org/"), (Format::AdGuard, "||*.a.org^")]
        {
            for matching in [None, Some(Match::Suffix), Some(Match::Subdomains)] {
                let list = parse(text.as_bytes(), format, matching, Effect::Block).unwrap();
                assert_eq!((list.rule(0).unwrap().matching, list.stars), (Match::Subdomains, 0), "{format}");
            }
        }
    }

    #[test]
    fn odd_octets_cost_only_their_line() {
        let long = "x".repeat(64);
        let mut text =
            b"\xef\xbb\xbf0.0.0.0 A.Test.\r\n0.0.0.0 caf\xe9.test\r\n0.0.0.0 nul\0.test\r\n".to_vec();
        text.extend(format!("0.0.0.0 {long}.test\r\n  ::1\tb\u{fc}cher.test  \r\n# a comment").into_bytes());
        assert_eq!(
            show(&parse(&text, Format::Auto, None, Effect::Block).unwrap()),
            [
                "1:|a.test|",
                "2:! not UTF-8",
                "3:! white space and control characters are not part of a name",
                "4:! a label is longer than 63 octets",
                "5:|xn--bcher-kva.test|",
            ]
        );
    }

    #[test]
    fn no_rule_is_lost_in_a_parenthesis() {
        let rules: String = (0..5000).map(|i| format!("h{i}.org CNAME . ; caf\u{e9}\n")).collect();
        let text = format!("@ SOA a. b. ( 1 2 3 4 5\n{rules}");
        // The comments are in Latin-1, which is not UTF-8.
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let list = parse(&bytes, Format::Rpz, None, Effect::Block).unwrap();
        assert_eq!((list.name_count(), list.skipped.len(), list.skipped[0].line), (5000, 1, 1));
    }

    #[test]
    fn the_format_is_detected_from_the_lines() {
        for (text, format) in [
            ("# c\n0.0.0.0 a.org\n0.0.0.0 b.org\n", Format::Hosts),
            ("! c\n||a.org^\n@@||b.org^\n", Format::AdGuard),
            ("*.a.org\nb.org\n", Format::Wildcard),
            ("^ad[0-9]+\\.\n(\\.|^)a\\.org$\nads;querytype=A\n", Format::Regex),
            ("a.org\n*.b.org\nads.*\n=c.org\n", Format::Dnscrypt),
            ("a.org\nb.org\nads[0-9]*.c.org\n", Format::Dnscrypt),
            ("a.org\nb.org @cn\nfull:c.org\n", Format::V2fly),
            ("\r\na.org\r\nb.org\r\n", Format::Domains),
            ("##########\n# My list\n### of names ###\na.org\n", Format::Domains),
            ("address=/a.org/\nserver=/b.org/\n", Format::Dnsmasq),
            ("server:\n  local-zone: \"a.org\" static\n", Format::Unbound),
            ("$TTL 60\n@ SOA a. b. 1 2 3 4 5\na.org CNAME .\n", Format::Rpz),
            ("", Format::Domains),
        ] {
            let list = parse(text.as_bytes(), Format::Auto, None, Effect::Block).unwrap();
            assert_eq!((list.format, list.skipped.len()), (format, 0), "{text}");
        }
        for (bytes, expected) in [
            (&b"\n<!DOCTYPE html>"[..], NotAList::Html),
            (b"\xff\xfea\0.\0", NotAList::Utf16),
            (b"\x01\x02\x03", NotAList::Binary),
        ] {
            assert_eq!(parse(bytes, Format::Auto, None, Effect::Block).unwrap_err(), expected);
        }
    }

    #[test]
    fn odd_bytes_cost_one_line_at_most() {
        let label = "a".repeat(64);
        let long = [&*"a".repeat(63); 4].join(".");
        // Input with NULs near its beginning is not a list at all.
        let mut text = b"\xef\xbb\xbf".to_vec();
        text.extend(format!("#{}\n", "x".repeat(1100)).bytes());
        text.extend(b"a.org\r\n# caf\xe9\nb\xe9.org\n  c.org.  \nd.org # caf\xe9\ne\0.org\n");
        text.extend(format!("{label}.org\n{long}\n").bytes());
        let list = parse(&text, Format::Domains, None, Effect::Block).unwrap();
        assert_eq!(
            show(&list),
            [
                "2:||a.org^",
                "4:! not UTF-8",
                "5:||c.org^",
                "6:||d.org^",
                "7:! white space and control characters are not part of a name",
                "8:! a label is longer than 63 octets",
                "9:! the name is longer than 255 octets",
            ]
        );
        assert_eq!((list.lines, list.blank), (9, 2));
    }

    #[test]
    fn an_endless_line_is_discarded() {
        let mut reader = Reader::new(Format::Domains, None, Effect::Block);
        reader.feed(b"a.org\n").unwrap();
        let piece = vec![b'x'; 1 << 16];
        for _ in 0..1600 {
            reader.feed(&piece).unwrap();
            assert!(reader.held.len() <= HEAD + (1 << 16));
        }
        reader.feed(b"\nb.org\n").unwrap();
        let list = reader.finish().unwrap();
        assert_eq!(show(&list), ["1:||a.org^", "2:! longer than 8192 octets", "3:||b.org^"]);
    }

    #[test]
    fn an_allow_list_allows() {
        let list = parse(b"a.org", Format::Domains, Some(Match::Exact), Effect::Allow).unwrap();
        assert_eq!(show(&list), ["1:@@|a.org|"]);
    }

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        let odd = prop::sample::select(b"|^@$.*/\n# a1:=;\"()[]{}?+,!&\\-\r\0".to_vec());
        prop::collection::vec(prop_oneof![1 => any::<u8>(), 9 => odd], 0..200)
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in any_bytes()) {
            for (_, format) in Format::WORDS {
                let _ = parse(&bytes, format, None, Effect::Block);
            }
        }

        #[test]
        fn pieces_of_any_size_give_the_same_list(
            lines in prop::collection::vec("(\\|\\|)?[a-c]{1,3}\\.org\\^?|0\\.0\\.0\\.0 a\\.org|#x| |a\\.org CNAME \\.", 0..30),
            cuts in prop::collection::vec(1usize..40, 1..60),
            pad in 0usize..70_000,
        ) {
            let text = format!("#{}\n{}", "x".repeat(pad), lines.join("\n"));
            for (_, format) in Format::WORDS {
                let whole = parse(text.as_bytes(), format, None, Effect::Block).unwrap();
                let in_pieces = |mut reader: Reader| {
                    let mut rest = text.as_bytes();
                    for cut in cuts.iter().cycle() {
                        let (piece, after) = rest.split_at((*cut * 37).min(rest.len()));
                        reader.feed(piece)?;
                        rest = after;
                        if rest.is_empty() {
                            break;
                        }
                    }
                    reader.finish()
                };
                let reader = || Reader::new(format, None, Effect::Block);
                let pieces = match in_pieces(reader()) {
                    Err(ReadError::OtherFormat(detected)) => in_pieces(reader().detected(detected)),
                    read => read,
                };
                let pieces = pieces.unwrap();
                prop_assert_eq!(show(&whole), show(&pieces));
                prop_assert_eq!((whole.format, whole.lines, whole.blank), (pieces.format, pieces.lines, pieces.blank));
                prop_assert_eq!(whole.detected, pieces.detected);
            }
        }
    }
}
