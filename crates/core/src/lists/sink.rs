//! Collects the result of each line: rules, or the reason why there is none.

use ipnet::IpNet;

use super::host::push_host;
use super::list::{Include, List, printable};
use super::network::network;
use super::skip::{SkipReason, Skipped};
use crate::dns::Name;
use crate::rule::{Effect, Match, Pattern, Traits};
use crate::trie::{cost_of, is_filtered};

/// Collects the result of one line.
pub(super) struct Sink<'r> {
    pub(super) line: u32,
    pub(super) raw: &'r [u8],
    pub(super) plain: Match,
    pub(super) traits: &'r Traits,
    pub(super) list: &'r mut List,
    /// The line has given a rule or a reason.
    pub(super) handled: bool,
    /// The lines of a hosts file are data to answer with.
    pub(super) answers: bool,
}

impl Sink<'_> {
    /// How plain names match in this list.
    #[must_use]
    pub(super) const fn plain(&self) -> Match {
        self.plain
    }

    /// The traits of a rule without modifiers: the list's kind.
    #[must_use]
    pub(super) fn traits(&self) -> Traits {
        self.traits.clone()
    }

    /// The line's number, from 1.
    #[must_use]
    pub(super) const fn line(&self) -> u32 {
        self.line
    }

    /// Adds a rule for a name or an address with the list's traits; if the text is neither, the line is skipped
    /// with its reason.
    pub(super) fn plain_name(&mut self, text: &str, matching: Match) {
        let traits = self.traits;
        self.name_or_address(text, matching, traits);
    }

    /// Adds a rule for a name; if the text is not a host name, the line is skipped with its reason.
    pub(super) fn name(&mut self, text: &str, matching: Match, traits: &Traits) {
        let line = self.line;
        self.name_at(line, text, matching, traits);
    }

    /// Like [`Sink::name`], for a rule of an earlier line that is complete only now.
    pub(super) fn name_at(&mut self, line: u32, text: &str, matching: Match, traits: &Traits) {
        self.handled = true;
        let done = self.list.push_name(line, matching, traits, |names| push_host(text, names));
        match done {
            Ok(()) => {}
            Err(reason) if line == self.line => self.skip(reason),
            Err(reason) => self.skip_at(line, text, reason),
        }
    }

    /// Adds a rule with a regular expression; if that can't be served, only this line is lost.
    pub(super) fn expression(&mut self, text: &str, traits: &Traits) {
        self.list.spent.expressions = self.list.spent.expressions.saturating_add(1);
        let (cost, checked) = cost_of(text);
        self.list.spent.automata = self.list.spent.automata.saturating_add(cost);
        match checked {
            Ok(()) => self.pattern(Pattern::Regex(text.to_owned()), traits),
            Err(reason) => self.skip(SkipReason::Feature(reason.to_string())),
        }
    }

    /// Adds a rule for a name or, if the text is an address or a network (with `@@`: an exception), for answers
    /// with such an address.
    pub(super) fn name_or_address(&mut self, text: &str, matching: Match, traits: &Traits) {
        self.handled = true;
        let done = self.list.push_name(self.line, matching, traits, |names| push_host(text, names));
        let Err(reason) = done else { return };
        match (network(text), text.strip_prefix("@@").and_then(network)) {
            (Some(network), _) => self.address(network, traits),
            (_, Some(network)) => {
                self.address(network, &Traits { effect: Effect::Allow, ..traits.clone() });
            }
            _ => self.skip(reason),
        }
    }

    /// Whether the lines of a hosts file are data to answer with.
    #[must_use]
    pub(super) const fn answers(&self) -> bool {
        self.answers
    }

    /// The line gives a name an address of some other machine, and is read as a block.
    pub(super) const fn note_addressed(&mut self) {
        self.list.addressed = self.list.addressed.saturating_add(1);
    }

    /// Adds a rule for a name in wire format.
    pub(super) fn wire_name(&mut self, name: Name<'_>, matching: Match, traits: &Traits) {
        self.handled = true;
        let write = |names: &mut Vec<u8>| {
            names.extend(name.as_bytes().iter().map(u8::to_ascii_lowercase));
            Ok(())
        };
        if let Err(reason) = self.list.push_name(self.line, matching, traits, write) {
            self.skip(reason);
        }
    }

    /// Adds a rule for every name: one for the root and all below it.
    pub(super) fn every_name(&mut self, traits: &Traits) {
        let line = self.line;
        self.every_name_at(line, traits);
    }

    /// Like [`Sink::every_name`], for a rule of an earlier line that is complete only now.
    pub(super) fn every_name_at(&mut self, line: u32, traits: &Traits) {
        self.handled = true;
        let root = |names: &mut Vec<u8>| {
            names.push(0);
            Ok(())
        };
        if let Err(reason) = self.list.push_name(line, Match::Suffix, traits, root) {
            self.skip_at(line, ".", reason);
        }
    }

    /// Adds a rule for answers with an address of a network.
    pub(super) fn address(&mut self, network: IpNet, traits: &Traits) {
        self.handled = true;
        let number = self.list.traits_number(traits);
        self.list.addresses.push((self.line, network, number));
    }

    /// Adds a rule that has a pattern instead of a name.
    pub(super) fn pattern(&mut self, pattern: Pattern, traits: &Traits) {
        self.handled = true;
        if !is_filtered(&pattern) {
            self.list.spent.short_patterns = self.list.spent.short_patterns.saturating_add(1);
        }
        let number = self.list.traits_number(traits);
        self.list.patterns.push((self.line, pattern, number));
    }

    /// Adds a rule for `*.name`: for the name and what is below it, or only for what is below, depending on the
    /// list's `match`.
    pub(super) fn star(&mut self, below: &str) {
        let traits = self.traits;
        self.star_with(below, traits);
    }

    /// The same, with traits.
    pub(super) fn star_with(&mut self, below: &str, traits: &Traits) {
        let matching = if self.list.below { Match::Subdomains } else { Match::Suffix };
        self.name(below, matching, traits);
        self.list.stars = self.list.stars.saturating_add(1);
    }

    /// Adds the line's rules to those of a schedule, if the schedule exists.
    pub(super) fn at_times(&mut self, schedule: &str, read: impl FnOnce(&mut Sink<'_>)) {
        let Some((name, mut part)) = self.list.timed.remove_entry(schedule) else {
            return self.skip(SkipReason::Schedule(printable(schedule)));
        };
        part.kept = self.list.kept.saturating_sub(self.list.skipped.len());
        let mut sink = Sink { list: &mut part, handled: false, ..*self };
        read(&mut sink);
        self.handled = true;
        self.list.skipped.append(&mut part.skipped);
        self.list.unkept.take_from(&mut part.unkept);
        self.list.spent.take_from(&mut part.spent);
        self.list.stars += std::mem::take(&mut part.stars);
        self.list.timed.insert(name, part);
    }

    /// The line includes another file, which may be added later.
    pub(super) fn include(&mut self, include: Include) {
        self.skip(SkipReason::Include(printable(&include.name)));
        self.list.includes.push(include);
    }

    /// The line answers only for addresses of one family.
    pub(super) fn one_family(&mut self) {
        self.list.one_family = self.list.one_family.saturating_add(1);
    }

    /// The line is a rule that the list does not take.
    pub(super) fn leave_out(&mut self) {
        self.list.not_chosen = self.list.not_chosen.saturating_add(1);
    }

    /// The line is handled, now or at the end of the list.
    pub(super) const fn mark_handled(&mut self) {
        self.handled = true;
    }

    /// The line, or a name on it, was meant as a rule but gives none.
    pub(super) fn skip(&mut self, reason: SkipReason) {
        let text = String::from_utf8_lossy(self.raw.get(..self.raw.len().min(80)).unwrap_or_default());
        self.skip_at(self.line, &text, reason);
    }

    /// Like [`Sink::skip`], for an earlier line with the given text.
    pub(super) fn skip_at(&mut self, line: u32, text: &str, reason: SkipReason) {
        self.handled = true;
        if self.list.skipped.len() >= self.list.kept {
            return self.list.unkept.add(&reason);
        }
        self.list.skipped.push(Skipped { line, text: printable(text.trim()), reason });
    }
}
