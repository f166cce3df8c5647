//! When two queries share a cached reply: same name, type, class, DO and CD bits, and the same upstreams.

use crate::dns::{HEADER_LEN, MAX_NAME, Name, Query, flag};

const MAX_KEY: usize = HEADER_LEN + MAX_NAME + 4;

/// A cache key on the stack, laid out like a message: the header's place holds the bits and the route
/// number; the question follows, in lower case.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; MAX_KEY],
    len: usize,
}

impl Key {
    /// The key of a query that goes to the upstreams of `route`. Names that differ only in ASCII case share
    /// a key.
    #[must_use]
    pub fn of(query: &Query<'_>, route: u16) -> Self {
        let mut key = Self { bytes: [0; MAX_KEY], len: 0 };
        let question = query.question();
        if let Some(slot) = key.bytes.get_mut(..HEADER_LEN + question.len())
            && let Some((head, rest)) = slot.split_first_chunk_mut::<HEADER_LEN>()
        {
            let flags = u8::from(query.dnssec_ok()) | u8::from(query.header.has(flag::CD)) << 1;
            let [r0, r1] = route.to_be_bytes();
            [head[0], head[1], head[2]] = [flags, r0, r1];
            rest.copy_from_slice(question);
            if let Some(name) = rest.get_mut(..query.qname.as_bytes().len()) {
                name.make_ascii_lowercase();
            }
            key.len = HEADER_LEN + question.len();
        }
        key
    }

    /// The question's name, in lower case.
    #[must_use]
    pub fn qname(&self) -> Option<Name<'_>> {
        Name::parse(self.as_bytes().get(HEADER_LEN..)?).ok()
    }

    /// The key's octets.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
