//! The queries that wait for an upstream: a bounded number, and one question for all who ask the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::moment::Moment;
use crate::cache::store::Stored;
use crate::dns::Name;
use crate::upstream::Failure;

/// Names are told apart by this many counters when one crowds out the others.
const CROWDS: usize = 1024;

/// What came of a question to the upstreams.
pub(super) type Fetched = Result<Stored, Failure>;

/// Wakes one who waits, with what came and when.
pub(super) type Wake = Box<dyn FnOnce(&Fetched, Moment) + Send>;

/// The queries that wait, by question and whom it was put to: everybody who asked it.
type Same = HashMap<Box<[u8]>, Vec<Wake>, RandomState>;

/// The queries that wait: how many, for which names, and who asks the same.
pub struct Waiting {
    count: AtomicUsize,
    /// How many wait for names with the same last two labels, by their hash. One domain gets a quarter
    /// of the permits at most, so that random names below it crowd nobody out.
    crowds: Box<[AtomicUsize]>,
    hasher: RandomState,
    same: Mutex<Same>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            crowds: (0..CROWDS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
            same: Mutex::default(),
        }
    }
}

/// Permission to wait; given back when dropped.
pub struct Permit {
    waiting: Arc<Waiting>,
    crowd: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.waiting.count.fetch_sub(1, Relaxed);
        if let Some(crowd) = self.waiting.crowds.get(self.crowd) {
            crowd.fetch_sub(1, Relaxed);
        }
    }
}

impl Waiting {
    /// A permit to wait for a name, if fewer than `limit` are given out.
    #[must_use]
    pub fn permit(self: &Arc<Self>, qname: Name<'_>, limit: usize) -> Option<Permit> {
        let crowd = self.crowd(qname);
        let permit = Permit { waiting: Arc::clone(self), crowd };
        let all = self.count.fetch_add(1, Relaxed);
        let alike = self.crowds.get(crowd).map_or(0, |c| c.fetch_add(1, Relaxed));
        (all < limit && alike < limit.div_ceil(4)).then_some(permit)
    }

    /// How many wait now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// True if none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn crowd(&self, qname: Name<'_>) -> usize {
        let name = qname.as_bytes();
        // From the label before the last: the name's own octets, in one case.
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
        usize::try_from(hasher.finish() % CROWDS as u64).unwrap_or(0)
    }

    /// Joins those who ask the same; true for the first, who must ask for all.
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

    /// Everybody who waits for an answer to the question; from now on they wait no more.
    pub(super) fn take(&self, asked: &[u8]) -> Vec<Wake> {
        self.same.lock().unwrap_or_else(PoisonError::into_inner).remove(asked).unwrap_or_default()
    }
}
