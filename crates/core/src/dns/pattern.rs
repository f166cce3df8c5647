//! What a label trie cannot hold: names with a `*` within, ends of names without regard to labels,
//! and regular expressions. Only the values; `trie::pattern` matches them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A pattern over names in presentation format, lower case, without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Pattern {
    /// Text in which `*` stands for any characters, dots included, or none.
    Glob {
        /// Lower-case text; `*` is the only character with a meaning.
        text: String,
        /// Where the text may begin.
        start: Start,
        /// True: it must reach the end of the name.
        end: bool,
    },
    /// A regular expression as the list gave it (without the slashes), found anywhere in the name,
    /// without regard to case.
    Regex(String),
}

/// Where a glob may begin in a name.
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
    /// In the form of the adguard format.
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
