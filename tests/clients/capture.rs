//! The capture beside a record, as tshark and tcpdump read it.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;

use crate::client::{Client, TCPDUMP, TSHARK, test};
use crate::common::Run;
use crate::common::recorded::recorded;

pub fn tests() -> Vec<Trial> {
    vec![
        test("capture::tshark_reads_it", &[TSHARK], tshark_reads_it),
        test("capture::tcpdump_reads_it", &[TCPDUMP], tcpdump_reads_it),
    ]
}

/// What a program says of the capture.
fn read(program: &Client, arguments: &[&str], capture: &Path) -> Vec<String> {
    let output = Command::new(program.path()).args(arguments).arg("-r").arg(capture).run();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect()
}

fn tshark_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path());
    let capture = folder.path().join("truth.pcapng");
    let fields = "frame.time_epoch frame.interface_name frame.interface_description ip.ttl ipv6.hlim \
        tcp.flags.str dns.qry.name dns.a frame.comment";
    let mut arguments = vec!["-n", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f"];
    for field in fields.split_whitespace() {
        arguments.extend(["-e", field]);
    }
    let lines = read(&TSHARK, &arguments, &capture);
    let expected = "\
1.000000|isp-a|Provider A|64|||a.example||query 1 in network isp-a
1.001000|isp-a|Provider A|47|||a.example|5.3.3.17|rule isp-dpi: forged, planned 1 ms: Two answers race
1.150000|isp-a|Provider A|64|||a.example|192.0.2.1|genuine answer, planned 150 ms
2.000000|isp-a|Provider A||64||b.example||query 2 in network isp-a
2.002000|isp-a|Provider A||3||b.example|5.3.3.17|rule isp-dpi: forged, planned 2 ms: Two answers race
3.000000|isp-a|Provider A|64||S|||synthetic handshake
3.000000|isp-a|Provider A|64||AS|||synthetic handshake
3.000000|isp-a|Provider A|64||A|||synthetic handshake
3.000000|isp-a|Provider A|64||AP|c.example||query 3 in network isp-a
3.000000|isp-a|Provider A|64||AP|c.example|5.3.3.17|genuine answer, planned 0 ms
4.000000|isp-b|Provider B|64||S|||synthetic handshake
4.000000|isp-b|Provider B|64||AS|||synthetic handshake
4.000000|isp-b|Provider B|64||A|||synthetic handshake
4.000000|isp-b|Provider B|64||AP|d.example||query 4 in network isp-b
4.000000|isp-b|Provider B|64||AR|||rule isp-dpi: reset: Two answers race
5.000000|isp-a|Provider A|64|||e.example||query 5 in network isp-a
5.000000|isp-a|Provider A|64|||e.example||rule isp-dpi: forged, planned 0 ms: Two answers race
6.000000|isp-a|Provider A|64||AP|a.example||query 6 in network isp-a
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
        read(&TSHARK, &arguments, &capture).join(" ")
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

fn tcpdump_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    recorded(folder.path());
    let arguments = ["-n", "-tt", "-vv", "-#"];
    let lines = read(&TCPDUMP, &arguments, &folder.path().join("truth.pcapng"));
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
