//! The record of a scenario and the capture next to it, as tshark and tcpdump read it. These are skipped
//! where they are not installed, unless `PORTCULLIS_CLIENTS=required` (as in `.ci/run`).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use portcullis::censor::{End, Evidence, Network};
use portcullis::dns::name::NameBuf;
use portcullis::dns::query::{Query, encode};
use portcullis::dns::reply::{ReplyWriter, Section, Transport};
use portcullis::dns::types::Qtype;
use portcullis::stage::exchange::{Decided, Exchange, Sent};
use portcullis::stage::record::{from_json, to_json};
use portcullis::stage::recorder::{Recorder, Summary};

/// 2024-01-01 00:00:00 UTC, in microseconds.
const STARTED: i64 = 1_704_067_200_000_000;

fn query(name: &str, qtype: Qtype) -> Vec<u8> {
    encode(NameBuf::from_text(name).unwrap().as_name(), qtype)
}

/// A reply with as many addresses as are given.
fn reply(query: &[u8], addresses: impl IntoIterator<Item = [u8; 4]>) -> Vec<u8> {
    let query = Query::parse(query).unwrap();
    let mut buf = vec![0; 65_535];
    let mut writer = ReplyWriter::new(&query, &mut buf, 65_535);
    for address in addresses {
        writer.record(Section::Answer, None, Qtype::A, 600, &[&address]).unwrap();
    }
    let len = writer.finish();
    buf.truncate(len);
    buf
}

fn sent(octets: Vec<u8>, after: u64, ip_ttl: Option<u8>) -> Sent {
    let after = Duration::from_millis(after);
    Sent { planned: after, after, octets, genuine: ip_ttl.is_none(), ip_ttl }
}

fn exchange(number: u64, client: &str, transport: Transport, query: Vec<u8>, replies: Vec<Sent>) -> Exchange {
    let client: std::net::SocketAddr = client.parse().unwrap();
    Exchange {
        run: std::sync::Arc::default(),
        number,
        at: 1_395_921_600,
        uptime: Duration::from_millis(number * 1000),
        network: "isp-a".into(),
        client,
        server: if client.is_ipv4() { "127.0.0.1:5300" } else { "[::1]:5300" }.parse().unwrap(),
        transport,
        query,
        rule: Some(Decided {
            id: "isp-dpi".into(),
            action: "inject".into(),
            intent: "Two answers race".into(),
            evidence: Evidence::Measured,
        }),
        replies,
        end: End::Open,
        cut: false,
    }
}

/// One of each kind.
fn exchanges() -> Vec<Exchange> {
    let [a, b, c, d, e] =
        ["a.example", "b.example", "c.example", "d.example", "e.example"].map(|n| query(n, Qtype::A));
    let address = [5, 3, 3, 17];
    let short = |octets: Vec<u8>| octets[..octets.len() - 15].to_vec();
    vec![
        // Over IPv4, a forged answer with a TTL of its own before the genuine one.
        exchange(
            1,
            "127.0.1.5:40001",
            Transport::Udp,
            a.clone(),
            vec![sent(reply(&a, [address]), 1, Some(47)), sent(reply(&a, [[192, 0, 2, 1]]), 150, None)],
        ),
        // Over IPv6.
        exchange(2, "[::1]:40002", Transport::Udp, b.clone(), vec![sent(reply(&b, [address]), 2, Some(3))]),
        // One answer over TCP, a long one, and then a reset on the same connection.
        exchange(
            3,
            "127.0.1.5:40003",
            Transport::Tcp,
            c.clone(),
            vec![sent(reply(&c, [address; 4000]), 0, None)],
        ),
        Exchange {
            end: End::Reset,
            network: "isp-b".into(),
            ..exchange(4, "127.0.1.5:40004", Transport::Tcp, d, vec![])
        },
        // Cut off within the answer.
        exchange(
            5,
            "127.0.1.5:40005",
            Transport::Udp,
            e.clone(),
            vec![sent(short(reply(&e, [address])), 0, Some(64))],
        ),
        Exchange { end: End::Close, ..exchange(6, "127.0.1.5:40003", Transport::Tcp, a, vec![]) },
    ]
}

fn networks() -> Vec<Network> {
    let network =
        |id: &str, title: &str| Network { id: id.into(), title: title.into(), ..Network::default() };
    vec![network("isp-a", "Provider A"), network("isp-b", "Provider B")]
}

/// Records all of them in `folder/truth.jsonl` and `folder/truth.pcapng`.
fn recorded(folder: &Path) {
    let recorder = Recorder::create(&folder.join("truth"), &networks(), STARTED).unwrap();
    let sink = recorder.sink();
    let exchanges = exchanges();
    let count = exchanges.len() as u64;
    exchanges.into_iter().for_each(|s| sink.push(s));
    assert_eq!(recorder.finish().unwrap(), Summary { written: count, dropped: 0, problem: None });
    // Whoever still has a handle loses what it hands over, and is not held up.
    sink.push(self::exchanges().remove(0));
    assert_eq!(sink.dropped(), 1);
}

/// Waits until a file has so many lines.
fn lines(path: &Path, count: usize) -> Vec<String> {
    let start = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap();
        if text.lines().count() >= count && text.ends_with('\n') {
            return text.lines().map(Into::into).collect();
        }
        assert!(start.elapsed() < Duration::from_secs(10), "only this came:\n{text}");
        std::thread::yield_now();
    }
}

#[test]
fn the_record_can_be_read_while_it_grows_and_again_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.log");
    let recorder = Recorder::create(&path, &networks(), STARTED).unwrap();
    assert_eq!(recorder.files(), (&*path, &*folder.path().join("truth.pcapng")));
    let sink = recorder.sink();
    for (n, exchange) in (1..).zip(exchanges()) {
        sink.push(exchange.clone());
        let lines = lines(&path, n);
        assert_eq!(lines.len(), n);
        assert_eq!(lines[n - 1], to_json(&exchange).to_string());
        assert_eq!(format!("{:?}", from_json(&lines[n - 1]).unwrap()), format!("{exchange:?}"));
    }
    assert_eq!(recorder.finish().unwrap().written, 6);
}

#[test]
fn many_threads_hand_over_and_each_story_is_written_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("truth.jsonl");
    let recorder = Recorder::create(&path, &networks(), STARTED).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let sink = recorder.sink();
            scope.spawn(move || {
                for exchange in exchanges().iter().filter(|s| s.number != 3).cycle().take(5000) {
                    sink.push(exchange.clone());
                }
            });
        }
    });
    let summary = recorder.finish().unwrap();
    assert_eq!((summary.written + summary.dropped, summary.problem), (20_000, None));
    assert!(summary.written > 0);
    assert_eq!(lines(&path, 1).len() as u64, summary.written);
}

#[test]
fn what_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str| Recorder::create(&folder.path().join(name), &networks(), STARTED).map(|_| ());
    for (name, says) in [
        ("truth.pcapng", "the capture gets the ending .pcapng by itself"),
        ("nowhere/truth.jsonl", "cannot write "),
        ("..", "is no name for a file"),
    ] {
        let problem = create(name).unwrap_err();
        assert!(problem.contains(says), "{problem}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_record_and_nothing_else() {
    for full in ["truth.jsonl", "truth.pcapng"] {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join(full)).unwrap();
        let recorder = Recorder::create(&folder.path().join("truth"), &networks(), STARTED).unwrap();
        let sink = recorder.sink();
        exchanges().into_iter().for_each(|s| sink.push(s));
        let summary = recorder.finish().unwrap();
        assert_eq!((summary.written, summary.dropped), (0, 6));
        assert!(summary.problem.unwrap().contains("No space left"));
    }
}

/// What a program says of the capture; `None` if it is not installed.
fn read(program: &str, arguments: &[&str], capture: &Path) -> Option<Vec<String>> {
    let output = Command::new(program).args(arguments).arg("-r").arg(capture).output();
    let Ok(output) = output else {
        assert!(std::env::var_os("PORTCULLIS_CLIENTS").is_none(), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
        return None;
    };
    let problems = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{program}: {problems}");
    Some(String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect())
}

#[test]
fn tshark_reads_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path());
    let capture = folder.path().join("truth.pcapng");
    let fields = "frame.time_epoch frame.interface_name frame.interface_description ip.ttl ipv6.hlim \
        tcp.flags.str dns.qry.name dns.a frame.comment";
    let mut arguments = vec!["-n", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"];
    for field in fields.split_whitespace() {
        arguments.extend(["-e", field]);
    }
    let Some(lines) = read("tshark", &arguments, &capture) else { return };
    let expected = "\
1.000000|isp-a|Provider A|64|||a.example||question 1 in network isp-a
1.001000|isp-a|Provider A|47|||a.example|5.3.3.17|rule isp-dpi: forged, planned 1 ms: Two answers race
1.150000|isp-a|Provider A|64|||a.example|192.0.2.1|genuine answer, planned 150 ms
2.000000|isp-a|Provider A||64||b.example||question 2 in network isp-a
2.002000|isp-a|Provider A||3||b.example|5.3.3.17|rule isp-dpi: forged, planned 2 ms: Two answers race
3.000000|isp-a|Provider A|64||S|||handshake, made up
3.000000|isp-a|Provider A|64||AS|||handshake, made up
3.000000|isp-a|Provider A|64||A|||handshake, made up
3.000000|isp-a|Provider A|64||AP|c.example||question 3 in network isp-a
3.000000|isp-a|Provider A|64||AP|c.example|5.3.3.17|genuine answer, planned 0 ms
4.000000|isp-b|Provider B|64||S|||handshake, made up
4.000000|isp-b|Provider B|64||AS|||handshake, made up
4.000000|isp-b|Provider B|64||A|||handshake, made up
4.000000|isp-b|Provider B|64||AP|d.example||question 4 in network isp-b
4.000000|isp-b|Provider B|64||AR|||rule isp-dpi: reset: Two answers race
5.000000|isp-a|Provider A|64|||e.example||question 5 in network isp-a
5.000000|isp-a|Provider A|64|||e.example||rule isp-dpi: forged, planned 0 ms: Two answers race
6.000000|isp-a|Provider A|64||AP|a.example||question 6 in network isp-a
6.000000|isp-a|Provider A|64||AF|||rule isp-dpi: closed: Two answers race";
    // The flags that are not set show as dots; the seconds end in the number of the question.
    let plain = |line: &String| line.chars().filter(|c| c.is_ascii() && *c != '*').collect::<String>();
    let found: Vec<String> = lines.iter().map(plain).collect();
    for (found, expected) in found.iter().zip(expected.lines()) {
        let (time, rest) = found.split_once('|').unwrap();
        let (wanted, wanted_rest) = expected.split_once('|').unwrap();
        // Some versions write more digits.
        assert!(time.starts_with(&format!("170406720{wanted}")), "{found}");
        assert_eq!(rest, wanted_rest);
    }
    assert_eq!(found.len(), expected.lines().count());

    let numbers = |filter: &str| {
        let mut arguments = vec!["-n", "-T", "fields", "-e", "frame.number", "-Y", filter];
        for protocol in ["ip.check_checksum:TRUE", "udp.check_checksum:TRUE", "tcp.check_checksum:TRUE"] {
            arguments.extend(["-o", protocol]);
        }
        read("tshark", &arguments, &capture).unwrap().join(" ")
    };
    // 1: good. What is over IPv6 has no checksum in its IP header.
    assert_eq!(numbers("!(udp.checksum.status == 1 || tcp.checksum.status == 1)"), "");
    assert_eq!(numbers("ip && !(ip.checksum.status == 1)"), "");
    assert_eq!(numbers("_ws.malformed"), "17");
    assert_eq!(numbers("!dns && !tcp"), "");
    assert_eq!(numbers("tcp.analysis.flags"), "");
    assert_eq!(numbers("tcp.flags.reset == 1"), "15");
    assert_eq!(numbers("tcp.stream == 0"), "6 7 8 9 10 18 19");
    assert_eq!(numbers("frame.packet_flags_direction == 1 && dns"), "1 4 9 14 16 18");
    assert_eq!(numbers("dns.count.answers == 4000"), "10");
}

#[test]
fn tcpdump_reads_the_capture() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path());
    let arguments = ["-n", "-tt", "-vv", "-#"];
    let Some(lines) = read("tcpdump", &arguments, &folder.path().join("truth.pcapng")) else { return };
    // One of them has 4000 addresses.
    let short = lines.iter().map(|l| l.chars().take(200).collect::<String>() + "\n");
    let text: String = short.collect();
    for expected in [
        "1704067201.001000 IP (tos 0x0, ttl 47,",
        "127.0.0.1.53 > 127.0.1.5.40001: [udp sum ok]",
        "::1.53 > ::1.40002: [udp sum ok]",
        "q: A? b.example. 1/0/1 b.example. A 5.3.3.17",
        "Flags [R.], cksum",
    ] {
        assert!(text.contains(expected), "no `{expected}` in\n{text}");
    }
    assert!(!text.contains("bad") && !text.contains("incorrect"), "{text}");
}
