//! Builds an index from names.
//!
//! Names may come in any order. They are divided into groups that share their last two labels (by sorting
//! hashes, which is faster than sorting names); each group becomes a small tree, and a subtree that is too
//! large to be inlined in its parent becomes a cluster of its own. The seed of the final positions is
//! derived from the clusters, so the same names give the same bytes, and the author of a list can't choose
//! names that all fall into one bucket without knowing the rest.

use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use std::collections::HashMap;

use super::index::{
    BUCKETS, FAR, HEADER_LEN, Header, Index, LINE_LEN, MAX_TOP, Top, VERSION, bucket_of, checksum, signature,
    top_table, top_word,
};
use super::node::{Draft, MAX_INLINE, NONE, Node, Values, hash_label, place, write};
use crate::dns::{MAX_LABEL, Match, Name, NameBuf};

/// How many names ahead the name is prefetched.
const LOOK_AHEAD: usize = 12;
/// The half of an order word that is a hash.
const HASH: u64 = 0xffff_ffff_0000_0000;

/// More names than 32-bit positions can address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index would need more than 2^32 octets")]
pub struct TooLarge;

/// Supplies names, and the values to store for each.
pub trait Source {
    /// The number of names; some may be equal.
    fn count(&self) -> u32;

    /// The name of an item, in lower case.
    fn name(&self, item: u32) -> Name<'_>;

    /// The values to store for the name that all these `items` share, which are in ascending order. `above`
    /// holds the values stored for its parent names, from the root down.
    fn store(&mut self, items: &[u32], above: &[Values]) -> Stored;

    /// The values expected most often; they take no space.
    fn common(&self) -> Values;
}

/// The values stored for a name: indexed by `place`, `NONE` if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The ids that a lookup returns.
    pub ids: Values,
    /// A side word for each id.
    pub aside: Values,
}

impl Stored {
    /// Nothing.
    pub const NOTHING: Self = Self { ids: [NONE; 3], aside: [NONE; 3] };
}

/// Builds a frozen index.
///
/// # Errors
/// [`TooLarge`]
pub fn build(source: &mut impl Source) -> Result<Index<Bytes>, TooLarge> {
    build_with(source, true)
}

/// Builds a frozen index, with or without the side words.
///
/// # Errors
/// [`TooLarge`]
pub fn build_with(source: &mut impl Source, aside: bool) -> Result<Index<Bytes>, TooLarge> {
    let mut builder = Builder::new(source.common());
    builder.collect(source)?;
    builder.freeze(aside)
}

impl Index<Bytes> {
    /// An index of no names.
    #[must_use]
    pub fn empty() -> Self {
        let header = Header {
            version: VERSION,
            buckets: 1,
            sets: 0,
            far: 0,
            region: 0,
            entries: 0,
            aside: 0,
            root: NONE,
            seed: 0,
            tops: 0,
        };
        Builder::new([NONE; 3]).freeze(false).unwrap_or_else(|_| Self::trusted(Bytes::new(), header))
    }
}

/// One name of a group: its labels from the root down, each after its length.
#[derive(Clone, Copy)]
struct Member {
    /// Offset of the labels in the group's keys.
    start: u32,
    len: u8,
    item: u32,
}

/// A node with everything inlined in it, which is found by hash.
#[derive(Clone, Copy)]
struct Cluster {
    hub: u32,
    at: u32,
    len: u16,
    words_at: u32,
    words: u16,
}

#[derive(Default)]
struct TopLevel {
    hub: Option<u32>,
    stored: Option<Stored>,
}

struct Builder {
    sets: Vec<Values>,
    by_values: HashMap<Values, u32, FxBuildHasher>,
    root: Option<Stored>,
    top: HashMap<Vec<u8>, TopLevel, FxBuildHasher>,
    /// The short ones, by the word that represents the label.
    short_tops: Vec<(Top, Option<Stored>)>,
    hubs: u32,
    clusters: Vec<Cluster>,
    /// The clusters' nodes, and the side words in the same order.
    nodes: Vec<u8>,
    words: Vec<u32>,
    /// The tree under construction: nodes already written, words, and the group's keys.
    open: Vec<u8>,
    open_words: Vec<u32>,
    keys: Vec<u8>,
    /// Where each child of the nodes under construction begins in `open` and `open_words`.
    begins: Vec<(usize, usize)>,
}

impl Builder {
    fn new(common: Values) -> Self {
        let mut builder = Self {
            sets: Vec::new(),
            by_values: HashMap::default(),
            root: None,
            top: HashMap::default(),
            short_tops: Vec::new(),
            hubs: 0,
            clusters: Vec::new(),
            nodes: Vec::new(),
            words: Vec::new(),
            open: Vec::new(),
            open_words: Vec::new(),
            keys: Vec::new(),
            begins: Vec::new(),
        };
        builder.set(common);
        builder
    }

    fn set(&mut self, values: Values) -> u32 {
        if self.sets.first() == Some(&values) {
            return 0;
        }
        let next = u32::try_from(self.sets.len()).unwrap_or(NONE);
        *self.by_values.entry(values).or_insert_with(|| {
            self.sets.push(values);
            next
        })
    }

    //--- From names to clusters ------------------------------------------------------------------

    fn collect(&mut self, source: &mut impl Source) -> Result<(), TooLarge> {
        // The hash in the upper half, the item in the lower: half the size of a pair, and faster to sort.
        let mut order: Vec<u64> = Vec::with_capacity(source.count() as usize);
        let mut shallow: Vec<(Vec<u8>, u32)> = Vec::new();
        for item in 0..source.count() {
            let wire = source.name(item).as_bytes();
            // Where the last label begins, and the one before it.
            let (mut last, mut before, mut at) = (None, None, 0);
            while let Some(len @ 1..) = wire.get(at) {
                before = last;
                last = Some(at);
                at += 1 + usize::from(*len);
            }
            match before {
                Some(start) => {
                    let hash = hash_label(0, wire.get(start..).unwrap_or_default());
                    order.push(hash & HASH | u64::from(item));
                }
                None => shallow.push((wire.to_vec(), item)),
            }
        }
        self.shallow(source, &mut shallow);
        order.sort_unstable();
        let mut rest = &order[..];
        let (mut members, mut items, mut above) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(first) = rest.first() {
            let shared = rest.iter().take_while(|other| (*other ^ first) & HASH == 0).count();
            let (group, after) = rest.split_at(shared);
            rest = after;
            // The order of visits is unrelated to the order in memory: names that come soon are prefetched,
            // so that the processor waits for many at once.
            for ahead in rest.iter().skip(LOOK_AHEAD).take(group.len()) {
                std::hint::black_box(source.name(item_of(*ahead)).as_bytes().first().copied());
            }
            self.group(source, group, &mut members, &mut items, &mut above)?;
        }
        Ok(())
    }

    /// The root and the names of one label. They come first, because the names below check whether those
    /// cover them.
    fn shallow(&mut self, source: &mut impl Source, names: &mut [(Vec<u8>, u32)]) {
        names.sort_unstable();
        for same in names.chunk_by(|a, b| a.0 == b.0) {
            let items: Vec<u32> = same.iter().map(|(_, item)| *item).collect();
            let Some((wire, _)) = same.first() else { continue };
            let root: Vec<Values> = self.root.iter().map(|s| s.ids).collect();
            match wire.get(1..wire.len().saturating_sub(1)) {
                Some(label) => {
                    let stored = source.store(&items, &root);
                    self.top.entry(label.to_vec()).or_default().stored = Some(stored);
                }
                None => self.root = Some(source.store(&items, &[])),
            }
        }
    }

    /// Names with one hash: usually those that share their last two labels.
    fn group(
        &mut self,
        source: &mut impl Source,
        group: &[u64],
        members: &mut Vec<Member>,
        items: &mut Vec<u32>,
        above: &mut Vec<Values>,
    ) -> Result<(), TooLarge> {
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        members.clear();
        for item in group.iter().map(|word| item_of(*word)) {
            let start = keys.len();
            let wire = source.name(item).as_bytes();
            keys.resize(start + wire.len() - 1, 0);
            let (mut at, mut end) = (0, keys.len());
            while let Some(len @ 1..) = wire.get(at) {
                let next = at + 1 + usize::from(*len);
                if let (Some(to), Some(from)) = (keys.get_mut(end - (next - at)..end), wire.get(at..next)) {
                    to.copy_from_slice(from);
                }
                end -= next - at;
                at = next;
            }
            let len = u8::try_from(wire.len() - 1).map_err(|_| TooLarge)?;
            members.push(Member { start: u32::try_from(start).map_err(|_| TooLarge)?, len, item });
        }
        if members.len() > 1 {
            members.sort_unstable_by(|a, b| key(&keys, a).cmp(key(&keys, b)).then(a.item.cmp(&b.item)));
        }
        self.keys = keys;
        let mut rest = &members[..];
        while let Some(first) = rest.first() {
            let (top_end, second_end) = {
                let key = key(&self.keys, first);
                let top_end = 1 + usize::from(key.first().copied().unwrap_or(0));
                (top_end, top_end + 1 + usize::from(key.get(top_end).copied().unwrap_or(0)))
            };
            let shared = rest.iter().take_while(|m| self.same_start(first, m, second_end)).count();
            let (these, after) = rest.split_at(shared);
            rest = after;
            let label = key(&self.keys, first).get(1..top_end).unwrap_or_default();
            above.clear();
            above.extend(self.root.iter().map(|s| s.ids));
            let top = match self.top.get_mut(label) {
                Some(top) => top,
                None => self.top.entry(label.to_vec()).or_default(),
            };
            above.extend(top.stored.map(|s| s.ids));
            let hub = *top.hub.get_or_insert_with(|| {
                self.hubs += 1;
                self.hubs
            });
            self.node(source, these, top_end, above, items)?;
            self.cluster(hub, 0, 0)?;
        }
        Ok(())
    }

    fn same_start(&self, a: &Member, b: &Member, len: usize) -> bool {
        key(&self.keys, a).get(..len) == key(&self.keys, b).get(..len)
    }

    /// Writes the node of the label at `at`, with everything below it, at the end of `open`.
    fn node(
        &mut self,
        source: &mut impl Source,
        members: &[Member],
        at: usize,
        above: &mut Vec<Values>,
        items: &mut Vec<u32>,
    ) -> Result<(), TooLarge> {
        let Some(first) = members.first() else { return Ok(()) };
        let next = at + 1 + usize::from(key(&self.keys, first).get(at).copied().unwrap_or(0));
        let own = members.iter().take_while(|m| usize::from(m.len) == next).count();
        let (own, below) = members.split_at(own);
        let mut set = None;
        let depth = above.len();
        let (start, words_start) = (self.open.len(), self.open_words.len());
        if !own.is_empty() {
            items.clear();
            items.extend(own.iter().map(|m| m.item));
            let stored = source.store(items, above);
            if stored.ids != [NONE; 3] {
                set = Some(self.set(stored.ids));
                above.push(stored.ids);
                for (id, word) in stored.ids.iter().zip(stored.aside) {
                    if *id != NONE {
                        self.open_words.push(word);
                    }
                }
            }
        }
        // The children, one after the other; the start of each is recorded.
        let (children, children_words) = (self.open.len(), self.open_words.len());
        let first_child = self.begins.len();
        let mut rest = below;
        while let Some(child) = rest.first() {
            let end = next + 1 + usize::from(key(&self.keys, child).get(next).copied().unwrap_or(0));
            let shared = rest.iter().take_while(|m| self.same_start(child, m, end)).count();
            let (these, after) = rest.split_at(shared);
            rest = after;
            self.begins.push((self.open.len(), self.open_words.len()));
            self.node(source, these, next, above, items)?;
            // A child whose rules are all covered from above is omitted.
            if self.begins.last().is_some_and(|(begin, _)| *begin == self.open.len()) {
                self.begins.pop();
            }
        }
        above.truncate(depth);
        let mut room = [0; MAX_INLINE];
        let below = self.open.len() - children;
        let mut hub = None;
        let inline = match room.get_mut(..below) {
            Some(inline) => {
                inline.copy_from_slice(self.open.get(children..).unwrap_or_default());
                self.open.truncate(children);
                &*inline
            }
            None => {
                self.hubs += 1;
                let number = self.hubs;
                hub = Some(number);
                while self.begins.len() > first_child
                    && let Some((begin, words)) = self.begins.pop()
                {
                    self.cluster(number, begin, words)?;
                }
                debug_assert_eq!(self.open_words.len(), children_words);
                &[]
            }
        };
        self.begins.truncate(first_child);
        debug_assert_eq!(start, children);
        if set.is_none() && hub.is_none() && inline.is_empty() {
            self.open_words.truncate(words_start);
            return Ok(());
        }
        let keys = std::mem::take(&mut self.keys);
        let label = key(&keys, first).get(at + 1..next).unwrap_or_default();
        write(Draft { label, set, hub, children: inline }, &mut self.open);
        self.keys = keys;
        Ok(())
    }

    /// Turns the open part from `begin` on into a cluster.
    fn cluster(&mut self, hub: u32, begin: usize, words_begin: usize) -> Result<(), TooLarge> {
        let (open, words) = (self.open.get(begin..), self.open_words.get(words_begin..));
        let (Some(open @ [_, ..]), Some(words)) = (open, words) else { return Ok(()) };
        self.clusters.push(Cluster {
            hub,
            at: u32::try_from(self.nodes.len()).map_err(|_| TooLarge)?,
            len: u16::try_from(open.len()).map_err(|_| TooLarge)?,
            words_at: u32::try_from(self.words.len()).map_err(|_| TooLarge)?,
            words: u16::try_from(words.len()).map_err(|_| TooLarge)?,
        });
        self.nodes.extend_from_slice(open);
        self.words.extend_from_slice(words);
        self.open.truncate(begin);
        self.open_words.truncate(words_begin);
        Ok(())
    }

    //--- From clusters to bytes ------------------------------------------------------------------

    fn top_levels(&mut self) -> Result<(), TooLarge> {
        let mut top: Vec<_> = std::mem::take(&mut self.top).into_iter().collect();
        top.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (label, TopLevel { hub, stored }) in top {
            let stored = stored.filter(|s| s.ids != [NONE; 3]);
            let set = stored.map(|s| self.set(s.ids));
            if set.is_none() && hub.is_none() {
                continue;
            }
            if label.len() <= MAX_TOP {
                let wire = [&label[..], &[0]].concat();
                let word = top_word(&wire, label.len()).unwrap_or(0);
                let top = Top { word, hub: hub.unwrap_or(NONE), set: set.unwrap_or(NONE) };
                self.short_tops.push((top, stored));
                continue;
            }
            write(Draft { label: &label, set, hub, children: &[] }, &mut self.open);
            if let Some(stored) = stored {
                let words = stored.ids.iter().zip(stored.aside).filter(|(id, _)| **id != NONE);
                self.open_words.extend(words.map(|(_, word)| word));
            }
            self.cluster(0, 0, 0)?;
        }
        Ok(())
    }

    fn freeze(mut self, with_aside: bool) -> Result<Index<Bytes>, TooLarge> {
        self.top_levels()?;
        let root = self.root.take().filter(|s| s.ids != [NONE; 3]);
        let root_set = root.map_or(NONE, |s| self.set(s.ids));
        let count = u32::try_from(self.clusters.len()).map_err(|_| TooLarge)?;
        // Five clusters per three buckets: with more clusters a lookup skips more nodes, and more
        // signatures let a miss through; with fewer the directory outgrows the names of a list in which no
        // names share their upper labels.
        let buckets = (count / 5 * 3 + 1).max(self.hubs + 1);
        let seed = self.clusters.iter().fold(0u64, |sum, c| sum.wrapping_add(hash_label(0, self.bytes(c))));
        let mut order: Vec<(u32, u32)> = Vec::with_capacity(self.clusters.len());
        let mut signatures = vec![0u32; buckets as usize];
        for (cluster, number) in self.clusters.iter().zip(0..) {
            let mut room = [0; MAX_LABEL];
            let label = Node::read(self.bytes(cluster)).map(|n| n.unpack(&mut room).len());
            let hash = hash_label(seed, room.get(..label.unwrap_or(0)).unwrap_or_default());
            let bucket = bucket_of(hash, cluster.hub, buckets);
            order.push((bucket, number));
            if let Some(slot) = signatures.get_mut(bucket as usize) {
                *slot |= signature(hash);
            }
        }
        order.sort_unstable_by(|a, b| {
            let bytes = |number: u32| self.clusters.get(number as usize).map(|c| self.bytes(c));
            a.0.cmp(&b.0).then_with(|| bytes(a.1).cmp(&bytes(b.1)))
        });

        let region = u32::try_from(self.nodes.len()).ok().filter(|r| *r < NONE).ok_or(TooLarge)?;
        let tops = top_table(&self.short_tops.iter().map(|(top, _)| *top).collect::<Vec<_>>());
        // The words of the root, and of the top-level labels in the order of their table.
        let stored = |top: &Top| self.short_tops.iter().find(|(t, _)| t.word == top.word)?.1;
        let first_words: Vec<u32> = root
            .into_iter()
            .chain(tops.iter().filter(|t| t.set != NONE).filter_map(stored))
            .flat_map(|s| s.ids.into_iter().zip(s.aside))
            .filter_map(|(id, word)| (id != NONE).then_some(word))
            .collect();
        let entries = u32::try_from(self.words.len() + first_words.len()).map_err(|_| TooLarge)?;
        let mut header = Header {
            version: VERSION,
            buckets,
            sets: u32::try_from(self.sets.len()).map_err(|_| TooLarge)?,
            far: 0,
            region,
            entries,
            aside: if with_aside { entries } else { 0 },
            root: root_set,
            seed,
            tops: u32::try_from(tops.len()).map_err(|_| TooLarge)?,
        };
        let directory = self.directory(&header, &order, &signatures, first_words.len());
        drop(signatures);
        header.far = u32::try_from(directory.far.len()).map_err(|_| TooLarge)?;

        let total = HEADER_LEN
            + directory.lines.len()
            + tops.len() * 16
            + self.sets.len() * 12
            + directory.far.len() * 8
            + self.nodes.len()
            + if header.aside > 0 { directory.ranks.len() * 4 + entries as usize * 4 } else { 0 };
        let mut aligned = Aligned::with_capacity(total);
        let out = &mut aligned.bytes;
        let begin = out.len();
        header.write(out);
        out.extend_from_slice(&directory.lines);
        tops.iter().for_each(|top| top.write(out));
        self.sets.iter().flatten().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
        for (bucket, start) in &directory.far {
            out.extend_from_slice(&bucket.to_le_bytes());
            out.extend_from_slice(&start.to_le_bytes());
        }
        for (_, number) in &order {
            if let Some(cluster) = self.clusters.get(*number as usize) {
                out.extend_from_slice(self.bytes(cluster));
            }
        }
        if header.aside > 0 {
            directory.ranks.iter().for_each(|rank| out.extend_from_slice(&rank.to_le_bytes()));
            first_words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            for (_, number) in &order {
                let Some(cluster) = self.clusters.get(*number as usize) else { continue };
                let start = cluster.words_at as usize;
                let words = self.words.get(start..start + usize::from(cluster.words)).unwrap_or_default();
                words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            }
        }
        let sum = checksum(out.get(begin..).unwrap_or_default()).to_le_bytes();
        if let Some(slot) = out.get_mut(begin + HEADER_LEN - 8..begin + HEADER_LEN) {
            slot.copy_from_slice(&sum);
        }
        Ok(Index::trusted(Bytes::from_owner(aligned), header))
    }

    fn bytes(&self, cluster: &Cluster) -> &[u8] {
        let start = cluster.at as usize;
        self.nodes.get(start..start + usize::from(cluster.len)).unwrap_or_default()
    }

    fn directory(
        &self,
        header: &Header,
        order: &[(u32, u32)],
        signatures: &[u32],
        first: usize,
    ) -> Directory {
        let lines = header.lines() as usize;
        let mut directory = Directory {
            lines: Vec::with_capacity(lines * LINE_LEN),
            ranks: Vec::with_capacity(lines),
            far: Vec::new(),
        };
        let mut clusters =
            order.iter().filter_map(|(b, n)| Some((*b, self.clusters.get(*n as usize)?))).peekable();
        let (mut offset, mut rank) = (0u32, u32::try_from(first).unwrap_or(0));
        for line in 0..header.lines() {
            let base = offset;
            directory.ranks.push(rank);
            directory.lines.extend_from_slice(&base.to_le_bytes());
            for slot in 0..BUCKETS {
                let bucket = line * BUCKETS + slot;
                let behind = (offset - base).min(FAR);
                if behind == FAR {
                    directory.far.push((bucket, offset));
                }
                let word = signatures.get(bucket as usize).copied().unwrap_or(0) | behind;
                directory.lines.extend_from_slice(&word.to_le_bytes());
                while let Some((_, cluster)) = clusters.next_if(|(b, _)| *b == bucket) {
                    offset += u32::from(cluster.len);
                    rank += u32::from(cluster.words);
                }
            }
        }
        directory
    }
}

struct Directory {
    lines: Vec<u8>,
    ranks: Vec<u32>,
    far: Vec<(u32, u32)>,
}

/// The item of an order word.
const fn item_of(word: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let item = word as u32;
    item
}

fn key<'k>(keys: &'k [u8], member: &Member) -> &'k [u8] {
    let start = member.start as usize;
    keys.get(start..start + usize::from(member.len)).unwrap_or_default()
}

/// Bytes that begin at a multiple of 64.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn with_capacity(capacity: usize) -> Self {
        let mut bytes: Vec<u8> = Vec::with_capacity(capacity + LINE_LEN);
        let start = bytes.as_ptr().align_offset(LINE_LEN).min(LINE_LEN);
        bytes.resize(start, 0);
        Self { bytes, start }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// Names with one id each; of two for the same name and kind the later wins. The side word is the id plus a
/// thousand, so that a test can tell them apart.
pub struct Plain(pub Vec<(NameBuf, Match, u32)>);

impl Source for Plain {
    fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(NONE)
    }

    fn name(&self, item: u32) -> Name<'_> {
        self.0.get(item as usize).map_or(Name::ROOT, |(name, _, _)| name.as_name())
    }

    fn store(&mut self, items: &[u32], _above: &[Values]) -> Stored {
        let mut stored = Stored::NOTHING;
        for (_, matching, id) in items.iter().filter_map(|item| self.0.get(*item as usize)) {
            let at = place(*matching);
            if let (Some(to), Some(aside)) = (stored.ids.get_mut(at), stored.aside.get_mut(at)) {
                (*to, *aside) = (*id, id.wrapping_add(1000));
            }
        }
        stored
    }

    fn common(&self) -> Values {
        [NONE; 3]
    }
}
