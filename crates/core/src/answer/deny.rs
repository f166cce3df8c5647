//! Refusals: NXDOMAIN and NODATA with the SOA that makes them cacheable, REFUSED, SERVFAIL. They contain no
//! forged data, which each function reports as `false`.

use crate::dns::{Qtype, Query, Rcode, ReplyWriter, Section};

/// The name does not exist (RFC 2308 §2.1).
pub(super) fn nxdomain(reply: &mut ReplyWriter<'_, '_>, query: &Query<'_>, ttl: u32) -> bool {
    reply.rcode(Rcode::NXDOMAIN);
    soa(reply, query, ttl);
    false
}

/// The name exists, but not with this type (RFC 2308 §2.2).
pub(super) fn nodata(reply: &mut ReplyWriter<'_, '_>, query: &Query<'_>, ttl: u32) -> bool {
    soa(reply, query, ttl);
    false
}

/// The server refuses to answer.
pub(super) fn refused(reply: &mut ReplyWriter<'_, '_>) -> bool {
    reply.rcode(Rcode::REFUSED);
    false
}

/// The server fails to answer.
pub(super) fn servfail(reply: &mut ReplyWriter<'_, '_>) -> bool {
    reply.rcode(Rcode::SERVFAIL);
    false
}

/// A SOA owned by the query name, so that the answer is cached for that name alone and for `ttl` seconds
/// (RFC 2308 §3, §5). Its contents follow the empty zones of RFC 6303 §3.
fn soa(reply: &mut ReplyWriter<'_, '_>, query: &Query<'_>, ttl: u32) {
    const NOBODY: &[u8] = b"\x06nobody\x07invalid\0";
    let mut numbers = [0; 20];
    for (slot, word) in numbers.chunks_exact_mut(4).zip([1, 3600, 1200, 604_800, ttl]) {
        slot.copy_from_slice(&u32::to_be_bytes(word));
    }
    let mname = query.qname.as_bytes();
    // RDATA names of a SOA may be compressed (RFC 1035 §3.3), but the root needs no pointer.
    let mname: &[u8] = if query.qname.is_root() { mname } else { &[0xc0, 12] };
    // A SOA that does not fit leaves the reply truncated, so that the client retries over TCP.
    let _ = reply.record(Section::Authority, None, Qtype::SOA, ttl, &[mname, NOBODY, &numbers]);
}
