//! A bounded walk over an untrusted reply: its records, their TTLs, and its text form.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::ede::EdeCode;
use super::edns::{Edns, OPTION_EDE};
use super::header::{self, Header};
use super::name::{MAX_LABELS, MAX_NAME, Name, NameBuf};
use super::rdata;
use super::reply::Section;
use super::types::{Class, Qtype, Rcode};

/// A reply whose structure has been checked: every record lies within the message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    bytes: &'m [u8],
    /// The header.
    pub header: Header,
    question_end: usize,
}

/// One record, located within the message.
#[derive(Clone, Copy, Debug)]
pub struct Record<'m> {
    /// Its section.
    pub section: Section,
    /// Offset of its owner name in the message, in octets.
    pub start: usize,
    /// Offset of its TTL.
    pub ttl_at: usize,
    /// The type.
    pub rtype: Qtype,
    /// The class (for OPT, the payload size).
    pub class: u16,
    /// The time to live in seconds (for OPT, extended code, version and flags).
    pub ttl: u32,
    /// The RDATA; names in it may be compressed.
    pub rdata: &'m [u8],
}

impl Record<'_> {
    /// Offset of its RDATA in the message, in octets (RFC 1035 §4.1.3).
    #[must_use]
    pub const fn rdata_at(&self) -> usize {
        self.ttl_at + 6
    }
}

impl<'m> Message<'m> {
    /// Checks a message with exactly one question; `None` if its counts or lengths are wrong.
    #[must_use]
    pub fn parse(bytes: &'m [u8]) -> Option<Self> {
        let header = Header::read(bytes)?;
        if header.qdcount != 1 {
            return None;
        }
        let name = Name::parse(bytes.get(header::HEADER_LEN..)?).ok()?;
        let question_end = header::HEADER_LEN + name.as_bytes().len() + 4;
        if bytes.len() < question_end {
            return None;
        }
        let message = Self { bytes, header, question_end };
        let records = message.records();
        let expected =
            usize::from(header.ancount) + usize::from(header.nscount) + usize::from(header.arcount);
        (records.count() == expected).then_some(message)
    }

    /// A message that was checked before and stored without its header: `bytes` has its length, with the
    /// question and the records at their original offsets, so that compression pointers stay valid. If the
    /// caller breaks this, the walk over the records merely ends early.
    #[must_use]
    pub const fn kept(bytes: &'m [u8], header: Header, question_end: usize) -> Self {
        Self { bytes, header, question_end }
    }

    /// Offset of the end of the question, where the records begin.
    #[must_use]
    pub const fn question_end(&self) -> usize {
        self.question_end
    }

    /// The question's name.
    #[must_use]
    pub fn qname(&self) -> Option<Name<'m>> {
        Name::parse(self.bytes.get(header::HEADER_LEN..)?).ok()
    }

    /// The question's octets: name, type and class.
    #[must_use]
    pub fn question(&self) -> &'m [u8] {
        self.bytes.get(header::HEADER_LEN..self.question_end).unwrap_or_default()
    }

    /// The whole message.
    #[must_use]
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// All records in order; ends early if the message does.
    pub fn records(&self) -> impl Iterator<Item = Record<'m>> + use<'m> {
        let bytes = self.bytes;
        let mut at = self.question_end;
        let mut left = [
            (Section::Answer, self.header.ancount),
            (Section::Authority, self.header.nscount),
            (Section::Additional, self.header.arcount),
        ];
        std::iter::from_fn(move || {
            let (section, count) = left.iter_mut().find(|(_, n)| *n > 0)?;
            let record = read_record(bytes, at, *section)?;
            *count -= 1;
            at = record.rdata_at() + record.rdata.len();
            Some(record)
        })
    }

    /// Offset of the end of the last record; octets after it are not part of the message.
    #[must_use]
    pub fn end(&self) -> usize {
        self.records().last().map_or(self.question_end, |r| r.rdata_at() + r.rdata.len())
    }

    /// The contents of the OPT record, if there is a well-formed one.
    #[must_use]
    pub fn edns(&self) -> Option<Edns<'m>> {
        let opt = self.records().find(|r| r.section == Section::Additional && r.rtype == Qtype::OPT)?;
        Edns::parse(opt.class, opt.ttl, opt.rdata)
    }

    /// The response code, including the upper bits in the OPT record.
    #[must_use]
    pub fn rcode(&self) -> Rcode {
        let opt = self.records().find(|r| r.section == Section::Additional && r.rtype == Qtype::OPT);
        let high = opt.map_or(0, |r| u16::from(r.ttl.to_be_bytes()[0]));
        Rcode(high << 4 | self.header.rcode().0)
    }

    /// The Extended DNS Errors in the OPT record: code and EXTRA-TEXT.
    pub fn edes(&self) -> impl Iterator<Item = (EdeCode, String)> + use<'m> {
        self.edns().into_iter().flat_map(|e| e.options()).filter(|(code, _)| *code == OPTION_EDE).filter_map(
            |(_, data)| {
                let (&[a, b], text) = data.split_first_chunk::<2>()?;
                Some((EdeCode(u16::from_be_bytes([a, b])), String::from_utf8_lossy(text).into_owned()))
            },
        )
    }

    /// The name at an offset, with compression pointers followed. They must point backwards, so the walk
    /// ends. `None` if the name is malformed.
    #[must_use]
    pub fn name_at(&self, at: usize) -> Option<NameBuf> {
        self.name_into(at, &mut [0; MAX_NAME]).map(Name::to_buf)
    }

    /// Like [`Message::name_at`], but written into the caller's buffer: nothing is allocated
    /// (RFC 1035 §4.1.4).
    #[must_use]
    pub fn name_into<'b>(&self, mut at: usize, buf: &'b mut [u8; MAX_NAME]) -> Option<Name<'b>> {
        let mut len = 0;
        let mut barrier = at;
        let mut pointers = 0;
        loop {
            let first = *self.bytes.get(at)?;
            match first {
                0..=63 => {
                    let label = self.bytes.get(at..=at + usize::from(first))?;
                    buf.get_mut(len..len + label.len())?.copy_from_slice(label);
                    len += label.len();
                    at += label.len();
                    if first == 0 {
                        return buf.get(..len).map(Name::stored);
                    }
                }
                0xc0.. => {
                    let low = *self.bytes.get(at + 1)?;
                    let target = usize::from(u16::from_be_bytes([first & 0x3f, low]));
                    // Pointers to pointers add no octets: without this limit, a reply full of them would
                    // cost thousands of steps for each name.
                    pointers += 1;
                    if target >= barrier || pointers > MAX_LABELS {
                        return None;
                    }
                    barrier = target;
                    at = target;
                }
                _ => return None,
            }
        }
    }

    /// The name at an offset with its final dot, or `?` if it is malformed.
    #[must_use]
    pub fn owner_text(&self, record: &Record<'m>) -> String {
        self.dotted_at(record.start).unwrap_or_else(|| "?.".into())
    }

    fn dotted_at(&self, at: usize) -> Option<String> {
        self.name_at(at).map(|name| name.as_name().dotted())
    }

    /// A record's data in presentation format; in RFC 3597 format for other types.
    #[must_use]
    pub fn rdata_text(&self, record: &Record<'m>) -> String {
        let at = record.rdata_at();
        let data = record.rdata;
        let known = match record.rtype {
            Qtype::A => <[u8; 4]>::try_from(data).ok().map(|a| Ipv4Addr::from(a).to_string()),
            Qtype::AAAA => <[u8; 16]>::try_from(data).ok().map(|a| Ipv6Addr::from(a).to_string()),
            Qtype::CNAME | Qtype::NS | Qtype::PTR | Qtype::DNAME => self.dotted_at(at),
            Qtype::MX => data
                .first_chunk::<2>()
                .and_then(|p| Some(format!("{} {}", u16::from_be_bytes(*p), self.dotted_at(at + 2)?))),
            Qtype::HTTPS | Qtype::SVCB => rdata::binding_text(record.rtype, data),
            Qtype::TXT | Qtype::HINFO => Some(character_strings(data)),
            Qtype::SOA => self.soa_text(at, data),
            _ => None,
        };
        known.unwrap_or_else(|| {
            let hex: String = data.iter().map(|b| format!("{b:02x}")).collect();
            format!("\\# {} {hex}", data.len())
        })
    }

    fn soa_text(&self, at: usize, data: &[u8]) -> Option<String> {
        let numbers = data.last_chunk::<20>()?;
        let second = at + skip_name(data)?;
        let mut text = format!("{} {}", self.dotted_at(at)?, self.dotted_at(second)?);
        for word in numbers.chunks_exact(4) {
            if let Ok(word) = <[u8; 4]>::try_from(word) {
                text.push_str(&format!(" {}", u32::from_be_bytes(word)));
            }
        }
        Some(text)
    }
}

impl fmt::Display for Message<'_> {
    /// The reply in the style of `dig`: status, flags, errors, then records.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "status: {}, flags:", self.rcode())?;
        for (bit, name) in [
            (header::flag::QR, "qr"),
            (header::flag::AA, "aa"),
            (header::flag::TC, "tc"),
            (header::flag::RD, "rd"),
            (header::flag::RA, "ra"),
            (header::flag::AD, "ad"),
            (header::flag::CD, "cd"),
        ] {
            if self.header.has(bit) {
                write!(f, " {name}")?;
            }
        }
        writeln!(f)?;
        for (code, text) in self.edes() {
            writeln!(f, "EDE: {code}{}{text}", if text.is_empty() { "" } else { ": " })?;
        }
        for record in self.records().filter(|r| r.rtype != Qtype::OPT) {
            let section = match record.section {
                Section::Answer => "answer",
                Section::Authority => "authority",
                Section::Additional => "additional",
            };
            let owner = self.owner_text(&record);
            let (class, rtype) = (Class(record.class), record.rtype);
            writeln!(f, "{section:<10} {owner} {} {class} {rtype} {}", record.ttl, self.rdata_text(&record))?;
        }
        Ok(())
    }
}

fn character_strings(mut data: &[u8]) -> String {
    let mut text = String::new();
    while let Some((&len, rest)) = data.split_first() {
        let Some((part, tail)) = rest.split_at_checked(usize::from(len)) else { break };
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&format!("\"{}\"", part.escape_ascii()));
        data = tail;
    }
    text
}

/// The number of octets that a possibly compressed name occupies at its position.
pub(super) fn skip_name(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            len @ 1..=63 => at += 1 + usize::from(len),
            0xc0.. => return Some(at + 2),
            _ => return None,
        }
    }
}

fn read_record(bytes: &[u8], start: usize, section: Section) -> Option<Record<'_>> {
    let fixed = start + skip_name(bytes.get(start..)?)?;
    let &[t0, t1, c0, c1, l0, l1, l2, l3, n0, n1] = bytes.get(fixed..)?.first_chunk::<10>()?;
    let data = fixed + 10;
    let rdata = bytes.get(data..data + usize::from(u16::from_be_bytes([n0, n1])))?;
    Some(Record {
        section,
        start,
        ttl_at: fixed + 4,
        rtype: Qtype(u16::from_be_bytes([t0, t1])),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes([l0, l1, l2, l3]),
        rdata,
    })
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "tests make small numbers and read the clock"
)]
mod tests {
    use super::*;

    #[test]
    fn pointer_loops_are_refused() {
        let mut bytes = b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
        let start = bytes.len();
        bytes.extend([0xc0, start as u8, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        let message = Message::parse(&bytes).unwrap();
        let record = message.records().next().unwrap();
        assert_eq!(message.rdata_text(&record), "192.0.2.1");
        assert_eq!(message.name_at(record.start), None);
    }

    #[test]
    fn data_is_written_as_in_a_master_file() {
        for (rtype, text) in [
            (Qtype::MX, "0 ."),
            (Qtype::MX, "10 mx.org."),
            (Qtype::NS, "."),
            (Qtype::SOA, ". . 1 2 3 4 5"),
            (Qtype::HTTPS, "1 . alpn=h2,h3 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"),
            (Qtype::HTTPS, "0 a.org."),
            (Qtype::SVCB, "1 a. mandatory=alpn,port alpn=dot no-default-alpn port=853 dohpath=/q key99=x"),
            // No text would be parsed back to these octets.
            (Qtype::HTTPS, r"\# 7 00010000010000"),
            (Qtype::HTTPS, r"\# 9 000100000100020261"),
            (Qtype::HTTPS, r"\# 2 0001"),
        ] {
            let data = rdata::from_text(rtype, text, Name::ROOT).unwrap();
            let mut bytes = b"\0\0\x81\x80\0\x01\0\x01\0\0\0\0\0\0\x01\0\x01\0".to_vec();
            for word in [rtype.0, 1, 0, 9, data.len() as u16] {
                bytes.extend(word.to_be_bytes());
            }
            bytes.extend(data);
            let message = Message::parse(&bytes).unwrap();
            let record = message.records().next().unwrap();
            let shown = if text.contains(" 7 ") { "1 . alpn=" } else { text };
            assert_eq!((message.owner_text(&record), &*message.rdata_text(&record)), (".".into(), shown));
        }
    }

    #[test]
    fn a_name_is_put_together_from_its_pieces() {
        // Four labels with a total of 255 octets, and one octet more.
        let labels = |last: u8| -> Vec<u8> {
            let label = |len: u8| [&[len][..], &vec![b'x'; usize::from(len)]].concat();
            [label(63), label(63), label(63), label(last), vec![0]].concat()
        };
        let longest = [&*"x".repeat(63), &*"x".repeat(63), &*"x".repeat(63), &*"x".repeat(61)].join(".");
        // Each pointer leads to the previous one, the first to the question.
        let chain: Vec<u8> =
            (0..130u16).flat_map(|i| (0xc000 | if i == 0 { 12 } else { 17 + 2 * i }).to_be_bytes()).collect();
        for (bytes, at, name) in [
            (&b"\x01b\xc0\x0c"[..], 0, Some("b.a")),
            (b"\x01b\0", 0, Some("b")),
            (b"\0", 0, Some(".")),
            (b"\xc0\x0c", 0, Some("a")),
            (b"\x01c\xc0\x0c\x01b\xc0\x13", 4, Some("b.c.a")),
            // Forwards, to itself, cut off, of a reserved type.
            (b"\xc0\x17\0\0\0", 0, None),
            (b"\xc0\x13", 0, None),
            (b"\x01b\xc0\x13", 0, None),
            (b"\xc0", 0, None),
            (b"\x05ab", 0, None),
            (b"\x80", 0, None),
            (&labels(61), 0, Some(&*longest)),
            (&labels(62), 0, None),
            (&chain, 38, Some("a")),
            (&chain, 258, None),
        ] {
            // The name starts after the question `a.`, at offset 19.
            let message = [b"\0\0\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01", bytes].concat();
            let message = Message::parse(&message).unwrap();
            assert_eq!(message.name_at(19 + at).map(|n| n.to_string()).as_deref(), name, "{bytes:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>) {
            if bytes.len() > 20 {
                bytes[4..6].copy_from_slice(&[0, 1]);
                bytes[6] = 0;
                bytes[8] = 0;
                bytes[10] = 0;
                bytes[12] = 0;
            }
            if let Some(message) = Message::parse(&bytes) {
                let _ = message.to_string();
            }
        }
    }
}
