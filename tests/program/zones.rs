//! Names of this server's zones beside forwards and upstreams: who answers for what.

use crate::common::{Run, Server, Upstream, portcullis, question, reply};

const ZONE: &str = "$TTL 60
@       SOA ns host 1 2 3 4 5
        NS ns
www     A 192.0.2.1
out     CNAME www.elsewhere.test.
inner   CNAME out
*.wild  CNAME www.elsewhere.test.
bad     CNAME www.tracker.test.
listed  CNAME listed.elsewhere.test.
sub     NS ns.sub
ns.sub  A 192.0.2.53
below   CNAME host.sub
gate    CNAME pc.office
pc.office A 192.0.2.66
a1 CNAME a2
a2 CNAME a1
";

/// An upstream that gives every name this address, but one for a name that begins with `listed`.
fn upstream(last: u8) -> Upstream {
    Upstream::start(move |query, _| {
        let last = if query[13..].starts_with(b"listed") { 99 } else { last };
        Some(reply(query, 0, &[(1, 300, &[192, 0, 2, last])], &[], None))
    })
}

/// A server with the zone `corp.test`, whose part `office.corp.test` is forwarded, and what it forwards to.
fn server() -> (Server, Upstream, Upstream) {
    let (main, office) = (upstream(9), upstream(10));
    let config = format!(
        "{}[[forward]]\nsuffix = \"office.corp.test\"\nservers = [\"{}\"]\n\
         [[forward]]\nsuffix = \"test\"\nservers = [\"{}\"]\n\
         [[zone]]\norigin = \"corp.test\"\nfile = \"z\"\n\
         [[list]]\nname = \"trackers\"\nrules = [\"||tracker.test^\"]\n\
         [[list]]\nname = \"nets\"\nrules = [\"192.0.2.99/32\"]\nkind = \"addresses\"\n",
        Upstream::config(&[&main]),
        office.addr,
        main.addr,
    );
    (Server::start(&config, &[("z", ZONE)]), main, office)
}

/// The answers of a reply, a line each, without TTL and class, behind its status.
fn answers(text: &str) -> String {
    let status = text.split(',').next().unwrap_or_default().replace("status: ", "");
    let lines = text.lines().filter_map(|line| line.strip_prefix("answer"));
    let short = lines.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        format!("{} {} {}", words[0], words[3], words[4..].join(" "))
    });
    [status].into_iter().chain(short).collect::<Vec<_>>().join("; ")
}

#[test]
fn whoever_desires_recursion_gets_what_an_alias_leads_to() {
    let (server, main, office) = server();
    for (name, expected) in [
        ("www.corp.test", "NOERROR; www.corp.test. A 192.0.2.1"),
        (
            "out.corp.test",
            "NOERROR; out.corp.test. CNAME www.elsewhere.test.; www.elsewhere.test. A 192.0.2.9",
        ),
        (
            "inner.corp.test",
            "NOERROR; inner.corp.test. CNAME out.corp.test.; out.corp.test. CNAME www.elsewhere.test.; \
             www.elsewhere.test. A 192.0.2.9",
        ),
        (
            "x.wild.corp.test",
            "NOERROR; x.wild.corp.test. CNAME www.elsewhere.test.; www.elsewhere.test. A 192.0.2.9",
        ),
        // Judged like any answer.
        ("bad.corp.test", "NXDOMAIN"),
        ("listed.corp.test", "NOERROR"),
        // Of what is delegated the answer, not a referral.
        ("host.sub.corp.test", "NOERROR; host.sub.corp.test. A 192.0.2.9"),
        (
            "below.corp.test",
            "NOERROR; below.corp.test. CNAME host.sub.corp.test.; host.sub.corp.test. A 192.0.2.9",
        ),
        ("a1.corp.test", "SERVFAIL"),
    ] {
        // The second time the end comes from the cache.
        for _ in 0..2 {
            assert_eq!(answers(&server.ask(name, "A").text()), expected, "{name}");
        }
        assert_eq!(answers(&server.ask_tcp(name, "A").text()), expected, "{name} over TCP");
    }
    // www.elsewhere.test, www.tracker.test, listed.elsewhere.test, host.sub.corp.test.
    assert_eq!((main.asked(), office.asked()), (4, 0));
    let text = server.ask("out.corp.test", "A").text();
    assert!(text.starts_with("status: NOERROR, flags: qr aa rd ra\nanswer     out.corp.test. 60 "), "{text}");
    let text = server.ask("bad.corp.test", "A").told();
    assert!(text.contains("EDE: 15 (Blocked): trackers\n"), "{text}");
}

#[test]
fn who_does_not_gets_what_the_zone_says() {
    let (server, main, _) = server();
    let ask = |name: &str| {
        let mut packet = question(name, "A");
        packet[2] = 0;
        server.send(&packet).unwrap().text()
    };
    assert_eq!(answers(&ask("out.corp.test")), "NOERROR; out.corp.test. CNAME www.elsewhere.test.");
    let referral = ask("host.sub.corp.test");
    assert!(referral.contains("authority  sub.corp.test. 60 IN NS ns.sub.corp.test."), "{referral}");
    assert!(referral.contains("additional ns.sub.corp.test. 60 IN A 192.0.2.53"), "{referral}");
    assert_eq!(main.asked(), 0);
}

#[test]
fn the_longest_suffix_wins_over_zones_and_forwards() {
    let (server, main, office) = server();
    for (name, expected) in [
        // `test` is forwarded, and the zone is longer; `office.corp.test` is longer still.
        ("www.corp.test", "NOERROR; www.corp.test. A 192.0.2.1"),
        ("nobody.corp.test", "NXDOMAIN"),
        ("pc.office.corp.test", "NOERROR; pc.office.corp.test. A 192.0.2.10"),
        (
            "gate.corp.test",
            "NOERROR; gate.corp.test. CNAME pc.office.corp.test.; pc.office.corp.test. A 192.0.2.10",
        ),
        ("office.corp.test", "NOERROR; office.corp.test. A 192.0.2.10"),
    ] {
        assert_eq!(answers(&server.ask(name, "A").text()), expected, "{name}");
    }
    assert_eq!((main.asked(), office.asked()), (0, 2));
    // DS is the parent's to say (RFC 4035 §3.1.4.1): of the forward's name the zone's, of the zone's name
    // that of who is asked for `test`.
    server.ask("office.corp.test", "DS");
    assert_eq!((main.asked(), office.asked()), (0, 2));
    server.ask("corp.test", "DS");
    assert_eq!((main.asked(), office.asked()), (1, 2));
}

#[test]
fn check_shows_all_mistakes_of_all_zones() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let zone = |name: &str| format!("[[zone]]\norigin = \"{name}.test\"\nfile = \"{name}.zone\"\n");
    write("portcullis.toml", &["a", "b", "c"].map(zone).concat());
    write("a.zone", "$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.300\nx.test. A 192.0.2.1\n");
    write("b.zone", "$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.1\n");
    write("c.zone", "$TTL 60\nwww MX mail\n");
    let done = portcullis().current_dir(folder.path()).args(["check", "--config", "portcullis.toml"]).run();
    let told = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2), "{told}");
    for line in [
        "zone `a.test`: a.zone:3: `192.0.2.300` is not an IPv4 address; A is written like `192.0.2.1`",
        "a.zone:4: x.test. lies outside the zone a.test.",
        "zone `c.test`: c.zone:2: `mail` is not a number from 0 to 65535; MX is written like `10 mail.example.org.`",
    ] {
        assert!(told.contains(line), "{line}\n{told}");
    }
    assert!(!told.contains("b.zone") && told.lines().count() == 3, "{told}");
}
