//! Prefetching: a lookup in a large index waits for memory twice, for a line of the directory and for the
//! nodes of a bucket. For a batch of questions these waits can overlap: each lookup is begun, then each is
//! advanced, then each is completed.

use super::index::Index;
use crate::dns::Name;

/// A lookup that has been begun.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    hub: u32,
    hash: u64,
}

impl<D: AsRef<[u8]>> Index<D> {
    /// Prefetches the directory line that the lookup of `name` will read. `None` if it will read none.
    #[must_use]
    pub fn ahead(&self, name: Name<'_>) -> Option<Ahead> {
        let (hub, hash) = self.first_bucket(name)?;
        fetch(self.line(hub, hash)?);
        Some(Ahead { hub, hash })
    }

    /// Prefetches the nodes that the lookup will read, once the line is loaded.
    pub fn further(&self, Ahead { hub, hash }: Ahead) {
        if let Some(nodes) = self.nodes(hub, hash) {
            fetch(nodes);
            // The nodes of a bucket are shorter than a cache line, but may straddle two.
            if let Some(end) = nodes.len().checked_sub(1).and_then(|last| nodes.get(last..)) {
                fetch(end);
            }
        }
    }
}

/// Hints to the processor that the first of these octets will be read soon.
#[inline]
fn fetch(octets: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "the standard library offers it only as an unsafe function")]
        // SAFETY: a prefetch is a hint; it reads nothing that the program sees, and no address makes it
        // fault. The address is that of a live slice.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(octets.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = octets;
}
