//! Encodes a question as a query, and checks whether a message replies to it.

use crate::dns::{self, Class, HEADER_LEN, Header, MAX_NAME, NameBuf, PAYLOAD_SIZE, Qtype, flag};

/// The question, and the flags of its query.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name, sent in the case given here.
    pub qname: NameBuf,
    /// The type; any value is passed on.
    pub qtype: Qtype,
    /// The class; any value is passed on.
    pub qclass: Class,
    /// The DO bit: request DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// The CD bit: the client validates signatures itself (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// The AD bit: request the validation status (RFC 6840 §5.7).
    pub authentic_data: bool,
}

/// The octets of an OPT record without options.
const OPT: usize = 11;
/// The most octets of a query: header, name, type, class and OPT.
const MAX_QUESTION: usize = HEADER_LEN + MAX_NAME + 4 + OPT;

/// A query in wire format, with what its reply must repeat.
#[derive(Clone)]
pub(super) struct Packet {
    octets: [u8; MAX_QUESTION],
    len: usize,
    /// Where the question section ends.
    end: usize,
}

impl Question {
    /// The query with id 0 and RD set, and with an OPT record if `edns`. Without EDNS the DO bit is not
    /// sent. `None` if the name is too long.
    pub(super) fn packet(&self, edns: bool) -> Option<Packet> {
        let bit = |on, mask| if on { mask } else { 0 };
        let flags = flag::RD | bit(self.checking_disabled, flag::CD) | bit(self.authentic_data, flag::AD);
        let header =
            Header { id: 0, flags, qdcount: 1, ancount: 0, nscount: 0, arcount: u16::from(edns) }.to_bytes();
        let [p0, p1] = PAYLOAD_SIZE.to_be_bytes();
        let [d0, d1] = bit(self.dnssec_ok, dns::EDNS_DO).to_be_bytes();
        let opt: [u8; OPT] = [0, 0, 41, p0, p1, 0, 0, d0, d1, 0, 0];
        let mut packet = Packet { octets: [0; MAX_QUESTION], len: 0, end: 0 };
        packet.add(&header)?;
        packet.add(self.qname.as_bytes())?;
        packet.add(&self.qtype.0.to_be_bytes())?;
        packet.add(&self.qclass.0.to_be_bytes())?;
        packet.end = packet.len;
        if edns {
            packet.add(&opt)?;
        }
        Some(packet)
    }
}

impl Packet {
    fn add(&mut self, part: &[u8]) -> Option<()> {
        self.octets.get_mut(self.len..self.len + part.len())?.copy_from_slice(part);
        self.len += part.len();
        Some(())
    }

    pub(super) fn set_id(&mut self, id: u16) {
        if let Some(start) = self.octets.first_chunk_mut() {
            *start = id.to_be_bytes();
        }
    }

    /// The whole message.
    pub(super) fn octets(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or_default()
    }

    /// The question section.
    pub(super) fn question(&self) -> &[u8] {
        self.octets.get(HEADER_LEN..self.end).unwrap_or_default()
    }
}

/// True if the message repeats the question section: the name in any case, type and class exactly
/// (RFC 5452 §9.1).
pub(super) fn repeats(question: &[u8], reply: &[u8]) -> bool {
    let Some(theirs) = reply.get(HEADER_LEN..HEADER_LEN + question.len()) else { return false };
    let split = question.len().saturating_sub(4);
    let (Some((name, kind)), Some((their_name, their_kind))) =
        (question.split_at_checked(split), theirs.split_at_checked(split))
    else {
        return false;
    };
    name.eq_ignore_ascii_case(their_name) && kind == their_kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            qname: NameBuf::from_text("a.test").unwrap(),
            qtype: Qtype::AAAA,
            qclass: Class::IN,
            dnssec_ok: true,
            checking_disabled: true,
            authentic_data: false,
        }
    }

    #[test]
    fn the_message_is_as_asked() {
        let mut packet = question().packet(true).unwrap();
        packet.set_id(0x1234);
        let bare = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x1c\0\x01";
        let mut whole = [&bare[..], b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"].concat();
        whole[11] = 1;
        assert_eq!(packet.octets(), whole);
        assert_eq!(packet.question(), &bare[HEADER_LEN..]);
        let mut packet = question().packet(false).unwrap();
        packet.set_id(0x1234);
        assert_eq!(packet.octets(), bare);
    }

    #[test]
    fn a_reply_repeats_the_question_in_any_case() {
        let packet = question().packet(true).unwrap();
        let reply = packet.octets();
        assert!(repeats(packet.question(), &reply.to_ascii_uppercase()));
        for (at, octet) in [(13, b'b'), (20, 1), (22, 3)] {
            let mut other = reply.to_vec();
            other[at] = octet;
            assert!(!repeats(packet.question(), &other), "{at}");
        }
        assert!(!repeats(packet.question(), &reply[..packet.question().len()]));
    }
}
