//! A verdict's action → reply bytes, such that a caching client can live with them.

pub mod deny;
pub mod stub;

use crate::dns::ede::{Ede, EdeCode};
use crate::dns::query::Query;
use crate::dns::reply::{ReplyWriter, Transport};
use crate::policy::list::ListPolicy;
use crate::rule::Action;

/// What to do with a blocked query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Send the reply: its length in octets.
    Reply(usize),
    /// Send nothing.
    Drop,
    /// Not blocked after all: a client that came back over TCP, or a list that only notes.
    Pass,
}

/// Writes the reply that an action, the rule's own or `list`'s, gives to `query`.
#[must_use]
pub fn blocked(
    list: &ListPolicy,
    action: &Action,
    query: &Query<'_>,
    transport: Transport,
    out: &mut [u8],
) -> Blocked {
    let mut reply = ReplyWriter::new(query, out, transport.limit(query));
    let code = if list.authority.is_some() { EdeCode::CENSORED } else { EdeCode::BLOCKED };
    reply.ede(Ede::new(code, &list.ede_text));
    match action {
        Action::NxDomain => deny::nxdomain(&mut reply, query, list.ttl),
        Action::NoData => deny::nodata(&mut reply, query, list.ttl),
        Action::Refused => deny::refused(&mut reply),
        Action::ServFail => deny::servfail(&mut reply),
        Action::Null => stub::null(&mut reply, query, list.ttl),
        Action::Address(v4, v6) => stub::address(&mut reply, query, v4, v6, list.ttl),
        Action::Records(data) => stub::records(&mut reply, query, data, list.ttl),
        Action::Cname(target) => stub::cname(&mut reply, target.as_name(), list.ttl),
        Action::Truncate if transport == Transport::Udp => reply.truncate(),
        Action::Truncate | Action::Log => return Blocked::Pass,
        Action::Drop => return Blocked::Drop,
    }
    Blocked::Reply(reply.finish())
}
