//! The answer of this server's zones to a question, and its sections (RFC 1034 §4.3.2).

use super::zone::{Lookup, RrSet, Zone, Zones};
use crate::dns::{Full, MAX_ALIASES, Name, NameBuf, Qtype, Rcode, ReplyWriter, Section, flag};

/// The zone that answers a question: DS at a zone's apex belongs to the parent zone, if this server has it
/// too (RFC 4035 §3.1.4.1).
#[must_use]
pub fn of<'z>(zones: &'z Zones, qname: Name<'_>, qtype: Qtype) -> Option<&'z Zone> {
    let zone = zones.find(qname)?;
    let at_apex = qtype == Qtype::DS && zone.origin() == qname;
    let parent = qname.parent().filter(|_| at_apex).and_then(|name| zones.find(name));
    parent.or(Some(zone))
}

/// The answer of this server's zones: a chain of aliases and its end.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    aliases: [Option<&'a RrSet>; MAX_ALIASES],
    end: End<'a>,
}

#[derive(Clone, Copy, Debug)]
enum End<'a> {
    /// The requested records, or one RRset for ANY.
    Records(&'a RrSet),
    /// The name lies in a delegated zone.
    Delegation {
        zone: &'a Zone,
        cut: Name<'a>,
        ns: &'a RrSet,
    },
    NoData(&'a Zone),
    NxDomain(&'a Zone),
    /// The last alias points to a name outside the zones of this server.
    Elsewhere,
    /// The chain is a loop, or longer than the limit.
    Endless,
}

/// Answers a question from `zone` and, after an alias to another zone, from the zone that `find` returns
/// for its target. Allocates nothing.
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
    /// The aliases: the target of each, and its TTL in seconds.
    pub fn aliases(&self) -> impl Iterator<Item = (Name<'a>, u32)> {
        let sets = self.aliases.into_iter().flatten();
        sets.filter_map(|set| Some((Name::parse(set.rdatas.first()?).ok()?, set.ttl)))
    }

    /// True if the rest of the answer must come from other servers: the last target is in no zone of this
    /// server, or in a delegated one.
    #[must_use]
    pub const fn leads_out(&self) -> bool {
        matches!(self.end, End::Elsewhere | End::Delegation { .. })
    }

    /// Writes the reply (RFC 1034 §4.3.2).
    pub fn write(&self, zones: &Zones, reply: &mut ReplyWriter<'_, '_>) {
        reply.flags(flag::AA, true);
        // If a section does not fit, the writer has set TC.
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
                // A referral is not authoritative; the aliases before it are.
                reply.flags(flag::AA, owner.is_some());
                put(reply, Section::Authority, Some(cut), ns)?;
                glue(zone, cut, ns, reply)
            }
            End::NoData(zone) => soa(zone, reply),
            End::NxDomain(zone) => {
                // RFC 2308 §2.1: the code refers to the last name of the chain.
                reply.rcode(Rcode::NXDOMAIN);
                soa(zone, reply)
            }
            // The client or its resolver continues from here.
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

/// The SOA of a negative answer, with the TTL for negative caching (RFC 2308 §3).
fn soa(zone: &Zone, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    let (set, ttl) = zone.soa();
    let Some(rdata) = set.rdatas.first() else { return Ok(()) };
    reply.record(Section::Authority, Some(zone.origin()), Qtype::SOA, ttl, &[rdata])
}

/// Addresses of name servers below the cut. A referral without them is useless, so a reply without room for
/// them is truncated (RFC 9471 §3.1).
fn glue(zone: &Zone, cut: Name<'_>, ns: &RrSet, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    for target in ns.rdatas.iter().filter_map(|r| Name::parse(r).ok()) {
        if addresses(zone, target, reply).is_err() && target.is_within(cut) {
            reply.truncate();
            return Err(Full);
        }
    }
    Ok(())
}

/// Addresses of the targets of MX and SRV records, if this server has them.
fn targets(zones: &Zones, set: &RrSet, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    let skip = match set.rtype {
        Qtype::MX => 2,
        Qtype::SRV => 6,
        _ => return Ok(()),
    };
    for target in set.rdatas.iter().filter_map(|r| Name::parse(r.get(skip..)?).ok()) {
        if let Some(zone) = zones.find(target) {
            // Additional records that do not fit are left out.
            let _ = addresses(zone, target, reply);
        }
    }
    Ok(())
}

fn addresses(zone: &Zone, host: Name<'_>, reply: &mut ReplyWriter<'_, '_>) -> Result<(), Full> {
    let sets = [Qtype::A, Qtype::AAAA].into_iter().filter_map(|rtype| zone.rrset(host, rtype));
    sets.into_iter().try_for_each(|set| put(reply, Section::Additional, Some(host), set))
}

/// The zone's origin as text, for messages.
#[must_use]
pub fn origin_text(zone: &Zone) -> String {
    NameBuf::to_string(&zone.origin().to_folded())
}
