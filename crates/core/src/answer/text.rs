//! The EXTRA-TEXT of a refusal: the list, and the reference by which the refusal can be looked up.

use crate::dns::Query;
use crate::policy::{ListPolicy, MAX_EDE_TEXT};

/// Octets of ` [1a2b3c4d]`.
const REFERENCE: usize = 11;

/// A text on the stack.
pub(super) struct Text {
    octets: [u8; MAX_EDE_TEXT + REFERENCE],
    len: usize,
}

impl Text {
    pub(super) fn of(list: &ListPolicy, query: &Query<'_>) -> Self {
        let mut text = Self { octets: [0; MAX_EDE_TEXT + REFERENCE], len: 0 };
        // Without EDNS it can't be sent (RFC 8914 §2).
        if query.edns.is_none() {
            return text;
        }
        text.put(list.ede_text.as_bytes());
        // Put together first: each copy of an unknown length costs a call.
        let mut reference = *b" [00000000]";
        let [_, _, digits @ .., _] = &mut reference;
        let octets = list.reference(query.qname).0.to_be_bytes();
        let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        for (pair, octet) in digits.as_chunks_mut::<2>().0.iter_mut().zip(octets) {
            *pair = [digit(octet >> 4), digit(octet & 0xf)];
        }
        text.put(&reference);
        text
    }

    fn put(&mut self, octets: &[u8]) {
        let end = self.len + octets.len();
        if let Some(slot) = self.octets.get_mut(self.len..end) {
            slot.copy_from_slice(octets);
            self.len = end;
        }
    }

    pub(super) fn as_str(&self) -> &str {
        self.octets.get(..self.len).and_then(|o| std::str::from_utf8(o).ok()).unwrap_or_default()
    }
}
