//! The tables of `tests/policy/`: a configuration, then questions with the replies and reasons that are
//! expected, answered in-process and, as far as the clock and loopback allow, over the wire.
//!
//! ```text
//! --- config                 the configuration file
//! --- file NAME              a file beside it
//! --- ask
//! NAME TYPE [from CLIENT] [at TIME] [answered NAME|IP …]
//!   REPLY[, EDE CODE TEXT]…
//!   [because RULE (LIST, line N)]
//! ```
//!
//! `answered` is what the upstream says. A reply is a response code, `NODATA`, the data of its answers, or
//! `silence`; `forwarded` stands for what the upstream says of its own accord.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::disallowed_methods)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::common::{PATIENCE, Reply, Run, SILENCE, Server, Upstream, portcullis, question, reply, soa};
use portcullis::cache::store::Cache;
use portcullis::config;
use portcullis::dns::{Message, NameBuf, Qtype, Rcode, Section, Specials, Transport};
use portcullis::observe::counters::CounterSet;
use portcullis::resolver::explain::{self, Given, Question, Record};
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::snapshot::Client;
use portcullis::sources;

/// What the mock upstream answers where a row does not say.
const ELSEWHERE: [u8; 4] = [192, 0, 2, 200];

struct Table {
    config: String,
    files: Vec<(String, String)>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    line: usize,
    name: String,
    qtype: String,
    from: Option<IpAddr>,
    at: Option<i64>,
    answered: Vec<String>,
    reply: String,
    because: Option<String>,
}

fn read(text: &str) -> Table {
    let mut table = Table { config: String::new(), files: Vec::new(), rows: Vec::new() };
    let mut part = "";
    for (number, line) in text.lines().enumerate() {
        if let Some(header) = line.strip_prefix("--- ") {
            part = header.trim();
            if let Some(name) = part.strip_prefix("file ") {
                table.files.push((name.to_owned(), String::new()));
            }
            continue;
        }
        match part {
            "config" => table.config += &format!("{line}\n"),
            "ask" if line.trim().is_empty() || line.starts_with('#') => {}
            "ask" => match line.strip_prefix("  ") {
                None => table.rows.push(row(number + 1, line)),
                Some(expected) => {
                    let row = table.rows.last_mut().expect("a question first");
                    match expected.strip_prefix("because ") {
                        Some(because) => row.because = Some(because.to_owned()),
                        None => row.reply = expected.to_owned(),
                    }
                }
            },
            _ if part.starts_with("file ") => {
                let (_, text) = table.files.last_mut().unwrap();
                *text += &format!("{line}\n");
            }
            _ => {}
        }
    }
    table
}

fn row(line: usize, text: &str) -> Row {
    let mut words = text.split_whitespace();
    let (name, qtype) = (words.next().unwrap().to_owned(), words.next().expect("a type").to_owned());
    let (mut from, mut at, mut answered) = (None, None, Vec::new());
    while let Some(word) = words.next() {
        match word {
            "from" => from = Some(words.next().unwrap().parse().unwrap()),
            "at" => at = Some(words.next().unwrap().parse::<jiff::Timestamp>().unwrap().as_second()),
            "answered" => answered = words.by_ref().map(str::to_owned).collect(),
            other => panic!("line {line}: what is `{other}`?"),
        }
    }
    Row { line, name, qtype, from, at, answered, reply: String::new(), because: None }
}

/// A reply as the tables have it.
fn summary(reply: &Message<'_>) -> String {
    let answers: Vec<String> =
        reply.records().filter(|r| r.section == Section::Answer).map(|r| reply.rdata_text(&r)).collect();
    let mut text = match (reply.rcode(), answers.as_slice()) {
        (Rcode::NOERROR, []) => "NODATA".to_owned(),
        (Rcode::NOERROR, answers) => answers.join(" "),
        (rcode, answers) => [&[rcode.to_string()], answers].concat().join(" "),
    };
    for (code, extra) in reply.edes() {
        // Without the reference.
        let extra = extra.rsplit_once(" [").map_or(extra.as_str(), |(text, _)| text);
        write!(text, ", EDE {} {extra}", code.0).unwrap();
    }
    text.trim_end().to_owned()
}

fn in_process(table: &Table, rows: &[Row], folder: &Path) {
    let text = format!("{}\n", table.config);
    let mut settings =
        config::parse(&text, &folder.join("portcullis.toml")).unwrap_or_else(|e| panic!("{e}"));
    settings.imagine_upstream();
    if !text.contains("[special]") {
        settings.special = Specials::NONE;
    }
    settings.server.allow = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
    let counters = Arc::new(CounterSet::default());
    let (snapshot, _) =
        sources::build(&settings, &Arc::new(Cache::new(0)), &counters, sources::Build::default(), 0).unwrap();
    let engine = Arc::new(Engine::new(snapshot, counters, None));
    let mut wrong = Vec::new();
    for row in rows {
        let now = Moment { at: Instant::now(), unix: row.at.unwrap_or(1_795_600_000) };
        let address = row.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let client =
            Client { address: SocketAddr::new(address, 5353), transport: Transport::Udp, listener: 0 };
        let given = |text: &String| match text.parse() {
            Ok(address) => Given::Address(address),
            Err(_) => Given::Name(NameBuf::from_text(text).unwrap()),
        };
        let question = Question {
            name: NameBuf::from_text(&row.name).unwrap(),
            qtype: row.qtype.parse().unwrap(),
            client,
            answer: row.answered.iter().map(given).collect(),
        };
        let snapshot = Arc::clone(&engine.snapshot_at(now.unix));
        let record = explain::explain(&engine, &snapshot, &question, now);
        let heard = heard(&record);
        // A reply that is still to come has no errors yet.
        let (reply, _) = row
            .reply
            .split_once(", EDE")
            .filter(|_| heard.ends_with("forwarded"))
            .unwrap_or((&row.reply, ""));
        if heard != reply {
            wrong.push(format!("line {}: {row:?}\n  got {heard}\n{:#}", row.line, record.json()));
        }
        if let Some(because) = row.because.as_ref().filter(|because| **because != reason(&record)) {
            wrong.push(format!("line {}: because {because}\n  got {}", row.line, reason(&record)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn heard(record: &Record) -> String {
    match Message::parse(&record.octets) {
        Some(reply) => summary(&reply),
        None if record.reply.contains("forwarded") => {
            let aliases = record.reply.split(", ").filter_map(|part| part.strip_prefix("CNAME "));
            aliases.map(|name| format!("{name}. ")).chain(["forwarded".into()]).collect()
        }
        None => "silence".into(),
    }
}

fn reason(record: &Record) -> String {
    let Some(rule) = &record.rests_on else { return "no rule".into() };
    let in_answer = record.in_answer.as_ref().map_or_else(String::new, |b| format!(": {b}"));
    let line = if rule.line > 0 { format!(", line {}", rule.line) } else { String::new() };
    format!("{}{in_answer} ({}{line})", rule.rule, rule.list)
}

/// Asks from loopback addresses, through an upstream that answers as the rows say.
fn over_the_wire(table: &Table, rows: &[Row]) {
    // The upstream answers the targets of aliases too, of which other rows ask.
    let answers: HashMap<String, Vec<String>> =
        table.rows.iter().map(|r| (r.name.to_ascii_lowercase(), r.answered.clone())).collect();
    let upstream = Upstream::start(move |query, _| {
        let message = Message::parse(query)?;
        let name = message.qname()?.to_folded().to_string();
        Some(answer(query, answers.get(&name).map_or(&[][..], Vec::as_slice)))
    });
    let config =
        format!("{}\n[metrics]\nlisten = \"127.0.0.1:0\"\n{}", Upstream::config(&[&upstream]), table.config);
    let files: Vec<(&str, &str)> = table.files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let server = Server::start(&config, &files);
    for row in rows {
        let address = row.from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        if row.at.is_some() || !address.is_loopback() || address.is_ipv6() {
            continue;
        }
        let socket = UdpSocket::bind((address, 0)).unwrap();
        let patience = if row.reply == "silence" { SILENCE } else { PATIENCE };
        socket.set_read_timeout(Some(patience)).unwrap();
        socket.send_to(&question(&row.name, &row.qtype), server.dns).unwrap();
        let mut out = [0; 4096];
        let heard = match socket.recv(&mut out) {
            Ok(len) => summary(&Reply(out[..len].to_vec()).message()),
            Err(_) => "silence".into(),
        };
        let heard = heard.replace("192.0.2.200", "forwarded").replace("2001:db8::200", "forwarded");
        assert_eq!(heard, row.reply, "line {}: {row:?}", row.line);
    }
}

fn answer(query: &[u8], given: &[String]) -> Vec<u8> {
    let message = Message::parse(query).unwrap();
    let qtype =
        message.question().last_chunk::<4>().map(|c| Qtype(u16::from_be_bytes([c[0], c[1]]))).unwrap();
    if given.is_empty() {
        let mut v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        v6[14..].copy_from_slice(&[2, 0]);
        return match qtype {
            Qtype::AAAA => reply(query, 0, &[(28, 60, &v6)], &[], None),
            _ => reply(query, 0, &[(1, 60, &ELSEWHERE)], &[], None),
        };
    }
    let mut out = reply(query, 0, &[], &[(6, 60, &soa(60))], None);
    // Answers go before the SOA, each alias on the one before.
    let authority = out.split_off(12 + message.question().len());
    let mut owner = message.question()[..message.question().len() - 4].to_vec();
    let mut count = 0;
    for part in given {
        let (rtype, rdata) = match part.parse() {
            Ok(IpAddr::V4(a)) => (1u16, a.octets().to_vec()),
            Ok(IpAddr::V6(a)) => (28, a.octets().to_vec()),
            Err(_) => (5, NameBuf::from_text(part).unwrap().as_bytes().to_vec()),
        };
        out.extend(&owner);
        out.extend(rtype.to_be_bytes());
        out.extend(b"\0\x01\0\0\0\x3c");
        out.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
        out.extend(&rdata);
        if rtype == 5 {
            owner = rdata;
        }
        count += 1;
    }
    out.extend(authority);
    out[7] = count;
    out
}

#[test]
fn explain_shows_rules_that_do_not_speak_and_why() {
    let config = "[[list]]\nname = \"late\"\nrules = [\"||x.test^\"]\nfrom = \"2030-01-01T00:00:00Z\"\n\
        [[list]]\nname = \"other\"\nrules = [\"||x.test^\"]\n\
        [[group]]\nname = \"g\"\nlists = [\"late\"]\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.toml");
    std::fs::write(&path, config).unwrap();
    let run = |arguments: &[&str]| {
        let done = portcullis().args(["explain", "x.test", "-c"]).arg(&path).args(arguments).run();
        String::from_utf8(done.stdout).unwrap()
    };
    let text = run(&[]);
    assert!(text.contains("||x.test^  (late, line 1; out of its schedule)"), "{text}");
    assert!(text.contains("||x.test^  (other, line 1; not a list of the client's group)"), "{text}");
    assert!(text.contains("verdict: pass"), "{text}");
    let text = run(&["--at", "2031-01-01T00:00:00Z"]);
    assert!(text.contains("==> block              ||x.test^  (late, line 1)"), "{text}");
    let text = run(&["--client", "9.9.9.9"]);
    assert!(text.contains("==> access") && text.contains("verdict: refused"), "{text}");
}

#[test]
fn explain_shows_what_stopped_what() {
    let config = r#"
[upstream]
servers = []
[[client]]
name = "kid"
addresses = ["10.0.0.1"]
[[list]]
name = "ads"
rules = [
    "||x.test^",
    "||www.x.test^$client=kid",
    "||www.x.test^$dnstype=AAAA",
    "||r.test^$dnsrewrite=192.0.2.1",
    "@@||r.test^$dnsrewrite",
    "||x.test^$denyallow=www.x.test",
]
[[list]]
name = "own"
rules = ["@@||www.x.test^"]
[[list]]
name = "binding"
rules = ["||x.test^"]
types = ["HTTPS"]
[[list]]
name = "zone"
source = "r.rpz"
[[rewrite]]
name = "*.test"
address = ["192.0.2.9"]
groups = ["inside"]
[[rewrite]]
name = "*.own.test"
address = ["192.0.2.9"]
[[rewrite]]
name = "a.own.test"
pass = true
[[group]]
name = "inside"
clients = ["10.0.0.0/8"]
[[zone]]
origin = "z.test"
file = "z"
"#;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("c.toml", config),
        ("z", "$TTL 60\n@ SOA ns host 1 2 3 4 5\n*.a A 192.0.2.77\nx.b.a A 192.0.2.78\n"),
        ("r.rpz", "$TTL 60\n@ SOA . . 1 2 3 4 5\n*.p.test CNAME .\nq.p.test CNAME rpz-passthru.\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let run = |arguments: &str| {
        let done = portcullis()
            .arg("explain")
            .args(arguments.split(' '))
            .arg("-c")
            .arg(folder.path().join("c.toml"))
            .run();
        String::from_utf8(done.stdout).unwrap()
    };
    for (question, lines) in [
        (
            "www.x.test",
            &[
                "==> allow              @@||www.x.test^  (own, line 1)",
                "    block              ||x.test^  (ads, line 1; stopped by @@||www.x.test^ (own, line 1): allow goes before block)",
                "matches the name, but does not apply:",
                "    block              ||www.x.test^$dnstype=AAAA  (ads, line 3; not for the type A)",
                "    block              ||www.x.test^$client='kid'  (ads, line 2; not for this client)",
                "    block              ||x.test^$denyallow=www.x.test  (ads, line 6; it excepts this name)",
                "    block              ||x.test^  (binding, line 1; its list is for HTTPS only)",
            ][..],
        ),
        (
            "www.x.test -t AAAA",
            &[
                "    block              ||www.x.test^$dnstype=AAAA  (ads, line 3; stopped by @@||www.x.test^ (own, line 1): allow goes before block)",
            ],
        ),
        (
            "x.test -t HTTPS",
            &[
                "    block              ||x.test^  (binding, line 1; stopped by ||x.test^ (ads, line 1): its list is named earlier)",
            ],
        ),
        (
            "r.test",
            &[
                "    no rewrite         @@||r.test^$dnsrewrite  (ads, line 5; cancels a rewrite, decides nothing else)",
                "    rewrite            ||r.test^$dnsrewrite=records A  (ads, line 4; stopped by @@||r.test^$dnsrewrite (ads, line 5): it is an exception)",
                "    own rewrite        ||*.test^$dnsrewrite=address 192.0.2.9  (rewrite, line 28; not for the client's group)",
                "==> no rule            zones, cache, upstream",
            ],
        ),
        (
            "a.own.test",
            &[
                "    own rewrite        |a.own.test|$(as it is)  (rewrite, line 35; the name is not rewritten)",
                "    own rewrite        ||*.own.test^$dnsrewrite=address 192.0.2.9  (rewrite, line 32; stopped by |a.own.test|$(as it is) (rewrite, line 35): it leaves the name as it is)",
            ],
        ),
        ("k.a.z.test", &["zone:    z.test answers by the wildcard *.a.z.test"]),
        (
            "k.b.a.z.test",
            &[
                "zone:    z.test has b.a.z.test, not the name; the wildcard *.a.z.test ends there, because that name exists",
            ],
        ),
        ("b.a.z.test", &["zone:    z.test has the name"]),
        ("k.z.test", &["zone:    z.test has z.test, not the name, and no wildcard for it"]),
        (
            "q.p.test",
            &[
                "    block              ||*.p.test^$(nxdomain)  (zone, line 3; a closer name of its list ends it)",
            ],
        ),
    ] {
        let text = run(question);
        for line in lines {
            assert!(text.lines().any(|l| l == *line), "{question}: {line}\n{text}");
        }
    }
    let json: serde_json::Value = serde_json::from_str(&run("www.x.test --json")).unwrap();
    let rule = &json["rules"][1];
    assert_eq!((&rule["applies"], &rule["stopped_by"]["list"]), (&true.into(), &"own".into()), "{json:#}");
    assert_eq!(json["rules"].as_array().unwrap().iter().filter(|r| r["applies"] == false).count(), 5);
}

#[test]
fn every_row_holds_in_process_and_over_the_wire() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policy");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        let table = read(&std::fs::read_to_string(&path).unwrap());
        assert!(!table.rows.is_empty(), "{}", path.display());
        let files = tempfile::tempdir().unwrap();
        for (name, text) in &table.files {
            std::fs::write(files.path().join(name), text).unwrap();
        }
        in_process(&table, &table.rows, files.path());
        over_the_wire(&table, &table.rows);
        count += table.rows.len();
    }
    assert!(count > 60, "{count}");
}

/// What the rows of this table are about is in the upstream's reply for the target, which no explanation assumes.
#[test]
fn what_a_rewrites_alias_leads_to_is_inspected_like_any_reply() {
    let table = read(
        r#"
--- config
[inspect]
rebinding = true
private = ["lan"]

[[list]]
name = "bad-nets"
kind = "addresses"
rules = ["203.0.113.0/24"]

[[list]]
name = "l"
rules = [
    "||bad.test^$dnsrewrite=bad-target.test",
    "||good.test^$dnsrewrite=good-target.test",
    "||inside.test^$dnsrewrite=inside-target.test",
    "||cloaked.test^$dnsrewrite=cloaked-target.test",
    "||vouched.test^$dnsrewrite=vouched-target.test",
    "||hop.test^$dnsrewrite=bad.test",
    "||tracker.test^",
    "@@||vouched-target.test^",
]

[[rewrite]]
name = "own-bad.test"
cname = "bad-target.test"

[[rewrite]]
name = "own-inside.test"
cname = "inside-target.test"

[[rewrite]]
name = "own-nas.test"
cname = "nas.lan"

[[rewrite]]
name = "nas2.lan"
cname = "inside-target.test"

[[rewrite]]
name = "own-tracker.test"
cname = "tracker.test"

--- ask
bad-target.test A answered 203.0.113.9
  NODATA, EDE 15 bad-nets
bad.test A
  NODATA, EDE 15 bad-nets
# From the cache too.
bad.test A
  NODATA, EDE 15 bad-nets
hop.test A
  NODATA, EDE 15 bad-nets
own-bad.test A
  NODATA, EDE 15 bad-nets
good-target.test A answered 192.0.2.80
  192.0.2.80
good.test A
  good-target.test. 192.0.2.80, EDE 4 l
good.test A
  good-target.test. 192.0.2.80, EDE 4 l
inside-target.test A answered 192.168.1.1
  NODATA, EDE 15 rebinding
inside.test A
  NODATA, EDE 15 rebinding
own-inside.test A
  NODATA, EDE 15 rebinding
# The target's name counts, not the one that is rewritten.
nas.lan A answered 192.168.1.9
  192.168.1.9
own-nas.test A
  nas.lan. 192.168.1.9, EDE 4 rewrite
nas2.lan A
  NODATA, EDE 15 rebinding
cloaked-target.test A answered tracker.test 192.0.2.81
  NXDOMAIN, EDE 15 l
cloaked.test A
  NXDOMAIN, EDE 15 l
# A rule that allows the target vouches for it.
vouched-target.test A answered 203.0.113.9
  203.0.113.9
vouched.test A
  vouched-target.test. 203.0.113.9, EDE 4 l
# The operator's own alias may lead to a name that is blocked.
own-tracker.test A
  tracker.test. forwarded, EDE 4 rewrite
"#,
    );
    over_the_wire(&table, &table.rows);
    // Alone, each waits for the upstream's reply.
    for row in table.rows.iter().filter(|row| row.answered.is_empty()) {
        over_the_wire(&table, std::slice::from_ref(row));
    }
}
