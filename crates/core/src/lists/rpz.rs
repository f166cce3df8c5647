//! `rpz`: a response policy zone as a list of names: its QNAME triggers (draft-vixie-dnsop-dns-rpz).

use std::collections::{BTreeMap, HashSet};

use rustc_hash::FxBuildHasher;

use super::list::NameRule;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::{Name, NameBuf, Qtype, rdata};
use crate::rule::{Action, Data, Effect, Match, Traits};

/// The state that is kept from line to line.
#[derive(Default)]
pub(super) struct State {
    /// The origin of relative names; `None` is the root.
    origin: Option<NameBuf>,
    /// The zone's own name: the owner of its SOA.
    apex: Option<NameBuf>,
    /// The owner of the last record, for a line that begins with white space.
    owner: Option<String>,
    /// An unfinished record in parentheses: its lines so far with their numbers, and how many parentheses
    /// are open.
    open: Vec<(u32, String)>,
    depth: usize,
}

/// The most lines of a record in parentheses. An unclosed parenthesis must cost only its own line: the
/// others are read again.
const MAX_RECORD: usize = 64;

impl State {
    /// One line, with leading white space.
    pub(super) fn line(&mut self, text: &str, sink: &mut Sink<'_>) {
        self.line_at(sink.line(), text, sink);
    }

    fn line_at(&mut self, line: u32, text: &str, sink: &mut Sink<'_>) {
        let (tidied, opened, closed) = tidy(text);
        let depth = (self.depth + opened).saturating_sub(closed);
        if depth > 0 {
            self.open.push((line, text.to_owned()));
            self.depth = depth;
            if self.open.len() > MAX_RECORD {
                self.unclosed(sink);
            }
            return;
        }
        self.depth = 0;
        let mut first = (line, text);
        let before = std::mem::take(&mut self.open);
        let mut record: String = before.iter().map(|(_, text)| tidy(text).0 + " ").collect();
        record.push_str(&tidied);
        if let Some((line, text)) = before.first() {
            first = (*line, text);
        }
        if record.trim().is_empty() {
            return;
        }
        if let Err(reason) = self.record(line, &record, sink) {
            sink.skip_at(first.0, first.1, reason);
        }
    }

    /// The end of the zone.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        while !self.open.is_empty() {
            self.unclosed(sink);
        }
        self::end_wildcards(sink);
    }

    /// Handles an unclosed parenthesis: reports its line and reads the following lines as if it were not
    /// there.
    fn unclosed(&mut self, sink: &mut Sink<'_>) {
        self.depth = 0;
        let mut lines = std::mem::take(&mut self.open).into_iter();
        if let Some((line, text)) = lines.next() {
            sink.skip_at(line, &text, SkipReason::Syntax("a parenthesis is not closed".into()));
        }
        for (line, text) in lines {
            self.line_at(line, &text, sink);
        }
    }

    fn record(&mut self, line: u32, text: &str, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
        let (first, mut rest) = word(text.trim_start());
        match first.to_ascii_uppercase().as_str() {
            "$TTL" => return Ok(()),
            "$ORIGIN" => {
                // A relative name is below the previous origin.
                self.origin = Some(self.absolute(rest.trim())?);
                return Ok(());
            }
            w if w.starts_with('$') => return Err(SkipReason::Feature(format!("the directive `{first}`"))),
            _ => {}
        }
        if text.starts_with(char::is_whitespace) {
            rest = text;
        } else {
            self.owner = Some(first.to_owned());
        }
        let owner = self.owner.clone().ok_or(SkipReason::Syntax("a record without an owner".into()))?;
        // TTL and class may precede the type, in either order.
        let rtype = loop {
            let (word, after) = word(rest.trim_start());
            rest = after;
            let ttl = word.starts_with(|c: char| c.is_ascii_digit());
            if word.is_empty() {
                return Err(SkipReason::Syntax("a record without a type".into()));
            }
            if !ttl && !word.eq_ignore_ascii_case("IN") {
                break word;
            }
        };
        let rtype: Qtype =
            rtype.parse().map_err(|_| SkipReason::Syntax(format!("`{rtype}` is not a record type")))?;
        match rtype {
            Qtype::SOA => {
                let apex = self.absolute(&owner)?;
                self.origin.get_or_insert_with(|| apex.clone());
                self.apex = Some(apex);
                return Ok(());
            }
            // The zone's own records.
            Qtype::NS
            | Qtype::DNAME
            | Qtype::ZONEMD
            | Qtype::DNSKEY
            | Qtype::RRSIG
            | Qtype::NSEC
            | Qtype::NSEC3
            | Qtype::NSEC3PARAM
            | Qtype::DS
            | Qtype::CDS
            | Qtype::CDNSKEY => return Ok(()),
            _ => {}
        }
        let trigger = self.trigger(&owner)?;
        let owner = &trigger[..];
        let (trigger, matching) = match owner.strip_prefix("*.") {
            Some(rest) => (rest, Match::Subdomains),
            // Exact, unless the list says what Knot Resolver does.
            None => (owner, sink.plain()),
        };
        if let Some(kind) = ["rpz-ip", "rpz-client-ip", "rpz-nsip", "rpz-nsdname"]
            .iter()
            .find(|kind| trigger.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(kind)))
        {
            return Err(SkipReason::Feature(format!("the trigger `{kind}` in a list of names")));
        }
        let traits = match self.traits(rtype, rest.trim(), owner, sink.traits()) {
            Ok(traits) => traits,
            Err(reason) => {
                // The answer for every name is unsupported; the names are blocked all the same.
                if owner == "*" {
                    sink.every_name_at(line, &sink.traits());
                }
                return Err(reason);
            }
        };
        // Every name, including the root and those below names that exist in the zone: whoever blocks every
        // name means those too, unlike RFC 4592 §3.3.
        if owner == "*" {
            sink.every_name_at(line, &traits);
            return Ok(());
        }
        sink.name_at(line, trigger, matching, &traits);
        Ok(())
    }

    fn traits(&self, rtype: Qtype, rdata: &str, owner: &str, plain: Traits) -> Result<Traits, SkipReason> {
        let action = |action| Ok(Traits { action: Some(action), ..plain.clone() });
        let root = NameBuf::from_text(".").map_err(SkipReason::Name)?;
        let origin = self.origin.as_ref().unwrap_or(&root);
        if rtype != Qtype::CNAME {
            let rdata = rdata::from_text(rtype, rdata, origin.as_name())
                .map_err(|e| SkipReason::Syntax(e.to_string()))?;
            return action(Action::Records(vec![Data { rtype, rdata }]));
        }
        let target = rdata.split_whitespace().next().unwrap_or_default();
        match target.to_ascii_lowercase().as_str() {
            "." => action(Action::NxDomain),
            "*." => action(Action::NoData),
            "rpz-passthru." => Ok(Traits { effect: Effect::Allow, ..plain }),
            "rpz-drop." => action(Action::Drop),
            "rpz-tcp-only." => action(Action::Truncate),
            t if t.starts_with("*.") => {
                Err(SkipReason::Feature("an alias derived from the query name".into()))
            }
            t if t.starts_with("rpz-") && t.trim_end_matches('.').find('.').is_none() => {
                Err(SkipReason::Syntax(format!("`{t}` is not an action of a policy zone")))
            }
            _ => {
                let wire = rdata::from_text(Qtype::CNAME, target, origin.as_name())
                    .map_err(|e| SkipReason::Syntax(e.to_string()))?;
                let name = Name::parse(&wire).map_err(SkipReason::Name)?.to_folded();
                // The obsolete form of passthru.
                if NameBuf::from_text(owner).as_ref() == Ok(&name) {
                    return Ok(Traits { effect: Effect::Allow, ..plain });
                }
                action(Action::Cname(name))
            }
        }
    }

    fn absolute(&self, owner: &str) -> Result<NameBuf, SkipReason> {
        let root = Name::ROOT.to_buf();
        let origin = self.origin.as_ref().unwrap_or(&root);
        let wire = rdata::from_text(Qtype::NS, owner, origin.as_name())
            .map_err(|e| SkipReason::Syntax(e.to_string()))?;
        Ok(Name::parse(&wire).map_err(SkipReason::Name)?.to_folded())
    }

    /// The owner without the zone's name, as text.
    fn trigger(&self, owner: &str) -> Result<String, SkipReason> {
        let apex = self.apex.as_ref().or(self.origin.as_ref());
        let root = Name::ROOT.to_buf();
        let (apex, origin) = (apex.unwrap_or(&root), self.origin.as_ref().unwrap_or(&root));
        // Most owners are relative to the zone itself.
        if !owner.ends_with('.') && owner != "@" && apex == origin {
            return Ok(owner.to_owned());
        }
        let name = self.absolute(owner)?;
        if name == *apex || !name.as_name().is_within(apex.as_name()) {
            return Err(SkipReason::Syntax("the owner is not below the zone's name".into()));
        }
        let text = name.to_string();
        let suffix = format!(".{apex}");
        Ok(if apex.as_name().is_root() {
            text
        } else {
            text.strip_suffix(&suffix).unwrap_or(&text).to_owned()
        })
    }
}

/// A wildcard matches neither a name that exists nor one below it (RFC 4592 §2.2.1, §2.2.2), and a name
/// exists if there is an owner below it. So each name between a wildcard and an owner gets a rule without
/// effect, which is closer.
fn end_wildcards(sink: &mut Sink<'_>) {
    let below = |r: &NameRule<'_>| r.matching == Match::Subdomains;
    let wildcards: HashSet<&[u8], FxBuildHasher> =
        sink.list.rules().filter(below).map(|rule| rule.name.as_bytes()).collect();
    let mut ends: BTreeMap<(NameBuf, Match), u32> = BTreeMap::new();
    for rule in sink.list.rules() {
        // An owner has a rule for itself but not for its subdomains; `*.name` the other way round.
        let (mut between, mut name, mut matching) = match rule.matching {
            Match::Subdomains => (vec![(rule.name, Match::Exact)], rule.name.parent(), Match::Suffix),
            _ => (Vec::new(), Some(rule.name), Match::Subdomains),
        };
        while let Some(here) = name.filter(|name| !name.is_root()) {
            if wildcards.contains(here.as_bytes()) {
                for (name, matching) in between {
                    ends.entry((name.to_buf(), matching)).or_insert(rule.line);
                }
                break;
            }
            between.push((here, matching));
            matching = Match::Suffix;
            name = here.parent();
        }
    }
    drop(wildcards);
    let traits = Traits { effect: Effect::Nothing, ..sink.traits() };
    for ((name, matching), line) in ends {
        let write = |names: &mut Vec<u8>| {
            names.extend_from_slice(name.as_bytes());
            Ok(())
        };
        if let Err(reason) = sink.list.push_name(line, matching, &traits, write) {
            sink.skip_at(line, &name.to_string(), reason);
        }
    }
}

fn word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}

/// The line without its comment and parentheses, and how many of each parenthesis there were.
fn tidy(line: &str) -> (String, usize, usize) {
    let (mut opened, mut closed, mut quoted, mut escaped) = (0, 0, false, false);
    let mut out = String::with_capacity(line.len());
    for c in line.chars() {
        match c {
            _ if escaped => {}
            '"' => quoted = !quoted,
            ';' if !quoted => break,
            '(' if !quoted => {
                opened += 1;
                out.push(' ');
                continue;
            }
            ')' if !quoted => {
                closed += 1;
                out.push(' ');
                continue;
            }
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    (out, opened, closed)
}
