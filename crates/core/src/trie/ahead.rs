//! Reading ahead: a lookup in a large index waits for memory twice, for a line of the directory and for
//! the nodes of a bucket. Where many questions lie ready, the waits of all of them can be one: each is
//! begun, then each is brought further, then each is looked up.

use super::index::Index;
use crate::dns::Name;

/// How far a question's lookup has been begun.
#[derive(Clone, Copy, Debug)]
pub struct Ahead {
    hub: u32,
    hash: u64,
}

impl<D: AsRef<[u8]>> Index<D> {
    /// Asks for the line of the directory that the lookup of `name` will read. `None` if it will read
    /// none.
    #[must_use]
    pub fn ahead(&self, name: Name<'_>) -> Option<Ahead> {
        let (hub, hash) = self.first_bucket(name)?;
        fetch(self.line(hub, hash)?);
        Some(Ahead { hub, hash })
    }

    /// Asks for the nodes that the lookup will read, once the line is there.
    pub fn further(&self, Ahead { hub, hash }: Ahead) {
        if let Some(nodes) = self.nodes(hub, hash) {
            fetch(nodes);
            // The nodes of a bucket take less than a line, but may lie across the border of two.
            if let Some(end) = nodes.len().checked_sub(1).and_then(|last| nodes.get(last..)) {
                fetch(end);
            }
        }
    }
}

/// Tells the processor that the first of these octets will be read soon.
#[inline]
fn fetch(octets: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        #[expect(unsafe_code, reason = "the standard library has it as an unsafe function only")]
        // SAFETY: a prefetch is a hint; it reads nothing that the program sees, and no address makes
        // it fault. This one is that of a live slice.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(octets.as_ptr().cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = octets;
}
