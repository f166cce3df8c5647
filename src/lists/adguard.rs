//! `adguard`: the DNS filter syntax.

use super::{Sink, SkipReason};
use crate::rule::Match;

/// One line of a filter.
pub fn line(text: &str, sink: &mut Sink<'_>) {
    match text.strip_prefix("||").and_then(|t| t.strip_suffix('^')) {
        Some(name) => sink.plain_name(name, Match::Suffix),
        None => sink.skip(SkipReason::Syntax("not yet".into())),
    }
}
