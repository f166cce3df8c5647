//! A parsed list: its rules in compact form, and an account of every line.

use std::collections::HashMap;

use ipnet::IpNet;
use rustc_hash::FxBuildHasher;

use super::may::Confined;
use super::skip::{SkipReason, Skipped};
use crate::dns::{Match, Name};
use crate::rule::{Action, Effect, Format, Pattern, Traits};

/// A parsed list. The names are stored consecutively in one block, so that a million names take a million
/// times their length and not a million allocations.
#[derive(Clone, Debug)]
pub struct List {
    /// The format that it was read as.
    pub format: Format,
    /// Its `$badfilter` rules cancel only its own rules, because some of its rules do not apply to all
    /// clients at all times.
    pub alone: bool,
    /// Number of lines.
    pub lines: u32,
    /// Lines without a rule: blank ones, comments, entries for the local machine.
    pub blank: u32,
    /// Lines, or names on them, that were meant as rules but gave none, in order.
    pub skipped: Vec<Skipped>,
    /// The distinct traits of the rules.
    pub traits: Vec<Traits>,
    /// Rules that have a pattern instead of a name: line, pattern, number of the traits.
    pub patterns: Vec<(u32, Pattern, u32)>,
    /// Rules for addresses in answers: line, network, number of the traits.
    pub addresses: Vec<(u32, IpNet, u32)>,
    /// Lines of a hosts file that give a name an address of some other machine and are read as blocks.
    pub addressed: u32,
    /// Lines with something that the list may not do, in order; see [`super::May`].
    pub confined: Vec<Confined>,
    names: Vec<u8>,
    records: Vec<Record>,
    by_traits: HashMap<Traits, u32, FxBuildHasher>,
}

/// A rule for a name.
#[derive(Clone, Copy, Debug)]
struct Record {
    /// Offset of its name in wire format.
    at: u32,
    line: u32,
    /// Number of the traits; the two lowest bits hold how the name matches.
    traits: u32,
}

/// A rule for a name, as returned by [`List::rules`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule<'l> {
    /// Its line, from 1.
    pub line: u32,
    /// The name, in lower case.
    pub name: Name<'l>,
    /// How it matches.
    pub matching: Match,
    /// Index in [`List::traits`].
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
            addresses: Vec::new(),
            addressed: 0,
            confined: Vec::new(),
            names: Vec::new(),
            records: Vec::new(),
            by_traits: HashMap::default(),
        }
    }

    /// A list of rewrites that did not come from text: line, name, how it matches, and the answer.
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

    /// The rules for names, in the order of their lines.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = NameRule<'_>> {
        self.records.iter().enumerate().map(|(number, record)| self.read(number, record))
    }

    /// The rule at this position in that order.
    #[must_use]
    pub fn rule(&self, number: usize) -> Option<NameRule<'_>> {
        self.records.get(number).map(|record| self.read(number, record))
    }

    fn read(&self, number: usize, record: &Record) -> NameRule<'_> {
        // The names are stored consecutively.
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

    /// Gives each rule for a name, with its line, the traits that `change` returns for it.
    pub(super) fn change_names(
        &mut self,
        mut change: impl FnMut(u32, Name<'_>, Match, &Traits) -> Option<Traits>,
    ) {
        for number in 0..self.records.len() {
            let Some(rule) = self.rule(number) else { continue };
            let Some(traits) = self.traits.get(rule.traits as usize) else { continue };
            let Some(changed) = change(rule.line, rule.name, rule.matching, traits) else { continue };
            let traits = self.traits_number(&changed);
            if let Some(record) = self.records.get_mut(number) {
                record.traits = traits << 2 | record.traits & 3;
            }
        }
    }

    /// The number of rules for names.
    #[must_use]
    pub const fn name_count(&self) -> usize {
        self.records.len()
    }

    pub(super) fn traits_number(&mut self, traits: &Traits) -> u32 {
        // Most rules of a list have the same traits as the rule before.
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

    /// Adds a rule; `write` appends the name in wire format to the block.
    pub(super) fn push_name(
        &mut self,
        line: u32,
        matching: Match,
        traits: &Traits,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), SkipReason>,
    ) -> Result<(), SkipReason> {
        let start = self.names.len();
        // No list has more than 4 GiB of names; any beyond that are reported, not dropped silently.
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
