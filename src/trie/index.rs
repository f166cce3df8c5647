//! The frozen index: open it, look a name up.

use std::fmt;

use super::node::{HEADER_LEN, MAGIC, NONE, Node, SLOT_LEN, VERSION, checksum, hash_edge, tag};
use crate::dns::name::{Folded, Match, Name};

/// An index over any owner of its bytes: a vector, or later a mapped file.
#[derive(Clone)]
pub struct Index<D> {
    data: D,
}

/// Why bytes are no index of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The first octets are not those of an index.
    NotAnIndex,
    /// Another version of the layout.
    Version(u32),
    /// Shorter or longer than its header says.
    Length,
    /// The body does not give the header's checksum.
    Checksum,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnIndex => f.write_str("this is not a compiled index"),
            Self::Version(v) => {
                write!(f, "the index has layout {v}, this program reads {VERSION}; compile the lists again")
            }
            Self::Length => {
                f.write_str("the index is cut off or has octets too many; compile the lists again")
            }
            Self::Checksum => f.write_str("the index is damaged (wrong checksum); compile the lists again"),
        }
    }
}

impl std::error::Error for OpenError {}

/// One rule that applies to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The id that was stored with the name.
    pub id: u32,
    /// How it matched.
    pub matching: Match,
    /// How many labels of the question the stored name has: the greater, the more specific.
    pub depth: u8,
}

struct Parts<'d> {
    slots: &'d [[u8; SLOT_LEN]],
    nodes: &'d [u8],
}

fn header(bytes: &[u8]) -> Option<([u32; 4], u64)> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (words, rest) = rest.split_first_chunk::<16>()?;
    let sum = rest.first_chunk::<8>()?;
    let mut out = [0; 4];
    for (to, from) in out.iter_mut().zip(words.as_chunks::<4>().0) {
        *to = u32::from_le_bytes(*from);
    }
    (*magic == MAGIC).then_some((out, u64::from_le_bytes(*sum)))
}

impl<D: AsRef<[u8]>> Index<D> {
    /// Opens an index after checking version, length and checksum.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(data: D) -> Result<Self, OpenError> {
        let bytes = data.as_ref();
        let ([version, slots, nodes, _], sum) = header(bytes).ok_or(OpenError::NotAnIndex)?;
        if version != VERSION {
            return Err(OpenError::Version(version));
        }
        let body = u64::from(slots) * SLOT_LEN as u64 + u64::from(nodes);
        if bytes.len() as u64 != HEADER_LEN as u64 + body || !slots.is_power_of_two() {
            return Err(OpenError::Length);
        }
        if checksum(bytes) != sum {
            return Err(OpenError::Checksum);
        }
        Ok(Self { data })
    }

    /// An index that the builder has just made.
    pub(super) const fn trusted(data: D) -> Self {
        Self { data }
    }

    /// The index's octets, as they can be written to a file.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.data.as_ref()
    }

    /// How many nodes it has, the root included.
    #[must_use]
    pub fn node_count(&self) -> usize {
        header(self.data.as_ref()).map_or(0, |([_, _, _, count], _)| count as usize)
    }

    fn parts(&self) -> Option<Parts<'_>> {
        let bytes = self.data.as_ref();
        let ([_, slots, ..], _) = header(bytes)?;
        let (slots, nodes) = bytes.get(HEADER_LEN..)?.split_at_checked(slots as usize * SLOT_LEN)?;
        Some(Parts { slots: slots.as_chunks().0, nodes })
    }

    /// Calls `found` with every rule that applies to `name`, from the root down, so that the last
    /// call of a kind is the most specific. Allocates nothing, and ends on any bytes.
    pub fn lookup(&self, name: Name<'_>, mut found: impl FnMut(Hit)) {
        let Some(parts) = self.parts() else { return };
        let folded = Folded::new(name);
        let offsets = folded.as_name().offsets();
        let mut at = 0u32;
        let Some(mut node) = Node::read(parts.nodes, 0) else { return };
        let mut depth = 0u8;
        loop {
            let last = usize::from(depth) == offsets.count();
            let mut report = |matching: Match| {
                if let Some(id) = node.value(matching) {
                    found(Hit { id, matching, depth });
                }
            };
            report(Match::Suffix);
            report(if last { Match::Exact } else { Match::Subdomains });
            if last {
                return;
            }
            let Some(label) = offsets.from_root(usize::from(depth) + 1) else { return };
            let Some((child, found_node)) = parts.child(at, label) else { return };
            at = child;
            node = found_node;
            depth += 1;
        }
    }
}

impl<'d> Parts<'d> {
    fn child(&self, parent: u32, label: &[u8]) -> Option<(u32, Node<'d>)> {
        let mask = self.slots.len().checked_sub(1)?;
        let hash = hash_edge(parent, label);
        #[expect(clippy::cast_possible_truncation, reason = "masked to the table's size")]
        let mut slot = hash as usize & mask;
        // A hostile index could be full; a lookup in it still ends.
        for _ in 0..=mask {
            let [t0, t1, t2, t3, n0, n1, n2, n3] = *self.slots.get(slot)?;
            let id = u32::from_le_bytes([n0, n1, n2, n3]);
            if id == NONE {
                return None;
            }
            if u32::from_le_bytes([t0, t1, t2, t3]) == tag(hash) {
                let node = Node::read(self.nodes, id)?;
                if node.parent == parent && node.label == label {
                    return Some((id, node));
                }
            }
            slot = (slot + 1) & mask;
        }
        None
    }
}

impl<D: AsRef<[u8]>> fmt::Debug for Index<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} nodes, {} octets)", self.node_count(), self.as_bytes().len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::build::build;
    use super::*;
    use crate::dns::name::NameBuf;
    use proptest::prelude::*;

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    fn hits(index: &Index<Vec<u8>>, question: &str) -> Vec<(u32, u8)> {
        let mut all = Vec::new();
        index.lookup(name(question).as_name(), |h| all.push((h.id, h.depth)));
        all
    }

    #[test]
    fn each_kind_matches_what_it_says() {
        let index = build(vec![
            (name("linkedin.com"), Match::Suffix, 1),
            (name("exact.org"), Match::Exact, 2),
            (name("sub.org"), Match::Subdomains, 3),
            (name("www.linkedin.com"), Match::Exact, 4),
            (name("."), Match::Subdomains, 5),
        ])
        .unwrap();
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
            (".", vec![]),
        ] {
            assert_eq!(hits(&index, question), expected, "{question}");
        }
        let mut upper = name("www.linkedin.com").as_bytes().to_ascii_uppercase();
        let mut count = 0;
        index.lookup(Name::parse(&upper).unwrap(), |_| count += 1);
        assert_eq!(count, 3);
        upper.clear();
    }

    #[test]
    fn damage_is_refused() {
        let good = build(vec![(name("a.b"), Match::Exact, 1)]).unwrap().as_bytes().to_vec();
        assert!(Index::open(good.clone()).is_ok());
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(Index::open(bad).is_err(), "flip at {at}");
            assert!(Index::open(&good[..at]).is_err(), "cut at {at}");
        }
    }

    fn any_name() -> impl Strategy<Value = String> {
        prop::collection::vec("[ab]{1,2}", 0..5)
            .prop_map(|l| if l.is_empty() { ".".into() } else { l.join(".") })
    }

    fn any_match() -> impl Strategy<Value = Match> {
        prop_oneof![Just(Match::Exact), Just(Match::Suffix), Just(Match::Subdomains)]
    }

    proptest! {
        #[test]
        fn agrees_with_comparing_every_rule(
            rules in prop::collection::vec((any_name(), any_match()), 0..30),
            question in any_name(),
        ) {
            let mut unique = rules;
            unique.sort();
            unique.dedup();
            let entries = unique.iter().zip(0u32..).map(|((n, m), id)| (name(n), *m, id)).collect();
            let mut got: Vec<u32> = hits(&build(entries).unwrap(), &question).iter().map(|h| h.0).collect();
            got.sort_unstable();
            let q = name(&question);
            let expected: Vec<u32> = unique.iter().zip(0u32..).filter(|((n, m), _)| {
                let n = name(n);
                match m {
                    Match::Exact => q == n,
                    Match::Suffix => q.as_name().is_within(n.as_name()),
                    Match::Subdomains => q != n && q.as_name().is_within(n.as_name()),
                }
            }).map(|(_, id)| id).collect();
            prop_assert_eq!(got, expected);
        }

        #[test]
        fn order_of_rules_does_not_change_the_bytes(
            rules in prop::collection::btree_map((any_name(), any_match()), 0u32..9, 0..20)
        ) {
            let entries: Vec<_> = rules.iter().map(|((n, m), id)| (name(n), *m, *id)).collect();
            let mut other = entries.clone();
            other.reverse();
            let (one, two) = (build(entries).unwrap(), build(other).unwrap());
            prop_assert_eq!(one.as_bytes(), two.as_bytes());
        }

        #[test]
        fn hostile_bytes_end_every_lookup(mut body: Vec<u8>, question in any_name()) {
            let mut bytes = build(vec![(name("a.b"), Match::Exact, 1)]).unwrap().as_bytes().to_vec();
            body.truncate(bytes.len() - HEADER_LEN);
            bytes[HEADER_LEN..HEADER_LEN + body.len()].copy_from_slice(&body);
            Index::trusted(bytes).lookup(name(&question).as_name(), |_| ());
        }
    }
}
