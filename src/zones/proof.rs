//! What a signed zone proves: that a name or a type does not exist, that no closer name matches a question
//! answered by a wildcard, that a delegation is not signed (RFC 4035 §3.1.3, RFC 5155 §7.2).

use super::nsec3::{Chain, Hash};
use super::rrset::{Node, Nodes, RrSet};
use crate::dns::{Folded, MAX_ALIASES, MAX_NAME, Name, NameBuf, Qtype};

/// How a zone proves what does not exist.
#[derive(Clone, Debug)]
pub(super) enum Proofs {
    /// Not at all.
    Unsigned,
    /// The names with an NSEC record, in lower case and in canonical order (RFC 4034 §6.1).
    Nsec(Vec<NameBuf>),
    /// The NSEC3 records.
    Nsec3(Chain),
}

/// Where a name was found.
#[derive(Clone, Copy)]
pub(super) struct Place<'z> {
    /// How many labels its closest encloser has.
    pub(super) encloser: usize,
    /// The wildcard that matches it.
    pub(super) wildcard: Option<&'z Node>,
}

/// What is to be proved about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It does not exist, and no wildcard matches it.
    NxDomain,
    /// It, or the wildcard that matches it, exists without the type.
    NoData,
    /// It does not exist, so that the answer comes from the wildcard.
    Expanded,
    /// It is delegated without DS.
    Insecure,
}

/// The records of proofs, each once.
pub(super) struct Evidence<'z> {
    records: [Option<(Name<'z>, &'z RrSet)>; MAX_ALIASES + 4],
}

impl<'z> Evidence<'z> {
    pub(super) const fn new() -> Self {
        Self { records: [None; MAX_ALIASES + 4] }
    }

    fn add(&mut self, record: Option<(Name<'z>, &'z RrSet)>) {
        let Some((owner, set)) = record else { return };
        for slot in &mut self.records {
            match slot {
                Some((_, known)) if std::ptr::eq(*known, set) => return,
                Some(_) => {}
                None => {
                    *slot = Some((owner, set));
                    return;
                }
            }
        }
    }

    /// The records, and their owners.
    pub(super) fn records(&self) -> impl Iterator<Item = (Name<'z>, &'z RrSet)> {
        self.records.into_iter().flatten()
    }
}

impl Proofs {
    /// Adds the records that prove a claim about a name of the zone that has these nodes.
    pub(super) fn prove<'z>(
        &'z self,
        nodes: &'z Nodes,
        (claim, name): (Claim, Name<'_>),
        found: Place<'z>,
        evidence: &mut Evidence<'z>,
    ) {
        let wildcard = found.wildcard.map(|node| node.name.as_name());
        match self {
            Self::Unsigned => {}
            Self::Nsec(owners) => {
                let mut add = |name: Name<'_>| evidence.add(nsec_for(owners, nodes, name));
                add(name);
                match claim {
                    Claim::NxDomain => {
                        if let Some(wildcard) = wildcard_below(name, found.encloser, &mut [0; MAX_NAME]) {
                            add(wildcard);
                        }
                    }
                    Claim::NoData => wildcard.into_iter().for_each(add),
                    Claim::Expanded | Claim::Insecure => {}
                }
            }
            Self::Nsec3(chain) => prove_hashed(chain, claim, name, found, evidence),
        }
    }
}

/// The NSEC record of a name, or else the one that covers it.
fn nsec_for<'z>(owners: &[NameBuf], nodes: &'z Nodes, name: Name<'_>) -> Option<(Name<'z>, &'z RrSet)> {
    let folded = Folded::new(name);
    let after = owners.partition_point(|owner| !owner.as_name().canonical_cmp(folded.as_name()).is_gt());
    // What precedes the first name in order is covered by the last, which points to the apex.
    let owner = after.checked_sub(1).and_then(|at| owners.get(at)).or(owners.last())?;
    let node: &Node = nodes.get(owner.as_bytes())?;
    Some((node.name.as_name(), node.set(Qtype::NSEC)?))
}

fn prove_hashed<'z>(
    chain: &'z Chain,
    claim: Claim,
    name: Name<'_>,
    found: Place<'z>,
    evidence: &mut Evidence<'z>,
) {
    let labels = name.offsets();
    let hash = |depth: usize| labels.suffix(depth).map(|name| chain.hash(name));
    if claim == Claim::Expanded {
        // RFC 5155 §7.2.6: the next closer name does not exist.
        return evidence.add(hash(found.encloser + 1).and_then(|next| chain.covering(&next)));
    }
    let wildcard = found.wildcard.map(|node| node.name.as_name());
    if wildcard.is_none()
        && claim != Claim::NxDomain
        && let Some(exact) = hash(labels.count()).and_then(|own| chain.matching(&own))
    {
        // RFC 5155 §7.2.3, §7.2.4, §7.2.7.
        return evidence.add(Some(exact));
    }
    // RFC 5155 §7.2.1: the closest encloser that has a record, and that the next closer name has none. Opt-out
    // leaves names without a record.
    let from = found.encloser.min(labels.count());
    let proved = (0..=from).rev().find_map(|depth| Some((depth, chain.matching(&hash(depth)?)?)));
    let Some((encloser, record)) = proved else { return };
    evidence.add(Some(record));
    evidence.add(hash(encloser + 1).and_then(|next: Hash| chain.covering(&next)));
    match (claim, wildcard) {
        // RFC 5155 §7.2.2.
        (Claim::NxDomain, _) => {
            if let Some(wildcard) = wildcard_below(name, encloser, &mut [0; MAX_NAME]) {
                evidence.add(chain.covering(&chain.hash(wildcard)));
            }
        }
        // RFC 5155 §7.2.5.
        (Claim::NoData, Some(wildcard)) => evidence.add(chain.matching(&chain.hash(wildcard))),
        _ => {}
    }
}

/// The wildcard below the last `depth` labels of a name; `None` if it is too long for a name.
fn wildcard_below<'b>(name: Name<'_>, depth: usize, buf: &'b mut [u8; MAX_NAME]) -> Option<Name<'b>> {
    let labels = name.offsets();
    let encloser = labels.suffix(depth)?.as_bytes();
    let whole = buf.get_mut(..2 + encloser.len())?;
    let (star, rest) = whole.split_at_mut_checked(2)?;
    star.copy_from_slice(b"\x01*");
    rest.copy_from_slice(encloser);
    Name::parse(whole).ok()
}
