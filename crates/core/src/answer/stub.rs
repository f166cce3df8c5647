//! Forged answers: a stub address, the null address, an alias. Each function returns whether the answer
//! contains forged data.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::deny;
use crate::dns::{Name, Qtype, Query, ReplyWriter, Section};
use crate::rule::Data;

/// Stub addresses for A and AAAA. Every other type, including HTTPS and SVCB, gets NODATA, so that no hint
/// in them leaks the address that A hides.
pub(super) fn address(
    reply: &mut ReplyWriter<'_, '_>,
    query: &Query<'_>,
    v4: &[Ipv4Addr],
    v6: &[Ipv6Addr],
    ttl: u32,
) -> bool {
    // A pool that does not fit the client's payload size is truncated; the errors are still attached.
    let _ = match query.qtype {
        Qtype::A if !v4.is_empty() => {
            v4.iter().try_for_each(|a| reply.record(Section::Answer, None, Qtype::A, ttl, &[&a.octets()]))
        }
        Qtype::AAAA if !v6.is_empty() => {
            v6.iter().try_for_each(|a| reply.record(Section::Answer, None, Qtype::AAAA, ttl, &[&a.octets()]))
        }
        _ => return deny::nodata(reply, query, ttl),
    };
    true
}

/// 0.0.0.0 and `::`: connections to them fail at once on the client's own machine.
pub(super) fn null(reply: &mut ReplyWriter<'_, '_>, query: &Query<'_>, ttl: u32) -> bool {
    address(reply, query, &[Ipv4Addr::UNSPECIFIED], &[Ipv6Addr::UNSPECIFIED], ttl)
}

/// An alias for every type; the client resolves its target itself.
pub(super) fn cname(reply: &mut ReplyWriter<'_, '_>, target: Name<'_>, ttl: u32) -> bool {
    let _ = reply.record(Section::Answer, None, Qtype::CNAME, ttl, &[target.as_bytes()]);
    true
}

/// Calls its argument with the records that further rules add.
pub type Added<'a> = &'a dyn Fn(&mut dyn FnMut(&Data));

/// The operator's own records: those of the requested type, all of them for ANY, else NODATA.
pub(super) fn records(
    reply: &mut ReplyWriter<'_, '_>,
    query: &Query<'_>,
    data: &[Data],
    added: Added<'_>,
    ttl: u32,
) -> bool {
    let (mut any, mut full) = (false, false);
    let mut write = |record: &Data| {
        if !full && (record.rtype == query.qtype || query.qtype == Qtype::ANY) {
            any = true;
            full = reply.record(Section::Answer, None, record.rtype, ttl, &[&record.rdata]).is_err();
        }
    };
    data.iter().for_each(&mut write);
    added(&mut write);
    if !any {
        return deny::nodata(reply, query, ttl);
    }
    true
}
