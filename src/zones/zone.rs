//! A frozen zone, looked up by wire-format name on the thread that received the query.
//!
//! [`super::build`] makes it from records.

use std::collections::{HashMap, HashSet};

use rustc_hash::FxBuildHasher;

use super::proof::{Claim, Evidence, Place, Proofs};
use super::rrset::{Node, Nodes, RrSet};
use crate::dns::{Folded, MAX_NAME, Name, NameBuf, Qtype, ancestors};

/// One zone: names in lower case, including empty non-terminals.
#[derive(Clone, Debug)]
pub struct Zone {
    pub(super) origin: NameBuf,
    pub(super) labels: usize,
    pub(super) nodes: Nodes,
    pub(super) soa: RrSet,
    pub(super) negative_ttl: u32,
    pub(super) proofs: Proofs,
}

/// The result of looking up a name in a zone.
#[derive(Clone, Copy, Debug)]
pub struct Found<'z> {
    /// What is there.
    pub lookup: Lookup<'z>,
    /// How many labels the closest encloser of the name has: the name itself, if it exists (RFC 4592 §3.3.1).
    pub encloser: usize,
    /// The wildcard that the answer comes from.
    pub wildcard: Option<&'z Node>,
}

/// What a zone has for a name and a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'z> {
    /// The requested records.
    Answer(&'z RrSet),
    /// One of the RRsets at the name, for ANY (RFC 8482 §4.1).
    Any(&'z RrSet),
    /// An alias, and its target.
    Cname(&'z RrSet, Name<'z>),
    /// The name lies below one that is redirected: its DNAME (RFC 6672 §3.2).
    Dname(&'z Node, &'z RrSet),
    /// The name lies in a delegated zone: the cut, and its name servers.
    Delegation(&'z Node, &'z RrSet),
    /// The name exists, but not with this type.
    NoData,
    /// The name does not exist.
    NxDomain,
}

impl Zone {
    /// The zone's name, in the case of its file.
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
        self.nodes.values().filter(|n| !n.sets.is_empty()).count()
    }

    /// The SOA, and its TTL in negative answers (RFC 2308 §3).
    #[must_use]
    pub const fn soa(&self) -> (&RrSet, u32) {
        (&self.soa, self.negative_ttl)
    }

    /// True if the zone is signed: it can prove what does not exist.
    #[must_use]
    pub const fn is_signed(&self) -> bool {
        !matches!(self.proofs, Proofs::Unsigned)
    }

    /// Adds the records that prove a claim about a name.
    pub(super) fn prove<'z>(
        &'z self,
        claim: Claim,
        name: Name<'_>,
        Found { encloser, wildcard, .. }: Found<'z>,
        evidence: &mut Evidence<'z>,
    ) {
        self.proofs.prove(&self.nodes, (claim, name), Place { encloser, wildcard }, evidence);
    }

    pub(super) fn node(&self, name: Name<'_>) -> Option<&Node> {
        self.nodes.get(Folded::new(name).from(0))
    }

    /// The records of one name and type as in the file, even below cuts: for glue.
    #[must_use]
    pub fn rrset(&self, name: Name<'_>, rtype: Qtype) -> Option<&RrSet> {
        self.node(name)?.set(rtype)
    }

    /// Looks up a name that lies within the zone (RFC 1034 §4.3.2 and RFC 6672 §3.2, wildcards by RFC 4592).
    #[must_use]
    pub fn lookup(&self, qname: Name<'_>, qtype: Qtype) -> Found<'_> {
        let folded = Folded::new(qname);
        let offsets = qname.offsets();
        let start =
            |depth: usize| qname.as_bytes().len() - offsets.suffix(depth).map_or(1, |n| n.as_bytes().len());
        // From the apex down: a cut or a DNAME on the way hides what is below; the last existing name is the
        // closest encloser.
        let mut encloser = self.labels;
        for depth in self.labels..=offsets.count() {
            let Some(node) = self.nodes.get(folded.from(start(depth))) else { break };
            encloser = depth;
            let here = |lookup| Found { lookup, encloser, wildcard: None };
            let last = depth == offsets.count();
            if node.is_cut
                && !(last && qtype == Qtype::DS)
                && let Some(ns) = node.set(Qtype::NS)
            {
                return here(Lookup::Delegation(node, ns));
            }
            if last {
                return here(at(node, qtype));
            }
            if node.redirects
                && let Some(dname) = node.set(Qtype::DNAME)
            {
                return here(Lookup::Dname(node, dname));
            }
        }
        // Two octets longer than a name: a wildcard below the longest names is too long to exist.
        let mut wildcard = [0u8; MAX_NAME + 2];
        let above = folded.from(start(encloser));
        let len = 2 + above.len();
        for (to, from) in wildcard.iter_mut().zip(b"\x01*".iter().chain(above)) {
            *to = *from;
        }
        match wildcard.get(..len).and_then(|name| self.nodes.get(name)) {
            Some(node) => Found { lookup: at(node, qtype), encloser, wildcard: Some(node) },
            None => Found { lookup: Lookup::NxDomain, encloser, wildcard: None },
        }
    }
}

/// What a node has of a type.
fn at(node: &Node, qtype: Qtype) -> Lookup<'_> {
    if qtype == Qtype::ANY {
        return node.sets.first().map_or(Lookup::NoData, Lookup::Any);
    }
    if let Some(set) = node.set(qtype) {
        return Lookup::Answer(set);
    }
    if qtype == Qtype::RRSIG {
        // If there are several RRsets, the signatures of one (RFC 8482 §4.1).
        let signatures = node.sets.iter().find_map(|set| set.signatures.as_deref());
        return signatures.map_or(Lookup::NoData, Lookup::Answer);
    }
    let alias = node.set(Qtype::CNAME);
    match (alias, alias.and_then(RrSet::target)) {
        (Some(set), Some(target)) => Lookup::Cname(set, target),
        _ => Lookup::NoData,
    }
}

/// All zones of the server.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    zones: HashMap<Box<[u8]>, Zone, FxBuildHasher>,
    /// Their origins, and all names above them, in lower case.
    above: HashSet<NameBuf, FxBuildHasher>,
}

impl Zones {
    /// A set of zones; of two with the same origin the last one is used.
    #[must_use]
    pub fn new(zones: impl IntoIterator<Item = Zone>) -> Self {
        let key = |zone: &Zone| Box::from(zone.origin().to_folded().as_bytes());
        let zones: HashMap<_, _, _> = zones.into_iter().map(|zone| (key(&zone), zone)).collect();
        let above = zones.values().flat_map(|zone| ancestors(zone.origin())).map(Name::to_folded).collect();
        Self { zones, above }
    }

    /// The zone with the longest origin that contains the name. Allocates nothing.
    #[must_use]
    #[inline]
    pub fn find(&self, qname: Name<'_>) -> Option<&Zone> {
        if self.zones.is_empty() { None } else { self.longest(qname) }
    }

    #[inline(never)]
    fn longest(&self, qname: Name<'_>) -> Option<&Zone> {
        let folded = Folded::new(qname);
        let mut name = Some(qname);
        while let Some(n) = name {
            if let Some(zone) = self.zones.get(folded.from(qname.as_bytes().len() - n.as_bytes().len())) {
                return Some(zone);
            }
            name = n.parent();
        }
        None
    }

    /// True if the origin of a zone lies at a name or below it.
    #[must_use]
    pub fn is_at_or_below(&self, name: Name<'_>) -> bool {
        !self.above.is_empty() && self.above.contains(Folded::new(name).from(0))
    }

    /// The zones, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Zone> {
        self.zones.values()
    }

    /// How many zones there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.zones.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.zones.is_empty()
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
old     DNAME new
old     A 192.0.2.4
hid.old A 192.0.2.5
*.wd    DNAME new
both    DNAME new
both    NS ns
"#;

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    fn ask(zone: &Zone, qname: &str, qtype: Qtype) -> String {
        match zone.lookup(name(qname).as_name(), qtype).lookup {
            Lookup::Answer(set) => format!("answer {} {}", set.rtype, set.rdatas.len()),
            Lookup::Any(set) => format!("any {}", set.rtype),
            Lookup::Cname(_, target) => format!("cname {target}"),
            Lookup::Dname(owner, _) => format!("dname {}", owner.name),
            Lookup::Delegation(cut, _) => format!("delegation {}", cut.name),
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
            // A DNAME redirects what is below its owner, even names that have records, but not the owner.
            ("old.school.test", Qtype::A, "answer A 1"),
            ("old.school.test", Qtype::DNAME, "answer DNAME 1"),
            ("old.school.test", Qtype::MX, "nodata"),
            ("a.b.old.school.test", Qtype::A, "dname old.school.test"),
            ("hid.old.school.test", Qtype::A, "dname old.school.test"),
            ("x.wd.school.test", Qtype::DNAME, "answer DNAME 1"),
            ("x.wd.school.test", Qtype::A, "nodata"),
            ("a.x.wd.school.test", Qtype::A, "nodata"),
            // A cut hides more than a DNAME.
            ("x.both.school.test", Qtype::A, "delegation both.school.test"),
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
}
