//! A zone's lookup → the sections of an authoritative reply (RFC 1034 §4.3.2).

use super::zone::{Lookup, RrSet, Zone, Zones};
use crate::dns::header::flag;
use crate::dns::name::{Name, NameBuf};
use crate::dns::query::Query;
use crate::dns::reply::{Full, ReplyWriter, Section};
use crate::dns::types::{Qtype, Rcode};

/// The most aliases followed for one question.
const MAX_CHAIN: usize = 16;

/// The zone that answers a query: DS at a zone's apex is the parent's, if the parent is here too
/// (RFC 4035 §3.1.4.1).
#[must_use]
pub fn of<'z>(zones: &'z Zones, query: &Query<'_>) -> Option<&'z Zone> {
    let zone = zones.find(query.qname)?;
    let at_apex = query.qtype == Qtype::DS && zone.origin() == query.qname;
    let parent = query.qname.parent().filter(|_| at_apex).and_then(|name| zones.find(name));
    parent.or(Some(zone))
}

/// Writes the reply of `zone` to `query`. An alias is followed through all zones of this server;
/// where it leads out of them, the client or its resolver goes on from there.
pub fn write(zones: &Zones, zone: &Zone, query: &Query<'_>, reply: &mut ReplyWriter<'_, '_>) {
    reply.flags(flag::AA, true);
    // A section that does not fit has marked the reply truncated.
    let _ = chain(zones, zone, query, reply);
}

fn chain<'z>(
    zones: &'z Zones,
    mut zone: &'z Zone,
    query: &Query<'_>,
    reply: &mut ReplyWriter<'_, '_>,
) -> Result<(), Full> {
    let mut owner: Option<Name<'z>> = None;
    for _ in 0..MAX_CHAIN {
        let name = owner.unwrap_or(query.qname);
        match zone.lookup(name, query.qtype) {
            Lookup::Answer(set) | Lookup::Any(set) => {
                put(reply, Section::Answer, owner, set)?;
                return targets(zones, set, reply);
            }
            Lookup::Cname(set, target) => {
                put(reply, Section::Answer, owner, set)?;
                let Some(next) = zones.find(target) else { return Ok(()) };
                zone = next;
                owner = Some(target);
            }
            Lookup::Delegation { cut, ns } => {
                // A referral is no answer of ours; within a chain the aliases before it are.
                reply.flags(flag::AA, owner.is_some());
                put(reply, Section::Authority, Some(cut), ns)?;
                return glue(zone, cut, ns, reply);
            }
            Lookup::NoData => return soa(zone, reply),
            Lookup::NxDomain => {
                // RFC 2308 §2.1: the code speaks of the last name of the chain.
                reply.rcode(Rcode::NXDOMAIN);
                return soa(zone, reply);
            }
        }
    }
    // A chain without an end, or with one that nobody will wait for.
    reply.clear();
    reply.rcode(Rcode::SERVFAIL);
    Ok(())
}

fn put(
    reply: &mut ReplyWriter<'_, '_>,
    section: Section,
    owner: Option<Name<'_>>,
    set: &RrSet,
) -> Result<(), Full> {
    set.rdatas.iter().try_for_each(|rdata| reply.record(section, owner, set.rtype, set.ttl, &[rdata]))
}

/// The SOA of a negative answer, with the TTL that lets it be cached (RFC 2308 §3).
fn soa(zone: &Zone, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    let (set, ttl) = zone.soa();
    let Some(rdata) = set.rdatas.first() else { return Ok(()) };
    reply.record(Section::Authority, Some(zone.origin()), Qtype::SOA, ttl, &[rdata])
}

/// Addresses of name servers below the cut. Without those the referral leads nowhere, so a reply
/// that has no room for them is truncated (RFC 9471 §3.1).
fn glue(zone: &Zone, cut: Name<'_>, ns: &RrSet, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    for target in ns.rdatas.iter().filter_map(|r| Name::parse(r).ok()) {
        if addresses(zone, target, reply).is_err() && target.is_within(cut) {
            reply.truncate();
            return Err(Full);
        }
    }
    Ok(())
}

/// Addresses of the hosts that MX and SRV name, where this server has them.
fn targets(zones: &Zones, set: &RrSet, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    let skip = match set.rtype {
        Qtype::MX => 2,
        Qtype::SRV => 6,
        _ => return Ok(()),
    };
    for target in set.rdatas.iter().filter_map(|r| Name::parse(r.get(skip..)?).ok()) {
        if let Some(zone) = zones.find(target) {
            // Help that does not fit is left out.
            let _ = addresses(zone, target, reply);
        }
    }
    Ok(())
}

fn addresses(zone: &Zone, host: Name<'_>, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    let sets = [Qtype::A, Qtype::AAAA].into_iter().filter_map(|rtype| zone.rrset(host, rtype));
    sets.into_iter().try_for_each(|set| put(reply, Section::Additional, Some(host), set))
}

/// The zone's origin as text, for people.
#[must_use]
pub fn origin_text(zone: &Zone) -> String {
    NameBuf::to_string(&zone.origin().to_folded())
}
