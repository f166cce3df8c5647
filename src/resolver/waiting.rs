//! The queries that wait for an upstream: limited in number, and one upstream query per question.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::moment::Moment;
use crate::cache::store::Stored;
use crate::dns::Name;
use crate::upstream::Failure;

/// Number of counters among which domains are divided by hash, to limit the share of each.
const DOMAIN_SLOTS: usize = 1024;

/// The result of a query to the upstreams.
pub(super) type Fetched = Result<Stored, Failure>;

/// Wakes a waiting query, with the result and its time.
pub(super) type Wake = Box<dyn FnOnce(&Fetched, Moment) + Send>;

/// The waiting queries, by question and upstreams.
type Same = HashMap<Box<[u8]>, Vec<Wake>, RandomState>;

/// The waiting queries: how many, for which domains, and which share a question.
pub struct Waiting {
    count: AtomicUsize,
    /// How many wait for names with the same last two labels, by their hash. One domain gets a quarter of
    /// the permits at most, so that random names below it do not starve other domains.
    per_domain: Box<[AtomicUsize]>,
    hasher: RandomState,
    same: Mutex<Same>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            per_domain: (0..DOMAIN_SLOTS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
            same: Mutex::default(),
        }
    }
}

/// Permission to wait; given back when dropped.
pub struct Permit {
    waiting: Arc<Waiting>,
    slot: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.waiting.count.fetch_sub(1, Relaxed);
        if let Some(slot) = self.waiting.per_domain.get(self.slot) {
            slot.fetch_sub(1, Relaxed);
        }
    }
}

impl Waiting {
    /// A permit to wait for a name, if fewer than `limit` are in use.
    #[must_use]
    pub fn permit(self: &Arc<Self>, qname: Name<'_>, limit: usize) -> Option<Permit> {
        let slot = self.domain_slot(qname);
        let permit = Permit { waiting: Arc::clone(self), slot };
        let all = self.count.fetch_add(1, Relaxed);
        let same_domain = self.per_domain.get(slot).map_or(0, |c| c.fetch_add(1, Relaxed));
        (all < limit && same_domain < limit.div_ceil(4)).then_some(permit)
    }

    /// How many queries are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// True if no query is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn domain_slot(&self, qname: Name<'_>) -> usize {
        let name = qname.as_bytes();
        // From the last label but one: the name's own octets, in lower case.
        let mut starts = [0; 2];
        let mut at = 0;
        while let Some(len) = name.get(at).filter(|len| **len > 0) {
            starts = [starts[1], at];
            at += usize::from(*len) + 1;
        }
        let mut hasher = self.hasher.build_hasher();
        for octet in name.get(starts[0]..).unwrap_or_default() {
            hasher.write_u8(octet.to_ascii_lowercase());
        }
        usize::try_from(hasher.finish() % DOMAIN_SLOTS as u64).unwrap_or(0)
    }

    /// Joins the queries for the same question; true for the first, which must query the upstreams for all.
    pub(super) fn join(&self, asked: &[u8], wake: Wake) -> bool {
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        match same.entry(asked.into()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(wake);
                false
            }
            Entry::Vacant(free) => {
                free.insert(vec![wake]);
                true
            }
        }
    }

    /// Removes and returns all that wait for the answer to the question.
    pub(super) fn take(&self, asked: &[u8]) -> Vec<Wake> {
        self.same.lock().unwrap_or_else(PoisonError::into_inner).remove(asked).unwrap_or_default()
    }
}
