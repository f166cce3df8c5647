//! What a list may cost. No published list reaches these bounds; they keep a file from outside from taking all
//! memory or time.

/// The bounds of one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Octets of the text, unpacked.
    pub octets: u64,
    /// Lines.
    pub lines: u32,
    /// Rules, before duplicates are dropped.
    pub rules: u32,
    /// Bad lines that are kept with text and reason; the others are only counted.
    pub kept: usize,
    /// Rules with an expression.
    pub expressions: u32,
    /// Octets of the automata of all expressions: they measure both memory and the time to build them.
    pub automata: u64,
    /// Patterns without a literal of two octets, or three in an expression: nearly every query has to be
    /// compared with them.
    pub short_patterns: u32,
}

impl Budget {
    /// No bounds, for text that is in memory already.
    pub const NONE: Self = Self {
        octets: u64::MAX,
        lines: u32::MAX,
        rules: u32::MAX,
        kept: usize::MAX,
        expressions: u32::MAX,
        automata: u64::MAX,
        short_patterns: u32::MAX,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            octets: 2 << 30,
            lines: 100_000_000,
            rules: 50_000_000,
            kept: 10_000,
            expressions: 20_000,
            automata: 256 << 20,
            short_patterns: 5_000,
        }
    }
}

/// A bound that a list exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list has more than {bound} {what}; if that is intended, raise `{key}`")]
pub struct Exceeded {
    /// The line, from 1.
    pub line: u32,
    /// The quantity that exceeds its bound.
    pub what: &'static str,
    /// The bound.
    pub bound: u64,
    /// The key of the configuration that sets it.
    pub key: &'static str,
}

/// What a list has taken of its [`Budget`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) octets: u64,
    pub(super) expressions: u32,
    pub(super) automata: u64,
    pub(super) short_patterns: u32,
}

impl Spent {
    pub(super) fn take_from(&mut self, other: &mut Self) {
        let Self { octets, expressions, automata, short_patterns } = std::mem::take(other);
        self.octets = self.octets.saturating_add(octets);
        self.expressions = self.expressions.saturating_add(expressions);
        self.automata = self.automata.saturating_add(automata);
        self.short_patterns = self.short_patterns.saturating_add(short_patterns);
    }
}

impl Budget {
    /// The first bound that is exceeded.
    pub(super) fn exceeded(&self, spent: &Spent, line: u32, rules: usize) -> Result<(), Exceeded> {
        for (is, bound, what, key) in [
            (spent.octets, self.octets, "octets (unpacked)", "max-size"),
            (line.into(), self.lines.into(), "lines", "max-lines"),
            (rules as u64, self.rules.into(), "rules", "max-rules"),
            (spent.expressions.into(), self.expressions.into(), "expressions", "max-expressions"),
            (spent.automata, self.automata, "octets of automata for its expressions", "max-automata"),
            (
                spent.short_patterns.into(),
                self.short_patterns.into(),
                "patterns without fixed characters in a row (two, or three in expressions)",
                "max-short-patterns",
            ),
        ] {
            if is > bound {
                return Err(Exceeded { line, what, bound, key });
            }
        }
        Ok(())
    }
}
