//! What is relayed of a reply, and what is not.

use proptest::prelude::*;

use super::*;

/// A record: section (0 answer, 1 authority, 2 additional), owner, type, RDATA.
type R<'a> = (usize, &'a str, u16, &'a [u8]);

fn wire(name: &str) -> Vec<u8> {
    NameBuf::from_text(name).unwrap().as_bytes().to_vec()
}

fn message(qname: &str, qtype: u16, records: &[R<'_>]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
    bytes.extend(wire(qname));
    bytes.extend(qtype.to_be_bytes());
    bytes.extend([0, 1]);
    for (section, owner, rtype, rdata) in records {
        bytes[7 + 2 * section] += 1;
        // An owner in hexadecimal digits stands as it is.
        match owner.strip_prefix("hex:") {
            Some(hex) => bytes.extend(octets(hex)),
            None => bytes.extend(wire(owner)),
        }
        bytes.extend(rtype.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((rdata.len() as u16).to_be_bytes());
        bytes.extend(*rdata);
    }
    bytes
}

fn octets(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// What is left of a reply: `section owner type` for each record, or why it is refused.
fn left(bytes: &[u8]) -> Result<Vec<String>, Unsound> {
    let whole = Message::parse(bytes).expect("its structure is sound");
    let screened = screen(&whole)?;
    let bytes = match &screened {
        Screened::Whole => bytes,
        Screened::Part(bytes) => bytes,
    };
    let message = Message::parse(bytes).expect("what is left can be read");
    let show = |r: Record<'_>| format!("{} {} {}", r.section as u8, message.owner_text(&r), r.rtype);
    Ok(message.records().map(show).collect())
}

const ADDRESS: &[u8] = &[192, 0, 2, 1];
const V6: &[u8] = &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn soa() -> Vec<u8> {
    [wire("ns.test"), wire("host.test"), vec![0; 20]].concat()
}

fn rrsig(covered: u8, signer: &str) -> Vec<u8> {
    [vec![0, covered], vec![0; 16], wire(signer), vec![7; 8]].concat()
}

#[test]
fn what_belongs_to_the_question_is_kept() {
    let (cname, dname) = (wire("b.other.org"), wire("new.net"));
    let substituted = wire("a.new.net");
    let (mx, ns) = ([&[0, 10][..], &wire("mx.other.org")].concat(), wire("ns.a.test"));
    let (srv, nsec) =
        ([&[0; 6][..], &wire("mx.other.org")].concat(), [&wire("z.a.test")[..], &[0, 1, 0x40]].concat());
    let (soa, sig_a, sig_nsec) = (soa(), rrsig(1, "a.test"), rrsig(47, "a.test"));
    let foreign_sig = rrsig(1, "evil.org");
    let opt: R<'_> = (2, ".", 41, b"");
    for (what, qtype, records, dropped) in [
        ("an address", 1u16, vec![(0, "a.test", 1, ADDRESS), opt], vec![]),
        ("another case", 1, vec![(0, "A.TEST", 1, ADDRESS)], vec![]),
        ("a signature", 1, vec![(0, "a.test", 1, ADDRESS), (0, "a.test", 46, &sig_a)], vec![]),
        ("a chain", 1, vec![(0, "a.test", 5, &cname), (0, "b.other.org", 1, ADDRESS)], vec![]),
        ("a chain backwards", 1, vec![(0, "b.other.org", 1, ADDRESS), (0, "a.test", 5, &cname)], vec![]),
        (
            "a chain of DNAME",
            1,
            vec![(0, "test", 39, &dname), (0, "a.test", 5, &substituted), (0, "a.new.net", 1, ADDRESS)],
            vec![],
        ),
        ("a DNAME alone", 1, vec![(0, "test", 39, &dname), (0, "a.new.net", 1, ADDRESS)], vec![]),
        ("no such name", 1, vec![(1, "test", 6, &soa), opt], vec![]),
        (
            "proofs",
            1,
            vec![(1, "a.test", 6, &soa), (1, "q.a.test", 47, &nsec), (1, "q.a.test", 46, &sig_nsec)],
            vec![],
        ),
        (
            "a proof of a wildcard",
            1,
            vec![(0, "a.test", 1, ADDRESS), (1, "q.a.test", 47, &nsec), (1, "q.a.test", 46, &sig_nsec)],
            vec![],
        ),
        (
            "additional addresses",
            15,
            vec![(0, "a.test", 15, &mx), (2, "mx.other.org", 1, ADDRESS), (2, "MX.other.org", 28, V6), opt],
            vec![],
        ),
        ("glue", 1, vec![(1, "test", 2, &ns), (2, "ns.a.test", 1, ADDRESS)], vec![]),
        ("of a service", 33, vec![(0, "a.test", 33, &srv), (2, "mx.other.org", 1, ADDRESS)], vec![]),
        // What does not.
        ("another owner", 1, vec![(0, "a.test", 1, ADDRESS), (0, "evil.org", 1, ADDRESS)], vec![1]),
        ("an alias of another", 1, vec![(0, "a.test", 1, ADDRESS), (0, "evil.org", 5, &cname)], vec![1]),
        (
            "a foreign zone",
            1,
            vec![(0, "a.test", 1, ADDRESS), (1, "evil.org", 2, &ns), (1, "evil.org", 6, &soa)],
            vec![1, 2],
        ),
        (
            "a foreign proof",
            1,
            vec![(0, "a.test", 1, ADDRESS), (1, "evil.org", 47, &nsec), (1, "evil.org", 46, &foreign_sig)],
            vec![1, 2],
        ),
        ("a zone below", 1, vec![(0, "a.test", 1, ADDRESS), (1, "x.a.test", 2, &ns)], vec![1]),
        ("an address in authority", 1, vec![(0, "a.test", 1, ADDRESS), (1, "a.test", 1, ADDRESS)], vec![1]),
        (
            "an unasked address",
            1,
            vec![(0, "a.test", 1, ADDRESS), (2, "www.bank.example", 1, ADDRESS), opt],
            vec![1],
        ),
        ("unasked data", 15, vec![(0, "a.test", 15, &mx), (2, "mx.other.org", 16, b"x")], vec![1]),
    ] {
        let all: Vec<String> = left(&message("a.test", qtype, &records)).unwrap();
        let expected: Vec<R<'_>> =
            records.iter().enumerate().filter(|(i, _)| !dropped.contains(i)).map(|(_, r)| *r).collect();
        let wanted = message("a.test", qtype, &expected);
        let wanted = Message::parse(&wanted).unwrap();
        let wanted: Vec<String> = wanted
            .records()
            .map(|r| format!("{} {} {}", r.section as u8, wanted.owner_text(&r), r.rtype))
            .collect();
        assert_eq!(all, wanted, "{what}");
    }
}

#[test]
fn answers_to_another_question_are_refused() {
    for records in [
        vec![(0usize, "evil.org", 1u16, ADDRESS)],
        vec![(0, "b.a.test", 1, ADDRESS), (0, "test", 1, ADDRESS)],
    ] {
        assert_eq!(left(&message("a.test", 1, &records)), Err(Unsound::Foreign), "{records:?}");
    }
    // Another class.
    let mut bytes = message("a.test", 1, &[(0, "a.test", 1, ADDRESS)]);
    let class = bytes.len() - 11;
    bytes[class] = 3;
    assert_eq!(left(&bytes), Err(Unsound::Foreign));
}

#[test]
fn data_that_its_type_does_not_allow_is_refused() {
    let name = wire("b.test");
    let cut = &name[..4];
    let long = [vec![3, b'a', b'b'], vec![]].concat();
    for (rtype, rdata) in [
        (1u16, &[192u8, 0, 2][..]),
        (1, &[192, 0, 2, 1, 0]),
        (28, ADDRESS),
        (5, cut),
        (5, &[]),
        (5, &[0xc0, 0xff]),
        (5, &[0x80, 1, 0]),
        (2, &[1, b'a', 0, 0]),
        (15, &[0, 10]),
        (15, &[0, 10, 0xc0, 0xf0]),
        (6, &[0, 0, 1]),
        (33, &[0, 0, 0, 0, 0, 53]),
        (35, &[0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff]),
        (16, &[]),
        (16, &long),
        (13, &[1, b'a']),
        (43, &[0, 1, 8, 2]),
        (46, &[0; 18]),
        (47, &[0, 0, 0]),
        (50, &[1, 0, 0, 1, 4, 1]),
        (64, &[0, 1]),
        (65, &[0, 1, 0, 0, 1, 0, 9]),
        (257, &[0, 0]),
        (257, &[0, 9, b'i']),
        (108, &[0; 5]),
    ] {
        for section in [0, 1, 2] {
            let bytes = message("a.test", 1, &[(section, "a.test", rtype, rdata)]);
            assert_eq!(left(&bytes), Err(Unsound::Rdata(Qtype(rtype))), "{rtype} {rdata:?} in {section}");
        }
    }
    // No form is known, or nothing is a form too.
    for (rtype, rdata) in
        [(42u16, &b""[..]), (10, b""), (65_281, b""), (62, b"\x01"), (65_305, b"x"), (35, b"\0\0\0\0\xff")]
    {
        let bytes = message("a.test", rtype, &[(0, "a.test", rtype, rdata)]);
        assert_eq!(left(&bytes).map(|kept| kept.len()), Ok(1), "{rtype}");
    }
}

#[test]
fn pointers_lead_backwards_or_the_reply_is_refused() {
    // 24 is where the first record begins: itself, forwards, into each other, cut off.
    let q = 12 + 8 + 4;
    for owner in ["hex:c018", "hex:c019", "hex:c0ff", "hex:0161c018", "hex:016ac01a"] {
        for section in [0, 1, 2] {
            let bytes = message("a.test", 1, &[(section, owner, 1, ADDRESS)]);
            assert_eq!(bytes[q] & 0xc0 == 0xc0, !owner.starts_with("hex:01"), "{owner}");
            if Message::parse(&bytes).is_some() {
                assert_eq!(left(&bytes), Err(Unsound::Name), "{owner} in {section}");
            }
        }
    }
    let bytes = message("a.test", 1, &[(0, "hex:c00c", 1, ADDRESS), (2, "hex:c00e", 1, ADDRESS)]);
    assert_eq!(left(&bytes), Ok(vec!["0 a.test. A".to_owned()]));
}

#[test]
fn addresses_that_nothing_leads_to_are_dropped() {
    let of = |section, owner| vec![(section, owner, 1, ADDRESS); 200];
    let records = [of(0, "a.test"), of(2, "x.test")].concat();
    let kept = left(&message("a.test", 1, &records)).unwrap();
    assert_eq!(kept.len(), 200);
}

proptest! {
    #[test]
    fn no_octets_make_it_panic(
        picks in proptest::collection::vec((0usize..3, 0usize..6, 0usize..8), 0..10),
        damage: Vec<(u16, u8)>,
    ) {
        let names = ["a.test", "b.other.org", "test", ".", "evil.org", "mx.other.org"];
        let (cname, mx, soa) = (wire("b.other.org"), [&[0, 1][..], &wire("mx.other.org")].concat(), soa());
        let (sig, dname) = (rrsig(1, "a.test"), wire("org"));
        let kinds: [(u16, &[u8]); 8] =
            [(1, ADDRESS), (28, V6), (5, &cname), (15, &mx), (6, &soa), (46, &sig), (39, &dname), (41, b"")];
        let mut records: Vec<R<'_>> =
            picks.iter().map(|(s, n, k)| (*s, names[*n], kinds[*k].0, kinds[*k].1)).collect();
        records.sort_by_key(|r| r.0);
        let mut bytes = message("a.test", 1, &records);
        for (at, octet) in damage {
            let len = bytes.len();
            bytes[usize::from(at) % len] = octet;
        }
        if let Some(message) = Message::parse(&bytes)
            && let Ok(Screened::Part(part)) = screen(&message)
        {
            // What is left is sound, and nothing more is dropped from it.
            let again = Message::parse(&part).unwrap();
            prop_assert_eq!(screen(&again), Ok(Screened::Whole));
        }
    }
}
