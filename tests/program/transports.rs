//! UDP and TCP give the same answers; connections, signals, reloads.

use crate::common::{
    Server, Upstream, connect, question, read_framed, reply, until, without_edns, write_framed,
};

const ZONE: &str = "@ 60 IN SOA ns host 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\n*.w 60 IN A 192.0.2.1\n\
    www 60 IN CNAME ns\nmx 60 IN MX 10 ns\ntxt 60 IN TXT \"one\" \"two\"\nh 60 IN HTTPS 1 . alpn=\"h2\" ipv4hint=192.0.2.1\n\
    d 60 IN NS ns.d\nns.d 60 IN A 192.0.2.54\n";

#[test]
fn a_hundred_questions_get_the_same_answers_over_both() {
    let upstream =
        Upstream::start(|query, _| Some(reply(query, 0, &[(1, 86_000, &[192, 0, 2, 9])], &[], Some(b""))));
    let config = format!(
        "{}[[list]]\nname = \"l\"\nsource = \"l\"\nauthority = \"a court\"\n[[list]]\nname = \"s\"\nrules = [\"||stub.test^\"]\n\
         action = {{ address = [\"192.0.2.7\"] }}\n[[zone]]\norigin = \"z.test\"\nfile = \"z\"\n",
        Upstream::config(&[&upstream])
    );
    let list: String = (0..20).map(|i| format!("blocked{i}.test\n")).collect();
    let server = Server::start(&config, &[("l", &list), ("z", ZONE)]);
    let mut questions: Vec<(String, &str)> = Vec::new();
    for i in 0..20 {
        questions.push((format!("BLOCKED{i}.test"), "A"));
        questions.push((format!("a.b.blocked{i}.test"), "HTTPS"));
        questions.push((format!("forwarded{i}.example"), "A"));
    }
    for name in [
        "z.test",
        "www.z.test",
        "mx.z.test",
        "txt.z.test",
        "h.z.test",
        "x.w.z.test",
        "d.z.test",
        "nope.z.test",
    ] {
        for qtype in ["A", "MX", "TXT", "HTTPS", "SOA"] {
            questions.push((name.to_owned(), qtype));
        }
    }
    assert_eq!(questions.len(), 100);
    for (name, qtype) in questions {
        let mut packet = question(&name, qtype);
        packet[13].make_ascii_uppercase();
        for packet in [without_edns(packet.clone()), packet] {
            let (udp, tcp) = (server.send(&packet).unwrap(), server.send_tcp(&packet).unwrap());
            assert_eq!(udp.text(), tcp.text(), "{name} {qtype}");
            assert_eq!(udp.0, tcp.0, "{name} {qtype}");
        }
    }
}

#[test]
fn a_slow_name_does_not_hold_up_its_connection() {
    let upstream = Upstream::start(|_, _| None);
    let config =
        format!("{}[[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n", Upstream::config(&[&upstream]));
    let server = Server::start(&config, &[]);
    let mut stream = connect(server.dns);
    write_framed(&mut stream, &question("slow.test", "A"));
    write_framed(&mut stream, &question("blocked.test", "A"));
    let first = read_framed(&mut stream).unwrap();
    let second = read_framed(&mut stream).unwrap();
    assert_eq!((first[3] & 0xf, second[3] & 0xf), (3, 2), "NXDOMAIN overtakes SERVFAIL");
}

#[test]
fn a_reload_loses_nothing_and_a_bad_one_changes_nothing() {
    let config = "[upstream]\nservers = []\n[[list]]\nname = \"l\"\nsource = \"l\"\n";
    let server = Server::start(config, &[("l", "one.test\n")]);
    assert_eq!(server.ask("two.test", "A").status(), "REFUSED");
    std::fs::write(server.folder.path().join("l"), "two.test\n").unwrap();
    server.signal("-HUP");
    until("the new list serves", || server.ask("two.test", "A").status() == "NXDOMAIN");
    assert_eq!(server.ask("one.test", "A").status(), "REFUSED");
    // A list that is gone leaves the last good generation serving; the next good one shows that
    // the reload was tried.
    std::fs::remove_file(server.folder.path().join("l")).unwrap();
    server.signal("-HUP");
    assert_eq!(server.ask("two.test", "A").status(), "NXDOMAIN");
    std::fs::write(server.folder.path().join("l"), "three.test\n").unwrap();
    server.signal("-HUP");
    until("the third list serves", || server.ask("three.test", "A").status() == "NXDOMAIN");
}

#[test]
fn sigterm_and_sigint_end_it_with_success() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start("[upstream]\nservers = []\n", &[]);
        server.ask("a.test", "A");
        server.signal(signal);
        assert!(server.child.ended().success(), "{signal}");
    }
}

#[test]
fn zones_end_loops_keep_glue_and_leave_ds_to_the_parent() {
    let mut zone = String::from(
        "@ 60 IN SOA ns host 1 2 3 4 5\na 60 IN CNAME b\nb 60 IN CNAME a\nc 60 IN NS far.example.\n",
    );
    for i in 0..8 {
        zone +=
            &format!("d 60 IN NS ns{i}.d\nns{i}.d 60 IN A 192.0.2.{i}\nns{i}.d 60 IN AAAA 2001:db8::{i}\n");
    }
    let child = "@ 60 IN SOA ns host 9 2 3 4 5\n";
    let config = "[upstream]\nservers = []\n[[zone]]\norigin = \"z.test\"\nfile = \"z\"\n\
                  [[zone]]\norigin = \"c.z.test\"\nfile = \"c\"\n";
    let server = Server::start(config, &[("z", &zone), ("c", child)]);
    let looped = server.ask("a.z.test", "A");
    assert_eq!((looped.status().as_str(), looped.message().header.ancount), ("SERVFAIL", 0));
    let referral = server.send(&without_edns(question("x.d.z.test", "A"))).unwrap();
    assert!(referral.text().contains(" tc "), "{}", referral.text());
    assert_eq!(server.ask_tcp("x.d.z.test", "A").message().header.arcount, 17);
    let ds = server.ask("c.z.test", "DS").text();
    assert!(ds.contains("authority  z.test. 5 IN SOA"), "{ds}");
    assert!(server.ask("c.z.test", "A").text().contains("authority  c.z.test. 5 IN SOA"));
}
