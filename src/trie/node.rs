//! The byte layout of one node, and of the header before all nodes.

use crate::dns::name::Match;

/// Octets of a node before its label: parent, length of the label, which values follow.
pub const FIXED_LEN: usize = 6;
/// A value that is not there; also an empty slot.
pub const NONE: u32 = u32::MAX;
/// The first octets of an index.
pub const MAGIC: [u8; 8] = *b"PTCLIDX\0";
/// The version of the layout.
pub const VERSION: u32 = 1;
/// Octets of the header: magic, version, slots, octets of nodes, count of nodes, checksum.
pub const HEADER_LEN: usize = 32;

/// One node, read in place. Its label and values stand right behind its fixed part, so that a node
/// is mostly one line of the processor's cache.
///
/// ```text
///   parent u32 | length of the label u8 | mask u8 | label | one u32 for each bit of the mask
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'d> {
    /// Where the node of the name without its leftmost label stands; the root is its own parent.
    pub parent: u32,
    /// The label, in lower case.
    pub label: &'d [u8],
    mask: u8,
    values: &'d [u8],
}

impl<'d> Node<'d> {
    /// Reads the node that stands at `at`; `None` if it does not lie within the octets.
    #[must_use]
    pub fn read(nodes: &'d [u8], at: u32) -> Option<Self> {
        let (&[a, b, c, d, len, mask], rest) = nodes.get(at as usize..)?.split_first_chunk::<FIXED_LEN>()?;
        let (label, values) = rest.split_at_checked(usize::from(len))?;
        Some(Self { parent: u32::from_le_bytes([a, b, c, d]), label, mask, values })
    }

    /// The id for a kind of match.
    #[must_use]
    pub fn value(&self, matching: Match) -> Option<u32> {
        let bit = 1u8 << place(matching);
        if self.mask & bit == 0 {
            return None;
        }
        let before = (self.mask & (bit - 1)).count_ones() as usize;
        let bytes = self.values.get(before * 4..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

/// Appends a node; `values` by [`place`], [`NONE`] where there is none.
pub fn write(nodes: &mut Vec<u8>, parent: u32, label: &[u8], values: [u32; 3]) {
    nodes.extend_from_slice(&parent.to_le_bytes());
    let mask = values.iter().enumerate().map(|(i, v)| u8::from(*v != NONE) << i).sum();
    nodes.extend_from_slice(&[u8::try_from(label.len()).unwrap_or(0), mask]);
    nodes.extend_from_slice(label);
    for value in values.into_iter().filter(|v| *v != NONE) {
        nodes.extend_from_slice(&value.to_le_bytes());
    }
}

/// Octets that [`write()`] appends.
#[must_use]
pub fn written_len(label: &[u8], values: [u32; 3]) -> usize {
    FIXED_LEN + label.len() + 4 * values.iter().filter(|v| **v != NONE).count()
}

/// The place of a kind of match among a node's values.
#[must_use]
pub const fn place(matching: Match) -> usize {
    match matching {
        Match::Exact => 0,
        Match::Suffix => 1,
        Match::Subdomains => 2,
    }
}

/// The hash of a child edge; the label is in lower case. Eight octets at a time: the last step reads
/// a short rest as overlapping words, so that no label needs a loop over single octets.
#[must_use]
pub fn hash_edge(parent: u32, label: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word) * u128::from(K);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded together")]
        let folded = product as u64 ^ (product >> 64) as u64;
        folded
    };
    let word32 = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let mut hash = mix(u64::from(parent) << 8 | label.len() as u64, K);
    let (words, rest) = label.as_chunks::<8>();
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let last = match (rest.first_chunk::<4>(), rest.last_chunk::<4>(), rest) {
        (Some(first), Some(last), _) => word32(first) << 32 | word32(last),
        (_, _, [a, b, c]) => u64::from_le_bytes([*a, *b, *c, 0, 0, 0, 0, 0]),
        (_, _, [a, b]) => u64::from_le_bytes([*a, *b, 0, 0, 0, 0, 0, 0]),
        (_, _, [a]) => u64::from(*a),
        _ => return hash,
    };
    mix(hash, last)
}

/// A slot: the upper half of the edge's hash, then the node. An empty slot has the node [`NONE`].
pub const SLOT_LEN: usize = 8;

/// The part of an edge's hash that its slot keeps, so that most wrong slots are passed over without
/// a look at their node.
#[must_use]
pub const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// The checksum of an index: over its header before the checksum, and its body. It finds accidents,
/// not forgers.
#[must_use]
pub fn checksum(index: &[u8]) -> u64 {
    let header = fold(index.get(..HEADER_LEN - 8).unwrap_or_default());
    header ^ fold(index.get(HEADER_LEN..).unwrap_or_default())
}

/// FNV-1a by words.
fn fold(body: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for chunk in body.chunks(8) {
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunk) {
            *to = *from;
        }
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_reads_as_it_was_written() {
        let mut nodes = Vec::new();
        write(&mut nodes, 7, b"label", [1, NONE, 3]);
        assert_eq!(nodes.len(), written_len(b"label", [1, NONE, 3]));
        let node = Node::read(&nodes, 0).unwrap();
        assert_eq!((node.parent, node.label), (7, &b"label"[..]));
        assert_eq!(
            [Match::Exact, Match::Suffix, Match::Subdomains].map(|m| node.value(m)),
            [Some(1), None, Some(3)]
        );
        assert_eq!(Node::read(&nodes[..8], 0), None);
    }

    #[test]
    fn edges_differ_by_parent_label_and_length() {
        assert_ne!(hash_edge(3, b"linkedin"), hash_edge(4, b"linkedin"));
        assert_ne!(hash_edge(3, b"a"), hash_edge(3, b"a\0"));
        let all = b"abcdefghijklmnop";
        let mut hashes: Vec<u64> = (0..=all.len()).map(|n| hash_edge(1, &all[..n])).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), all.len() + 1);
    }
}
