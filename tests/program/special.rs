//! Special names are answered here, each with a switch; whoever has a zone, a forward or a rule for one goes first.

use crate::common::{Run, Server, Upstream, portcullis, question, reply};

fn upstream(last: u8) -> Upstream {
    Upstream::start(move |query, _| Some(reply(query, 0, &[(1, 300, &[192, 0, 2, last])], &[], None)))
}

/// A reply in one line: status, AA, and the records without TTL and class; `asked` if an upstream was.
fn told(server: &Server, upstream: &Upstream, name: &str, qtype: &str) -> String {
    let before = upstream.asked();
    let text = server.ask(name, qtype).text();
    if upstream.asked() > before {
        return "asked".to_owned();
    }
    let status = text.split(',').next().unwrap_or_default().replace("status: ", "");
    let aa = if text.lines().next().unwrap().contains(" aa") { " aa" } else { "" };
    let records = text.lines().filter(|l| l.starts_with("answer") || l.starts_with("authority"));
    let records = records.map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        format!(
            "; {} {} {}",
            words[1],
            words[4],
            words[5..].iter().take(2).copied().collect::<Vec<_>>().join(" ")
        )
    });
    format!("{status}{aa}{}", records.collect::<String>())
}

#[test]
fn they_are_answered_as_their_rfcs_say() {
    const ONE: &str = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa";
    let upstream = upstream(9);
    let server = Server::start(&format!("{}[special]\n", Upstream::config(&[&upstream])), &[]);
    let soa = |apex: &str| format!("; {apex}. SOA {apex}. nobody.invalid.");
    let nxdomain = |apex: &str| format!("NXDOMAIN aa{}", soa(apex));
    let nodata = |apex: &str| format!("NOERROR aa{}", soa(apex));
    let a = "NOERROR aa; NAME. A 127.0.0.1";
    let aaaa = "NOERROR aa; NAME. AAAA ::1";
    for (name, qtype, expected) in [
        ("localhost", "A", a.to_owned()),
        ("x.y.LocalHost", "A", a.to_owned()),
        ("localhost", "AAAA", aaaa.to_owned()),
        ("localhost", "MX", nodata("localhost")),
        ("x.localhost", "HTTPS", nodata("localhost")),
        ("localhost", "DS", nodata("localhost")),
        ("x.invalid", "A", nxdomain("invalid")),
        ("invalid", "A", nxdomain("invalid")),
        ("x.test", "TXT", nxdomain("test")),
        ("test", "DS", nxdomain("test")),
        ("x.test", "ANY", nxdomain("test")),
        ("x.y.onion", "A", nxdomain("onion")),
        ("x.alt", "SVCB", nxdomain("alt")),
        ("printer.local", "A", nxdomain("local")),
        ("home.arpa", "A", nodata("home.arpa")),
        ("home.arpa", "SOA", "NOERROR aa; home.arpa. SOA home.arpa. nobody.invalid.".into()),
        ("home.arpa", "NS", "NOERROR aa; home.arpa. NS home.arpa.".into()),
        ("pc.home.arpa", "A", nxdomain("home.arpa")),
        // The parent delegates it without a signature, and says so (RFC 8375 §4).
        ("home.arpa", "DS", "asked".into()),
        ("x.home.arpa", "DS", nxdomain("home.arpa")),
        ("default.service.arpa", "SRV", nxdomain("service.arpa")),
        ("_dns.resolver.arpa", "SVCB", nodata("resolver.arpa")),
        ("_dns.resolver.arpa", "A", nodata("resolver.arpa")),
        ("x.resolver.arpa", "SVCB", nxdomain("resolver.arpa")),
        ("resolver.arpa", "DS", "asked".into()),
        ("4.3.2.10.in-addr.arpa", "PTR", nxdomain("10.in-addr.arpa")),
        ("10.in-addr.arpa", "PTR", nodata("10.in-addr.arpa")),
        ("10.in-addr.arpa", "DS", "asked".into()),
        ("1.1.168.192.in-addr.arpa", "PTR", nxdomain("168.192.in-addr.arpa")),
        ("1.1.31.172.in-addr.arpa", "PTR", nxdomain("31.172.in-addr.arpa")),
        ("1.1.32.172.in-addr.arpa", "PTR", "asked".into()),
        ("1.1.127.100.in-addr.arpa", "PTR", nxdomain("127.100.in-addr.arpa")),
        ("1.d.f.ip6.arpa", "PTR", nxdomain("d.f.ip6.arpa")),
        ("1.8.e.f.ip6.arpa", "PTR", nxdomain("8.e.f.ip6.arpa")),
        ("1.0.0.127.in-addr.arpa", "PTR", "NOERROR aa; NAME. PTR localhost.".into()),
        ("1.0.0.127.in-addr.arpa", "A", nodata("127.in-addr.arpa")),
        ("0.127.in-addr.arpa", "PTR", nodata("127.in-addr.arpa")),
        ("2.0.0.127.in-addr.arpa", "PTR", nxdomain("127.in-addr.arpa")),
        (ONE, "PTR", "NOERROR aa; NAME. PTR localhost.".into()),
        // Not special: its answer shows the prefix of a NAT64 (RFC 8880).
        ("ipv4only.arpa", "AAAA", "asked".into()),
        ("localhost.example", "A", "asked".into()),
        ("contest", "A", "asked".into()),
    ] {
        let expected = expected.replace("NAME", &name.to_ascii_lowercase());
        let seen = told(&server, &upstream, name, qtype).replace(name, &name.to_ascii_lowercase());
        assert_eq!(seen, expected, "{name} {qtype}");
    }
    // Recursion or not: the answer is this server's.
    let mut packet = question("x.test", "A");
    packet[2] = 0;
    assert_eq!(server.send(&packet).unwrap().status(), "NXDOMAIN");
    // Without an upstream nobody knows more of the DS.
    let alone = Server::start("[upstream]\nservers = []\n[special]\n", &[]);
    assert_eq!(told(&alone, &upstream, "home.arpa", "DS"), nodata("home.arpa"));
}

#[test]
fn each_can_be_switched_off_and_makes_way_for_who_has_the_name() {
    let (main, office) = (upstream(9), upstream(10));
    let config = format!(
        "{0}[special]\nonion = false\nprivate-reverse = false\n\
         [[forward]]\nsuffix = \"home.arpa\"\nservers = [\"{1}\"]\n\
         [[forward]]\nsuffix = \"a.b.corp.test\"\nservers = [\"{1}\"]\n\
         [[zone]]\norigin = \"lab.test\"\nfile = \"z\"\n\
         [[rewrite]]\nname = \"router.local\"\naddress = [\"192.0.2.77\"]\n",
        Upstream::config(&[&main]),
        office.addr
    );
    let zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.5\nme CNAME x.localhost.\n";
    let server = Server::start(&config, &[("z", zone)]);
    for (name, qtype, who) in [
        ("x.onion", "A", "main"),
        ("1.0.0.10.in-addr.arpa", "PTR", "main"),
        ("pc.home.arpa", "A", "office"),
        ("home.arpa", "A", "office"),
        ("home.arpa", "DS", "main"),
        ("pc.a.b.corp.test", "A", "office"),
        // The names above a forward or a zone exist, so that caches don't deny what is below (RFC 8020).
        ("b.corp.test", "A", "NOERROR aa; test. SOA test. nobody.invalid."),
        ("corp.test", "A", "NOERROR aa; test. SOA test. nobody.invalid."),
        ("a.b.corp.test", "DS", "NOERROR aa; test. SOA test. nobody.invalid."),
        ("lab.test", "DS", "NOERROR aa; test. SOA test. nobody.invalid."),
        ("c.corp.test", "A", "NXDOMAIN aa; test. SOA test. nobody.invalid."),
        ("www.lab.test", "A", "NOERROR aa; www.lab.test. A 192.0.2.5"),
        ("nope.lab.test", "A", "NXDOMAIN aa; lab.test. SOA ns.lab.test. host.lab.test."),
        ("me.lab.test", "A", "NOERROR aa; me.lab.test. CNAME x.localhost.; x.localhost. A 127.0.0.1"),
        ("router.local", "A", "NOERROR; router.local. A 192.0.2.77"),
        ("x.invalid", "A", "NXDOMAIN aa; invalid. SOA invalid. nobody.invalid."),
    ] {
        let before = (main.asked(), office.asked());
        let seen = told(&server, &main, name, qtype);
        let seen = if office.asked() > before.1 { "office".into() } else { seen.replace("asked", "main") };
        assert_eq!(seen, who, "{name} {qtype}");
    }
    let path = server.folder.path().join("portcullis.toml");
    let run = |args: &[&str]| {
        let done = portcullis().args(args).arg("--config").arg(&path).run();
        String::from_utf8(done.stdout).unwrap()
    };
    for (name, line) in [
        (
            "x.invalid",
            "answers: this server, because invalid is a special name (RFC 6761 §6.4; [special] invalid)\n",
        ),
        ("x.onion", "answers: the upstreams\n"),
        ("pc.home.arpa", "answers: the servers of the forward home.arpa\n"),
        ("www.lab.test", "answers: the zone lab.test\n"),
    ] {
        let text = run(&["explain", name]);
        assert!(text.contains(line), "{text}");
    }
    let text = run(&["check"]);
    let rows: Vec<&str> = text.lines().skip_while(|l| !l.starts_with("who answers")).skip(1).collect();
    let suffixes: Vec<&str> =
        rows.iter().take_while(|l| l.starts_with("  ")).filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(suffixes, ["a.b.corp.test", "home.arpa", "lab.test", "this", "."], "{text}");
    let special =
        "  this server, for special names ([special]): localhost, invalid, test, alt, local, home.arpa, ";
    assert!(text.contains(special), "{text}");
}
