//! The byte layout of one node, the packing of labels, the hash.

use crate::dns::{MAX_LABEL, Match};

/// An absent value.
pub(crate) const NONE: u32 = u32::MAX;
/// The most octets of a node's descendants that are inlined in it. Up to this size, reading them in
/// sequence is faster than another lookup by hash.
pub(super) const MAX_INLINE: usize = 120;

/// The ids stored with one name: indexed by [`place`], [`NONE`] if there is none.
pub(crate) type Values = [u32; 3];

/// The index of a kind of match in [`Values`].
#[must_use]
pub(crate) const fn place(matching: Match) -> usize {
    match matching {
        Match::Exact => 0,
        Match::Suffix => 1,
        Match::Subdomains => 2,
    }
}

/// One node, read in place. Most are leaves with the most frequent values, which take one octet plus the
/// label.
///
/// ```text
///   kind << 6 | length of the label
///   kind 3 only: which of the following are there (the bits below)
///   label           packed, or as it is (RAW)
///   set     varint  number of its values                (SET; kinds 0 and 2: set 0)
///   hub     varint  its children are found by hash      (HUB)
///   octets  u8      of the children, and they follow    (CHILDREN; kinds 1 and 2)
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'d> {
    /// Octets of the label, unpacked.
    pub len: usize,
    /// The label as stored.
    pub label: &'d [u8],
    /// Whether the label has octets that can't be packed.
    pub raw: bool,
    /// The number of its values, if it has any.
    pub set: Option<u32>,
    /// The number under which its children are hashed, if they are.
    pub hub: Option<u32>,
    /// The nodes below it, one after the other.
    pub children: &'d [u8],
    /// Octets in total.
    pub size: usize,
    /// Octets before the children.
    pub head: usize,
}

const LEAF: u8 = 0;
const INNER: u8 = 1;
const INNER_SET: u8 = 2;
const OTHER: u8 = 3;
const SET: u8 = 1;
const CHILDREN: u8 = 2;
const HUB: u8 = 4;
const RAW: u8 = 8;

impl<'d> Node<'d> {
    /// Reads the node at the beginning of `bytes`; `None` at their end, or if they are not a node.
    // Inlined into the lookup, where it saves copying the struct: a third of the time of a hit.
    #[inline]
    #[must_use]
    pub(super) fn read(bytes: &'d [u8]) -> Option<Self> {
        let (&first, rest) = bytes.split_first()?;
        let len = usize::from(first & 0x3f);
        if first >> 6 == LEAF {
            let label = rest.get(..packed_len(len))?;
            let size = 1 + label.len();
            return Some(Self {
                len,
                label,
                raw: false,
                set: Some(0),
                hub: None,
                children: &[],
                size,
                head: size,
            });
        }
        Self::read_other(bytes, first >> 6, len)
    }

    fn read_other(bytes: &'d [u8], kind: u8, len: usize) -> Option<Self> {
        let mut rest = bytes.get(1..)?;
        let parts = match kind {
            INNER => CHILDREN,
            INNER_SET => SET | CHILDREN,
            _ => take(&mut rest)?,
        };
        let raw = parts & RAW != 0;
        let (label, after) = rest.split_at_checked(if raw { len } else { packed_len(len) })?;
        rest = after;
        let set = match (kind, parts & SET) {
            (_, 0) => None,
            (INNER_SET, _) => Some(0),
            _ => Some(varint(&mut rest)?),
        };
        let hub = if parts & HUB != 0 { Some(varint(&mut rest)?) } else { None };
        let below = if parts & CHILDREN != 0 { usize::from(take(&mut rest)?) } else { 0 };
        let children = rest.get(..below)?;
        let head = bytes.len() - rest.len();
        Some(Self { len, label, raw, set, hub, children, size: head + below, head })
    }

    /// The label in lower case, in the given buffer.
    pub(super) fn unpack<'r>(&self, room: &'r mut [u8; MAX_LABEL]) -> &'r [u8] {
        let mut to = room.iter_mut();
        let mut push = |octet: u8| {
            if let Some(slot) = to.next() {
                *slot = octet;
            }
        };
        if self.raw {
            self.label.iter().for_each(|octet| push(*octet));
        } else {
            let letter = |code: u16| LETTERS.get(usize::from(code % 40)).copied().unwrap_or(b'?');
            let (pairs, rest) = self.label.as_chunks::<2>();
            let mut left = self.len;
            for pair in pairs {
                let word = u16::from_le_bytes(*pair);
                // The last group of a label may have only two letters.
                if left >= 3 {
                    push(letter(word / 1600));
                }
                push(letter(word / 40));
                push(letter(word));
                left = left.saturating_sub(3);
            }
            rest.iter().for_each(|code| push(letter(u16::from(*code))));
        }
        room.get(..self.len).unwrap_or_default()
    }

    /// The label in lower case.
    #[must_use]
    pub(super) fn unpacked(&self) -> Vec<u8> {
        self.unpack(&mut [0; MAX_LABEL]).to_vec()
    }
}

/// A node to write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draft<'n> {
    /// The label in lower case.
    pub label: &'n [u8],
    /// The number of its values.
    pub set: Option<u32>,
    /// The number under which its children are hashed.
    pub hub: Option<u32>,
    /// Its children, already written; at most [`MAX_INLINE`] octets.
    pub children: &'n [u8],
}

/// Appends a node.
pub(super) fn write(draft: Draft<'_>, out: &mut Vec<u8>) {
    let packed = Packed::new(draft.label);
    let len = u8::try_from(draft.label.len()).unwrap_or(0) & 0x3f;
    let kind = match (draft.set, draft.hub, draft.children.is_empty(), packed.good) {
        (Some(0), None, true, true) => LEAF,
        (None, None, false, true) => INNER,
        (Some(0), None, false, true) => INNER_SET,
        _ => OTHER,
    };
    out.push(kind << 6 | len);
    if kind == OTHER {
        let bit = |on: bool, bit: u8| if on { bit } else { 0 };
        out.push(
            bit(draft.set.is_some(), SET)
                | bit(!draft.children.is_empty(), CHILDREN)
                | bit(draft.hub.is_some(), HUB)
                | bit(!packed.good, RAW),
        );
    }
    if packed.good {
        out.extend(packed.words.iter().flat_map(|word| word.to_le_bytes()).take(packed.len));
    } else {
        out.extend_from_slice(draft.label);
    }
    if kind == OTHER {
        for number in [draft.set, draft.hub].into_iter().flatten() {
            push_varint(number, out);
        }
    }
    if !draft.children.is_empty() {
        out.push(u8::try_from(draft.children.len()).unwrap_or(0));
        out.extend_from_slice(draft.children);
    }
}

fn take(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

/// Seven bits per octet, lowest first.
fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0u32;
    for shift in [0, 7, 14, 21, 28] {
        let octet = take(rest)?;
        value |= u32::from(octet & 0x7f) << shift;
        if octet < 0x80 {
            return Some(value);
        }
    }
    None
}

fn push_varint(mut number: u32, out: &mut Vec<u8>) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

//--- Packed labels -------------------------------------------------------------------------------

/// The letters of host names by their code; code 0 is not used.
const LETTERS: &[u8; 39] = b"\0abcdefghijklmnopqrstuvwxyz0123456789-_";

/// The code of each octet, for letters of either case, as the first, second and third of three letters;
/// [`BAD`] for octets that host names do not have.
static CODES: [[u32; 256]; 3] = {
    let mut codes = [[BAD; 256]; 3];
    let mut code = 1;
    #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "when compiled")]
    while code < LETTERS.len() {
        let (lower, upper) = (LETTERS[code] as usize, LETTERS[code].to_ascii_uppercase() as usize);
        let mut place = 0;
        let mut factor = 1600;
        while place < 3 {
            codes[place][lower] = code as u32 * factor;
            codes[place][upper] = code as u32 * factor;
            factor /= 40;
            place += 1;
        }
        code += 1;
    }
    codes
};

/// Greater than any sum of three codes, and recognisable in such a sum.
const BAD: u32 = 1 << 20;

#[inline]
fn code(place: usize, octet: u8) -> u32 {
    CODES.get(place).and_then(|codes| codes.get(usize::from(octet))).copied().unwrap_or(BAD)
}

/// Octets of a packed label of `len` octets: three letters in two octets, which 38 letters allow (40 × 40 ×
/// 40 < 65,536).
#[inline]
#[must_use]
pub(super) const fn packed_len(len: usize) -> usize {
    len - len / 3
}

/// A label packed and in lower case, to be stored or compared with stored ones a word at a time.
pub(super) struct Packed<'l> {
    label: &'l [u8],
    words: [u64; 6],
    /// Masks for the significant octets in the first two words.
    masks: [u64; 2],
    /// Octets in total.
    len: usize,
    /// Whether it could be packed; if not, it is stored as it is.
    good: bool,
}

impl<'l> Packed<'l> {
    /// Packs a label of at most 63 octets.
    #[inline]
    #[must_use]
    pub(super) fn new(label: &'l [u8]) -> Self {
        let (triples, rest) = label.as_chunks::<3>();
        let (mut words, mut seen) = ([0u64; 6], 0);
        let (mut full, mut word, mut shift) = (0, 0u64, 0u32);
        for [a, b, c] in triples {
            let sum = code(0, *a) + code(1, *b) + code(2, *c);
            seen |= sum;
            word |= u64::from(sum & 0xffff) << shift;
            shift += 16;
            if shift == 64 {
                if let Some(slot) = words.get_mut(full) {
                    *slot = word;
                }
                (full, word, shift) = (full + 1, 0, 0);
            }
        }
        let tail = match rest {
            [a] => code(2, *a),
            [a, b] => code(1, *a) + code(2, *b),
            _ => 0,
        };
        seen |= tail;
        if let Some(slot) = words.get_mut(full) {
            *slot = word | u64::from(tail & 0xffff) << shift;
        }
        let len = packed_len(label.len());
        let mask = |octets: usize| if octets >= 8 { u64::MAX } else { (1 << (8 * octets)) - 1 };
        Self { label, words, masks: [mask(len), mask(len.saturating_sub(8))], len, good: seen < BAD }
    }

    /// True if this label is a prefix of octets that begin with a packed label of the same length.
    fn starts(&self, stored: &[u8]) -> bool {
        let own = self.words.iter().flat_map(|word| word.to_le_bytes()).take(self.len);
        stored.get(..self.len).is_some_and(|stored| own.eq(stored.iter().copied()))
    }

    /// True if a node has this label.
    fn is(&self, node: &Node<'_>) -> bool {
        let same = node.len == self.label.len();
        if node.raw {
            same && node.label.eq_ignore_ascii_case(self.label)
        } else {
            same && self.good && self.starts(node.label)
        }
    }
}

/// The node with this label among consecutive ones from `start` to `end`.
#[inline]
pub(super) fn find<'d>(
    region: &'d [u8],
    start: usize,
    end: usize,
    sought: &Packed<'_>,
) -> Option<(u32, Node<'d>)> {
    let [one, two, ..] = sought.words;
    // A label that can't be packed is found only among raw ones.
    let wanted = if sought.good { sought.label.len() } else { usize::MAX };
    let mut at = start;
    while at < end {
        let window = region.get(at..)?.first_chunk::<17>();
        let Some(([first, label @ ..], true)) = window.map(|w| (w, w[0] >> 6 != OTHER)) else {
            // Rare: other kinds of nodes, and the last few.
            let node = Node::read(region.get(at..end)?)?;
            if sought.is(&node) {
                return Some((u32::try_from(at).ok()?, node));
            }
            at += node.size;
            continue;
        };
        let (kind, len) = (first >> 6, usize::from(first & 0x3f));
        let [low, high] = label.as_chunks::<8>().0 else { return None };
        // One branch for the whole comparison: it is taken once, at the end, where the processor predicts
        // it; separate branches for the length and the octets would be mispredicted in between.
        let other = (u64::from_le_bytes(*low) ^ one) & sought.masks[0]
            | (u64::from_le_bytes(*high) ^ two) & sought.masks[1]
            | (len ^ wanted) as u64;
        if other == 0 {
            let node = Node::read(region.get(at..end)?)?;
            if sought.len <= 16 || sought.starts(node.label) {
                return Some((u32::try_from(at).ok()?, node));
            }
        }
        // Only what is needed to move on to the next, again without a branch.
        let label_end = 1 + packed_len(len);
        let children = 1 + usize::from(region.get(at + label_end).copied().unwrap_or(0));
        at += label_end + children * usize::from(kind != LEAF);
    }
    None
}

//--- Hash ----------------------------------------------------------------------------------------

/// The hash of a label, ignoring case. It folds by setting bit 5 of each octet, which also maps some
/// different octets together (`[` and `{`): only positions depend on it, never a match.
#[inline]
#[must_use]
pub(super) fn hash_label(seed: u64, label: &[u8]) -> u64 {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let product = u128::from(hash ^ word | 1) * u128::from(K ^ word.rotate_left(32));
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are folded together")]
        let folded = product as u64 ^ (product >> 64) as u64;
        folded
    };
    let word32 = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
    let mut hash = seed ^ (label.len() as u64).wrapping_mul(K);
    // Each step reads whole words, the last one overlapping, so that no label needs a loop over single
    // octets.
    if let Some(last) = label.last_chunk::<8>() {
        let (words, _) = label.as_chunks::<8>();
        for word in words {
            hash = mix(hash, u64::from_le_bytes(*word) | FOLD);
        }
        return mix(hash, u64::from_le_bytes(*last) | FOLD);
    }
    let word = match (label.first_chunk::<4>(), label.last_chunk::<4>(), label) {
        (Some(first), Some(last), _) => word32(first) << 32 | word32(last),
        (_, _, [a, b, c]) => u64::from_le_bytes([*a, *b, *c, 0, 0, 0, 0, 0]),
        (_, _, [a, b]) => u64::from_le_bytes([*a, *b, 0, 0, 0, 0, 0, 0]),
        (_, _, [a]) => u64::from(*a),
        _ => 0,
    };
    mix(mix(hash, word | FOLD), K)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_node_survives_a_round_trip() {
        let mut child = Vec::new();
        write(Draft { label: b"www", set: Some(0), hub: None, children: &[] }, &mut child);
        assert_eq!(child.len(), 3, "a leaf takes its packed label and an octet");
        for (label, set, hub, children) in [
            (&b"label"[..], Some(0), None, &[][..]),
            (b"label", None, None, &child),
            (b"label", Some(0), None, &child),
            (b"label", Some(300), None, &child),
            (b"com", Some(3), Some(70_000), &[]),
            (b"com", None, Some(1), &[]),
            (b"a.b", Some(0), None, &child),
            (b"\xff\0", None, None, &child),
        ] {
            let mut bytes = Vec::new();
            write(Draft { label, set, hub, children }, &mut bytes);
            let size = bytes.len();
            bytes.extend_from_slice(b"what follows");
            let node = Node::read(&bytes).unwrap();
            assert_eq!((node.set, node.hub, node.children, node.size), (set, hub, children, size));
            assert_eq!(&*node.unpacked(), label);
            for cut in 0..size {
                assert!(Node::read(&bytes[..cut]).is_none(), "cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn packing_keeps_all_but_case(label in "[a-zA-Z0-9_-]{1,63}", other in "[a-z0-9_-]{1,63}") {
            let lower = label.to_ascii_lowercase();
            let mut bytes = Vec::new();
            for label in [&lower, &other] {
                write(Draft { label: label.as_bytes(), set: Some(0), hub: None, children: &[] }, &mut bytes);
            }
            let node = Node::read(&bytes).unwrap();
            prop_assert_eq!(node.unpacked(), lower.as_bytes());
            prop_assert_eq!(node.size, 1 + packed_len(label.len()));
            let at = |label: &str| find(&bytes, 0, bytes.len(), &Packed::new(label.as_bytes())).map(|f| f.0 as usize);
            prop_assert_eq!(at(&label), Some(0));
            prop_assert_eq!(at(&other), Some(if other == lower { 0 } else { node.size }));
        }

        #[test]
        fn what_cannot_be_packed_says_so(label in prop::collection::vec(any::<u8>(), 1..64)) {
            let host = label.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b));
            prop_assert_eq!(Packed::new(&label).good, host);
        }

        #[test]
        fn the_hash_is_the_same_in_either_case(label in "[a-zA-Z0-9_-]{1,63}", seed: u64) {
            let (upper, lower) = (label.to_ascii_uppercase(), label.to_ascii_lowercase());
            prop_assert_eq!(hash_label(seed, upper.as_bytes()), hash_label(seed, lower.as_bytes()));
        }
    }
}
