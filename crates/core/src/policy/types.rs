//! Whether another type of a name passes where one is refused.
//!
//! NXDOMAIN denies the whole name: caches behind this server then refuse every type of it (RFC 2308 §5,
//! RFC 8020 §2). Where another type passes, the refused one does not exist: NODATA (RFC 2308 §2.2).

use super::ladder::Decider;
use super::policy::Policy;
use super::walk::{Asker, Visitor, walk};
use crate::dns::{Name, Qtype};

/// More types than any list names for one name. Beyond this number, another type is assumed to pass: NODATA
/// is safe for every cache.
const MOST: usize = 32;

/// The types that the rules for some names depend on.
pub(super) struct Types {
    types: [Qtype; MOST],
    count: usize,
    too_many: bool,
}

impl Types {
    pub(super) const NONE: Self = Self { types: [Qtype(0); MOST], count: 0, too_many: false };

    /// Adds those that the rules for a name depend on.
    pub(super) fn add(&mut self, policy: &Policy, name: Name<'_>, asker: Asker<'_>) {
        walk(policy, name, asker, self);
    }

    /// True if the test holds for one of these types, or for all others. Types that no rule mentions have
    /// the same rules, so one stands for all.
    pub(super) fn any(&self, mut test: impl FnMut(Qtype) -> bool) -> bool {
        // Types for private use (RFC 6895 §3.1): more than the limit.
        let mut unnamed = (0xff00..0xffff).map(Qtype).filter(|t| !self.known().contains(t));
        self.too_many || self.known().iter().copied().any(&mut test) || unnamed.next().is_some_and(test)
    }

    fn known(&self) -> &[Qtype] {
        self.types.get(..self.count).unwrap_or_default()
    }
}

impl Visitor for Types {
    fn applies(&mut self, _candidate: Decider) {}

    fn depends_on(&mut self, types: &[Qtype]) {
        for qtype in types {
            if self.known().contains(qtype) {
                continue;
            }
            match self.types.get_mut(self.count) {
                Some(slot) => {
                    *slot = *qtype;
                    self.count += 1;
                }
                None => {
                    self.too_many = true;
                    return;
                }
            }
        }
    }
}
