//! What the zones of this server say to a question, and the sections of that reply (RFC 1034 §4.3.2).

use super::zone::{Lookup, RrSet, Zone, Zones};
use crate::dns::{Full, MAX_ALIASES, Name, NameBuf, Qtype, Rcode, ReplyWriter, Section, flag};

/// The zone that answers a question: DS at a zone's apex is the parent's, if the parent is here too
/// (RFC 4035 §3.1.4.1).
#[must_use]
pub fn of<'z>(zones: &'z Zones, qname: Name<'_>, qtype: Qtype) -> Option<&'z Zone> {
    let zone = zones.find(qname)?;
    let at_apex = qtype == Qtype::DS && zone.origin() == qname;
    let parent = qname.parent().filter(|_| at_apex).and_then(|name| zones.find(name));
    parent.or(Some(zone))
}

/// What the zones of this server say to a question: aliases, each pointing to the next, and their end.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    aliases: [Option<&'a RrSet>; MAX_ALIASES],
    end: End<'a>,
}

#[derive(Clone, Copy, Debug)]
enum End<'a> {
    /// The records asked for, or one set of them for ANY.
    Records(&'a RrSet),
    /// The name lies in a delegated zone.
    Delegation {
        zone: &'a Zone,
        cut: Name<'a>,
        ns: &'a RrSet,
    },
    NoData(&'a Zone),
    NxDomain(&'a Zone),
    /// The last alias points to a name that no zone here answers for.
    Elsewhere,
    /// A chain without an end, or with one that nobody will wait for.
    Endless,
}

/// Answers a question from `zone` and, where an alias leads on, from the zone that `find` gives for its
/// target. Allocates nothing.
#[must_use]
pub fn answer<'a>(
    mut zone: &'a Zone,
    find: impl Fn(Name<'_>) -> Option<&'a Zone>,
    qname: Name<'a>,
    qtype: Qtype,
) -> Answer<'a> {
    let (mut aliases, mut count) = ([None; MAX_ALIASES], 0);
    let mut name = qname;
    let end = loop {
        break match zone.lookup(name, qtype) {
            Lookup::Answer(set) | Lookup::Any(set) => End::Records(set),
            Lookup::Delegation { cut, ns } => End::Delegation { zone, cut, ns },
            Lookup::NoData => End::NoData(zone),
            Lookup::NxDomain => End::NxDomain(zone),
            Lookup::Cname(set, target) => {
                let Some(slot) = aliases.get_mut(count) else { break End::Endless };
                (*slot, count, name) = (Some(set), count + 1, target);
                let Some(next) = find(target) else { break End::Elsewhere };
                zone = next;
                continue;
            }
        };
    };
    Answer { aliases, end }
}

impl<'a> Answer<'a> {
    /// The aliases: where each points, and its TTL in seconds.
    pub fn aliases(&self) -> impl Iterator<Item = (Name<'a>, u32)> {
        let sets = self.aliases.into_iter().flatten();
        sets.filter_map(|set| Some((Name::parse(set.rdatas.first()?).ok()?, set.ttl)))
    }

    /// True if the rest is for others to say: the end lies in no zone of this server, or in one that is
    /// delegated.
    #[must_use]
    pub const fn leads_out(&self) -> bool {
        matches!(self.end, End::Elsewhere | End::Delegation { .. })
    }

    /// Writes the reply (RFC 1034 §4.3.2).
    pub fn write(&self, zones: &Zones, reply: &mut ReplyWriter<'_, '_>) {
        reply.flags(flag::AA, true);
        // A section that does not fit has marked the reply truncated.
        let _ = self.sections(zones, reply);
    }

    fn sections(&self, zones: &Zones, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
        if matches!(self.end, End::Endless) {
            reply.rcode(Rcode::SERVFAIL);
            return Ok(());
        }
        let mut owner = None;
        for set in self.aliases.into_iter().flatten() {
            put(reply, Section::Answer, owner, set)?;
            owner = set.rdatas.first().and_then(|target| Name::parse(target).ok());
        }
        match self.end {
            End::Records(set) => {
                put(reply, Section::Answer, owner, set)?;
                targets(zones, set, reply)
            }
            End::Delegation { zone, cut, ns } => {
                // A referral is no answer of ours; within a chain the aliases before it are.
                reply.flags(flag::AA, owner.is_some());
                put(reply, Section::Authority, Some(cut), ns)?;
                glue(zone, cut, ns, reply)
            }
            End::NoData(zone) => soa(zone, reply),
            End::NxDomain(zone) => {
                // RFC 2308 §2.1: the code speaks of the last name of the chain.
                reply.rcode(Rcode::NXDOMAIN);
                soa(zone, reply)
            }
            // The client or its resolver goes on from there.
            End::Elsewhere | End::Endless => Ok(()),
        }
    }
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
