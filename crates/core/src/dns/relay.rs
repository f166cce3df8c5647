//! Rewrites a received reply: removes a parameter, decompresses names.
//!
//! Names in RDATA may be compressed against other parts of their message. Code that moves a record has to
//! decompress them first, for the types that RFC 3597 §4 lists; no other type may contain a compressed
//! name.

use std::collections::BTreeSet;

use super::edns::split_option;
use super::header::{Header, MAX_MESSAGE, flag};
use super::message::{Message, Record, skip_name};
use super::name::{MAX_NAME, Name};
use super::reply::Section;
use super::types::Qtype;

/// The parameter `mandatory` (RFC 9460 §8).
const MANDATORY: u16 = 0;
/// The parameter `ech`: the keys for an encrypted ClientHello (RFC 9460 §14.3.2, RFC 9848 §3).
const ECH: u16 = 5;

/// The reply without the `ech` parameter of its HTTPS and SVCB records (RFC 9460 §2.2), including its key
/// in `mandatory` (§8). `None` if it has none, is malformed, or would exceed 65,535 octets.
///
/// The RRSIGs of a changed RRset are removed too, and AD is cleared: the signature is no longer valid
/// (RFC 4035 §3.2.3). All other records keep their order and meaning, including the OPT record and its
/// options; names are decompressed, so the reply may become longer. A record with a malformed name is
/// dropped.
#[must_use]
pub fn without_ech(reply: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(reply)?;
    let set = |record: &Record<'_>, rtype| {
        message.name_at(record.start).map(|owner| (owner.as_name().to_folded(), record.class, rtype))
    };
    let changed = message.records().filter(|r| stripped(r).is_some());
    let changed: BTreeSet<_> = changed.map(|r| set(&r, r.rtype)).collect();
    if changed.is_empty() {
        return None;
    }
    let signs_changed = |record: &Record<'_>| match (record.rtype, record.rdata.first_chunk::<2>()) {
        (Qtype::RRSIG, Some(covered)) => changed.contains(&set(record, Qtype(u16::from_be_bytes(*covered)))),
        _ => false,
    };

    let mut header = message.header;
    header.flags &= !flag::AD;
    [header.ancount, header.nscount, header.arcount] = [0; 3];
    let mut out = header.to_bytes().to_vec();
    out.extend_from_slice(message.question());
    for record in message.records().filter(|r| !signs_changed(r)) {
        if copy(&message, &record, &mut out).is_some() {
            let count = match record.section {
                Section::Answer => &mut header.ancount,
                Section::Authority => &mut header.nscount,
                Section::Additional => &mut header.arcount,
            };
            *count = count.saturating_add(1);
        }
    }
    finish(header, out)
}

/// The RDATA of a record with all its names uncompressed; other types verbatim. `None` if it is too short
/// or too long for its type, or a name in it is malformed.
///
/// These are the types of RFC 1035 §3.3 and of RFC 3597 §4, plus KX, DNAME and RRSIG, whose names should
/// not be compressed but sometimes are.
#[must_use]
pub fn expanded_rdata(message: &Message<'_>, record: &Record<'_>) -> Option<Vec<u8>> {
    let Some(layout) = layout(record.rtype) else { return Some(record.rdata.to_vec()) };
    let mut out = Vec::with_capacity(record.rdata.len() + 32);
    let mut rest = record.rdata;
    let mut name = [0; MAX_NAME];
    for part in layout {
        let len = match part {
            Part::Octets(len) => *len,
            Part::Text => 1 + usize::from(*rest.first()?),
            Part::Name => skip_name(rest)?,
            Part::Rest => rest.len(),
        };
        let (octets, tail) = rest.split_at_checked(len)?;
        if matches!(part, Part::Name) {
            let at = record.rdata_at() + (record.rdata.len() - rest.len());
            out.extend_from_slice(message.name_into(at, &mut name)?.as_bytes());
        } else {
            out.extend_from_slice(octets);
        }
        rest = tail;
    }
    rest.is_empty().then_some(out)
}

/// A field of RDATA.
pub(super) enum Part {
    /// A fixed number of octets.
    Octets(usize),
    /// A character string (RFC 1035 §3.3).
    Text,
    /// A name that may be compressed.
    Name,
    /// Octets up to the end.
    Rest,
}

/// The fields of a type whose names may be compressed.
pub(super) fn layout(rtype: Qtype) -> Option<&'static [Part]> {
    use Part::{Name, Octets, Rest, Text};
    Some(match rtype.0 {
        // NS, MD, MF, CNAME, MB, MG, MR, PTR (RFC 1035 §3.3); DNAME (RFC 6672 §2.1).
        2..=5 | 7..=9 | 12 | 39 => &[Name],
        // SOA (RFC 1035 §3.3.13).
        6 => &[Name, Name, Octets(20)],
        // MINFO (RFC 1035 §3.3.7), RP (RFC 1183 §2.2).
        14 | 17 => &[Name, Name],
        // MX (RFC 1035 §3.3.9), AFSDB and RT (RFC 1183 §1, §3.3), KX (RFC 2230 §3.1).
        15 | 18 | 21 | 36 => &[Octets(2), Name],
        // PX (RFC 2163 §4).
        26 => &[Octets(2), Name, Name],
        // SIG (RFC 2535 §4.1), RRSIG (RFC 4034 §3.1).
        24 | 46 => &[Octets(18), Name, Rest],
        // NXT (RFC 2535 §5.2).
        30 => &[Name, Rest],
        // SRV (RFC 2782).
        33 => &[Octets(6), Name],
        // NAPTR (RFC 3403 §4.1).
        35 => &[Octets(4), Text, Text, Text, Name],
        _ => return None,
    })
}

/// Appends one record, or nothing and returns `None` if that is not possible.
fn copy(message: &Message<'_>, record: &Record<'_>, out: &mut Vec<u8>) -> Option<()> {
    let mut name = [0; MAX_NAME];
    let owner = message.name_into(record.start, &mut name)?;
    let rdata = match stripped(record) {
        Some(rdata) => rdata,
        None => expanded_rdata(message, record)?,
    };
    let rdlen = u16::try_from(rdata.len()).ok()?;
    // The root is shorter than a pointer to it, and the owner of an OPT record must be written as the root
    // (RFC 6891 §6.1.2).
    if !owner.is_root() && Some(owner) == message.qname() {
        out.extend_from_slice(&[0xc0, 12]);
    } else {
        out.extend_from_slice(owner.as_bytes());
    }
    out.extend_from_slice(&record.rtype.0.to_be_bytes());
    out.extend_from_slice(&record.class.to_be_bytes());
    out.extend_from_slice(&record.ttl.to_be_bytes());
    out.extend_from_slice(&rdlen.to_be_bytes());
    out.extend_from_slice(&rdata);
    Some(())
}

/// Writes the counts into the header; `None` if the message is too long.
fn finish(header: Header, mut out: Vec<u8>) -> Option<Vec<u8>> {
    let head = header.to_bytes();
    out.get_mut(..head.len())?.copy_from_slice(&head);
    (out.len() <= MAX_MESSAGE).then_some(out)
}

/// The RDATA of an HTTPS or SVCB record without its `ech`; `None` if it has none. From the first malformed
/// parameter on, the data is kept as it is.
fn stripped(record: &Record<'_>) -> Option<Vec<u8>> {
    if !matches!(record.rtype, Qtype::HTTPS | Qtype::SVCB) {
        return None;
    }
    let target = Name::parse(record.rdata.get(2..)?).ok()?;
    let (head, mut rest) = record.rdata.split_at_checked(2 + target.as_bytes().len())?;
    let mut out = head.to_vec();
    let mut had = false;
    while let Some((key, value, tail)) = split_option(rest) {
        let (whole, _) = rest.split_at_checked(rest.len() - tail.len())?;
        match key {
            ECH => had = true,
            MANDATORY => out.extend(mandatory_without_ech(value)),
            _ => out.extend_from_slice(whole),
        }
        rest = tail;
    }
    out.extend_from_slice(rest);
    had.then_some(out)
}

/// The parameter `mandatory` without the key of `ech`; nothing if that leaves it empty.
fn mandatory_without_ech(value: &[u8]) -> Vec<u8> {
    let (keys, odd) = value.as_chunks::<2>();
    let keys: Vec<u8> = keys.iter().filter(|k| **k != ECH.to_be_bytes()).flatten().copied().collect();
    let kept = [&keys, odd].concat();
    match u16::try_from(kept.len()) {
        Ok(len) if len > 0 => [&MANDATORY.to_be_bytes()[..], &len.to_be_bytes(), &kept].concat(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests make small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::super::name::NameBuf;
    use super::super::rdata;
    use super::super::types::Class;
    use super::*;

    /// A message with compressed names, as a server would send it.
    struct Builder {
        bytes: Vec<u8>,
        /// Names in the message, with their offsets.
        known: Vec<(NameBuf, usize)>,
    }

    impl Builder {
        /// `question IN HTTPS`, QR, RD, RA, AD.
        fn new(question: &str) -> Self {
            let mut builder =
                Self { bytes: b"\x12\x34\x81\xa0\0\x01\0\0\0\0\0\0".to_vec(), known: Vec::new() };
            builder.name(question);
            builder.bytes.extend([0, 65, 0, 1]);
            builder
        }

        fn name(&mut self, text: &str) {
            let name = wire(text);
            let mut rest = Name::parse(&name).ok();
            while let Some(name) = rest.filter(|n| !n.is_root()) {
                if let Some((_, at)) = self.known.iter().find(|(n, _)| n.as_bytes() == name.as_bytes()) {
                    self.bytes.extend((0xc000 | *at as u16).to_be_bytes());
                    return;
                }
                self.known.push((name.to_buf(), self.bytes.len()));
                let label = name.labels().next().unwrap();
                self.bytes.push(label.len() as u8);
                self.bytes.extend(label);
                rest = name.parent();
            }
            self.bytes.push(0);
        }

        /// One record; each part of its RDATA is octets, or a name to compress.
        fn record(&mut self, section: usize, owner: &str, rtype: u16, rdata: &[Field<'_>]) {
            self.name(owner);
            self.bytes.extend(rtype.to_be_bytes());
            self.bytes.extend([0, 1, 0, 0, 0, 60]);
            let len_at = self.bytes.len();
            self.bytes.extend([0, 0]);
            for field in rdata {
                match field {
                    Field::Octets(octets) => self.bytes.extend(*octets),
                    Field::Name(name) => self.name(name),
                }
            }
            let len = (self.bytes.len() - len_at - 2) as u16;
            self.bytes[len_at..len_at + 2].copy_from_slice(&len.to_be_bytes());
            self.bytes[7 + 2 * section] += 1;
        }
    }

    /// A name's octets, in the original case.
    fn wire(text: &str) -> Vec<u8> {
        let labels = text.split('.').filter(|label| !label.is_empty());
        labels.flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).chain([0]).collect()
    }

    #[derive(Clone, Copy)]
    enum Field<'t> {
        Octets(&'t [u8]),
        Name(&'t str),
    }
    use Field::{Name as N, Octets as O};

    /// Every record: section, owner, type, TTL, RDATA with uncompressed names.
    fn show(bytes: &[u8]) -> Vec<String> {
        let message = Message::parse(bytes).unwrap();
        let line = |r: Record<'_>| {
            let owner = message.name_at(r.start).unwrap();
            let rdata = expanded_rdata(&message, &r).unwrap();
            format!("{:?} {owner} {} {} {:x} {rdata:?}", r.section, r.rtype, Class(r.class), r.ttl)
        };
        message.records().map(line).collect()
    }

    fn https(text: &str) -> Vec<u8> {
        rdata::from_text(Qtype::HTTPS, text, Name::ROOT).unwrap()
    }

    #[test]
    fn only_ech_is_removed() {
        let build = |ech: bool, signatures: bool| {
            let mut b = Builder::new("www.x.org");
            let with = https("1 . alpn=h2 port=443 ipv4hint=192.0.2.1 key5=secret");
            let without = https("1 . alpn=h2 port=443 ipv4hint=192.0.2.1");
            let signature = |covered: u8| [&[0, covered][..], &[0; 16]].concat();
            b.record(0, "www.x.org", 5, &[N("a.cdn.net")]);
            b.record(0, "a.cdn.net", 65, &[O(if ech { &with } else { &without })]);
            b.record(0, "b.cdn.net", 64, &[O(&https("1 svc.cdn.net. port=1"))]);
            if signatures {
                b.record(0, "A.CDN.net", 46, &[O(&signature(65)), N("cdn.net"), O(b"sig")]);
            }
            // Of another type or owner: kept.
            b.record(0, "a.cdn.net", 46, &[O(&signature(64)), N("cdn.net"), O(b"sig")]);
            b.record(0, "b.cdn.net", 46, &[O(&signature(65)), N("cdn.net"), O(b"sig")]);
            b.record(1, "cdn.net", 2, &[N("ns.a.cdn.net")]);
            b.record(1, "cdn.net", 6, &[N("ns.a.cdn.net"), N("admin.cdn.net"), O(&[7; 20])]);
            b.record(2, "ns.a.cdn.net", 1, &[O(&[192, 0, 2, 7])]);
            // An OPT record with DO, an extended code and two options.
            b.record(2, ".", 41, &[O(b"\0\x0f\0\x04\0\x03hi\0\x0a\0\x08cookie!!")]);
            let opt = b.bytes.len() - 20 - 8;
            b.bytes[opt..opt + 6].copy_from_slice(&[0x04, 0xd0, 1, 0, 0x80, 0]);
            b.bytes
        };
        let out = without_ech(&build(true, true)).unwrap();
        let expected = build(false, false);
        assert_eq!(show(&out), show(&expected));
        let (message, before) = (Message::parse(&out).unwrap(), build(true, true));
        let before = Message::parse(&before).unwrap();
        assert_eq!(message.question(), before.question());
        assert_eq!(message.header.id, 0x1234);
        assert_eq!(message.header.flags, 0x8180, "AD is cleared");
        assert_eq!(message.edns(), before.edns());
        assert_eq!(message.rcode(), before.rcode());
        assert!(message.edns().unwrap().dnssec_ok);
        // The question's name is a pointer, other names are written in full.
        assert!(out[message.question_end()..].starts_with(b"\xc0\x0c\0\x05\0\x01"));
        // A second pass changes nothing.
        assert_eq!(without_ech(&out), None);
        assert_eq!(without_ech(&expected), None);
    }

    #[test]
    fn each_service_binding_loses_no_more_than_ech() {
        let table: &[(&[u8], Option<&[u8]>)] = &[
            // First, in the middle, alone, twice, in an alias.
            (b"\0\x01\0\0\x05\0\x01e\0\x07\0\x01q", Some(b"\0\x01\0\0\x07\0\x01q")),
            (b"\0\x01\0\0\x01\0\x01a\0\x05\0\x01e\0\x07\0\x01q", Some(b"\0\x01\0\0\x01\0\x01a\0\x07\0\x01q")),
            (b"\0\x01\x01t\0\0\x05\0\0", Some(b"\0\x01\x01t\0")),
            (b"\0\x01\0\0\x05\0\x01e\0\x05\0\x01f", Some(b"\0\x01\0")),
            (b"\0\0\x01t\0\0\x05\0\x01e", Some(b"\0\0\x01t\0")),
            // From the list of mandatory keys too.
            (b"\0\x01\0\0\0\0\x02\0\x05\0\x05\0\x01e", Some(b"\0\x01\0")),
            (b"\0\x01\0\0\0\0\x06\0\x01\0\x05\0\x07\0\x05\0\x01e", Some(b"\0\x01\0\0\0\0\x04\0\x01\0\x07")),
            (b"\0\x01\0\0\0\0\x03\0\x05\0\0\x05\0\x01e", Some(b"\0\x01\0\0\0\0\x01\0")),
            // Malformed data after it stays.
            (b"\0\x01\0\0\x05\0\x01e\0\x07\0\x09", Some(b"\0\x01\0\0\x07\0\x09")),
            // Not present, or not to be found.
            (b"\0\x01\0\0\x04\0\x04\xc0\0\x02\x01", None),
            (b"\0\x01\0\0\0\0\x02\0\x05", None),
            (b"\0\x01\0\0\x05\0\x02e", None),
            (b"\0\x01\xc0\x0c\0\x05\0\x01e", None),
            (b"\0\x01", None),
            (b"", None),
        ];
        for (before, after) in table {
            for section in 0..3 {
                for rtype in [64, 65] {
                    let build = |rdata: &[u8]| {
                        let mut b = Builder::new("a.b");
                        b.record(section, "a.b", rtype, &[O(rdata)]);
                        b.record(2, "c.a.b", 15, &[O(b"\0\x0a"), N("d.c.a.b")]);
                        b.bytes
                    };
                    let out = without_ech(&build(before));
                    assert_eq!(out.as_deref().map(show), after.map(build).as_deref().map(show), "{before:?}");
                }
            }
        }
        // In other types the same octets have no such meaning.
        let mut b = Builder::new("a.b");
        b.record(0, "a.b", 16, &[O(b"\0\x01\0\0\x05\0\x01e")]);
        assert_eq!(without_ech(&b.bytes), None);
    }

    #[test]
    fn names_of_every_type_are_expanded() {
        let table: &[(u16, &[Field<'_>])] = &[
            (2, &[N("n.x.org")]),
            (3, &[N("n.x.org")]),
            (4, &[N("n.x.org")]),
            (5, &[N("x.org")]),
            (6, &[N("n.x.org"), N("m.x.org"), O(&[9; 20])]),
            (7, &[N("n.x.org")]),
            (8, &[N("n.x.org")]),
            (9, &[N("n.x.org")]),
            (12, &[N(".")]),
            (14, &[N("n.x.org"), N("m.n.x.org")]),
            (15, &[O(b"\0\x0a"), N("n.x.org")]),
            (17, &[N("n.x.org"), N("m.n.x.org")]),
            (18, &[O(b"\0\x01"), N("n.x.org")]),
            (21, &[O(b"\0\x01"), N("n.x.org")]),
            (24, &[O(&[1; 18]), N("x.org"), O(b"\xc0\x0c")]),
            (26, &[O(b"\0\x01"), N("n.x.org"), N("m.x.org")]),
            (30, &[N("n.x.org"), O(b"\xc0\x0c")]),
            (33, &[O(b"\0\x01\0\x02\0\x03"), N("n.x.org")]),
            (35, &[O(b"\0\x01\0\x02\x01u\0\x03abc"), N("n.x.org")]),
            (36, &[O(b"\0\x01"), N("n.x.org")]),
            (39, &[N("n.x.org")]),
            (46, &[O(&[1; 18]), N("x.org"), O(b"\xc0\x0c")]),
            // Verbatim.
            (1, &[O(b"\xc0\x0c\xc0\x0c")]),
            (16, &[O(b"\x02\xc0\x0c")]),
            (47, &[O(b"\x01a\0\0\x01\x40")]),
            (65280, &[O(b"\xc0\x0c")]),
            (16, &[]),
        ];
        for (rtype, fields) in table {
            let mut b = Builder::new("w.x.org");
            b.record(0, "x.org", *rtype, fields);
            let message = Message::parse(&b.bytes).unwrap();
            let record = message.records().next().unwrap();
            let whole: Vec<u8> = fields
                .iter()
                .flat_map(|field| match field {
                    O(octets) => octets.to_vec(),
                    N(name) => wire(name),
                })
                .collect();
            assert_eq!(expanded_rdata(&message, &record), Some(whole), "{rtype}");
            if !fields.iter().any(|f| matches!(f, N(_))) || *rtype == 12 {
                continue;
            }
            assert!(record.rdata.len() < expanded_rdata(&message, &record).unwrap().len(), "{rtype}");
            // Cut off anywhere, it is malformed; with an octet more too, unless the last field is
            // open-ended.
            let end = record.rdata_at() + record.rdata.len();
            let with_len = |len: usize| {
                let mut bytes = [&b.bytes[..end], &[0]].concat();
                let at = record.rdata_at() - 2;
                bytes[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
                bytes.truncate(record.rdata_at() + len);
                let message = Message::parse(&bytes).unwrap();
                expanded_rdata(&message, &message.records().next().unwrap())
            };
            let free = matches!(fields.last(), Some(O(_))) && *rtype != 6;
            let needed = record.rdata.len() - if free { 2 } else { 0 };
            for len in 0..needed {
                assert_eq!(with_len(len), None, "{rtype} cut to {len}");
            }
            assert_eq!(with_len(record.rdata.len() + 1).is_some(), free, "{rtype}");
        }
    }

    #[test]
    fn a_record_with_a_broken_name_is_left_out() {
        let mut b = Builder::new("a.b");
        b.record(0, "a.b", 65, &[O(b"\0\x01\0\0\x05\0\x01e")]);
        b.record(0, "a.b", 2, &[O(b"\xc0\xff")]);
        b.record(1, "a.b", 1, &[O(&[192, 0, 2, 1])]);
        // An owner that points forwards.
        b.bytes.extend(b"\xc0\xff\0\x41\0\x01\0\0\0\x3c\0\x08\0\x01\0\0\x05\0\x01e");
        b.bytes[11] += 1;
        let out = without_ech(&b.bytes).unwrap();
        let mut rest = Builder::new("a.b");
        rest.record(0, "a.b", 65, &[O(b"\0\x01\0")]);
        rest.record(1, "a.b", 1, &[O(&[192, 0, 2, 1])]);
        assert_eq!(show(&out), show(&rest.bytes));
    }

    #[test]
    fn the_root_and_messages_that_are_too_long() {
        let mut b = Builder::new(".");
        b.record(0, ".", 65, &[O(b"\0\x01\0\0\x05\0\x01e")]);
        let out = without_ech(&b.bytes).unwrap();
        assert_eq!(out[12 + 5..], *b"\0\0\x41\0\x01\0\0\0\x3c\0\x03\0\x01\0");

        let long = ["y".repeat(63), "y".repeat(63), "y".repeat(63)].join(".");
        let mut b = Builder::new("a.b");
        b.record(0, "a.b", 65, &[O(b"\0\x01\0\0\x05\0\x01e")]);
        for _ in 0..200 {
            b.record(1, &long, 2, &[N(&long)]);
        }
        assert!(without_ech(&b.bytes).is_none(), "{} octets", b.bytes.len());
        b.bytes[7 + 2] = 100;
        assert!(without_ech(&b.bytes).is_some());
        for not in [&b""[..], b"\0\0\x81\x80\0\0\0\0\0\0\0\0"] {
            assert_eq!(without_ech(not), None);
        }
    }

    const NAMES: [&str; 6] = ["q.x.org", "Q.x.org", "a.q.x.org", "x.org", "b.net", "."];

    /// A record of the model: section, owner, kind, parameters of a service binding.
    type Model = (usize, usize, usize, Vec<(u16, Vec<u8>)>);

    fn model() -> impl Strategy<Value = Vec<Model>> {
        let param = (0..8u16, proptest::collection::vec(0..8u8, 0..6));
        let record = (0..3usize, 0..NAMES.len(), 0..5usize, proptest::collection::vec(param, 0..5));
        proptest::collection::vec(record, 0..8).prop_map(|mut records| {
            records.sort_by_key(|r| r.0);
            records
        })
    }

    /// The message of a model; with `strip`, the expected result.
    fn built(model: &[Model], strip: bool) -> Vec<u8> {
        let has_ech = |(_, _, kind, params): &&Model| *kind == 0 && params.iter().any(|(k, _)| *k == ECH);
        let folded = |owner: usize| NAMES[owner].to_ascii_lowercase();
        let mut b = Builder::new(NAMES[0]);
        for record in model {
            let (section, owner, kind, params) = record;
            let params: Vec<u8> = params
                .iter()
                .filter(|(key, _)| !strip || *key != ECH)
                .filter_map(|(key, value)| {
                    let mut value = value.clone();
                    if strip && has_ech(&record) && *key == MANDATORY {
                        let keys = value.chunks(2).filter(|k| **k != [0, 5]);
                        value = keys.flatten().copied().collect();
                        if value.is_empty() {
                            return None;
                        }
                    }
                    Some([&key.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), &value].concat())
                })
                .flatten()
                .collect();
            let (rtype, fields): (u16, &[Field<'_>]) = match kind {
                0 => (65, &[O(b"\0\x01\x01t\0"), O(&params)]),
                1 => (5, &[N("a.b.net")]),
                2 => (15, &[O(b"\0\x01"), N("mx.q.x.org")]),
                3 => (46, &[O(b"\0\x41"), O(&[3; 16]), N("x.org"), O(b"sig")]),
                _ => (16, &[O(b"\x02hi")]),
            };
            let signs = model.iter().filter(has_ech).any(|r| folded(r.1) == folded(*owner));
            if !(strip && *kind == 3 && signs) {
                b.record(*section, NAMES[*owner], rtype, fields);
            }
        }
        b.bytes
    }

    proptest! {
        #[test]
        fn the_rest_of_a_reply_is_the_same(model in model()) {
            let before = built(&model, false);
            let ech = model.iter().any(|r| r.2 == 0 && r.3.iter().any(|(k, _)| *k == ECH));
            let out = without_ech(&before);
            prop_assert_eq!(out.is_some(), ech);
            if let Some(out) = out {
                let lower = |bytes: &[u8]| -> Vec<String> { show(bytes).iter().map(|l| l.to_lowercase()).collect() };
                prop_assert_eq!(lower(&out), lower(&built(&model, true)));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(model in model(), damage: Vec<(u16, u8)>) {
            let mut bytes = built(&model, false);
            for (at, octet) in damage {
                let len = bytes.len();
                bytes[usize::from(at) % len] = octet;
            }
            if let Some(message) = Message::parse(&bytes) {
                for record in message.records() {
                    let _ = expanded_rdata(&message, &record);
                }
            }
            if let Some(out) = without_ech(&bytes) {
                prop_assert!(Message::parse(&out).is_some());
                prop_assert_eq!(without_ech(&out), None);
            }
        }
    }
}
