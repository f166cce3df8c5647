//! The portable way of moving datagrams, one a call (`udp-batch = 1`), gives what the way of Linux gives: one case
//! of each way through the server.

use portcullis::dns::Rcode;

use crate::common::{
    PATIENCE, Reply, SILENCE, Server, Upstream, exchange, question, reply, until, without_edns,
};

const LISTS: &str = r#"[[list]]
name = "l"
rules = ["||blocked.test^"]
authority = "a court"
[[list]]
name = "stub"
rules = ["||stub.test^"]
action = { address = ["192.0.2.7"] }
[[list]]
name = "silent"
rules = ["||drop.test^"]
action = "drop"
[[zone]]
origin = "z.test"
file = "z"
"#;

fn zone() -> String {
    let long = vec![format!("\"{}\"", "x".repeat(200)); 20].join(" ");
    format!("@ 60 IN SOA ns host 1 2 3 4 5\na 60 IN A 192.0.2.4\nlong 60 IN TXT {long}\n")
}

fn start(batch: u16, upstream: &Upstream) -> Server {
    let config = format!("udp-batch = {batch}\n{}{LISTS}", Upstream::config(&[upstream]));
    Server::start(&config, &[("z", &zone())])
}

fn upstream() -> Upstream {
    Upstream::start(|query, _| Some(reply(query, 0, &[(1, 86_000, &[192, 0, 2, 9])], &[], None)))
}

/// A reply in words; empty: none.
fn told(reply: Option<Reply>) -> String {
    match reply {
        None => String::new(),
        // A header alone.
        Some(reply) if reply.0.len() == 12 => format!("status: {}", Rcode(u16::from(reply.0[3] & 0xf))),
        Some(reply) => reply.told(),
    }
}

#[test]
fn each_shape_of_reply_is_the_same() {
    let upstream = upstream();
    let servers = [1, 64].map(|batch| start(batch, &upstream));
    let mut update = question("a.z.test", "SOA");
    update[2] = 5 << 3;
    let mut response = question("blocked.test", "A");
    response[2] |= 0x80;
    for (packet, begins) in [
        (question("BLOCKED.test", "A"), "status: NXDOMAIN"),
        (question("stub.test", "A"), "status: NOERROR"),
        (question("stub.test", "MX"), "status: NOERROR"),
        (without_edns(question("a.z.test", "A")), "status: NOERROR, flags: qr aa"),
        (question("long.z.test", "TXT"), "status: NOERROR, flags: qr aa tc"),
        (question("forwarded.test", "A"), "status: NOERROR"),
        // From the cache.
        (question("forwarded.test", "A"), "status: NOERROR"),
        (update, "status: NOTIMP"),
        (question("blocked.test", "A")[..20].to_vec(), "status: FORMERR"),
        (question("drop.test", "A"), ""),
        (response, ""),
        (b"\x12\x34\0".to_vec(), ""),
    ] {
        let patience = if begins.is_empty() { SILENCE } else { PATIENCE };
        let [portable, linux] = [0, 1].map(|n| told(exchange(servers[n].dns, &packet, patience)));
        assert!(
            portable.starts_with(begins) && portable.is_empty() == begins.is_empty(),
            "{begins}: {portable}"
        );
        assert_eq!(portable, linux);
    }
    assert_eq!(upstream.asked(), 2);
}

#[test]
fn many_at_once_are_all_answered_and_a_reload_holds_none_up() {
    let upstream = upstream();
    let server = start(1, &upstream);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let server = &server;
            scope.spawn(move || {
                for n in 0..100 {
                    assert_eq!(server.ask(&format!("n{n}.t{thread}.blocked.test"), "A").status(), "NXDOMAIN");
                    assert_eq!(server.ask(&format!("n{n}.t{thread}.test"), "A").status(), "NOERROR");
                }
            });
        }
        let path = server.folder.path().join("portcullis.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("||blocked.test^\"", "||blocked.test^\", \"||new.example^\""))
            .unwrap();
        server.signal("-HUP");
        until("the new rule blocks", || server.ask("new.example", "A").status() == "NXDOMAIN");
    });
    assert!(upstream.asked() >= 400, "{}", upstream.asked());
}
