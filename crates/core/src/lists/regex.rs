//! `regex`: Pi-hole's regular expressions, one per line, with what may follow them.
//!
//! They are POSIX extended expressions as TRE reads them, matched anywhere in the name without regard to
//! case. `;querytype=` and `;reply=` are read; what an automaton cannot do is unsupported.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::comment;
use super::expression;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::Qtype;
use crate::rule::{Action, Effect, Scope};

/// One line of a list of expressions.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    if let Err(reason) = rule(text, sink) {
        sink.skip(reason);
    }
}

/// True for a line that only this format has.
pub(super) fn is_mark(line: &str) -> bool {
    line.contains(";querytype=") || line.contains(";reply=") || line.ends_with(";invert")
}

/// True for a line that is an expression and that no list of names, and no filter, has.
pub(super) fn is_expression(line: &str) -> bool {
    // The marks that begin or continue AdGuard's rules.
    let path =
        line.starts_with(['/', '|', '@', '[', '*', '!', '#', '$']) || line.contains(char::is_whitespace);
    let modifier = line.rsplit_once('$').is_some_and(|(_, rest)| rest.starts_with(char::is_alphabetic));
    let repeats = || ["]+", ")+", ".+", ".*"].iter().any(|mark| line.contains(mark));
    is_mark(line)
        || (!path && !modifier && (line.starts_with('^') || line.contains(['\\', '(', '{']) || repeats()))
}

fn rule(text: &str, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
    let mut parts = text.split(';');
    let expression = parts.next().unwrap_or_default();
    let (mut traits, mut scope) = (sink.traits(), Scope::default());
    let mut reply = Reply::default();
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match key.trim().to_ascii_lowercase().as_str() {
            "querytype" => types(value, &mut scope)?,
            "reply" => reply.add(value.trim())?,
            "invert" => return Err(SkipReason::Feature("`;invert`, every name that does not match".into())),
            other => {
                let other: String = other.chars().take(40).collect();
                return Err(SkipReason::Syntax(format!(
                    "`;{other}` is not an option; expected `;querytype=` or `;reply=`"
                )));
            }
        }
    }
    if scope != Scope::default() {
        traits.scope = Some(Box::new(scope));
    }
    // Pi-hole takes a reply only from what it blocks.
    traits.action = reply.action()?.filter(|_| traits.effect == Effect::Block);
    let expression = translated(comment_off(expression).trim())?;
    if expression.is_empty() {
        return Err(SkipReason::Syntax("an expression is missing before the semicolon".into()));
    }
    expression::push(&expression, &traits, sink)
}

/// `A,AAAA`, or `!A,AAAA`: all except these.
fn types(value: &str, scope: &mut Scope) -> Result<(), SkipReason> {
    let value = value.trim();
    let (to, value) = match value.strip_prefix('!') {
        Some(rest) => (&mut scope.not_types, rest),
        None => (&mut scope.types, value),
    };
    for word in value.split(',').map(str::trim) {
        if word.eq_ignore_ascii_case("OTHER") {
            return Err(SkipReason::Feature("the query type OTHER".into()));
        }
        let word = word.strip_prefix('!').unwrap_or(word);
        let unknown = || SkipReason::Syntax(format!("`{word}` is not a record type"));
        to.push(word.to_ascii_uppercase().parse::<Qtype>().map_err(|_| unknown())?);
    }
    to.sort();
    to.dedup();
    Ok(())
}

/// What `;reply=` asks for: one word, or an address of each family.
#[derive(Default)]
struct Reply {
    word: Option<Action>,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Reply {
    fn add(&mut self, value: &str) -> Result<(), SkipReason> {
        let word = match value.to_ascii_lowercase().as_str() {
            "nodata" => Action::NoData,
            "nxdomain" => Action::NxDomain,
            "refused" => Action::Refused,
            "none" => Action::Drop,
            "ip" => return Err(SkipReason::Feature("`;reply=ip`, the Pi-hole's own address".into())),
            _ => {
                match value.parse() {
                    Ok(IpAddr::V4(address)) => self.v4 = Some(address),
                    Ok(IpAddr::V6(address)) => self.v6 = Some(address),
                    Err(_) => {
                        return Err(SkipReason::Syntax(format!(
                            "`{value}` is not a reply; expected nodata, nxdomain, refused, none or addresses"
                        )));
                    }
                }
                return Ok(());
            }
        };
        self.word = Some(word);
        Ok(())
    }

    fn action(self) -> Result<Option<Action>, SkipReason> {
        match (self.word, self.v4, self.v6) {
            (word, None, None) => Ok(word),
            (Some(_), ..) => Err(SkipReason::Syntax("two replies on one line".into())),
            // The other family gets the unspecified address.
            (None, v4, v6) => Ok(Some(Action::Address(
                vec![v4.unwrap_or(Ipv4Addr::UNSPECIFIED)],
                vec![v6.unwrap_or(Ipv6Addr::UNSPECIFIED)],
            ))),
        }
    }
}

/// The expression without a comment after it; in brackets a `#` is itself.
fn comment_off(text: &str) -> &str {
    match comment::start(text) {
        Some(at) if !text.get(at..).is_some_and(|rest| rest.contains(']')) => text.get(..at).unwrap_or(text),
        _ => text,
    }
}

/// In the engine's syntax: a backslash in brackets is itself, and `(?#…)` is a comment.
fn translated(text: &str) -> Result<String, SkipReason> {
    let feature = |what: &str| Err(SkipReason::Feature(what.into()));
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\\' => {
                out.push(c);
                let escaped = after.chars().next();
                out.extend(escaped);
                rest = after.get(escaped.map_or(0, char::len_utf8)..).unwrap_or_default();
            }
            '(' if after.starts_with("?#") => {
                let Some((_, after)) = after.split_once(')') else {
                    return Err(SkipReason::Expression("a comment is not closed".into()));
                };
                rest = after;
            }
            '{' if after.split('}').next().is_some_and(|b| b.contains(['~', '+', '-', '#', '<'])) => {
                return feature("approximate matching in an expression");
            }
            '[' => rest = bracket(after, &mut out)?,
            _ => {
                out.push(c);
                rest = after;
            }
        }
    }
    Ok(out)
}

/// A bracket expression (POSIX.1 §9.3.5), in the engine's syntax; returns what comes after it.
fn bracket<'t>(text: &'t str, out: &mut String) -> Result<&'t str, SkipReason> {
    out.push('[');
    let mut rest = text.strip_prefix('^').map_or(text, |rest| {
        out.push('^');
        rest
    });
    let mut first = true;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = after;
        match c {
            ']' if !first => {
                out.push(']');
                return Ok(rest);
            }
            '[' if after.starts_with([':', '.', '=']) => {
                let Some((class, after)) = after.get(1..).unwrap_or_default().split_once("]") else { break };
                let Some(class) = class.strip_suffix(':').filter(|_| !rest.starts_with(['.', '='])) else {
                    return Err(SkipReason::Feature("a collating symbol in an expression".into()));
                };
                out.extend(["[:", class, ":]"]);
                rest = after;
            }
            '\\' | '[' | ']' | '&' | '~' | '^' => out.extend(['\\', c]),
            _ => out.push(c),
        }
        first = false;
    }
    Err(SkipReason::Expression("a bracket is not closed".into()))
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::read;
    use crate::rule::Format;

    #[test]
    fn expressions_are_told_from_other_lines() {
        for (line, yes) in [
            ("^ad[0-9]+\\.", true),
            ("^(.+[_.-])?adse?rv(er?|ice)?s?[0-9]*[_.-]", true),
            ("(^|\\.)tracker\\.test$", true),
            ("ads.{0,20}track", true),
            ("ads(?=x)", true),
            ("ads;querytype=A", true),
            ("^ads.*", true),
            ("||a.org^$client=1,domain=a|b", false),
            ("-banner-$domain=a.com|b.com", false),
            ("/ads[0-9]+/", false),
            ("a.org", false),
            ("*.a.org", false),
            ("ads*.a.org", false),
            ("-ad-banner-12-", false),
            ("a.org # (why)", false),
        ] {
            assert_eq!(super::is_expression(line), yes, "{line}");
        }
    }

    #[test]
    fn lines_and_what_they_mean() {
        for (text, expected) in [
            ("^ad[0-9]+\\.", vec![r"1:pattern /^ad[0-9]+\./"]),
            ("(\\.|^)a\\.org$\n^a\\.org$", vec!["1:||a.org^", "2:|a.org|"]),
            ("ads # why", vec!["1:pattern /ads/"]),
            ("ads(?#why)x", vec!["1:pattern /adsx/"]),
            ("[[:alpha:]][\\.x]", vec![r"1:pattern /[[:alpha:]][\\.x]/"]),
            ("ads[]x]", vec![r"1:pattern /ads[\]x]/"]),
            ("ads;querytype=AAAA", vec!["1:pattern /ads/$dnstype=AAAA"]),
            ("ads;querytype=a,aaaa", vec!["1:pattern /ads/$dnstype=A|AAAA"]),
            ("ads;querytype=!A,AAAA", vec!["1:pattern /ads/$dnstype=~A|~AAAA"]),
            ("ads;reply=NXDOMAIN", vec!["1:pattern /ads/$(nxdomain)"]),
            ("ads;reply=none", vec!["1:pattern /ads/$(drop)"]),
            ("ads;reply=192.0.2.1", vec!["1:pattern /ads/$(address 192.0.2.1 ::)"]),
            (
                "ads;reply=192.0.2.1;reply=2001:db8::1",
                vec!["1:pattern /ads/$(address 192.0.2.1 2001:db8::1)"],
            ),
            ("ads;querytype=HTTPS;reply=refused", vec!["1:pattern /ads/$dnstype=HTTPS,(refused)"]),
            ("ads;querytype=OTHER", vec!["1:! not supported: the query type OTHER"]),
            ("ads;querytype=NOPE", vec!["1:! `NOPE` is not a record type"]),
            (
                "^a$;querytype=AAAA;invert",
                vec!["1:! not supported: `;invert`, every name that does not match"],
            ),
            ("ads;reply=ip", vec!["1:! not supported: `;reply=ip`, the Pi-hole's own address"]),
            (
                "ads;reply=soon",
                vec!["1:! `soon` is not a reply; expected nodata, nxdomain, refused, none or addresses"],
            ),
            ("ads;reply=nodata;reply=::1", vec!["1:! two replies on one line"]),
            ("ads;client=x", vec!["1:! `;client` is not an option; expected `;querytype=` or `;reply=`"]),
            (
                "^ads(?!x)\n(a)\\1\nads{~2}\n(",
                vec![
                    "1:! not supported: look-around in an expression, such as (?!…)",
                    "2:! not supported: a back-reference in an expression, such as \\1",
                    "3:! not supported: approximate matching in an expression",
                    "4:! not a regular expression: unclosed group",
                ],
            ),
            ("ads[x", vec!["1:! not a regular expression: a bracket is not closed"]),
        ] {
            assert_eq!(read(text, Format::Regex), expected, "{text}");
        }
    }
}
