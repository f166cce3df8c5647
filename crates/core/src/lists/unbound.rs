//! `unbound`: `local-zone:` and `local-data:` of its configuration.

use std::collections::{BTreeMap, BTreeSet};

use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::{Name, Qtype, rdata};
use crate::rule::{Action, Data, Effect, Match, Scope, Traits};

/// The state that is kept from line to line: a zone of type `redirect` and its data may come in any order.
#[derive(Default)]
pub(super) struct State {
    clause: Clause,
    /// The zones, by name: how data in them is treated.
    zones: BTreeMap<String, Kept>,
    /// The lines of the redirects, by name.
    redirects: BTreeMap<String, u32>,
    /// Data, by name: line and record.
    data: Vec<(String, u32, Data)>,
    /// The zones that are for some clients only, by name: the option that says so.
    limited: BTreeMap<String, &'static str>,
}

/// The clause that a line is in. A file without clauses is included in `server:`.
#[derive(Default)]
enum Clause {
    #[default]
    Server,
    View,
    Other,
}

/// How data in a zone is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It answers its type; the name has no others.
    Whole,
    /// It answers its type; the others are resolved.
    ByType,
    /// It is ignored.
    Not,
}

impl State {
    /// One line.
    pub(super) fn line(&mut self, text: &str, sink: &mut Sink<'_>) {
        let text = comment_off(text);
        let Some((option, value)) = text.split_once(':') else {
            return sink.skip(SkipReason::Syntax("expected `option: value`".into()));
        };
        let feature = |what: String| Err(SkipReason::Feature(what));
        let is_rule = |option: &str| option.starts_with("local-");
        let done = match (option.trim(), value.trim(), &self.clause) {
            ("server", "", _) => {
                self.clause = Clause::Server;
                return;
            }
            ("view", "", _) => {
                self.clause = Clause::View;
                return;
            }
            (clause, "", _) if !is_rule(clause) => {
                self.clause = Clause::Other;
                feature(format!("the clause `{}`", short(clause)))
            }
            ("name" | "view-first", _, Clause::View) => return,
            (rule, _, Clause::View) if is_rule(rule) => {
                feature("a rule in a view, which is for some clients only".into())
            }
            (rule, _, Clause::Other) if is_rule(rule) => {
                Err(SkipReason::Syntax("a local zone belongs in `server:`".into()))
            }
            ("local-zone", value, _) => self.zone(value, sink),
            ("local-data", value, _) => self.data(value, sink),
            (option @ ("local-zone-tag" | "local-zone-override"), value, _) => {
                let name = value.split_whitespace().next().unwrap_or_default().trim_matches(['"', '\'']);
                let option = if option.ends_with("tag") { "local-zone-tag" } else { "local-zone-override" };
                self.limited.insert(key(name), option);
                feature(format!("the option `{option}`, by which its zone is for some clients only"))
            }
            (other, ..) => feature(format!("the option `{}`", short(other))),
        };
        if let Err(reason) = done {
            sink.skip(reason);
        }
    }

    fn zone(&mut self, value: &str, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
        let mut words = value.split_whitespace().map(|w| w.trim_matches(['"', '\'']));
        let (Some(name), Some(kind), None) = (words.next(), words.next(), words.next()) else {
            return Err(SkipReason::Syntax("expected a name and a type".into()));
        };
        let plain = sink.traits();
        let kept = match kind {
            "block_a" => Kept::Not,
            "typetransparent" => Kept::ByType,
            kind if kind.starts_with("always_") => Kept::Not,
            _ => Kept::Whole,
        };
        let action = match kind {
            "always_nxdomain" | "static" => Action::NxDomain,
            "refuse" | "always_refuse" => Action::Refused,
            "deny" | "always_deny" | "inform_deny" => Action::Drop,
            "always_nodata" => Action::NoData,
            "always_null" => Action::Null,
            "inform" => Action::Log,
            "redirect" | "inform_redirect" => {
                self.zones.insert(key(name), kept);
                self.redirects.insert(key(name), sink.line());
                sink.mark_handled();
                return Ok(());
            }
            // The default for every name: the line changes nothing.
            "transparent" | "typetransparent" | "always_transparent" | "nodefault"
                if key(name).is_empty() =>
            {
                sink.mark_handled();
                return Ok(());
            }
            "transparent" | "typetransparent" | "always_transparent" | "nodefault" => {
                self.zones.insert(key(name), kept);
                sink.name(name, Match::Suffix, &Traits { effect: Effect::Allow, ..plain });
                return Ok(());
            }
            "block_a" => {
                self.zones.insert(key(name), kept);
                let scope = Some(Box::new(Scope { types: vec![Qtype::A], ..Scope::default() }));
                zone_at(sink, sink.line(), name, &Traits { action: Some(Action::NoData), scope, ..plain });
                return Ok(());
            }
            "noview" => return Err(SkipReason::Feature("views".into())),
            "ipset" => return Err(SkipReason::Feature("sets of addresses in the kernel (ipset)".into())),
            other => {
                return Err(SkipReason::Syntax(format!("`{}` is not a type of a local zone", short(other))));
            }
        };
        self.zones.insert(key(name), kept);
        zone_at(sink, sink.line(), name, &Traits { action: Some(action), ..plain });
        Ok(())
    }

    fn data(&mut self, value: &str, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
        let quote = value.chars().next().filter(|c| ['"', '\''].contains(c));
        let record = quote.map_or(value, |q| value.trim_matches(q)).trim();
        let (name, mut rest) = record.split_once(char::is_whitespace).unwrap_or((record, ""));
        // TTL and class may precede the type.
        let rtype = loop {
            rest = rest.trim_start();
            let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let skipped = word.eq_ignore_ascii_case("IN") || word.starts_with(|c: char| c.is_ascii_digit());
            rest = after;
            if !skipped || word.is_empty() {
                break word;
            }
        };
        let rtype: Qtype = rtype
            .parse()
            .map_err(|_| SkipReason::Syntax(format!("`{}` is not a record type", short(rtype))))?;
        let rdata =
            rdata::from_text(rtype, rest, Name::ROOT).map_err(|e| SkipReason::Syntax(e.to_string()))?;
        self.data.push((key(name), sink.line(), Data { rtype, rdata }));
        sink.mark_handled();
        Ok(())
    }

    /// The closest zone around a name.
    fn zone_of<'n>(&self, name: &'n str) -> Option<(&'n str, Kept)> {
        let mut rest = Some(name);
        while let Some(zone) = rest {
            if let Some(kept) = self.zones.get(zone) {
                return Some((zone, *kept));
            }
            rest = zone.split_once('.').map(|(_, above)| above).or((!zone.is_empty()).then_some(""));
        }
        None
    }

    /// The end of the list: all data of the redirects is known now.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        let plain = sink.traits();
        self.without_limited(sink);
        for (name, line, data) in std::mem::take(&mut self.data) {
            let zone = self.zone_of(&name);
            if let Some(option) = zone.and_then(|(zone, _)| self.limited.get(zone)) {
                sink.skip_at(line, &name, for_some(option));
                continue;
            }
            if zone.is_some_and(|(_, kept)| kept == Kept::Not) {
                let reason = SkipReason::Feature("data in a zone that ignores it (always_…, block_a)".into());
                sink.skip_at(line, &name, reason);
                continue;
            }
            let redirected = self.redirects.get(&name).copied();
            let matching = if redirected.is_some() { Match::Suffix } else { Match::Exact };
            let rtype = data.rtype;
            // An alias answers every type.
            let alias = Name::parse(&data.rdata).ok().filter(|_| rtype == Qtype::CNAME);
            let by_type = alias.is_none() && zone.is_some_and(|(_, kept)| kept == Kept::ByType);
            let action = match alias {
                Some(target) => Action::Cname(target.to_folded()),
                None => Action::Records(vec![data]),
            };
            let scope = by_type.then(|| Box::new(Scope { types: vec![rtype], ..Scope::default() }));
            let traits = Traits { action: Some(action), scope, ..plain.clone() };
            match matching {
                Match::Suffix => zone_at(sink, line, &name, &traits),
                _ => sink.name_at(line, &name, matching, &traits),
            }
            if redirected.is_some() {
                // The zone's own line takes effect through its data.
                self.redirects.insert(name, 0);
            }
        }
        for (name, line) in std::mem::take(&mut self.redirects) {
            if line > 0 {
                let traits = Traits { action: Some(Action::NoData), ..plain.clone() };
                zone_at(sink, line, &name, &traits);
            }
        }
    }

    /// Removes the zones that are for some clients only: without that limit they would block too much.
    fn without_limited(&mut self, sink: &mut Sink<'_>) {
        if self.limited.is_empty() {
            return;
        }
        for (name, option) in &self.limited {
            if let Some(line) = self.redirects.remove(name) {
                sink.skip_at(line, name, for_some(option));
            }
        }
        let names: BTreeSet<&String> = self.limited.keys().collect();
        for (line, name) in sink.list.remove(|rule| names.contains(&rule.name.to_folded().to_string())) {
            let option = self.limited.get(&name).copied().unwrap_or_default();
            sink.skip_at(line, &name, for_some(option));
        }
    }
}

fn for_some(option: &str) -> SkipReason {
    SkipReason::Feature(format!("a zone for some clients only (`{option}`)"))
}

/// A rule for a zone: its name and all below it; the root is every name.
fn zone_at(sink: &mut Sink<'_>, line: u32, name: &str, traits: &Traits) {
    if key(name).is_empty() {
        sink.every_name_at(line, traits);
    } else {
        sink.name_at(line, name, Match::Suffix, traits);
    }
}

/// The zone name as both kinds of lines may write it.
fn key(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn comment_off(text: &str) -> &str {
    let mut quoted = None;
    for (at, c) in text.char_indices() {
        match (c, quoted) {
            ('#', None) => return text.get(..at).unwrap_or(text).trim_end(),
            ('"' | '\'', None) => quoted = Some(c),
            (c, Some(q)) if c == q => quoted = None,
            _ => {}
        }
    }
    text
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::read;
    use crate::rule::Format;

    /// A rule that Unbound limits to some clients or types is limited here too, or is not read.
    #[test]
    fn no_condition_is_lost() {
        let in_view = "! not supported: a rule in a view, which is for some clients only";
        let tagged = "! not supported: a zone for some clients only (`local-zone-tag`)";
        for (text, expected) in [
            // Views.
            (
                "server:\nlocal-zone: a.org static\nview:\nname: \"kids\"\nlocal-zone: b.org static\n\
                 local-data: \"c.org A 192.0.2.1\"\nserver:\nlocal-zone: d.org static",
                vec![
                    "2:||a.org^$(nxdomain)".to_owned(),
                    format!("5:{in_view}"),
                    format!("6:{in_view}"),
                    "8:||d.org^$(nxdomain)".into(),
                ],
            ),
            (
                "access-control-view: 10.0.0.0/8 kids",
                vec!["1:! not supported: the option `access-control-view`".into()],
            ),
            (
                "forward-zone:\nname: a.org\nserver:\nlocal-zone: b.org static",
                vec![
                    "1:! not supported: the clause `forward-zone`".into(),
                    "2:! not supported: the option `name`".into(),
                    "4:||b.org^$(nxdomain)".into(),
                ],
            ),
            (
                "forward-zone:\nlocal-zone: b.org static",
                vec![
                    "1:! not supported: the clause `forward-zone`".into(),
                    "2:! a local zone belongs in `server:`".into(),
                ],
            ),
            // Tags and overrides, before and after their zone.
            (
                "local-zone: \"A.org.\" static\nlocal-zone: b.a.org static\nlocal-zone-tag: a.org \"kids\"\n\
                 local-data: \"c.a.org A 192.0.2.1\"",
                vec![
                    format!("1:{tagged}"),
                    "2:||b.a.org^$(nxdomain)".into(),
                    "3:! not supported: the option `local-zone-tag`, by which its zone is for some clients only"
                        .into(),
                    format!("4:{tagged}"),
                ],
            ),
            (
                "local-zone-override: a.org 10.0.0.0/8 transparent\nlocal-zone: a.org redirect\n\
                 local-data: \"a.org A 192.0.2.1\"",
                vec![
                    "1:! not supported: the option `local-zone-override`, by which its zone is for some clients \
                     only"
                        .into(),
                    "2:! not supported: a zone for some clients only (`local-zone-override`)".into(),
                    "3:! not supported: a zone for some clients only (`local-zone-override`)".into(),
                ],
            ),
            // Types.
            (
                "local-zone: a.org typetransparent\nlocal-data: \"a.org A 192.0.2.1\"\n\
                 local-data: \"b.a.org TXT x\"",
                vec![
                    "1:@@||a.org^".into(),
                    "2:|a.org|$dnstype=A,(records A)".into(),
                    "3:|b.a.org|$dnstype=TXT,(records TXT)".into(),
                ],
            ),
            (
                "local-zone: a.org transparent\nlocal-data: \"a.org A 192.0.2.1\"",
                vec!["1:@@||a.org^".into(), "2:|a.org|$(records A)".into()],
            ),
            (
                "local-zone: a.org block_a\nlocal-data: \"a.org AAAA ::1\"",
                vec![
                    "1:||a.org^$dnstype=A,(nodata)".into(),
                    "2:! not supported: data in a zone that ignores it (always_…, block_a)".into(),
                ],
            ),
            (
                "local-zone: a.org ipset",
                vec!["1:! not supported: sets of addresses in the kernel (ipset)".into()],
            ),
            ("local-zone: a.org inform_redirect", vec!["1:||a.org^$(nodata)".into()]),
            ("local-zone: a.org nodefault", vec!["1:@@||a.org^".into()]),
            ("local-zone: a.org always_transparent", vec!["1:@@||a.org^".into()]),
        ] {
            assert_eq!(read(text, Format::Unbound), expected, "{text}");
        }
    }
}
