//! Regular expressions in lists: which can be served, and which only mean a name.

use super::breadth::is_every;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::rule::{Match, Pattern, Traits};

/// Adds a rule for an expression; one that only means "this name" or "this name and its subdomains" becomes
/// a name.
pub(super) fn push(text: &str, traits: &Traits, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
    if let Some((name, matching)) = as_name(text) {
        sink.name(&name, matching, traits);
        return Ok(());
    }
    let hir = parse(text)?;
    // An expression that matches every name must match one of one character: a cheap test first.
    if hir.properties().minimum_len().is_none_or(|len| len <= 1) && is_every(&Pattern::Regex(text.to_owned()))
    {
        sink.every_name(traits);
    } else {
        sink.expression(text, traits);
    }
    Ok(())
}

/// Checks the syntax. What only an engine that backtracks can do is unsupported, not malformed.
fn parse(text: &str) -> Result<regex_syntax::hir::Hir, SkipReason> {
    use regex_syntax::{Error, ast};
    let feature = |what: &str| SkipReason::Feature(what.into());
    match regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(text) {
        Ok(hir) => Ok(hir),
        Err(Error::Parse(error)) if *error.kind() == ast::ErrorKind::UnsupportedLookAround => {
            Err(feature("look-around in an expression, such as (?!…)"))
        }
        Err(Error::Parse(error)) if *error.kind() == ast::ErrorKind::UnsupportedBackreference => {
            Err(feature("a back-reference in an expression, such as \\1"))
        }
        Err(error) => {
            let error = error.to_string();
            let last = error.lines().next_back().unwrap_or_default().trim().trim_start_matches("error: ");
            Err(SkipReason::Expression(last.chars().take(120).collect()))
        }
    }
}

fn as_name(text: &str) -> Option<(String, Match)> {
    let body = text.strip_suffix('$')?;
    let forms = [
        ("^(.+\\.)?", Match::Suffix),
        ("^(.*\\.)?", Match::Suffix),
        ("(^|\\.)", Match::Suffix),
        ("(\\.|^)", Match::Suffix),
        ("^.+\\.", Match::Subdomains),
        ("^", Match::Exact),
    ];
    let (rest, matching) = forms.iter().find_map(|(start, m)| Some((body.strip_prefix(start)?, *m)))?;
    // Only letters and escaped dots.
    let name = rest.replace("\\.", "\0");
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == 0);
    (plain && !name.is_empty()).then(|| (name.replace('\0', "."), matching))
}
