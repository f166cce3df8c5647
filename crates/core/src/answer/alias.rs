//! An alias and its target's records: stub resolvers do not follow aliases (RFC 1034 §5.3.1).

use crate::dns::{Class, Full, Message, NameBuf, Qtype, Rcode, ReplyWriter, Section, expanded_rdata, flag};

/// An alias: its target, and its TTL in seconds.
pub type Target = (NameBuf, u32);

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

/// Writes the aliases, each pointing to the next, and then the records of the last target, if any.
pub fn write_aliases(reply: &mut ReplyWriter<'_, '_>, targets: &[Target], end: Option<End<'_>>) {
    // If a section does not fit, the writer has set TC.
    let _ = chain(reply, targets).and_then(|()| end.map_or(Ok(()), |end| append(reply, end)));
}

fn chain(reply: &mut ReplyWriter<'_, '_>, targets: &[Target]) -> Result<(), Full> {
    let owners = std::iter::once(None).chain(targets.iter().map(|(target, _)| Some(target)));
    owners.zip(targets).try_for_each(|(owner, (target, ttl))| {
        let owner = owner.map(NameBuf::as_name);
        reply.record(Section::Answer, owner, Qtype::CNAME, *ttl, &[target.as_bytes()])
    })
}

fn append(reply: &mut ReplyWriter<'_, '_>, end: End<'_>) -> Result<(), Full> {
    let End { reply: end, rcode, ttl } = end;
    reply.rcode(rcode);
    // Truncated by the upstream even over TCP: the client must not take it for complete.
    if end.header.has(flag::TC) {
        reply.truncate();
        return Err(Full);
    }
    let negative = end.header.ancount == 0 || rcode == Rcode::NXDOMAIN;
    for record in end.records() {
        let wanted = match record.section {
            Section::Answer => true,
            // The SOA makes a negative answer cacheable (RFC 2308 §3).
            Section::Authority => negative && record.rtype == Qtype::SOA,
            Section::Additional => false,
        };
        let Some((owner, rdata)) = end.name_at(record.start).zip(expanded_rdata(&end, &record)) else {
            continue;
        };
        if wanted {
            let kind = (record.rtype, Class(record.class));
            reply.record_in(record.section, Some(owner.as_name()), kind, ttl(record.ttl), &[&rdata])?;
        }
    }
    Ok(())
}
