//! Whose turn it is among several addresses of a name.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::dns::{rotate, turns_of};

/// How many counters there are; questions that share one skip turns of each other.
const COUNTERS: usize = 256;

/// How often questions have been answered, by a hash of the question: with one counter for all, a client that always
/// asks for A and AAAA would see the same address first each time.
pub(super) struct Turns([AtomicU32; COUNTERS]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU32::new(0)))
    }
}

impl Turns {
    /// Rotates the addresses in a reply. Allocates nothing.
    pub(super) fn take(&self, reply: &mut [u8]) {
        let Some(question) = turns_of(reply) else { return };
        let counter = usize::try_from(question).unwrap_or_default() % COUNTERS;
        if let Some(counter) = self.0.get(counter) {
            rotate(reply, counter.fetch_add(1, Relaxed));
        }
    }
}
