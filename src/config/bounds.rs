//! `[lists]`: what a list may cost, and which changes of a list are refused. A `[[list]]` may set the same
//! keys for itself.

use toml::Spanned;

use super::check::Check;
use super::error::expected;
use super::key::{Form, Key, Kind, Without};
use super::table::Table;
use crate::settings::ListBounds;

const MIN_RULES: Key = Key::optional(
    "min-rules",
    Kind::Number(0, u32::MAX as u64),
    "1 once a list has given rules",
)
.like("1000")
.means(
    "A list with fewer rules is refused: a reload keeps the rules it gave last, a start fails. Without it, a \
        reload refuses a list that no longer gives any rules; `0` accepts that too.",
);
const MAX_SHRINK: Key = Key::optional(
    "max-shrink",
    Kind::TextOf("a percentage"),
    "any change is accepted, with a warning from 30 % on",
)
.like(r#""30%""#)
.means(
    "A reload refuses a list that has lost more than this share of its rules, and keeps those it gave last.",
);
const MAX_PACKED: Key = Key::with("max-packed", Kind::Size, r#""1GiB""#)
    .means("The largest file, as it is stored. This bound and those that follow keep a file from outside from taking all memory or time: a list that exceeds one is refused.");
const MAX_SIZE: Key =
    Key::with("max-size", Kind::Size, r#""2GiB""#).means("The longest text of a list, unpacked.");
const MAX_RATIO: Key = Key::with("max-ratio", Kind::Number(1, 1_000_000), "100")
    .means("How many times its size a packed file may unpack to; the first 16 MiB are free.");
const MAX_LINES: Key =
    Key::with("max-lines", Kind::Number(1, u32::MAX as u64), "100000000").means("The most lines of a list.");
const MAX_RULES: Key = Key::with("max-rules", Kind::Number(1, u32::MAX as u64), "50000000")
    .means("The most rules of a list, before duplicates are dropped.");
const MAX_DUPLICATES: Key = Key::with("max-duplicates", Kind::Number(0, u32::MAX as u64), "10000000")
    .means("The most lines of a list that repeat an earlier one.");
const MAX_BAD_LINES: Key = Key::with("max-bad-lines", Kind::Number(0, u32::MAX as u64), "10000")
    .means("How many unused lines of a list are kept to be shown; the others are only counted.");
const MAX_EXPRESSIONS: Key = Key::with("max-expressions", Kind::Number(0, u32::MAX as u64), "20000")
    .means("The most regular expressions of a list.");
const MAX_AUTOMATA: Key = Key::with("max-automata", Kind::Size, r#""256MiB""#)
    .means("The most memory for the expressions of a list, which is also a measure of the time to build them. One expression gets at most 1 MiB.");
const MAX_SHORT_PATTERNS: Key = Key::with("max-short-patterns", Kind::Number(0, u32::MAX as u64), "5000").means(
    "The most expressions and wildcards of a list without two fixed characters in a row (three in expressions): nearly every query is compared with them.",
);

/// All of them, for `[lists]`.
const KEYS: [Key; 12] = [
    MIN_RULES,
    MAX_SHRINK,
    MAX_PACKED,
    MAX_SIZE,
    MAX_RATIO,
    MAX_LINES,
    MAX_RULES,
    MAX_DUPLICATES,
    MAX_BAD_LINES,
    MAX_EXPRESSIONS,
    MAX_AUTOMATA,
    MAX_SHORT_PATTERNS,
];

/// The same for one list.
pub(super) const OF_LIST: [Key; 12] = {
    let mut keys = KEYS;
    let mut at = 0;
    #[expect(clippy::indexing_slicing, reason = "when compiled")]
    while at < keys.len() {
        keys[at].without = Without::Words("that of `[lists]`");
        keys[at].meaning = "As in `[lists]`, for this list.";
        at += 1;
    }
    keys
};

pub(super) static FORM: Form = Form {
    header: "[lists]",
    meaning: "Bounds for all lists that are files. A list that exceeds a bound is refused: a reload goes on with the rules that it gave last, a start fails.",
    keys: &KEYS,
    also: &[("max-octets", "max-size"), ("min-entries", "min-rules"), ("shrink", "max-shrink")],
};

impl Check<'_> {
    /// `[lists]`.
    pub(super) fn list_bounds(&mut self, table: Option<Table<'_>>) -> ListBounds {
        let Some(mut table) = table else { return ListBounds::default() };
        let bounds = self.bounds(&mut table, ListBounds::default());
        table.done(self, "", &[]);
        bounds
    }

    /// The bounds in a table; those that it does not set are as given.
    pub(super) fn bounds(&mut self, table: &mut Table<'_>, given: ListBounds) -> ListBounds {
        let mut bounds = given;
        let budget = &mut bounds.budget;
        for (key, octets) in [
            (MAX_PACKED, &mut bounds.packed),
            (MAX_SIZE, &mut budget.octets),
            (MAX_AUTOMATA, &mut budget.automata),
        ] {
            *octets = self.size(table, key).unwrap_or(*octets);
        }
        for (key, count) in [
            (MAX_RATIO, &mut bounds.ratio),
            (MAX_LINES, &mut budget.lines),
            (MAX_RULES, &mut budget.rules),
            (MAX_DUPLICATES, &mut bounds.duplicates),
            (MAX_EXPRESSIONS, &mut budget.expressions),
            (MAX_SHORT_PATTERNS, &mut budget.short_patterns),
        ] {
            *count = table.bounded(self, key).and_then(|n| u32::try_from(n).ok()).unwrap_or(*count);
        }
        let kept = table.bounded(self, MAX_BAD_LINES).and_then(|n| usize::try_from(n).ok());
        budget.kept = kept.unwrap_or(budget.kept);
        let least = table.bounded(self, MIN_RULES).and_then(|n| u32::try_from(n).ok());
        bounds.min_rules = least.or(bounds.min_rules);
        if let Some(text) = table.text(self, MAX_SHRINK) {
            match percent(text.get_ref()) {
                Some(share) => bounds.max_shrink = Some(share),
                None => {
                    let problem = format!("`{}` is not a percentage", text.get_ref());
                    let remedy = expected("a number from 0 to 100 with %, in quotes");
                    self.wrong(
                        &table.key(MAX_SHRINK),
                        &Spanned::span(&text),
                        problem,
                        remedy.such_as(r#""30%""#),
                    );
                }
            }
        }
        bounds
    }
}

fn percent(text: &str) -> Option<u8> {
    text.strip_suffix('%')?.trim().parse().ok().filter(|share| *share <= 100)
}
