//! Why a line, or a name on it, gave no rule.

use std::fmt;

use crate::dns::NameError;

/// A line longer than this, in octets, is skipped unread; no rule is that long.
pub const MAX_LINE: usize = 8192;

/// A line that gave no rule, or only some of its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The line, from 1.
    pub line: u32,
    /// Its beginning, control characters replaced.
    pub text: String,
    /// The reason.
    pub reason: SkipReason,
}

/// Why a line gives no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkipReason {
    /// Longer than any rule.
    TooLong,
    /// Not UTF-8.
    Encoding,
    /// Not a name.
    Name(NameError),
    /// Not a host name: the root, or with characters other than letters, digits, `-` and `_`.
    NotAHostName,
    /// An address where a name is expected.
    Address,
    /// A hosts line that does not begin with an address.
    NotAnAddress(String),
    /// A hosts line with only an address.
    NoName,
    /// More than one name on a line of a list of names.
    NotOneName,
    /// A line that violates the format's syntax, and how.
    Syntax(String),
    /// An invalid regular expression, and why.
    Expression(String),
    /// Not an address or network, in a list of those.
    NoNetwork,
    /// More names than an index can hold.
    TooMany,
    /// A modifier that has no meaning for a name server.
    Modifier(String),
    /// A rule about page elements, not names.
    Cosmetic,
    /// A rule that applies at the times of a schedule of this name, which does not exist.
    Schedule(String),
    /// A line that includes another file, which was not read.
    Include(String),
    /// A line that includes another file, which can't be read.
    NotIncluded {
        /// Its name.
        file: String,
        /// Why.
        why: String,
    },
    /// A feature of the format that this program does not support in lists, such as a forward.
    Feature(String),
}

impl SkipReason {
    /// True: the line is well-formed but requests something unsupported. False: it is malformed.
    #[must_use]
    pub const fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Modifier(_) | Self::Cosmetic | Self::Schedule(_) | Self::Include(_) | Self::Feature(_)
        )
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "longer than {MAX_LINE} octets"),
            Self::Encoding => f.write_str("not UTF-8"),
            Self::Name(error) => error.fmt(f),
            Self::NotAHostName => f.write_str("not a name that a host can have; is the format right?"),
            Self::Address => f.write_str("an address where a name is expected"),
            Self::NotAnAddress(word) => {
                write!(f, "a hosts line begins with an address, and `{word}` is not one")
            }
            Self::NoName => f.write_str("an address without a name"),
            Self::NotOneName => f.write_str("more than one name on the line"),
            Self::Syntax(what) => f.write_str(what),
            Self::Expression(why) => write!(f, "not a regular expression: {why}"),
            Self::NoNetwork => f.write_str("not an address, nor a network such as 192.0.2.0/24"),
            Self::TooMany => f.write_str("more names than an index can hold"),
            Self::Modifier(word) => write!(f, "the modifier `{word}` means nothing to a name server"),
            Self::Cosmetic => f.write_str("a rule for the contents of pages, not for names"),
            Self::Schedule(name) => write!(f, "no [[schedule]] has the name `{name}`"),
            Self::Include(name) => write!(f, "the file `{name}` is not read here"),
            Self::NotIncluded { file, why } => write!(f, "the file `{file}` can't be included: {why}"),
            Self::Feature(what) => write!(f, "not supported: {what}"),
        }
    }
}
