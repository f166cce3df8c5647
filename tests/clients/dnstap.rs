//! dnstap as its collectors take it: Farsight's `fstrm_capture` and `dnstap`, and two packages of Python.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use serde_json::Value;

use crate::client::{DNSTAP, DNSTAP_PB, DNSTAP_RECEIVER, FSTRM_CAPTURE, test};
use crate::common::{Process, Run, Server, Upstream, reply, until};

pub fn tests() -> Vec<Trial> {
    vec![
        test("dnstap::fstrm_capture_takes_it_and_dnstap_reads_it", &[FSTRM_CAPTURE, DNSTAP], captured),
        test("dnstap::the_policy_is_in_its_field", &[DNSTAP_PB], policy),
        test("dnstap::dnstap_receiver_takes_it", &[DNSTAP_RECEIVER], received),
    ]
}

/// A server with a rule and an upstream, whose messages go to `to`, and what was asked of it.
fn ask(to: &str) -> Server {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 60, &[192, 0, 2, 9])], &[], None)));
    let config = format!(
        "{}[dnstap]\nto = \"{to}\"\nidentity = \"ns.test\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
        [[list]]\nname = \"ads\"\nrules = [\"||blocked.test^\", \"@@||ok.blocked.test^\"]\n\
        [[list]]\nname = \"silent\"\nrules = [\"||silent.test^\"]\naction = \"drop\"\n",
        Upstream::config(&[&upstream])
    );
    let mut server = Server::start(&config, &[]);
    until("the collector is there", || server.metrics().contains("portcullis_dnstap_disconnected 0"));
    server.ask("www.blocked.test", "A");
    server.ask_tcp("ok.blocked.test", "A");
    let silent = crate::common::exchange(
        server.dns,
        &crate::common::question("silent.test", "A"),
        crate::common::SILENCE,
    );
    assert!(silent.is_none());
    server.stop();
    server
}

/// A collector that listens at a socket.
fn collector(command: &mut Command, socket: &Path) -> Process {
    let collector = Process::start(command);
    until("the collector listens", || socket.exists());
    collector
}

fn captured() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, file) = (folder.path().join("dnstap.sock"), folder.path().join("capture"));
    let mut command = Command::new("fstrm_capture");
    command.args(["-t", "protobuf:dnstap.Dnstap", "-u"]).arg(&socket).arg("-w").arg(&file);
    let mut capture = collector(&mut command, &socket);
    let server = ask(&format!("unix:{}", socket.display()));
    capture.signal("-TERM");
    capture.ended();
    let read = Command::new("dnstap").arg("-j").arg("-r").arg(&file).run();
    assert!(read.status.success(), "{read:?}\n{}", server.child.log());
    let lines: Vec<Value> = String::from_utf8(read.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seen: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|line| {
            let message = &line["message"];
            let asked = message["query_message"].as_str().unwrap().to_lowercase();
            let name = ["www.blocked.test", "ok.blocked.test", "silent.test"];
            let name = name.into_iter().find(|name| asked.contains(name)).unwrap_or("another");
            (message["type"].as_str().unwrap(), message["socket_protocol"].as_str().unwrap(), name)
        })
        .collect();
    for expected in [
        ("CLIENT_QUERY", "UDP", "www.blocked.test"),
        ("CLIENT_RESPONSE", "UDP", "www.blocked.test"),
        ("FORWARDER_QUERY", "UDP", "ok.blocked.test"),
        ("FORWARDER_RESPONSE", "UDP", "ok.blocked.test"),
        ("CLIENT_QUERY", "TCP", "ok.blocked.test"),
        ("CLIENT_RESPONSE", "TCP", "ok.blocked.test"),
        ("CLIENT_QUERY", "UDP", "silent.test"),
    ] {
        assert!(seen.contains(&expected), "{expected:?}: {seen:?}");
    }
    assert!(!seen.contains(&("CLIENT_RESPONSE", "UDP", "silent.test")));
    assert!(lines.iter().all(|line| line["identity"] == "ns.test"), "{lines:?}");
}

/// Prints the type, the policy and the extra of each message in a file of frames.
const READ: &str = "\
import sys, json, struct, dnstap_pb
data = open(sys.argv[1], 'rb').read()
at = 0
while at < len(data):
    (length,) = struct.unpack_from('>I', data, at)
    at += 4
    if length == 0:
        (length,) = struct.unpack_from('>I', data, at)
        at += 4 + length
        continue
    tap = dnstap_pb.Dnstap()
    tap.ParseFromString(data[at:at + length])
    at += length
    policy = tap.message.policy
    print(json.dumps({
        'type': dnstap_pb.Message.Type.Name(tap.message.type),
        'has': tap.message.HasField('policy'),
        'policy': [policy.type, policy.rule.decode(), policy.value.decode(),
            dnstap_pb.Policy.Action.Name(policy.action), dnstap_pb.Policy.Match.Name(policy.match)],
        'extra': tap.extra.decode(),
    }))
";

fn policy() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frames");
    ask(&format!("file:{}", file.display()));
    let read = Command::new(DNSTAP_PB.path()).args(["-c", READ]).arg(&file).run();
    assert!(read.status.success(), "{read:?}");
    let lines: Vec<Value> = String::from_utf8(read.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let with: Vec<(&str, &Value)> = lines
        .iter()
        .filter(|line| line["has"] == true)
        .map(|line| (line["type"].as_str().unwrap(), &line["policy"]))
        .collect();
    let expected = [
        (
            "CLIENT_RESPONSE",
            serde_json::json!(["portcullis", "||blocked.test^", "www.blocked.test", "NXDOMAIN", "QNAME"]),
        ),
        (
            "CLIENT_RESPONSE",
            serde_json::json!(["portcullis", "@@||ok.blocked.test^", "ok.blocked.test", "PASS", "QNAME"]),
        ),
        ("CLIENT_QUERY", serde_json::json!(["portcullis", "||silent.test^", "silent.test", "DROP", "QNAME"])),
    ];
    assert_eq!(with, expected.iter().map(|(kind, policy)| (*kind, policy)).collect::<Vec<_>>());
    let extra =
        lines.iter().find(|line| line["type"] == "CLIENT_RESPONSE").unwrap()["extra"].as_str().unwrap();
    let extra: Value = serde_json::from_str(extra).unwrap();
    assert_eq!(
        (&extra["list"], &extra["line"], &extra["verdict"]),
        (&"ads".into(), &1.into(), &"blocked".into())
    );
    assert_eq!(extra["reference"].as_str().map(str::len), Some(8), "{extra}");
}

fn received() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("dnstap.sock");
    let start = "from dnstap_receiver.receiver import start_receiver; start_receiver()";
    let mut command = Command::new(DNSTAP_RECEIVER.path());
    command.env("PYTHONUNBUFFERED", "1").args(["-c", start, "-u"]).arg(&socket);
    let receiver = collector(&mut command, &socket);
    let server = ask(&format!("unix:{}", socket.display()));
    let wanted = "www.blocked.test";
    let found = receiver.lines().find(|line| line.contains(wanted) && line.contains("CLIENT_RESPONSE"));
    let line = found.unwrap_or_else(|| panic!("{}\n{}", receiver.log(), server.child.log()));
    assert!(line.contains("NXDOMAIN") && line.contains("UDP"), "{line}");
}
