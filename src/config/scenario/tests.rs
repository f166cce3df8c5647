//! Scenarios that are read, and those that are refused with all their mistakes.

use std::path::Path;
use std::time::Duration;

use super::parse;
use crate::censor::{
    Action, Addresses, Body, Chance, Delay, EdnsManner, End, Evidence, Flags, Forged, Malform, Other,
    Pattern, Pick, Scenario, Soa, Spread, Sticky, StubMode, TtlMode, WantedMessage, WantedRecord,
    WantedReply,
};
use crate::config::error::Mistake;
use crate::dns::{Class, EdeCode, NameBuf, Qtype, Rcode, Transport};

const PAGE: &str = include_str!("../../../docs/scenarios.md");

/// The required parts of a scenario; rules and other tables follow from line 7 on.
const HEAD: &str = "[scenario]\nname = \"x\"\nsources = [\"https://example.org\"]\nfrom = 2020-01-01T00:00:00+01:00\n[[network]]\nid = \"n\"\n";

/// The scenario, or every mistake as `LINE: KEY: PROBLEM; REMEDY`.
fn read(text: &str) -> Result<Scenario, Vec<String>> {
    parse(text, Path::new("p.toml")).map_err(|error| {
        let got = |mistake: &Mistake| {
            let text = Mistake { source: None, ..mistake.clone() }.to_string();
            text.strip_prefix("p.toml:").unwrap_or(&text).to_owned()
        };
        error.0.iter().map(got).collect()
    })
}

#[track_caller]
fn accepted(text: &str) -> Scenario {
    read(text).unwrap_or_else(|got| panic!("{got:#?}\n{text}"))
}

/// Each text with its mistakes, by their line and a part of their text.
#[track_caller]
fn refused(rows: &[(&str, &[&str])]) {
    for (text, expected) in rows {
        let Err(got) = read(text) else { panic!("accepted:\n{text}") };
        let fits = |(got, expected): (&String, &&str)| {
            let (line, part) = expected.split_once(": ").unwrap();
            got.starts_with(&format!("{line}: ")) && got.contains(part)
        };
        let all = got.len() == expected.len() && got.iter().zip(*expected).all(fits);
        assert!(all, "got:\n{got:#?}\nexpected:\n{expected:#?}\n{text}");
    }
}

fn name(text: &str) -> NameBuf {
    NameBuf::from_text(text).unwrap()
}

/// A scenario with one rule, its match and action given; the action stands in line 10.
fn rule(matching: &str, action: &str) -> String {
    format!("{HEAD}[[rule]]\nid = \"r\"\nmatch = {{ {matching} }}\naction = {{ {action} }}\n")
}

/// One with pools, in lines 7 and 8, and an action, in line 12.
fn pooled(action: &str) -> String {
    format!(
        "{HEAD}[pool]\nfour = {{ v4 = [\"192.0.2.1\"] }}\nsix = {{ v6 = [\"::1\"] }}\n[[rule]]\nid = \"r\"\nmatch = {{ any = true }}\naction = {{ {action} }}\n"
    )
}

/// A scenario whose rule has a `when`, in line 11.
fn when(when: &str) -> String {
    format!("{}when = {{ {when} }}\n", rule("any = true", "kind = \"drop\""))
}

/// One with a row to expect, whose keys begin in line 8.
fn expect(keys: &str) -> String {
    format!("{HEAD}[[expect]]\n{keys}\n")
}

fn action(text: &str) -> Action {
    accepted(&pooled(text)).rules.remove(0).action
}

fn forged(text: &str) -> Forged {
    match action(text) {
        Action::Forge { mut forged, genuine: None } if forged.len() == 1 => forged.remove(0),
        other => panic!("{other:?}"),
    }
}

fn forms(text: &str) -> WantedMessage {
    match accepted(&expect(text)).expects.remove(0).replies.remove(0).what {
        WantedReply::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_of_the_page() {
    let block = PAGE.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let read = accepted(block);
    assert_eq!(
        (&*read.name, &*read.title, &*read.place, read.seed, read.stub_mode),
        ("xx-2020-example", "Nowhere, 2020: an example", "XX", 42, StubMode::Doc)
    );
    assert_eq!(read.summary, "What happened, in a few sentences.");
    assert_eq!(read.sources, ["https://example.org/report"]);
    assert_eq!((read.from, read.until), (Some(1_577_833_200), Some(1_580_511_600)));
    let ids: Vec<_> = read.networks.iter().map(|n| (&*n.id, n.clients.len(), n.injector_only)).collect();
    assert_eq!(ids, [("isp-a", 1, false), ("dead", 0, true)]);
    assert_eq!(read.networks[0].clients[0].to_string(), "127.0.1.0/24");
    assert_eq!((read.events[0].at, &*read.events[0].text), (1_577_876_400, "A court rules"));
    let pool = &read.pools[0];
    assert_eq!((&*pool.id, pool.v4.len(), pool.v6.len()), ("forged", 2, 0));
    assert_eq!((pool.pick, pool.per_name), (Pick::Cycle, 2));
    let line = |text: &str| 1 + block[..block.find(text).unwrap()].matches('\n').count();
    let rule = &read.rules[0];
    assert_eq!((&*rule.id, &*rule.kind, rule.evidence), ("stub", "stub", Evidence::Measured));
    assert_eq!(rule.line as usize, line("[[rule]]"));
    assert_eq!(rule.intent, "The resolver of provider A answers with its block page");
    assert!(matches!(&rule.names.patterns[..], [Pattern::Suffix(name)] if name == "example.net"));
    assert_eq!((&rule.when.networks[..], rule.when.from), (&[0][..], Some(1_578_610_800)));
    let Action::Forge { forged, genuine: None } = &rule.action else { panic!("{:?}", rule.action) };
    let Body::Addresses { a: Addresses::These(a), other: Other::NoData, .. } = &forged[0].body else {
        panic!("{forged:?}")
    };
    assert_eq!((a[0].to_string(), forged[0].shape.ttl), ("5.3.3.17".into(), 600));
    let zone = &read.zones[0];
    assert_eq!((zone.origin.clone(), zone.line as usize), (name("example.net"), line("@ 3600 SOA")));
    assert!(zone.text.starts_with("@ 3600 SOA ns.example.net. "));
    let row = &read.expects[0];
    assert_eq!((row.line as usize, row.network, row.at), (line("[[expect]]"), 0, None));
    assert_eq!((&row.qname, row.qtype, row.qclass), (&name("www.example.net"), Qtype::A, Class::IN));
    assert_eq!((row.transport, row.edns, row.rd, row.ad), (Transport::Udp, false, true, false));
    let WantedReply::Message(message) = &row.replies[0].what else { panic!("{row:?}") };
    assert_eq!((message.flags, message.opt, message.wrong_id), (0x8180, false, false));
    let data = "5.3.3.17".into();
    let wanted = WantedRecord { owner: name("www.example.net"), ttl: (600, 600), rtype: Qtype::A, data };
    assert_eq!(message.answer, [wanted]);
}

#[test]
fn names_and_conditions() {
    let text = "any = false, exact = [\"A.org.\"], suffix = [\"bücher.example\"], endswith = [\"ORG.\"], prefix = [\"www.\"], substring = [\"News\"], regex = [\"^(www\\\\.)?b\\\\.org$\"], except = [\"ok.org\"], view = \"flattened\"";
    let names = accepted(&rule(text, "kind = \"drop\"")).rules.remove(0).names;
    let [
        Pattern::Exact(exact),
        Pattern::Suffix(suffix),
        Pattern::EndsWith(end),
        Pattern::Prefix(start),
        Pattern::Substring(part),
        Pattern::Regex(expression),
    ] = &names.patterns[..]
    else {
        panic!("{names:?}")
    };
    assert_eq!([exact, suffix, end, start, part], ["a.org", "xn--bcher-kva.example", "org", "www.", "news"]);
    for (text, found) in [("www.b.org", true), ("WWW.B.ORG", true), ("b.org.x", false), ("ab.org", false)] {
        assert_eq!(expression.is_match(text.as_bytes()), found, "{text}");
    }
    assert_eq!((names.except, names.flattened), (vec!["ok.org".to_owned()], true));

    let read = accepted(&when(
        "daily = \"23:00-05:30\", type = [\"A\", \"ANY\"], not-type = [\"TYPE65\"], transport = \"tcp\", from = 2020-01-01T00:00:00Z, until = 2020-01-02T00:00:00.5Z",
    ));
    let when_of = &read.rules[0].when;
    assert_eq!(when_of.daily, Some((1380, 330, 3600)));
    assert_eq!(
        (&when_of.types[..], &when_of.other_types[..]),
        (&[Qtype::A, Qtype::ANY][..], &[Qtype(65)][..])
    );
    assert_eq!((when_of.from, when_of.until), (Some(1_577_836_800), Some(1_577_923_200)));
    assert_eq!(when_of.transport, Some(Transport::Tcp));
    for (text, bad, of, sticky) in [
        ("chance = 0.3", 300_000_000, 1_000_000_000, Sticky::Query),
        ("chance = 1, sticky = \"name\"", 1_000_000_000, 1_000_000_000, Sticky::Name),
        ("backends = 4, bad = 1, sticky = \"client\"", 1, 4, Sticky::Client),
        ("backends = 4, bad = 0, sticky = \"10m\"", 0, 4, Sticky::Time(600)),
    ] {
        let chance = accepted(&when(text)).rules[0].when.chance;
        assert_eq!(chance, Some(Chance { bad, of, sticky }), "{text}");
    }
    for spelling in ["stub-mode", "stub_mode"] {
        let text = HEAD.replace("[[net", &format!("{spelling} = \"historical\"\n[[net"));
        assert_eq!(accepted(&text).stub_mode, StubMode::Historical);
    }
}

#[test]
fn actions() {
    let ms = Duration::from_millis;
    let delay = |base, jitter, spread| Delay { base: ms(base), jitter: ms(jitter), spread };
    let pass = action("kind = \"delay\", delay = \"2s\", jitter = \"5ms\", spread = \"normal\"");
    assert!(matches!(pass, Action::Pass(d) if d == delay(2000, 5, Spread::Normal)), "{pass:?}");
    assert!(matches!(action("kind = \"pass\""), Action::Pass(d) if d == Delay::default()));
    assert!(matches!(action("kind = \"drop\""), Action::Drop));
    assert!(matches!(action("kind = \"close\""), Action::End(End::Close)));
    let other = action("kind = \"redirect\", whoami = \"2001:db8::1\", chaos-id = \"r1\", ttl = 0");
    let Action::Redirect(identity) = other else { panic!("{other:?}") };
    assert_eq!(identity.whoami, "2001:db8::1".parse().ok());
    assert_eq!((identity.chaos_id.as_deref(), identity.ttl), (Some("r1"), 0));

    for (text, soa) in [("none", Soa::None), ("own", Soa::Own)] {
        let text = format!("kind = \"rcode\", rcode = \"NXDOMAIN\", ttl = 60, soa = \"{text}\"");
        assert!(matches!(forged(&text).body, Body::Rcode(Rcode::NXDOMAIN, found) if found == soa), "{text}");
    }
    let given = forged("kind = \"nodata\", soa = \"Example. 60 ns. host. 1 2 3 4 5\"");
    let Body::NoData(Soa::Given { owner, ttl: 60, rdata }) = given.body else { panic!("{given:?}") };
    assert_eq!((owner, rdata.len()), (name("example"), 4 + 6 + 20));
    let body = forged("kind = \"stub\", a = \"four\", aaaa = \"six\", other = \"a\"").body;
    assert!(
        matches!(body, Body::Addresses { a: Addresses::Pool(0), aaaa: Addresses::Pool(1), other: Other::A }),
        "{body:?}"
    );
    let body = forged("kind = \"cname\", target = \"Block.Example\", a = [\"192.0.2.1\"], ttl = 9").body;
    let Body::Cname { target, target_ttl: 9, a, .. } = body else { panic!("{body:?}") };
    assert_eq!((target, a), (name("block.example"), Addresses::These(vec!["192.0.2.1".parse().unwrap()])));
    assert!(matches!(forged("kind = \"truncate\"").body, Body::Truncated));
    let raw = forged("kind = \"raw\", hex = \"8180 00aF\", ip-ttl = 64, malform = \"wrong-id\"");
    assert!(matches!(&raw.body, Body::Raw(octets) if octets[..] == [0x81, 0x80, 0, 0xaf]));
    assert_eq!((raw.shape.ip_ttl, raw.shape.malform), (Some(64), Malform::WrongId));

    let many = action(
        "kind = \"inject\", genuine = \"150ms\", genuine-jitter = \"10ms\", genuine-spread = \"exponential\", replies = [{ a = \"four\", after = \"20ms\", jitter = \"2ms\" }, { kind = \"nodata\" }]",
    );
    let Action::Forge { forged: both, genuine } = many else { panic!("{many:?}") };
    assert_eq!(genuine, Some(delay(150, 10, Spread::Exponential)));
    assert_eq!((both.len(), both[0].after), (2, delay(20, 2, Spread::Uniform)));

    let shape = forged(
        "kind = \"nodata\", ttl = 600, ttl-mode = \"random\", ttl-min = 60, flags = \"rd?8180:8400\", echo-ad = true, edns = \"echo\", case = \"lower\", malform = \"extra-bytes\", ip-ttl = 255, extra = [{ type = \"TXT\", data = \"a b\" }, { name = \"x.\", type = \"CNAME\", ttl = 5, data = \"b.c\" }]",
    )
    .shape;
    assert_eq!((shape.ttl, shape.ttl_mode, shape.ip_ttl), (600, TtlMode::Random(60), Some(255)));
    assert_eq!(shape.flags, Some(Flags { rd: 0x8180, no_rd: 0x8400 }));
    assert_eq!((shape.echo_ad, shape.edns, shape.lower_case), (true, EdnsManner::Echo, true));
    assert_eq!((shape.malform, shape.ede), (Malform::ExtraBytes, None));
    let shape_of_ede = forged("kind = \"nodata\", ede = { code = 16, text = \"x\" }").shape;
    assert_eq!(shape_of_ede.ede, Some((EdeCode(16), "x".into())));
    assert_eq!((&shape.extra[0].owner, &shape.extra[0].rdata[..]), (&None, &b"\x01a\x01b"[..]));
    assert_eq!((&shape.extra[1].owner, &shape.extra[1].rdata[..]), (&Some(name("x")), &b"\x01b\x01c\0"[..]));
}

#[test]
fn expectations() {
    let read = accepted(&expect(
        "name = \"Id.server\"\ntype = \"TXT\"\nclass = \"CH\"\ntransport = \"tcp\"\nrd = false\nedns = true\nad = true\nat = 2020-01-01T00:00:00Z\nclient = \"127.0.1.5\"\nend = \"reset\"\nreplies = [{ genuine = true, after = \"20ms\" }, { hex = \"81 80\" }, {}, { answer = [\"id.server. 0 CH TXT r1\"] }]",
    ));
    let row = &read.expects[0];
    assert_eq!(
        (row.qclass, row.transport, row.rd, row.edns, row.ad),
        (Class::CH, Transport::Tcp, false, true, true)
    );
    assert_eq!((row.at, row.client, row.end), (Some(1_577_836_800), "127.0.1.5".parse().ok(), End::Reset));
    assert!(matches!(row.replies[0].what, WantedReply::Genuine));
    assert_eq!(row.replies[0].after, Duration::from_millis(20));
    assert!(matches!(&row.replies[1].what, WantedReply::Octets(o) if o[..] == [0x81, 0x80]));
    assert!(matches!(&row.replies[2].what, WantedReply::Message(m) if m.flags == 0x8080 && m.opt));
    assert!(accepted(&expect("name = \"a\"\nreplies = []")).expects[0].replies.is_empty());

    let message = forms(
        "name = \"a\"\nreplies = [{ flags = \"8583\", opt = true, id = \"wrong\", ede = [\"16 some text\", \"15\"], authority = [\"A.org 1-600 IN SOA ns.org host.org. 1 2 3 4 5\"], additional = ['a. 0 IN TXT a \"b c\"'] }]",
    );
    assert_eq!((message.flags, message.opt, message.wrong_id), (0x8583, true, true));
    assert_eq!(message.edes, [(16, "some text".to_owned()), (15, String::new())]);
    assert_eq!(
        (message.authority[0].ttl, &*message.authority[0].data),
        ((1, 600), "ns.org. host.org. 1 2 3 4 5")
    );
    assert_eq!(message.additional[0].data, "\"a\" \"b c\"");
    for (line, data) in [
        ("A 192.0.2.1", "192.0.2.1"),
        (r"A \# 4 c0 000201", "192.0.2.1"),
        (r"A \# 3 c00002", r"\# 3 c00002"),
        ("AAAA 2001:DB8:0::1", "2001:db8::1"),
        ("CNAME B.org", "b.org."),
        ("MX 10  mx.org.", "10 mx.org."),
        ("HTTPS 1 . alpn=h2", "1 . alpn=h2"),
        ("MX 0 .", "0 ."),
    ] {
        let text = format!("name = \"a\"\nreplies = [{{ answer = ['a. 1 IN {line}'] }}]");
        assert_eq!(forms(&text).answer[0].data, data, "{line}");
    }
}

#[test]
fn what_a_file_must_have() {
    refused(&[
        ("", &["1: [scenario]: the table is missing", "1: [[network]]: no network is given"]),
        ("x = 1\n[scenario", &["2: "]),
        (
            "[scenario]\nnmae = \"x\"\n[[netwrok]]\n",
            &[
                "1: [scenario]: `name` is missing",
                "1: [scenario]: `sources` is missing",
                "1: [[network]]: no network is given",
                "2: [scenario] nmae: unknown key `nmae`; expected one of from, name, place, seed, sources, stub-mode, summary, title, until (did you mean `name`?)",
                "3: netwrok: unknown table `netwrok`; expected one of event, expect, network, pool, rule, scenario, zone (did you mean `network`?)",
            ],
        ),
        (
            "scenario = 1\nnetwork = 2\n",
            &[
                "1: [scenario]: found a whole number; expected a table",
                "2: network: found a whole number; expected [[network]]",
            ],
        ),
        (
            "[scenario]\nname = \"a b\"\nsources = []\nplace = \"Xx\"\nseed = -1\ntitle = 5\nfrom = 2020-01-02T00:00:00Z\nuntil = 2020-01-01T00:00:00Z\nstub-mode = \"docs\"\n[[network]]\nid = \"\"\nmode = \"injector\"\n",
            &[
                "2: [scenario] name: `a b` contains white space",
                "3: [scenario] sources: the list is empty",
                "4: [scenario] place: `Xx` is not a country code",
                "5: [scenario] seed: -1 is out of bounds; expected a whole number from 0 on",
                "6: [scenario] title: found a whole number; expected a string",
                "8: [scenario] until: it ends before it begins",
                "9: [scenario] stub-mode: `docs` is not known; expected one of doc, loopback, historical (did you mean `doc`?)",
                "11: [[network]] id: the string is empty",
                "12: [[network]] mode: `injector` is not known",
            ],
        ),
        (
            &HEAD.replace("+01:00", ""),
            &["4: [scenario] from: `2020-01-01T00:00:00` has no time zone; add an offset"],
        ),
        (
            &HEAD.replace("2020-01-01T00:00:00+01:00", "\"2020\""),
            &["4: [scenario] from: found a string; expected a time"],
        ),
        (
            &format!(
                "{HEAD}clients = [\"10.0.0.0/8\", \"x\"]\n[[network]]\nid = \"m\"\nclients = [\"10.1.0.0/16\"]\n[[network]]\nid = \"n\"\nclients = [7]\n"
            ),
            &[
                "7: [[network]] clients: `x` is not a network",
                "10: [[network]] clients: 10.1.0.0/16 overlaps 10.0.0.0/8 of the network `n`",
                "12: [[network]] id: `n` is already given in line 6",
                "13: [[network]] clients: found a whole number; expected a string",
            ],
        ),
        (
            &format!("{HEAD}[[event]]\ntxt = \"x\"\n"),
            &["7: `at` is missing", "7: `text` is missing", "8: [[event]] txt: unknown key `txt`"],
        ),
        (
            &format!(
                "{HEAD}[pool.a]\nv4 = [\"::1\", \"x\"]\npick = \"any\"\n[pool.b]\nv6 = []\nper-name = -1\n"
            ),
            &[
                "8: [pool.a] v4: `::1` is not an IPv4 address",
                "8: [pool.a] v4: `x` is not an IP address",
                "9: [pool.a] pick: `any` is not known",
                "10: [pool.b]: the pool is empty",
                "12: [pool.b] per-name: -1 is out of bounds",
            ],
        ),
        (
            &format!("{HEAD}[pool.a]\nv4 = [\"192.0.2.1\"]\n[pool.a]\n"),
            &["9: [pool.a]: `pool.a` has a table in line 7 already"],
        ),
        (
            &format!(
                "{HEAD}[[zone]]\norigin = \"a.org\"\nrecords = \"x\"\n[[zone]]\norigin = \"A.org.\"\n[[zone]]\norigin = \"a..b\"\nrecords = \"x\"\n"
            ),
            &[
                "10: [[zone]]: `records` is missing",
                "11: [[zone]] origin: zone a.org is already given in line 8",
                "13: [[zone]] origin: `a..b` is not a domain name: a label is empty",
            ],
        ),
    ]);
    assert_eq!(parse("", Path::new("p")).unwrap_err().0.len(), 2);
    assert!(
        super::load(Path::new("/nowhere/x")).unwrap_err().to_string().contains("cannot read the scenario")
    );
}

#[test]
fn rules_that_can_not_be() {
    refused(&[
        (
            &format!("{HEAD}[[rule]]\nidd = \"r\"\n"),
            &[
                "7: `id` is missing",
                "7: `match` is missing",
                "7: `action` is missing",
                "8: [[rule]] idd: unknown key `idd`",
            ],
        ),
        (
            &format!(
                "{}evidence = \"seen\"\n[[rule]]\nid = \"r\"\nmatch = {{ any = 1 }}\naction = {{}}\n",
                rule("any = true", "kind = \"drop\"")
            ),
            &[
                "11: [[rule]] evidence: `seen` is not known; expected one of measured, modelled",
                "13: [[rule]] id: `r` is already given in line 8",
                "14: [[rule]] match.any: found a whole number; expected true or false",
                "15: [[rule]] action: `kind` is missing",
            ],
        ),
        (&rule("", "kind = \"drop\""), &["9: [[rule]] match: it matches no name"]),
        (&rule("suffix = []", "kind = \"drop\""), &["9: [[rule]] match: it matches no name"]),
        (
            &rule("sufix = [\"a\"]", "kind = \"drop\""),
            &["9: it matches no name", "9: [[rule]] match.sufix: unknown key `sufix`"],
        ),
        (
            &rule("suffix = \"a\"", "kind = \"drop\""),
            &["9: [[rule]] match.suffix: found a string; expected a list of strings"],
        ),
        (&rule("suffix = [\"*.a\"]", "kind = \"drop\""), &["9: `*.a` is compared letter by letter"]),
        (
            &rule("exact = [\"a..b\"]", "kind = \"drop\""),
            &["9: [[rule]] match.exact: `a..b` is not a domain name"],
        ),
        (
            &rule("endswith = [\".\"]", "kind = \"drop\""),
            &["9: [[rule]] match.endswith: `.` is not part of a name"],
        ),
        (
            &rule("substring = [\"ü\"]", "kind = \"drop\""),
            &["9: [[rule]] match.substring: `ü` is not part of a name"],
        ),
        (
            &rule("regex = [\"a(\"]", "kind = \"drop\""),
            &["9: [[rule]] match.regex: `a(` can't be used: unclosed group"],
        ),
        (
            &rule("regex = [\"(a{1000}){1000}\"]", "kind = \"drop\""),
            &["9: [[rule]] match.regex: `(a{1000}){1000}` can't be used: "],
        ),
        (
            &rule("any = true, view = \"flat\"", "kind = \"drop\""),
            &["9: [[rule]] match.view: `flat` is not known"],
        ),
        (&when("network = [\"m\"]"), &["11: [[rule]] when.network: `m` is not known; expected one of n"]),
        (
            &when("network = [\"m\"]").replace("id = \"n\"\n", "title = \"n\"\n"),
            &[
                "5: [[network]]: `id` is missing; give it",
                "11: [[rule]] when.network: `m` is not known: no network has a usable id; give each [[network]] an `id`",
            ],
        ),
        (&when("network = []"), &["11: [[rule]] when.network: the list is empty"]),
        (
            &when("from = 2020-01-02T00:00:00Z, until = 2020-01-02T00:00:00Z"),
            &["11: [[rule]] when.until: it ends before it begins"],
        ),
        (&when("until = 2020-01-02"), &["11: [[rule]] when.until: `2020-01-02` has no time zone"]),
        (&when("daily = \"5-6\""), &["11: [[rule]] when.daily: `5-6` is not a time of the day"]),
        (&when("daily = \"05:00-05:00\""), &["11: [[rule]] when.daily: "]),
        (&when("type = [\"AAAAA\"]"), &["11: [[rule]] when.type: `AAAAA` is not a question type"]),
        (&when("type = []"), &["11: [[rule]] when.type: the list is empty"]),
        (&when("transport = \"tls\""), &["11: [[rule]] when.transport: `tls` is not known"]),
        (&when("chance = 1.1"), &["11: [[rule]] when.chance: 1.1 is not a probability"]),
        (&when("chance = -0.1"), &["11: [[rule]] when.chance: -0.1 is not a probability"]),
        (&when("chance = nan"), &["11: [[rule]] when.chance: nan is not a probability"]),
        (
            &when("chance = 0.1, backends = 2, bad = 1"),
            &["11: [[rule]] when.chance: `chance` is given together with `backends`"],
        ),
        (&when("backends = 0, bad = 0"), &["11: [[rule]] when.backends: 0 is out of bounds"]),
        (&when("backends = 2, bad = 3"), &["11: [[rule]] when.bad: 3 of 2 servers"]),
        (&when("backends = 2"), &["11: [[rule]] when.backends: `backends` is given without `bad`"]),
        (&when("bad = 2"), &["11: [[rule]] when.bad: `bad` is given without `backends`"]),
        (&when("sticky = \"name\""), &["11: [[rule]] when.sticky: there is no draw to repeat"]),
        (
            &when("chance = 0.1, sticky = \"nam\""),
            &[
                "11: [[rule]] when.sticky: `nam` is not known; expected query, name, client or a duration, such as \"10m\" (did you mean `name`?)",
            ],
        ),
        (&when("chance = 0.1, sticky = \"10x\""), &["11: [[rule]] when.sticky: `10x` is not a duration"]),
        (
            &when("chance = 0.1, sticky = \"10ms\""),
            &["11: [[rule]] when.sticky: `10ms` is less than a second"],
        ),
    ]);
}

#[test]
fn actions_that_can_not_be() {
    let long = "x".repeat(256);
    for (action, got) in [
        ("kind = \"stubb\"", "kind: `stubb` is not known; expected one of pass, delay"),
        ("kind = \"stubb\"", "(did you mean `stub`?)"),
        (
            "kind = \"pass\", delay = \"1s\"",
            "delay: `delay` does not belong to the kind `pass`; expected one of kind",
        ),
        (
            "kind = \"stub\", a = \"four\", target = \"x\"",
            "target: `target` does not belong to the kind `stub`",
        ),
        ("kind = \"stub\", a = \"four\", tttl = 5", "tttl: unknown key `tttl`"),
        ("kind = \"raw\", hex = \"00\", ttl = 5", "ttl: `ttl` does not belong to the kind `raw`"),
        (
            "kind = \"inject\", replies = [{ a = \"four\", genuine = \"1s\" }]",
            "action.replies.genuine: `genuine` does not belong to a reply of kind `stub`",
        ),
        ("kind = \"delay\"", "action: `delay` is missing"),
        ("kind = \"delay\", delay = \"61s\"", "action.delay: `61s` is over a minute"),
        ("kind = \"delay\", delay = \"soon\"", "action.delay: `soon` is not a duration"),
        (
            "kind = \"delay\", delay = \"1s\", spread = \"normal\"",
            "action.spread: `spread` is given without `jitter`",
        ),
        ("kind = \"rcode\"", "action: `rcode` is missing"),
        ("kind = \"rcode\", rcode = \"NXDOMAINE\"", "action.rcode: `NXDOMAINE` is not a response code"),
        ("kind = \"rcode\", rcode = \"RCODE4096\"", "action.rcode: `RCODE4096` is not a response code"),
        (
            "kind = \"rcode\", rcode = \"NXDOMAIN\", flags = \"8180\"",
            "action.flags: the flags hold a code other than NXDOMAIN; make their last digit 3",
        ),
        (
            "kind = \"nodata\", soa = \"mine\"",
            "action.soa: `mine` is not known; expected none, own or a record",
        ),
        ("kind = \"nodata\", soa = \"a. 60 b. c. 1 2 3 4\"", "action.soa: not the fields of SOA"),
        (
            "kind = \"nodata\", soa = \"a. -1 b. c. 1 2 3 4 5\"",
            "action.soa: the TTL is not a number of 31 bits",
        ),
        ("kind = \"stub\"", "action: no address is given"),
        ("kind = \"stub\", a = []", "action: no address is given"),
        ("kind = \"stub\", a = [\"::1\"]", "action.a: `::1` is not an IPv4 address"),
        ("kind = \"stub\", aaaa = [\"192.0.2.1\"]", "action.aaaa: `192.0.2.1` is not an IPv6 address"),
        (
            "kind = \"stub\", a = \"fuor\"",
            "action.a: `fuor` is not known; expected one of four, six (did you mean `four`?)",
        ),
        ("kind = \"stub\", a = \"192.0.2.1\"", "action.a: `192.0.2.1` is not a pool but an address"),
        ("kind = \"stub\", a = \"six\"", "action.a: the pool `six` has no IPv4 address"),
        ("kind = \"stub\", aaaa = \"four\"", "action.aaaa: the pool `four` has no IPv6 address"),
        ("kind = \"stub\", aaaa = \"six\", other = \"a\"", "action.other: there is no address in `a`"),
        (
            "kind = \"stub\", a = \"four\", other = \"alias\"",
            "action.other: `alias` is not known; expected one of nodata, pass, a, drop",
        ),
        ("kind = \"cname\"", "action: `target` is missing"),
        ("kind = \"cname\", target = \"a b\"", "action.target: `a b` is not a domain name"),
        ("kind = \"raw\"", "action: `hex` is missing"),
        ("kind = \"raw\", hex = \"818\"", "action.hex: these are not octets in hexadecimal"),
        ("kind = \"inject\"", "action: `replies` is missing"),
        ("kind = \"inject\", replies = []", "action: `replies` is missing"),
        ("kind = \"inject\", replies = [1]", "action.replies: found a whole number; expected a table"),
        (
            "kind = \"inject\", replies = [{ kind = \"drop\" }]",
            "action.replies.kind: `drop` is not known; expected one of rcode",
        ),
        ("kind = \"redirect\", whoami = \"x\"", "action.whoami: `x` is not an IP address"),
        (
            "kind = \"nodata\", genuine-jitter = \"1s\"",
            "action.genuine-jitter: `genuine-jitter` is given without `genuine`",
        ),
        ("kind = \"nodata\", genuine = \"2m\"", "action.genuine: `2m` is over a minute"),
        ("kind = \"nodata\", ttl = -1", "action.ttl: -1 is out of bounds"),
        (
            "kind = \"nodata\", ttl = 2147483648",
            "action.ttl: 2147483648 is out of bounds; expected a whole number from 0 to 2147483647",
        ),
        ("kind = \"nodata\", ttl = 1.5", "action.ttl: found a number; expected a whole number"),
        (
            "kind = \"nodata\", ttl-mode = \"random\", ttl-min = 301",
            "action.ttl-min: 301 is more than the TTL, 300",
        ),
        ("kind = \"nodata\", ttl-min = 3", "action.ttl-min: it applies only to random TTLs"),
        ("kind = \"nodata\", flags = \"818\"", "action.flags: `818` is not a set of flags"),
        ("kind = \"nodata\", flags = \"rd?8180\"", "action.flags: `rd?8180` is not a set of flags"),
        ("kind = \"nodata\", edns = \"no\"", "action.edns: `no` is not known"),
        ("kind = \"nodata\", malform = \"x\"", "action.malform: `x` is not known"),
        (
            "kind = \"nodata\", ip-ttl = 0",
            "action.ip-ttl: 0 is out of bounds; expected a whole number from 1 to 255",
        ),
        ("kind = \"nodata\", ip-ttl = 256", "action.ip-ttl: 256 is out of bounds"),
        ("kind = \"nodata\", ede = 16", "action.ede: found a whole number; expected a table"),
        ("kind = \"nodata\", ede = { text = \"x\" }", "action.ede: `code` is missing"),
        (
            &format!("kind = \"nodata\", ede = {{ code = 16, text = \"{long}\" }}"),
            "action.ede.text: the string has 256 octets",
        ),
        (
            "kind = \"nodata\", edns = \"strip\", ede = { code = 16 }",
            "action.ede: it needs an OPT record of the server's own, and there is none",
        ),
        (
            "kind = \"stub\", a = \"four\", malform = \"append-after-opt\", ede = { code = 16 }",
            "action.ede: it needs an OPT record of the server's own, and there is none",
        ),
        (
            "kind = \"nodata\", malform = \"short-rdata\"",
            "action.malform: the kind `nodata` has no answer whose data could be short",
        ),
        ("kind = \"nodata\", extra = [{ data = \"x\" }]", "action.extra: `type` is missing"),
        ("kind = \"nodata\", extra = [{ type = \"TXT\" }]", "action.extra: `data` is missing"),
        (
            "kind = \"nodata\", extra = [{ type = \"OPT\", data = \"x\" }]",
            "action.extra.type: `OPT` is not a record type",
        ),
        (
            "kind = \"nodata\", extra = [{ type = \"A\", data = \"x\" }]",
            "action.extra.data: `x` is not an IPv4 address",
        ),
        (
            "kind = \"nodata\", extra = [{ name = \"a..\", type = \"A\", data = \"192.0.2.1\" }]",
            "action.extra.name: `a..` is not a domain name",
        ),
    ] {
        refused(&[(&pooled(action), &[&format!("13: {got}")])]);
    }
    for kind in ["reset", "close"] {
        let text = format!(
            "{}when = {{ transport = \"udp\" }}\n",
            rule("any = true", &format!("kind = \"{kind}\""))
        );
        refused(&[(&text, &[&format!("10: [[rule]] action.kind: `{kind}` does nothing over UDP")])]);
    }
}

#[test]
fn expectations_that_can_not_be() {
    refused(&[
        (&expect(""), &["7: [[expect]]: `name` is missing", "7: [[expect]]: `replies` is missing"]),
        (
            &expect(
                "name = \"a..\"\nnetwork = \"m\"\ntype = \"XX\"\nclass = \"XX\"\ntransport = \"XX\"\nclient = \"XX\"\nend = \"reset\"\nrepiles = []",
            ),
            &[
                "8: [[expect]] name: `a..` is not a domain name",
                "9: [[expect]] network: `m` is not known; expected one of n",
                "10: [[expect]] type: `XX` is not a question type",
                "11: [[expect]] class: `XX` is not known",
                "12: [[expect]] transport: `XX` is not known",
                "13: [[expect]] client: `XX` is not an IP address",
                "14: [[expect]] end: UDP has no connection",
                "15: [[expect]] repiles: unknown key `repiles`",
            ],
        ),
    ]);
    for (reply, got) in [
        ("anser = []", "replies.anser: unknown key `anser`"),
        ("genuine = true, answer = []", "replies: `genuine` is given together with what is in a message"),
        ("genuine = true, hex = \"00\"", "replies: `genuine` is given together with `hex`"),
        ("hex = \"0\"", "replies.hex: these are not octets"),
        ("hex = \"\"", "replies.hex: the string is empty"),
        ("after = \"1h\"", "replies.after: `1h` is over a minute"),
        ("flags = \"rd?8180:8180\"", "replies.flags: `rd?8180:8180` is not a set of flags"),
        ("id = \"right\"", "replies.id: `right` is not known"),
        ("ede = [\"x\"], opt = true", "replies.ede: `x` is not a code"),
        ("ede = [\"16\"]", "replies.ede: errors need an OPT record"),
        ("answer = [\"a. 1 IN A\"]", "replies.answer: A takes one value"),
        ("answer = [\"a. 1 IN\"]", "replies.answer: `a. 1 IN` is not a record"),
        ("answer = [\"a. x IN A 192.0.2.1\"]", "replies.answer: `x` is not a TTL"),
        ("answer = [\"a. 2147483648 IN A 192.0.2.1\"]", "replies.answer: `2147483648` is not a TTL"),
        ("answer = [\"a. 9-1 IN A 192.0.2.1\"]", "replies.answer: `9-1` ends before it starts"),
        ("answer = [\"a. 1 CH A 192.0.2.1\"]", "replies.answer: `CH` is given where the class IN must"),
        ("answer = [\"a. 1 IN ANY x\"]", "replies.answer: `ANY` is not a record type"),
        ("answer = [\"a. 1 IN A ::1\"]", "replies.answer: `::1` is not an IPv4 address"),
        ("answer = [\"a.. 1 IN A 192.0.2.1\"]", "replies.answer: `a..` is not a domain name"),
    ] {
        let text = expect(&format!("name = \"a\"\nreplies = [{{ {reply} }}]"));
        refused(&[(&text, &[&format!("9: {got}")])]);
    }
}

#[test]
fn patterns_that_would_take_nothing() {
    for (matching, got) in [
        ("exact = ['a\\.b.test']", "match.exact: `a\\.b.test` contains escaped characters"),
        ("suffix = [\"a@b.test\"]", "match.suffix: `a@b.test` contains escaped characters"),
        ("substring = [\"*twitter.com*\"]", "match.substring: `*twitter.com*` is compared letter by letter"),
        ("endswith = ['a\\.test']", "match.endswith: `a\\.test` is compared letter by letter"),
        ("regex = [\"\"]", "match.regex: the expression is empty"),
        ("regex = [\"müller\"]", "match.regex: `müller` matches no name; write other scripts as A-labels"),
    ] {
        refused(&[(&rule(matching, "kind = \"drop\""), &[&format!("9: [[rule]] {got}")])]);
    }
    let text = when("type = [\"A\", \"MX\"], not-type = [\"MX\", \"A\"]");
    refused(&[(&text, &["11: [[rule]] when.not-type: it excludes every type in `type`"])]);
    accepted(&when("type = [\"A\", \"MX\"], not-type = [\"MX\"]"));
}

/// Two rules, the keys of their `match`, `when`, and the second one's kind given; the second is in line 12.
fn two(first: (&str, &str), second: (&str, &str), kind: &str) -> String {
    let rule = |id, (matching, when), kind| {
        format!(
            "[[rule]]\nid = \"{id}\"\nmatch = {{ {matching} }}\nwhen = {{ {when} }}\naction = {{ kind = \"{kind}\" }}\n"
        )
    };
    format!("{HEAD}{}{}", rule("first", first, "drop"), rule("second", second, kind))
}

#[test]
fn rules_that_are_never_reached() {
    let (any, net) = ("any = true", "suffix = [\"example.net\"]");
    for (first, second) in [
        ((any, ""), (any, "")),
        ((any, ""), ("any = true, except = [\"a\"]", "chance = 0.5")),
        ((net, ""), ("exact = [\"a.example.net\"], suffix = [\"example.net\"]", "network = [\"n\"]")),
        ((any, "type = [\"A\", \"MX\"]"), (any, "type = [\"MX\"]")),
        ((any, "not-type = [\"A\"]"), (any, "type = [\"MX\"]")),
        ((any, "until = 2020-01-03T00:00:00Z"), (any, "until = 2020-01-02T00:00:00Z, transport = \"tcp\"")),
        (("regex = [\"^a\"]", "chance = 1.0"), ("regex = [\"^a\"]", "")),
    ] {
        let got =
            "12: [[rule]]: `second` is never reached: `first` in line 7 matches everything that it matches";
        refused(&[(&two(first, second, "drop"), &[got])]);
    }
    for (first, second, kind) in [
        ((net, ""), (any, ""), "drop"),
        (("any = true, except = [\"a\"]", ""), (any, ""), "drop"),
        ((net, ""), ("suffix = [\"example.net\"], view = \"flattened\"", ""), "drop"),
        ((net, ""), ("suffix = [\"notexample.net\"]", ""), "drop"),
        ((net, ""), ("endswith = [\"example.net\"]", ""), "drop"),
        ((any, "network = [\"n\"]"), (any, ""), "drop"),
        ((any, "transport = \"udp\""), (any, ""), "drop"),
        ((any, "type = [\"A\"]"), (any, ""), "drop"),
        ((any, "not-type = [\"A\"]"), (any, "type = [\"A\"]"), "drop"),
        ((any, "from = 2020-01-03T00:00:00Z"), (any, "from = 2020-01-02T00:00:00Z"), "drop"),
        ((any, "daily = \"01:00-02:00\""), (any, ""), "drop"),
        ((any, "chance = 0.5"), (any, ""), "drop"),
        // A resolver's version and identity are queried in class CH.
        ((any, ""), (any, ""), "redirect"),
    ] {
        accepted(&two(first, second, kind));
    }
}

proptest::proptest! {
    /// Any text in place of a value is read or refused.
    #[test]
    fn no_text_is_too_much(text in "\\PC{0,40}", at in 0..4000usize, cut in 0..60usize) {
        let _ = read(&text);
        let example = PAGE.split("```toml\n").nth(1).unwrap();
        let chars: Vec<char> = example.chars().collect();
        let at = at % chars.len();
        let mut changed: String = chars[..at].iter().collect();
        changed.push_str(&text);
        changed.extend(chars.iter().skip(at + cut));
        let _ = read(&changed);
    }
}
