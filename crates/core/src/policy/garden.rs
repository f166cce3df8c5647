//! For a policy that blocks every name except some: the names above those that pass. They must get NODATA,
//! because NXDOMAIN would deny the names below them too (RFC 8020 §2).

use std::collections::HashSet;

use rustc_hash::FxBuildHasher;

use super::ladder::Rung;
use super::layer::Layer;
use crate::dns::{Folded, Match, Name, NameBuf};

/// The names below which a rule lets some name pass.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Openings {
    /// Not determined.
    #[default]
    Unknown,
    /// Perhaps below any name: an allow rule has a pattern.
    Anywhere,
    /// Below these, in lower case.
    Below(HashSet<Box<[u8]>, FxBuildHasher>),
}

impl Openings {
    pub(super) fn of(layers: &[Layer]) -> Self {
        let opens = |rung: Rung| matches!(rung, Rung::Allow | Rung::ImportantAllow) || rung.is_rewrite();
        if layers.iter().any(|layer| layer.pattern_entries.iter().any(|entry| opens(entry.rung))) {
            return Self::Anywhere;
        }
        let mut names: HashSet<Box<[u8]>, FxBuildHasher> = HashSet::default();
        for layer in layers {
            layer.compiled.index.for_each(|name: &NameBuf, matching, id, _| {
                if !layer.class(id).iter().any(|entry| opens(entry.rung)) {
                    return;
                }
                let own = Some(name.as_name()).filter(|_| matching == Match::Subdomains);
                let mut above = own.or_else(|| name.as_name().parent());
                while let Some(name) = above {
                    // The names above it are already in the set.
                    if !names.insert(name.as_bytes().into()) {
                        break;
                    }
                    above = name.parent();
                }
            });
        }
        Self::Below(names)
    }

    pub(super) fn below(&self, name: Name<'_>) -> bool {
        match self {
            Self::Unknown => false,
            Self::Anywhere => true,
            Self::Below(names) => !names.is_empty() && names.contains(Folded::new(name).from(0)),
        }
    }
}
