//! `portcullis scenario judge` against servers that lie, over real sockets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::{Run, Upstream, portcullis, reply};
use portcullis::dns::{Qtype, Query};
use serde_json::Value;

const GENUINE: [u8; 4] = [93, 184, 215, 14];

/// A UDP server that sends what it is told to, each reply so many milliseconds after the one before.
struct Liar {
    addr: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Liar {
    fn start(answer: impl Fn(&[u8]) -> Vec<(u64, Vec<u8>)> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let addr = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 4096];
            while !told.load(Ordering::Relaxed) {
                let Ok((len, from)) = socket.recv_from(&mut packet) else { continue };
                let (answers, socket) = (answer(&packet[..len]), socket.try_clone().unwrap());
                std::thread::spawn(move || {
                    for (after, octets) in answers {
                        std::thread::sleep(Duration::from_millis(after));
                        let _ = socket.send_to(&octets, from);
                    }
                });
            }
        });
        Self { addr, stop, thread: Some(thread) }
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// An A record for A, nothing for other types.
fn with_a(query: &[u8], address: [u8; 4], ttl: u32) -> Vec<u8> {
    if Query::parse(query).unwrap().qtype == Qtype::A {
        reply(query, 0, &[(1, ttl, &address)], &[], None)
    } else {
        reply(query, 0, &[], &[], None)
    }
}

fn name_of(query: &[u8]) -> String {
    Query::parse(query).unwrap().qname.to_string()
}

/// Lies about each name as its first label says.
fn liar() -> Liar {
    Liar::start(|query| {
        let genuine = || with_a(query, GENUINE, 300);
        let is_a = Query::parse(query).unwrap().qtype == Qtype::A;
        match name_of(query).split('.').next().unwrap() {
            "nx" => vec![(0, reply(query, 3, &[], &[], None))],
            "private" => vec![(0, with_a(query, [10, 10, 34, 36], 889))],
            "drop" => vec![],
            "race" if is_a => vec![(0, with_a(query, [5, 3, 3, 17], 600)), (100, genuine())],
            "wrong" if is_a => {
                let mut forged = with_a(query, [5, 3, 3, 17], 60);
                forged[0] ^= 0xff;
                vec![(0, forged), (20, genuine())]
            }
            "gone" => vec![(0, with_a(query, [5, 3, 3, 17], 60))],
            _ => vec![(0, genuine())],
        }
    })
}

/// Tells the truth: every name has one address but `gone`, which is not there.
fn honest() -> Upstream {
    Upstream::start(|query, _| {
        let gone = name_of(query).starts_with("gone");
        Some(if gone { reply(query, 3, &[], &[], None) } else { with_a(query, GENUINE, 300) })
    })
}

struct Done {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Done {
    fn records(&self) -> Vec<Value> {
        self.out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }
}

fn run(resolver: SocketAddr, control: SocketAddr, more: &[&str], input: &str) -> Done {
    let done = portcullis()
        .args(["scenario", "judge", "--resolver", &resolver.to_string(), "--control", &control.to_string()])
        .args(["--timeout", "1500ms", "--wait", "400ms"])
        .args(more)
        .run_with(input);
    let text = |octets| String::from_utf8(octets).unwrap();
    Done { out: text(done.stdout), err: text(done.stderr), code: done.status.code() }
}

#[test]
fn every_lie_is_named() {
    let (liar, honest) = (liar(), honest());
    let names =
        ["clean", "nx", "private", "drop", "race", "wrong", "gone"].map(|n| format!("{n}.example.com"));
    let mut more = vec!["--json"];
    more.extend(names.iter().map(String::as_str));
    let done = run(liar.addr, honest.addr, &more, "");
    assert_eq!((done.code, done.err.as_str()), (Some(1), ""), "{}", done.out);
    let records = done.records();
    for (record, (name, expected)) in records.iter().zip([
        ("clean", "ok consistent 0 answer_matches_ctrl ip.matchip"),
        ("nx", "dns-interference inconsistent 2 failure_ctrl_ok dns.error:NXDomain"),
        ("private", "dns-interference inconsistent 5 bogon_not_in_ctrl ip.invalid:local_net"),
        ("drop", "dns-interference inconsistent 2 failure_ctrl_ok dns.timedout"),
        ("race", "injected inconsistent 4 answer_unmatched anomaly"),
        ("wrong", "injected inconsistent 2 failure_ctrl_ok -"),
        ("gone", "ghost inconsistent 4 answer_unmatched anomaly"),
    ]) {
        assert_eq!(record["name"], format!("{name}.example.com"));
        let said = format!(
            "{} {} {} {} {}",
            record["verdict"].as_str().unwrap(),
            record["ooni"]["dns_consistency"].as_str().unwrap(),
            record["ooni"]["flags"],
            record["pipeline"]["rule"].as_str().unwrap(),
            record["satellite"].as_str().unwrap_or("-"),
        );
        assert_eq!(said, expected, "{record}");
    }
    let race = &records[4]["resolver"]["a"];
    assert_eq!((&race["duplicates"], race["replies"].as_array().unwrap().len()), (&1.into(), 2));
    assert!(race["replies"][1]["milliseconds"].as_f64().unwrap() >= 100.0, "{race}");
    assert_eq!(records[5]["resolver"]["a"]["failure"], "dns_reply_with_wrong_query_id");
    assert_eq!(records[3]["resolver"]["a"]["failure"], "generic_timeout_error");
}

#[test]
fn people_get_a_line_or_a_block() {
    let (liar, honest) = (liar(), honest());
    let done = run(liar.addr, honest.addr, &["clean.example.com"], "");
    assert_eq!(done.code, Some(0));
    assert_eq!(done.out, "clean.example.com: ok (93.184.215.14; the control gives the same)\n");

    // Names from a file, with a comment and an empty line; nothing of a bar in a pipe.
    let input = "# names\nrace.example.com\n\nclean.example.com # fine\n";
    let done = run(liar.addr, honest.addr, &["-", "--country", "ru"], input);
    assert_eq!((done.code, done.err.as_str()), (Some(1), ""));
    for part in [
        "race.example.com: injected\n",
        "why        2 replies for A within ",
        "A     NOERROR 5.3.3.17 (TTL 600) after ",
        "then NOERROR 93.184.215.14 (TTL 300) after ",
        "OONI       inconsistent, flags 4 (unexpected-addrs), blocking \"dns\" if the page fails, duplicate responses 1\n",
        "pipeline   answer_unmatched: blocked 0.75, down 0, ok 0.25\n",
        "Satellite  anomaly: Satellite would now fetch the page\n",
        "2 names: 1 ok, 1 injected\n",
    ] {
        assert!(done.out.contains(part), "{part}\n{}", done.out);
    }
}

#[test]
fn networks_fingerprints_and_tries_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let asns = file("asn.txt", "93.184.0.0/16 15133\n5.3.0.0/16 15133\n");
    let table = file(
        "fingerprints_dns.csv",
        "name,scope,location_found,pattern_type,pattern,expected_countries\nru.1,isp,dns,full,5.3.3.17,RU\n",
    );
    let (liar, honest) = (Liar::start(|q| vec![(0, with_a(q, [5, 3, 3, 17], 60))]), honest());
    let judged = |more: &[&str]| {
        let more: Vec<&str> = more.iter().copied().chain(["--json", "a.example.com"]).collect();
        let done = run(liar.addr, honest.addr, &more, "");
        let record = done.records().remove(0);
        (done.code.unwrap(), format!("{} {}", record["verdict"], record["pipeline"]["rule"]).replace('"', ""))
    };
    assert_eq!(judged(&[]), (1, "dns-interference answer_unmatched".into()));
    assert_eq!(judged(&["--asn", &asns, "--tries", "3"]), (0, "ok answer_asn_matches_ctrl".into()));
    assert!(honest.asked() >= 8, "the control is asked {} times", honest.asked());
    let both = ["--asn", &asns, "--fingerprints", &table];
    assert_eq!(judged(&both), (1, "suspect answer_asn_matches_ctrl".into()));
    let at_home = [&both[..], &["--country", "RU"]].concat();
    assert_eq!(judged(&at_home), (1, "dns-interference country_consistent_blockpage".into()));
}

#[test]
fn tcp_is_asked_too() {
    let (honest, other) = (honest(), honest());
    let done = run(honest.addr, other.addr, &["--tcp", "--edns", "-v", "clean.example.com"], "");
    assert_eq!(done.code, Some(0), "{}", done.err);
    for part in
        ["clean.example.com: ok\n", "OONI       consistent, flags 0\n", "- (Satellite queries over UDP)\n"]
    {
        assert!(done.out.contains(part), "{part}\n{}", done.out);
    }
}

#[test]
fn mistakes_and_servers_that_are_not_there() {
    let (liar, honest) = (liar(), honest());
    // A port that was free a moment ago.
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    for (resolver, control, more, problem) in [
        (liar.addr, nobody, &["clean.example.com"][..], "sent no reply"),
        (liar.addr, silent.local_addr().unwrap(), &["clean.example.com"], "sent no reply"),
        (nobody, honest.addr, &["clean.example.com"], "is unreachable"),
        (liar.addr, honest.addr, &["a..b"], "`a..b` is not a domain name"),
        (liar.addr, honest.addr, &["-"], "no names were given"),
        (liar.addr, honest.addr, &["a.test", "--asn", "/does/not/exist"], "/does/not/exist: "),
        (
            liar.addr,
            honest.addr,
            &["a.test", "--asn", "/dev/null", "--fingerprints", "/dev/null"],
            "no column",
        ),
        (liar.addr, honest.addr, &["a.test", "--country", "Russia"], "two letters"),
        (liar.addr, honest.addr, &["a.test", "--tries", "0"], "--tries"),
    ] {
        let done = run(resolver, control, more, "");
        assert_eq!(done.code, Some(2), "{more:?}: {}", done.out);
        assert!(done.err.contains(problem), "{more:?}: {}", done.err);
    }
}

#[test]
fn many_names_keep_their_order() {
    let (liar, honest) = (liar(), honest());
    let input: String = (0..60).map(|n| format!("n{n}.example.com\n")).collect();
    let done = run(liar.addr, honest.addr, &["-", "--json"], &input);
    let names: String = done.records().iter().map(|r| format!("{}\n", r["name"].as_str().unwrap())).collect();
    assert_eq!((names, done.code), (input, Some(0)));
}
