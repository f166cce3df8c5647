//! The answer of this server's zones to a question, and its sections (RFC 1034 §4.3.2), with signatures and
//! proofs for clients that ask for them (RFC 4035 §3.1).

use super::proof::{Claim, Evidence};
use super::rrset::{Node, RrSet};
use super::zone::{Found, Lookup, Zone, Zones};
use crate::dns::{Full, MAX_ALIASES, MAX_NAME, Name, Qtype, Query, Rcode, ReplyWriter, Section, flag};

/// The answer of this server's zones: a chain of aliases and its end.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    aliases: [Option<Alias<'a>>; MAX_ALIASES],
    end: End<'a>,
}

/// An alias, as found in a zone.
#[derive(Clone, Copy, Debug)]
struct Alias<'a> {
    zone: &'a Zone,
    set: &'a RrSet,
    through: Through<'a>,
}

/// How a name has an alias.
#[derive(Clone, Copy, Debug)]
enum Through<'a> {
    /// By its own CNAME.
    Cname,
    /// By the CNAME of a wildcard below a name with this many labels.
    Wildcard(u8),
    /// By the DNAME of a name above it.
    Dname(&'a Node),
}

#[derive(Clone, Copy, Debug)]
enum End<'a> {
    /// What the zone has for the last name.
    Found(&'a Zone, Found<'a>),
    /// The name has no records, but a zone or a forward of this server lies below it, so that it exists.
    Above(&'a Zone),
    /// The question asks for the aliases themselves.
    Complete,
    /// The last alias points to a name outside the zones of this server.
    Elsewhere,
    /// The chain is a loop, or longer than the limit.
    Endless,
    /// The last alias redirects to a name that would be too long (RFC 6672 §2.2).
    TooLong,
}

/// A name that changes from alias to alias: that of the question, or one on the stack.
struct Current<'a> {
    asked: Name<'a>,
    octets: [u8; MAX_NAME],
    /// How many of the octets are the name; 0: it is that of the question.
    len: usize,
}

impl<'a> Current<'a> {
    const fn new(asked: Name<'a>) -> Self {
        Self { asked, octets: [0; MAX_NAME], len: 0 }
    }

    fn name(&self) -> Name<'_> {
        let octets = self.octets.get(..self.len).unwrap_or_default();
        Name::parse(octets).unwrap_or(self.asked)
    }

    /// Where the name is written already.
    fn owner(&self) -> Option<Name<'_>> {
        (self.len > 0).then(|| self.name())
    }

    /// Follows an alias; `None` if the name becomes too long.
    fn follow(&mut self, alias: &Alias<'_>) -> Option<()> {
        let target = alias.set.target()?.as_bytes();
        // A DNAME keeps the labels before its owner (RFC 6672 §2.2).
        let kept = match alias.through {
            Through::Dname(owner) => self.name().as_bytes().len().checked_sub(owner.name.as_bytes().len())?,
            Through::Cname | Through::Wildcard(_) => 0,
        };
        if self.len == 0 && kept > 0 {
            self.octets.get_mut(..kept)?.copy_from_slice(self.asked.as_bytes().get(..kept)?);
        }
        self.octets.get_mut(kept..kept + target.len())?.copy_from_slice(target);
        self.len = kept + target.len();
        Some(())
    }
}

/// Answers a question from `zone` and, after an alias to another zone, from the zone that `find` returns
/// for its target. `exists`: a zone or a forward lies below a name. Allocates nothing.
#[must_use]
pub fn answer<'a>(
    mut zone: &'a Zone,
    find: impl Fn(Name<'_>) -> Option<&'a Zone>,
    exists: impl Fn(Name<'_>) -> bool,
    qname: Name<'_>,
    qtype: Qtype,
) -> Answer<'a> {
    let (mut aliases, mut count) = ([None; MAX_ALIASES], 0);
    let mut current = Current::new(qname);
    let end = loop {
        let found = zone.lookup(current.name(), qtype);
        let alias = match found.lookup {
            Lookup::Cname(set, _) => {
                let encloser = u8::try_from(found.encloser).unwrap_or(u8::MAX);
                let through = found.wildcard.map_or(Through::Cname, |_| Through::Wildcard(encloser));
                Alias { zone, set, through }
            }
            Lookup::Dname(owner, set) => Alias { zone, set, through: Through::Dname(owner) },
            // A proof of the opposite would be wrong.
            Lookup::NxDomain if !zone.is_signed() && exists(current.name()) => break End::Above(zone),
            _ => break End::Found(zone, found),
        };
        let Some(slot) = aliases.get_mut(count) else { break End::Endless };
        (*slot, count) = (Some(alias), count + 1);
        if current.follow(&alias).is_none() {
            break End::TooLong;
        }
        // These types ask for the alias that a DNAME gives (RFC 6672 §3.2).
        if matches!(alias.through, Through::Dname(_)) && matches!(qtype, Qtype::CNAME | Qtype::ANY) {
            break End::Complete;
        }
        let Some(next) = find(current.name()) else { break End::Elsewhere };
        zone = next;
    };
    Answer { aliases, end }
}

impl<'a> Answer<'a> {
    /// True if the answer begins with an alias.
    #[must_use]
    pub const fn is_alias(&self) -> bool {
        matches!(self.aliases, [Some(_), ..])
    }

    /// True if the rest of the answer must come from other servers: the last target is in no zone of this
    /// server, or in a delegated one.
    #[must_use]
    pub const fn leads_out(&self) -> bool {
        matches!(self.end, End::Elsewhere | End::Found(_, Found { lookup: Lookup::Delegation(..), .. }))
    }

    /// Calls `each` for the target of every alias.
    pub fn targets(&self, qname: Name<'_>, mut each: impl FnMut(Name<'_>)) {
        let mut current = Current::new(qname);
        for alias in self.aliases.iter().flatten() {
            if current.follow(alias).is_some() {
                each(current.name());
            }
        }
    }

    /// Writes the reply (RFC 1034 §4.3.2).
    pub fn write(&self, zones: &Zones, query: &Query<'_>, reply: &mut ReplyWriter<'_, '_>) {
        reply.flags(flag::AA, true);
        if matches!(self.end, End::Endless) {
            return reply.rcode(Rcode::SERVFAIL);
        }
        let mut out = Sections { reply, evidence: query.dnssec_ok().then(Evidence::new) };
        // If a section does not fit, the writer has set TC.
        let _ = out.whole(self, zones, query.qname);
    }

    /// Writes the aliases alone, with what proves them.
    pub fn write_aliases(&self, query: &Query<'_>, reply: &mut ReplyWriter<'_, '_>) {
        let mut out = Sections { reply, evidence: query.dnssec_ok().then(Evidence::new) };
        let _ = out.aliases(self, &mut Current::new(query.qname)).and_then(|()| out.proofs());
    }
}

/// The sections of a reply while they are written.
struct Sections<'r, 'b, 't, 'a> {
    reply: &'r mut ReplyWriter<'b, 't>,
    /// What proves the answer, if the client asks for signatures and proofs (RFC 3225 §3).
    evidence: Option<Evidence<'a>>,
}

impl<'a> Sections<'_, '_, '_, 'a> {
    fn whole(&mut self, answer: &Answer<'a>, zones: &'a Zones, qname: Name<'_>) -> Result<(), Full> {
        let mut current = Current::new(qname);
        self.aliases(answer, &mut current)?;
        let end = match answer.end {
            End::Found(zone, found) => Some((zone, found)),
            End::Above(zone) => {
                self.soa(zone)?;
                None
            }
            End::TooLong => {
                self.reply.rcode(Rcode::YXDOMAIN);
                None
            }
            // The client or its resolver continues from here.
            End::Complete | End::Elsewhere | End::Endless => None,
        };
        let Some((zone, found)) = end else { return self.proofs() };
        match found.lookup {
            Lookup::Answer(set) | Lookup::Any(set) => {
                self.put(Section::Answer, current.owner(), set)?;
                if found.wildcard.is_some() {
                    self.prove_expansion(zone, found.encloser, current.name());
                }
                self.proofs()?;
                self.targets(zones, set);
            }
            Lookup::Delegation(cut, ns) => {
                // A referral is not authoritative; the aliases before it are.
                self.reply.flags(flag::AA, answer.is_alias());
                let owner = cut.name.as_name();
                self.put_unsigned(Section::Authority, Some(owner), ns)?;
                match cut.set(Qtype::DS).filter(|_| self.evidence.is_some()) {
                    Some(ds) => self.put(Section::Authority, Some(owner), ds)?,
                    None => self.prove(zone, Claim::Insecure, owner, found),
                }
                self.proofs()?;
                self.glue(zone, owner, ns)?;
            }
            Lookup::NoData => {
                self.soa(zone)?;
                self.prove(zone, Claim::NoData, current.name(), found);
                self.proofs()?;
            }
            Lookup::NxDomain => {
                // RFC 2308 §2.1: the code refers to the last name of the chain.
                self.reply.rcode(Rcode::NXDOMAIN);
                self.soa(zone)?;
                self.prove(zone, Claim::NxDomain, current.name(), found);
                self.proofs()?;
            }
            // Aliases are not the end of a chain.
            Lookup::Cname(..) | Lookup::Dname(..) => {}
        }
        Ok(())
    }

    fn aliases(&mut self, answer: &Answer<'a>, current: &mut Current<'_>) -> Result<(), Full> {
        for alias in answer.aliases.iter().flatten() {
            match alias.through {
                Through::Cname | Through::Wildcard(_) => {
                    self.put(Section::Answer, current.owner(), alias.set)?;
                    if let Through::Wildcard(encloser) = alias.through {
                        self.prove_expansion(alias.zone, usize::from(encloser), current.name());
                    }
                    if current.follow(alias).is_none() {
                        break;
                    }
                }
                Through::Dname(owner) => {
                    self.put(Section::Answer, Some(owner.name.as_name()), alias.set)?;
                    let mut next = Current { asked: current.asked, ..*current };
                    if next.follow(alias).is_none() {
                        break;
                    }
                    // The alias for resolvers that don't know DNAME, with its TTL (RFC 6672 §3.1).
                    let target = next.name().as_bytes();
                    let ttl = alias.set.ttl;
                    self.reply.record(Section::Answer, current.owner(), Qtype::CNAME, ttl, &[target])?;
                    *current = next;
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, section: Section, owner: Option<Name<'_>>, set: &RrSet) -> Result<(), Full> {
        if self.evidence.is_some() {
            self.put_signed(section, owner, set)
        } else {
            self.put_unsigned(section, owner, set)
        }
    }

    fn put_signed(&mut self, section: Section, owner: Option<Name<'_>>, set: &RrSet) -> Result<(), Full> {
        let signatures = set.signatures.as_deref();
        [Some(set), signatures]
            .into_iter()
            .flatten()
            .try_for_each(|set| self.put_unsigned(section, owner, set))
    }

    fn put_unsigned(&mut self, section: Section, owner: Option<Name<'_>>, set: &RrSet) -> Result<(), Full> {
        let mut rdatas = set.rdatas.iter();
        rdatas.try_for_each(|rdata| self.reply.record(section, owner, set.rtype, set.ttl, &[rdata]))
    }

    /// The SOA of a negative answer, with the TTL for negative caching (RFC 2308 §3).
    fn soa(&mut self, zone: &Zone) -> Result<(), Full> {
        let (set, ttl) = zone.soa();
        let owner = Some(zone.origin());
        let signatures = set.signatures.as_deref().filter(|_| self.evidence.is_some());
        for set in [Some(set), signatures].into_iter().flatten() {
            for rdata in &set.rdatas {
                self.reply.record(Section::Authority, owner, set.rtype, ttl, &[rdata])?;
            }
        }
        Ok(())
    }

    fn prove(&mut self, zone: &'a Zone, claim: Claim, name: Name<'_>, found: Found<'a>) {
        if let Some(evidence) = &mut self.evidence {
            zone.prove(claim, name, found, evidence);
        }
    }

    /// RFC 4035 §3.1.3.3: an answer from a wildcard proves that nothing closer matches.
    fn prove_expansion(&mut self, zone: &'a Zone, encloser: usize, name: Name<'_>) {
        let found = Found { lookup: Lookup::NxDomain, encloser, wildcard: None };
        self.prove(zone, Claim::Expanded, name, found);
    }

    fn proofs(&mut self) -> Result<(), Full> {
        let Some(evidence) = self.evidence.take() else { return Ok(()) };
        let proved = evidence
            .records()
            .try_for_each(|(owner, set)| self.put_signed(Section::Authority, Some(owner), set));
        self.evidence = Some(evidence);
        proved
    }

    /// Addresses of name servers below the cut. A referral without them is useless, so a reply without room
    /// for them is truncated (RFC 9471 §3.1).
    fn glue(&mut self, zone: &Zone, cut: Name<'_>, ns: &RrSet) -> Result<(), Full> {
        for target in ns.rdatas.iter().filter_map(|r| Name::parse(r).ok()) {
            if self.addresses(zone, target).is_err() && target.is_within(cut) {
                self.reply.truncate();
                return Err(Full);
            }
        }
        Ok(())
    }

    /// Addresses of the targets of MX and SRV records, if this server has them.
    fn targets(&mut self, zones: &Zones, set: &RrSet) {
        let skip = match set.rtype {
            Qtype::MX => 2,
            Qtype::SRV => 6,
            _ => return,
        };
        for target in set.rdatas.iter().filter_map(|r| Name::parse(r.get(skip..)?).ok()) {
            if let Some(zone) = zones.find(target) {
                // Additional records that do not fit are left out.
                let _ = self.addresses(zone, target);
            }
        }
    }

    fn addresses(&mut self, zone: &Zone, host: Name<'_>) -> Result<(), Full> {
        let sets = [Qtype::A, Qtype::AAAA].into_iter().filter_map(|rtype| zone.rrset(host, rtype));
        sets.into_iter().try_for_each(|set| self.put(Section::Additional, Some(host), set))
    }
}
