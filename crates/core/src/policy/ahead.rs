//! Prefetches for a batch of questions; see [`crate::trie::ahead`].

use super::policy::Policy;
use crate::dns::Name;
use crate::trie::Ahead;

/// The lookups begun for a question: all text lists are one layer, and more than two layers are rare.
pub type Begun = [Option<Ahead>; 2];

impl Policy {
    /// Begins the lookups of a name in the first layers.
    #[must_use]
    pub fn ahead(&self, name: Name<'_>) -> Begun {
        let mut begun = Begun::default();
        for (slot, layer) in begun.iter_mut().zip(&self.layers) {
            *slot = layer.compiled.index.ahead(name);
        }
        begun
    }

    /// Advances them.
    pub fn further(&self, begun: &Begun) {
        for (ahead, layer) in begun.iter().zip(&self.layers) {
            if let Some(ahead) = ahead {
                layer.compiled.index.further(*ahead);
            }
        }
    }
}
