//! A frozen zone, looked up by wire-format name on the thread that received the query.
//!
//! [`super::read`] builds it from master files.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::dns::{Folded, MAX_NAME, Name, NameBuf, Qtype, master::Place, master::Record};

/// An RRset: all records of one owner and type. The RDATA is uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    /// The type.
    pub rtype: Qtype,
    /// The time to live, in seconds.
    pub ttl: u32,
    /// The data of each record.
    pub rdatas: Vec<Box<[u8]>>,
}

/// Why records do not form a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where the record is; `None` if one is missing.
    pub place: Option<Place>,
    /// What is wrong, in plain words.
    pub reason: String,
}

type Node = Vec<RrSet>;

/// One zone: names in lower case, including empty non-terminals.
#[derive(Clone, Debug)]
pub struct Zone {
    origin: NameBuf,
    labels: usize,
    nodes: HashMap<Box<[u8]>, Node, FxBuildHasher>,
    soa: RrSet,
    negative_ttl: u32,
}

/// The result of looking up a name in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'z, 'q> {
    /// The requested records.
    Answer(&'z RrSet),
    /// One of the RRsets at the name, for ANY (RFC 8482 §4.1).
    Any(&'z RrSet),
    /// An alias, and its target.
    Cname(&'z RrSet, Name<'z>),
    /// The name lies in a delegated zone: the cut and its name servers.
    Delegation {
        /// The name of the delegated zone.
        cut: Name<'q>,
        /// Its name servers.
        ns: &'z RrSet,
    },
    /// The name exists, but not with this type.
    NoData,
    /// The name does not exist.
    NxDomain,
}

impl Zone {
    /// Builds a zone from its records.
    ///
    /// # Errors
    /// Everything that keeps the records from forming one zone.
    pub fn new(
        origin: &NameBuf,
        records: impl IntoIterator<Item = (Place, Record)>,
    ) -> Result<Self, Vec<Fault>> {
        let mut draft = Draft { origin: origin.as_name(), nodes: HashMap::default(), faults: Vec::new() };
        for (place, record) in records {
            draft.add(place, record);
        }
        let Draft { nodes, mut faults, .. } = draft;
        let folded = origin.as_name().to_folded();
        let soa = nodes.get(folded.as_bytes()).and_then(|node| node.iter().find(|s| s.0.rtype == Qtype::SOA));
        let Some((soa, _)) = soa.cloned() else {
            let reason = format!("the zone has no SOA record at its origin, {}", origin.as_name().dotted());
            faults.push(Fault { place: None, reason });
            return Err(faults);
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let minimum =
            soa.rdatas.first().and_then(|r| r.last_chunk::<4>()).map_or(0, |b| u32::from_be_bytes(*b));
        let labels = folded.as_name().labels().count();
        // In the order of their types, so that ANY gets the same one whatever the order in the file.
        let sets = |node: Vec<(RrSet, Place)>| {
            let mut sets: Node = node.into_iter().map(|(set, _)| set).collect();
            sets.sort_by_key(|set| set.rtype);
            sets
        };
        let nodes = nodes.into_iter().map(|(name, node)| (name, sets(node))).collect();
        Ok(Self { origin: folded, labels, nodes, negative_ttl: minimum.min(soa.ttl), soa })
    }

    /// The zone's name.
    #[must_use]
    pub fn origin(&self) -> Name<'_> {
        self.origin.as_name()
    }

    /// True if the name exists: it has records, or a name below it has (RFC 4592 §2.2.2).
    #[must_use]
    pub fn exists(&self, name: Name<'_>) -> bool {
        self.nodes.contains_key(Folded::new(name).from(0))
    }

    /// Names that have records.
    #[must_use]
    pub fn name_count(&self) -> usize {
        self.nodes.values().filter(|n| !n.is_empty()).count()
    }

    /// The SOA, and its TTL in negative answers (RFC 2308 §3).
    #[must_use]
    pub const fn soa(&self) -> (&RrSet, u32) {
        (&self.soa, self.negative_ttl)
    }

    /// The records of one name and type as in the file, even below cuts: for glue.
    #[must_use]
    pub fn rrset(&self, name: Name<'_>, rtype: Qtype) -> Option<&RrSet> {
        let folded = Folded::new(name);
        self.nodes.get(folded.from(0))?.iter().find(|s| s.rtype == rtype)
    }

    /// Looks up a name that lies within the zone (RFC 1034 §4.3.2, wildcards by RFC 4592).
    #[must_use]
    pub fn lookup<'q>(&self, qname: Name<'q>, qtype: Qtype) -> Lookup<'_, 'q> {
        let folded = Folded::new(qname);
        let offsets = qname.offsets();
        let start =
            |depth: usize| qname.as_bytes().len() - offsets.suffix(depth).map_or(1, |n| n.as_bytes().len());
        // From the apex down: a cut on the way ends the zone's authority; the last existing name is the
        // closest encloser.
        let mut encloser = self.labels;
        for depth in self.labels..=offsets.count() {
            let Some(node) = self.nodes.get(folded.from(start(depth))) else { break };
            encloser = depth;
            let cut = depth > self.labels && !(depth == offsets.count() && qtype == Qtype::DS);
            if let Some(ns) = node.iter().find(|s| cut && s.rtype == Qtype::NS) {
                return Lookup::Delegation { cut: offsets.suffix(depth).unwrap_or(qname), ns };
            }
            if depth == offsets.count() {
                return found(node, qtype);
            }
        }
        // Two octets longer than a name: a wildcard below the longest names is too long to exist.
        let mut wildcard = [0u8; MAX_NAME + 2];
        let encloser = folded.from(start(encloser));
        let len = 2 + encloser.len();
        for (to, from) in wildcard.iter_mut().zip(b"\x01*".iter().chain(encloser)) {
            *to = *from;
        }
        match wildcard.get(..len).and_then(|name| self.nodes.get(name)) {
            Some(node) => found(node, qtype),
            None => Lookup::NxDomain,
        }
    }
}

/// The most records of one name and type. A message has 65,535 octets, and each record takes 12 of them beside
/// its data, since the owner is compressed (RFC 1035 §4.1.4): more fit no reply.
const MAX_RECORDS: usize = 5000;

/// A zone while its records are added: each RRset with the place of its first record.
struct Draft<'o> {
    origin: Name<'o>,
    nodes: HashMap<Box<[u8]>, Vec<(RrSet, Place)>, FxBuildHasher>,
    faults: Vec<Fault>,
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
        if rtype == Qtype::DNAME {
            // The names below it would be answered as if the DNAME did not exist.
            let reason = "a DNAME can't be served from a zone here; write a CNAME for each name below it";
            return self.faults.push(wrong(reason.into()));
        }
        // Every name between the owner and the origin exists, at least as an empty non-terminal.
        let mut above = owner.parent();
        while let Some(name) = above.filter(|n| n.as_bytes().len() >= self.origin.as_bytes().len()) {
            self.nodes.entry(name.to_folded().as_bytes().into()).or_default();
            above = name.parent();
        }
        let node = self.nodes.entry(owner.to_folded().as_bytes().into()).or_default();
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
            node.push((RrSet { rtype, ttl, rdatas: vec![rdata.into()] }, place));
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
        if matches!(rtype, Qtype::SOA | Qtype::CNAME) {
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

fn found<'z, 'q>(node: &'z Node, qtype: Qtype) -> Lookup<'z, 'q> {
    if qtype == Qtype::ANY {
        return node.first().map_or(Lookup::NoData, Lookup::Any);
    }
    if let Some(set) = node.iter().find(|s| s.rtype == qtype) {
        return Lookup::Answer(set);
    }
    let alias = node.iter().find(|s| s.rtype == Qtype::CNAME);
    let target = alias.and_then(|s| s.rdatas.first()).and_then(|r| Name::parse(r).ok());
    match (alias, target) {
        (Some(set), Some(target)) => Lookup::Cname(set, target),
        _ => Lookup::NoData,
    }
}

/// All zones of the server.
#[derive(Clone, Debug, Default)]
pub struct Zones(HashMap<Box<[u8]>, Zone, FxBuildHasher>);

impl Zones {
    /// A set of zones; of two with the same origin the last one is used.
    #[must_use]
    pub fn new(zones: impl IntoIterator<Item = Zone>) -> Self {
        Self(zones.into_iter().map(|z| (z.origin.as_bytes().into(), z)).collect())
    }

    /// The zone with the longest origin that contains the name. Allocates nothing.
    #[must_use]
    pub fn find(&self, qname: Name<'_>) -> Option<&Zone> {
        if self.0.is_empty() {
            return None;
        }
        let folded = Folded::new(qname);
        let mut name = Some(qname);
        while let Some(n) = name {
            if let Some(zone) = self.0.get(folded.from(qname.as_bytes().len() - n.as_bytes().len())) {
                return Some(zone);
            }
            name = n.parent();
        }
        None
    }

    /// The zones, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.0.values()
    }

    /// How many zones there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::super::read::parse;
    use super::*;

    const TEXT: &str = r#"
$TTL 300
@       IN SOA ns.school.test. hostmaster.school.test. 1 3600 600 86400 60
        IN NS ns.school.test.
ns      A 192.0.2.53
www     A 192.0.2.1
        A 192.0.2.2
        AAAA 2001:db8::1
alias   CNAME www
out     CNAME elsewhere.example.
*.wild  A 192.0.2.9
b.wild  TXT "below a wildcard"
x.ent   A 192.0.2.3
sub     NS ns.sub
ns.sub  A 192.0.2.54
"#;

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    fn ask(zone: &Zone, qname: &str, qtype: Qtype) -> String {
        match zone.lookup(name(qname).as_name(), qtype) {
            Lookup::Answer(set) => format!("answer {} {}", set.rtype, set.rdatas.len()),
            Lookup::Any(set) => format!("any {}", set.rtype),
            Lookup::Cname(_, target) => format!("cname {target}"),
            Lookup::Delegation { cut, .. } => format!("delegation {cut}"),
            Lookup::NoData => "nodata".into(),
            Lookup::NxDomain => "nxdomain".into(),
        }
    }

    #[test]
    fn a_zone_answers_by_rfc_1034_and_4592() {
        let zone = parse(TEXT.as_bytes(), &name("school.test"), None).unwrap();
        for (qname, qtype, expected) in [
            ("school.test", Qtype::SOA, "answer SOA 1"),
            ("school.test", Qtype::A, "nodata"),
            ("WWW.School.test", Qtype::A, "answer A 2"),
            ("www.school.test", Qtype::MX, "nodata"),
            ("www.school.test", Qtype::ANY, "any A"),
            ("nope.school.test", Qtype::A, "nxdomain"),
            ("a.www.school.test", Qtype::A, "nxdomain"),
            ("alias.school.test", Qtype::A, "cname www.school.test"),
            ("alias.school.test", Qtype::CNAME, "answer CNAME 1"),
            ("out.school.test", Qtype::AAAA, "cname elsewhere.example"),
            ("q.wild.school.test", Qtype::A, "answer A 1"),
            ("q.q.wild.school.test", Qtype::A, "answer A 1"),
            ("q.wild.school.test", Qtype::MX, "nodata"),
            ("b.wild.school.test", Qtype::A, "nodata"),
            ("a.b.wild.school.test", Qtype::A, "nxdomain"),
            ("wild.school.test", Qtype::A, "nodata"),
            ("ent.school.test", Qtype::A, "nodata"),
            ("sub.school.test", Qtype::A, "delegation sub.school.test"),
            ("sub.school.test", Qtype::DS, "nodata"),
            ("deep.in.sub.school.test", Qtype::A, "delegation sub.school.test"),
            ("ns.sub.school.test", Qtype::A, "delegation sub.school.test"),
        ] {
            assert_eq!(ask(&zone, qname, qtype), expected, "{qname} {qtype}");
        }
        assert_eq!(zone.soa().1, 60);
        assert!(zone.rrset(name("ns.sub.school.test").as_name(), Qtype::A).is_some());
    }

    #[test]
    fn the_longest_origin_answers() {
        let soa = "@ 60 IN SOA ns. host. 1 2 3 4 5\n";
        let zone = |o: &str| parse(soa.as_bytes(), &name(o), None).unwrap();
        let zones = Zones::new([zone("test"), zone("school.test")]);
        for (qname, origin) in [
            ("a.school.test", Some("school.test")),
            ("other.test", Some("test")),
            ("nottest", None),
            (".", None),
        ] {
            let got = zones.find(name(qname).as_name()).map(|z| z.origin().to_string());
            assert_eq!(got.as_deref(), origin, "{qname}");
        }
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
                format!("{soa}a CNAME b\nA A 192.0.2.1\na CNAME c\nb TXT x\nb CNAME a\nc DNAME a\n"),
                &[
                    "line 3: A.school.test. has A data here and CNAME data in line 2; a CNAME allows no other data",
                    "line 4: a.school.test. has another CNAME in line 2; a name can have only one",
                    "line 6: b.school.test. has CNAME data here and TXT data in line 5; a CNAME allows no other data",
                    "line 7: a DNAME can't be served from a zone here; write a CNAME for each name below it",
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
