//! `unbound`: `local-zone:` and `local-data:` of its configuration.

use std::collections::BTreeMap;

use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::{Name, Qtype, rdata};
use crate::rule::{Action, Data, Effect, Match, Scope, Traits};

/// The state that is kept from line to line: a zone of type `redirect` and its data may come in any order.
#[derive(Default)]
pub(super) struct State {
    /// The zones, by name: true for those that ignore data.
    zones: BTreeMap<String, bool>,
    /// The lines of the redirects, by name.
    redirects: BTreeMap<String, u32>,
    /// Data, by name: line and record.
    data: Vec<(String, u32, Data)>,
}

impl State {
    /// One line.
    pub(super) fn line(&mut self, text: &str, sink: &mut Sink<'_>) {
        let text = comment_off(text);
        let Some((option, value)) = text.split_once(':') else {
            return sink.skip(SkipReason::Syntax("expected `option: value`".into()));
        };
        let done = match (option.trim(), value.trim()) {
            ("server", "") => return,
            ("local-zone", value) => self.zone(value, sink),
            ("local-data", value) => self.data(value, sink),
            (other, _) => Err(SkipReason::Feature(format!("the option `{}`", short(other)))),
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
        self.zones.insert(key(name), kind.starts_with("always_"));
        let action = match kind {
            "always_nxdomain" | "static" => Action::NxDomain,
            "refuse" | "always_refuse" => Action::Refused,
            "deny" | "always_deny" | "inform_deny" => Action::Drop,
            "always_nodata" => Action::NoData,
            "always_null" => Action::Null,
            "inform" => Action::Log,
            "redirect" | "inform_redirect" => {
                self.redirects.insert(key(name), sink.line());
                sink.mark_handled();
                return Ok(());
            }
            // What holds for every name without the line.
            "transparent" | "typetransparent" | "always_transparent" | "nodefault"
                if key(name).is_empty() =>
            {
                sink.mark_handled();
                return Ok(());
            }
            "transparent" | "typetransparent" | "always_transparent" | "nodefault" => {
                sink.name(name, Match::Suffix, &Traits { effect: Effect::Allow, ..plain });
                return Ok(());
            }
            "block_a" => {
                let scope = Some(Box::new(Scope { types: vec![Qtype::A], ..Scope::default() }));
                zone_at(sink, sink.line(), name, &Traits { action: Some(Action::NoData), scope, ..plain });
                return Ok(());
            }
            "noview" => return Err(SkipReason::Feature("views".into())),
            other => {
                return Err(SkipReason::Syntax(format!("`{}` is not a type of a local zone", short(other))));
            }
        };
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

    /// True if the closest enclosing zone ignores data.
    fn ignored(&self, name: &str) -> bool {
        let mut rest = Some(name);
        while let Some(zone) = rest {
            if let Some(ignores) = self.zones.get(zone) {
                return *ignores;
            }
            rest = zone.split_once('.').map(|(_, above)| above).or((!zone.is_empty()).then_some(""));
        }
        false
    }

    /// The end of the list: all data of the redirects is known now.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        let plain = sink.traits();
        for (name, line, data) in std::mem::take(&mut self.data) {
            if self.ignored(&name) {
                let reason = SkipReason::Feature("data in a zone that ignores it (always_…)".into());
                sink.skip_at(line, &name, reason);
                continue;
            }
            let redirected = self.redirects.get(&name).copied();
            let matching = if redirected.is_some() { Match::Suffix } else { Match::Exact };
            // An alias answers every type.
            let alias = Name::parse(&data.rdata).ok().filter(|_| data.rtype == Qtype::CNAME);
            let action = match alias {
                Some(target) => Action::Cname(target.to_folded()),
                None => Action::Records(vec![data]),
            };
            let traits = Traits { action: Some(action), ..plain.clone() };
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
