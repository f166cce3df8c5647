//! What two questions must share to share an answer: name, type, class, and the bits DO and CD.

use crate::dns::header::flag;
use crate::dns::name::MAX_NAME;
use crate::dns::query::Query;

const MAX_KEY: usize = MAX_NAME + 5;

/// A cache key on the stack.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; MAX_KEY],
    len: usize,
}

impl Key {
    /// The key of a query; names differ only in ASCII case share it.
    #[must_use]
    pub fn of(query: &Query<'_>) -> Self {
        let mut key = Self { bytes: [0; MAX_KEY], len: 0 };
        let question = query.question();
        if let Some(slot) = key.bytes.get_mut(..=question.len()) {
            if let Some((flags, rest)) = slot.split_last_mut() {
                *flags = u8::from(query.dnssec_ok()) | u8::from(query.header.has(flag::CD)) << 1;
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
