//! The data of a record: the fields of each type, from words to octets, and the check of given octets.
//!
//! Sources: the RFCs at the types, and IANA's registry "Resource Record (RR) TYPEs".

use super::field::Field::{
    self, Base64, Code, Eui, Hash, Hex, Ip4, Ip6, Locator, MaybeBase64, MaybeText, Name as Target, Number,
    OldTypes, Params, Period, Rest, Salt, Special, Tag, Text, Texts, Time, Type, Types,
};
use super::special;
use super::token::{Problem, Word, shown};
use super::value;
use super::words::Words;
use crate::dns::name::Name;
use crate::dns::types::Qtype;

/// Algorithms of keys and signatures (IANA "DNS Security Algorithm Numbers").
const ALGORITHM: Field = Code(
    1,
    &[
        ("RSAMD5", 1),
        ("DH", 2),
        ("DSA", 3),
        ("RSASHA1", 5),
        ("DSA-NSEC3-SHA1", 6),
        ("NSEC3DSA", 6),
        ("RSASHA1-NSEC3-SHA1", 7),
        ("NSEC3RSASHA1", 7),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECC-GOST", 12),
        ("ECCGOST", 12),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("INDIRECT", 252),
        ("PRIVATEDNS", 253),
        ("PRIVATEOID", 254),
    ],
);
/// Digests of DS records (IANA "DS RR Type Digest Algorithms").
const DIGEST: Field = Code(
    1,
    &[("SHA-1", 1), ("SHA1", 1), ("SHA-256", 2), ("SHA256", 2), ("GOST", 3), ("SHA-384", 4), ("SHA384", 4)],
);
/// Hashes of NSEC3 (RFC 5155 §11).
const NSEC3_HASH: Field = Code(1, &[("SHA-1", 1)]);
/// The protocol of a KEY (RFC 2535 §7.1).
const PROTOCOL: Field =
    Code(1, &[("NONE", 0), ("TLS", 1), ("EMAIL", 2), ("DNSSEC", 3), ("IPSEC", 4), ("ALL", 255)]);
/// Kinds of certificates (RFC 4398 §2.1).
const CERTIFICATE: Field = Code(
    2,
    &[
        ("PKIX", 1),
        ("SPKI", 2),
        ("PGP", 3),
        ("IPKIX", 4),
        ("ISPKI", 5),
        ("IPGP", 6),
        ("ACPKIX", 7),
        ("IACPKIX", 8),
        ("URI", 253),
        ("OID", 254),
    ],
);
/// The scheme of a DSYNC record (RFC 9859 §2.2).
const SCHEME: Field = Code(1, &[("NOTIFY", 1)]);

const U8: Field = Number(1);
const U16: Field = Number(2);
const U32: Field = Number(4);
const SIGNATURE: &[Field] = &[Type, ALGORITHM, U8, U32, Time, Time, U16, Target, Base64];
const DELEGATION: &[Field] = &[U16, ALGORITHM, DIGEST, Hex];
const ASSOCIATION: &[Field] = &[U8, U8, U8, Hex];
const BINDING: &[Field] = &[U16, Target, Params];

/// Each type with its own presentation format: its fields, and an example as in a file.
const TYPES: &[(Qtype, &[Field], &str)] = &[
    (Qtype::A, &[Ip4], "192.0.2.1"),
    (Qtype::NS, &[Target], "ns1.example.org."),
    (Qtype::MD, &[Target], "mail.example.org."),
    (Qtype::MF, &[Target], "mail.example.org."),
    (Qtype::CNAME, &[Target], "www.example.org."),
    (
        Qtype::SOA,
        &[Target, Target, U32, Period, Period, Period, Period],
        "ns1.example.org. hostmaster.example.org. 1 3600 600 86400 300",
    ),
    (Qtype::MB, &[Target], "mail.example.org."),
    (Qtype::MG, &[Target], "member.example.org."),
    (Qtype::MR, &[Target], "renamed.example.org."),
    (Qtype::WKS, &[Special(&special::WKS)], "192.0.2.1 tcp smtp 80"),
    (Qtype::PTR, &[Target], "host.example.org."),
    (Qtype::HINFO, &[Text, Text], "\"ARM64\" \"Linux\""),
    (Qtype::MINFO, &[Target, Target], "owner.example.org. errors.example.org."),
    (Qtype::MX, &[U16, Target], "10 mail.example.org."),
    (Qtype::TXT, &[Texts], "\"a text\" \"another\""),
    (Qtype::RP, &[Target, Target], "who.example.org. about.example.org."),
    (Qtype::AFSDB, &[U16, Target], "1 cell.example.org."),
    (Qtype::X25, &[Text], "311061700956"),
    (Qtype::ISDN, &[Text, MaybeText], "\"150862028003217\" \"004\""),
    (Qtype::RT, &[U16, Target], "10 relay.example.org."),
    (Qtype::NSAP, &[Special(&special::NSAP)], "0x47.0005.80.005a00.0000.0001.e133.ffffff000161.00"),
    (Qtype::NSAP_PTR, &[Target], "host.example.org."),
    (Qtype::SIG, SIGNATURE, "A 8 2 3600 20300101000000 20200101000000 1 example.org. AQID"),
    (Qtype::KEY, &[U16, PROTOCOL, ALGORITHM, MaybeBase64], "256 3 8 AQID"),
    (Qtype::PX, &[U16, Target, Target], "10 example.org. x400.example.org."),
    (Qtype::GPOS, &[Text, Text, Text], "-32.6882 116.8652 10.0"),
    (Qtype::AAAA, &[Ip6], "2001:db8::1"),
    (Qtype::LOC, &[Special(&special::LOC)], "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"),
    (Qtype::NXT, &[Target, OldTypes], "next.example.org. A MX NXT"),
    (Qtype::EID, &[Hex], "e32c6f78163a9348"),
    (Qtype::NIMLOC, &[Hex], "32251a030067"),
    (Qtype::SRV, &[U16, U16, U16, Target], "0 5 5060 sip.example.org."),
    (Qtype::ATMA, &[Special(&special::ATMA)], "+61200000000"),
    (
        Qtype::NAPTR,
        &[U16, U16, Text, Text, Text, Target],
        "100 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.example.org.",
    ),
    (Qtype::KX, &[U16, Target], "10 kdc.example.org."),
    (Qtype::CERT, &[CERTIFICATE, U16, ALGORITHM, Base64], "PKIX 1 8 AQID"),
    (Qtype::A6, &[Special(&special::A6)], "64 ::1 prefix.example.org."),
    (Qtype::DNAME, &[Target], "example.net."),
    (Qtype::SINK, &[U8, U8, U8, MaybeBase64], "1 0 0 AQID"),
    (Qtype::APL, &[Special(&special::APL)], "1:192.0.2.0/24 !2:2001:db8::/32"),
    (Qtype::DS, DELEGATION, "60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    (Qtype::SSHFP, &[U8, U8, Hex], "4 1 123456789abcdef67890123456789abcdef67890"),
    (Qtype::IPSECKEY, &[Special(&special::IPSECKEY)], "10 1 2 192.0.2.38 AQID"),
    (Qtype::RRSIG, SIGNATURE, "A 8 2 3600 20300101000000 20200101000000 1 example.org. AQID"),
    (Qtype::NSEC, &[Target, Types(false)], "next.example.org. A MX RRSIG NSEC"),
    (Qtype::DNSKEY, &[U16, U8, ALGORITHM, Base64], "257 3 13 AQID"),
    (Qtype::DHCID, &[Base64], "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="),
    (
        Qtype::NSEC3,
        &[NSEC3_HASH, U8, U16, Salt, Hash, Types(true)],
        "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
    ),
    (Qtype::NSEC3PARAM, &[NSEC3_HASH, U8, U16, Salt], "1 0 0 -"),
    (Qtype::TLSA, ASSOCIATION, "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
    (Qtype::SMIMEA, ASSOCIATION, "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971"),
    (Qtype::HIP, &[Special(&special::HIP)], "2 200100107b1a74df365639cc39f1d578 AQID rvs.example.org."),
    (Qtype::NINFO, &[Texts], "\"a text\""),
    (Qtype::RKEY, &[U16, U8, ALGORITHM, Base64], "0 1 8 AQID"),
    (Qtype::TALINK, &[Target, Target], "before.example.org. after.example.org."),
    (Qtype::CDS, DELEGATION, "60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    (Qtype::CDNSKEY, &[U16, U8, ALGORITHM, Base64], "257 3 13 AQID"),
    (Qtype::OPENPGPKEY, &[Base64], "AQID"),
    (Qtype::CSYNC, &[U32, U16, Types(true)], "66 3 A NS AAAA"),
    (
        Qtype::ZONEMD,
        &[U32, U8, U8, Hex],
        "1 1 1 c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c",
    ),
    (Qtype::SVCB, BINDING, "1 svc.example.org. alpn=dot port=853"),
    (Qtype::HTTPS, BINDING, "1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1"),
    (Qtype::DSYNC, &[Type, SCHEME, U16, Target], "CDS NOTIFY 5359 notify.example.org."),
    (Qtype::HHIT, &[Base64], "AQID"),
    (Qtype::BRID, &[Base64], "AQID"),
    (Qtype::SPF, &[Texts], "\"v=spf1 -all\""),
    (Qtype::NID, &[U16, Locator], "10 0014:4fff:ff20:ee64"),
    (Qtype::L32, &[U16, Ip4], "10 192.0.2.0"),
    (Qtype::L64, &[U16, Locator], "10 2001:0db8:1140:1000"),
    (Qtype::LP, &[U16, Target], "10 l64.example.org."),
    (Qtype::EUI48, &[Eui(6)], "00-00-5e-00-53-2a"),
    (Qtype::EUI64, &[Eui(8)], "00-00-5e-ef-10-00-00-2a"),
    (Qtype::URI, &[U16, U16, Rest], "10 1 \"https://www.example.org/\""),
    (Qtype::CAA, &[U8, Tag, Rest], "0 issue \"ca.example.net\""),
    (Qtype::AVC, &[Texts], "\"app-name:WOLFGANG\""),
    (
        Qtype::DOA,
        &[U32, U32, U8, Text, Special(&special::DOA_DATA)],
        "0 1 2 \"\" aHR0cHM6Ly93d3cuZXhhbXBsZS5vcmcv",
    ),
    (Qtype::AMTRELAY, &[Special(&special::AMTRELAY)], "10 0 3 amt.example.org."),
    (Qtype::RESINFO, &[Texts], "qnamemin exterr=15-17"),
    (Qtype::WALLET, &[Texts], "\"BTC\" \"an address\""),
    (Qtype::CLA, &[Texts], "\"TCP-v4-TLS\""),
    (Qtype::IPN, &[Number(8)], "4294967298"),
    (Qtype::TA, DELEGATION, "60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    (Qtype::DLV, DELEGATION, "60485 8 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
];

fn row(rtype: Qtype) -> Option<(&'static [Field], &'static str)> {
    TYPES.iter().find(|(known, ..)| *known == rtype).map(|(_, fields, example)| (*fields, *example))
}

/// The octets of a record's data; names are uncompressed and keep their case. `line` is the line of the
/// type.
///
/// # Errors
/// What is wrong with the words, and what was expected.
pub fn from_words(rtype: Qtype, words: &[Word<'_>], origin: Name<'_>, line: u32) -> Result<Vec<u8>, Problem> {
    let mut words = Words::new(words, origin, line);
    if words.peek().is_some_and(|w| !w.quoted && w.text == b"\\#") {
        return generic(rtype, &mut words);
    }
    let Some((fields, example)) = row(rtype) else {
        let reason = format!("the data of {rtype} are written as `\\# LENGTH HEXADECIMAL` (RFC 3597 §5)");
        return Err(words.wrong(reason));
    };
    read(rtype, fields, &mut words).map_err(|mut problem| {
        problem.reason.push_str(&format!("; {rtype} is written like `{example}`"));
        problem
    })
}

fn read(rtype: Qtype, fields: &[Field], words: &mut Words<'_>) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::new();
    for field in fields {
        field.read(words, &mut out)?;
    }
    if let Some(word) = words.next() {
        return Err(words.wrong(format!("`{}` is more than {rtype} takes", shown(word.text))));
    }
    fits(&out).and_then(|()| digest(rtype, &out)).map_err(|reason| words.wrong(reason))?;
    Ok(out)
}

fn fits(data: &[u8]) -> Result<(), String> {
    match u16::try_from(data.len()) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("the data is {} octets long; a record holds 65535", data.len())),
    }
}

/// `\# LENGTH HEXADECIMAL` (RFC 3597 §5): for a known type, the data must be valid.
fn generic(rtype: Qtype, words: &mut Words<'_>) -> Result<Vec<u8>, Problem> {
    words.next();
    let len = words.value("the length after `\\#`", |text| value::number(text, 65_535))?;
    let mut data = Vec::new();
    if words.peek().is_some() {
        let all = words.joined("hexadecimal data")?;
        data = value::hex(&all).map_err(|e| words.wrong(e))?;
    }
    if u64::try_from(data.len()) != Ok(len) {
        return Err(words.wrong(format!("`\\# {len}` is followed by {} octets", data.len())));
    }
    check(rtype, &data).map_err(|reason| words.wrong(reason))?;
    Ok(data)
}

/// Checks octets as the data of a type; for unknown types anything is valid.
///
/// # Errors
/// The octets are not valid data of that type.
pub fn check(rtype: Qtype, data: &[u8]) -> Result<(), String> {
    fits(data)?;
    let Some((fields, _)) = row(rtype) else { return Ok(()) };
    let mut rest = data;
    let whole = fields.iter().all(|field| field.take(&mut rest).is_some());
    if !whole || !rest.is_empty() {
        return Err(format!("these octets are not the data of a record of type {rtype}"));
    }
    digest(rtype, data)
}

/// A digest has the length of its algorithm (RFC 4509 §2.1, RFC 5933 §4, RFC 6605 §2, RFC 8976 §2.2).
fn digest(rtype: Qtype, data: &[u8]) -> Result<(), String> {
    let (at, expected) = match (rtype, data) {
        (Qtype::DS | Qtype::CDS | Qtype::DLV | Qtype::TA, [_, _, _, kind, ..]) => match kind {
            1 => (4, 20),
            2 | 3 => (4, 32),
            4 => (4, 48),
            _ => return Ok(()),
        },
        (Qtype::ZONEMD, [_, _, _, _, 1, kind, ..]) => match kind {
            1 => (6, 48),
            2 => (6, 64),
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    let len = data.len().saturating_sub(at);
    if len == expected {
        Ok(())
    } else {
        Err(format!("the digest has {len} octets; its algorithm gives {expected}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXLOWER};
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::super::token::Entries;
    use super::*;
    use crate::dns::name::NameBuf;

    fn encode(rtype: Qtype, text: &str) -> Result<Vec<u8>, String> {
        let origin = NameBuf::from_text("x.org").unwrap();
        let words = match Entries::new(text.as_bytes()).next() {
            Some(entry) => entry.map_err(|p| p.reason)?.words,
            None => Vec::new(),
        };
        from_words(rtype, &words, origin.as_name(), 1).map_err(|p| p.reason)
    }

    fn generic_text(data: &[u8]) -> String {
        format!("\\# {} {}", data.len(), HEXLOWER.encode(data))
    }

    #[test]
    fn every_type_reads_the_example_that_its_errors_show() {
        for (rtype, _, example) in TYPES {
            let data = encode(*rtype, example).unwrap_or_else(|e| panic!("{rtype} {example}: {e}"));
            assert_eq!(encode(*rtype, &generic_text(&data)), Ok(data), "{rtype} {example}");
            let more = format!("{example} )");
            assert!(encode(*rtype, &more).is_err(), "{rtype} {more}");
        }
    }

    /// Types that BIND 9.18 does not support: `tests/zonefiles.rs` compares the others with it.
    #[test]
    fn newer_types_become_these_octets() {
        for (rtype, text, hex) in [
            (Qtype::MD, "a", "0161 0178 036f7267 00"),
            (Qtype::DSYNC, "CDS NOTIFY 5359 a.", "003b 01 14ef 016100"),
            (Qtype::DSYNC, "TYPE65280 200 1 .", "ff00 c8 0001 00"),
            (Qtype::HHIT, "AQI DBA==", "01020304"),
            (Qtype::BRID, "AQID", "010203"),
            (Qtype::RESINFO, "qnamemin \"exterr=15\"", "08716e616d656d696e 09657874657272 3d3135"),
            (Qtype::WALLET, "BTC x", "03425443 0178"),
            (Qtype::CLA, "TCP", "03544350"),
            (Qtype::IPN, "18446744073709551615", "ffffffffffffffff"),
            (Qtype::SVCB, "1 . ohttp", "0001 00 0008 0000"),
        ] {
            let wire = HEXLOWER.decode(hex.replace(' ', "").as_bytes()).unwrap();
            assert_eq!(encode(rtype, text), Ok(wire), "{rtype} {text}");
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (rtype, text, reason) in [
            (Qtype::A, "\"192.0.2.1\"", "`\"192.0.2.1\"` is in quotes; write an IPv4 address without them"),
            (Qtype::A, "192.0.2.1 5", "`5` is more than A takes"),
            (Qtype::A, "", "the record ends where an IPv4 address is expected"),
            (Qtype::MX, "70000 a", "`70000` is not a number from 0 to 65535"),
            (Qtype::TXT, "\\256", "in `\\256` `\\256` is above 255, the largest octet"),
            (Qtype::DS, "1 8 2 00", "the digest has 1 octets; its algorithm gives 32"),
            (
                Qtype::TLSA,
                "3 1 1 abc",
                "`abc` is not hexadecimal: expected pairs of digits 0 to 9 and a to f",
            ),
            (Qtype::NSEC, "a", "the record ends where a record type is expected"),
            (
                Qtype::HTTPS,
                "1 . prt=1",
                "`prt` is not a parameter: expected one of mandatory, alpn, \
              no-default-alpn, port, ipv4hint, ech, ipv6hint, dohpath, ohttp, or `key` and a number",
            ),
            (Qtype::HTTPS, "1 . port=1 port=2", "the parameter `port` is given twice"),
            (
                Qtype::HTTPS,
                "1 . mandatory=port",
                "`mandatory` lists `port`, which is not among the parameters",
            ),
            (
                Qtype::APL,
                "10.0.0.0/8",
                "`10.0.0.0/8` is not a network such as `1:192.0.2.0/24` or `!2:2001:db8::/32`",
            ),
        ] {
            let (_, example) = row(rtype).unwrap();
            let expected = format!("{reason}; {rtype} is written like `{example}`");
            assert_eq!(encode(rtype, text), Err(expected), "{rtype} {text}");
        }
        let long = encode(Qtype::TXT, &"x".repeat(256)).unwrap_err();
        assert!(long.starts_with("256 octets are too many: 255 fit a string"), "{long}");
    }

    /// A quoted string; each octet that is not a letter or a digit is escaped.
    fn quoted(octets: &[u8]) -> String {
        format!("\"{}\"", escaped(octets))
    }

    fn escaped(octets: &[u8]) -> String {
        octets.iter().fold(String::new(), |mut out, &b| {
            let _ = if b.is_ascii_alphanumeric() {
                write!(out, "{}", char::from(b))
            } else {
                write!(out, "\\{b:03}")
            };
            out
        })
    }

    fn counted(octets: &[u8]) -> Vec<u8> {
        [&[u8::try_from(octets.len()).unwrap()], octets].concat()
    }

    /// A set of types as a bitmap, built naively: every window, every octet.
    fn windows(types: &BTreeSet<u16>) -> Vec<u8> {
        let mut out = Vec::new();
        for window in 0..=255u8 {
            let octet = |at: u16| {
                (0..8).fold(0, |sum, bit| {
                    sum << 1 | u8::from(types.contains(&(u16::from(window) << 8 | at << 3 | bit)))
                })
            };
            let map: Vec<u8> = (0..32).map(octet).collect();
            if let Some(last) = map.iter().rposition(|b| *b != 0) {
                out.push(window);
                out.extend(counted(&map[..=last]));
            }
        }
        out
    }

    type Written = BoxedStrategy<(String, Vec<u8>)>;

    /// Any value of a field: its text and its octets.
    fn any_value(field: Field) -> Written {
        let octets = |least: usize, most: usize| vec(any::<u8>(), least..most);
        let text = || octets(0, 256).prop_map(|o| (quoted(&o), counted(&o)));
        match field {
            Number(len) | Code(len, _) => any::<u64>()
                .prop_map(move |n| n >> (64 - 8 * len))
                .prop_map(move |n| (n.to_string(), n.to_be_bytes()[8 - len..].to_vec()))
                .boxed(),
            Period | Time => any::<u32>().prop_map(|n| (n.to_string(), n.to_be_bytes().to_vec())).boxed(),
            Target => vec(octets(1, 20), 0..8)
                .prop_map(|labels| {
                    let text: String = labels.iter().map(|l| escaped(l) + ".").collect();
                    let wire: Vec<u8> = labels.iter().flat_map(|l| counted(l)).chain([0]).collect();
                    (if labels.is_empty() { ".".into() } else { text }, wire)
                })
                .boxed(),
            Ip4 => {
                any::<u32>().prop_map(|n| (Ipv4Addr::from(n).to_string(), n.to_be_bytes().to_vec())).boxed()
            }
            Ip6 => {
                any::<u128>().prop_map(|n| (Ipv6Addr::from(n).to_string(), n.to_be_bytes().to_vec())).boxed()
            }
            Text => text().boxed(),
            MaybeText => prop_oneof![Just((String::new(), Vec::new())), text()].boxed(),
            Texts => vec(text(), 1..4)
                .prop_map(|all| {
                    let (texts, octets): (Vec<String>, Vec<Vec<u8>>) = all.into_iter().unzip();
                    (texts.join(" "), octets.concat())
                })
                .boxed(),
            Rest => octets(0, 300).prop_map(|o| (quoted(&o), o)).boxed(),
            Tag => "[a-zA-Z0-9]{1,20}".prop_map(|t| (t.clone(), counted(t.as_bytes()))).boxed(),
            Hex => octets(1, 70).prop_map(|o| (HEXLOWER.encode(&o), o)).boxed(),
            Base64 => octets(1, 70).prop_map(|o| (BASE64.encode(&o), o)).boxed(),
            MaybeBase64 => octets(0, 70).prop_map(|o| (BASE64.encode(&o), o)).boxed(),
            Salt => octets(0, 256)
                .prop_map(|o| (if o.is_empty() { "-".into() } else { HEXLOWER.encode(&o) }, counted(&o)))
                .boxed(),
            Hash => {
                octets(1, 60).prop_map(|o| (BASE32HEX_NOPAD.encode(&o).to_lowercase(), counted(&o))).boxed()
            }
            Type => any::<u16>().prop_map(|n| (Qtype(n).to_string(), n.to_be_bytes().to_vec())).boxed(),
            Types(may_be_empty) => btree_set(any::<u16>(), usize::from(!may_be_empty)..9)
                .prop_map(|types| {
                    (types.iter().rev().map(|t| format!("{} ", Qtype(*t))).collect(), windows(&types))
                })
                .boxed(),
            OldTypes => btree_set(1..128u16, 0..9)
                .prop_map(|types| {
                    let map = windows(&types);
                    let text = types.iter().map(|t| format!("TYPE{t} ")).collect();
                    (text, map.get(2..).unwrap_or_default().to_vec())
                })
                .boxed(),
            Eui(len) => octets(len, len + 1)
                .prop_map(|o| (o.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join("-"), o))
                .boxed(),
            Locator => any::<[u16; 4]>()
                .prop_map(|g| {
                    let text: Vec<String> = g.iter().map(|g| format!("{g:x}")).collect();
                    (text.join(":"), g.iter().flat_map(|g| g.to_be_bytes()).collect())
                })
                .boxed(),
            // These have their own presentation formats.
            Special(_) | Params => Just((String::new(), Vec::new())).boxed(),
        }
    }

    fn any_record() -> impl Strategy<Value = (Qtype, String, Vec<u8>)> {
        let plain = |fields: &[Field]| fields.iter().all(|f| !matches!(f, Special(_) | Params));
        let rows: Vec<_> = TYPES.iter().filter(|(_, fields, _)| plain(fields)).collect();
        prop::sample::select(rows).prop_flat_map(|(rtype, fields, _)| {
            let values: Vec<Written> = fields.iter().map(|f| any_value(*f)).collect();
            values.prop_map(|values| {
                let (texts, octets): (Vec<String>, Vec<Vec<u8>>) = values.into_iter().unzip();
                (*rtype, texts.join(" "), octets.concat())
            })
        })
    }

    proptest! {
        #[test]
        fn records_survive_a_round_trip((rtype, text, octets) in any_record()) {
            if digest(rtype, &octets).is_err() {
                prop_assert!(encode(rtype, &text).is_err());
            } else {
                prop_assert_eq!(encode(rtype, &text), Ok(octets.clone()), "{} {}", rtype, text);
                prop_assert_eq!(encode(rtype, &generic_text(&octets)), Ok(octets));
            }
        }

        #[test]
        fn no_octets_and_no_words_make_it_panic(
            rtype in prop::sample::select(TYPES), octets in vec(any::<u8>(), 0..40), text in "[ -~]{0,40}",
        ) {
            if check(rtype.0, &octets).is_ok() {
                prop_assert_eq!(encode(rtype.0, &generic_text(&octets)), Ok(octets));
            }
            if let Ok(octets) = encode(rtype.0, &text) {
                prop_assert_eq!(check(rtype.0, &octets), Ok(()), "{}", text);
            }
        }
    }
}
