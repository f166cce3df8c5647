//! What the tables of `tests/policy/` can't say: who is asked, at which listener, and what is left of a
//! reply.

use std::net::SocketAddr;

use crate::common::{PATIENCE, Server, Upstream, connect, exchange, question, reply, until};
use portcullis::dns::Message;

const A: &[u8] = &[192, 0, 2, 9];

fn upstream(last: u8) -> Upstream {
    Upstream::start(move |query, _| Some(reply(query, 0, &[(1, 300, &[192, 0, 2, last])], &[], None)))
}

fn listeners(server: &Server) -> Vec<SocketAddr> {
    server.ready["dns"].as_array().unwrap().iter().map(|a| a.as_str().unwrap().parse().unwrap()).collect()
}

fn ask(at: SocketAddr, from: &str, name: &str) -> String {
    let socket = std::net::UdpSocket::bind((from, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&question(name, "A"), at).unwrap();
    let mut out = [0; 4096];
    let len = socket.recv(&mut out).unwrap();
    Message::parse(&out[..len]).unwrap().to_string()
}

#[test]
fn a_name_goes_to_the_upstreams_of_its_suffix_or_of_the_clients_group() {
    let (main, office, lab) = (upstream(1), upstream(2), upstream(3));
    let config = format!(
        "{}[[forward]]\nsuffix = \"corp.test\"\nservers = [\"{}\"]\n\
         [[group]]\nname = \"lab\"\nclients = [\"127.9.0.0/16\"]\nupstreams = [\"{}\"]\n",
        Upstream::config(&[&main]),
        office.addr,
        lab.addr
    );
    let server = Server::start(&config, &[]);
    // Twice, so that the second answer comes from the cache: each group has its own.
    for _ in 0..2 {
        assert!(ask(server.dns, "127.0.0.1", "a.test").contains("192.0.2.1"));
        assert!(ask(server.dns, "127.0.0.1", "A.Corp.test").contains("192.0.2.2"));
        assert!(ask(server.dns, "127.0.0.1", "notcorp.test").contains("192.0.2.1"));
        assert!(ask(server.dns, "127.9.0.1", "a.test").contains("192.0.2.3"));
        // The suffix says more than the group.
        assert!(ask(server.dns, "127.9.0.1", "a.corp.test").contains("192.0.2.2"));
    }
    assert_eq!((main.asked(), office.asked(), lab.asked()), (2, 1, 1));
}

/// A list sends a name and all below it to one of them, which it has therefore too.
#[test]
fn a_rewrite_ends_at_a_name_that_it_covers_itself() {
    let upstream = upstream(9);
    let config = format!(
        "{}[[list]]\nname = \"safe\"\nrules = [\"||search.test^$dnsrewrite=NOERROR;CNAME;safe.search.test\"]\n",
        Upstream::config(&[&upstream]),
    );
    let server = Server::start(&config, &[]);
    let text = ask(server.dns, "127.0.0.1", "www.search.test");
    assert!(text.contains("www.search.test. 60 IN CNAME safe.search.test.\n"), "{text}");
    assert!(text.contains("safe.search.test. 300 IN A 192.0.2.9\n"), "{text}");
}

#[test]
fn a_group_can_be_those_who_ask_at_one_listener() {
    let upstream = upstream(9);
    // Free ports, found by a server that has them for a moment.
    let ports = {
        let server = Server::start("listen = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\n", &[]);
        listeners(&server)
    };
    let config = format!(
        "listen = [\"{}\", \"{}\"]\n{}[[list]]\nname = \"games\"\nrules = [\"||games.test^\"]\n\
         [[group]]\nname = \"kids\"\nlisten = [\"{}\"]\nlists = [\"games\"]\n\
         [[group]]\nname = \"others\"\nlists = []\n",
        ports[0],
        ports[1],
        Upstream::config(&[&upstream]),
        ports[1]
    );
    let server = Server::start(&config, &[]);
    let status = |at: SocketAddr, tcp: bool| {
        let packet = question("games.test", "A");
        if tcp {
            let mut stream = connect(at);
            crate::common::write_framed(&mut stream, &packet);
            crate::common::Reply(crate::common::read_framed(&mut stream).unwrap()).status()
        } else {
            exchange(at, &packet, PATIENCE).unwrap().status()
        }
    };
    for tcp in [false, true] {
        assert_eq!(status(ports[0], tcp), "NOERROR");
        assert_eq!(status(ports[1], tcp), "NXDOMAIN");
    }
    // The sockets keep their groups when a reload has the listeners in another order.
    let path = server.folder.path().join("portcullis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let turned = text
        .replace(
            &format!("[\"{}\", \"{}\"]", ports[0], ports[1]),
            &format!("[\"{}\", \"{}\"]", ports[1], ports[0]),
        )
        .replace("||games.test^\"", "||games.test^\", \"||new.test^\"");
    std::fs::write(&path, turned).unwrap();
    server.signal("-HUP");
    until("the new rule blocks", || {
        exchange(ports[1], &question("new.test", "A"), PATIENCE).unwrap().status() == "NXDOMAIN"
    });
    assert_eq!([status(ports[0], false), status(ports[1], false)], ["NOERROR", "NXDOMAIN"]);
}

/// HTTPS `1 . alpn=h2 ech=… ipv4hint=203.0.113.7`.
fn https(query: &[u8]) -> Vec<u8> {
    let rdata = b"\0\x01\0\0\x01\0\x03\x02h2\0\x04\0\x04\xcb\0\x71\x07\0\x05\0\x04abcd";
    reply(query, 0, &[(65, 300, rdata), (65, 300, b"\0\x02\x04evil\x04test\0")], &[], Some(b""))
}

#[test]
fn keys_for_encrypted_hello_can_be_taken_out() {
    for (ech, kept) in [("keep", true), ("strip", false)] {
        let upstream = Upstream::start(|query, _| Some(https(query)));
        let config = format!("{}[inspect]\nech = \"{ech}\"\n", Upstream::config(&[&upstream]));
        let server = Server::start(&config, &[]);
        // The second time from the cache.
        for _ in 0..2 {
            let reply = server.ask("shop.test", "HTTPS");
            assert_eq!(reply.0.windows(4).any(|w| w == b"abcd"), kept, "{ech}");
            assert_eq!(reply.message().header.ancount, 2);
            assert!(reply.0.windows(2).any(|w| w == b"h2"));
        }
    }
}

#[test]
fn targets_and_hints_of_service_bindings_are_what_they_are() {
    let upstream = Upstream::start(|query, _| Some(https(query)));
    let config = |list: &str| format!("{}{list}", Upstream::config(&[&upstream]));
    for list in [
        "[[list]]\nname = \"l\"\nrules = [\"||evil.test^\"]\n",
        "[[list]]\nname = \"l\"\nkind = \"addresses\"\nsource = \"nets\"\n",
    ] {
        let server = Server::start(&config(list), &[("nets", "203.0.113.0/24\n")]);
        // The name has other types, so it exists.
        let refused = server.ask("shop.test", "HTTPS");
        assert_eq!((refused.status().as_str(), refused.message().header.ancount), ("NOERROR", 0), "{list}");
        assert!(refused.text().contains("EDE: 15 (Blocked)"), "{list}");
    }
    let server = Server::start(&config("[[list]]\nname = \"l\"\nrules = [\"||other.test^\"]\n"), &[]);
    assert_eq!(server.ask("shop.test", "HTTPS").status(), "NOERROR");
}

/// What is kept is judged by the lists of now: a reload brings a rule, and the cached reply is refused.
#[test]
fn a_reload_judges_what_is_cached() {
    let upstream = Upstream::start(|query, _| {
        let mut bytes = reply(query, 0, &[(5, 300, b"\x07tracker\x04test\0"), (1, 300, A)], &[], None);
        bytes[7] = 2;
        Some(bytes)
    });
    let config = |rule: &str| {
        format!("{}[[list]]\nname = \"l\"\nrules = [\"||{rule}^\"]\n", Upstream::config(&[&upstream]))
    };
    let server = Server::start(&config("elsewhere.test"), &[]);
    for _ in 0..3 {
        assert_eq!(server.ask("shop.test", "A").status(), "NOERROR");
    }
    let path = server.folder.path().join("portcullis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("||elsewhere.test^", "||tracker.test^")).unwrap();
    server.signal("-HUP");
    until("the new rule blocks what is cached", || server.ask("shop.test", "A").status() == "NXDOMAIN");
    assert_eq!(upstream.asked(), 1);
}

#[test]
fn a_client_that_understands_structured_errors_gets_one() {
    let config = "[upstream]\nservers = []\n\
        [block.contact]\nuris = [\"mailto:dns@school.test\", \"https://school.test/why\"]\norganization = \"School\"\n\
        [[list]]\nname = \"l\"\nrules = [\"||a.test^\"]\nreason = \"No games\"\nsub-error = \"network-policy\"\n\
        action = { address = [\"192.0.2.1\"] }\n";
    let server = Server::start(config, &[]);
    let mut packet = question("a.test", "A");
    assert!(server.send(&packet).unwrap().text().contains("EDE: 15 (Blocked): l ["));
    // An empty option of structured errors.
    let end = packet.len();
    packet[end - 1] = 4;
    packet.extend(b"\xfe\0\0\0");
    let text = server.send(&packet).unwrap().text();
    let json = text.lines().find_map(|l| l.strip_prefix("EDE: 15 (Blocked): ")).unwrap();
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(value["c"], serde_json::json!(["mailto:dns@school.test"]));
    assert_eq!((&value["j"], &value["s"], &value["o"]), (&"No games".into(), &5.into(), &"School".into()));
    assert!(!text.contains("EDE: 4"), "{text}");
}
