//! `[policy]`: which of several matching rules wins.

use super::check::Check;
use super::key::{Form, Key, Kind, words};
use super::table::Table;
use crate::policy::Precedence;
use crate::settings::Settings;

const PRECEDENCE: Key =
    Key::with("precedence", Kind::Word(|| words(&Precedence::WORDS)), r#""allow-wins""#).means(
        "What decides between rules: an allow before a block, the longer name before the shorter, or the list named \
        first (see [policy](policy.md)).",
    );

/// What happens to a name that no rule allows or blocks; true: it is blocked.
pub(super) const DEFAULTS: [(&str, bool); 2] = [("pass", false), ("block", true)];

const DEFAULT: Key = Key::with("default", Kind::Word(|| words(&DEFAULTS)), r#""pass""#).means(
    "What happens to a name that no rule matches, for clients whose group does not say. `\"block\"`: only what an allow \
    rule lets pass is answered (see [policy](policy.md#block-by-default)).",
);

pub(super) static FORM: Form = Form {
    header: "[policy]",
    meaning: "Which rule wins where several match.",
    keys: &[PRECEDENCE, DEFAULT],
    also: &[],
};

impl Check<'_> {
    pub(super) fn policy(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        settings.policy.precedence = table.word(self, PRECEDENCE, &Precedence::WORDS).unwrap_or_default();
        settings.policy.closed = table.word(self, DEFAULT, &DEFAULTS).unwrap_or_default();
        table.done(self, "", &[]);
    }
}
