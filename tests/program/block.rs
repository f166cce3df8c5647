//! Block answers over the wire, one row an action.

use crate::common::{SILENCE, Server, exchange, question, until, without_edns};

const CONFIG: &str = r#"
[upstream]
servers = []
[block]
ttl = "30s"
[[list]]
name = "ru"
rules = ["||linkedin.com^", "@@||business.linkedin.com^"]
authority = "Roskomnadzor"
[[list]]
name = "empty"
source = "names.txt"
action = "nodata"
[[list]]
name = "no"
rules = ["||refused.test^"]
action = "refused"
[[list]]
name = "broken"
rules = ["||servfail.test^"]
action = "servfail"
[[list]]
name = "zero"
rules = ["||null.test^"]
action = "null"
[[list]]
name = "stub"
rules = ["||stub.test^"]
action = { address = ["192.0.2.1", "2001:db8::1"] }
[[list]]
name = "stub4"
rules = ["||stub4.test^"]
action = { address = ["192.0.2.1"] }
[[list]]
name = "alias"
rules = ["||alias.test^"]
action = { cname = "walled.example" }
[[list]]
name = "silent"
rules = ["||drop.test^"]
action = "drop"
[[list]]
name = "tcp"
rules = ["||truncate.test^"]
action = "truncate"
[[list]]
name = "watch"
rules = ["||log.test^"]
action = "log"
[[zone]]
origin = "truncate.test"
file = "truncate.zone"
"#;

fn server() -> Server {
    let zone = "@ 60 IN SOA ns. host. 1 2 3 4 5\n@ 60 IN A 192.0.2.77\n";
    Server::start(CONFIG, &[("names.txt", "nodata.test\n"), ("truncate.zone", zone)])
}

#[test]
fn each_action_answers_as_it_says() {
    let server = server();
    let soa =
        |name: &str| format!("authority  {name}. 30 IN SOA {name}. nobody.invalid. 1 3600 1200 604800 30\n");
    let stub = "EDE: 15 (Blocked): stub\nEDE: 4 (Forged Answer)\n";
    for (name, qtype, expected) in [
        ("linkedin.com", "A", format!("status: NXDOMAIN, flags: qr rd ra\nEDE: 16 (Censored): ru (Roskomnadzor)\n{}", soa("linkedin.com"))),
        ("www.linkedin.com", "MX", format!("status: NXDOMAIN, flags: qr rd ra\nEDE: 16 (Censored): ru (Roskomnadzor)\n{}", soa("www.linkedin.com"))),
        ("nodata.test", "A", format!("status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): empty\n{}", soa("nodata.test"))),
        ("refused.test", "A", "status: REFUSED, flags: qr rd ra\nEDE: 15 (Blocked): no\n".into()),
        ("servfail.test", "A", "status: SERVFAIL, flags: qr rd ra\nEDE: 15 (Blocked): broken\n".into()),
        ("null.test", "A", "status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): zero\nEDE: 4 (Forged Answer)\nanswer     null.test. 30 IN A 0.0.0.0\n".into()),
        ("null.test", "AAAA", "status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): zero\nEDE: 4 (Forged Answer)\nanswer     null.test. 30 IN AAAA ::\n".into()),
        ("stub.test", "A", format!("status: NOERROR, flags: qr rd ra\n{stub}answer     stub.test. 30 IN A 192.0.2.1\n")),
        ("stub.test", "AAAA", format!("status: NOERROR, flags: qr rd ra\n{stub}answer     stub.test. 30 IN AAAA 2001:db8::1\n")),
        ("stub.test", "MX", format!("status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): stub\n{}", soa("stub.test"))),
        ("stub.test", "HTTPS", format!("status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): stub\n{}", soa("stub.test"))),
        ("stub4.test", "AAAA", format!("status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): stub4\n{}", soa("stub4.test"))),
        ("alias.test", "A", "status: NOERROR, flags: qr rd ra\nEDE: 15 (Blocked): alias\nEDE: 4 (Forged Answer)\nanswer     alias.test. 30 IN CNAME walled.example.\n".into()),
        ("truncate.test", "A", "status: NOERROR, flags: qr tc rd ra\nEDE: 15 (Blocked): tcp\n".into()),
        // These pass, and there is nobody to ask.
        ("log.test", "A", "status: REFUSED, flags: qr rd ra\nEDE: 20 (Not Authoritative)\n".into()),
        ("business.linkedin.com", "A", "status: REFUSED, flags: qr rd ra\nEDE: 20 (Not Authoritative)\n".into()),
        ("notlinkedin.com", "A", "status: REFUSED, flags: qr rd ra\nEDE: 20 (Not Authoritative)\n".into()),
    ] {
        assert_eq!(server.ask(name, qtype).told(), expected, "{name} {qtype}");
    }
    assert!(server.ask_tcp("truncate.test", "A").text().contains("192.0.2.77"));
}

#[test]
fn drop_is_silence() {
    assert_eq!(exchange(server().dns, &question("drop.test", "A"), SILENCE), None);
}

#[test]
fn a_client_without_edns_gets_none() {
    let reply = server().send(&without_edns(question("linkedin.com", "A"))).unwrap();
    assert_eq!(reply.status(), "NXDOMAIN");
    assert_eq!(reply.message().header.arcount, 0);
}

#[test]
fn the_question_comes_back_as_it_was_asked() {
    let mut packet = question("linkedin.com", "A");
    packet[13..21].copy_from_slice(b"LiNkEdIn");
    // CD set, RD clear.
    packet[2] = 0;
    packet[3] = 0x10;
    let reply = server().send(&packet).unwrap();
    assert_eq!(reply.0[..2], [0x12, 0x34]);
    assert_eq!(reply.0[13..21], *b"LiNkEdIn");
    assert!(reply.text().starts_with("status: NXDOMAIN, flags: qr ra cd\n"), "{}", reply.text());
}

#[test]
fn counters_tell_what_happened_and_name_no_question() {
    let config = format!("{CONFIG}\n[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let zone = "@ 60 IN SOA ns. host. 1 2 3 4 5\n";
    let server = Server::start(&config, &[("names.txt", "nodata.test\n"), ("truncate.zone", zone)]);
    for _ in 0..3 {
        server.ask("secret-name.linkedin.com", "A");
    }
    server.ask_tcp("refused.test", "A");
    let expected = [
        "# HELP portcullis_queries_total",
        "# TYPE portcullis_queries_total counter",
        "portcullis_queries_total{transport=\"udp\"} 3",
        "portcullis_queries_total{transport=\"tcp\"} 1",
        "portcullis_verdicts_total{verdict=\"blocked\"} 4",
        "portcullis_list_hits_total{list=\"ru\"} 3",
        "portcullis_responses_total{rcode=\"NXDOMAIN\"} 3",
        "portcullis_responses_total{rcode=\"REFUSED\"} 1",
        "portcullis_answered_by_total{step=\"policy\"} 4",
    ];
    // Counters move after the reply has left, so the page may be a moment behind.
    for line in expected {
        until(line, || server.metrics().contains(line));
    }
    assert!(!server.metrics().contains("secret-name"));
}
