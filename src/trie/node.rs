//! The byte layout of one node, and of the header before all nodes.

use crate::dns::name::Match;

/// Octets of a node.
pub const NODE_LEN: usize = 20;
/// A value that is not there; also an empty slot.
pub const NONE: u32 = u32::MAX;
/// The first octets of an index.
pub const MAGIC: [u8; 8] = *b"PTCLIDX\0";
/// The version of the layout.
pub const VERSION: u32 = 1;
/// Octets of the header: magic, version, slots, nodes, octets of labels, checksum.
pub const HEADER_LEN: usize = 32;

/// One node: a name of the trie, and the ids of the rules on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// The node of the name without its leftmost label; the root is its own parent.
    pub parent: u32,
    /// Where its label stands among the labels.
    pub label: u32,
    /// The ids for [`Match::Exact`], [`Match::Suffix`] and [`Match::Subdomains`], or [`NONE`].
    pub values: [u32; 3],
}

impl Node {
    /// The node's octets.
    #[must_use]
    pub fn to_bytes(self) -> [u8; NODE_LEN] {
        let [exact, suffix, sub] = self.values;
        let mut out = [0; NODE_LEN];
        for (chunk, word) in out.chunks_exact_mut(4).zip([self.parent, self.label, exact, suffix, sub]) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        out
    }

    /// Reads a node; the octets are exactly [`NODE_LEN`] long.
    #[must_use]
    pub fn read(bytes: &[u8; NODE_LEN]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = *bytes;
        let word = |w| u32::from_le_bytes(w);
        Self {
            parent: word([a, b, c, d]),
            label: word([e, f, g, h]),
            values: [word([i, j, k, l]), word([m, n, o, p]), word([q, r, s, t])],
        }
    }
}

/// Where a kind of match keeps its id in [`Node::values`].
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

/// FNV-1a over the body, folded by words; it finds accidents, not forgers.
#[must_use]
pub fn checksum(body: &[u8]) -> u64 {
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
        let node = Node { parent: 7, label: 9, values: [1, NONE, 3] };
        assert_eq!(Node::read(&node.to_bytes()), node);
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
