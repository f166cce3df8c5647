//! Builds an index from names: sorted, so that the same names give the same bytes.

use std::fmt;

use super::index::Index;
use super::node::{
    HEADER_LEN, MAGIC, NONE, SLOT_LEN, VERSION, checksum, hash_edge, place, tag, write, written_len,
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
    let mut nodes = vec![Draft { parent: 0, label: &[], values: [NONE; 3] }];
    // The nodes of the previous name, root first: sorted input shares its upper part.
    let mut path: Vec<(&[u8], usize)> = Vec::new();

    for (name, matching, id) in &entries {
        let offsets = name.as_name().offsets();
        let mut parent = 0;
        for depth in 1..=offsets.count() {
            let label = offsets.from_root(depth).unwrap_or_default();
            if let Some((_, node)) = path.get(depth - 1).filter(|(known, _)| *known == label) {
                parent = *node;
                continue;
            }
            path.truncate(depth - 1);
            let node = nodes.len();
            nodes.push(Draft { parent, label, values: [NONE; 3] });
            path.push((label, node));
            parent = node;
        }
        path.truncate(offsets.count());
        let values = nodes.get_mut(parent).map(|n| &mut n.values);
        if let Some(slot) = values.and_then(|v| v.get_mut(place(*matching))) {
            *slot = *id;
        }
    }
    freeze(&nodes)
}

impl Index<Vec<u8>> {
    /// An index of no names.
    #[must_use]
    pub fn empty() -> Self {
        freeze(&[Draft { parent: 0, label: &[], values: [NONE; 3] }])
            .unwrap_or_else(|_| Self::trusted(Vec::new()))
    }
}

/// Labels from the root down, which is the order of the trie.
fn reversed(name: &NameBuf) -> impl Iterator<Item = &[u8]> {
    let offsets = name.as_name().offsets();
    (1..=offsets.count()).map_while(move |depth| offsets.from_root(depth))
}

/// A node before it has its place.
struct Draft<'n> {
    /// Its parent's number; parents come first.
    parent: usize,
    label: &'n [u8],
    values: [u32; 3],
}

fn freeze(drafts: &[Draft<'_>]) -> Result<Index<Vec<u8>>, TooLarge> {
    // At most two thirds full, so that a probe for a name that is not there ends soon.
    let slot_count = (drafts.len() * 3 / 2).next_power_of_two().max(2);
    let mut slots = vec![(0, NONE); slot_count];
    let mut nodes = Vec::with_capacity(drafts.iter().map(|d| written_len(d.label, d.values)).sum());
    let mut places = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let place = u32::try_from(nodes.len()).ok().filter(|p| *p != NONE).ok_or(TooLarge)?;
        places.push(place);
        let parent = places.get(draft.parent).copied().unwrap_or(0);
        write(&mut nodes, parent, draft.label, draft.values);
        // The root is nobody's child.
        if places.len() == 1 {
            continue;
        }
        let hash = hash_edge(parent, draft.label);
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table's size")]
        let mut slot = hash as usize & (slot_count - 1);
        while let Some(taken) = slots.get_mut(slot) {
            if taken.1 == NONE {
                *taken = (tag(hash), place);
                break;
            }
            slot = (slot + 1) & (slot_count - 1);
        }
    }
    let mut bytes = Vec::with_capacity(HEADER_LEN + slot_count * SLOT_LEN + nodes.len());
    bytes.extend_from_slice(&MAGIC);
    for word in [VERSION as usize, slot_count, nodes.len(), drafts.len()] {
        bytes.extend_from_slice(&u32::try_from(word).map_err(|_| TooLarge)?.to_le_bytes());
    }
    bytes.extend_from_slice(&[0; 8]);
    for (tag, node) in slots {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&node.to_le_bytes());
    }
    bytes.extend_from_slice(&nodes);
    let sum = checksum(&bytes);
    if let Some(slot) = bytes.get_mut(HEADER_LEN - 8..HEADER_LEN) {
        slot.copy_from_slice(&sum.to_le_bytes());
    }
    Ok(Index::trusted(bytes))
}
