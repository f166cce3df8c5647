//! Which upstreams a question goes to: those of the name's suffix, else those of the client's group, else
//! the shared ones.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Upstream;
use crate::dns::{Folded, Name, NameBuf, ancestors};

/// The route of the shared upstreams.
pub const MAIN: u16 = 0;

/// The upstreams of one route; `None`: names on it are not forwarded.
pub type Route = Option<Arc<dyn Upstream>>;

/// All upstreams of a server; a route is the number of one set of them.
#[derive(Debug, Default)]
pub struct Routes {
    upstreams: Vec<Route>,
    /// Routes of names, by suffixes in lower case.
    suffixes: HashMap<NameBuf, u16>,
    /// The suffixes and all names above them.
    above: HashSet<NameBuf>,
}

impl Routes {
    /// The upstreams by route, [`MAIN`] first, and the suffixes with upstreams of their own.
    #[must_use]
    pub fn new(upstreams: Vec<Route>, suffixes: HashMap<NameBuf, u16>) -> Self {
        let above = suffixes.keys().flat_map(|suffix| ancestors(suffix.as_name()));
        let above = above.map(Name::to_folded).collect();
        Self { upstreams, suffixes, above }
    }

    /// The route of a question: that of the longest suffix of its name that has one, else `other`.
    #[must_use]
    pub fn route(&self, name: Name<'_>, other: u16) -> u16 {
        self.forward(name).map_or(other, |(route, _)| route)
    }

    /// The longest suffix of a name that has upstreams of its own: their route, and the suffix's length on
    /// the wire, in octets.
    #[must_use]
    #[inline]
    pub fn forward(&self, name: Name<'_>) -> Option<(u16, usize)> {
        if self.suffixes.is_empty() { None } else { self.longest(name) }
    }

    #[inline(never)]
    fn longest(&self, name: Name<'_>) -> Option<(u16, usize)> {
        let folded = Folded::new(name);
        let mut at = 0;
        while let Some(len) = folded.from(at).first() {
            if let Some(route) = self.suffixes.get(folded.from(at)) {
                return Some((*route, folded.from(at).len()));
            }
            at += 1 + usize::from(*len);
        }
        None
    }

    /// True if a suffix with upstreams of its own lies at a name or below it.
    #[must_use]
    pub fn is_at_or_below(&self, name: Name<'_>) -> bool {
        !self.above.is_empty() && self.above.contains(Folded::new(name).from(0))
    }

    /// The upstreams of a route; `None`: names on it are not forwarded.
    #[must_use]
    pub fn get(&self, route: u16) -> Option<&Arc<dyn Upstream>> {
        self.upstreams.get(usize::from(route))?.as_ref()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Upstream>> {
        self.upstreams.iter().flatten()
    }
}
