//! A parsed list: its rules in compact form, and an account of every line.

use std::collections::{BTreeMap, HashMap};

use ipnet::IpNet;
use rustc_hash::FxBuildHasher;

use super::attributes::Attributes;
use super::budget::{Budget, Spent};
use super::detected::Detected;
use super::may::Confined;
use super::skip::{SkipReason, Skipped};
use crate::dns::{Match, Name, NameBuf, clean};
use crate::rule::{Effect, Format, Pattern, Traits};

/// A parsed list. The names are stored consecutively in one block, so that a million names take a million
/// times their length and not a million allocations.
#[derive(Clone, Debug)]
pub struct List {
    /// The format that it was read as.
    pub format: Format,
    /// How sure the format is, if it was not given.
    pub detected: Option<Detected>,
    /// Its `$badfilter` rules cancel only its own rules, because some of its rules do not apply to all
    /// clients at all times.
    pub alone: bool,
    /// Number of lines.
    pub lines: u32,
    /// Lines without a rule: blank ones, comments, entries for the local machine.
    pub blank: u32,
    /// Lines, or names on them, that were meant as rules but gave none, in order; only the first of very
    /// many.
    pub skipped: Vec<Skipped>,
    /// The number of those that were not kept.
    pub unkept: Unkept,
    /// The distinct traits of the rules.
    pub traits: Vec<Traits>,
    /// Lines `*.name`, in formats in which they can be read in two ways.
    pub stars: u32,
    /// They are rules only for what is below the name, not for the name itself.
    pub below: bool,
    /// Lines that answer only questions for one address family, and let those for the other pass.
    pub one_family: u32,
    /// Rules that the list does not take, by their attributes.
    pub not_chosen: u32,
    /// Rules that apply at the times of a schedule, by its name: those that the reader was told of.
    pub timed: BTreeMap<String, List>,
    /// Other files that lines name; see [`List::absorb`].
    pub includes: Vec<Include>,
    /// Rules that have a pattern instead of a name: line, pattern, number of the traits.
    pub patterns: Vec<(u32, Pattern, u32)>,
    /// How many skipped lines are kept.
    pub(super) kept: usize,
    pub(super) spent: Spent,
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

/// Skipped lines that are only counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unkept {
    /// Malformed lines.
    pub invalid: u32,
    /// Lines that request something unsupported.
    pub unsupported: u32,
}

impl Unkept {
    pub(super) fn add(&mut self, reason: &SkipReason) {
        let count = if reason.is_unsupported() { &mut self.unsupported } else { &mut self.invalid };
        *count = count.saturating_add(1);
    }

    pub(super) fn take_from(&mut self, other: &mut Self) {
        let Self { invalid, unsupported } = std::mem::take(other);
        self.invalid = self.invalid.saturating_add(invalid);
        self.unsupported = self.unsupported.saturating_add(unsupported);
    }

    /// Counts what a line added to `before` as one line, or as none.
    pub(super) fn count_once(&mut self, before: Self, as_none: bool) {
        if as_none {
            *self = before;
        } else if self.invalid > before.invalid {
            *self = Self { invalid: before.invalid.saturating_add(1), ..before };
        } else if self.unsupported > before.unsupported {
            *self = Self { unsupported: before.unsupported.saturating_add(1), ..before };
        }
    }
}

/// Another file that a line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The line, from 1.
    pub line: u32,
    /// The name of the file, as it stands there: it comes from outside.
    pub name: String,
    /// The rules of it that the list takes.
    pub chosen: Attributes,
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
            detected: None,
            alone: false,
            lines: 0,
            blank: 0,
            stars: 0,
            below: false,
            one_family: 0,
            not_chosen: 0,
            timed: BTreeMap::new(),
            includes: Vec::new(),
            skipped: Vec::new(),
            unkept: Unkept::default(),
            kept: Budget::default().kept,
            spent: Spent::default(),
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
    pub fn of_rewrites<'r>(rewrites: impl Iterator<Item = (u32, Name<'r>, Match, Traits)>) -> Self {
        let mut list = Self::new(Format::AdGuard);
        for (line, name, matching, traits) in rewrites {
            list.lines = list.lines.max(line);
            let traits = Traits { rewrite: true, effect: Effect::Block, ..traits };
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

    /// The number of its rules, those with times of their own not counted.
    #[must_use]
    pub const fn rule_count(&self) -> usize {
        self.records.len() + self.patterns.len() + self.addresses.len()
    }

    /// A list of rules that were read before: line, what it is for, traits.
    #[must_use]
    pub fn of_rules(
        format: Format,
        names: Vec<(u32, NameBuf, Match, Traits)>,
        patterns: Vec<(u32, Pattern, Traits)>,
        addresses: Vec<(u32, IpNet, Traits)>,
    ) -> Self {
        let mut list = Self::new(format);
        for (line, name, matching, traits) in names {
            list.lines = list.lines.max(line);
            let pushed = list.push_name(line, matching, &traits, |names| {
                names.extend_from_slice(name.as_bytes());
                Ok(())
            });
            if let Err(reason) = pushed {
                list.skipped.push(Skipped { line, text: name.to_string(), reason });
            }
        }
        for (line, pattern, traits) in patterns {
            list.lines = list.lines.max(line);
            let number = list.traits_number(&traits);
            list.patterns.push((line, pattern, number));
        }
        for (line, network, traits) in addresses {
            list.lines = list.lines.max(line);
            let number = list.traits_number(&traits);
            list.addresses.push((line, network, number));
        }
        list
    }

    /// What the list leaves of a budget for the files that its lines name.
    #[must_use]
    pub fn leaves(&self, budget: &Budget) -> Budget {
        let rules = u32::try_from(self.rule_count()).unwrap_or(u32::MAX);
        Budget {
            octets: budget.octets.saturating_sub(self.spent.octets),
            lines: budget.lines.saturating_sub(self.lines),
            rules: budget.rules.saturating_sub(rules),
            expressions: budget.expressions.saturating_sub(self.spent.expressions),
            automata: budget.automata.saturating_sub(self.spent.automata),
            short_patterns: budget.short_patterns.saturating_sub(self.spent.short_patterns),
            ..*budget
        }
    }

    /// Takes in the rules of a file that a line names, as rules of that line.
    pub fn absorb(&mut self, include: &Include, file: &Self) {
        let line = include.line;
        self.forget(line);
        let traits_of = |number: u32| file.traits.get(number as usize);
        for rule in file.rules() {
            let Some(traits) = traits_of(rule.traits) else { continue };
            let pushed = self.push_name(line, rule.matching, traits, |names| {
                names.extend_from_slice(rule.name.as_bytes());
                Ok(())
            });
            if let Err(reason) = pushed {
                self.skipped.push(Skipped { line, text: rule.name.to_folded().to_string(), reason });
            }
        }
        for (_, pattern, traits) in &file.patterns {
            let Some(traits) = traits_of(*traits) else { continue };
            let number = self.traits_number(traits);
            self.patterns.push((line, pattern.clone(), number));
        }
        let mut unkept = file.unkept;
        self.unkept.take_from(&mut unkept);
        for skipped in &file.skipped {
            if self.skipped.len() >= self.kept {
                self.unkept.add(&skipped.reason);
                continue;
            }
            let text = format!("{}:{}: {}", include.name, skipped.line, skipped.text);
            self.skipped.push(Skipped { line, text, reason: skipped.reason.clone() });
        }
        self.not_chosen = self.not_chosen.saturating_add(file.not_chosen);
    }

    /// A file that a line names can't be read.
    pub fn refuse(&mut self, include: &Include, why: String) {
        self.forget(include.line);
        let text = printable(&include.name);
        let reason = SkipReason::NotIncluded { file: text.clone(), why };
        self.skipped.push(Skipped { line: include.line, text: format!("include:{text}"), reason });
    }

    /// Removes the report that a file was not read.
    fn forget(&mut self, line: u32) {
        self.skipped.retain(|s| s.line != line || !matches!(s.reason, SkipReason::Include(_)));
    }

    /// The rules of `part`, one of [`List::timed`], are not used.
    pub fn refuse_all(&mut self, part: &Self, reason: &SkipReason) {
        let names = part.rules().map(|rule| (rule.line, rule.name.to_folded().to_string()));
        let patterns = part.patterns.iter().map(|(line, pattern, _)| (*line, pattern.to_string()));
        for (line, text) in names.chain(patterns) {
            self.skipped.push(Skipped { line, text, reason: reason.clone() });
        }
        self.skipped.sort_by_key(|s| s.line);
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

    /// Replaces the traits of each rule for a name by those that `change` returns for the rule and its line.
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

    /// Removes the rules for which the test holds; returns their lines and names.
    pub(super) fn remove(&mut self, unwanted: impl Fn(&NameRule<'_>) -> bool) -> Vec<(u32, String)> {
        let mut old = Self::new(self.format);
        std::mem::swap(&mut old.records, &mut self.records);
        std::mem::swap(&mut old.names, &mut self.names);
        let mut removed = Vec::new();
        for (rule, record) in old.rules().zip(&old.records) {
            if unwanted(&rule) {
                removed.push((rule.line, rule.name.to_folded().to_string()));
                continue;
            }
            // Fewer names than before always fit.
            let at = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
            self.names.extend_from_slice(rule.name.as_bytes());
            self.records.push(Record { at, ..*record });
        }
        removed
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

/// The beginning of a text from outside.
pub(super) fn printable(text: &str) -> String {
    clean(text).chars().take(80).collect()
}
