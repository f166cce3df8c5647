//! `domains` and `wildcard`: one name per line.

use super::network::network;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::rule::{Match, Pattern, Start};

/// One line of a list of names.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    match one_name(text) {
        Err(reason) => sink.skip(reason),
        Ok("*") => {
            let traits = sink.traits();
            sink.every_name(&traits);
        }
        Ok(name) => match name.as_bytes() {
            // Some lists include subdomains by a leading dot.
            [b'.', _, ..] => sink.plain_name(name.get(1..).unwrap_or_default(), Match::Suffix),
            [b'*', b'.', ..] => sink.star(name.get(2..).unwrap_or_default()),
            _ => sink.plain_name(name, sink.plain()),
        },
    }
}

/// One line of a wildcard list: `*.name` as in a list of names; `*` elsewhere matches any characters,
/// including dots.
pub(super) fn wildcard_line(text: &str, sink: &mut Sink<'_>) {
    let name = match one_name(text) {
        Ok(name) => name,
        Err(reason) => return sink.skip(reason),
    };
    match memchr::memrchr(b'*', name.as_bytes()) {
        None => line(name, sink),
        Some(0) if name.starts_with("*.") || name == "*" => line(name, sink),
        _ if network(name).is_some() => line(name, sink),
        _ => match glob(name) {
            Ok(pattern) => {
                let traits = sink.traits();
                sink.pattern(pattern, &traits);
            }
            Err(reason) => sink.skip(reason),
        },
    }
}

/// A complete name with `*` in it.
fn glob(name: &str) -> Result<Pattern, SkipReason> {
    let text = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.*".contains(&b);
    if !text.bytes().all(known) {
        return Err(SkipReason::NotAHostName);
    }
    if text.bytes().all(|b| b"*.".contains(&b)) {
        return Err(SkipReason::Syntax("would match every name".into()));
    }
    Ok(Pattern::Glob { text, start: Start::Name, end: true })
}

/// The only word before a comment, which begins with ` #`.
fn one_name(text: &str) -> Result<&str, SkipReason> {
    // Most lines are just a name; the loop visits all octets, so that the compiler can vectorise it.
    if !text.bytes().fold(false, |other, b| other | (b <= b' ') | (b >= 0x7f)) {
        return Ok(text);
    }
    let mut words = text.split_whitespace();
    let name = words.next().unwrap_or_default();
    match words.next() {
        None => Ok(name),
        Some(next) if next.starts_with('#') => Ok(name),
        Some(_) => Err(SkipReason::NotOneName),
    }
}
