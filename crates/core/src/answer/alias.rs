//! An alias with what it leads to: a stub resolver does not go on by itself (RFC 1034 §5.3.1).

use crate::dns::message::Message;
use crate::dns::name::NameBuf;
use crate::dns::relay::expanded_rdata;
use crate::dns::reply::{Full, ReplyWriter, Section};
use crate::dns::types::{Class, Qtype, Rcode};

/// Writes the aliases, each pointing to the next, and then the reply to the question for the last of
/// them, if there is one.
pub fn write(reply: &mut ReplyWriter<'_, '_>, targets: &[NameBuf], ttl: u32, end: Option<&Message<'_>>) {
    // A section that does not fit has marked the reply truncated.
    let _ = chain(reply, targets, ttl).and_then(|()| end.map_or(Ok(()), |end| append(reply, end)));
}

fn chain(reply: &mut ReplyWriter<'_, '_>, targets: &[NameBuf], ttl: u32) -> Result<(), Full> {
    let owners = std::iter::once(None).chain(targets.iter().map(Some));
    owners.zip(targets).try_for_each(|(owner, target)| {
        let owner = owner.map(NameBuf::as_name);
        reply.record(Section::Answer, owner, Qtype::CNAME, ttl, &[target.as_bytes()])
    })
}

fn append(reply: &mut ReplyWriter<'_, '_>, end: &Message<'_>) -> Result<(), Full> {
    reply.rcode(end.rcode());
    let negative = end.header.ancount == 0 || end.rcode() == Rcode::NXDOMAIN;
    for record in end.records() {
        let wanted = match record.section {
            Section::Answer => true,
            // The SOA lets a negative answer be kept (RFC 2308 §3).
            Section::Authority => negative && record.rtype == Qtype::SOA,
            Section::Additional => false,
        };
        let Some((owner, rdata)) = end.name_at(record.start).zip(expanded_rdata(end, &record)) else {
            continue;
        };
        if wanted {
            let kind = (record.rtype, Class(record.class));
            reply.record_in(record.section, Some(owner.as_name()), kind, record.ttl, &[&rdata])?;
        }
    }
    Ok(())
}
