//! Writes forged answers, including quirks and faults.
//!
//! [`ReplyWriter`](portcullis_core::dns::ReplyWriter) writes only correct replies, so forgeries are
//! assembled here.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::action::{Addresses, Body, Forged, Other, Soa};
use super::asked::{Asked, Counter, Turns};
use super::draw::Draw;
use super::scenario::{Pick, Pool, Scenario};
use super::shape::{EdnsManner, Malform, Shape, TtlMode};
use portcullis_core::dns::{
    self, Class, Folded, Header, Name, OPTION_EDE, PAYLOAD_SIZE, Qtype, Query, Rcode, Transport, flag,
};

/// The result of forging an answer to one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forgery {
    /// A message.
    Reply(Vec<u8>),
    /// No forgery; the genuine answer may pass.
    Pass,
    /// No reply.
    Nothing,
}

/// One forged answer to one question.
pub(super) fn forge(
    scenario: &Scenario,
    forged: &Forged,
    asked: Asked<'_, '_>,
    draw: Draw,
    turns: &dyn Turns,
) -> Forgery {
    let shape = &forged.shape;
    let qtype = asked.query.qtype;
    let picker = Picker { scenario, asked, draw, turns };
    let ttl_of = |whole| shape.ttl_now(whole, asked, draw);
    let ttl = ttl_of(shape.ttl);
    let mut message = Message::new(asked, shape);
    let other = match &forged.body {
        Body::Rcode(rcode, soa) => {
            message.rcode = *rcode;
            message.soa(soa, ttl);
            Other::NoData
        }
        Body::NoData(soa) => {
            message.soa(soa, ttl);
            Other::NoData
        }
        Body::Addresses { a, aaaa, other } => {
            if message.addresses(None, ttl, &picker.of(qtype, a, aaaa)) {
                Other::NoData
            } else {
                *other
            }
        }
        Body::Cname { target, a, aaaa, target_ttl, other } => match (qtype, other) {
            (Qtype::A | Qtype::AAAA | Qtype::CNAME, _) | (_, Other::Alias) => {
                message.record(None, Qtype::CNAME, ttl, target.as_bytes());
                message.addresses(Some(target.as_name()), ttl_of(*target_ttl), &picker.of(qtype, a, aaaa));
                Other::NoData
            }
            _ => *other,
        },
        Body::Truncated if asked.transport == Transport::Tcp => Other::Pass,
        Body::Truncated => {
            message.flags |= flag::TC;
            Other::NoData
        }
        Body::Raw(octets) => {
            return Forgery::Reply([&message.id.to_be_bytes(), &octets[..]].concat());
        }
    };
    match other {
        Other::NoData | Other::Alias => {}
        Other::Pass => return Forgery::Pass,
        Other::Drop => return Forgery::Nothing,
        Other::A => {
            let (Body::Addresses { a, .. } | Body::Cname { a, .. }) = &forged.body else {
                return Forgery::Nothing;
            };
            for address in picker.v4(a) {
                message.record(None, Qtype::A, ttl, &address.octets());
            }
        }
    }
    Forgery::Reply(message.finish(asked))
}

/// A plain answer with one record of the requested type and class.
pub(super) fn one_record(query: &Query<'_>, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 512];
    let mut reply = portcullis_core::dns::ReplyWriter::new(query, &mut out, 512);
    let kind = (query.qtype, query.qclass);
    // One record of a few octets always fits.
    let _ = reply.record_in(portcullis_core::dns::Section::Answer, None, kind, ttl, &[rdata]);
    let len = reply.finish();
    out.truncate(len);
    out
}

impl Shape {
    /// The current value of a TTL of `whole` seconds. All records of one answer use the same draw.
    fn ttl_now(&self, whole: u32, asked: Asked<'_, '_>, draw: Draw) -> u32 {
        match self.ttl_mode {
            TtlMode::Static => whole,
            TtlMode::Tick => {
                let gone = asked.uptime.as_secs() % u64::from(whole.max(1));
                whole - u32::try_from(gone).unwrap_or(0).min(whole)
            }
            TtlMode::Random(least) => {
                let least = least.min(whole);
                let width = u64::from(whole - least) + 1;
                least + u32::try_from(draw.number(u64::MAX).below(width)).unwrap_or(0)
            }
        }
    }
}

/// Chooses addresses.
struct Picker<'s, 'q, 'p> {
    scenario: &'s Scenario,
    asked: Asked<'q, 'p>,
    draw: Draw,
    turns: &'s dyn Turns,
}

/// The addresses for one type.
enum Found {
    V4(Vec<Ipv4Addr>),
    V6(Vec<Ipv6Addr>),
    None,
}

impl Picker<'_, '_, '_> {
    fn of(&self, qtype: Qtype, a: &Addresses<Ipv4Addr>, aaaa: &Addresses<Ipv6Addr>) -> Found {
        match qtype {
            Qtype::A => Found::V4(self.v4(a)),
            Qtype::AAAA => Found::V6(self.some(aaaa, 6, |pool| &pool.v6)),
            _ => Found::None,
        }
    }

    fn v4(&self, a: &Addresses<Ipv4Addr>) -> Vec<Ipv4Addr> {
        self.some(a, 4, |pool| &pool.v4)
    }

    fn some<T: Copy>(&self, addresses: &Addresses<T>, family: u64, of: impl Fn(&Pool) -> &Vec<T>) -> Vec<T> {
        match addresses {
            Addresses::These(all) => all.clone(),
            Addresses::Pool(place) => {
                let Some(pool) = self.scenario.pools.get(usize::from(*place)) else { return Vec::new() };
                self.one(*place, pool, family, of(pool)).into_iter().collect()
            }
        }
    }

    fn one<T: Copy>(&self, place: u16, pool: &Pool, family: u64, all: &[T]) -> Option<T> {
        let qname = Folded::new(self.asked.query.qname);
        let name = Draw::new(self.asked.seed).octets(pool.id.as_bytes()).octets(qname.from(0));
        // The name's part of the pool begins at some index and wraps around.
        let count = if pool.per_name == 0 { all.len() } else { pool.per_name.min(all.len()) } as u64;
        let (first, of) =
            if pool.per_name == 0 { (0, 0) } else { (name.below(all.len() as u64), name.finish()) };
        // Each family rotates on its own: a client that alternates between A and AAAA sees all of both.
        let of = if family == 4 { of } else { Draw::new(of).number(family).finish() };
        let nth = match pool.pick {
            Pick::Cycle => self.turns.turn(Counter::Pool(place, of)) % count.max(1),
            Pick::Hash => name.number(1).below(count),
            Pick::Random => self.draw.octets(pool.id.as_bytes()).below(count),
        };
        let at = (first + nth) % (all.len() as u64).max(1);
        all.get(usize::try_from(at).ok()?).copied()
    }
}

/// A message under construction.
struct Message<'a> {
    shape: &'a Shape,
    id: u16,
    flags: u16,
    rcode: Rcode,
    answer: Vec<u8>,
    ancount: u16,
    authority: Vec<u8>,
    nscount: u16,
    /// Offset of the last record's data length in the answer.
    last_length: usize,
}

impl<'a> Message<'a> {
    fn new(asked: Asked<'_, '_>, shape: &'a Shape) -> Self {
        let asked = asked.query.header;
        let mut flags = match shape.flags {
            Some(flags) => {
                if asked.has(flag::RD) {
                    flags.rd
                } else {
                    flags.no_rd
                }
            }
            None => flag::QR | flag::RA | asked.flags & flag::RD,
        };
        if shape.echo_ad {
            flags |= asked.flags & flag::AD;
        }
        let id = if shape.malform == Malform::WrongId { !asked.id } else { asked.id };
        let (answer, authority) = (Vec::new(), Vec::new());
        Self {
            shape,
            id,
            flags,
            rcode: Rcode::NOERROR,
            answer,
            ancount: 0,
            authority,
            nscount: 0,
            last_length: 0,
        }
    }

    fn record(&mut self, owner: Option<Name<'_>>, rtype: Qtype, ttl: u32, rdata: &[u8]) {
        put_record(&mut self.answer, owner, rtype, ttl, rdata);
        self.last_length = self.answer.len() - rdata.len() - 2;
        self.ancount += 1;
    }

    /// False if there are none.
    fn addresses(&mut self, owner: Option<Name<'_>>, ttl: u32, found: &Found) -> bool {
        let before = self.ancount;
        match found {
            Found::V4(all) => all.iter().for_each(|a| self.record(owner, Qtype::A, ttl, &a.octets())),
            Found::V6(all) => all.iter().for_each(|a| self.record(owner, Qtype::AAAA, ttl, &a.octets())),
            Found::None => {}
        }
        self.ancount > before
    }

    fn soa(&mut self, soa: &Soa, own_ttl: u32) {
        match soa {
            Soa::None => return,
            // Its MNAME is the name itself, its RNAME the root, its timers are usual ones.
            Soa::Own => {
                let mut rdata = vec![0xc0, 12, 0];
                for number in [1u32, 3600, 600, 86_400, 60] {
                    rdata.extend(number.to_be_bytes());
                }
                put_record(&mut self.authority, None, Qtype::SOA, own_ttl, &rdata);
            }
            Soa::Given { owner, ttl, rdata } => {
                put_record(&mut self.authority, Some(owner.as_name()), Qtype::SOA, *ttl, rdata);
            }
        }
        self.nscount += 1;
    }

    fn finish(self, asked: Asked<'_, '_>) -> Vec<u8> {
        let (query, shape) = (asked.query, self.shape);
        let over_tcp = asked.transport == Transport::Tcp;
        let question = query.question();
        let mut asked_name = question.to_vec();
        if shape.lower_case {
            // Length octets are below any letter; type and class stay unchanged.
            let name = asked_name.len().saturating_sub(4);
            if let Some(name) = asked_name.get_mut(..name) {
                name.make_ascii_lowercase();
            }
        }
        if shape.malform == Malform::NoQclassTcp && over_tcp {
            asked_name.truncate(asked_name.len().saturating_sub(2));
        }
        // What follows the question in the client's query: its OPT record, if it has EDNS.
        let tail = query.packet().get(dns::HEADER_LEN + question.len()..).unwrap_or_default();
        let append = shape.malform == Malform::AppendAfterOpt && query.edns.is_some();
        let (mut additional, mut arcount) = (Vec::new(), 0u16);
        for extra in &shape.extra {
            let owner = extra.owner.as_ref().map(portcullis_core::dns::NameBuf::as_name);
            put_record(&mut additional, owner, extra.rtype, extra.ttl, &extra.rdata);
            arcount += 1;
        }
        match (shape.edns, query.edns) {
            (EdnsManner::Keep, Some(edns)) if !append => {
                let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
                let [p0, p1] = PAYLOAD_SIZE.to_be_bytes();
                let options = shape.ede.as_ref().map_or_else(Vec::new, |(code, text)| {
                    let len = u16::try_from(text.len() + 2).unwrap_or(2);
                    [&OPTION_EDE.to_be_bytes(), &len.to_be_bytes(), &code.0.to_be_bytes(), text.as_bytes()]
                        .concat()
                });
                let [n0, n1] = u16::try_from(options.len()).unwrap_or(0).to_be_bytes();
                // The upper bits of a code that does not fit four bits (RFC 6891 §6.1.3).
                let [_, high] = (self.rcode.0 >> 4).to_be_bytes();
                additional.extend([0, 0, 41, p0, p1, high, 0, dnssec_ok, 0, n0, n1]);
                additional.extend(options);
                arcount += 1;
            }
            (EdnsManner::Echo, Some(_)) if !append => {
                additional.extend_from_slice(tail);
                arcount += query.header.arcount;
            }
            _ => {}
        }
        let (before, arcount) =
            if append { (tail, arcount + query.header.arcount) } else { (&[][..], arcount) };
        let header = Header {
            id: self.id,
            flags: self.flags | self.rcode.0 & 0xf,
            qdcount: 1,
            ancount: self.ancount,
            nscount: self.nscount,
            arcount,
        };
        let mut answer = self.answer;
        // The last record is one octet shorter, and its length matches.
        if shape.malform == Malform::ShortRdata
            && let Some([_, low]) = answer.get_mut(self.last_length..).and_then(<[u8]>::first_chunk_mut)
        {
            *low = low.saturating_sub(1);
            answer.pop();
        }
        let after: &[u8] = if shape.malform == Malform::ExtraBytes { &[0; 4] } else { &[] };
        let head = header.to_bytes();
        let parts: [&[u8]; 7] = [&head, &asked_name, before, &answer, &self.authority, &additional, after];
        let whole = parts.concat();
        // Not even a forger can send more than the client accepts.
        if whole.len() > asked.transport.limit(query) {
            let flags = header.flags | flag::TC;
            let header = Header { flags, ancount: 0, nscount: 0, arcount: 0, ..header };
            return [&header.to_bytes()[..], &asked_name].concat();
        }
        whole
    }
}

fn put_record(out: &mut Vec<u8>, owner: Option<Name<'_>>, rtype: Qtype, ttl: u32, rdata: &[u8]) {
    // A pointer to the question's name, right after the header.
    out.extend_from_slice(owner.map_or(&[0xc0, 12], Name::as_bytes));
    out.extend(rtype.0.to_be_bytes());
    out.extend(Class::IN.0.to_be_bytes());
    out.extend(ttl.to_be_bytes());
    out.extend(u16::try_from(rdata.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(rdata);
}
