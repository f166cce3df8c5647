//! `[[rewrite]]`: a name with a configured answer.

use crate::dns::{NameBuf, Qtype};
use crate::rule::{Action, Effect, Match, Scope, Traits};

/// One rewrite: the answer to a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RewriteSettings {
    /// The name.
    pub name: NameBuf,
    /// Whether it matches the name itself or its subdomains.
    pub matching: Match,
    /// The answer; `None`: the name is not rewritten.
    pub action: Option<Action>,
    /// The query types it applies to; empty: all.
    pub types: Vec<Qtype>,
    /// The names of the groups whose clients it applies to; empty: all clients.
    pub groups: Vec<String>,
    /// The line of the configuration.
    pub line: u32,
}

impl RewriteSettings {
    /// The properties of its rule.
    #[must_use]
    pub fn traits(&self) -> Traits {
        let scope = Scope { types: self.types.clone(), ..Scope::default() };
        let scope = (!self.types.is_empty()).then(|| Box::new(scope));
        Traits { rewrite: true, action: self.action.clone(), scope, ..Traits::plain(Effect::Block) }
    }
}
