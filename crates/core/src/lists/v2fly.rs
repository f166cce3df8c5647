//! `v2fly`: the source files of v2fly's domain lists.
//!
//! `name` and `domain:name` include what is below the name, `full:name` does not; `keyword:part` and
//! `regexp:` are patterns; `include:` names another file. `@attribute` is a label by which a list can choose rules.

use super::attributes::Attributes;
use super::expression;
use super::list::Include;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::rule::{Match, Pattern, Start};

/// The kinds of rules, by the word before the colon.
const KINDS: [&str; 6] = ["domain:", "full:", "keyword:", "regexp:", "regex:", "include:"];

/// True for a line that only this format has.
pub(super) fn is_mark(line: &str) -> bool {
    KINDS.iter().any(|kind| {
        line.strip_prefix(kind)
            .is_some_and(|rest| !rest.starts_with([' ', '"', '\'', '/']) && !rest.is_empty())
    })
}

/// One line of a domain list.
pub(super) fn line(text: &str, chosen: &Attributes, sink: &mut Sink<'_>) {
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_whitespace();
    let Some(rule) = words.next() else { return };
    let mut labels = Vec::new();
    for word in words {
        match word.split_at_checked(1) {
            Some(("@", label)) if !label.is_empty() => labels.push(label.to_ascii_lowercase()),
            // `&list` adds the rule to another list too.
            Some(("&", list)) if !list.is_empty() => {}
            _ => {
                let word: String = word.chars().take(40).collect();
                return sink
                    .skip(SkipReason::Syntax(format!("expected @attribute, and `{word}` is not one")));
            }
        }
    }
    let (kind, value) = rule.split_once(':').unwrap_or(("domain", rule));
    if kind == "include" {
        let own = Attributes::of(labels.iter().map(String::as_str));
        let include = Include { line: sink.line(), name: value.to_owned(), chosen: chosen.and(&own) };
        return sink.include(include);
    }
    if !chosen.take(&labels) {
        return sink.leave_out();
    }
    let traits = sink.traits();
    match kind {
        "domain" => sink.plain_name(value, sink.plain()),
        "full" => sink.plain_name(value, Match::Exact),
        "keyword" => match value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            true if !value.is_empty() => {
                let text = value.to_ascii_lowercase();
                sink.pattern(Pattern::Glob { text, start: Start::Anywhere, end: false }, &traits);
            }
            _ => sink.skip(SkipReason::NotAHostName),
        },
        "regexp" | "regex" => {
            if let Err(reason) = expression::push(value, &traits, sink) {
                sink.skip(reason);
            }
        }
        _ => {
            let kind: String = kind.chars().take(40).collect();
            sink.skip(SkipReason::Syntax(format!(
                "`{kind}:` is not a kind of rule; expected domain, full, keyword, regexp or include"
            )));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reader::tests::read;
    use crate::rule::Format;

    #[test]
    fn lines_that_only_this_format_has_are_told() {
        for (line, yes) in [
            ("full:a.org", true),
            ("include:other @ads", true),
            ("regexp:^a\\.", true),
            ("include: \"/etc/unbound/x.conf\"", false),
            ("domain: a.org", false),
            ("a.org", false),
            ("server:", false),
        ] {
            assert_eq!(super::is_mark(line), yes, "{line}");
        }
    }

    #[test]
    fn lines_and_what_they_mean() {
        for (text, expected) in [
            (
                "a.org # why\ndomain:b.org @ads\nfull:c.org @cn @!ads\nkeyword:Track &other\nregexp:^ad\\d+\\.",
                vec!["1:||a.org^", "2:||b.org^", "3:|c.org|", "4:pattern track", r"5:pattern /^ad\d+\./"],
            ),
            ("include:other", vec!["1:! the file `other` is not read here"]),
            (
                "nope:a.org",
                vec!["1:! `nope:` is not a kind of rule; expected domain, full, keyword, regexp or include"],
            ),
            ("a.org b.org", vec!["1:! expected @attribute, and `b.org` is not one"]),
            ("regexp:a(?=b)", vec!["1:! not supported: look-around in an expression, such as (?!…)"]),
        ] {
            assert_eq!(read(text, Format::V2fly), expected, "{text}");
        }
    }
}
