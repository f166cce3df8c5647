//! What a list gave: its rules in little room, and an account of every line.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::skip::{SkipReason, Skipped};
use crate::dns::{Match, Name};
use crate::rule::{Action, Effect, Format, Pattern, Traits};

/// A list as it was read. Names lie one after the other in one block, so that a million of them
/// cost a million times their length and not a million allocations.
#[derive(Clone, Debug)]
pub struct List {
    /// The format it was read as.
    pub format: Format,
    /// Its `$badfilter` rules take back its own rules alone, because others of its rules do not go for
    /// everybody at all times either.
    pub alone: bool,
    /// Lines in all.
    pub lines: u32,
    /// Lines without anything to say: empty ones, comments, entries of the file's own machine.
    pub blank: u32,
    /// Lines, or names on them, that gave no rule though they were meant to, in order.
    pub skipped: Vec<Skipped>,
    /// The different traits of the rules.
    pub traits: Vec<Traits>,
    /// Rules that no name holds: line, pattern, number of the traits.
    pub patterns: Vec<(u32, Pattern, u32)>,
    names: Vec<u8>,
    records: Vec<Record>,
    by_traits: HashMap<Traits, u32, FxBuildHasher>,
}

/// A rule on a name.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Where its wire name begins.
    at: u32,
    line: u32,
    /// Number of the traits, and in the two lowest bits how the name matches.
    traits: u32,
}

/// A rule on a name, as [`List::rules`] gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule<'l> {
    /// Its line, from 1.
    pub line: u32,
    /// The name, in lower case.
    pub name: Name<'l>,
    /// How it is compared.
    pub matching: Match,
    /// Number in [`List::traits`].
    pub traits: u32,
}

impl List {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            alone: false,
            lines: 0,
            blank: 0,
            skipped: Vec::new(),
            traits: Vec::new(),
            patterns: Vec::new(),
            names: Vec::new(),
            records: Vec::new(),
            by_traits: HashMap::default(),
        }
    }

    /// A list of rewrites that were never text: line, name, how it is compared, and the answer.
    #[must_use]
    pub fn of_rewrites<'r>(rewrites: impl Iterator<Item = (u32, Name<'r>, Match, Action)>) -> Self {
        let mut list = Self::new(Format::AdGuard);
        for (line, name, matching, action) in rewrites {
            list.lines = list.lines.max(line);
            let traits = Traits { rewrite: true, action: Some(action), ..Traits::plain(Effect::Block) };
            let pushed = list.push_name(line, matching, &traits, |names| {
                names.extend(name.as_bytes().iter().map(u8::to_ascii_lowercase));
                Ok(())
            });
            if let Err(reason) = pushed {
                list.skipped.push(Skipped { line, text: name.to_folded().to_string(), reason });
            }
        }
        list.blank = list.lines.saturating_sub(u32::try_from(list.records.len()).unwrap_or(0));
        list
    }

    /// The rules on names, in the order of their lines.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = NameRule<'_>> {
        self.records.iter().enumerate().map(|(number, record)| self.read(number, record))
    }

    /// The rule at a place of that order.
    #[must_use]
    pub fn rule(&self, number: usize) -> Option<NameRule<'_>> {
        self.records.get(number).map(|record| self.read(number, record))
    }

    fn read(&self, number: usize, record: &Record) -> NameRule<'_> {
        // The names lie one after the other.
        let end = self.records.get(number + 1).map_or(self.names.len(), |next| next.at as usize);
        NameRule {
            line: record.line,
            name: Name::stored(self.names.get(record.at as usize..end).unwrap_or_default()),
            matching: match record.traits & 3 {
                0 => Match::Exact,
                1 => Match::Suffix,
                _ => Match::Subdomains,
            },
            traits: record.traits >> 2,
        }
    }

    /// How many rules there are on names.
    #[must_use]
    pub const fn name_count(&self) -> usize {
        self.records.len()
    }

    pub(super) fn traits_number(&mut self, traits: &Traits) -> u32 {
        // Most rules of a list have the traits of the rule before.
        if let Some(last) = self.records.last()
            && self.traits.get((last.traits >> 2) as usize) == Some(traits)
        {
            return last.traits >> 2;
        }
        if let Some(known) = self.by_traits.get(traits) {
            return *known;
        }
        let number = u32::try_from(self.traits.len()).unwrap_or(u32::MAX >> 2);
        self.traits.push(traits.clone());
        self.by_traits.insert(traits.clone(), number);
        number
    }

    /// Adds a rule; `write` appends the wire name to the block.
    pub(super) fn push_name(
        &mut self,
        line: u32,
        matching: Match,
        traits: &Traits,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), SkipReason>,
    ) -> Result<(), SkipReason> {
        let start = self.names.len();
        // 4 GiB of names are more than any list has; what is beyond is told, not lost in silence.
        let at = u32::try_from(start).map_err(|_| SkipReason::TooMany)?;
        if let Err(reason) = write(&mut self.names) {
            self.names.truncate(start);
            return Err(reason);
        }
        let number = self.traits_number(traits);
        let kind = match matching {
            Match::Exact => 0,
            Match::Suffix => 1,
            Match::Subdomains => 2,
        };
        self.records.push(Record { at, line, traits: number << 2 | kind });
        Ok(())
    }
}
