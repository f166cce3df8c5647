//! Patterns that a label trie cannot hold: names with an inner `*`, suffixes that ignore label boundaries,
//! and regular expressions. Only the values; `trie::pattern` matches them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern over names in presentation format, lower case, without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pattern {
    /// Text in which `*` matches any characters, including dots and none.
    Glob {
        /// Lower-case text; `*` is the only special character.
        text: String,
        /// Where a match may begin.
        start: Start,
        /// Whether it must reach the end of the name.
        end: bool,
    },
    /// A regular expression as in the list (without the slashes), matched anywhere in the name, ignoring
    /// case.
    Regex(String),
}

/// Where a glob may begin to match in a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Start {
    /// Anywhere.
    Anywhere,
    /// At the beginning of the name.
    Name,
    /// At the beginning of any label (`||`).
    Label,
}

impl fmt::Display for Pattern {
    /// In the syntax of the adguard format.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Regex(text) => write!(f, "/{text}/"),
            Self::Glob { text, start, end } => {
                let start = match start {
                    Start::Anywhere => "",
                    Start::Name => "|",
                    Start::Label => "||",
                };
                write!(f, "{start}{text}{}", if *end { "^" } else { "" })
            }
        }
    }
}
