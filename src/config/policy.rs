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

pub(super) static FORM: Form = Form {
    header: "[policy]",
    meaning: "Which rule wins where several match.",
    keys: &[PRECEDENCE],
    also: &[],
};

impl Check<'_> {
    pub(super) fn policy(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        settings.policy.precedence = table.word(self, PRECEDENCE, &Precedence::WORDS).unwrap_or_default();
        table.done(self, "", &[]);
    }
}
