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

/// Of each name: who is asked for A, DS, SOA, NS and ANY. DS is the parent's to say (RFC 4035 §3.1.4.1).
#[test]
fn who_answers_for_what_whatever_lies_above() {
    let start = |name: &'static str| (name, upstream(9));
    let all = [start("main"), start("one"), start("two")];
    let forward = |suffix: &str, n: usize| {
        format!("[[forward]]\nsuffix = \"{suffix}\"\nservers = [\"{}\"]\n", all[n].1.addr)
    };
    let zone = |origin: &str| format!("[[zone]]\norigin = \"{origin}\"\nfile = \"z\"\n");
    let config = [
        Upstream::config(&[&all[0].1]),
        "[special]\n".into(),
        ["z.example", "z.z.example", "z.f.example", "z.invalid"].map(zone).concat(),
        forward("f.example", 1),
        forward("f.z.example", 2),
        forward("f.f.example", 2),
        forward("f.invalid", 1),
        forward("in-addr.arpa", 2),
    ];
    let text = "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nsub NS ns.sub\n";
    let server = Server::start(&config.concat(), &[("z", text)]);
    let nodata = "NOERROR z.example";
    for (name, expected) in [
        // A zone, a forward, below the upstreams.
        ("z.example", [nodata, "main", "answer", "answer", "answer"]),
        ("f.example", ["one", "main", "one", "one", "answer"]),
        // Below a zone, which delegates neither.
        ("z.z.example", ["NOERROR z.z.example", nodata, "answer", "answer", "answer"]),
        ("f.z.example", ["two", nodata, "two", "two", "answer"]),
        // Below a forward.
        ("z.f.example", ["NOERROR z.f.example", "one", "answer", "answer", "answer"]),
        ("f.f.example", ["two", "one", "two", "two", "answer"]),
        // Below a special name.
        ("z.invalid", ["NOERROR z.invalid", "NOERROR invalid", "answer", "answer", "answer"]),
        ("f.invalid", ["one", "NOERROR invalid", "one", "one", "answer"]),
        // A special name below the upstreams, and below a forward, which is for it too.
        ("home.arpa", ["NOERROR home.arpa", "main", "answer", "answer", "answer"]),
        ("10.in-addr.arpa", ["two", "two", "two", "two", "answer"]),
        ("in-addr.arpa", ["two", "main", "two", "two", "answer"]),
        // What a zone delegates, and what it does not have.
        ("sub.z.example", ["main", nodata, "main", "main", "answer"]),
        ("sub.z.f.example", ["one", "NOERROR z.f.example", "one", "one", "answer"]),
        ("x.z.example", ["NXDOMAIN z.example"; 5]),
        ("x.home.arpa", ["NXDOMAIN home.arpa"; 5]),
    ] {
        for (qtype, expected) in ["A", "DS", "SOA", "NS", "ANY"].into_iter().zip(expected) {
            let before = all.each_ref().map(|(_, upstream)| upstream.asked());
            let text = server.ask(name, qtype).text();
            let asked = all.iter().zip(before).find(|((_, u), before)| u.asked() > *before);
            let seen = match (asked, text.lines().find(|line| line.starts_with("authority"))) {
                (Some(((who, _), _)), _) => (*who).to_owned(),
                (None, Some(soa)) => {
                    let status = text.split([':', ',']).nth(1).unwrap().trim();
                    format!("{status} {}", soa.split_whitespace().nth(1).unwrap().trim_end_matches('.'))
                }
                (None, None) if text.contains("\nanswer") => "answer".to_owned(),
                _ => text,
            };
            assert_eq!(seen, expected, "{name} {qtype}");
        }
    }
}

#[test]
fn a_dname_redirects_what_is_below_it() {
    let long = ["a".repeat(60), "b".repeat(60), "c".repeat(60)].join(".");
    let target = format!("{}.{}", "d".repeat(60), "e".repeat(30));
    let zone = format!(
        "$TTL 60\n@ SOA ns host 1 2 3 4 5\nold 90 DNAME New\nwww.new A 192.0.2.1\n*.new TXT any\nhid.old A 192.0.2.2\n\
         out DNAME elsewhere.test.\ntracked DNAME tracker.test.\ntwice.new DNAME out\nlong DNAME {target}\n\
         loop DNAME loop.loop\n"
    );
    let main = upstream(9);
    let config = format!(
        "{}[[zone]]\norigin = \"corp.test\"\nfile = \"z\"\n[[list]]\nname = \"l\"\nrules = [\"||tracker.test^\"]\n",
        Upstream::config(&[&main])
    );
    let server = Server::start(&config, &[("z", &zone)]);
    let dname = "old.corp.test. DNAME New.corp.test.";
    for (name, qtype, expected) in [
        (
            "www.old.corp.test",
            "A",
            format!(
                "NOERROR; {dname}; www.old.corp.test. CNAME www.New.corp.test.; www.New.corp.test. A 192.0.2.1"
            ),
        ),
        (
            "www.old.corp.test",
            "CNAME",
            format!("NOERROR; {dname}; www.old.corp.test. CNAME www.New.corp.test."),
        ),
        ("www.old.corp.test", "MX", format!("NOERROR; {dname}; www.old.corp.test. CNAME www.New.corp.test.")),
        (
            "a.b.old.corp.test",
            "TXT",
            format!(
                "NOERROR; {dname}; a.b.old.corp.test. CNAME a.b.New.corp.test.; a.b.New.corp.test. TXT \"any\""
            ),
        ),
        // Hidden by the DNAME.
        ("hid.old.corp.test", "A", format!("NOERROR; {dname}; hid.old.corp.test. CNAME hid.New.corp.test.")),
        ("old.corp.test", "DNAME", format!("NOERROR; {dname}")),
        ("old.corp.test", "A", "NOERROR".into()),
        (
            "x.out.corp.test",
            "A",
            "NOERROR; out.corp.test. DNAME elsewhere.test.; x.out.corp.test. CNAME x.elsewhere.test.; \
             x.elsewhere.test. A 192.0.2.9"
                .into(),
        ),
        (
            "x.twice.old.corp.test",
            "A",
            format!(
                "NOERROR; {dname}; x.twice.old.corp.test. CNAME x.twice.New.corp.test.; \
                 twice.new.corp.test. DNAME out.corp.test.; x.twice.New.corp.test. CNAME x.out.corp.test.; \
                 out.corp.test. DNAME elsewhere.test.; x.out.corp.test. CNAME x.elsewhere.test.; \
                 x.elsewhere.test. A 192.0.2.9"
            ),
        ),
        // Judged like any answer.
        ("x.tracked.corp.test", "A", "NXDOMAIN".into()),
        (
            &format!("{long}.long.corp.test"),
            "A",
            format!("YXDOMAIN; long.corp.test. DNAME {target}.corp.test."),
        ),
    ] {
        for text in [server.ask(name, qtype).text(), server.ask_tcp(name, qtype).text()] {
            assert_eq!(answers(&text), expected, "{name} {qtype}");
        }
    }
    // The TTL of the alias is that of the DNAME (RFC 6672 §3.1).
    let text = server.ask("www.old.corp.test", "A").text();
    assert!(text.contains("www.old.corp.test. 90 IN CNAME www.New.corp.test."), "{text}");
    // A loop ends, by its length or by the limit of aliases.
    let status = server.ask("x.loop.corp.test", "A").status();
    assert!(["SERVFAIL", "YXDOMAIN"].contains(&&*status), "{status}");
    let mut packet = question("x.out.corp.test", "A");
    packet[2] = 0;
    let text = answers(&server.send(&packet).unwrap().text());
    assert_eq!(
        text,
        "NOERROR; out.corp.test. DNAME elsewhere.test.; x.out.corp.test. CNAME x.elsewhere.test."
    );
}

#[test]
fn several_addresses_take_turns_on_request() {
    let pool = Upstream::start(|query, _| {
        let record = |last| (1, 300, [192, 0, 2, last]);
        let all: Vec<_> = (1..=3).map(record).collect();
        let all: Vec<(u16, u32, &[u8])> = all.iter().map(|(t, ttl, data)| (*t, *ttl, &data[..])).collect();
        Some(reply(query, 0, &all, &[], None))
    });
    let rest = format!(
        "{}[[zone]]\norigin = \"corp.test\"\nfile = \"z\"\n\
         [[rewrite]]\nname = \"rw.test\"\naddress = [\"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\"]\n",
        Upstream::config(&[&pool])
    );
    let zone = "$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.1\nwww A 192.0.2.2\nwww A 192.0.2.3\n\
                alias CNAME www\nout CNAME pool.test.\n";
    let lasts = |server: &Server, name: &str| -> String {
        let text = server.ask(name, "A").text();
        let ends = text.lines().filter(|l| l.starts_with("answer") && l.contains(" A "));
        ends.filter_map(|line| line.chars().last()).collect()
    };
    let fixed = Server::start(&rest, &[("z", zone)]);
    let rotated = Server::start(&format!("{rest}[answers]\norder = \"rotate\"\n"), &[("z", zone)]);
    // From the zone, behind an alias, forwarded then cached, behind an alias that leads out, from a rewrite.
    for name in ["www.corp.test", "alias.corp.test", "pool.test", "out.corp.test", "rw.test"] {
        for expected in ["123", "231", "312", "123"] {
            assert_eq!(lasts(&fixed, name), "123", "{name}");
            assert_eq!(lasts(&rotated, name), expected, "{name}");
        }
    }
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
