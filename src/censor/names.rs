//! Which names a rule takes, with the bugs that real censors' matching has.

use regex_automata::dfa::dense::DFA;

/// Patterns, any of which takes a name.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The patterns, in lower case, without a final dot; whole names as `NameBuf` prints them.
    pub patterns: Vec<Pattern>,
    /// Names that are not taken, nor those below them, in lower case.
    pub except: Vec<String>,
    /// Labels are joined with dots and the name ends at the first NUL before it is looked at.
    pub flattened: bool,
}

/// One pattern.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Every name.
    Any,
    /// The name itself.
    Exact(String),
    /// The name and those below it.
    Suffix(String),
    /// The end of the name, wherever a label begins.
    EndsWith(String),
    /// The start of the name.
    Prefix(String),
    /// Anywhere.
    Substring(String),
    /// An expression: its text and its automaton.
    Regex(String, Box<DFA<Vec<u32>>>),
}
