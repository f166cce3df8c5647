//! `adguard`: the DNS filter syntax, as far as names go: `||name^`, `@@`, `|name^`, `$important`,
//! and hosts lines and plain names in between.

use super::{Reading, Sink, SkipReason, hosts};
use crate::rule::{Effect, Match, Rule};

/// One line of a filter.
pub fn line(text: &str, reading: Reading, sink: &mut Sink<'_>) {
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    if first.len() < text.len() && first.parse::<std::net::IpAddr>().is_ok() {
        return hosts::line(text, reading, sink);
    }
    sink.take(rule(text, reading));
}

fn rule(text: &str, reading: Reading) -> Result<Rule, SkipReason> {
    if ["##", "#@#", "#?#", "#$#", "#%#"].iter().any(|mark| text.contains(mark)) {
        return Err(SkipReason::Cosmetic);
    }
    let (effect, text) = match text.strip_prefix("@@") {
        Some(rest) => (Effect::Allow, rest),
        None => (reading.effect, text),
    };
    // A rule that begins and ends with a slash is an expression as a whole and has no modifiers.
    if text.starts_with('/') && text.ends_with('/') {
        return Err(SkipReason::Pattern);
    }
    let (pattern, modifiers) = text.rsplit_once('$').unwrap_or((text, ""));
    let mut important = false;
    for modifier in modifiers.split(',').filter(|m| !m.is_empty()) {
        let name = modifier.split('=').next().unwrap_or_default();
        match name {
            "important" => important = true,
            other => return Err(SkipReason::Modifier(other.chars().take(40).collect())),
        }
    }
    let (name, matching) = pattern_of(pattern, reading)?;
    Ok(Rule { effect, important, ..reading.rule(name, matching)? })
}

/// The name in a pattern, and how it matches.
fn pattern_of(pattern: &str, reading: Reading) -> Result<(&str, Match), SkipReason> {
    let ended = pattern.strip_suffix("^|").or_else(|| pattern.strip_suffix(['^', '|']));
    let (name, matching) = match (pattern.strip_prefix("||"), pattern.strip_prefix('|'), ended) {
        (Some(_), _, Some(ended)) => (ended.get(2..).unwrap_or_default(), Match::Suffix),
        (None, Some(_), Some(ended)) => (ended.get(1..).unwrap_or_default(), Match::Exact),
        // A plain name is a hosts entry without an address.
        (None, None, None) => (pattern, reading.plain),
        _ => return Err(SkipReason::Substring),
    };
    let (name, matching) = match name.strip_prefix("*.") {
        Some(rest) if matching == Match::Suffix => (rest, Match::Subdomains),
        _ => (name, matching),
    };
    if name.contains(['*', '/', '^', '|']) { Err(SkipReason::Pattern) } else { Ok((name, matching)) }
}
