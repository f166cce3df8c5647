//! The NSEC3 records of a zone, by the hashes of names (RFC 5155).

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};

use super::rrset::{Node, RrSet};
use crate::dns::{Folded, Name, NameBuf, Qtype};

/// The most additional iterations. Validators treat a zone with more as unsigned (RFC 9276 §3.2), and each negative
/// answer costs this many hashes for every name that it proves.
pub(super) const MAX_ITERATIONS: u16 = 150;

/// A hash of a name (RFC 5155 §5).
pub(super) type Hash = [u8; 20];

/// The parameters and the records of a chain.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    iterations: u16,
    salt: Box<[u8]>,
    /// In the order of the hashes.
    records: Vec<(Hash, NameBuf, RrSet)>,
}

impl Chain {
    /// The chain of an NSEC3PARAM record, from the zone's NSEC3 records and their owners.
    pub(super) fn new(param: &[u8], owners: impl Iterator<Item = (NameBuf, RrSet)>) -> Option<Self> {
        let (&[1, _, i0, i1, salt_len], rest) = param.split_first_chunk::<5>()? else { return None };
        let salt = rest.get(..usize::from(salt_len))?;
        let iterations = u16::from_be_bytes([i0, i1]);
        let mut records: Vec<_> = owners
            .filter_map(|(owner, set)| {
                let of_chain = |data: &[u8]| {
                    let (&[algorithm, _, j0, j1, len], rest) = data.split_first_chunk::<5>()?;
                    let same = algorithm == 1 && [j0, j1] == [i0, i1] && len == salt_len;
                    (same && rest.get(..usize::from(len))? == salt).then_some(())
                };
                set.rdatas.first().and_then(|data| of_chain(data))?;
                let hash = base32hex(owner.as_name().labels().next()?)?;
                Some((hash, owner, set))
            })
            .collect();
        records.sort_by_key(|(hash, _, _)| *hash);
        (!records.is_empty()).then(|| Self { iterations, salt: salt.into(), records })
    }

    /// The hash of a name.
    pub(super) fn hash(&self, name: Name<'_>) -> Hash {
        let digest = |octets: &[u8]| {
            let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
            context.update(octets);
            context.update(&self.salt);
            let mut hash = Hash::default();
            for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
                *to = *from;
            }
            hash
        };
        let first = digest(Folded::new(name).from(0));
        (0..self.iterations).fold(first, |hash, _| digest(&hash))
    }

    /// The record of the name with this hash.
    pub(super) fn matching(&self, hash: &Hash) -> Option<(Name<'_>, &RrSet)> {
        let at = self.records.binary_search_by_key(hash, |(own, _, _)| *own).ok()?;
        self.records.get(at).map(|(_, owner, set)| (owner.as_name(), set))
    }

    /// The record that proves that no name has this hash.
    pub(super) fn covering(&self, hash: &Hash) -> Option<(Name<'_>, &RrSet)> {
        let at = self.records.partition_point(|(own, _, _)| own <= hash);
        let record = at.checked_sub(1).and_then(|at| self.records.get(at)).or(self.records.last());
        record.map(|(_, owner, set)| (owner.as_name(), set))
    }
}

/// The additional iterations of an NSEC3PARAM record.
pub(super) fn iterations(param: &[u8]) -> u16 {
    param.get(2..4).and_then(|octets| octets.first_chunk()).map_or(0, |octets| u16::from_be_bytes(*octets))
}

/// The NSEC3 records of a node, taken out of it.
pub(super) fn take(node: &mut Node) -> Option<RrSet> {
    let at = node.sets.iter().position(|set| set.rtype == Qtype::NSEC3)?;
    Some(node.sets.remove(at))
}

/// A hash from its label (RFC 4648 §7, without padding).
fn base32hex(label: &[u8]) -> Option<Hash> {
    let mut hash = Hash::default();
    if label.len() != 32 {
        return None;
    }
    let (groups, _) = label.as_chunks::<8>();
    for (group, out) in groups.iter().zip(hash.chunks_exact_mut(5)) {
        let mut bits = 0u64;
        for digit in group {
            bits = bits << 5 | u64::from(char::from(*digit).to_digit(32)?);
        }
        let [_, _, _, octets @ ..] = bits.to_be_bytes();
        out.copy_from_slice(&octets);
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_as_in_rfc_5155() {
        // Appendix A.
        let chain = Chain { iterations: 12, salt: [0xaa, 0xbb, 0xcc, 0xdd].into(), records: Vec::new() };
        for (name, expected) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ns1.EXAMPLE", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
        ] {
            let name = NameBuf::from_text(name).unwrap();
            assert_eq!(Some(chain.hash(name.as_name())), base32hex(expected.as_bytes()), "{name}");
        }
        assert_eq!(base32hex(b"0p9mhaveqvm6t7vbl5lop2u3t2rp3to"), None);
        assert_eq!(base32hex(b"0p9mhaveqvm6t7vbl5lop2u3t2rp3tow"), None);
    }
}
