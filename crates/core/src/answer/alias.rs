//! An alias and its target's records: stub resolvers do not follow aliases (RFC 1034 §5.3.1).

use crate::dns::{
    Class, Full, Message, Name, NameBuf, Qtype, Rcode, ReplyWriter, Section, expanded_rdata, flag,
};

/// A record at the beginning of an answer: an alias, or a record that proves it.
#[derive(Clone, Debug)]
pub struct Link {
    section: Section,
    /// `None`: the question's name.
    owner: Option<NameBuf>,
    rtype: Qtype,
    ttl: u32,
    rdata: Vec<u8>,
}

impl Link {
    /// An alias of `owner`, or of the question's name, to `target`, with its TTL in seconds.
    #[must_use]
    pub fn cname(owner: Option<NameBuf>, target: &NameBuf, ttl: u32) -> Self {
        Self { section: Section::Answer, owner, rtype: Qtype::CNAME, ttl, rdata: target.as_bytes().to_vec() }
    }

    /// The records of a message that was written for one part of the chain; `asked` is the client's name.
    pub fn all_of<'m>(message: &Message<'m>, asked: Name<'_>) -> impl Iterator<Item = Self> {
        message.records().filter(|record| record.rtype != Qtype::OPT).filter_map(move |record| {
            let owner = message.name_at(record.start)?;
            Some(Self {
                section: record.section,
                owner: (owner.as_name() != asked).then_some(owner),
                rtype: record.rtype,
                ttl: record.ttl,
                rdata: expanded_rdata(message, &record)?,
            })
        })
    }
}

/// The reply to the question for the last alias's target.
#[derive(Clone, Copy)]
pub struct End<'m> {
    /// The reply.
    pub reply: Message<'m>,
    /// Its response code, including the upper bits.
    pub rcode: Rcode,
    /// Maps the TTL of a record in the reply to the TTL to send, both in seconds.
    pub ttl: &'m dyn Fn(u32) -> u32,
}

impl<'m> End<'m> {
    /// A reply that was just written, to be passed on unchanged.
    #[must_use]
    pub fn written(reply: Message<'m>) -> Self {
        Self { reply, rcode: reply.rcode(), ttl: &|ttl| ttl }
    }
}

/// Writes the aliases, each pointing to the next, and then the records of the last target, if any. `signed`: the
/// client asks for signatures and proofs.
pub fn write_aliases(reply: &mut ReplyWriter<'_, '_>, links: &[Link], end: Option<End<'_>>, signed: bool) {
    if let Some(end) = end {
        reply.rcode(end.rcode);
    }
    // If a section does not fit, the writer has set TC.
    let _ = [Section::Answer, Section::Authority].into_iter().try_for_each(|section| {
        for link in links.iter().filter(|link| link.section == section) {
            let owner = link.owner.as_ref().map(NameBuf::as_name);
            reply.record(section, owner, link.rtype, link.ttl, &[&link.rdata])?;
        }
        end.map_or(Ok(()), |end| append(reply, end, section, signed))
    });
}

fn append(
    reply: &mut ReplyWriter<'_, '_>,
    End { reply: end, rcode, ttl }: End<'_>,
    section: Section,
    signed: bool,
) -> Result<(), Full> {
    // Truncated by the upstream even over TCP: the client must not take it for complete.
    if end.header.has(flag::TC) {
        reply.truncate();
        return Err(Full);
    }
    let negative = end.header.ancount == 0 || rcode == Rcode::NXDOMAIN;
    let wanted = |rtype| match rtype {
        _ if section == Section::Answer => true,
        // The SOA makes a negative answer cacheable (RFC 2308 §3).
        Qtype::SOA => negative,
        // A validator needs the proofs, even with an answer from a wildcard (RFC 4035 §3.1.3).
        Qtype::RRSIG | Qtype::NSEC | Qtype::NSEC3 => signed,
        _ => false,
    };
    for record in end.records().filter(|record| record.section == section && wanted(record.rtype)) {
        let Some((owner, rdata)) = end.name_at(record.start).zip(expanded_rdata(&end, &record)) else {
            continue;
        };
        let kind = (record.rtype, Class(record.class));
        reply.record_in(section, Some(owner.as_name()), kind, ttl(record.ttl), &[&rdata])?;
    }
    Ok(())
}
