//! `[[rewrite]]`: a name with a configured answer.

use crate::dns::NameBuf;
use crate::rule::{Action, Match};

/// One rewrite: the answer to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteSettings {
    /// The name.
    pub name: NameBuf,
    /// Whether it matches the name itself or its subdomains.
    pub matching: Match,
    /// The answer.
    pub action: Action,
    /// The line of the configuration.
    pub line: u32,
}
