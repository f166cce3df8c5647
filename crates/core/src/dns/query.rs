//! A query, checked once and borrowed from its packet.

use super::cookie::COOKIE_LEN;
use super::edns::{self, Edns, PAYLOAD_SIZE};
use super::header::{self, Header, flag};
use super::name::{MAX_NAME, Name, NameError};
use super::types::{Class, Opcode, Qtype, Rcode};

/// One well-formed query: header, exactly one question, and the OPT record if it has one.
#[derive(Clone, Copy, Debug)]
pub struct Query<'p> {
    packet: &'p [u8],
    /// The header as sent.
    pub header: Header,
    /// The name in question, in the client's case.
    pub qname: Name<'p>,
    /// The type in question.
    pub qtype: Qtype,
    /// The class in question.
    pub qclass: Class,
    /// The client's EDNS, if it sent any.
    pub edns: Option<Edns<'p>>,
    /// The cookie that every reply to it is to have, if any: [`Query::parse`] sets none.
    pub cookie: Option<[u8; COOKIE_LEN]>,
}

/// Why a packet is not a query that can be answered; determines the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Fewer than 12 octets: there is no id to reply to.
    NoHeader,
    /// A response; answering one could start a loop.
    IsResponse,
    /// An opcode other than QUERY.
    Opcode(Opcode),
    /// Not exactly one question (RFC 9619 §4).
    QuestionCount(u16),
    /// The question's name is malformed.
    Name(NameError),
    /// The message ends inside the question or a record.
    Short,
    /// Octets after the last record.
    Trailing,
    /// Two OPT records, one that is not owned by the root, or options that do not fill it
    /// (RFC 6891 §6.1.1).
    Opt,
}

impl QueryError {
    /// The response code to send; `None`: no reply.
    #[must_use]
    pub const fn rcode(self) -> Option<Rcode> {
        match self {
            Self::NoHeader | Self::IsResponse => None,
            Self::Opcode(_) => Some(Rcode::NOTIMP),
            Self::QuestionCount(_) | Self::Name(_) | Self::Short | Self::Trailing | Self::Opt => {
                Some(Rcode::FORMERR)
            }
        }
    }

    /// Writes the reply to `packet` into `out`: the header alone, because the rest of the packet can't be
    /// trusted. Returns its length; `None`: nothing is to be sent.
    #[must_use]
    pub fn reply(self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        let asked = Header::read(packet)?;
        let kept = asked.flags & (0x7800 | flag::RD | flag::CD);
        let header = Header {
            id: asked.id,
            flags: flag::QR | kept | self.rcode()?.0,
            qdcount: 0,
            ancount: 0,
            nscount: 0,
            arcount: 0,
        };
        out.get_mut(..header::HEADER_LEN)?.copy_from_slice(&header.to_bytes());
        Some(header::HEADER_LEN)
    }
}

impl<'p> Query<'p> {
    /// Checks a packet from the first octet to the last.
    ///
    /// # Errors
    /// The first error found, which determines the reply to the client.
    pub fn parse(packet: &'p [u8]) -> Result<Self, QueryError> {
        let header = Header::read(packet).ok_or(QueryError::NoHeader)?;
        if header.has(flag::QR) {
            return Err(QueryError::IsResponse);
        }
        if header.opcode() != Opcode::QUERY {
            return Err(QueryError::Opcode(header.opcode()));
        }
        if header.qdcount != 1 {
            return Err(QueryError::QuestionCount(header.qdcount));
        }
        let rest = packet.get(header::HEADER_LEN..).ok_or(QueryError::Short)?;
        let qname = Name::parse(rest).map_err(QueryError::Name)?;
        let rest = rest.get(qname.as_bytes().len()..).ok_or(QueryError::Short)?;
        let (&[a, b, c, d], mut rest) = rest.split_first_chunk::<4>().ok_or(QueryError::Short)?;

        let mut edns = None;
        let before_additional = u32::from(header.ancount) + u32::from(header.nscount);
        let records = before_additional + u32::from(header.arcount);
        for i in 0..records {
            let record;
            (record, rest) = split_record(rest).ok_or(QueryError::Short)?;
            if i >= before_additional && record.rtype == Qtype::OPT {
                if edns.is_some() || !record.root {
                    return Err(QueryError::Opt);
                }
                edns = Some(Edns::parse(record.class, record.ttl, record.rdata).ok_or(QueryError::Opt)?);
            }
        }
        if !rest.is_empty() {
            return Err(QueryError::Trailing);
        }
        Ok(Self {
            packet,
            header,
            qname,
            qtype: Qtype(u16::from_be_bytes([a, b])),
            qclass: Class(u16::from_be_bytes([c, d])),
            edns,
            cookie: None,
        })
    }

    /// The question section of the packet: name, type and class.
    #[must_use]
    pub fn question(&self) -> &'p [u8] {
        self.packet
            .get(header::HEADER_LEN..header::HEADER_LEN + self.qname.as_bytes().len() + 4)
            .unwrap_or_default()
    }

    /// The whole packet.
    #[must_use]
    pub const fn packet(&self) -> &'p [u8] {
        self.packet
    }

    /// The client requests DNSSEC records.
    #[must_use]
    pub fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|e| e.dnssec_ok)
    }
}

/// Octets of an OPT record without options.
const OPT_LEN: usize = 11;
/// The most octets of a query from [`QueryBuilder`].
pub const MAX_QUERY: usize = header::HEADER_LEN + MAX_NAME + 4 + OPT_LEN;

/// A query to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryBuilder<'n> {
    /// The id.
    pub id: u16,
    /// The header flags; see [`flag`].
    pub flags: u16,
    /// The name, in the case to send.
    pub qname: Name<'n>,
    /// The type; any value is allowed.
    pub qtype: Qtype,
    /// The class; any value is allowed.
    pub qclass: Class,
    /// `None`: no OPT record; else one that advertises [`PAYLOAD_SIZE`], with this DO bit.
    pub edns: Option<bool>,
}

impl<'n> QueryBuilder<'n> {
    /// A query as a client sends it: id 0, RD, class IN, EDNS without DO.
    #[must_use]
    pub const fn new(qname: Name<'n>, qtype: Qtype) -> Self {
        Self { id: 0, flags: flag::RD, qname, qtype, qclass: Class::IN, edns: Some(false) }
    }

    /// Writes the query into `out` and returns its octets. Allocates nothing.
    #[must_use]
    pub fn write<'o>(&self, out: &'o mut [u8; MAX_QUERY]) -> &'o [u8] {
        let Self { id, flags, .. } = *self;
        let arcount = u16::from(self.edns.is_some());
        let header = Header { id, flags, qdcount: 1, ancount: 0, nscount: 0, arcount };
        let [p0, p1] = PAYLOAD_SIZE.to_be_bytes();
        let [d0, d1] = if self.edns == Some(true) { edns::EDNS_DO } else { 0 }.to_be_bytes();
        let opt = [0, 0, 41, p0, p1, 0, 0, d0, d1, 0, 0];
        let mut len = 0;
        for part in [
            &header.to_bytes()[..],
            self.qname.as_bytes(),
            &self.qtype.0.to_be_bytes(),
            &self.qclass.0.to_be_bytes(),
            if self.edns.is_some() { &opt } else { &[] },
        ] {
            if let Some(slot) = out.get_mut(len..len + part.len()) {
                slot.copy_from_slice(part);
                len += part.len();
            }
        }
        out.get(..len).unwrap_or_default()
    }

    /// The query's octets.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.write(&mut [0; MAX_QUERY]).to_vec()
    }
}

/// A query as a client sends it; see [`QueryBuilder::new`].
#[must_use]
pub fn encode(name: Name<'_>, qtype: Qtype) -> Vec<u8> {
    QueryBuilder::new(name, qtype).to_vec()
}

/// How a reply was matched to its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMatch {
    /// By id and question.
    Question,
    /// By its id alone: servers that can't parse a query omit the question.
    IdOnly,
}

/// Whether `reply` is a reply to the query with this id and question section: a response with the same id
/// and question; the name in any case, type and class exactly (RFC 5452 §9.1). `None` if it is not. The
/// caller checks the source address.
#[must_use]
pub fn match_reply(id: u16, question: &[u8], reply: &[u8]) -> Option<ReplyMatch> {
    let header = Header::read(reply).filter(|h| h.has(flag::QR) && h.id == id)?;
    match header.qdcount {
        0 => Some(ReplyMatch::IdOnly),
        1 => {
            let theirs = reply.get(header::HEADER_LEN..)?.get(..question.len())?;
            let split = question.len().checked_sub(4)?;
            let ((name, kind), (their_name, their_kind)) =
                (question.split_at_checked(split)?, theirs.split_at_checked(split)?);
            let same = name.eq_ignore_ascii_case(their_name) && kind == their_kind;
            same.then_some(ReplyMatch::Question)
        }
        _ => None,
    }
}

struct Raw<'p> {
    root: bool,
    rtype: Qtype,
    class: u16,
    ttl: u32,
    rdata: &'p [u8],
}

/// One record; its owner is skipped, not decoded: only OPT matters in a query.
fn split_record(bytes: &[u8]) -> Option<(Raw<'_>, &[u8])> {
    let mut rest = bytes;
    loop {
        let (&len, tail) = rest.split_first()?;
        match len {
            0 => {
                rest = tail;
                break;
            }
            1..=63 => rest = tail.get(usize::from(len)..)?,
            0xc0.. => {
                rest = tail.get(1..)?;
                break;
            }
            _ => return None,
        }
    }
    let (&[t0, t1, c0, c1, l0, l1, l2, l3, n0, n1], rest) = rest.split_first_chunk::<10>()?;
    let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([n0, n1])))?;
    let raw = Raw {
        root: bytes.first() == Some(&0),
        rtype: Qtype(u16::from_be_bytes([t0, t1])),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        rdata,
    };
    Some((raw, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::NameBuf;

    /// `www.Example.org A IN`, id 0x1234, RD, with an OPT of 4096 octets and DO.
    fn sample() -> Vec<u8> {
        let mut packet =
            b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x03www\x07Example\x03org\0\0\x01\0\x01".to_vec();
        packet.extend(b"\0\0\x29\x10\0\0\0\x80\0\0\0");
        packet
    }

    #[test]
    fn a_query_is_read_in_place() {
        let packet = sample();
        let query = Query::parse(&packet).unwrap();
        assert_eq!(query.header.id, 0x1234);
        assert_eq!(query.qname.to_string(), "www.Example.org");
        assert_eq!((query.qtype, query.qclass), (Qtype::A, Class::IN));
        assert!(query.dnssec_ok());
        assert_eq!(query.edns.unwrap().payload_size, 4096);
        assert_eq!(query.question(), &packet[12..33]);
    }

    #[test]
    fn a_query_cut_anywhere_gets_formerr_or_silence() {
        let packet = sample();
        for cut in 0..packet.len() {
            let short = &packet[..cut];
            let error = Query::parse(short).unwrap_err();
            let mut out = [0; 64];
            let reply = error.reply(short, &mut out);
            if cut < 12 {
                assert_eq!((error, reply), (QueryError::NoHeader, None));
            } else {
                assert_eq!(error.rcode(), Some(Rcode::FORMERR), "cut at {cut}");
                assert_eq!(reply, Some(12));
                assert_eq!(&out[..4], b"\x12\x34\x81\x01");
            }
        }
    }

    #[test]
    fn a_query_is_written_as_it_is_read() {
        let name = NameBuf::from_text("www.example.org").unwrap();
        let longest = ["x".repeat(63), "x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
        let longest = NameBuf::from_text(&longest).unwrap();
        let plain = QueryBuilder::new(name.as_name(), Qtype::A);
        for query in [
            plain,
            QueryBuilder { id: 0xabcd, flags: flag::CD | flag::AD, edns: None, ..plain },
            QueryBuilder { qtype: Qtype(65_280), qclass: Class::CH, edns: Some(true), ..plain },
            QueryBuilder { qname: longest.as_name(), ..plain },
            QueryBuilder { qname: Name::ROOT, ..plain },
        ] {
            let octets = query.to_vec();
            let read = Query::parse(&octets).unwrap();
            assert_eq!((read.header.id, read.header.flags), (query.id, query.flags));
            assert_eq!((read.qname, read.qtype, read.qclass), (query.qname, query.qtype, query.qclass));
            assert_eq!(read.edns.map(|e| e.dnssec_ok), query.edns);
            assert!(read.edns.is_none_or(|e| e.payload_size == PAYLOAD_SIZE));
        }
    }

    #[test]
    fn only_a_reply_to_the_query_matches() {
        let packet = encode(NameBuf::from_text("Example.test").unwrap().as_name(), Qtype::A);
        let question = Query::parse(&packet).unwrap().question();
        let matched = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut reply = packet.clone();
            reply[2] |= 0x80;
            change(&mut reply);
            match_reply(0, question, &reply)
        };
        let type_at = header::HEADER_LEN + question.len() - 3;
        assert_eq!(matched(&|_| {}), Some(ReplyMatch::Question));
        assert_eq!(matched(&|r| r[13] = b'e'), Some(ReplyMatch::Question), "the case of the name may differ");
        assert_eq!(matched(&|r| r.truncate(28)), None, "cut within the question");
        assert_eq!(matched(&|r| r.truncate(12)), None, "cut after the header");
        assert_eq!(matched(&|r| r.truncate(11)), None, "no header");
        assert_eq!(matched(&|r| r[0] ^= 1), None, "another id");
        assert_eq!(matched(&|r| r[2] &= 0x7f), None, "a query");
        assert_eq!(matched(&|r| r[14] = b'y'), None, "another name");
        // 65 and 97 differ like the two cases of a letter.
        assert_eq!(matched(&|r| r[type_at] = 97), None, "another type");
        assert_eq!(matched(&|r| r[5] = 2), None, "two questions");
        assert_eq!(matched(&|r| r[5] = 0), Some(ReplyMatch::IdOnly));
    }

    #[test]
    fn each_error_has_its_response_code() {
        let with = |at: usize, bytes: &[u8]| {
            let mut p = sample();
            p[at..at + bytes.len()].copy_from_slice(bytes);
            p
        };
        let mut two_opts = with(11, &[2]);
        two_opts.extend(b"\0\0\x29\x10\0\0\0\x80\0\0\0");
        let mut trailing = sample();
        trailing.push(0);
        let mut lying = sample();
        let end = lying.len();
        lying[end - 1] = 3;
        lying.extend(b"\0\x0a\xff");
        for (packet, error) in [
            (with(2, &[0x81]), QueryError::IsResponse),
            (with(2, &[0x28]), QueryError::Opcode(Opcode::UPDATE)),
            (with(4, &[0, 0]), QueryError::QuestionCount(0)),
            (with(4, &[0xff, 0xff]), QueryError::QuestionCount(65535)),
            (with(12, &[0xc0, 0x0c]), QueryError::Name(NameError::Pointer)),
            (with(12, &[0x7f]), QueryError::Name(NameError::LabelTooLong)),
            (with(6, &[0xff, 0xff]), QueryError::Short),
            (two_opts, QueryError::Opt),
            (lying, QueryError::Opt),
            (trailing, QueryError::Trailing),
        ] {
            assert_eq!(Query::parse(&packet).unwrap_err(), error);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut packet: Vec<u8>) {
            let _ = Query::parse(&packet);
            if packet.len() > 12 {
                packet[2] = 0;
                packet[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 1]);
                let _ = Query::parse(&packet);
            }
        }
    }
}
