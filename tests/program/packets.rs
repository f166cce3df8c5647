//! Packets that are no queries, and queries of odd kinds.

use crate::common::{SILENCE, Server, exchange, question};

const CONFIG: &str = "version = \"portcullis test\"\nidentity = \"one\"\n[upstream]\nservers = []\n\
                      [[list]]\nname = \"l\"\nrules = [\"||linkedin.com^\"]\n";

fn with(mut packet: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    packet[at..at + bytes.len()].copy_from_slice(bytes);
    packet
}

#[test]
fn every_fault_has_its_answer() {
    let server = Server::start(CONFIG, &[]);
    let good = question("linkedin.com", "A");
    let class_at = good.len() - 13;
    let mut junk = good.clone();
    junk.push(7);
    for (what, packet, expected) in [
        ("a response", with(good.clone(), 2, &[0x81]), None),
        ("eleven octets", good[..11].to_vec(), None),
        ("no octets", Vec::new(), None),
        ("opcode UPDATE", with(good.clone(), 2, &[0x28]), Some(4)),
        ("no question", with(good.clone(), 4, &[0, 0]), Some(1)),
        ("65535 questions", with(good.clone(), 4, &[0xff, 0xff]), Some(1)),
        ("a pointer in the question", with(good.clone(), 12, &[0xc0, 0x0c]), Some(1)),
        ("junk behind the message", junk, Some(1)),
        ("a cut question", good[..20].to_vec(), Some(1)),
        ("AXFR", with(good.clone(), class_at - 1, &[252]), Some(5)),
        ("TKEY", with(good.clone(), class_at - 1, &[249]), Some(4)),
        ("class HS", with(good.clone(), class_at, &[0, 4]), Some(5)),
    ] {
        let reply =
            exchange(server.dns, &packet, if expected.is_some() { crate::common::PATIENCE } else { SILENCE });
        assert_eq!(reply.as_ref().map(|r| r.0[3] & 0xf), expected, "{what}");
        if let Some(reply) = reply {
            assert_eq!(reply.0[..2], packet[..2], "{what}: the id comes back");
        }
    }
    // It still serves.
    assert_eq!(server.ask("linkedin.com", "A").status(), "NXDOMAIN");
}

/// A seeded walk over the ways to break a packet: every cut, every octet changed in some ways.
#[test]
fn no_broken_packet_stops_it() {
    let server = Server::start(CONFIG, &[]);
    let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let good = question("www.linkedin.com", "AAAA");
    let mut random = 0x2016_1117_u32;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random
    };
    for cut in 0..good.len() {
        socket.send_to(&good[..cut], server.dns).unwrap();
    }
    for _ in 0..2_000 {
        let mut bad = good.clone();
        for _ in 0..=next() % 3 {
            let at = next() as usize % bad.len();
            bad[at] = next() as u8;
        }
        socket.send_to(&bad, server.dns).unwrap();
    }
    assert_eq!(server.ask("linkedin.com", "A").status(), "NXDOMAIN");
    assert_eq!(server.ask_tcp("linkedin.com", "A").status(), "NXDOMAIN");
}

#[test]
fn edns_version_one_is_told_which_is_spoken() {
    let server = Server::start(CONFIG, &[]);
    let good = question("linkedin.com", "A");
    let version = good.len() - 5;
    let reply = server.send(&with(good, version, &[1])).unwrap();
    assert_eq!(reply.status(), "BADVERS");
    assert_eq!(reply.message().edns().unwrap().version, 0);
    assert_eq!(reply.message().edns().unwrap().payload_size, 1232);
}

#[test]
fn the_server_speaks_of_itself_only_if_told_to() {
    let chaos = |name: &str| {
        let packet = question(name, "TXT");
        let class_at = packet.len() - 13;
        with(packet, class_at, &[0, 3])
    };
    let open = Server::start(CONFIG, &[]);
    assert!(open.send(&chaos("version.bind")).unwrap().text().contains("CH TXT \"portcullis test\""));
    assert!(open.send(&chaos("ID.server")).unwrap().text().contains("\"one\""));
    assert_eq!(open.send(&chaos("other.bind")).unwrap().status(), "REFUSED");
    let closed = Server::start("[upstream]\nservers = []\n", &[]);
    assert_eq!(closed.send(&chaos("version.bind")).unwrap().status(), "REFUSED");
}

#[test]
fn any_is_answered_minimally() {
    let server = Server::start(CONFIG, &[]);
    let text = server.ask("example.test", "ANY").text();
    assert!(text.contains("HINFO \"RFC8482\" \"\""), "{text}");
}

#[test]
fn who_may_not_ask_is_refused() {
    let server = Server::start("allow = [\"192.0.2.0/24\"]\n", &[]);
    assert_eq!(server.ask("a.test", "A").text(), "status: REFUSED, flags: qr rd ra\nEDE: 18 (Prohibited)\n");
}
