//! `domains` and `wildcard`: one name a line.

use super::{Reading, Sink, SkipReason};
use crate::rule::Match;

/// One line of a list of names.
pub fn line(text: &str, reading: Reading, sink: &mut Sink<'_>) {
    sink.take(one_name(text).and_then(|name| {
        if name.contains('*') { Err(SkipReason::Pattern) } else { reading.rule(name, reading.plain) }
    }));
}

/// One line of a list of wildcards: `*.name` stands for the names below it, without itself.
pub fn wildcard_line(text: &str, reading: Reading, sink: &mut Sink<'_>) {
    sink.take(one_name(text).and_then(|name| {
        let (name, matching) = match name.strip_prefix("*.") {
            Some(rest) => (rest, Match::Subdomains),
            None => (name, reading.plain),
        };
        if name.contains('*') { Err(SkipReason::Pattern) } else { reading.rule(name, matching) }
    }));
}

/// The only word before a comment, which begins with ` #`.
fn one_name(text: &str) -> Result<&str, SkipReason> {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    match words.next() {
        None => Ok(name),
        Some(next) if next.starts_with('#') => Ok(name),
        Some(_) => Err(SkipReason::NotOneName),
    }
}
