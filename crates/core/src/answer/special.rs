//! The answers for special names: loopback addresses, NXDOMAIN, or an empty zone.

use std::net::Ipv6Addr;

use crate::dns::{FoundSpecial, Full, Name, Qtype, Query, Rcode, ReplyWriter, Section, Special, flag};

/// The TTL of all records, in seconds (RFC 6303 §3).
const TTL: u32 = 10_800;
const LOCALHOST: &[u8] = b"\x09localhost\0";
/// The reverse name of 127.0.0.1.
const LOOPBACK: &[u8] = b"\x011\x010\x010\x03127\x07in-addr\x04arpa\0";
/// The SOA's mailbox, which does not exist, and the numbers of an empty zone (RFC 6303 §3).
const NOBODY: &[u8] = b"\x06nobody\x07invalid\0";
const NUMBERS: [u32; 5] = [1, 3600, 1200, 604_800, TTL];

/// Writes the reply to a question for a special name. `exists`: a zone or forward of this server lies below the
/// name, which thus exists (RFC 8020 §2).
pub fn special(reply: &mut ReplyWriter<'_, '_>, query: &Query<'_>, found: FoundSpecial<'_>, exists: bool) {
    reply.flags(flag::AA, true);
    // If a record does not fit, the writer has set TC.
    let _ = answer(reply, query, found, exists);
}

fn answer(
    reply: &mut ReplyWriter<'_, '_>,
    query: &Query<'_>,
    FoundSpecial { special, apex }: FoundSpecial<'_>,
    exists: bool,
) -> Result<(), Full> {
    let at_apex = query.qname == apex;
    let any = query.qtype == Qtype::ANY;
    match special {
        // RFC 6761 §6.3: addresses, and nothing else.
        Special::Localhost => match query.qtype {
            Qtype::A | Qtype::ANY => answers(reply, Qtype::A, &[&[127, 0, 0, 1]]),
            Qtype::AAAA => answers(reply, Qtype::AAAA, &[&Ipv6Addr::LOCALHOST.octets()]),
            _ => soa(reply, Section::Authority, apex),
        },
        Special::Invalid | Special::Test | Special::Onion | Special::Alt | Special::Local => {
            reply.rcode(if exists { Rcode::NOERROR } else { Rcode::NXDOMAIN });
            soa(reply, Section::Authority, apex)
        }
        Special::HomeArpa | Special::ServiceArpa | Special::ResolverArpa | Special::PrivateReverse => {
            if at_apex && (query.qtype == Qtype::SOA || any) {
                return soa(reply, Section::Answer, apex);
            }
            if at_apex && query.qtype == Qtype::NS {
                return answers(reply, Qtype::NS, &[apex.as_bytes()]);
            }
            let loopback = Name::parse(LOOPBACK).ok();
            let is_host = loopback == Some(query.qname) || at_apex && is_loopback6(apex);
            if is_host && (query.qtype == Qtype::PTR || any) {
                return answers(reply, Qtype::PTR, &[LOCALHOST]);
            }
            let on_the_way = loopback.is_some_and(|host| host.is_within(query.qname));
            // A client that asks for designated resolvers learns that there are none (RFC 9462 §4).
            let dns = special == Special::ResolverArpa && query.qname.offsets().is(3, b"_dns");
            let named = dns && query.qname.parent() == Some(apex);
            if !(at_apex || on_the_way || named || exists) {
                reply.rcode(Rcode::NXDOMAIN);
            }
            soa(reply, Section::Authority, apex)
        }
    }
}

/// True for the reverse name of ::1: among names with this many labels, only those of :: and ::1 are an apex.
fn is_loopback6(apex: Name<'_>) -> bool {
    let labels = apex.offsets();
    labels.count() == 34 && labels.is(34, b"1")
}

fn answers(reply: &mut ReplyWriter<'_, '_>, rtype: Qtype, rdata: &[&[u8]]) -> Result<(), Full> {
    reply.record(Section::Answer, None, rtype, TTL, rdata)
}

fn soa(reply: &mut ReplyWriter<'_, '_>, section: Section, apex: Name<'_>) -> Result<(), Full> {
    let mut numbers = [0; 20];
    for (slot, word) in numbers.chunks_exact_mut(4).zip(NUMBERS) {
        slot.copy_from_slice(&u32::to_be_bytes(word));
    }
    reply.record(section, Some(apex), Qtype::SOA, TTL, &[apex.as_bytes(), NOBODY, &numbers])
}
