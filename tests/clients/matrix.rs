//! What an imitated censor looks like to the programs of others: every action of `scenarios/matrix.toml`, and
//! what `scenario judge`, dig, kdig and dnsping say of it. The table is what is promised to those who test
//! with these programs; each row is asked over real sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{DIG, DNSPING, DNSPYTHON, KDIG, test};
use crate::common::{Run, portcullis};
use portcullis::stage::Harness;
use portcullis::stage::harness::Playing;
use serde_json::Value;

pub fn tests() -> Vec<Trial> {
    vec![
        test("matrix::no_action_is_without_a_row", &[], no_action_is_without_a_row),
        test("matrix::the_judge_says_what_the_table_says", &[], the_judge_says_what_the_table_says),
        test("matrix::dig_says_what_the_table_says", &[DIG], dig_says_what_the_table_says),
        test("matrix::kdig_says_what_the_table_says", &[KDIG], kdig_says_what_the_table_says),
        test("matrix::dnsping_says_what_the_table_says", &[DNSPING], dnsping_says_what_the_table_says),
        test(
            "matrix::dnspython_takes_no_address_for_another_type",
            &[DNSPYTHON],
            dnspython_takes_no_address_for_another_type,
        ),
    ]
}

const SCENARIO: &str = include_str!("../scenarios/matrix.toml");

/// One question and what each program makes of the answer.
///
/// For dig, kdig and dnsping: words that their output has, or with `!` has not, and the exit code. For the
/// judge: its verdict; the replies that it caught and what OONI's probe reads from them; OONI's verdict,
/// flags, what it would say is blocked (`dns?`: if the page fails) and how many duplicates it would keep;
/// Satellite's outcome; and the signs that are counted by neither.
///
/// `-`: the program can't see it. The judge asks for A and AAAA only, and its line is about the type asked for.
struct Row {
    /// The first label of the name, and how it is asked: the type (A), `edns` (without), `tcp` (UDP).
    asked: &'static str,
    judge: &'static str,
    dig: &'static str,
    kdig: &'static str,
    dnsping: &'static str,
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Nothing is done.
    Row {
        asked: "clean",
        judge: "ok | 1: 93.184.215.14 | consistent 0 - | ip.matchip",
        dig: "status: NOERROR | 300 IN A 93.184.215.14 | flags: qr rd ra; | exit 0",
        kdig: "status: NOERROR | 300 IN A 93.184.215.14 | Flags: qr rd ra; | exit 0",
        dnsping: "NOERROR [TTL=300 ] [QR RD RA] [RDATA: A 93.184.215.14] | 0% lost",
    },
    // The codes. dnsping's exit code is always 0.
    Row {
        asked: "nxdomain",
        judge: "dns-interference | 1: dns_nxdomain_error | inconsistent 2 dns | dns.error:NXDomain",
        dig: "status: NXDOMAIN | ANSWER: 0, AUTHORITY: 0 | flags: qr rd ra; | exit 0",
        kdig: "status: NXDOMAIN | ANSWER: 0; AUTHORITY: 0 | Flags: qr rd ra; | exit 0",
        dnsping: "NXDOMAIN [QR RD RA] | 0% lost",
    },
    Row {
        asked: "refused",
        judge: "dns-interference | 1: dns_refused_error | inconsistent 2 dns | dns.error:Refused",
        dig: "status: REFUSED | ANSWER: 0 | exit 0",
        kdig: "status: REFUSED | ANSWER: 0 | exit 0",
        dnsping: "REFUSED [QR RD RA] | 0% lost",
    },
    Row {
        asked: "servfail",
        judge: "dns-interference | 1: dns_servfail_error | inconsistent 2 dns | dns.error:ServFail",
        dig: "status: SERVFAIL | ANSWER: 0 | exit 0",
        kdig: "status: SERVFAIL | ANSWER: 0 | exit 0",
        dnsping: "SERVFAIL [QR RD RA] | 0% lost",
    },
    // An Extended DNS Error is told to those who speak EDNS, and so never to OONI's probe.
    Row {
        asked: "ede",
        judge: "dns-interference | 1: dns_nxdomain_error | inconsistent 2 dns | dns.error:NXDomain",
        dig: "status: NXDOMAIN | !EDE",
        kdig: "status: NXDOMAIN | !EDE",
        dnsping: "NXDOMAIN [QR RD RA] | !EDE",
    },
    Row {
        asked: "ede edns",
        judge: "dns-interference | 1: dns_nxdomain_error [EDE 16 by order] | inconsistent 2 dns | dns.error:NXDomain",
        dig: "status: NXDOMAIN | EDE: 16 (Censored): (by order)",
        kdig: "status: NXDOMAIN | EDE: 16 (Censored): 'by order'",
        dnsping: "NXDOMAIN [QR RD RA] [EDE:16(\"by order\")]",
    },
    // Nothing, for all types or for AAAA alone, which OONI does not count and Satellite does not ask for.
    Row {
        asked: "nodata",
        judge: "dns-interference | 1: dns_no_answer | inconsistent 2 dns | ip.empty",
        dig: "status: NOERROR | ANSWER: 0, AUTHORITY: 0 | exit 0",
        kdig: "status: NOERROR | ANSWER: 0; AUTHORITY: 0 | exit 0",
        dnsping: "NOERROR [QR RD RA] | !RDATA | 0% lost",
    },
    Row {
        asked: "nodata-aaaa AAAA",
        judge: "suspect | 1: dns_no_answer | consistent 0 - | ip.matchip | no AAAA, though the control has one",
        dig: "status: NOERROR | ANSWER: 0 | exit 0",
        kdig: "status: NOERROR | ANSWER: 0 | exit 0",
        dnsping: "NOERROR [QR RD RA] | !RDATA | 0% lost",
    },
    // False addresses. On the wire they are all alike; what address it is decides what probes say. Whether a
    // page behind it would pass for the true one (TLS passed through) no DNS client sees: `dns?`. OONI's probe asks
    // no page of 127.0.0.1, so there it is `dns`. The TTLs tell the rows apart.
    Row {
        asked: "stub-loopback",
        judge: "dns-interference | 1: 127.0.0.1 | inconsistent 5 dns | ip.invalid:local_host | 127.0.0.1 is a bogon",
        dig: "status: NOERROR | 60 IN A 127.0.0.1 | flags: qr rd ra;",
        kdig: "status: NOERROR | 60 IN A 127.0.0.1 | Flags: qr rd ra;",
        dnsping: "NOERROR [TTL=60  ] [QR RD RA] [RDATA: A 127.0.0.1]",
    },
    Row {
        asked: "stub-private",
        judge: "dns-interference | 1: 10.10.34.35 | inconsistent 5 dns? | ip.invalid:local_net | 10.10.34.35 is a bogon",
        dig: "status: NOERROR | 61 IN A 10.10.34.35",
        kdig: "status: NOERROR | 61 IN A 10.10.34.35",
        dnsping: "NOERROR [TTL=61  ] [QR RD RA] [RDATA: A 10.10.34.35]",
    },
    Row {
        asked: "stub-public",
        judge: "dns-interference | 1: 5.3.3.17 | inconsistent 4 dns? | anomaly",
        dig: "status: NOERROR | 62 IN A 5.3.3.17",
        kdig: "status: NOERROR | 62 IN A 5.3.3.17",
        dnsping: "NOERROR [TTL=62  ] [QR RD RA] [RDATA: A 5.3.3.17]",
    },
    Row {
        asked: "cname",
        judge: "dns-interference | 1: CNAME blocked.example 5.3.3.17 | inconsistent 4 dns? | anomaly",
        dig: "63 IN CNAME blocked.example. | blocked.example. 63 IN A 5.3.3.17",
        kdig: "63 IN CNAME blocked.example. | blocked.example. 63 IN A 5.3.3.17",
        // The first record only.
        dnsping: "NOERROR [TTL=63  ] [QR RD RA] [RDATA: CNAME blocked.example.]",
    },
    Row {
        asked: "authoritative",
        judge: "dns-interference | 1: 5.3.3.17 | inconsistent 4 dns? | anomaly",
        dig: "flags: qr aa rd ra; | 71 IN A 5.3.3.17",
        kdig: "Flags: qr aa rd ra; | 71 IN A 5.3.3.17",
        dnsping: "NOERROR [TTL=71  ] [QR AA RD RA] [RDATA: A 5.3.3.17]",
    },
    // An A record, whatever was asked. That dnspython finds no answer in it is another test below.
    Row {
        asked: "other-type AAAA",
        judge: "dns-interference | 1: dns_no_answer | inconsistent 4 dns? | anomaly | an answer for AAAA with addresses of the other type",
        dig: "status: NOERROR | 67 IN A 5.3.3.17 | ANSWER: 1",
        kdig: "status: NOERROR | 67 IN A 5.3.3.17 | ANSWER: 1",
        dnsping: "NOERROR [TTL=67  ] [QR RD RA] [RDATA: A 5.3.3.17]",
    },
    Row {
        asked: "other-type MX",
        judge: "-",
        dig: "status: NOERROR | 67 IN A 5.3.3.17 | ANSWER: 1",
        kdig: "status: NOERROR | 67 IN A 5.3.3.17 | ANSWER: 1",
        dnsping: "NOERROR [TTL=67  ] [QR RD RA] [RDATA: A 5.3.3.17]",
    },
    // Silence, over both transports.
    Row {
        asked: "drop",
        judge: "dns-interference | 0: generic_timeout_error | inconsistent 2 dns | dns.timedout",
        dig: "timed out | no servers could be reached | exit 9",
        kdig: "response timeout | failed to query server | exit 1",
        dnsping: "Request timeout | 100% lost",
    },
    Row {
        asked: "drop tcp",
        judge: "dns-interference | 0: generic_timeout_error | inconsistent 2 dns | -",
        dig: "timed out | no servers could be reached | exit 9",
        kdig: "response timeout | failed to query server | exit 1",
        dnsping: "Request timeout | 100% lost",
    },
    // The truth, 100 ms later: only a clock can tell, and no probe's rules look at it.
    Row {
        asked: "delay",
        judge: "ok | 1: 93.184.215.14 | consistent 0 - | ip.matchip",
        dig: "status: NOERROR | 300 IN A 93.184.215.14",
        kdig: "status: NOERROR | 300 IN A 93.184.215.14",
        dnsping: "NOERROR [TTL=300 ] [QR RD RA] [RDATA: A 93.184.215.14]",
    },
    // Two answers race. All three clients take the first and go; the judge and OONI listen on. Over TCP
    // nobody injects here.
    Row {
        asked: "inject",
        judge: "injected | 2: 5.3.3.17; 93.184.215.14 | inconsistent 4 dns? +2 | anomaly | replies for A that differ",
        dig: "status: NOERROR | 64 IN A 5.3.3.17 | !93.184.215.14",
        kdig: "status: NOERROR | 64 IN A 5.3.3.17 | !93.184.215.14",
        dnsping: "NOERROR [TTL=64  ] [QR RD RA] [RDATA: A 5.3.3.17] | !93.184.215.14",
    },
    Row {
        asked: "inject tcp",
        judge: "ok | 1: 93.184.215.14 | consistent 0 - | -",
        dig: "300 IN A 93.184.215.14 | !5.3.3.17",
        kdig: "300 IN A 93.184.215.14 | !5.3.3.17",
        dnsping: "[QR RD RA] [RDATA: A 93.184.215.14] | !5.3.3.17",
    },
    // A wrong id: dig and kdig warn and wait, OONI's probe and dnsping give up.
    Row {
        asked: "wrong-id",
        judge: "injected | 2: dns_reply_with_wrong_query_id; 93.184.215.14 | inconsistent 2 dns | - | a reply for A with another id than the query",
        dig: "ID mismatch: expected ID | status: NOERROR | 300 IN A 93.184.215.14 | !5.3.3.17",
        kdig: "is different from query ID | status: NOERROR | 300 IN A 93.184.215.14 | !5.3.3.17",
        dnsping: "Malformed response | 100% lost",
    },
    // The answer appended to a reply that ends in an OPT record, so that the OPT is read as the answer and the
    // answer as additional. Whoever sends no OPT sees nothing odd.
    Row {
        asked: "after-opt",
        judge: "dns-interference | 1: 5.3.3.17 | inconsistent 4 dns? | anomaly",
        dig: "status: NOERROR | 66 IN A 5.3.3.17 | !malformed",
        kdig: "status: NOERROR | 66 IN A 5.3.3.17 | !malformed",
        dnsping: "NOERROR [TTL=66  ] [QR RD RA] [RDATA: A 5.3.3.17]",
    },
    Row {
        asked: "after-opt edns",
        judge: "dns-interference | 1: dns_no_answer | inconsistent 2 dns | ip.empty | a reply for A whose OPT record is in the wrong section",
        dig: "malformed message packet | CLASS1232 OPT | 66 IN A 5.3.3.17 | exit 0",
        kdig: "malformed reply packet | failed to query server | !5.3.3.17 | exit 1",
        dnsping: "Malformed response | 100% lost",
    },
    // Other faults.
    Row {
        asked: "short-rdata",
        judge: "dns-interference | 1: unknown_failure | inconsistent 2 dns | - | a reply for A that is not a DNS message",
        dig: "malformed message packet | !5.3.3.17 | exit 0",
        kdig: "malformed reply packet | failed to query server | exit 1",
        dnsping: "Malformed response | 100% lost",
    },
    Row {
        asked: "extra-bytes",
        judge: "dns-interference | 1: 5.3.3.17 | inconsistent 4 dns? | anomaly | a reply for A with octets after its end",
        dig: "Message has 4 extra bytes at end | 69 IN A 5.3.3.17 | exit 0",
        kdig: "trailing data | 69 IN A 5.3.3.17 | exit 0",
        dnsping: "Malformed response | 100% lost",
    },
    Row {
        asked: "no-qclass",
        judge: "dns-interference | 1: 5.3.3.17 | inconsistent 4 dns? | anomaly",
        dig: "70 IN A 5.3.3.17 | !malformed",
        kdig: "70 IN A 5.3.3.17 | !malformed",
        dnsping: "NOERROR [TTL=70  ] [QR RD RA] [RDATA: A 5.3.3.17]",
    },
    Row {
        asked: "no-qclass tcp",
        judge: "dns-interference | 1: unknown_failure | inconsistent 2 dns | - | a reply for A that is not a DNS message",
        dig: "malformed message packet | Question section mismatch | !5.3.3.17",
        kdig: "malformed reply packet | failed to query server | exit 1",
        dnsping: "Malformed response | 100% lost",
    },
    // TC, and the truth over TCP: dig and kdig go there, OONI's probe and dnsping don't.
    Row {
        asked: "truncate",
        judge: "dns-interference | 1: dns_no_answer | inconsistent 2 dns | ip.empty | the reply for A is truncated (TC); use --tcp to get all of it",
        dig: "Truncated, retrying in TCP mode | status: NOERROR | 300 IN A 93.184.215.14",
        kdig: "retrying over TCP | status: NOERROR | 300 IN A 93.184.215.14",
        dnsping: "NOERROR [QR TC RD RA] | !RDATA",
    },
    Row {
        asked: "truncate tcp",
        judge: "ok | 1: 93.184.215.14 | consistent 0 - | -",
        dig: "status: NOERROR | 300 IN A 93.184.215.14 | !Truncated",
        kdig: "status: NOERROR | 300 IN A 93.184.215.14 | !retrying",
        dnsping: "NOERROR [TTL=300 ] [QR RD RA] [RDATA: A 93.184.215.14]",
    },
    // The connection ends by RST or by FIN, after UDP said to come over TCP. kdig has one text for both.
    Row {
        asked: "reset",
        judge: "dns-interference | 1: dns_no_answer | inconsistent 2 dns | ip.empty | the reply for A is truncated (TC); use --tcp to get all of it",
        dig: "Truncated, retrying in TCP mode | connection reset | exit 9",
        kdig: "retrying over TCP | can't receive reply | exit 1",
        dnsping: "NOERROR [QR TC RD RA] | !RDATA",
    },
    Row {
        asked: "reset tcp",
        judge: "dns-interference | 0: connection_reset | inconsistent 2 dns | - | the TCP connection for A ended by RST",
        dig: "connection reset | exit 9",
        kdig: "can't receive reply | exit 1",
        dnsping: "Connection reset by peer",
    },
    Row {
        asked: "close tcp",
        judge: "dns-interference | 0: eof_error | inconsistent 2 dns | -",
        dig: "end of file | exit 9",
        kdig: "can't receive reply | exit 1",
        dnsping: "Connection closed by server | 100% lost",
    },
];

/// How a row is asked.
#[derive(Clone, Copy)]
struct Asked {
    action: &'static str,
    qtype: &'static str,
    edns: bool,
    tcp: bool,
}

impl Row {
    fn asked(&self) -> Asked {
        let mut words = self.asked.split(' ');
        let mut asked = Asked { action: words.next().unwrap(), qtype: "A", edns: false, tcp: false };
        for word in words {
            match word {
                "edns" => asked.edns = true,
                "tcp" => asked.tcp = true,
                qtype => asked.qtype = qtype,
            }
        }
        asked
    }
}

impl Asked {
    fn name(self) -> String {
        format!("{}.test", self.action)
    }
}

fn start() -> Playing {
    Harness::of_text(SCENARIO).unwrap().start().unwrap()
}

/// What a program prints, with single spaces, and its exit code.
fn output(command: &mut Command) -> String {
    let done = command.run();
    let text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap();
    let lines =
        text.lines().map(|line| line.split('\t').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" "));
    let text: String = lines.flat_map(|line| [line, "\n".into()]).collect();
    format!("{text}exit {}\n", done.status.code().unwrap())
}

/// What is wrong with an output; empty: nothing.
fn missing(row: &Row, words: &str, output: &str) -> String {
    // Columns are set apart by as many blanks as there is room.
    let squeezed = |text: &str| text.split(' ').filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    let seen = squeezed(output);
    let wrong = |word: &&str| match word.strip_prefix('!') {
        Some(word) => seen.contains(&squeezed(word)),
        None => !seen.contains(&squeezed(word)),
    };
    let wrong: Vec<&str> = words.split(" | ").filter(wrong).collect();
    if wrong.is_empty() { String::new() } else { format!("{}: {wrong:?} in\n{output}\n", row.asked) }
}

/// Asks every row with a program and compares. Most of it is waiting, so that some wait side by side.
fn check(column: fn(&Row) -> &'static str, ask: impl Fn(SocketAddr, Asked) -> String + Sync) {
    const SIDE_BY_SIDE: usize = 8;
    let playing = start();
    let server = playing.address("censored").unwrap();
    let rows: Vec<&Row> = TABLE.iter().filter(|row| column(row) != "-").collect();
    let asked = |rows: &[&Row]| -> String {
        rows.iter().map(|row| missing(row, column(row), &ask(server, row.asked()))).collect()
    };
    let wrong: String = std::thread::scope(|scope| {
        let parts = rows.chunks(rows.len().div_ceil(SIDE_BY_SIDE));
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| asked(part))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{wrong}");
}

fn dig_says_what_the_table_says() {
    let dig = DIG.path();
    check(
        |row| row.dig,
        |server, asked| {
            let mut command = Command::new(&dig);
            command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
            command.args(["+time=1", "+tries=1", if asked.edns { "+edns=0" } else { "+noedns" }]);
            command.args(asked.tcp.then_some("+tcp")).args([&asked.name(), asked.qtype]);
            let said = output(&mut command);
            // It may take the server's own port to ask from, and hear itself.
            if said.contains("query response not set") { output(&mut command) } else { said }
        },
    );
}

fn kdig_says_what_the_table_says() {
    let kdig = KDIG.path();
    check(
        |row| row.kdig,
        |server, asked| {
            let mut command = Command::new(&kdig);
            command.arg(format!("@{}", server.ip())).args(["-p", &server.port().to_string()]);
            command.args(["+time=1", "+retry=0", if asked.edns { "+edns" } else { "+noedns" }]);
            command.args(asked.tcp.then_some("+tcp")).args([&asked.name(), asked.qtype]);
            output(&mut command)
        },
    );
}

fn dnsping_says_what_the_table_says() {
    let dnsping = DNSPING.path();
    check(
        |row| row.dnsping,
        |server, asked| {
            let mut command = Command::new(&dnsping);
            command.args(["-s", &server.ip().to_string(), "-p", &server.port().to_string()]);
            // One question; with the answer, its TTL and the flags.
            command.args(["-c", "1", "-i", "0", "-w", "1", "-a", "-x", "-t", asked.qtype]);
            command.args(asked.tcp.then_some("-T")).args(asked.edns.then_some("-e")).arg(asked.name());
            output(&mut command)
        },
    );
}

fn the_judge_says_what_the_table_says() {
    let playing = start();
    let address = |network| playing.address(network).unwrap().to_string();
    // As the probes ask, and in the ways that only a person chooses.
    let mut wrong = String::new();
    for options in [&[][..], &["--edns"], &["--tcp"]] {
        let here = |row: &&Row| {
            let asked = row.asked();
            row.judge != "-"
                && asked.edns == options.contains(&"--edns")
                && asked.tcp == options.contains(&"--tcp")
        };
        let rows: Vec<&Row> = TABLE.iter().filter(here).collect();
        let done = portcullis()
            .args(["scenario", "judge", "--resolver", &address("censored"), "--control", &address("control")])
            .args(["--json", "--timeout", "1500ms"])
            .args(options)
            .args(rows.iter().map(|row| row.asked().name()))
            .run();
        assert_eq!((done.status.code(), String::from_utf8(done.stderr).unwrap().as_str()), (Some(1), ""));
        let records: Vec<Value> = String::from_utf8(done.stdout)
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(records.len(), rows.len());
        for (row, record) in rows.iter().zip(&records) {
            let said = judged(record, row.asked().qtype);
            if said != row.judge {
                wrong.push_str(&format!("{}:\n  {}\n  {said}\n", row.asked, row.judge));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// A line of the judge in the words of the table.
fn judged(record: &Value, qtype: &str) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = |value: &Value| value.as_array().into_iter().flatten().filter_map(text).collect::<Vec<_>>();
    let lookup = &record["resolver"][qtype.to_ascii_lowercase()];
    let replies = lookup["replies"].as_array().unwrap();
    let failure = text(&lookup["failure"]);
    let reply = |(place, reply): (usize, &Value)| {
        let aliases = texts(&reply["aliases"]).into_iter().map(|alias| format!("CNAME {alias}"));
        let mut words: Vec<String> = aliases.chain(texts(&reply["addresses"])).collect();
        if let Some(failure) = failure.clone().filter(|_| place == 0) {
            words = vec![failure];
        }
        let edes = reply["edes"].as_array().into_iter().flatten();
        words.extend(edes.map(|e| format!("[EDE {} {}]", e["code"], e["text"].as_str().unwrap())));
        words.join(" ")
    };
    let mut caught: Vec<String> = replies.iter().enumerate().map(reply).collect();
    caught.extend(failure.clone().filter(|_| replies.is_empty()));
    let ooni = &record["ooni"];
    let blocking = match (ooni["blocking"].as_str(), ooni["blocking_only_if_the_page_fails"].as_bool()) {
        (Some(word), Some(true)) => format!("{word}?"),
        (Some(word), _) => word.to_owned(),
        (None, _) => "-".to_owned(),
    };
    let duplicates: u64 =
        ["a", "aaaa"].iter().map(|t| record["resolver"][t]["duplicates"].as_u64().unwrap()).sum();
    let duplicates = if duplicates > 0 { format!(" +{duplicates}") } else { String::new() };
    let satellite = text(&record["satellite"]).unwrap_or_else(|| "-".into());
    let mut line = format!(
        "{} | {}: {} | {} {} {blocking}{duplicates} | {}",
        record["verdict"].as_str().unwrap(),
        replies.len(),
        caught.join("; "),
        ooni["dns_consistency"].as_str().unwrap(),
        ooni["flags"],
        satellite.split(':').next().filter(|w| *w == "anomaly").unwrap_or(&satellite),
    );
    // One is enough, about the type that was asked for.
    let signs = texts(&record["signs"]);
    let about = |sign: &&String| sign.contains(&format!("for {qtype} ")) || sign.contains("bogon");
    let about_v6 = |sign: &&String| qtype == "AAAA" && sign.contains("no AAAA");
    if let Some(sign) = signs.iter().find(about).or_else(|| signs.iter().find(about_v6)) {
        // When the second reply came is told too, which no two runs agree on.
        let sign = if sign.ends_with("that differ") {
            format!("replies for {qtype} that differ")
        } else {
            sign.clone()
        };
        line.push_str(&format!(" | {sign}"));
    }
    line
}

/// The library of most Python programs: an address is no answer to a question for MX or AAAA.
fn dnspython_takes_no_address_for_another_type() {
    let playing = start();
    let server = playing.address("censored").unwrap();
    let program = format!(
        "import dns.resolver as r\n\
         asks = r.Resolver(configure=False)\n\
         asks.nameservers, asks.port = ['{}'], {}\n\
         for what in ('A', 'AAAA', 'MX'):\n\
         \x20   try: print(what, asks.resolve('other-type.test', what)[0])\n\
         \x20   except r.NoAnswer: print(what, 'NoAnswer')\n",
        server.ip(),
        server.port()
    );
    let said = output(Command::new(DNSPYTHON.path()).args(["-c", &program]));
    assert_eq!(said, "A 5.3.3.17\nAAAA NoAnswer\nMX NoAnswer\nexit 0\n");
}

fn no_action_is_without_a_row() {
    let names: BTreeSet<&str> =
        SCENARIO.split("exact = [\"").skip(1).map(|rest| rest.split(".test\"").next().unwrap()).collect();
    let rows: BTreeSet<&str> = TABLE.iter().map(|row| row.asked().action).filter(|a| *a != "clean").collect();
    assert_eq!(names, rows);
}
