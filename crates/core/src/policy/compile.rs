//! From the rules of all lists to classes of rules, the index over their names, and the outcome of every
//! line.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use ipnet::IpNet;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::dns::{Name, NameBuf};
use crate::lists::{List, NameRule};
use crate::rule::{Action, Effect, Match, Pattern, Traits};
use crate::trie::{Index, NONE, Source, Stored, TooLarge, Values, build_with, place};

/// A side word with this bit is an offset into [`Tables::more`]; without it, the word is the line.
pub(super) const MORE: u32 = 1 << 31;

/// Compiled lists: both what is served and what is written to a file.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The names; an id is the number of a class.
    pub index: Index<Bytes>,
    /// Everything beside the names.
    pub tables: Tables,
}

/// The meaning of the ids of an index, and the rules without a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tables {
    /// The names of the compiled lists.
    pub sources: Vec<String>,
    /// The classes: the rules that share a name, each as the number of its list and of its traits, in the
    /// order of the lists.
    pub classes: Vec<Vec<(u16, u32)>>,
    /// The distinct traits.
    pub traits: Vec<Traits>,
    /// Lines of rules that share a name with others; see [`Index::aside`].
    pub more: Vec<u32>,
    /// Rules that have a pattern instead of a name, in order.
    pub patterns: Vec<PatternRule>,
    /// Rules for addresses in answers, in order.
    pub addresses: Vec<AddressRule>,
}

/// A rule for answers that hold an address of a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AddressRule {
    /// The network.
    pub network: IpNet,
    /// Number of its list.
    pub source: u16,
    /// Number of its traits.
    pub traits: u32,
    /// Its line, from 1; 0 if lines were not kept.
    pub line: u32,
}

/// A rule that has a pattern instead of a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PatternRule {
    /// What it matches.
    pub pattern: Pattern,
    /// Number of its list.
    pub source: u16,
    /// Number of its traits.
    pub traits: u32,
    /// Its line, from 1; 0 if lines were not kept.
    pub line: u32,
}

/// The outcome of the lines of one list. Every line counts once, for its best outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Lines with a rule in use.
    pub used: u32,
    /// Lines that repeat an earlier line of the list.
    pub duplicate: u32,
    /// Lines that a broader rule of the list covers.
    pub covered: u32,
    /// Lines that a `$badfilter` cancels.
    pub cancelled: u32,
    /// Lines that request something unsupported.
    pub unsupported: u32,
    /// Malformed lines.
    pub invalid: u32,
    /// Lines whose rules the list may not have; see [`crate::lists::May`]. Those that left a weaker rule count
    /// for it.
    pub confined: u32,
    /// Blank lines, comments, entries for the local machine.
    pub blank: u32,
    /// Each rule that was left out, if requested.
    pub left_out: Vec<LeftOut>,
}

/// A rule that was read but is not in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeftOut {
    /// Its line, from 1.
    pub line: u32,
    /// The reason.
    pub fate: Fate,
    /// Its name, or its pattern.
    pub rule: String,
}

/// The outcome of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is in use.
    Used,
    /// It repeats an earlier rule of the list.
    Duplicate,
    /// A broader rule of the list has the same effect.
    Covered,
    /// A `$badfilter` cancels it.
    Cancelled,
}

impl Fate {
    const fn bit(self) -> u8 {
        match self {
            Self::Used => 1,
            Self::Duplicate => 2,
            Self::Covered => 4,
            Self::Cancelled => 8,
        }
    }

    /// In words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Duplicate => "duplicate of an earlier rule of the list",
            Self::Covered => "covered by a broader rule of the list",
            Self::Cancelled => "cancelled by a $badfilter rule",
        }
    }
}

/// Options for compiling.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Keep each rule's line, for `explain`.
    pub lines: bool,
    /// Record each rule that was left out.
    pub left_out: bool,
}

/// Compiles lists, each with its name.
///
/// # Errors
/// [`TooLarge`] if there are four billion rules or 65,535 lists.
pub fn compile(lists: &[(String, List)], options: Options) -> Result<(Compiled, Vec<Account>), TooLarge> {
    let mut compiler = Compiler::new(lists, options)?;
    compiler.patterns(lists);
    compiler.addresses(lists);
    let index = build_with(&mut compiler, options.lines)?;
    let tables = Tables {
        sources: lists.iter().map(|(name, _)| name.clone()).collect(),
        classes: compiler.classes,
        traits: compiler.traits,
        more: if options.lines { compiler.more } else { Vec::new() },
        patterns: compiler.patterns,
        addresses: compiler.addresses,
    };
    let accounts = lists.iter().zip(compiler.fates).zip(compiler.left_out);
    let accounts = accounts.map(|(((_, list), fates), left_out)| account(list, &fates, left_out));
    Ok((Compiled { index, tables }, accounts.collect()))
}

/// The compiler's key for a rule on a given name: the list, and the traits within it.
type Local = (u16, u32);

struct Compiler<'l> {
    lists: &'l [(String, List)],
    /// The number of each list's first item.
    starts: Vec<u32>,
    count: u32,
    common: Values,
    /// Cancelled rules, by name or pattern: in all lists, or in one.
    cancelled: HashSet<(Option<u16>, Target, Traits), FxBuildHasher>,
    traits: Vec<Traits>,
    by_traits: HashMap<Traits, u32, FxBuildHasher>,
    /// The numbers of each list's traits, once they are used.
    numbers: Vec<Vec<u32>>,
    classes: Vec<Vec<(u16, u32)>>,
    by_class: HashMap<Vec<(u16, u32)>, u32, FxBuildHasher>,
    /// The class of the last rule that was alone on its name: usually that of the next one too.
    last: Option<((u16, u32), u32)>,
    more: Vec<u32>,
    patterns: Vec<PatternRule>,
    addresses: Vec<AddressRule>,
    /// Some exceptions from rewrites name one answer.
    valued_exceptions: bool,
    /// The outcome of each line, as bits.
    fates: Vec<Vec<u8>>,
    left_out: Vec<Vec<LeftOut>>,
    options: Options,
}

/// The target of a rule.
#[derive(PartialEq, Eq, Hash)]
enum Target {
    Name(NameBuf, Match),
    Pattern(Pattern),
    Address(IpNet),
}

impl<'l> Compiler<'l> {
    fn new(lists: &'l [(String, List)], options: Options) -> Result<Self, TooLarge> {
        u16::try_from(lists.len()).map_err(|_| TooLarge)?;
        let mut starts = Vec::with_capacity(lists.len());
        let mut count = 0u32;
        for (_, list) in lists {
            starts.push(count);
            let more = u32::try_from(list.name_count()).map_err(|_| TooLarge)?;
            count = count.checked_add(more).ok_or(TooLarge)?;
        }
        let mut compiler = Self {
            lists,
            starts,
            count,
            common: [NONE; 3],
            cancelled: cancelled(lists),
            traits: Vec::new(),
            by_traits: HashMap::default(),
            numbers: lists.iter().map(|(_, list)| vec![NONE; list.traits.len()]).collect(),
            classes: Vec::new(),
            by_class: HashMap::default(),
            last: None,
            more: Vec::new(),
            patterns: Vec::new(),
            addresses: Vec::new(),
            valued_exceptions: lists
                .iter()
                .flat_map(|(_, list)| &list.traits)
                .any(|t| t.rewrite && t.effect == Effect::Allow && t.action.is_some()),
            fates: lists.iter().map(|(_, list)| vec![0; list.lines as usize + 1]).collect(),
            left_out: lists.iter().map(|_| Vec::new()).collect(),
            options,
        };
        compiler.common = compiler.commonest();
        Ok(compiler)
    }

    /// The values of a name with a single rule of the most frequent kind.
    fn commonest(&mut self) -> Values {
        let mut counts: HashMap<(u16, u32, Match), u32, FxBuildHasher> = HashMap::default();
        for ((_, list), number) in self.lists.iter().zip(0u16..) {
            let mut each = vec![[0u32; 3]; list.traits.len()];
            for rule in list.rules() {
                if let Some(n) =
                    each.get_mut(rule.traits as usize).and_then(|t| t.get_mut(place(rule.matching)))
                {
                    *n += 1;
                }
            }
            for (kinds, traits) in each.iter().zip(0u32..) {
                for matching in [Match::Exact, Match::Suffix, Match::Subdomains] {
                    let n = kinds.get(place(matching)).copied().unwrap_or(0);
                    if n > 0 {
                        counts.insert((number, traits, matching), n);
                    }
                }
            }
        }
        let best = counts.into_iter().max_by_key(|((list, traits, matching), n)| {
            // Ties are broken independently of the order of the lines.
            (*n, std::cmp::Reverse((*list, *matching, self.local(*list, *traits))))
        });
        let mut values = [NONE; 3];
        if let Some(((list, traits, matching), _)) = best {
            let class = self.class_of_one((list, traits));
            if let Some(slot) = values.get_mut(place(matching)) {
                *slot = class;
            }
        }
        values
    }

    fn local(&self, list: u16, traits: u32) -> Option<&'l Traits> {
        self.lists.get(usize::from(list)).and_then(|(_, l)| l.traits.get(traits as usize))
    }

    fn patterns(&mut self, lists: &[(String, List)]) {
        let mut rules = Vec::new();
        for ((_, list), source) in lists.iter().zip(0u16..) {
            for (line, pattern, traits) in &list.patterns {
                let Some(local) = self.local(source, *traits) else { continue };
                if !local.cancels {
                    rules.push((pattern, source, local, *line));
                } else if let Some(fate) =
                    self.fates.get_mut(usize::from(source)).and_then(|f| f.get_mut(*line as usize))
                {
                    *fate |= Fate::Used.bit();
                }
            }
        }
        rules.sort_unstable();
        let mut last: Option<(&Pattern, u16, &Traits)> = None;
        for (pattern, source, traits, line) in rules {
            let fate = if last == Some((pattern, source, traits)) {
                Fate::Duplicate
            } else if self.is_cancelled(source, traits, || Target::Pattern(pattern.clone())) {
                Fate::Cancelled
            } else {
                let number = self.number(traits);
                let line = if self.options.lines { line } else { 0 };
                self.patterns.push(PatternRule { pattern: pattern.clone(), source, traits: number, line });
                Fate::Used
            };
            last = Some((pattern, source, traits));
            self.mark(source, line, fate, || pattern.to_string());
        }
    }

    fn addresses(&mut self, lists: &[(String, List)]) {
        let mut rules = Vec::new();
        for ((_, list), source) in lists.iter().zip(0u16..) {
            for (line, network, traits) in &list.addresses {
                let Some(local) = self.local(source, *traits) else { continue };
                if local.cancels {
                    self.mark(source, *line, Fate::Used, String::new);
                } else {
                    rules.push((*network, source, local, *line));
                }
            }
        }
        rules.sort_unstable();
        let mut last: Option<(IpNet, u16, &Traits)> = None;
        for (network, source, traits, line) in rules {
            let fate = if last == Some((network, source, traits)) {
                Fate::Duplicate
            } else if self.is_cancelled(source, traits, || Target::Address(network)) {
                Fate::Cancelled
            } else {
                let number = self.number(traits);
                let kept = if self.options.lines { line } else { 0 };
                self.addresses.push(AddressRule { network, source, traits: number, line: kept });
                Fate::Used
            };
            last = Some((network, source, traits));
            self.mark(source, line, fate, || network.to_string());
        }
    }

    fn mark(&mut self, source: u16, line: u32, fate: Fate, rule: impl FnOnce() -> String) {
        if let Some(bits) = self.fates.get_mut(usize::from(source)).and_then(|f| f.get_mut(line as usize)) {
            *bits |= fate.bit();
        }
        if self.options.left_out
            && fate != Fate::Used
            && let Some(left_out) = self.left_out.get_mut(usize::from(source))
        {
            left_out.push(LeftOut { line, fate, rule: rule() });
        }
    }

    /// The global number of these traits, from whichever list.
    fn number(&mut self, traits: &Traits) -> u32 {
        if let Some(number) = self.by_traits.get(traits) {
            return *number;
        }
        let number = u32::try_from(self.traits.len()).unwrap_or(NONE);
        self.traits.push(traits.clone());
        self.by_traits.insert(traits.clone(), number);
        number
    }

    /// The number of the class that holds only this rule.
    fn class_of_one(&mut self, rule: Local) -> u32 {
        if let Some((_, class)) = self.last.filter(|(known, _)| *known == rule) {
            return class;
        }
        let class = self.class([rule].into_iter());
        let class = self.class_number(class);
        self.last = Some((rule, class));
        class
    }

    /// The class of these rules, which are in the order of their lists: for each its list, and the number
    /// of its traits.
    fn class(&mut self, rules: impl Iterator<Item = Local>) -> Vec<(u16, u32)> {
        let mut class = Vec::new();
        for (source, traits) in rules {
            let known = self.numbers.get(usize::from(source)).and_then(|n| n.get(traits as usize)).copied();
            let number = match (known, self.local(source, traits)) {
                (Some(number), _) if number != NONE => number,
                (_, Some(local)) => self.number(local),
                _ => continue,
            };
            if let Some(slot) =
                self.numbers.get_mut(usize::from(source)).and_then(|n| n.get_mut(traits as usize))
            {
                *slot = number;
            }
            class.push((source, number));
        }
        self.merge(&mut class);
        class
    }

    /// The number of a class.
    fn class_number(&mut self, class: Vec<(u16, u32)>) -> u32 {
        let next = u32::try_from(self.classes.len()).unwrap_or(NONE);
        *self.by_class.entry(class).or_insert_with_key(|class| {
            self.classes.push(class.clone());
            next
        })
    }

    /// Addresses and records that a list gives to one name on several lines are one answer. They are
    /// merged into the first rule; the others stay without effect, so that each keeps its line.
    fn merge(&mut self, class: &mut [(u16, u32)]) {
        if class.len() < 2 {
            return;
        }
        // Rules that differ only in their answer, and give one of the same kind.
        let mut groups: BTreeMap<(u16, bool, Traits), Vec<usize>> = BTreeMap::new();
        for (at, (source, number)) in class.iter().enumerate() {
            let Some(traits) = self.traits.get(*number as usize) else { continue };
            let records = match traits.action {
                Some(Action::Address(..)) => false,
                // An exception from one of the answers must be able to match it alone.
                Some(Action::Records(_)) if !(traits.rewrite && self.valued_exceptions) => true,
                _ => continue,
            };
            let alike = Traits { action: None, ..traits.clone() };
            groups.entry((*source, records, alike)).or_default().push(at);
        }
        for ((_, _, alike), members) in groups.into_iter().filter(|(_, members)| members.len() > 1) {
            let (mut v4, mut v6, mut records) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for (_, number) in members.iter().filter_map(|at| class.get(*at)) {
                match self.traits.get(*number as usize).and_then(|t| t.action.as_ref()) {
                    Some(Action::Address(a, b)) => {
                        v4.extend(a);
                        v6.extend(b);
                    }
                    Some(Action::Records(data)) => records.extend(data.iter().cloned()),
                    _ => {}
                }
            }
            let action = if records.is_empty() {
                Action::Address(v4.into_iter().collect(), v6.into_iter().collect())
            } else {
                Action::Records(records.into_iter().collect())
            };
            let number = self.number(&Traits { action: Some(action), ..alike });
            if let Some((_, first)) = members.first().and_then(|at| class.get_mut(*at)) {
                *first = number;
            }
        }
    }

    /// True if a broader class begins with these rules: then it has the same result, attributed to the same
    /// list.
    fn covers(&self, broader: u32, class: &[(u16, u32)]) -> bool {
        self.classes.get(broader as usize).is_some_and(|rules| rules.starts_with(class))
    }

    /// True if the closest name above with rules for its subdomains covers these.
    fn covered(&self, class: &[(u16, u32)], above: &[Values]) -> bool {
        for [_, suffix, subdomains] in above.iter().rev() {
            let mut broader = [*suffix, *subdomains].into_iter().filter(|id| *id != NONE).peekable();
            if broader.peek().is_some() {
                return broader.all(|id| self.covers(id, class));
            }
        }
        false
    }
}

impl Source for Compiler<'_> {
    fn count(&self) -> u32 {
        self.count
    }

    fn name(&self, item: u32) -> Name<'_> {
        self.item(item).map_or(Name::ROOT, |(_, rule)| rule.name)
    }

    fn store(&mut self, items: &[u32], above: &[Values]) -> Stored {
        match items {
            [item] => self.store_one(*item, above),
            _ => self.store_all(items, above),
        }
    }

    fn common(&self) -> Values {
        self.common
    }
}

impl<'l> Compiler<'l> {
    /// A name with one rule, the usual case: no list of rules is built.
    fn store_one(&mut self, item: u32, above: &[Values]) -> Stored {
        let mut stored = Stored::NOTHING;
        let Some((source, rule)) = self.item(item) else { return stored };
        let local = (source, rule.traits);
        let Some(traits) = self.local(source, rule.traits) else { return stored };
        let fate = if traits.cancels {
            Fate::Used
        } else if self.is_cancelled(source, traits, || Target::Name(rule.name.to_buf(), rule.matching)) {
            Fate::Cancelled
        } else if self.number_of(local).is_some_and(|number| self.covered(&[(source, number)], above)) {
            Fate::Covered
        } else {
            let at = place(rule.matching);
            let class = self.class_of_one(local);
            if let (Some(id), Some(aside)) = (stored.ids.get_mut(at), stored.aside.get_mut(at)) {
                (*id, *aside) = (class, rule.line & !MORE);
            }
            Fate::Used
        };
        // A rule without effect was derived from one with an effect, which accounts for the line.
        if traits.effect != Effect::Nothing {
            self.mark(source, rule.line, fate, || rule.name.to_string());
        }
        stored
    }

    /// The number of a rule's traits, if an earlier rule had the same.
    fn number_of(&self, (source, traits): Local) -> Option<u32> {
        let number = self.numbers.get(usize::from(source))?.get(traits as usize).copied()?;
        (number != NONE).then_some(number)
    }

    fn is_cancelled(&self, source: u16, traits: &Traits, target: impl Fn() -> Target) -> bool {
        let by = |list| self.cancelled.contains(&(list, target(), traits.clone()));
        !self.cancelled.is_empty() && (by(None) || by(Some(source)))
    }

    fn store_all(&mut self, items: &[u32], above: &[Values]) -> Stored {
        let mut kinds: [Vec<(Local, u32)>; 3] = Default::default();
        for item in items {
            let Some((source, rule)) = self.item(*item) else { continue };
            let show = || rule.name.to_string();
            let Some(traits) = self.local(source, rule.traits) else { continue };
            if traits.cancels {
                self.mark(source, rule.line, Fate::Used, show);
                continue;
            }
            let target = || Target::Name(rule.name.to_buf(), rule.matching);
            if self.is_cancelled(source, traits, target) {
                self.mark(source, rule.line, Fate::Cancelled, show);
                continue;
            }
            if let Some(kind) = kinds.get_mut(place(rule.matching)) {
                kind.push(((source, rule.traits), rule.line));
            }
        }
        let mut stored = Stored::NOTHING;
        let mut classes: [Vec<(u16, u32)>; 3] = Default::default();
        for (rules, class) in kinds.iter_mut().zip(&mut classes) {
            // The rules are sorted by content, not by line, so that the same rules make the same class.
            rules.sort_by_cached_key(|((source, traits), line)| {
                (*source, self.local(*source, *traits), *line)
            });
            let name = items.first().and_then(|item| self.item(*item)).map(|(_, rule)| rule.name);
            rules.dedup_by(|later, first| {
                let same = later.0 == first.0;
                if same {
                    let show = || name.map_or(String::new(), |n| n.to_string());
                    self.mark(later.0.0, later.1, Fate::Duplicate, show);
                }
                same
            });
            *class = self.class(rules.iter().map(|(rule, _)| *rule));
        }
        // Either all rules are dropped as covered or none: one that stays, perhaps from another list, would
        // beat the broader rule because its name is longer.
        let all = classes.iter().all(|class| class.is_empty() || self.covered(class, above));
        // Suffix first: it may cover the two others on the same name.
        for matching in [Match::Suffix, Match::Exact, Match::Subdomains] {
            let at = place(matching);
            let here = stored.ids.get(place(Match::Suffix)).copied().filter(|id| *id != NONE);
            let rules = kinds.get_mut(at).map(std::mem::take).unwrap_or_default();
            let class = classes.get_mut(at).map(std::mem::take).unwrap_or_default();
            let covered = all || here.is_some_and(|here| self.covers(here, &class));
            let fate = if covered { Fate::Covered } else { Fate::Used };
            let name = items.first().and_then(|item| self.item(*item)).map(|(_, rule)| rule.name);
            for (rule, line) in &rules {
                if self.local(rule.0, rule.1).is_some_and(|traits| traits.effect == Effect::Nothing) {
                    continue;
                }
                self.mark(rule.0, *line, fate, || name.map_or(String::new(), |n| n.to_string()));
            }
            if covered || rules.is_empty() {
                continue;
            }
            let word = match rules[..] {
                [(_, line)] => line & !MORE,
                _ => {
                    let begin = u32::try_from(self.more.len()).unwrap_or(0);
                    self.more.extend(rules.iter().map(|(_, line)| *line));
                    MORE | begin
                }
            };
            let class = self.class_number(class);
            if let (Some(id), Some(aside)) = (stored.ids.get_mut(at), stored.aside.get_mut(at)) {
                (*id, *aside) = (class, word);
            }
        }
        stored
    }

    fn item(&self, item: u32) -> Option<(u16, NameRule<'l>)> {
        let source = self.starts.partition_point(|start| *start <= item).checked_sub(1)?;
        let first = *self.starts.get(source)?;
        let rule = self.lists.get(source)?.1.rule((item - first) as usize)?;
        Some((u16::try_from(source).ok()?, rule))
    }
}

/// The rules that `$badfilter` rules of the lists cancel.
fn cancelled(lists: &[(String, List)]) -> HashSet<(Option<u16>, Target, Traits), FxBuildHasher> {
    let mut found = HashSet::default();
    for (number, (_, list)) in (0u16..).zip(lists) {
        if !list.traits.iter().any(|t| t.cancels) {
            continue;
        }
        let by = list.alone.then_some(number);
        let victim = |number: u32| {
            let traits = list.traits.get(number as usize).filter(|t| t.cancels)?;
            Some(Traits { cancels: false, ..traits.clone() })
        };
        for rule in list.rules() {
            if let Some(traits) = victim(rule.traits) {
                found.insert((by, Target::Name(rule.name.to_buf(), rule.matching), traits));
            }
        }
        for (_, pattern, number) in &list.patterns {
            if let Some(traits) = victim(*number) {
                found.insert((by, Target::Pattern(pattern.clone()), traits));
            }
        }
        for (_, network, number) in &list.addresses {
            if let Some(traits) = victim(*number) {
                found.insert((by, Target::Address(*network), traits));
            }
        }
    }
    found
}

fn account(list: &List, fates: &[u8], mut left_out: Vec<LeftOut>) -> Account {
    left_out.sort_by_key(|l| l.line);
    let mut account = Account { blank: list.blank, left_out, ..Account::default() };
    for bits in fates {
        let is = |fate: Fate| bits & fate.bit() != 0;
        if is(Fate::Used) {
            account.used += 1;
        } else if is(Fate::Duplicate) {
            account.duplicate += 1;
        } else if is(Fate::Covered) {
            account.covered += 1;
        } else if is(Fate::Cancelled) {
            account.cancelled += 1;
        }
    }
    // On a line with several names, valid and invalid, the valid ones decide.
    let mut last = 0;
    for skipped in &list.skipped {
        let counted = skipped.line == last || fates.get(skipped.line as usize).is_some_and(|bits| *bits != 0);
        last = skipped.line;
        if counted {
            continue;
        }
        if skipped.reason.is_unsupported() {
            account.unsupported += 1;
        } else {
            account.invalid += 1;
        }
    }
    account.unsupported = account.unsupported.saturating_add(list.unkept.unsupported);
    account.invalid = account.invalid.saturating_add(list.unkept.invalid);
    let mut last = 0;
    for confined in list.confined.iter().filter(|c| !c.weaker) {
        let line = confined.line;
        let counted = line == last || fates.get(line as usize).is_some_and(|bits| *bits != 0);
        account.confined += u32::from(!counted);
        last = line;
    }
    // The remaining lines belong to the rule of another line, such as a zone that Unbound redirects to data
    // on the next line; or they are a bad line that was first taken for the beginning of a record.
    let all = [account.used, account.duplicate, account.covered, account.cancelled];
    let told = all.iter().sum::<u32>() + account.unsupported + account.invalid + account.confined;
    account.blank = account.blank.min(list.lines.saturating_sub(told));
    account.used += list.lines.saturating_sub(told + account.blank);
    account
}
