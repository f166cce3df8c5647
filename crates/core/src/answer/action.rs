//! The reply that an action gives instead of an answer, with the extended errors that explain it.

use super::stub::Added;
use super::text::Text;
use super::{alias, deny, stub};
use crate::dns::{Ede, EdeCode, NameBuf, Qtype, Query, ReplyWriter, Transport};
use crate::policy::ListPolicy;
use crate::rule::Action;

/// What to do with a blocked query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked<'a> {
    /// Send the reply: its length in octets.
    Reply(usize),
    /// Send nothing.
    Drop,
    /// Not blocked after all: a client that retried over TCP, or a list that only logs.
    Pass,
    /// The answer is an alias: follow it, then call [`aliased`].
    Alias(&'a NameBuf),
}

/// On what grounds an answer is synthesised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// A rule blocks.
    Block,
    /// A rewrite: the operator's own data, not a refusal.
    Rewrite,
}

/// Writes the reply to `query` for an action: the rule's own or else that of `list`.
#[must_use]
pub fn blocked<'a>(
    (list, right): (&ListPolicy, Right),
    (action, added): (&'a Action, Added<'_>),
    query: &Query<'_>,
    transport: Transport,
    out: &mut [u8],
) -> Blocked<'a> {
    let text = Text::of(list, query);
    let mut reply = ReplyWriter::new(query, out, transport.limit(query));
    let forged = match action {
        Action::NxDomain => deny::nxdomain(&mut reply, query, list.ttl),
        Action::NoData => deny::nodata(&mut reply, query, list.ttl),
        Action::Refused => deny::refused(&mut reply),
        Action::ServFail => deny::servfail(&mut reply),
        Action::Null => stub::null(&mut reply, query, list.ttl),
        Action::Address(v4, v6) => stub::address(&mut reply, query, v4, v6, list.ttl),
        Action::Records(data) => stub::records(&mut reply, query, data, added, list.ttl),
        // An alias to itself would not be one: the target of a list's alias passes, even if the list
        // contains it too.
        Action::Cname(target) if target.as_name() == query.qname => return Blocked::Pass,
        Action::Cname(target) if matches!(query.qtype, Qtype::CNAME | Qtype::ANY) => {
            stub::cname(&mut reply, target.as_name(), list.ttl)
        }
        Action::Cname(target) => return Blocked::Alias(target),
        Action::Truncate if transport == Transport::Udp => {
            reply.truncate();
            false
        }
        Action::Truncate | Action::Log => return Blocked::Pass,
        Action::Drop => return Blocked::Drop,
    };
    // If a rewrite has no records of the type, NODATA is the operator's own data too.
    let data = matches!(action, Action::Null | Action::Address(..) | Action::Records(_) | Action::Cname(_));
    explain(&mut reply, &text, (list, right), query, forged || right == Right::Rewrite && data);
    Blocked::Reply(reply.finish())
}

/// Writes a chain of aliases that a list begins, and the answer for the last target, if there is one.
#[must_use]
pub fn aliased(
    (list, right): (&ListPolicy, Right),
    links: &[alias::Link],
    end: Option<alias::End<'_>>,
    query: &Query<'_>,
    transport: Transport,
    out: &mut [u8],
) -> usize {
    let text = Text::of(list, query);
    let mut reply = ReplyWriter::new(query, out, transport.limit(query));
    alias::write_aliases(&mut reply, links, end, query.dnssec_ok());
    explain(&mut reply, &text, (list, right), query, true);
    reply.finish()
}

/// Attaches the extended errors: whose policy it was, and whether any data is forged (RFC 8914 §4.5, §4.16,
/// §4.17).
fn explain<'t>(
    reply: &mut ReplyWriter<'_, 't>,
    text: &'t Text,
    (list, right): (&'t ListPolicy, Right),
    query: &Query<'_>,
    forged: bool,
) {
    if right == Right::Rewrite && forged {
        return reply.ede(Ede::new(EdeCode::FORGED_ANSWER, text.as_str()));
    }
    let code = if list.authority.is_some() { EdeCode::CENSORED } else { EdeCode::BLOCKED };
    match &list.structured {
        Some((whole, brief)) if query.edns.is_some_and(|e| e.wants_structured()) => {
            // Such a client never gets a second code.
            reply.ede(Ede { code, text: whole, brief });
        }
        _ => {
            reply.ede(Ede::new(code, text.as_str()));
            if forged {
                reply.ede(Ede::new(EdeCode::FORGED_ANSWER, ""));
            }
        }
    }
}
