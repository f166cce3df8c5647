//! The frozen index: opens it, looks names up, walks it.

use std::fmt;

use super::node::{NONE, Node, Packed, Values, find, hash_label, place};
use crate::dns::{MAX_LABELS, Match, Name, NameBuf};

/// The first octets of an index.
pub(crate) const MAGIC: [u8; 8] = *b"PTCLIDX\0";
/// The version of the layout.
pub(super) const VERSION: u32 = 2;
/// Octets of the header; see `Header`.
pub const HEADER_LEN: usize = 64;
/// Buckets in one line of the directory.
pub(super) const BUCKETS: u32 = 15;
/// Octets of a directory line: a cache line of the processor.
pub(super) const LINE_LEN: usize = 64;
/// A bucket that begins this many octets or more after its line's base is in the table of far buckets.
pub(super) const FAR: u32 = 0xfff;
/// Bits of a bucket's signature.
const SIGNATURE: u64 = 20;
/// Octets of the longest top-level label in the table of those.
pub(super) const MAX_TOP: usize = 7;
/// Octets of a slot in that table.
const TOP_LEN: usize = 16;

/// An index over any owner of its bytes: memory, or a mapped file.
#[derive(Clone)]
pub struct Index<D> {
    data: D,
    header: Header,
    parts: Parts,
}

/// Why bytes are not an index of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The first octets are not those of an index.
    #[error("this is not a compiled index")]
    NotAnIndex,
    /// Another version of the layout.
    #[error("the index has layout {0}, this program reads {VERSION}; compile the lists again")]
    Version(u32),
    /// Shorter or longer than its header states.
    #[error("the index is truncated or has trailing octets; compile the lists again")]
    Length,
    /// The checksum of the body differs from that in the header.
    #[error("the index is damaged (wrong checksum); compile the lists again")]
    Checksum,
}

/// One rule that applies to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The id stored with the name.
    pub id: u32,
    /// How it matched.
    pub matching: Match,
    /// The number of labels of the stored name: the more, the more specific.
    pub depth: u8,
    /// Its position, for [`Index::aside`].
    pub place: u32,
}

/// The header: magic, then these as little-endian words, then the checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// [`VERSION`]
    pub version: u32,
    /// Buckets of the directory; at least one, and more than the largest hub.
    pub buckets: u32,
    /// Distinct [`Values`].
    pub sets: u32,
    /// Buckets that begin far from their line's base.
    pub far: u32,
    /// Octets of the nodes.
    pub region: u32,
    /// Names and kinds stored.
    pub entries: u32,
    /// Side words: as many as entries, or none.
    pub aside: u32,
    /// The number of the root's own values, or [`NONE`].
    pub root: u32,
    /// Mixed into every hash.
    pub seed: u64,
    /// Slots of the table of top-level labels: a power of two, or none.
    pub tops: u32,
}

impl Header {
    /// Octets after the header.
    fn body(&self) -> u64 {
        let lines = u64::from(self.lines());
        let ranks = if self.aside > 0 { lines * 4 } else { 0 };
        lines * LINE_LEN as u64
            + u64::from(self.tops) * TOP_LEN as u64
            + u64::from(self.sets) * 12
            + u64::from(self.far) * 8
            + u64::from(self.region)
            + ranks
            + u64::from(self.aside) * 4
    }

    /// Lines of the directory; the last one only marks the end of the nodes.
    pub(super) const fn lines(&self) -> u32 {
        self.buckets / BUCKETS + 2
    }

    /// Writes it, with a checksum of zero.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        let words = [
            self.version,
            self.buckets,
            self.sets,
            self.far,
            self.region,
            self.entries,
            self.aside,
            self.root,
        ];
        words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        out.extend_from_slice(&self.seed.to_le_bytes());
        out.extend_from_slice(&self.tops.to_le_bytes());
        out.extend_from_slice(&[0; 12]);
    }

    fn read(bytes: &[u8]) -> Option<(Self, u64)> {
        let (magic, rest) = bytes.split_first_chunk::<8>()?;
        let (words, rest) = rest.split_first_chunk::<32>()?;
        let (seed, rest) = rest.split_first_chunk::<8>()?;
        let (tops, rest) = rest.split_first_chunk::<4>()?;
        let sum = rest.get(4..)?.first_chunk::<8>()?;
        let mut words = words.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w));
        let header = Self {
            version: words.next()?,
            buckets: words.next()?,
            sets: words.next()?,
            far: words.next()?,
            region: words.next()?,
            entries: words.next()?,
            aside: words.next()?,
            root: words.next()?,
            seed: u64::from_le_bytes(*seed),
            tops: u32::from_le_bytes(*tops),
        };
        (*magic == MAGIC).then_some((header, u64::from_le_bytes(*sum)))
    }
}

/// The offset of each part.
#[derive(Clone, Copy, Debug)]
struct Parts {
    lines: usize,
    tops: usize,
    sets: usize,
    far: usize,
    region: usize,
    ranks: usize,
    aside: usize,
}

impl Parts {
    const fn of(header: &Header) -> Self {
        let lines = HEADER_LEN;
        let tops = lines + header.lines() as usize * LINE_LEN;
        let sets = tops + header.tops as usize * TOP_LEN;
        let far = sets + header.sets as usize * 12;
        let region = far + header.far as usize * 8;
        let ranks = region + header.region as usize;
        let aside = ranks + if header.aside > 0 { header.lines() as usize * 4 } else { 0 };
        Self { lines, tops, sets, far, region, ranks, aside }
    }
}

impl<D: AsRef<[u8]>> Index<D> {
    /// Opens an index after checking version, length and checksum. The bytes should begin at a multiple of
    /// 64, so that a directory line is a cache line.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(data: D) -> Result<Self, OpenError> {
        let bytes = data.as_ref();
        let (header, sum) = Header::read(bytes).ok_or(OpenError::NotAnIndex)?;
        if header.version != VERSION {
            return Err(OpenError::Version(header.version));
        }
        let tops = header.tops == 0 || header.tops.is_power_of_two();
        if bytes.len() as u64 != HEADER_LEN as u64 + header.body() || header.buckets == 0 || !tops {
            return Err(OpenError::Length);
        }
        if checksum(bytes) != sum {
            return Err(OpenError::Checksum);
        }
        Ok(Self { parts: Parts::of(&header), header, data })
    }

    /// An index that the builder has just made.
    pub(super) fn trusted(data: D, header: Header) -> Self {
        Self { parts: Parts::of(&header), header, data }
    }

    /// The same index after its octets were moved; `moved` must return the octets that it is given.
    #[must_use]
    pub fn moved(self, moved: impl FnOnce(D) -> D) -> Self {
        Self { data: moved(self.data), ..self }
    }

    /// The index's octets, as they can be written to a file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// The number of names in it; a name that matches in two ways counts twice.
    #[must_use]
    pub const fn entry_count(&self) -> usize {
        self.header.entries as usize
    }

    /// Octets that a lookup may touch: all except the side words.
    #[must_use]
    pub const fn hot_len(&self) -> usize {
        self.parts.ranks
    }

    /// Calls `found` with every rule that applies to `name`, from the root down, so that the last call of
    /// each kind is the most specific. Allocates nothing, and terminates on any bytes.
    // Inlined, so that the caller's closure is too.
    #[inline]
    pub fn lookup(&self, name: Name<'_>, mut found: impl FnMut(Hit)) {
        // Few names have more than 15 labels; space for 127 costs more than the walk.
        if !self.walk::<15>(name, &mut found) {
            self.walk::<MAX_LABELS>(name, &mut found);
        }
    }

    /// False if the name has more than `N` labels.
    #[inline]
    fn walk<const N: usize>(&self, name: Name<'_>, found: &mut impl FnMut(Hit)) -> bool {
        let wire = name.as_bytes();
        let mut starts = [0u8; N];
        let (mut count, mut at) = (0, 0u8);
        while let Some(len @ 1..) = wire.get(usize::from(at)) {
            let Some(slot) = starts.get_mut(count) else { return false };
            *slot = at;
            count += 1;
            at = at.wrapping_add(len + 1);
        }
        let label_at = |depth: usize| -> Option<&[u8]> {
            let start = usize::from(*starts.get(count.checked_sub(depth)?)?);
            let len = usize::from(*wire.get(start)?);
            wire.get(start + 1..start + 1 + len)
        };
        let bytes = self.data.as_ref();
        let mut report = |set: Option<u32>, depth: usize, place: u32| {
            if let Some(values) = set.and_then(|set| self.values_in(bytes, set)) {
                report_values(values, depth, depth == count, place, found);
            }
        };
        if self.header.root != NONE {
            report(Some(self.header.root), 0, NONE);
        }
        let Some(region) = bytes.get(self.parts.region..self.parts.ranks) else { return true };
        let mut hub = 0;
        let mut depth = 0;
        // A top-level label that fits a word is looked up in a table of its own, usually in its first slot;
        // a longer one is a child of hub 0.
        let Some(last) = label_at(1) else { return true };
        if let Some(word) = top_word(wire, last.len()) {
            let Some((slot, top)) = self.top(bytes, word) else { return true };
            depth = 1;
            if top.set != NONE {
                report(Some(top.set), depth, NONE - 1 - slot);
            }
            if top.hub == NONE {
                return true;
            }
            hub = top.hub;
        }
        loop {
            // A child of a hub: one line of the directory, one bucket of nodes.
            depth += 1;
            let Some(label) = label_at(depth) else { return true };
            let hash = hash_label(self.header.seed, label);
            let Some((start, end)) = self.bucket(bytes, hub, hash) else { return true };
            let Some((mut place, mut node)) = find(region, start, end, &Packed::new(label)) else {
                return true;
            };
            report(node.set, depth, place);
            // Its own children, as long as they are inlined.
            while node.hub.is_none() {
                if node.children.is_empty() {
                    return true;
                }
                depth += 1;
                let Some(label) = label_at(depth) else { return true };
                let start = place as usize + node.head;
                let end = start + node.children.len();
                let Some((below, child)) = find(region, start, end, &Packed::new(label)) else {
                    return true;
                };
                (place, node) = (below, child);
                report(node.set, depth, place);
            }
            hub = node.hub.unwrap_or(0);
        }
    }

    /// The hub and the hash by which the lookup of `name` finds its first bucket, if it gets that far.
    pub(super) fn first_bucket(&self, name: Name<'_>) -> Option<(u32, u64)> {
        let wire = name.as_bytes();
        let (mut second, mut last, mut at) = (None, None, 0);
        while let Some(len @ 1..) = wire.get(at) {
            let end = at + 1 + usize::from(*len);
            (second, last) = (last, Some(wire.get(at + 1..end)?));
            at = end;
        }
        let (hub, label) = match top_word(wire, last?.len()) {
            Some(word) => (self.top(self.data.as_ref(), word)?.1.hub, second?),
            None => (0, last?),
        };
        (hub != NONE).then(|| (hub, hash_label(self.header.seed, label)))
    }

    /// The directory line of a bucket.
    pub(super) fn line(&self, hub: u32, hash: u64) -> Option<&[u8]> {
        let (number, _) = line_of(bucket_of(hash, hub, self.header.buckets));
        self.data.as_ref().get(self.parts.lines + number * LINE_LEN..self.parts.tops)
    }

    /// The nodes of a bucket.
    pub(super) fn nodes(&self, hub: u32, hash: u64) -> Option<&[u8]> {
        let bytes = self.data.as_ref();
        let (start, end) = self.bucket(bytes, hub, hash)?;
        bytes.get(self.parts.region..self.parts.ranks)?.get(start..end)
    }

    /// Where the nodes of a bucket begin and end, unless its signature excludes the label.
    #[inline]
    fn bucket(&self, bytes: &[u8], hub: u32, hash: u64) -> Option<(usize, usize)> {
        let bucket = bucket_of(hash, hub, self.header.buckets);
        let lines = bytes.get(self.parts.lines..self.parts.tops)?.as_chunks::<LINE_LEN>().0;
        let (number, slot) = line_of(bucket);
        let line = lines.get(number)?;
        let (base, word) = (word(line, 0)?, word(line, slot + 1)?);
        if word & signature(hash) == 0 {
            return None;
        }
        let start = self.start(base, word, bucket)?;
        let end = if slot + 2 < LINE_LEN / 4 {
            self.start(base, self::word(line, slot + 2)?, bucket + 1)?
        } else {
            self::word(lines.get(number + 1)?, 0)? as usize
        };
        Some((start, end))
    }

    #[inline]
    fn start(&self, base: u32, word: u32, bucket: u32) -> Option<usize> {
        let behind = word & FAR;
        if behind == FAR { self.far(bucket) } else { Some(base.checked_add(behind)? as usize) }
    }

    /// The slot of a top-level label and its contents.
    #[inline]
    fn top(&self, bytes: &[u8], word: u64) -> Option<(u32, Top)> {
        let slots = bytes.get(self.parts.tops..self.parts.sets)?.as_chunks::<TOP_LEN>().0;
        let mask = self.header.tops.checked_sub(1)?;
        let mut slot = top_slot(word, mask);
        for _ in 0..=mask {
            let top = Top::read(slots.get(slot as usize)?);
            if top.word == word {
                return Some((slot, top));
            }
            if top.word == 0 {
                return None;
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    fn tops(&self) -> impl Iterator<Item = (u32, Top)> {
        let bytes = self.data.as_ref().get(self.parts.tops..self.parts.sets).unwrap_or_default();
        (0..).zip(bytes.as_chunks::<TOP_LEN>().0.iter().map(Top::read)).filter(|(_, top)| top.word != 0)
    }

    #[cold]
    fn far(&self, bucket: u32) -> Option<usize> {
        let bytes = self.data.as_ref().get(self.parts.far..self.parts.region)?;
        let table = bytes.as_chunks::<8>().0;
        let of = |entry: &[u8; 8]| word(entry, 0).unwrap_or(0);
        let at = table.binary_search_by_key(&bucket, of).ok()?;
        word(table.get(at)?, 1).map(|start| start as usize)
    }

    fn values(&self, set: u32) -> Option<Values> {
        self.values_in(self.data.as_ref(), set)
    }

    #[inline]
    fn values_in(&self, bytes: &[u8], set: u32) -> Option<Values> {
        let start = self.parts.sets + (set as usize).checked_mul(12)?;
        let bytes = bytes.get(start..self.parts.far)?.first_chunk::<12>()?;
        Some([word(bytes, 0)?, word(bytes, 1)?, word(bytes, 2)?])
    }

    /// The side word of a name: not for the hot path, because it reads dozens of nodes. `None` if the index
    /// was built without.
    #[must_use]
    pub fn aside(&self, at: u32, matching: Match) -> Option<u32> {
        let before = |values: Values, kind: usize| values.iter().take(kind).filter(|v| **v != NONE).count();
        let in_root = if self.header.root == NONE { 0 } else { before(self.values(self.header.root)?, 3) };
        let ordinal = if at == NONE {
            before(self.values(self.header.root)?, place(matching))
        } else if NONE - 1 - at < self.header.tops {
            let mut ordinal = in_root;
            for (slot, top) in self.tops().filter(|(_, top)| top.set != NONE) {
                if slot == NONE - 1 - at {
                    ordinal += before(self.values(top.set)?, place(matching));
                    break;
                }
                ordinal += before(self.values(top.set)?, 3);
            }
            ordinal
        } else {
            let bytes = self.data.as_ref();
            let lines = bytes.get(self.parts.lines..self.parts.tops)?.as_chunks::<LINE_LEN>().0;
            let line = lines.partition_point(|l| word(l, 0).is_some_and(|base| base <= at)).checked_sub(1)?;
            let base = word(lines.get(line)?, 0)? as usize;
            let ranks = bytes.get(self.parts.ranks..self.parts.aside)?.as_chunks::<4>().0;
            let mut ordinal = u32::from_le_bytes(*ranks.get(line)?) as usize;
            let region = bytes.get(self.parts.region..self.parts.ranks)?;
            // Children follow their parent immediately, so reading node by node, without skipping children,
            // visits them in order.
            let mut here = base;
            loop {
                let node = Node::read(region.get(here..)?)?;
                let values = node.set.and_then(|set| self.values(set));
                if here == at as usize {
                    break ordinal + before(values?, place(matching));
                }
                ordinal += values.map_or(0, |v| before(v, 3));
                here += node.head;
                if here > at as usize {
                    return None;
                }
            }
        };
        let aside = self.data.as_ref().get(self.parts.aside..)?.as_chunks::<4>().0;
        Some(u32::from_le_bytes(*aside.get(ordinal)?))
    }

    /// Calls `each` with every name stored, how it matches, and its id and position; in the order of the
    /// nodes. Allocates; for tools.
    pub fn for_each(&self, mut each: impl FnMut(&NameBuf, Match, u32, u32)) {
        // Bucket and label determine the hub, and the hub's own node has its name; so hubs come first.
        let mut hubs = std::collections::HashMap::new();
        for (_, top) in self.tops().filter(|(_, top)| top.hub != NONE) {
            hubs.insert(top.hub, (0, Vec::new(), top.label()));
        }
        self.clusters(|above, _, _, node| {
            if let Some(hub) = node.hub {
                hubs.insert(hub, (above.0, above.1.to_vec(), node.unpacked()));
            }
        });
        let mut emit = |labels: &[Vec<u8>], set: Option<u32>, at: u32| {
            let mut wire: Vec<u8> = Vec::with_capacity(64);
            for label in labels.iter().rev() {
                wire.push(u8::try_from(label.len()).unwrap_or(0));
                wire.extend_from_slice(label);
            }
            wire.push(0);
            let (Ok(name), Some(values)) = (Name::parse(&wire), set.and_then(|s| self.values(s))) else {
                return;
            };
            for matching in [Match::Exact, Match::Suffix, Match::Subdomains] {
                if let Some(id) = values.get(place(matching)).filter(|id| **id != NONE) {
                    each(&name.to_buf(), matching, *id, at);
                }
            }
        };
        if self.header.root != NONE {
            emit(&[], Some(self.header.root), NONE);
        }
        for (slot, top) in self.tops().filter(|(_, top)| top.set != NONE) {
            emit(&[top.label()], Some(top.set), NONE - 1 - slot);
        }
        let full = |hub: u32| {
            let mut path: Vec<Vec<u8>> = Vec::new();
            let mut hub = hub;
            while hub != 0 && path.len() <= MAX_LABELS {
                let Some((parent, above, label)) = hubs.get(&hub) else { break };
                path.push(label.clone());
                path.extend(above.iter().rev().cloned());
                hub = *parent;
            }
            path.reverse();
            path
        };
        self.clusters(|(hub, above), at, _, node| {
            let mut labels = full(hub);
            labels.extend(above.iter().cloned());
            labels.push(node.unpacked());
            emit(&labels, node.set, at);
        });
    }

    /// Every node with its hub, the labels between the two from the root down, position and depth.
    fn clusters(&self, mut each: impl FnMut((u32, &[Vec<u8>]), u32, usize, &Node<'_>)) {
        let bytes = self.data.as_ref();
        let Some(region) = bytes.get(self.parts.region..self.parts.ranks) else { return };
        let Some(lines) = bytes.get(self.parts.lines..self.parts.tops) else { return };
        let lines = lines.as_chunks::<LINE_LEN>().0;
        let mut done = 0;
        for bucket in 0..self.header.buckets {
            let (number, slot) = line_of(bucket);
            let start = lines.get(number).and_then(|l| self.start(word(l, 0)?, word(l, slot + 1)?, bucket));
            let end = if slot + 2 < LINE_LEN / 4 {
                lines.get(number).and_then(|l| self.start(word(l, 0)?, word(l, slot + 2)?, bucket + 1))
            } else {
                lines.get(number + 1).and_then(|l| word(l, 0)).map(|w| w as usize)
            };
            let (Some(mut here), Some(end)) = (start, end) else { continue };
            // Buckets of a hostile index may overlap; no octet is read twice.
            here = here.max(done);
            done = done.max(end);
            while here < end {
                let Some(node) = region.get(here..end).and_then(Node::read) else { break };
                let home = bucket_of(hash_label(self.header.seed, &node.unpacked()), 0, self.header.buckets);
                let hub = if bucket >= home { bucket - home } else { bucket + (self.header.buckets - home) };
                descend(hub, &mut Vec::new(), here, &node, region, &mut each);
                here += node.size;
            }
        }
    }
}

/// Calls `each` with a node and everything inlined in it.
fn descend(
    hub: u32,
    above: &mut Vec<Vec<u8>>,
    at: usize,
    node: &Node<'_>,
    region: &[u8],
    each: &mut impl FnMut((u32, &[Vec<u8>]), u32, usize, &Node<'_>),
) {
    each((hub, above), u32::try_from(at).unwrap_or(NONE), above.len(), node);
    if node.children.is_empty() || above.len() > MAX_LABELS {
        return;
    }
    above.push(node.unpacked());
    let (mut here, end) = (at + node.head, at + node.size);
    while here < end {
        let Some(child) = region.get(here..end).and_then(Node::read) else { break };
        descend(hub, above, here, &child, region, each);
        here += child.size;
    }
    above.pop();
}

#[inline]
fn report_values(values: Values, depth: usize, last: bool, place: u32, found: &mut impl FnMut(Hit)) {
    let [exact, suffix, subdomains] = values;
    let depth = u8::try_from(depth).unwrap_or(u8::MAX);
    if suffix != NONE {
        found(Hit { id: suffix, matching: Match::Suffix, depth, place });
    }
    let (id, matching) = if last { (exact, Match::Exact) } else { (subdomains, Match::Subdomains) };
    if id != NONE {
        found(Hit { id, matching, depth, place });
    }
}

#[inline]
fn word(bytes: &[u8], number: usize) -> Option<u32> {
    bytes.as_chunks::<4>().0.get(number).map(|w| u32::from_le_bytes(*w))
}

/// A slot of the table of top-level labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top {
    /// See [`top_word`]; 0: the slot is free.
    pub word: u64,
    /// The hub under which the names below it are hashed, or [`NONE`].
    pub hub: u32,
    /// The number of its values, or [`NONE`].
    pub set: u32,
}

impl Top {
    #[inline]
    fn read(slot: &[u8; TOP_LEN]) -> Self {
        let (word, rest) = slot.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        let at = |number| self::word(rest, number).unwrap_or(NONE);
        Self { word: u64::from_le_bytes(*word), hub: at(0), set: at(1) }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.word.to_le_bytes());
        out.extend_from_slice(&self.hub.to_le_bytes());
        out.extend_from_slice(&self.set.to_le_bytes());
    }

    fn label(&self) -> Vec<u8> {
        let bytes = self.word.to_le_bytes();
        let len = usize::from(bytes[7]);
        bytes.get(..len.min(MAX_TOP)).unwrap_or_default().to_vec()
    }
}

/// The last label of a wire-format name of `len` octets, in lower case, with its length in the highest
/// octet; `None` if it is longer than [`MAX_TOP`].
#[inline]
#[must_use]
pub(super) fn top_word(wire: &[u8], len: usize) -> Option<u64> {
    const ALL: u64 = 0x0101_0101_0101_0101;
    if len > MAX_TOP {
        return None;
    }
    // The label and the root's octet after it end the name.
    let tail = match wire.last_chunk::<8>() {
        Some(tail) => *tail,
        None => {
            let mut tail = [0; 8];
            tail.get_mut(8 - wire.len()..)?.copy_from_slice(wire);
            tail
        }
    };
    let word = u64::from_le_bytes(tail) >> (8 * (MAX_TOP - len));
    // Converts eight octets at once to lower case.
    let low = word & (0x7f * ALL);
    let upper = (low + 0x3f * ALL) & !(low + 0x25 * ALL) & !word & (0x80 * ALL);
    Some(word | upper >> 2 | (len as u64) << 56)
}

#[inline]
const fn top_slot(word: u64, mask: u32) -> u32 {
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 & mask
}

/// The table of top-level labels: at most half full, in an order that depends on the labels alone.
pub(super) fn top_table(tops: &[Top]) -> Vec<Top> {
    let free = Top { word: 0, hub: NONE, set: NONE };
    let slots = if tops.is_empty() { 0 } else { (tops.len() * 2).next_power_of_two() };
    let mut table = vec![free; slots];
    let Some(mask) = u32::try_from(slots).ok().and_then(|s| s.checked_sub(1)) else { return table };
    for top in tops {
        let mut slot = top_slot(top.word, mask);
        while let Some(place) = table.get_mut(slot as usize) {
            if place.word == 0 {
                *place = *top;
                break;
            }
            slot = (slot + 1) & mask;
        }
    }
    table
}

/// The line of a bucket, and its index there.
#[inline]
const fn line_of(bucket: u32) -> (usize, usize) {
    ((bucket / BUCKETS) as usize, (bucket % BUCKETS) as usize)
}

/// The bucket of a label below a hub. For one label every hub has a different bucket, as long as there are
/// more buckets than hubs; so label and bucket together determine the hub, which is compared without being
/// stored.
#[inline]
#[must_use]
pub(super) const fn bucket_of(hash: u64, hub: u32, buckets: u32) -> u32 {
    let home = (((hash >> 32) * buckets as u64) >> 32) as u32;
    // Both are less than the number of buckets, so one subtraction gives the remainder.
    let sum = home as u64 + hub as u64;
    #[expect(clippy::cast_possible_truncation, reason = "no line exists for a hub beyond the buckets")]
    let bucket = if sum >= buckets as u64 { sum - buckets as u64 } else { sum } as u32;
    bucket
}

/// The bit that a label sets in its bucket's word, above the twelve bits of the offset.
#[inline]
#[must_use]
pub(super) const fn signature(hash: u64) -> u32 {
    1 << (12 + (((hash & 0xffff) * SIGNATURE) >> 16))
}

/// The checksum of an index: over its header before the checksum, and its body. It detects accidents, not
/// tampering.
#[must_use]
pub fn checksum(index: &[u8]) -> u64 {
    let header = fold(index.get(..HEADER_LEN - 8).unwrap_or_default());
    header ^ fold(index.get(HEADER_LEN..).unwrap_or_default()).rotate_left(1)
}

/// FNV-1a by words, in four independent lanes for instruction-level parallelism.
fn fold(body: &[u8]) -> u64 {
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(PRIME).rotate_left(23);
    let mut lanes = [0xcbf2_9ce4_8422_2325u64, 1, 2, 3];
    let (blocks, rest) = body.as_chunks::<32>();
    for block in blocks {
        for (lane, bytes) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
            *lane = step(*lane, u64::from_le_bytes(*bytes));
        }
    }
    let hash = lanes.into_iter().fold(body.len() as u64, step);
    rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte)))
}

impl<D: AsRef<[u8]>> fmt::Debug for Index<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} names, {} octets)", self.entry_count(), self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::{Plain, build, build_with};
    use super::*;
    use crate::dns::NameBuf;
    use bytes::Bytes;
    use proptest::prelude::*;

    type Entry = (NameBuf, Match, u32);

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    fn index(entries: Vec<Entry>) -> Index<Bytes> {
        build(&mut Plain(entries)).unwrap()
    }

    fn hits(index: &Index<Bytes>, question: &NameBuf) -> Vec<(u32, u8)> {
        let mut all = Vec::new();
        index.lookup(question.as_name(), |h| {
            // The side word can be found from the position of the hit.
            assert_eq!(index.aside(h.place, h.matching), Some(h.id + 1000));
            all.push((h.id, h.depth));
        });
        all
    }

    #[test]
    fn each_kind_matches_as_defined() {
        let index = index(vec![
            (name("linkedin.com"), Match::Suffix, 1),
            (name("exact.org"), Match::Exact, 2),
            (name("sub.org"), Match::Subdomains, 3),
            (name("www.linkedin.com"), Match::Exact, 4),
            (name("."), Match::Subdomains, 5),
            (name("zip"), Match::Suffix, 6),
        ]);
        for (question, expected) in [
            ("linkedin.com", vec![(5, 0), (1, 2)]),
            ("www.linkedin.com", vec![(5, 0), (1, 2), (4, 3)]),
            ("a.www.linkedin.com", vec![(5, 0), (1, 2)]),
            ("notlinkedin.com", vec![(5, 0)]),
            ("com", vec![(5, 0)]),
            ("exact.org", vec![(5, 0), (2, 2)]),
            ("a.exact.org", vec![(5, 0)]),
            ("sub.org", vec![(5, 0)]),
            ("a.b.sub.org", vec![(5, 0), (3, 2)]),
            ("zip", vec![(5, 0), (6, 1)]),
            ("a.b.zip", vec![(5, 0), (6, 1)]),
            (".", vec![]),
        ] {
            assert_eq!(hits(&index, &name(question)), expected, "{question}");
            let upper = question.to_ascii_uppercase();
            let upper = NameBuf::from_text(&upper).unwrap().as_bytes().to_ascii_uppercase();
            let mut count = 0;
            index.lookup(Name::parse(&upper).unwrap(), |_| count += 1);
            assert_eq!(count, expected.len());
        }
        assert_eq!(hits(&index, &name(&format!("{}exact.org", "a.".repeat(100)))), [(5, 0)]);
        assert_eq!(hits(&index, &name(&format!("{}sub.org", "a.".repeat(100)))), [(5, 0), (3, 2)]);
    }

    #[test]
    fn names_with_very_many_children_are_all_found() {
        let names = (0..5000u32).map(|i| {
            let text = match i % 4 {
                0 => format!("n{i}.blog.example"),
                1 => format!("deep.n{i}.blog.example"),
                2 => format!("n{i}.example"),
                _ => format!("a{i}.b.c.d.blog.example"),
            };
            (name(&text), Match::Suffix, i)
        });
        let entries: Vec<Entry> = names.collect();
        let index = index(entries.clone());
        for (name, _, id) in &entries {
            assert_eq!(hits(&index, name).last().map(|h| h.0), Some(*id), "{name}");
        }
        assert!(hits(&index, &name("n1.blog.example")).is_empty());
        assert!(hits(&index, &name("nope.blog.example")).is_empty());
    }

    #[test]
    fn damage_is_refused() {
        let entries = vec![(name("a.b"), Match::Exact, 1), (name("x.y.b"), Match::Suffix, 2)];
        let good = index(entries).as_bytes().to_vec();
        assert!(Index::open(&good[..]).is_ok());
        for at in 0..good.len() {
            // Twelve octets of the header are reserved.
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(Index::open(&bad[..]).is_err(), "flip at {at}");
            assert!(Index::open(&good[..at]).is_err(), "cut at {at}");
        }
    }

    fn any_name() -> impl Strategy<Value = NameBuf> {
        // Few letters, so that names collide; sometimes an octet that can't be packed.
        let label = prop_oneof![9 => "[ab]{1,2}", 1 => "[a-z0-9_-]{1,12}", 1 => "[!~]{1,2}"];
        prop::collection::vec(label, 0..5)
            .prop_map(|l| name(&if l.is_empty() { ".".into() } else { l.join(".") }))
    }

    fn any_match() -> impl Strategy<Value = Match> {
        prop_oneof![Just(Match::Exact), Just(Match::Suffix), Just(Match::Subdomains)]
    }

    fn any_rules() -> impl Strategy<Value = Vec<Entry>> {
        prop::collection::btree_set((any_name(), any_match()), 0..60)
            .prop_map(|rules| rules.into_iter().zip(0u32..).map(|((n, m), id)| (n, m, id)).collect())
    }

    proptest! {
        #[test]
        fn agrees_with_comparing_every_rule(rules in any_rules(), questions in prop::collection::vec(any_name(), 1..20)) {
            let index = index(rules.clone());
            for question in questions.iter().chain(rules.iter().map(|r| &r.0)) {
                let mut got: Vec<u32> = hits(&index, question).iter().map(|h| h.0).collect();
                got.sort_unstable();
                let mut expected: Vec<u32> = rules.iter().filter(|(n, m, _)| match m {
                    Match::Exact => question == n,
                    Match::Suffix => question.as_name().is_within(n.as_name()),
                    Match::Subdomains => question != n && question.as_name().is_within(n.as_name()),
                }).map(|r| r.2).collect();
                expected.sort_unstable();
                prop_assert_eq!(got, expected);
            }
        }

        #[test]
        fn the_walk_gives_back_every_name(rules in any_rules()) {
            let first = index(rules.clone());
            let mut got = Vec::new();
            Index::open(first.as_bytes()).unwrap().for_each(|n, m, id, _| got.push((n.clone(), m, id)));
            // Building again from its own contents gives the same octets.
            let again = index(got.clone());
            prop_assert_eq!(again.as_bytes(), first.as_bytes());
            got.sort();
            prop_assert_eq!(got, rules);
        }

        #[test]
        fn order_of_rules_does_not_change_the_bytes(rules in any_rules(), by in any::<u64>()) {
            let one = index(rules.clone());
            let mut other = rules;
            other.sort_by_key(|(n, m, _)| crate::trie::node::hash_label(by, n.as_bytes()) ^ u64::from(*m == Match::Exact));
            let other = index(other);
            prop_assert_eq!(one.as_bytes(), other.as_bytes());
        }

        #[test]
        fn without_side_words_lookups_are_the_same(rules in any_rules(), question in any_name()) {
            let bare = build_with(&mut Plain(rules.clone()), false).unwrap();
            let mut got = Vec::new();
            bare.lookup(question.as_name(), |h| got.push((h.id, h.depth)));
            prop_assert_eq!(got, hits(&index(rules), &question));
        }

        #[test]
        fn hostile_bytes_end_every_lookup(
            rules in any_rules(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
            question in any_name(),
        ) {
            let mut bytes = index(rules).as_bytes().to_vec();
            for (at, octet) in damage {
                let at = at.index(bytes.len());
                bytes[at] = octet;
            }
            let sum = checksum(&bytes).to_le_bytes();
            bytes[HEADER_LEN - 8..HEADER_LEN].copy_from_slice(&sum);
            if let Ok(index) = Index::open(&bytes[..]) {
                index.lookup(question.as_name(), |hit| { let _ = index.aside(hit.place, hit.matching); });
                index.for_each(|_, _, _, _| ());
            }
        }
    }
}
