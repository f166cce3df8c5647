//! What the lines of a list say about its format.

use crate::rule::Format;

/// The format of a list, and how sure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Detected {
    /// The format.
    pub format: Format,
    /// Lines that are neither blank, nor comments, nor addresses, which every format has.
    pub lines: u32,
    /// How many of them the format reads.
    pub read: u32,
    /// A line settles that this is the format.
    pub certain: bool,
    /// The second-best format, if the list has lines of one, and how many lines it reads.
    pub runner_up: Option<(Format, u32)>,
}
