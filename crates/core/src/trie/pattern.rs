//! Patterns that a label trie can't hold: inner wildcards, parts of names, regular expressions, all in one
//! pass.
//!
//! ```text
//!   name ──► one automaton over all required literals (Aho-Corasick)
//!              │ literal found: the patterns that need it are candidates
//!              ▼
//!            each candidate is confirmed: a glob piece by piece, an expression by its own DFA
//!   name ──► DFAs of several expressions each, for those in which no literal is required
//! ```
//!
//! Confirming takes time linear in the name, and nothing allocates: DFAs are built completely, with a limit
//! on their size, so no search needs a cache of its own.

use std::collections::BTreeMap;
use std::fmt;

use aho_corasick::{AhoCorasick, MatchKind};
use memchr::memmem;
use regex_automata::dfa::{Automaton, OverlappingState, StartKind, dense};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::dns::{MAX_NAME, Name, Pattern, Start};

/// The most octets that the DFA of one expression, or building it, may take.
const DFA_LIMIT: usize = 1 << 20;
/// The most expressions without a required literal that share a DFA, and the most octets of that.
const GROUP: usize = 16;
const GROUP_LIMIT: usize = 1 << 18;
/// The shortest useful literal of an expression; shorter ones occur in every other name.
const MIN_LITERAL: usize = 3;
/// The shortest useful literal of a glob, which takes less time to confirm.
const MIN_PIECE: usize = 2;
/// The most literals in an expression's set of alternatives.
const MAX_LITERALS: usize = 16;

type Dfa = dense::DFA<Vec<u32>>;

/// The patterns of all lists, prepared for matching. Immutable.
#[derive(Default)]
pub struct Patterns {
    rules: Vec<Rule>,
    /// The literals; `None` if there are none.
    literals: Option<AhoCorasick>,
    /// The rules that require a literal, by its number.
    needing: Vec<Vec<u32>>,
    /// Expressions without a literal: their DFA, and the rule of each of its patterns.
    groups: Vec<(Dfa, Vec<u32>)>,
    /// Globs without a literal, each with the octets that it needs; see [`octets`].
    always: Vec<(u64, u32)>,
}

struct Rule {
    id: u32,
    check: Check,
    /// The literals, one of which the name must contain.
    literals: Vec<u32>,
}

enum Check {
    Glob(Glob),
    Expression(Box<Dfa>),
    /// An expression of a group.
    Grouped,
}

/// Why a pattern can't be served, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// Not a regular expression.
    #[error("{0}")]
    Syntax(String),
    /// Its automaton can't be built, usually because it would be too large.
    #[error("the expression can't be built: {0}")]
    Build(String),
    /// Its automaton can't start a search.
    #[error("{0}")]
    Start(String),
    /// More patterns than can be numbered.
    #[error("too many patterns")]
    TooMany,
    /// The automaton of all literals can't be built.
    #[error("{0}")]
    Literals(String),
}

/// A pattern that can't be served, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pattern {index}: {reason}")]
pub struct BuildError {
    /// Its index among the given patterns.
    pub index: usize,
    /// The reason.
    pub reason: PatternError,
}

impl Patterns {
    /// Builds the automata; `found` is later called with the number given for a pattern.
    ///
    /// # Errors
    /// The first pattern that is not a regular expression, or is too large.
    pub fn build(patterns: &[(Pattern, u32)]) -> Result<Self, BuildError> {
        let mut built = Self::default();
        let mut numbers: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
        let mut loose: Vec<(usize, &str, u32)> = Vec::new();
        for (index, (pattern, id)) in patterns.iter().enumerate() {
            let error = |reason| BuildError { index, reason };
            let rule = u32::try_from(built.rules.len()).map_err(|_| error(PatternError::TooMany))?;
            let (check, literals) = match pattern {
                Pattern::Glob { text, start, end } => {
                    let glob = Glob::new(text, *start, *end);
                    let literals = glob.literal().map(|l| vec![l]);
                    if literals.is_none() {
                        built.always.push((octets(text.as_bytes()), rule));
                    }
                    (Check::Glob(glob), literals)
                }
                Pattern::Regex(text) => match required_of(text).map_err(error)? {
                    None => {
                        loose.push((index, text, rule));
                        (Check::Grouped, None)
                    }
                    some => {
                        let dfa = dfa(&[text], DFA_LIMIT).map_err(error)?;
                        (Check::Expression(Box::new(dfa)), some)
                    }
                },
            };
            let mut own = Vec::new();
            for literal in literals.unwrap_or_default() {
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                own.push(*numbers.entry(literal).or_insert(next));
            }
            own.sort_unstable();
            own.dedup();
            built.rules.push(Rule { id: *id, check, literals: own });
        }
        built.needing = vec![Vec::new(); numbers.len()];
        for (rule, number) in built.rules.iter().zip(0u32..) {
            for literal in &rule.literals {
                if let Some(needing) = built.needing.get_mut(*literal as usize) {
                    needing.push(number);
                }
            }
        }
        if !numbers.is_empty() {
            let mut by_number: Vec<_> = numbers.into_iter().collect();
            by_number.sort_unstable_by_key(|(_, number)| *number);
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .build(by_number.iter().map(|(literal, _)| literal));
            built.literals = Some(
                automaton
                    .map_err(|e| BuildError { index: 0, reason: PatternError::Literals(e.to_string()) })?,
            );
        }
        loose.chunks(GROUP).try_for_each(|chunk| built.group(chunk))?;
        Ok(built)
    }

    /// Builds one DFA for several expressions, or one for each half if that is too large.
    fn group(&mut self, chunk: &[(usize, &str, u32)]) -> Result<(), BuildError> {
        let texts: Vec<&str> = chunk.iter().map(|(_, text, _)| *text).collect();
        let limit = if chunk.len() > 1 { GROUP_LIMIT } else { DFA_LIMIT };
        match (dfa(&texts, limit), chunk) {
            (Ok(dfa), _) => {
                self.groups.push((dfa, chunk.iter().map(|(_, _, rule)| *rule).collect()));
                Ok(())
            }
            (Err(reason), [(index, _, _)]) => Err(BuildError { index: *index, reason }),
            (Err(_), _) => {
                let (one, two) = chunk.split_at(chunk.len() / 2);
                self.group(one)?;
                self.group(two)
            }
        }
    }

    /// True if there is nothing to match.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// How many patterns there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rules.len()
    }

    /// Calls `found` once for every pattern that matches a name in presentation format, lower case, without
    /// the final dot (see [`text_of`]). Allocates nothing.
    pub fn matches(&self, text: &[u8], mut found: impl FnMut(u32)) {
        if let Some(literals) = &self.literals {
            for hit in literals.find_overlapping_iter(text) {
                let number = hit.pattern().as_usize();
                let here = text.get(hit.range()).unwrap_or_default();
                // Only the first occurrence counts.
                let before = text.get(..hit.end().saturating_sub(1)).unwrap_or_default();
                if memmem::find(before, here).is_some() {
                    continue;
                }
                for rule in self.needing.get(number).into_iter().flatten() {
                    let Some(rule) = self.rules.get(*rule as usize) else { continue };
                    if self.first_of(rule, number, text) && rule.check.holds(text) {
                        found(rule.id);
                    }
                }
            }
        }
        for (dfa, rules) in &self.groups {
            let input = Input::new(text);
            let mut state = OverlappingState::start();
            // Every expression is reported once by its number, at the first end of a match.
            let mut seen = 0u32;
            while dfa.try_search_overlapping_fwd(&input, &mut state).is_ok() {
                let Some(end) = state.get_match() else { break };
                let number = end.pattern().as_usize();
                let bit = 1 << (number % 32);
                if seen & bit == 0 {
                    seen |= bit;
                    if let Some(rule) = rules.get(number).and_then(|r| self.rules.get(*r as usize)) {
                        found(rule.id);
                    }
                }
            }
        }
        if !self.always.is_empty() {
            let here = octets(text);
            let possible = self.always.iter().filter(|(needs, _)| needs & !here == 0);
            for rule in possible.filter_map(|(_, rule)| self.rules.get(*rule as usize)) {
                if rule.check.holds(text) {
                    found(rule.id);
                }
            }
        }
    }

    /// True if `number` is the first of a rule's literals that the name contains; so a rule with two of
    /// them is reported once.
    fn first_of(&self, rule: &Rule, number: usize, text: &[u8]) -> bool {
        let Some(automaton) = &self.literals else { return false };
        if let [_] = rule.literals[..] {
            return true;
        }
        let first = automaton
            .find_overlapping_iter(text)
            .map(|hit| hit.pattern().as_u32())
            .filter(|literal| rule.literals.contains(literal))
            .min();
        first.is_some_and(|literal| literal as usize == number)
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patterns({}, {} literals, {} groups)", self.len(), self.needing.len(), self.groups.len())
    }
}

impl Check {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Glob(glob) => glob.matches(text),
            Self::Expression(dfa) => {
                dfa.try_search_fwd(&Input::new(text).earliest(true)).is_ok_and(|m| m.is_some())
            }
            Self::Grouped => false,
        }
    }
}

/// The text of a name: lower case, labels separated by dots, without the final dot.
pub fn text_of<'r>(name: Name<'_>, room: &'r mut [u8; MAX_NAME]) -> &'r [u8] {
    let mut len = 0usize;
    for label in name.labels() {
        if len > 0
            && let Some(dot) = room.get_mut(len)
        {
            *dot = b'.';
            len += 1;
        }
        if let Some(to) = room.get_mut(len..len + label.len()) {
            to.copy_from_slice(label);
            to.make_ascii_lowercase();
        }
        len += label.len();
    }
    room.get(..len).unwrap_or_default()
}

//--- Globs ---------------------------------------------------------------------------------------

/// Pieces of text with anything between them.
struct Glob {
    pieces: Vec<Vec<u8>>,
    start: Start,
    end: bool,
}

impl Glob {
    fn new(text: &str, start: Start, end: bool) -> Self {
        let pieces = text.split('*').map(|p| p.as_bytes().to_vec()).collect();
        Self { pieces, start, end }
    }

    /// The longest piece, if it is long enough to search for.
    fn literal(&self) -> Option<Vec<u8>> {
        self.pieces.iter().filter(|p| p.len() >= MIN_PIECE).max_by_key(|p| p.len()).cloned()
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self.start {
            Start::Name => self.matches_at(text),
            Start::Anywhere => {
                // Like an asterisk before the first piece.
                let Some((first, rest)) = self.pieces.split_first() else { return true };
                if rest.is_empty() && self.end {
                    return text.ends_with(first);
                }
                match memmem::find(text, first) {
                    Some(at) => self.rest(text.get(at + first.len()..).unwrap_or_default(), rest),
                    None => false,
                }
            }
            Start::Label => {
                let labels = memchr::memchr_iter(b'.', text).map(|dot| dot + 1);
                std::iter::once(0).chain(labels).any(|at| self.matches_at(text.get(at..).unwrap_or_default()))
            }
        }
    }

    fn matches_at(&self, text: &[u8]) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return true };
        let Some(after) = text.strip_prefix(&first[..]) else { return false };
        if rest.is_empty() { !self.end || after.is_empty() } else { self.rest(after, rest) }
    }

    /// Matches the pieces after the first: each at its first occurrence, which leaves most room for the
    /// others.
    fn rest(&self, mut text: &[u8], pieces: &[Vec<u8>]) -> bool {
        let (last, middle) = match pieces.split_last() {
            Some((last, middle)) if self.end => (Some(last), middle),
            _ => (None, pieces),
        };
        for piece in middle {
            match memmem::find(text, piece) {
                Some(at) => text = text.get(at + piece.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        last.is_none_or(|last| text.ends_with(last))
    }
}

//--- Expressions ---------------------------------------------------------------------------------

fn dfa(texts: &[&str], limit: usize) -> Result<Dfa, PatternError> {
    let config = dense::Config::new()
        .match_kind(regex_automata::MatchKind::All)
        .start_kind(StartKind::Unanchored)
        .dfa_size_limit(Some(limit))
        .determinize_size_limit(Some(limit * 4));
    dense::Builder::new()
        .configure(config)
        .syntax(syntax::Config::new().unicode(false).utf8(false).case_insensitive(true))
        .thompson(regex_automata::nfa::thompson::Config::new().utf8(false).nfa_size_limit(Some(DFA_LIMIT)))
        .build_many(texts)
        .map_err(|error| {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                reason = inner.to_string();
                source = inner.source();
            }
            PatternError::Build(reason.lines().next_back().unwrap_or_default().to_owned())
        })
        .and_then(|dfa| {
            // A DFA that can't start a search would silently never match.
            dfa.universal_start_state(Anchored::No)
                .map_or_else(|| dfa.try_search_fwd(&Input::new(b"")).map(|_| ()), |_| Ok(()))
                .map_err(|e| PatternError::Start(e.to_string()))?;
            Ok(dfa)
        })
}

/// What it costs to build an expression's automaton, in octets of it, and whether it can be served: whether
/// it is not too large. One that is too large costs as much as the largest.
pub(crate) fn cost_of(text: &str) -> (u64, Result<(), PatternError>) {
    match dfa(&[text], DFA_LIMIT) {
        Ok(dfa) => (dfa.memory_usage() as u64, Ok(())),
        Err(error @ PatternError::Build(_)) => (DFA_LIMIT as u64, Err(error)),
        Err(error) => (0, Err(error)),
    }
}

/// A bit for each octet that occurs, except for asterisks; those that host names don't have share one.
fn octets(text: &[u8]) -> u64 {
    text.iter().filter(|b| **b != b'*').fold(0, |all, b| {
        all | 1
            << match b {
                b'a'..=b'z' => b - b'a',
                b'0'..=b'9' => 26 + b - b'0',
                b'-' => 36,
                b'_' => 37,
                b'.' => 38,
                _ => 39,
            }
    })
}

/// True if a literal decides for most names that the pattern doesn't match.
pub(crate) fn is_filtered(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Glob { text, .. } => text.split('*').any(|piece| piece.len() >= MIN_PIECE),
        Pattern::Regex(text) => required_of(text).is_ok_and(|required| required.is_some()),
    }
}

/// Literals of which a match must contain one, in lower case; `None` if the expression requires none.
///
/// # Errors
/// [`PatternError::Syntax`]
pub(super) fn required_of(text: &str) -> Result<Option<Vec<Vec<u8>>>, PatternError> {
    // Case is ignored here, so that a letter is a literal and not a class of two; names are in lower case,
    // and so are the literals.
    let hir =
        regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(text).map_err(|e| {
            let text = e.to_string();
            PatternError::Syntax(text.lines().next_back().unwrap_or_default().trim().to_owned())
        })?;
    Ok(required(&hir).filter(|set| set.len() <= MAX_LITERALS && shortest(set) >= MIN_LITERAL))
}

fn shortest(set: &[Vec<u8>]) -> usize {
    set.iter().map(Vec::len).min().unwrap_or(0)
}

/// The better of two sets: the longer, or with equal lengths the one with fewer literals.
fn better(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    let rank = |set: &Option<Vec<Vec<u8>>>| set.as_deref().map(|s| (shortest(s), std::cmp::Reverse(s.len())));
    if rank(&other) > rank(&one) { other } else { one }
}

fn required(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => exact(hir),
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => {
            // Adjacent parts that match few texts combine into longer ones.
            let (mut best, mut run): (_, Option<Vec<Vec<u8>>>) = (None, None);
            for part in parts {
                let own = exact(part);
                run = match (run.take(), &own) {
                    (Some(before), Some(own)) if before.len() * own.len() <= MAX_LITERALS => {
                        Some(joined(&before, own))
                    }
                    (before, _) => {
                        best = better(best, before);
                        own
                    }
                };
                best = better(best, required(part));
            }
            better(best, run)
        }
        HirKind::Alternation(parts) => {
            let sets: Option<Vec<_>> = parts.iter().map(required).collect();
            Some(sets?.into_iter().flatten().collect())
        }
        _ => None,
    }
}

/// All texts that an expression matches, in lower case, if they are few.
fn exact(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut all = match hir.kind() {
        HirKind::Literal(literal) => vec![literal.0.to_ascii_lowercase()],
        HirKind::Capture(capture) => exact(&capture.sub)?,
        HirKind::Class(Class::Bytes(class)) => {
            let octets = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            octets.take(MAX_LITERALS + 1).map(|octet| vec![octet.to_ascii_lowercase()]).collect()
        }
        HirKind::Alternation(parts) => {
            parts.iter().map(exact).collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
        }
        HirKind::Concat(parts) => {
            let mut all = vec![Vec::new()];
            for part in parts {
                let own = exact(part)?;
                if all.len() * own.len() > MAX_LITERALS {
                    return None;
                }
                all = joined(&all, &own);
            }
            all
        }
        _ => return None,
    };
    all.sort_unstable();
    all.dedup();
    if all.len() <= MAX_LITERALS { Some(all) } else { None }
}

fn joined(before: &[Vec<u8>], after: &[Vec<u8>]) -> Vec<Vec<u8>> {
    before.iter().flat_map(|one| after.iter().map(|two| [&one[..], two].concat())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::NameBuf;
    use proptest::prelude::*;

    fn glob(text: &str, start: Start, end: bool) -> Pattern {
        Pattern::Glob { text: text.into(), start, end }
    }

    fn hits(patterns: &[Pattern], text: &str) -> Vec<u32> {
        let numbered: Vec<_> = patterns.iter().cloned().zip(0u32..).collect();
        let mut all = Vec::new();
        Patterns::build(&numbered).unwrap().matches(text.as_bytes(), |id| all.push(id));
        all.sort_unstable();
        all
    }

    #[test]
    fn globs_match_as_defined() {
        for (pattern, text, yes) in [
            (glob("ads*.example.org", Start::Name, true), "ads12.example.org", true),
            (glob("ads*.example.org", Start::Name, true), "x.ads12.example.org", false),
            (glob("ads*.example.org", Start::Label, true), "x.ads12.example.org", true),
            (glob("ads*.example.org", Start::Label, true), "xads12.example.org", false),
            (glob("ads.", Start::Label, false), "ads.example.org", true),
            (glob("ads.", Start::Label, false), "x.ads", false),
            (glob("banner", Start::Anywhere, false), "my-banners.net", true),
            (glob(".net", Start::Anywhere, true), "a.net", true),
            (glob(".net", Start::Anywhere, true), "a.net.org", false),
            (glob("a*a", Start::Name, true), "a", false),
            (glob("a*a", Start::Name, true), "aa", true),
            (glob("a*b*c", Start::Anywhere, true), "xaybzcc", true),
            (glob("-*-", Start::Anywhere, false), "a-b", false),
        ] {
            assert_eq!(!hits(std::slice::from_ref(&pattern), text).is_empty(), yes, "{pattern} {text}");
        }
    }

    #[test]
    fn expressions_match_without_regard_to_case_and_once() {
        let all: Vec<Pattern> =
            ["^ad[0-9]+\\.", "TRACK", "(foo|bar|ad)", "telemetry.*telemetry|metric", "[a-z]"]
                .iter()
                .map(|t| Pattern::Regex((*t).into()))
                .collect();
        for (text, expected) in [
            ("ad12.example.org", vec![0, 2, 4]),
            ("my-tracker.track.net", vec![1, 4]),
            ("foobar-foo.net", vec![2, 4]),
            ("telemetry.x.telemetry.metric.net", vec![3, 4]),
            ("1.2", vec![]),
        ] {
            assert_eq!(hits(&all, text), expected, "{text}");
        }
    }

    #[test]
    fn unsupported_patterns_are_refused_with_the_reason() {
        for text in ["(", "a{1000}{1000}", "(?=x)"] {
            let error =
                Patterns::build(&[(glob("x", Start::Name, true), 0), (Pattern::Regex(text.into()), 1)]);
            let error = error.err().unwrap();
            assert_eq!(error.index, 1, "{text}");
            assert!(!error.reason.to_string().is_empty());
        }
    }

    /// The naive model of a glob: try everything.
    fn naive(glob: &[u8], text: &[u8]) -> bool {
        match glob.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|n| naive(rest, &text[n..])),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn globs_agree_with_trying_everything(
            globs in prop::collection::vec(("[ab*.]{1,6}", 0u8..3, any::<bool>()), 1..6),
            text in "[ab]{1,3}(\\.[ab]{1,4}){0,3}",
        ) {
            let patterns: Vec<_> = globs.iter().map(|(g, s, end)| {
                glob(g, [Start::Anywhere, Start::Name, Start::Label][usize::from(*s)], *end)
            }).collect();
            let expected: Vec<u32> = globs.iter().zip(0u32..).filter(|((g, start, end), _)| {
                let g = format!("{g}{}", if *end { "" } else { "*" });
                let starts: Vec<usize> = match start {
                    0 => (0..=text.len()).collect(),
                    1 => vec![0],
                    _ => std::iter::once(0).chain(text.match_indices('.').map(|(i, _)| i + 1)).collect(),
                };
                starts.iter().any(|s| naive(g.as_bytes(), &text.as_bytes()[*s..]))
            }).map(|(_, id)| id).collect();
            prop_assert_eq!(hits(&patterns, &text), expected);
        }

        #[test]
        fn expressions_agree_with_one_at_a_time(
            texts in prop::collection::vec("(\\^|\\(\\.\\+\\[\\._-\\]\\)\\?)?(ab|abc|AB|\\[ab\\]\\+|a\\.b|\\(abc\\|bca\\)){1,3}(\\$|\\\\\\.)?", 1..8),
            text in "[abc]{1,6}(\\.[abc]{1,4}){0,2}",
        ) {
            let patterns: Vec<_> = texts.iter().map(|t| Pattern::Regex(t.clone())).collect();
            let expected: Vec<u32> = texts.iter().zip(0u32..).filter(|(t, _)| {
                let octets = syntax::Config::new().unicode(false).utf8(false).case_insensitive(true);
                regex_automata::meta::Regex::builder().syntax(octets).build(t).unwrap().is_match(&text)
            }).map(|(_, id)| id).collect();
            prop_assert_eq!(hits(&patterns, &text), expected);
        }

        #[test]
        fn the_text_is_that_of_the_name(name in "[a-zA-Z0-9-]{1,9}(\\.[a-zA-Z0-9-]{1,9}){0,6}") {
            let wire = NameBuf::from_text(&name).unwrap().as_bytes().to_ascii_uppercase();
            let mut room = [0; MAX_NAME];
            let text = text_of(Name::parse(&wire).unwrap(), &mut room);
            let name = name.to_ascii_lowercase();
            prop_assert_eq!(text, name.as_bytes());
        }
    }
}
