//! The rules applied to the ways in which resolvers lie.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::dns::{NameBuf, Qtype};

use super::*;
use crate::Seen;
use crate::action::End;

const ID: u16 = 0x1234;

fn question(qtype: Qtype) -> Question {
    Question { name: NameBuf::from_text("www.example.com").unwrap(), qtype, id: ID, edns: false }
}

/// A reply in words: a code or `OK`, then addresses, `CNAME=target`, and marks for anomalies.
fn reply(qtype: Qtype, text: &str) -> Vec<u8> {
    let mut words = text.split_whitespace();
    let code: u8 = match words.next().unwrap() {
        "OK" => 0,
        "FORMERR" => 1,
        "SERVFAIL" => 2,
        "NXDOMAIN" => 3,
        "REFUSED" => 5,
        "YXDOMAIN" => 6,
        "15" => 15,
        "GARBAGE" => return vec![0x12, 0x34, 0x81],
        "HEADER" => return vec![0x12, 0x34, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0],
        other => panic!("{other}"),
    };
    let mut out = question(qtype).octets();
    out[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    let (mut count, mut trailing) = (0, &[][..]);
    for word in words {
        let (rtype, rdata) = match word {
            "TC" => {
                out[2] |= 2;
                continue;
            }
            "WRONG-ID" => {
                out[0] ^= 0xff;
                continue;
            }
            "QUERY" => {
                out[2] &= 0x7f;
                continue;
            }
            "OTHER-NAME" => {
                out[13] = b'x';
                continue;
            }
            "MORE" => {
                trailing = b"more";
                continue;
            }
            "SHORT" => (1, vec![1, 2, 3]),
            "OPT" => (41, Vec::new()),
            _ => match word.strip_prefix("CNAME=") {
                Some(target) => (5, NameBuf::from_text(target).unwrap().as_bytes().to_vec()),
                None => match word.parse().unwrap() {
                    IpAddr::V4(v4) => (1, v4.octets().to_vec()),
                    IpAddr::V6(v6) => (28, v6.octets().to_vec()),
                },
            },
        };
        count += 1;
        out.extend([0xc0, 12, 0, rtype, 0, 1, 0, 0, 2, 88, 0, u8::try_from(rdata.len()).unwrap()]);
        out.extend(rdata);
    }
    out[7] = count;
    out.extend(trailing);
    out
}

/// Replies separated by `;`, 10 ms apart; `RST` and `FIN` end the connection.
fn lookup(qtype: Qtype, text: &str) -> Lookup {
    let mut seen = Seen::default();
    for (number, part) in (1u64..).zip(text.split(';').map(str::trim).filter(|p| !p.is_empty())) {
        match part {
            "RST" => seen.end = End::Reset,
            "FIN" => seen.end = End::Close,
            _ => seen.replies.push((Duration::from_millis(10 * number), reply(qtype, part))),
        }
    }
    Lookup::read(&question(qtype), &seen)
}

fn pair(a: &str, aaaa: &str) -> Pair {
    Pair { a: lookup(Qtype::A, a), aaaa: lookup(Qtype::AAAA, aaaa) }
}

/// Judges `A | AAAA` of the resolver against that of the control, whose attempts are separated by `/`.
fn judged(resolver: &str, control: &str, known: &Known<'_>) -> Judgement {
    let read = |text: &str| {
        let (a, aaaa) = text.split_once('|').unwrap();
        pair(a, aaaa)
    };
    let probe = Probe {
        resolver: read(resolver),
        control: control.split('/').map(read).collect(),
        udp: true,
        edns: false,
    };
    judge(&probe, known)
}

/// The judgement in one line.
fn line(j: &Judgement) -> String {
    let blocking = match j.classic.blocking {
        ooni::Blocking::Dns => "dns",
        ooni::Blocking::DnsIfThePageFails => "dns?",
        ooni::Blocking::No => "false",
        ooni::Blocking::NotDns => "-",
    };
    format!(
        "{} | {} {} {blocking} | {} | {}",
        j.verdict.word(),
        j.classic.consistency.word(),
        j.classic.flags,
        j.pipeline.map_or("-", |r| r.id),
        j.satellite.map_or_else(|| "-".into(), |s| s.to_string()),
    )
}

const V4_ONLY: &str = "OK 93.184.215.14 | OK";
const BOTH: &str = "OK 93.184.215.14 | OK 2606:2800:21f:cb07::1";

#[test]
fn a_lookup_in_the_words_of_ooni() {
    for (replies, word, duplicates) in [
        ("OK 93.184.215.14", "", 0),
        ("OK", "dns_no_answer", 0),
        ("OK TC", "dns_no_answer", 0),
        ("OK TC 1.2.3.4", "", 0),
        ("OK CNAME=a.test", "dns_no_answer", 0),
        // An address of the other type does not count.
        ("OK 2001:db8::1", "dns_no_answer", 0),
        ("NXDOMAIN", "dns_nxdomain_error", 0),
        ("NXDOMAIN 1.2.3.4", "dns_nxdomain_error", 0),
        ("REFUSED", "dns_refused_error", 0),
        ("SERVFAIL", "dns_servfail_error", 0),
        ("FORMERR", "dns_server_misbehaving", 0),
        ("HEADER", "dns_server_misbehaving", 0),
        ("15", "dns_server_misbehaving", 0),
        ("", "generic_timeout_error", 0),
        ("RST", "connection_reset", 0),
        ("FIN", "eof_error", 0),
        ("OK 1.2.3.4 WRONG-ID; OK 5.6.7.8", "dns_reply_with_wrong_query_id", 0),
        ("OK 1.2.3.4 QUERY; OK 5.6.7.8", "dns_reply_with_wrong_query_id", 0),
        ("GARBAGE; OK 5.6.7.8", "unknown_failure", 0),
        ("OK SHORT; OK 5.6.7.8", "unknown_failure", 0),
        ("OK 1.2.3.4; OK 5.6.7.8; OK 5.6.7.8", "", 2),
        ("NXDOMAIN; OK 5.6.7.8", "dns_nxdomain_error", 1),
        // A message that does not match the query ends the loop.
        ("OK 1.2.3.4; OK 5.6.7.8; GARBAGE; OK 5.6.7.8", "", 1),
        ("OK 1.2.3.4; OK 5.6.7.8 WRONG-ID; OK 5.6.7.8", "", 0),
    ] {
        let lookup = lookup(Qtype::A, replies);
        let failure = lookup.result.as_ref().err().map_or("", |f| f.word());
        assert_eq!((failure, lookup.duplicates), (word, duplicates), "{replies}");
    }
}

#[test]
fn the_query_is_ooni_s_and_has_edns_only_if_asked() {
    let plain = question(Qtype::A).octets();
    let tail = b"\x03www\x07example\x03com\0\0\x01\0\x01";
    assert_eq!(plain, [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0"[..], tail].concat());
    let with = Question { edns: true, ..question(Qtype::A) }.octets();
    assert_eq!(
        with,
        [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01"[..], tail, b"\0\0\x29\x04\xd0\0\0\0\0\0\0"].concat()
    );
}

/// Facts: NXDOMAIN gives flag 2, a private address 5, a public one 4; the other rows are the validation
/// matrix for OONI's classic analysis and for Satellite, and the cases between its rows.
#[test]
fn every_way_to_lie_and_what_the_probes_say() {
    for (resolver, control, expected) in [
        (V4_ONLY, V4_ONLY, "ok | consistent 0 - | answer_matches_ctrl | ip.matchip"),
        (BOTH, BOTH, "ok | consistent 0 - | answer_matches_ctrl | ip.matchip"),
        // One common address is enough.
        (
            "OK 93.184.215.14 1.2.3.4 | OK",
            "OK 93.184.215.14 5.6.7.8 | OK",
            "ok | consistent 0 - | answer_matches_ctrl | ip.matchip",
        ),
        (
            "NXDOMAIN | NXDOMAIN",
            V4_ONLY,
            "dns-interference | inconsistent 2 dns | failure_ctrl_ok | dns.error:NXDomain",
        ),
        (
            "REFUSED | REFUSED",
            V4_ONLY,
            "dns-interference | inconsistent 2 dns | failure_ctrl_ok | dns.error:Refused",
        ),
        (
            "SERVFAIL | SERVFAIL",
            V4_ONLY,
            "dns-interference | inconsistent 2 dns | failure_ctrl_ok | dns.error:ServFail",
        ),
        (
            "15 | 15",
            V4_ONLY,
            "dns-interference | inconsistent 2 dns | failure_ctrl_ok | dns.unknown_rcode:15",
        ),
        // NODATA for both, for AAAA alone, for A alone.
        ("OK | OK", V4_ONLY, "dns-interference | inconsistent 2 dns | failure_ctrl_ok | ip.empty"),
        ("OK 93.184.215.14 | OK", BOTH, "suspect | consistent 0 - | answer_matches_ctrl | ip.matchip"),
        (
            "OK | OK 2606:2800:21f:cb07::1",
            BOTH,
            "dns-interference | inconsistent 2 dns? | failure_ctrl_ok | ip.empty",
        ),
        // A name with only AAAA.
        (
            "OK | OK 2606:2800:21f:cb07::1",
            "OK | OK 2606:2800:21f:cb07::1",
            "ok | consistent 0 - | answer_matches_ctrl | ip.empty",
        ),
        // Stub addresses: loopback, private, for documentation, zero, public.
        (
            "OK 127.0.0.1 | OK",
            V4_ONLY,
            "dns-interference | inconsistent 5 dns | bogon_not_in_ctrl | ip.invalid:local_host",
        ),
        (
            "OK 10.10.34.36 | OK d0::11",
            V4_ONLY,
            "dns-interference | inconsistent 5 dns? | bogon_not_in_ctrl | ip.invalid:local_net",
        ),
        (
            "OK 172.29.8.1 | OK",
            V4_ONLY,
            "dns-interference | inconsistent 5 dns? | bogon_not_in_ctrl | ip.invalid:local_net",
        ),
        (
            "OK 0.0.0.0 | OK",
            V4_ONLY,
            "dns-interference | inconsistent 5 dns? | bogon_not_in_ctrl | ip.invalid:zero",
        ),
        (
            "OK 192.0.2.1 | OK",
            V4_ONLY,
            "dns-interference | inconsistent 5 dns? | bogon_not_in_ctrl | anomaly",
        ),
        ("OK 5.3.3.17 | OK", V4_ONLY, "dns-interference | inconsistent 4 dns? | answer_unmatched | anomaly"),
        // AAAA added to a name that has none.
        (
            "OK 93.184.215.14 | OK 2a02:2698:a002:1::3:17",
            V4_ONLY,
            "dns-interference | inconsistent 4 dns? | answer_unmatched | ip.matchip",
        ),
        // A bogon that the control returns too is not blocking.
        (
            "OK 10.0.0.1 | OK",
            "OK 10.0.0.1 | OK",
            "ok | consistent 1 - | bogon_in_ctrl | ip.invalid:local_net",
        ),
        ("|", V4_ONLY, "dns-interference | inconsistent 2 dns | failure_ctrl_ok | dns.timedout"),
        // Injection, followed by the genuine reply.
        (
            "OK 5.3.3.17; OK 93.184.215.14 | OK",
            V4_ONLY,
            "injected | inconsistent 4 dns? | answer_unmatched | anomaly",
        ),
        (
            "OK 10.10.34.36; OK 93.184.215.14 | OK",
            V4_ONLY,
            "injected | inconsistent 5 dns? | bogon_not_in_ctrl | ip.invalid:local_net",
        ),
        // The genuine reply is first: OONI and Satellite notice nothing.
        (
            "OK 93.184.215.14; OK 5.3.3.17 | OK",
            V4_ONLY,
            "injected | consistent 0 - | answer_matches_ctrl | ip.matchip",
        ),
        (
            "OK 93.184.215.14; OK 93.184.215.14 | OK",
            V4_ONLY,
            "suspect | consistent 0 - | answer_matches_ctrl | ip.matchip",
        ),
        (
            "OK 93.184.215.14 WRONG-ID; OK 93.184.215.14 | OK",
            V4_ONLY,
            "injected | inconsistent 2 dns | failure_ctrl_ok | -",
        ),
        // A for AAAA.
        (
            "OK 93.184.215.14 | OK 8.7.198.45",
            V4_ONLY,
            "suspect | consistent 0 - | answer_matches_ctrl | ip.matchip",
        ),
        ("OK TC | OK TC", V4_ONLY, "dns-interference | inconsistent 2 dns | failure_ctrl_ok | ip.empty"),
        ("RST | RST", V4_ONLY, "dns-interference | inconsistent 2 dns | failure_ctrl_ok | -"),
        // Names that do not exist.
        (
            "NXDOMAIN | NXDOMAIN",
            "NXDOMAIN | NXDOMAIN",
            "down | consistent 0 false | failure_ctrl_also_failing | dns.error:NXDomain",
        ),
        (
            "OK 5.3.3.17 | OK",
            "NXDOMAIN | NXDOMAIN",
            "ghost | inconsistent 4 dns? | answer_unmatched | anomaly",
        ),
        ("OK | OK", "OK | OK", "down | consistent 0 false | failure_ctrl_also_failing | ip.empty"),
        // The control does not reply, or fails occasionally.
        ("OK 5.3.3.17 | OK", "|", "no-control | not measured 0 - | answer_unmatched | anomaly"),
        ("NXDOMAIN | NXDOMAIN", "|", "no-control | not measured 0 - | failure_no_ctrl | dns.error:NXDomain"),
        (
            "NXDOMAIN | NXDOMAIN",
            "OK 93.184.215.14 | OK / SERVFAIL | SERVFAIL",
            "dns-interference | inconsistent 2 dns | failure_ctrl_also_failing | dns.error:NXDomain",
        ),
        (
            "NXDOMAIN | NXDOMAIN",
            "OK 93.184.215.14 | OK / SERVFAIL | SERVFAIL / OK 93.184.215.14 | OK",
            "dns-interference | inconsistent 2 dns | failure_ctrl_ok | dns.error:NXDomain",
        ),
        (
            "OK 5.6.7.8 | OK",
            "OK 93.184.215.14 | OK / OK 5.6.7.8 | OK",
            "ok | consistent 0 - | answer_matches_ctrl | ip.matchip",
        ),
    ] {
        let known = Known { asns: &AsnMap::default(), fingerprints: &[], country: None };
        let j = judged(resolver, control, &known);
        assert_eq!(line(&j), expected, "{resolver} against {control}: {}", j.why);
        assert!(!j.why.is_empty());
    }
}

#[test]
fn networks_and_known_answers_count() {
    let asns = AsnMap::read("93.184.0.0/16 15133\n93.185.0.0/16 15133\n5.0.0.0/8 0\n6.0.0.0/8 0").unwrap();
    let table = "name,scope,location_found,pattern_type,pattern,expected_countries\n\
        ru.1,isp,dns,full,5.3.3.17,RU\nid.1,isp,dns,full,trustpositif.kominfo.go.id,ID\n";
    let (fingerprints, _) = Fingerprint::read(table).unwrap();
    for (resolver, control, country, expected) in [
        ("OK 93.185.1.1 | OK", V4_ONLY, None, "ok | consistent 0 - | answer_asn_matches_ctrl | ip.matchasn"),
        // 0 is not an AS number.
        (
            "OK 5.5.5.5 | OK",
            "OK 6.6.6.6 | OK",
            None,
            "dns-interference | inconsistent 4 dns? | answer_unmatched | anomaly",
        ),
        (
            "OK 5.3.3.17 | OK",
            V4_ONLY,
            Some("ru"),
            "dns-interference | inconsistent 4 dns? | country_consistent_blockpage | anomaly",
        ),
        (
            "OK 5.3.3.17 | OK",
            V4_ONLY,
            Some("DE"),
            "dns-interference | inconsistent 4 dns? | answer_unmatched | anomaly",
        ),
        // The alias reveals it although the network is right.
        (
            "OK CNAME=TrustPositif.kominfo.go.id 93.185.1.1 | OK",
            V4_ONLY,
            Some("ID"),
            "dns-interference | consistent 0 - | country_consistent_blockpage | ip.matchasn",
        ),
        (
            "OK CNAME=trustpositif.kominfo.go.id 93.185.1.1 | OK",
            V4_ONLY,
            None,
            "suspect | consistent 0 - | answer_asn_matches_ctrl | ip.matchasn",
        ),
    ] {
        let known = Known { asns: &asns, fingerprints: &fingerprints, country };
        assert_eq!(line(&judged(resolver, control, &known)), expected, "{resolver} in {country:?}");
    }
}

#[test]
fn signs_that_no_probe_counts() {
    let known = Known { asns: &AsnMap::default(), fingerprints: &[], country: None };
    for (resolver, control, signs) in [
        (V4_ONLY, V4_ONLY, vec![]),
        ("OK 1.2.3.4; OK 93.184.215.14 | OK", V4_ONLY, vec!["2 replies for A within 10.0 ms that differ"]),
        (
            "OK 93.184.215.14; OK 93.184.215.14; OK 93.184.215.14 | OK",
            V4_ONLY,
            vec!["3 replies for A within 20.0 ms, all alike"],
        ),
        ("OK 93.184.215.14 OTHER-NAME | OK", V4_ONLY, vec!["a reply for A without the question"]),
        // Errors may omit the question.
        ("HEADER | HEADER", V4_ONLY, vec![]),
        (
            "OK 93.184.215.14 | OK 1.2.3.4",
            V4_ONLY,
            vec!["an answer for AAAA with addresses of the other type"],
        ),
        ("OK 93.184.215.14; GARBAGE | OK", V4_ONLY, vec!["a reply for A that is not a DNS message"]),
        ("OK 93.184.215.14; RST | OK", V4_ONLY, vec!["the TCP connection for A ended by RST"]),
        ("OK 93.184.215.14 | OK", BOTH, vec!["no AAAA, though the control has one"]),
        ("OK 10.0.0.1 | OK", V4_ONLY, vec!["10.0.0.1 is a bogon"]),
        (
            "OK OPT 93.184.215.14 | OK",
            V4_ONLY,
            vec!["a reply for A whose OPT record is in the wrong section"],
        ),
        (
            "OK 93.184.215.14 MORE | OK MORE",
            V4_ONLY,
            vec!["a reply for A with octets after its end", "a reply for AAAA with octets after its end"],
        ),
    ] {
        let said: Vec<String> =
            judged(resolver, control, &known).signs.iter().map(ToString::to_string).collect();
        assert_eq!(said, signs, "{resolver}");
    }
}

proptest::proptest! {
    #[test]
    fn no_octets_make_it_panic(replies: Vec<Vec<u8>>, ours: bool) {
        let seen = |qtype| {
            let replies = replies.iter().map(|octets| {
                // Octets after a matching question are decoded further.
                let mut out = reply(qtype, "OK");
                out[7] = u8::try_from(octets.len() % 4).unwrap();
                out.extend(octets);
                (Duration::ZERO, if ours { out } else { octets.clone() })
            });
            Lookup::read(&question(qtype), &Seen { replies: replies.collect(), end: End::Open })
        };
        let pair = Pair { a: seen(Qtype::A), aaaa: seen(Qtype::AAAA) };
        let probe = Probe { resolver: pair.clone(), control: vec![pair], udp: true, edns: true };
        let known = Known { asns: &AsnMap::default(), fingerprints: &[], country: None };
        let _ = judge(&probe, &known);
    }
}
