//! Regular expressions that are matched anywhere in a name, ignoring case.

use regex_automata::Input;
use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

/// The largest automaton, in octets.
const DFA_LIMIT: usize = 1 << 20;

/// An expression: its text and its automaton, which is built completely so that a search allocates nothing.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    dfa: Box<dense::DFA<Vec<u32>>>,
}

/// Why a text is not a usable expression, in a few words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(String);

impl Expression {
    /// Reads an expression and builds its automaton.
    ///
    /// # Errors
    /// [`ExpressionError`]: the text is not an expression, or its automaton would be larger than a mebibyte.
    pub fn new(text: impl Into<String>) -> Result<Self, ExpressionError> {
        let text = text.into();
        let config = dense::Config::new()
            .start_kind(StartKind::Unanchored)
            .dfa_size_limit(Some(DFA_LIMIT))
            .determinize_size_limit(Some(DFA_LIMIT * 4));
        let dfa = dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false).case_insensitive(true))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(DFA_LIMIT)))
            .build(&text)
            .map_err(|error| {
                let mut reason = error.to_string();
                let mut source = std::error::Error::source(&error);
                while let Some(inner) = source {
                    reason = inner.to_string();
                    source = inner.source();
                }
                // The parser's messages show the expression first.
                let last = reason.lines().next_back().unwrap_or_default();
                ExpressionError(last.strip_prefix("error: ").unwrap_or(last).to_owned())
            })?;
        // An automaton that can't start a search would silently never match.
        dfa.try_search_fwd(&Input::new(b"")).map_err(|error| ExpressionError(error.to_string()))?;
        Ok(Self { text, dfa: Box::new(dfa) })
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True if it matches anywhere in the text.
    #[must_use]
    pub fn is_match(&self, text: &[u8]) -> bool {
        // A complete automaton without quit bytes does not fail.
        matches!(self.dfa.try_search_fwd(&Input::new(text)), Ok(Some(_)))
    }
}
