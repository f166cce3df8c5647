//! RRsets with their signatures, and the names that have them.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::dns::{Name, NameBuf, Qtype};

/// An RRset: all records of one owner and type. The RDATA is uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// The type.
    pub rtype: Qtype,
    /// The time to live, in seconds.
    pub ttl: u32,
    /// The data of each record.
    pub rdatas: Vec<Box<[u8]>>,
    /// The RRSIG records that cover it (RFC 4034 §3).
    pub signatures: Option<Box<RrSet>>,
}

impl RrSet {
    /// The name that the data of the first record begin with: the target of an alias.
    #[must_use]
    pub fn target(&self) -> Option<Name<'_>> {
        Name::parse(self.rdatas.first()?).ok()
    }
}

/// The names of a zone, in lower case.
pub(super) type Nodes = HashMap<Box<[u8]>, Node, FxBuildHasher>;

/// A name of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The name, in the case of the file (RFC 1035 §2.3.3).
    pub name: NameBuf,
    /// Its RRsets, in the order of their types; none: an empty non-terminal.
    pub sets: Vec<RrSet>,
    /// True if the name is delegated.
    pub(super) is_cut: bool,
    /// True if the names below it are redirected by a DNAME.
    pub(super) redirects: bool,
}

impl Node {
    /// A name without records.
    #[must_use]
    pub fn empty(name: NameBuf) -> Self {
        Self { name, sets: Vec::new(), is_cut: false, redirects: false }
    }

    /// The records of a type.
    #[must_use]
    pub fn set(&self, rtype: Qtype) -> Option<&RrSet> {
        self.sets.iter().find(|set| set.rtype == rtype)
    }
}
