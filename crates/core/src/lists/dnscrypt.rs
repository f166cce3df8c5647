//! `dnscrypt`: dnscrypt-proxy's lists of blocked or allowed names.
//!
//! A plain name includes what is below it, as `*.name` and `.name` do; `=name` is only itself; `*part*`,
//! `start*`, and `*`, `?` and `[a-z]` anywhere are patterns. `@schedule` after a rule says when it applies.

use super::comment;
use super::expression;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::rule::{Match, Pattern, Start};

/// One line of a list of names.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    let text = comment::without(text);
    let (text, schedule) = match text.split_once('@') {
        Some((_, schedule)) if schedule.contains('@') => {
            return sink.skip(SkipReason::Syntax("more than one `@` on the line".into()));
        }
        Some((text, schedule)) => (text.trim(), Some(schedule.trim())),
        None => (text.trim(), None),
    };
    match schedule {
        None => name(text, sink),
        Some(schedule) => sink.at_times(schedule, |sink| name(text, sink)),
    }
}

/// True for a line that only this format has: `=name`, a class of characters, or a schedule.
pub(super) fn is_mark(line: &str) -> bool {
    let host = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    if let Some(exact) = line.strip_prefix('=') {
        return exact.bytes().next().is_some_and(|b| host(&b));
    }
    let name = match line.split_once('@') {
        Some((name, schedule)) if name.ends_with([' ', '\t']) => {
            let word = !schedule.is_empty() && schedule.bytes().all(|b| host(&b));
            if word && !name.trim().is_empty() && name.trim().bytes().all(|b| host(&b) || b == b'*') {
                return true;
            }
            name.trim_end()
        }
        _ => line,
    };
    // Outside of the class, a name and asterisks.
    let outside = name.split_once('[').and_then(|(a, rest)| rest.split_once(']').map(|(_, b)| (a, b)));
    outside.is_some_and(|(a, b)| {
        let rest = [a.as_bytes(), b.as_bytes()].concat();
        rest.iter().any(u8::is_ascii_alphanumeric) && rest.iter().all(|b| host(b) || b"*?".contains(b))
    })
}

fn name(text: &str, sink: &mut Sink<'_>) {
    if text.contains(char::is_whitespace) {
        return sink.skip(SkipReason::Feature("a name with an answer, as for cloaking".into()));
    }
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if text.contains(['?', '[', '\\']) || inner.contains('*') {
        return match pattern(text, sink) {
            Ok(()) => {}
            Err(reason) => sink.skip(reason),
        };
    }
    match (text.strip_prefix('*'), text.strip_suffix('*')) {
        (Some(_), Some(_)) if inner.is_empty() => {
            let traits = sink.traits();
            sink.every_name(&traits);
        }
        (Some(_), Some(_)) => glob(inner, Start::Anywhere, false, sink),
        (None, Some(start)) => glob(start, Start::Name, false, sink),
        (Some(rest), None) => match rest.strip_prefix('.') {
            Some(name) => sink.star(name),
            // Here an asterisk ends at a dot even without one.
            None => sink.plain_name(rest, Match::Suffix),
        },
        (None, None) => match (text.strip_prefix('='), text.strip_prefix('.')) {
            (Some(name), _) => sink.plain_name(name, Match::Exact),
            (_, Some(name)) => sink.plain_name(name, Match::Suffix),
            _ => sink.plain_name(text, sink.plain()),
        },
    }
}

fn glob(text: &str, start: Start, end: bool, sink: &mut Sink<'_>) {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"-_.*".contains(&b);
    if !text.bytes().all(known) {
        return sink.skip(SkipReason::NotAHostName);
    }
    if text.bytes().all(|b| b"*.".contains(&b)) {
        return sink.skip(SkipReason::Syntax("would match every name".into()));
    }
    let traits = sink.traits();
    sink.pattern(Pattern::Glob { text: text.to_ascii_lowercase(), start, end }, &traits);
}

/// A pattern for the whole name with `*`, `?` and classes of characters.
fn pattern(text: &str, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
    if !text.contains(['?', '[', '\\']) {
        glob(text, Start::Name, true, sink);
        return Ok(());
    }
    let text = text.to_ascii_lowercase();
    if !text.bytes().any(|b| b.is_ascii_alphanumeric()) {
        return Err(SkipReason::Syntax("would match every name".into()));
    }
    let mut out = String::from("^");
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                out.push('[');
                let mut any = false;
                loop {
                    let unclosed = || SkipReason::Syntax("a bracket is not closed".into());
                    let c = chars.next().ok_or_else(unclosed)?;
                    match c {
                        ']' if any => break,
                        '^' if out.ends_with('[') && !any => out.push('^'),
                        '-' => {
                            any = true;
                            out.push('-');
                        }
                        '\\' => {
                            any = true;
                            literal(chars.next().ok_or_else(unclosed)?, &mut out);
                        }
                        c => {
                            any = true;
                            literal(c, &mut out);
                        }
                    }
                }
                out.push(']');
            }
            '\\' => {
                let c = chars.next().ok_or(SkipReason::Syntax("a backslash at the end".into()))?;
                literal(c, &mut out);
            }
            c if c.is_ascii_alphanumeric() || "-_.".contains(c) => literal(c, &mut out),
            _ => return Err(SkipReason::NotAHostName),
        }
    }
    out.push('$');
    let traits = sink.traits();
    expression::push(&out, &traits, sink)
}

fn literal(c: char, out: &mut String) {
    if !c.is_alphanumeric() {
        out.push('\\');
    }
    out.push(c);
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::read;
    use crate::rule::Format;

    #[test]
    fn lines_that_only_this_format_has_are_told() {
        for (line, yes) in [
            ("=a.org", true),
            ("ads[0-9]*.a.org", true),
            ("*.youtube.* @time-to-sleep", true),
            ("a.org @work", true),
            ("a.org", false),
            ("*.a.org", false),
            ("[Adblock Plus 2.0]", false),
            ("[section]", false),
            ("@@a.org", false),
            ("^ads[0-9]+", false),
            ("a.org##.x @y", false),
        ] {
            assert_eq!(super::is_mark(line), yes, "{line}");
        }
    }

    #[test]
    fn lines_and_what_they_mean() {
        for (text, expected) in [
            (
                "a.org\n.b.org\n*.c.org\n*d.org\n=e.org # why",
                vec!["1:||a.org^", "2:||b.org^", "3:||c.org^", "4:||d.org^", "5:|e.org|"],
            ),
            ("*sex*\nads.*", vec!["1:pattern sex", "2:pattern |ads."]),
            ("ads*.A.org\n*.youtube.*", vec!["1:pattern |ads*.a.org^", "2:pattern .youtube."]),
            ("ads*.example*", vec!["1:pattern |ads*.example*^"]),
            ("ads[0-9]*", vec![r"1:pattern /^ads[0-9].*$/"]),
            ("a?s.[^a-c]x.org", vec![r"1:pattern /^a.s\.[^a-c]x\.org$/"]),
            ("[a-z0-9\\-_]*.example.com", vec![r"1:pattern /^[a-z0-9\-\_].*\.example\.com$/"]),
            ("*\n**\n*.*", vec!["1:||.^", "2:||.^", "3:! would match every name"]),
            ("a.org @work", vec!["1:! no [[schedule]] has the name `work`"]),
            ("a.org @work @play", vec!["1:! more than one `@` on the line"]),
            ("ads[x", vec!["1:! a bracket is not closed"]),
            ("a.org 192.0.2.1", vec!["1:! not supported: a name with an answer, as for cloaking"]),
        ] {
            assert_eq!(read(text, Format::Dnscrypt), expected, "{text}");
        }
    }
}
