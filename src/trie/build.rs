//! Builds an index from names: sorted, so that the same names give the same bytes.

use std::collections::HashMap;
use std::fmt;

use rustc_hash::FxBuildHasher;

use super::index::Index;
use super::node::{
    HEADER_LEN, MAGIC, NODE_LEN, NONE, Node, SLOT_LEN, VERSION, checksum, hash_edge, place, tag,
};
use crate::dns::name::{Match, NameBuf};

/// More names or labels than 32-bit places can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the index would need more than 2^32 nodes or octets of labels")
    }
}

impl std::error::Error for TooLarge {}

/// Freezes `entries`: a name in lower case, how it matches, and the id to give back (below
/// `u32::MAX`). Where a name and kind come twice, the last id stays.
///
/// # Errors
/// [`TooLarge`] at four billion nodes.
pub fn build(mut entries: Vec<(NameBuf, Match, u32)>) -> Result<Index<Vec<u8>>, TooLarge> {
    entries.sort_by(|a, b| reversed(&a.0).cmp(reversed(&b.0)).then(a.1.cmp(&b.1)));
    let mut nodes = vec![Node { parent: 0, label: 0, values: [NONE; 3] }];
    let mut labels = vec![0u8];
    let mut places: HashMap<Box<[u8]>, u32, FxBuildHasher> = HashMap::default();
    // The nodes of the previous name, root first: sorted input shares its upper part.
    let mut path: Vec<(Vec<u8>, u32)> = Vec::new();

    for (name, matching, id) in &entries {
        let offsets = name.as_name().offsets();
        let mut parent = 0u32;
        for depth in 1..=offsets.count() {
            let label = offsets.from_root(depth).unwrap_or_default();
            if let Some((_, node)) = path.get(depth - 1).filter(|(known, _)| known == label) {
                parent = *node;
                continue;
            }
            path.truncate(depth - 1);
            let at = match places.get(label) {
                Some(at) => *at,
                None => {
                    let at = u32::try_from(labels.len()).map_err(|_| TooLarge)?;
                    labels.push(u8::try_from(label.len()).unwrap_or(0));
                    labels.extend_from_slice(label);
                    places.insert(label.into(), at);
                    at
                }
            };
            let node = u32::try_from(nodes.len()).map_err(|_| TooLarge)?;
            nodes.push(Node { parent, label: at, values: [NONE; 3] });
            path.push((label.to_vec(), node));
            parent = node;
        }
        path.truncate(offsets.count());
        let values = nodes.get_mut(parent as usize).map(|n| &mut n.values);
        if let Some(slot) = values.and_then(|v| v.get_mut(place(*matching))) {
            *slot = *id;
        }
    }
    Ok(freeze(&nodes, &labels))
}

impl Index<Vec<u8>> {
    /// An index of no names.
    #[must_use]
    pub fn empty() -> Self {
        freeze(&[Node { parent: 0, label: 0, values: [NONE; 3] }], &[0])
    }
}

/// Labels from the root down, which is the order of the trie.
fn reversed(name: &NameBuf) -> impl Iterator<Item = &[u8]> {
    let offsets = name.as_name().offsets();
    (1..=offsets.count()).map_while(move |depth| offsets.from_root(depth))
}

fn freeze(nodes: &[Node], labels: &[u8]) -> Index<Vec<u8>> {
    // At most two thirds full, so that a probe for a name that is not there ends soon.
    let slot_count = (nodes.len() * 3 / 2).next_power_of_two().max(2);
    let mut slots = vec![(0, NONE); slot_count];
    for (id, node) in nodes.iter().enumerate().skip(1) {
        let at = node.label as usize;
        let len = labels.get(at).copied().map_or(0, usize::from);
        let label = labels.get(at + 1..at + 1 + len).unwrap_or_default();
        let hash = hash_edge(node.parent, label);
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table's size")]
        let mut slot = hash as usize & (slot_count - 1);
        while let Some(taken) = slots.get_mut(slot) {
            if taken.1 == NONE {
                *taken = (tag(hash), u32::try_from(id).unwrap_or(NONE));
                break;
            }
            slot = (slot + 1) & (slot_count - 1);
        }
    }
    let mut bytes =
        Vec::with_capacity(HEADER_LEN + slot_count * SLOT_LEN + nodes.len() * NODE_LEN + labels.len());
    bytes.extend_from_slice(&MAGIC);
    for word in [VERSION as usize, slot_count, nodes.len(), labels.len()] {
        bytes.extend_from_slice(&u32::try_from(word).unwrap_or(NONE).to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 8]);
    for (tag, node) in slots {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&node.to_le_bytes());
    }
    nodes.iter().for_each(|n| bytes.extend_from_slice(&n.to_bytes()));
    bytes.extend_from_slice(labels);
    let sum = checksum(bytes.get(HEADER_LEN..).unwrap_or_default());
    if let Some(slot) = bytes.get_mut(HEADER_LEN - 8..HEADER_LEN) {
        slot.copy_from_slice(&sum.to_le_bytes());
    }
    Index::trusted(bytes)
}
