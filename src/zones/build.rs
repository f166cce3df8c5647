//! Builds a zone from its records, or lists everything that keeps them from forming one.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use super::nsec3::{self, Chain};
use super::proof::Proofs;
use super::rrset::{Node, Nodes, RrSet};
use super::zone::Zone;
use crate::dns::{Name, NameBuf, Qtype, master::Place, master::Record};

/// Why records do not form a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the record is; `None` if one is missing.
    pub place: Option<Place>,
    /// What is wrong, in plain words.
    pub reason: String,
}

/// Builds a zone from its records.
///
/// # Errors
/// Everything that keeps the records from forming one zone.
pub fn build(
    origin: &NameBuf,
    records: impl IntoIterator<Item = (Place, Record)>,
) -> Result<Zone, Vec<Fault>> {
    let mut draft = Draft { origin: origin.as_name(), nodes: HashMap::default(), faults: Vec::new() };
    for (place, record) in records {
        draft.add(place, record);
    }
    let Draft { nodes, mut faults, .. } = draft;
    let folded = origin.as_name().to_folded();
    let labels = folded.as_name().labels().count();
    let mut nodes: Nodes = nodes.into_iter().map(|(key, node)| (key, finished(node, labels))).collect();
    let apex = nodes.get(folded.as_bytes());
    let Some((soa, origin)) = apex.and_then(|apex| Some((apex.set(Qtype::SOA)?.clone(), apex.name.clone())))
    else {
        let reason = format!("the zone has no SOA record at its origin, {}", origin.as_name().dotted());
        faults.push(Fault { place: None, reason });
        return Err(faults);
    };
    if !faults.is_empty() {
        return Err(faults);
    }
    let minimum = soa.rdatas.first().and_then(|r| r.last_chunk::<4>()).map_or(0, |b| u32::from_be_bytes(*b));
    let proofs = proofs(&mut nodes, &folded);
    Ok(Zone { origin, labels, nodes, negative_ttl: minimum.min(soa.ttl), soa, proofs })
}

/// A name whose records are complete: with each RRset the signatures that cover it.
fn finished(DraftNode { name, sets }: DraftNode, labels_of_apex: usize) -> Node {
    let (signatures, mut sets): (Vec<_>, Vec<_>) =
        sets.into_iter().map(|(set, _)| set).partition(|set| set.rtype == Qtype::RRSIG);
    for signature in signatures {
        let covered = signature.rdatas.first().and_then(|data| data.first_chunk::<2>()).copied();
        let covered = covered.map(|type_covered| Qtype(u16::from_be_bytes(type_covered)));
        match sets.iter_mut().find(|set| Some(set.rtype) == covered) {
            Some(set) => set.signatures = Some(Box::new(signature)),
            None => sets.push(signature),
        }
    }
    // Sorted by type: ANY then gets the same RRset whatever the order in the file.
    sets.sort_by_key(|set| set.rtype);
    let has = |rtype| sets.iter().any(|set| set.rtype == rtype);
    let is_cut = name.as_name().labels().count() > labels_of_apex && has(Qtype::NS);
    let redirects = has(Qtype::DNAME);
    Node { name, sets, is_cut, redirects }
}

/// How the zone proves what does not exist. The owners of NSEC3 records are not names of the zone (RFC 5155
/// §7.2.8).
fn proofs(nodes: &mut Nodes, apex: &NameBuf) -> Proofs {
    let mut hashed = Vec::new();
    nodes.retain(|_, node| {
        let Some(set) = nsec3::take(node) else { return true };
        hashed.push((node.name.clone(), set));
        !node.sets.is_empty()
    });
    let apex = nodes.get(apex.as_bytes());
    if apex.is_some_and(|apex| apex.set(Qtype::NSEC).is_some()) {
        let with_nsec = nodes.values().filter(|node| node.set(Qtype::NSEC).is_some());
        let mut owners: Vec<NameBuf> = with_nsec.map(|node| node.name.as_name().to_folded()).collect();
        owners.sort_by(|a, b| a.as_name().canonical_cmp(b.as_name()));
        return Proofs::Nsec(owners);
    }
    let params = apex.and_then(|apex| apex.set(Qtype::NSEC3PARAM));
    let mut params = params.into_iter().flat_map(|set| &set.rdatas);
    let chain = params.find_map(|param| Chain::new(param, hashed.iter().cloned()));
    chain.map_or(Proofs::Unsigned, Proofs::Nsec3)
}

/// The most records of one name and type. A message has 65,535 octets, and each record takes 12 of them besides
/// its data, since the owner is compressed (RFC 1035 §4.1.4): no reply can hold more.
const MAX_RECORDS: usize = 5000;

/// A zone while its records are added: each RRset with the place of its first record.
struct Draft<'o> {
    origin: Name<'o>,
    nodes: HashMap<Box<[u8]>, DraftNode, FxBuildHasher>,
    faults: Vec<Fault>,
}

/// A name while records are added: each RRset with the place of its first record.
struct DraftNode {
    name: NameBuf,
    sets: Vec<(RrSet, Place)>,
}

impl DraftNode {
    fn empty(name: Name<'_>) -> Self {
        Self { name: name.to_buf(), sets: Vec::new() }
    }
}

impl Draft<'_> {
    fn add(&mut self, place: Place, record: Record) {
        let Record { owner, rtype, ttl, rdata } = record;
        let owner = owner.as_name();
        let wrong = |reason: String| Fault { place: Some(place), reason };
        if !owner.is_within(self.origin) {
            let reason = format!("{} lies outside the zone {}", owner.dotted(), self.origin.dotted());
            return self.faults.push(wrong(reason));
        }
        if rtype == Qtype::SOA && owner != self.origin {
            let reason =
                format!("{} has a SOA record; only {} has one", owner.dotted(), self.origin.dotted());
            return self.faults.push(wrong(reason));
        }
        if rtype == Qtype::NSEC3PARAM && nsec3::iterations(&rdata) > nsec3::MAX_ITERATIONS {
            let reason = format!(
                "the chain of NSEC3 records has {} iterations, more than {}, and validators take the zone for \
                 unsigned (RFC 9276 §3.2); sign it with 0",
                nsec3::iterations(&rdata),
                nsec3::MAX_ITERATIONS
            );
            return self.faults.push(wrong(reason));
        }
        // Every name between the owner and the origin exists, at least as an empty non-terminal.
        let mut above = owner.parent();
        while let Some(name) = above.filter(|n| n.as_bytes().len() >= self.origin.as_bytes().len()) {
            self.nodes.entry(name.to_folded().as_bytes().into()).or_insert_with(|| DraftNode::empty(name));
            above = name.parent();
        }
        let node = self.nodes.entry(owner.to_folded().as_bytes().into());
        let DraftNode { name, sets: node } = node.or_insert_with(|| DraftNode::empty(owner));
        if node.is_empty() {
            // With the letter case of its own records, not of those below it.
            *name = owner.to_buf();
        }
        // RFC 1034 §3.6.2: a CNAME excludes other data, except its signatures (RFC 4034 §3, RFC 4035 §2.5).
        let beside =
            |t: Qtype| matches!(t, Qtype::KEY | Qtype::SIG | Qtype::NXT | Qtype::RRSIG | Qtype::NSEC);
        let clash = |set: &&(RrSet, Place)| {
            let (cname, other) =
                if rtype == Qtype::CNAME { (rtype, set.0.rtype) } else { (set.0.rtype, rtype) };
            cname == Qtype::CNAME && other != Qtype::CNAME && !beside(other)
        };
        if let Some((set, first)) = node.iter().find(clash) {
            let reason = format!(
                "{} has {rtype} data here and {} data {}; a CNAME allows no other data",
                owner.dotted(),
                set.rtype,
                relative_to(*first, place)
            );
            return self.faults.push(wrong(reason));
        }
        // Signatures of different types form RRsets of their own, with their own TTLs (RFC 4035 §2.2).
        let signed = |data: &[u8]| data.first_chunk::<2>().copied().filter(|_| rtype == Qtype::RRSIG);
        let same = |set: &RrSet| {
            set.rtype == rtype && set.rdatas.first().is_none_or(|first| signed(first) == signed(&rdata))
        };
        let Some((set, first)) = node.iter_mut().find(|(set, _)| same(set)) else {
            node.push((RrSet { rtype, ttl, rdatas: vec![rdata.into()], signatures: None }, place));
            return;
        };
        if set.ttl != ttl {
            let reason = format!(
                "this {rtype} record of {} has the TTL {ttl}, the one {} has {}; \
                 give all of them the same (RFC 2181 §5.2)",
                owner.dotted(),
                relative_to(*first, place),
                set.ttl
            );
            return self.faults.push(wrong(reason));
        }
        if set.rdatas.len() >= MAX_RECORDS {
            let reason = format!(
                "{} has more than {MAX_RECORDS} {rtype} records, which no reply can hold",
                owner.dotted()
            );
            return self.faults.push(wrong(reason));
        }
        if set.rdatas.iter().any(|known| **known == rdata[..]) {
            return;
        }
        if matches!(rtype, Qtype::SOA | Qtype::CNAME | Qtype::DNAME) {
            let before = relative_to(*first, place);
            let reason = format!("{} has another {rtype} {before}; a name can have only one", owner.dotted());
            return self.faults.push(wrong(reason));
        }
        set.rdatas.push(rdata.into());
    }
}

fn relative_to(first: Place, here: Place) -> String {
    if first.file == here.file { format!("in line {}", first.line) } else { "in another file".into() }
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    #[test]
    fn a_name_with_more_records_than_a_reply_can_hold_is_refused_at_once() {
        let mut text = String::from("@ 60 IN SOA ns. host. 1 2 3 4 5\n");
        for number in 0..MAX_RECORDS + 20_000 {
            text.push_str(&format!("a A 10.0.{}.{}\n", number >> 8, number & 255));
        }
        let errors = parse(text.as_bytes(), &name("school.test"), None).unwrap_err().to_string();
        assert!(
            errors.starts_with(
                "line 5002: a.school.test. has more than 5000 A records, which no reply can hold\n"
            ),
            "{errors}"
        );
    }

    #[test]
    fn records_that_are_not_a_zone_are_refused_all_at_once() {
        let soa = "@ 60 IN SOA ns. host. 1 2 3 4 5\n";
        for (text, expected) in [
            (
                "www 60 IN A 192.0.2.1\n".to_owned(),
                &["the zone has no SOA record at its origin, school.test."][..],
            ),
            (
                format!("{soa}elsewhere.example. 60 IN A 192.0.2.1\nb SOA . . 1 2 3 4 5\n"),
                &[
                    "line 2: elsewhere.example. lies outside the zone school.test.",
                    "line 3: b.school.test. has a SOA record; only school.test. has one",
                ],
            ),
            (
                format!("{soa}@ SOA ns. host. 2 2 3 4 5\n@ SOA ns. host. 1 2 3 4 5\n"),
                &["line 2: school.test. has another SOA in line 1; a name can have only one"],
            ),
            (
                format!(
                    "{soa}a CNAME b\nA A 192.0.2.1\na CNAME c\nb TXT x\nb CNAME a\nc DNAME a\nc DNAME b\n"
                ),
                &[
                    "line 3: A.school.test. has A data here and CNAME data in line 2; a CNAME allows no other data",
                    "line 4: a.school.test. has another CNAME in line 2; a name can have only one",
                    "line 6: b.school.test. has CNAME data here and TXT data in line 5; a CNAME allows no other data",
                    "line 8: c.school.test. has another DNAME in line 7; a name can have only one",
                ],
            ),
            (
                format!("{soa}a 60 A 192.0.2.1\na 70 A 192.0.2.2\n"),
                &["line 3: this A record of a.school.test. has the TTL 70, the one in line 2 has 60; \
                   give all of them the same (RFC 2181 §5.2)"],
            ),
            // The other types may coexist with a CNAME.
            (
                format!(
                    "{soa}a CNAME b\na CNAME B\na RRSIG CNAME 13 3 60 1 2 3 @ AQID\n\
                     a 70 RRSIG NSEC 13 3 70 1 2 3 @ AQID\na NSEC b CNAME\n"
                ),
                &["line 3: a.school.test. has another CNAME in line 2; a name can have only one"],
            ),
        ] {
            let errors = parse(text.as_bytes(), &name("school.test"), None).unwrap_err().to_string();
            assert_eq!(errors.lines().collect::<Vec<_>>(), expected, "{text}");
        }
    }
}
