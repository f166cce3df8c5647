//! A question, and the query that is sent for it.

use crate::dns::{Class, HEADER_LEN, MAX_NAME, MAX_QUERY, Name, NameBuf, Qtype, QueryBuilder, flag};

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

/// A query in wire format, with what its reply must repeat.
#[derive(Clone)]
pub(super) struct Packet {
    octets: [u8; MAX_QUERY],
    len: usize,
    /// Where the question section ends.
    end: usize,
}

impl Question {
    /// The query with id 0 and RD set, and with an OPT record if `edns`. Without EDNS the DO bit is not
    /// sent.
    pub(super) fn packet(&self, edns: bool) -> Packet {
        let bit = |on, mask| if on { mask } else { 0 };
        let query = QueryBuilder {
            id: 0,
            flags: flag::RD | bit(self.checking_disabled, flag::CD) | bit(self.authentic_data, flag::AD),
            qname: self.qname.as_name(),
            qtype: self.qtype,
            qclass: self.qclass,
            edns: edns.then_some(self.dnssec_ok),
        };
        let mut octets = [0; MAX_QUERY];
        let len = query.write(&mut octets).len();
        // The type and the class follow the name.
        Packet { octets, len, end: HEADER_LEN + self.qname.as_bytes().len() + 4 }
    }
}

impl Question {
    /// The same question, each letter in upper or lower case at random (draft-vixie-dnsext-dns0x20). As it
    /// is, if there is no randomness.
    pub(super) fn in_mixed_case(self) -> Self {
        let mut octets = [0; MAX_NAME];
        let Ok(random) = getrandom::u64().and_then(|one| Ok([one, getrandom::u64()?])) else { return self };
        let name = self.qname.as_bytes();
        let mut bits = random
            .map(u64::to_ne_bytes)
            .concat()
            .into_iter()
            .flat_map(|octet| (0..8).map(move |at| octet >> at & 1));
        let mut at = 0;
        // Labels alone: a length octet may look like a letter.
        for (octet, slot) in name.iter().zip(&mut octets) {
            *slot = *octet;
            if at > 0 {
                at -= 1;
                if octet.is_ascii_alphabetic() && bits.next() == Some(1) {
                    *slot ^= 0x20;
                }
            } else {
                at = usize::from(*octet);
            }
        }
        let mixed = octets.get(..name.len()).and_then(|mixed| Name::parse(mixed).ok());
        match mixed {
            Some(mixed) => Self { qname: mixed.to_buf(), ..self },
            None => self,
        }
    }
}

impl Packet {
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
    fn the_case_is_mixed_and_nothing_else() {
        let long = ["a1-b".repeat(15), "z".repeat(63), "c".repeat(61)].join(".");
        for name in ["a.test", ".", &long] {
            let plain = Question { qname: NameBuf::from_text(name).unwrap(), ..question() };
            let mixed: Vec<_> = (0..64).map(|_| plain.clone().in_mixed_case().qname).collect();
            assert!(mixed.iter().all(|qname| qname.as_bytes().eq_ignore_ascii_case(plain.qname.as_bytes())));
            assert_eq!(mixed.iter().any(|qname| qname.as_bytes() != plain.qname.as_bytes()), name != ".");
        }
    }

    #[test]
    fn the_message_is_as_asked() {
        let mut packet = question().packet(true);
        packet.set_id(0x1234);
        let bare = b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x1c\0\x01";
        let mut whole = [&bare[..], b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"].concat();
        whole[11] = 1;
        assert_eq!(packet.octets(), whole);
        assert_eq!(packet.question(), &bare[HEADER_LEN..]);
        let mut packet = question().packet(false);
        packet.set_id(0x1234);
        assert_eq!(packet.octets(), bare);
    }
}
