//! What two questions must share to share an answer: name, type, class, the bits DO and CD, and the
//! upstreams that they go to.

use crate::dns::header::flag;
use crate::dns::name::MAX_NAME;
use crate::dns::query::Query;

const MAX_KEY: usize = MAX_NAME + 7;

/// A cache key on the stack.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; MAX_KEY],
    len: usize,
}

impl Key {
    /// The key of a query that goes to the upstreams with the number `route`; names that differ only in
    /// ASCII case share it.
    #[must_use]
    pub fn of(query: &Query<'_>, route: u16) -> Self {
        let mut key = Self { bytes: [0; MAX_KEY], len: 0 };
        let question = query.question();
        if let Some(slot) = key.bytes.get_mut(..question.len() + 3) {
            if let Some((rest, tail)) = slot.split_last_chunk_mut::<3>() {
                let flags = u8::from(query.dnssec_ok()) | u8::from(query.header.has(flag::CD)) << 1;
                let [r0, r1] = route.to_be_bytes();
                *tail = [flags, r0, r1];
                rest.copy_from_slice(question);
            }
            key.len = slot.len();
        }
        if let Some(name) = key.bytes.get_mut(..query.qname.as_bytes().len()) {
            name.make_ascii_lowercase();
        }
        key
    }

    /// The key's octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
