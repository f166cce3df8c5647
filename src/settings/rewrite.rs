//! `[[rewrite]]`: a name with an answer of its own.

use crate::dns::NameBuf;
use crate::rule::{Action, Match};

/// One rewrite: what a name is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteSettings {
    /// The name.
    pub name: NameBuf,
    /// Whether the name itself or those below it.
    pub matching: Match,
    /// The answer.
    pub action: Action,
    /// The line of the configuration.
    pub line: u32,
}
