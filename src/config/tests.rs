//! Configurations that are refused, with all their mistakes; and similar ones that are not.

use std::path::Path;

use super::parse;
use crate::settings::Settings;

/// The settings, or every mistake as `LINE: KEY: PROBLEM; REMEDY`.
fn read(config: &str) -> Result<Settings, Vec<String>> {
    parse(config, Path::new("p.toml")).map_err(|error| {
        let got = |mistake: &super::error::Mistake| {
            let text = super::error::Mistake { source: None, ..mistake.clone() }.to_string();
            text.strip_prefix("p.toml:").unwrap().to_owned()
        };
        error.0.iter().map(got).collect()
    })
}

#[track_caller]
pub(super) fn refused(rows: &[(&str, &[&str])]) {
    for (config, expected) in rows {
        match read(config) {
            Ok(_) => panic!("accepted:\n{config}"),
            Err(got) => assert_eq!(got, *expected, "\n{config}"),
        }
    }
}

#[track_caller]
fn accepted(configs: &[&str]) {
    for config in configs {
        if let Err(got) = read(config) {
            panic!("{got:?}\n{config}");
        }
    }
}

const LESSONS: &str =
    "[[schedule]]\nname = \"lessons\"\nzone = \"Europe/Berlin\"\nwindows = [\"Mon-Fri 08:00-15:30\"]\n";

#[test]
fn rewrites_that_answer_nothing_or_go_round() {
    let names = "expected one such as \"www.school.test\", or \"*.school.test\" for the names below";
    let types = "expected one such as \"AAAA\", \"HTTPS\" or \"TYPE65\"";
    let name = |name: &str| format!("[[rewrite]]\nname = \"{name}\"\naddress = [\"192.0.2.1\"]\n");
    for bad in ["*", "*.", "*..", "a.*.test", "*.*.test", "a*.test"] {
        let got = format!("2: [[rewrite]] name: `{bad}` does not say which names; {names}");
        refused(&[(&name(bad), &[&got])]);
    }
    let records = |records: &str| format!("[[rewrite]]\nname = \"a.test\"\nrecords = [{records}]\n");
    for bad in ["OPT", "ANY", "AXFR", "IXFR", "TSIG", "TKEY", "TYPE200", "TYPE0"] {
        let got = format!("3: [[rewrite]] records: `{bad}` is not a record type; {types}");
        refused(&[(&records(&format!("\"{bad} \\\\# 0\"")), &[&got])]);
    }
    refused(&[
        (
            &records("\"CNAME b.test.\""),
            &["3: [[rewrite]] records: an alias cannot stand next to other records; use `cname`"],
        ),
        (&records(""), &["3: [[rewrite]] records: the list is empty; give at least one record"]),
        (
            "[[rewrite]]\nname = \"a.test\"\naddress = []\n",
            &["3: [[rewrite]] address: the list is empty; give at least one address"],
        ),
        (
            "[[rewrite]]\nname = \"a.test\"\n",
            &[
                "1: [[rewrite]]: none or several of `address`, `cname`, `records` and `pass` are given; give exactly one of them",
            ],
        ),
        (
            "[[rewrite]]\nname = \"a.test\"\npass = true\naddress = [\"192.0.2.1\"]\n",
            &[
                "1: [[rewrite]]: none or several of `address`, `cname`, `records` and `pass` are given; give exactly one of them",
            ],
        ),
        (
            "[[rewrite]]\nname = \"a.test\"\npass = false\n",
            &[
                "1: [[rewrite]]: none or several of `address`, `cname`, `records` and `pass` are given; give exactly one of them",
            ],
        ),
        (
            "[[rewrite]]\nname = \"a.test\"\npassthru = true\n",
            &["3: [[rewrite]] passthru: unknown key `passthru`; write `pass`, such as pass = true"],
        ),
        (
            &format!("{}{}", name("a.test"), name("a.test")),
            &["5: [[rewrite]] name: `a.test` is already rewritten; give all its answers in one [[rewrite]]"],
        ),
        (
            &format!("{}types = [\"A\", \"AAAA\"]\n{}types = [\"A\"]\n", name("a.test"), name("a.test")),
            &["6: [[rewrite]] name: `a.test` is already rewritten; give all its answers in one [[rewrite]]"],
        ),
        (
            &format!("{}groups = [\"kidz\"]\n[[group]]\nname = \"kids\"\n", name("a.test")),
            &["4: [[rewrite]] groups: `kidz` is not known; expected one of kids (did you mean `kids`?)"],
        ),
        (
            &format!("{}groups = []\n", name("a.test")),
            &[
                "4: [[rewrite]] groups: the list is empty; name a group, or leave `groups` out for all clients",
            ],
        ),
        (
            &format!(
                "{0}groups = [\"a\", \"b\"]\n{0}groups = [\"b\"]\n[[group]]\nname = \"a\"\nclients = [\"10.0.0.0/8\"]\n\
                [[group]]\nname = \"b\"\n",
                name("a.test")
            ),
            &["6: [[rewrite]] name: `a.test` is already rewritten; give all its answers in one [[rewrite]]"],
        ),
        (
            "[[rewrite]]\nname = \"a.test\"\ncname = \"b.test\"\n[[rewrite]]\nname = \"b.test\"\ncname = \"x.c.test\"\n[[rewrite]]\nname = \"*.c.test\"\ncname = \"a.test\"\n",
            &[
                "3: [[rewrite]] cname: the aliases form a loop: a.test → b.test → x.c.test → a.test; give one of them an address",
                "6: [[rewrite]] cname: the aliases form a loop: b.test → x.c.test → a.test → b.test; give one of them an address",
                "9: [[rewrite]] cname: the aliases form a loop: c.test → a.test → b.test → x.c.test; give one of them an address",
            ],
        ),
    ]);
    accepted(&[
        &name("."),
        &name("*.test"),
        &records("\"MX 10 mail.test.\", \"TXT x\""),
        "[[rewrite]]\nname = \"a.test\"\ncname = \"b.test\"\n[[rewrite]]\nname = \"*.a.test\"\ncname = \"a.test\"\n",
        "[[rewrite]]\nname = \"a.test\"\ncname = \"A.test.\"\n",
        "[[rewrite]]\nname = \"*.a.test\"\ncname = \"*.a.test\"\n",
        "[[rewrite]]\nname = \"a.test\"\npass = true\n",
        &format!("{0}types = [\"A\"]\n{0}types = [\"AAAA\"]\n", name("a.test")),
        &format!("{0}{0}groups = [\"a\"]\n[[group]]\nname = \"a\"\n", name("a.test")),
        // For one group there and for another back: nobody is led in a circle.
        "[[rewrite]]\nname = \"a.test\"\ncname = \"b.test\"\ngroups = [\"a\"]\n\
        [[rewrite]]\nname = \"b.test\"\ncname = \"a.test\"\ngroups = [\"b\"]\n\
        [[group]]\nname = \"a\"\nclients = [\"10.0.0.0/8\"]\n[[group]]\nname = \"b\"\n",
    ]);
}

#[test]
fn groups_that_claim_the_same_clients() {
    let remedy = "give one of the two a smaller network: the smallest that contains a client wins";
    let group = |name: &str, rest: &str| format!("[[group]]\nname = \"{name}\"\n{rest}\n");
    let pair = |one: &str, two: &str| format!("{LESSONS}{}{}", group("a", one), group("b", two));
    let all = "clients = [\"0.0.0.0/0\", \"::/0\"]";
    let net = |nets: &str| format!("clients = [{nets}]");
    let lessons = |nets: &str| format!("clients = [{nets}]\nschedule = \"lessons\"");
    refused(&[
        (
            &pair(&net("\"10.0.0.0/8\""), &net("\"10.0.0.0/8\"")),
            &[&format!("10: [[group]] clients: 10.0.0.0/8 is claimed by the group `a` too; {remedy}")],
        ),
        (
            &pair(&net("\"10.0.0.0/8\""), &net("\"::ffff:10.0.0.0/104\"")),
            &[&format!("10: [[group]] clients: 10.0.0.0/8 is claimed by the group `a` too; {remedy}")],
        ),
        (
            &group("a", &net("\"10.0.0.0/8\", \"::ffff:10.0.0.0/104\"")),
            &["3: [[group]] clients: 10.0.0.0/8 is given twice; give it once"],
        ),
        (
            &pair(&lessons("\"10.0.0.0/8\""), &lessons("\"10.0.0.0/8\"")),
            &[&format!("11: [[group]] clients: 10.0.0.0/8 is claimed by the group `a` too; {remedy}")],
        ),
        (
            &pair(all, ""),
            &[
                "9: [[group]] name: all clients there are claimed by the group `a` too; give `clients` to one of the two",
            ],
        ),
        (
            &pair("", all),
            &[
                &format!("10: [[group]] clients: 0.0.0.0/0 is claimed by the group `a` too; {remedy}"),
                &format!("10: [[group]] clients: ::/0 is claimed by the group `a` too; {remedy}"),
            ],
        ),
        (
            &pair("", ""),
            &[
                "9: [[group]] name: all clients there are claimed by the group `a` too; give `clients` to one of the two",
            ],
        ),
        (
            &group("a", &net("\"10.1.2.3/16\"")),
            &[
                "3: [[group]] clients: `10.1.2.3/16` has bits set beyond its prefix; did you mean 10.1.0.0/16 or 10.1.2.3/32?",
            ],
        ),
        (
            &group("a", "lists = [\"gmaes\"]\n[[list]]\nname = \"games\"\nrules = [\"||g.test^\"]"),
            &["3: [[group]] lists: `gmaes` is not known; expected one of games (did you mean `games`?)"],
        ),
        (&group("a", "lists = [\"games\"]"), &["3: [[group]] lists: `games` is not known; none is defined"]),
        (
            &group("a", "schedule = \"lessons\""),
            &["3: [[group]] schedule: there is no schedule `lessons`; define it as a [[schedule]]"],
        ),
        (
            &format!("{LESSONS}{}", group("a", "schedule = \"lesson\"")),
            &["7: [[group]] schedule: there is no schedule `lesson`; expected one of lessons"],
        ),
    ]);
    accepted(&[
        // A group with a schedule may share its clients, in either order.
        &pair(&lessons("\"10.0.0.0/8\""), &net("\"10.0.0.0/8\"")),
        &pair(&net("\"10.0.0.0/8\""), &lessons("\"10.0.0.0/8\"")),
        &pair("schedule = \"lessons\"", all),
        &pair(&net("\"10.0.0.0/8\""), &net("\"10.0.0.0/9\", \"::/0\"")),
    ]);
}

#[test]
fn networks_with_more_than_their_prefix() {
    for (key, config) in [
        ("[server] allow", "[server]\n\nallow = [\"2001:db8::1/32\"]\n"),
        ("[[client]] addresses", "[[client]]\nname = \"a\"\naddresses = [\"2001:db8::1/32\"]\n"),
    ] {
        let got = format!(
            "3: {key}: `2001:db8::1/32` has bits set beyond its prefix; did you mean 2001:db8::/32 or 2001:db8::1/128?"
        );
        refused(&[(config, &[&got])]);
    }
    let settings = read("[server]\nallow = [\"::ffff:10.0.0.0/104\", \"::ffff:192.0.2.1\"]\n").unwrap();
    assert_eq!(settings.server.allow, ["10.0.0.0/8".parse().unwrap(), "192.0.2.1/32".parse().unwrap()]);
}

#[test]
fn names_that_are_taken() {
    for name in ["rewrite", "canaries", "order", "rebinding"] {
        let got = format!(
            "2: [[list]] name: the name `{name}` is reserved; choose another: the server itself uses this name in explain and the log"
        );
        refused(&[(&format!("[[list]]\nname = \"{name}\"\nrules = []\n"), &[&got])]);
    }
    let client = "[[client]]\nname = \"kid\"\naddresses = [\"10.0.0.1\"]\n";
    refused(&[(
        &format!("{client}{client}"),
        &[
            "5: [[client]] name: two clients are named `kid`, the first in line 2; give all addresses in one place",
        ],
    )]);
}

#[test]
fn types_that_no_record_has() {
    let remedy = "expected one such as \"AAAA\", \"HTTPS\" or \"TYPE65\"";
    for bad in ["ANY", "OPT", "AXFR", "type250", "BOGUS"] {
        let config = format!("[[list]]\nname = \"l\"\nrules = []\ntypes = [\"A\", \"{bad}\"]\n");
        refused(&[(&config, &[&format!("4: [[list]] types: `{bad}` is not a record type; {remedy}")])]);
    }
}

#[test]
fn addresses_that_the_server_takes_twice() {
    let choose = "choose another address or port for one of the two";
    refused(&[
        (
            "[server]\nlisten = [\"127.0.0.1:53\", \"127.0.0.1:53\"]\n",
            &[&format!(
                "2: [server] listen: 127.0.0.1:53 is also the address of [server] listen in line 2; {choose}"
            )],
        ),
        (
            "[server]\nlisten = [\"127.0.0.1:80\"]\n[blockpage]\nlisten = [\"[::ffff:127.0.0.1]:80\"]\n",
            &[&format!(
                "4: [blockpage] listen: [::ffff:127.0.0.1]:80 is also the address of [server] listen in line 2; {choose}"
            )],
        ),
        (
            "[blockpage]\nlisten = [\"127.0.0.1:80\"]\nrefuse-tls = [\"127.0.0.1:80\"]\n[metrics]\nlisten = \"127.0.0.1:80\"\n",
            &[
                &format!(
                    "3: [blockpage] refuse-tls: 127.0.0.1:80 is also the address of [blockpage] listen in line 2; {choose}"
                ),
                &format!(
                    "5: [metrics] listen: 127.0.0.1:80 is also the address of [blockpage] listen in line 2; {choose}"
                ),
            ],
        ),
        (
            "[metrics]\nlisten = \"127.0.0.1:5300\"\n",
            &[&format!(
                "2: [metrics] listen: 127.0.0.1:5300 is also the address of [server] listen if it is not given; {choose}"
            )],
        ),
        ("[server]\nlisten = []\n", &["2: [server] listen: the list is empty; give at least one address"]),
        (
            "[blockpage]\nlisten = []\n",
            &["2: [blockpage] listen: the list is empty; give at least one address"],
        ),
    ]);
    accepted(&[
        "[server]\nlisten = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\n[metrics]\nlisten = \"127.0.0.1:0\"\n",
        "[server]\nlisten = [\"127.0.0.1:53\", \"[::1]:53\"]\n[metrics]\nlisten = \"127.0.0.1:54\"\n",
    ]);
}

#[test]
fn questions_that_would_come_back() {
    let got = |line: u32, key: &str, server: &str| {
        format!("{line}: {key}: `{server}` is this server itself; name another: queries to it would loop")
    };
    for (listen, server) in [
        ("127.0.0.1:53", "127.0.0.1"),
        ("127.0.0.1:53", "tcp://[::ffff:127.0.0.1]:53"),
        ("0.0.0.0:53", "127.0.0.53"),
        ("[::]:53", "::1"),
    ] {
        for (key, config) in [
            ("[upstream] servers", format!("[upstream]\n\nservers = [\"{server}\"]\n")),
            ("[[forward]] servers", format!("[[forward]]\nsuffix = \"lan\"\nservers = [\"{server}\"]\n")),
            ("[[group]] upstreams", format!("[[group]]\nname = \"a\"\nupstreams = [\"{server}\"]\n")),
        ] {
            let config = format!("[server]\nlisten = [\"{listen}\"]\n{config}");
            refused(&[(&config, &[&got(5, key, server)])]);
        }
    }
    refused(&[(
        "[upstream]\nservers = [\"127.0.0.1:5300\"]\n",
        &[&got(2, "[upstream] servers", "127.0.0.1:5300")],
    )]);
    accepted(&[
        "[server]\nlisten = [\"0.0.0.0:53\"]\n[upstream]\nservers = [\"127.0.0.1:54\", \"192.0.2.53\", \"::1\"]\n",
        "[blockpage]\nlisten = [\"127.0.0.1:80\"]\n[upstream]\nservers = [\"192.0.2.53:80\"]\n",
    ]);
}

#[test]
fn upstreams_may_have_names() {
    let settings = parse(
        "[upstream]\nservers = [\"dns.example\", \"tcp://Dns-2.example.:5353\", \"192.0.2.1\"]\n\
         bootstrap = [\"192.0.2.2\", \"[2001:db8::1]:5353\"]\n",
        Path::new("portcullis.toml"),
    )
    .unwrap();
    let servers = settings.upstream.servers.unwrap();
    let servers: Vec<_> = servers.iter().map(|s| (s.at.to_string(), s.tcp_only)).collect();
    let expected = [("dns.example:53", false), ("dns-2.example:5353", true), ("192.0.2.1:53", false)];
    assert_eq!(servers, expected.map(|(at, tcp)| (at.to_owned(), tcp)));
    let bootstrap: Vec<_> = settings.upstream.bootstrap.iter().map(ToString::to_string).collect();
    assert_eq!(bootstrap, ["192.0.2.2:53", "[2001:db8::1]:5353"]);
    // One label, a number at the end, an invalid port, and characters that no host name has.
    for wrong in ["router", "192.0.2.1.7", "dns.example:x", "dns.example:70000", "a b.example", "a..example"]
    {
        let problem = format!(
            "2: [upstream] servers: `{wrong}` is not an upstream; expected one such as \"192.0.2.53\", \
             \"udp://dns.example:53\" or \"tcp://[2001:db8::53]:53\""
        );
        refused(&[(&format!("[upstream]\nservers = [\"{wrong}\"]\n"), &[&problem])]);
    }
    refused(&[
        (
            "[upstream]\nbootstrap = [\"dns.example\"]\n",
            &[
                "2: [upstream] bootstrap: `dns.example` is not an address; expected one such as \"192.0.2.1\" or \"[2001:db8::1]:53\"",
            ],
        ),
        (
            "[upstream]\nbootstrap = [\"127.0.0.1:5300\"]\n",
            &[
                "2: [upstream] bootstrap: `127.0.0.1:5300` is this server itself; name another: this server would wait for its own reply",
            ],
        ),
    ]);
}

#[test]
fn orders_need_two_paths() {
    refused(&[
        (
            "[control]\nsocket = \"\"\n",
            &[
                "2: [control] socket: the string is empty; expected a path, in quotes, such as socket = \"ctl.sock\"",
            ],
        ),
        (
            "[control]\nsocket = \"s\"\nstate = \"\"\n",
            &["3: [control] state: the path is empty; name a file"],
        ),
        (
            "[control]\nsocket = \"s\"\nstate = \"s\"\n",
            &["3: [control] state: it is also the path of the socket; name a file of its own"],
        ),
    ]);
    accepted(&["[control]\nsocket = \"s\"\n", "[control]\nsocket = \"s\"\nstate = \"t\"\n"]);
}

#[test]
fn schedules_that_never_apply_or_can_not_be_read() {
    let schedule = |rest: &str| format!("[[schedule]]\nname = \"s\"\nzone = \"Europe/Berlin\"\n{rest}\n");
    let term = schedule("from = \"2026-09-01\"\nuntil = \"2026-12-18\"");
    let list = |rest: &str| format!("{term}[[list]]\nname = \"l\"\nrules = []\nschedule = \"s\"\n{rest}\n");
    refused(&[
        (
            "[[schedule]]\nname = \"s\"\nzone = \"Europe/Berln\"\nwindows = [\"daily 08:00-09:00\"]\n[[group]]\nname = \"g\"\nschedule = \"s\"\n",
            &[
                "3: [[schedule]] zone: `Europe/Berln` is not a time zone (did you mean `Europe/Berlin`?); expected a name of the IANA database, such as \"Europe/Berlin\"",
            ],
        ),
        (
            &schedule("windows = [\"daily 08:00-08:00\"]"),
            &[
                "4: [[schedule]] windows: `daily 08:00-08:00` starts and ends at the same time; expected one such as \"Mon-Fri 08:00-15:30\" or \"daily 22:00-06:00\"",
            ],
        ),
        (
            &schedule("windows = [\"someday\"]"),
            &[
                "4: [[schedule]] windows: `someday` is not a window; expected one such as `Mon-Fri 08:00-15:30`",
            ],
        ),
        (&schedule(""), &["1: [[schedule]]: the schedule sets no times; give `windows`, `from` or `until`"]),
        (
            &schedule("from = \"2026-09-01\"\nuntil = \"2026-09-01\""),
            &["5: [[schedule]] until: it ends before it begins; set `until` later than `from`"],
        ),
        (
            &list("from = \"2027-01-01\""),
            &["10: [[list]] from: it ends before it begins; set `until` later than `from`"],
        ),
        (
            &list("until = \"2026-01-01\""),
            &["10: [[list]] until: it ends before it begins; set `until` later than `from`"],
        ),
        (
            &list("from = \"soon\""),
            &[
                "10: [[list]] from: `soon` is not a time; expected one such as `2016-11-17T12:00:00+03:00`, `2016-11-17T12:00` or `2016-11-17`",
            ],
        ),
        (
            "[[list]]\nname = \"l\"\nrules = []\nfrom = \"2026-09-01\"\n",
            &[
                "4: [[list]] from: `2026-09-01` has no time zone; add an offset, as in \"2026-09-01T08:00:00+02:00\", or name a schedule with a zone",
            ],
        ),
    ]);
}

#[test]
fn a_rule_with_a_time_is_narrowed_by_its_lists() {
    let other =
        "[[schedule]]\nname = \"nights\"\nzone = \"Europe/Berlin\"\nwindows = [\"daily 22:00-06:00\"]\n";
    let list = |when: &str, rule: &str| {
        format!(
            "{LESSONS}{other}[[list]]\nname = \"l\"\n{when}\nrules = [\"||a.test^\",\n{{ rule = \"||b.test^\", {rule} }}]\n"
        )
    };
    let (from, until) = ("\"2026-09-01T00:00:00Z\"", "\"2026-12-01T00:00:00Z\"");
    let part = |when: &str, rule: &str| {
        let settings = read(&list(when, rule)).unwrap_or_else(|got| panic!("{got:?}"));
        let lists: Vec<_> = settings.lists.iter().map(|l| l.schedule.clone()).collect();
        let own = lists.last().unwrap().clone().unwrap();
        (lists.len(), own.windows.len(), own.from, own.until, own.zone.iana_name().unwrap_or("").to_owned())
    };
    let (september, december) = (1_788_220_800, 1_796_083_200);
    let berlin = "Europe/Berlin".to_owned();
    for (when, rule, expected) in [
        ("schedule = \"lessons\"", format!("until = {until}"), (2, 1, None, Some(december), berlin.clone())),
        (
            &format!("until = {until}"),
            "schedule = \"lessons\"".into(),
            (2, 1, None, Some(december), berlin.clone()),
        ),
        (
            &format!("from = {from}"),
            format!("from = \"2026-01-01T00:00:00Z\", until = {until}"),
            (2, 0, Some(september), Some(december), "UTC".into()),
        ),
        (
            &format!("until = {until}"),
            "until = \"2030-01-01T00:00:00Z\"".into(),
            (1, 0, None, Some(december), "UTC".into()),
        ),
        // The same windows are not narrower.
        ("schedule = \"lessons\"", "schedule = \"lessons\"".into(), (1, 1, None, None, berlin)),
    ] {
        assert_eq!(part(when, &rule), expected, "{when} {rule}");
    }
    refused(&[
        (
            &list("schedule = \"lessons\"", "schedule = \"nights\""),
            &[
                "13: [[list]] rules: a rule with its own schedule in a list that has one too; put the rule into a list without a schedule",
            ],
        ),
        (
            &list("until = \"2026-09-01T00:00:00Z\"", &format!("from = {from}")),
            &[
                "13: [[list]] rules: the rule and its list are never in force together; make the times of the rule and of its list overlap",
            ],
        ),
    ]);
}

#[test]
fn contacts_and_words() {
    let contact = |uri: &str| format!("[block.contact]\nuris = [\"{uri}\"]\n");
    refused(&[
        (
            &contact("dns@example.org"),
            &[
                "2: [block.contact] uris: `dns@example.org` has no scheme; expected a URI such as `mailto:dns@example.org`",
            ],
        ),
        (
            &contact("ftp:x"),
            &[
                "2: [block.contact] uris: `ftp:x` is not a contact; expected one of the schemes tel, mailto, sips and https",
            ],
        ),
        (
            &contact("mailto:a; expected b"),
            &[
                "2: [block.contact] uris: `mailto:a; expected b` contains U+0020; expected a URI, with such characters as %XX",
            ],
        ),
        (
            "[policy]\nprecedence = \"most-specfic\"\n",
            &[
                "2: [policy] precedence: `most-specfic` is not known; expected one of allow-wins, most-specific, ordered (did you mean `most-specific`?)",
            ],
        ),
        (
            "[policy]\nprecedense = \"ordered\"\n",
            &[
                "2: [policy] precedense: unknown key `precedense`; expected one of precedence, default (did you mean `precedence`?)",
            ],
        ),
    ]);
}

/// Each network is looked up once: 100,000 of them took 31 s when each was compared with all.
#[test]
fn many_networks_and_many_mistakes() {
    let networks = |first: u32| {
        let all: Vec<String> =
            (0..20_000).map(|i| format!("\"10.{first}.{}.{}\"", i >> 8, i & 0xff)).collect();
        all.join(",")
    };
    let group =
        |name: &str, networks: &str| format!("[[group]]\nname = \"{name}\"\nclients = [{networks}]\n");
    let (one, two) = (networks(1), networks(2));
    let settings = read(&format!("{}{}", group("a", &one), group("b", &two))).unwrap();
    assert_eq!(settings.groups.iter().map(|g| g.networks.len()).collect::<Vec<_>>(), [20_000, 20_000]);
    let error = parse(&format!("{}{}", group("a", &one), group("b", &one)), Path::new("p.toml")).unwrap_err();
    assert_eq!(error.0.len(), 1001);
    assert_eq!((error.0[0].line, error.0[0].column), (Some(6), Some(12)));
    assert_eq!(error.0[0].problem, "10.1.0.0/32 is claimed by the group `a` too");
    assert_eq!(error.0[1000].problem, "there are 19000 more mistakes");
    assert!(error.0.iter().flat_map(|m| &m.source).all(|line| line.chars().count() <= 162));
    let said = error.to_string();
    assert!(said.ends_with("\nand 901 more mistakes"), "{}", &said[said.len() - 100..]);
}

/// A key that is shown in a comment can be used by removing the `#`.
#[test]
fn what_the_page_on_policies_comments_out_is_toml_too() {
    let page = include_str!("../../docs/policy.md");
    let mut freed = 0;
    for block in page.split("```toml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let free = |line: &str| match line.strip_prefix("# ").filter(|line| line.contains(" = ")) {
            Some(key) => {
                freed += 1;
                format!("{key}\n")
            }
            None => format!("{line}\n"),
        };
        let text: String = block.lines().map(free).collect();
        assert!(text.parse::<toml::Table>().is_ok(), "{:?}\n{text}", text.parse::<toml::Table>());
    }
    assert!(freed >= 2, "{freed}");
}

#[test]
fn who_gets_recursion_how_often_and_with_which_cookie() {
    let recursion = |server: &str| {
        let networks = read(&format!("[server]\n{server}\n")).unwrap().server.allow_recursion;
        networks.map(|networks| networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    };
    // As `allow` says, but strangers only where they are named.
    for (server, networks) in [
        ("", None),
        ("allow = [\"203.0.113.0/24\", \"2001:db8::/32\", \"10.0.0.0/8\", \"fc00::/7\"]", None),
        ("allow = [\"203.0.113.0/24\", \"::/0\"]", Some("203.0.113.0/24 ::1/128 fc00::/7 fe80::/10")),
        (
            "allow = [\"0.0.0.0/1\", \"128.0.0.0/1\"]",
            Some("127.0.0.0/8 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16"),
        ),
        ("allow = [\"0.0.0.0/0\"]\nallow-recursion = [\"0.0.0.0/0\"]", Some("0.0.0.0/0")),
        ("allow-recursion = []", Some("")),
    ] {
        assert_eq!(recursion(server).as_deref(), networks, "{server}");
    }
    let rate = read("[ratelimit]\nrate = 0\nslip = 1\nipv6-prefix = 64\nexempt = [\"192.0.2.0/24\"]\n")
        .unwrap()
        .ratelimit;
    assert_eq!((rate.rate, rate.burst, rate.slip, rate.v4_prefix, rate.v6_prefix), (0, 1000, 1, 24, 64));
    assert_eq!(rate.exempt, ["192.0.2.0/24".parse().unwrap()]);
    refused(&[
        (
            "[ratelimit]\nrate = -1\nipv4-prefix = 33\nqps = 5\n",
            &[
                "2: [ratelimit] rate: -1 is out of bounds; expected a whole number from 0 to 1000000",
                "3: [ratelimit] ipv4-prefix: 33 is out of bounds; expected a whole number from 0 to 32",
                "4: [ratelimit] qps: unknown key `qps`; write `rate`, such as rate = 200",
            ],
        ),
        (
            "[server]\ncookie-secrets = [\"e5e973e5\"]\n",
            &[
                "2: [server] cookie-secrets: this is not a secret of 32 hexadecimal digits; take the output of `openssl rand -hex 16`",
            ],
        ),
        (
            "[server]\ncookie-secrets = []\n",
            &[
                "2: [server] cookie-secrets: the list is empty; give a secret, or remove the key for a random one",
            ],
        ),
    ]);
    let bad = [
        "+5e973e5a6b2a43f48e7dc849e37bfcf",
        "e5e973e5a6b2a43f48e7dc849e37bfcg",
        "e5e973e5a6b2a43f48e7dc849e37bfcf0",
    ];
    for secret in bad {
        assert!(read(&format!("[server]\ncookie-secrets = [\"{secret}\"]\n")).is_err(), "{secret}");
    }
    let secrets =
        "cookie-secrets = [\"E5E973E5A6B2A43F48E7DC849E37BFCF\", \"445536bcd2513298075a5d379663c962\"]";
    assert_eq!(read(&format!("[server]\n{secrets}\n")).unwrap().server.cookie_secrets.len(), 2);
}
