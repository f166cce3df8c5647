//! What clients get over TCP: the octets of the reply, whatever they are; and what they may take.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use crate::common::{
    PATIENCE, Process, Server, Upstream, portcullis, question, read_framed, reply, without_edns, write_framed,
};

/// Types and data that libraries for DNS messages are known to refuse or to change.
const ODD: [(&str, u16, &[u8]); 8] = [
    ("MINFO, compressed", 14, b"\x02rm\xc0\x0c\x02em\xc0\x0c"),
    ("RP, compressed", 17, b"\x04mbox\xc0\x0c\x03txt\xc0\x0c"),
    ("APL, empty", 42, b""),
    ("NULL, empty", 10, b""),
    ("a private type, empty", 65_281, b""),
    ("HTTPS with GREASE in its ALPN", 65, b"\0\x01\0\0\x01\0\x06\x02\xea\xea\x02h2"),
    ("NAPTR that is no NAPTR", 35, b"\0\x01\0\x02\xff\xff\xff"),
    ("CSYNC with an odd bitmap", 62, b"\0\0\0\x01\0\x03\0\x00"),
];

#[test]
fn odd_records_come_as_they_do_over_udp() {
    let upstream = Upstream::start(|query, _| {
        let at = query[12..].iter().position(|b| *b == 0).unwrap() + 13;
        let qtype = u16::from_be_bytes([query[at], query[at + 1]]);
        let (_, _, rdata) = ODD.iter().find(|(_, t, _)| *t == qtype)?;
        Some(reply(query, 0, &[(qtype, 300, rdata)], &[], Some(b"")))
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    for (what, qtype, rdata) in ODD {
        let packet = question("odd.test", &format!("TYPE{qtype}"));
        let asked = |tcp| if tcp { server.send_tcp(&packet) } else { server.send(&packet) };
        let (tcp, udp) = (asked(true).unwrap(), asked(false).unwrap());
        assert_eq!((tcp.status(), tcp.message().header.ancount), ("NOERROR".into(), 1), "{what}");
        assert_eq!(tcp.0, udp.0, "{what}");
        if !rdata.contains(&0xc0) {
            assert!(
                tcp.0.windows(rdata.len().max(1)).any(|part| part == rdata || rdata.is_empty()),
                "{what}"
            );
        }
    }
}

#[test]
fn many_addresses_of_a_long_name_fit_one_reply() {
    let upstream = Upstream::start(|query, tcp| {
        let addresses: Vec<[u8; 4]> = (0..1200u16).map(|n| [192, 0, (n >> 8) as u8, n as u8]).collect();
        let records: Vec<(u16, u32, &[u8])> = addresses.iter().map(|a| (1, 300, &a[..])).collect();
        Some(if tcp { reply(query, 0, &records, &[], None) } else { reply(query, 0x200, &[], &[], None) })
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    let name = format!("{}.test", ["a"; 4].map(|label| label.repeat(60)).join("."));
    for _ in 0..2 {
        let reply = server.ask_tcp(&name, "A");
        let header = reply.message().header;
        assert_eq!((reply.status(), header.ancount), ("NOERROR".into(), 1200));
        assert!(reply.0.len() < 12 + 260 + 1200 * 16 + 11, "{} octets", reply.0.len());
    }
}

#[test]
fn odd_queries_are_treated_as_over_udp() {
    let config = "[upstream]\nservers = []\n[[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n";
    let server = Server::start(config, &[]);
    let plain = question("blocked.test", "A");
    let bare = without_edns(plain.clone());
    let with = |count: usize, rest: &[u8]| {
        let mut packet = [&bare[..], rest].concat();
        packet[count] = 1;
        packet
    };
    let opt = |options: &[u8]| {
        let len = u16::try_from(options.len()).unwrap().to_be_bytes();
        with(11, &[b"\0\0\x29\x04\xd0\0\0\0\0", &len[..], options].concat())
    };
    let tsig = b"\x03key\0\0\xfa\0\xff\0\0\0\0\0\x10\x04hmac\0\0\0\0\0\0\0\0\0\0\0";
    let record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
    for (what, packet) in [
        ("an unknown option", opt(b"\xff\xfe\0\x02hi")),
        ("an option cut short", opt(b"\0\x0a\0\x08abc")),
        ("a cookie of an odd length", opt(b"\0\x0a\0\x03abc")),
        ("EDNS of another version", with(11, b"\0\0\x29\x04\xd0\0\x09\0\0\0\0")),
        ("a TSIG", with(11, tsig)),
        ("a record in the answer section", with(7, record)),
        ("no question", vec![0x12, 0x34, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("octets behind the end", [&plain[..], b"more"].concat()),
        ("another opcode", [&plain[..2], &[0x21], &plain[3..]].concat()),
    ] {
        let (tcp, udp) = (server.send_tcp(&packet), server.send(&packet));
        // The reference of a refusal is drawn anew for each, and a header alone is no message to read.
        let told = |reply: Option<crate::common::Reply>| {
            reply.map(|r| (if r.0.len() > 12 { r.told() } else { format!("{:?}", r.0) }, r.0.len()))
        };
        assert_eq!(told(tcp), told(udp), "{what}");
    }
}

#[test]
fn who_closes_its_side_still_gets_its_answers() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 60, &[192, 0, 2, 9])], &[], None)));
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    let mut stream = TcpStream::connect(server.dns).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    for name in ["one.test", "two.test", "three.test"] {
        write_framed(&mut stream, &question(name, "A"));
    }
    stream.shutdown(Shutdown::Write).unwrap();
    for _ in 0..3 {
        assert_eq!(read_framed(&mut stream).expect("an answer")[3] & 0xf, 0);
    }
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "then the connection ends");
}

#[test]
fn who_may_not_ask_holds_no_connection() {
    let server = Server::start("allow = [\"192.0.2.0/24\"]\n[upstream]\nservers = []\n", &[]);
    assert_eq!(server.ask("a.test", "A").status(), "REFUSED");
    let mut stream = TcpStream::connect(server.dns).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(_)), "it is hung up on");
}

/// With few descriptors, held by idle connections, UDP, upstreams and new connections go on (W17).
#[cfg(target_os = "linux")]
#[test]
fn idle_connections_take_no_descriptor_that_others_need() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 0, &[192, 0, 2, 9])], &[], None)));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let config = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[special]\ntest = false\n{}[metrics]\nlisten = \"127.0.0.1:0\"\n",
        Upstream::config(&[&upstream])
    );
    std::fs::write(&path, config).unwrap();
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -n 128; exec \"$0\" serve --ready-json --config \"$1\""])
        .arg(portcullis().get_program())
        .arg(&path);
    let server = Server::of(Process::start(&mut limited), folder);
    let mut idle = Vec::new();
    for n in 0..300 {
        idle.push(TcpStream::connect(server.dns).unwrap());
        if n % 50 == 0 {
            assert_eq!(server.ask(&format!("n{n}.test"), "A").status(), "NOERROR", "UDP and the upstream");
        }
    }
    assert_eq!(server.ask_tcp("tcp.test", "A").status(), "NOERROR", "a new connection");
    idle[0].set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(idle[0].read(&mut [0]), Ok(0)), "the one that was idle for longest is closed");
    let metrics = server.metrics();
    let value = |name: &str| -> f64 {
        let line = metrics.lines().find(|l| l.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name}: {metrics}")).rsplit(' ').next().unwrap().parse().unwrap()
    };
    let open = value("portcullis_tcp_connections");
    assert!((1.0..=32.0).contains(&open), "{open} connections are open");
    assert!(value("portcullis_tcp_connections_closed_total") >= 250.0);
    assert!(value("portcullis_tcp_accept_failures_total") < 20.0);
}
