//! `portcullis scenario`: the command as a tester uses it.

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{
    PATIENCE, Process, Reply, Run, connect, exchange, portcullis, question, read_framed, until,
};

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = portcullis().args(arguments).run();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// `scenario run` with its ready line.
struct Playing {
    program: Process,
    ready: Value,
}

impl Playing {
    fn start(arguments: &[&str]) -> Self {
        Self::of(&mut portcullis(), arguments)
    }

    fn of(program: &mut Command, arguments: &[&str]) -> Self {
        let start = ["scenario", "run", "--listen", "127.0.0.1:0", "--ready-json"];
        let program = Process::start(program.args(start).args(arguments));
        let Some(line) = program.line() else { panic!("the scenario did not start: {}", program.log()) };
        Self { program, ready: serde_json::from_str(&line).unwrap() }
    }

    fn address(&self, network: &str) -> SocketAddr {
        self.ready["networks"][network].as_str().unwrap().parse().unwrap()
    }

    fn ask(&self, network: &str, name: &str, qtype: &str) -> Option<Reply> {
        exchange(self.address(network), &question(name, qtype), PATIENCE)
    }

    fn stop(&mut self) -> i32 {
        self.program.signal("-TERM");
        self.program.ended().code().unwrap()
    }
}

#[test]
fn mistakes_in_a_scenario_name_the_line_and_exit_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let head = "[scenario]\nname = \"mine\"\nsources = [\"me\"]\n[[network]]\nid = \"isp\"\n";
    let rule = |when: &str, action: &str| {
        format!(
            "{head}[[rule]]\nid = \"r\"\nmatch = {{ any = true }}\nwhen = {{ {when} }}\naction = {{ {action} }}\n"
        )
    };
    let from_until = "from = 2020-01-02T00:00:00Z, until = 2020-01-01T00:00:00Z";
    for (text, line, words) in [
        (rule("", "kind = \"stubb\""), 10, "`stubb`|did you mean `stub`"),
        (rule(from_until, "kind = \"drop\""), 9, "until"),
        (rule("chance = 1.5", "kind = \"drop\""), 9, "chance|1.5"),
        (rule("", "kind = \"stub\", a = [\"::1\"]"), 10, "`::1`|IPv4"),
        (rule("", "kind = \"stub\", a = \"none\""), 10, "none"),
        (
            format!(
                "{head}clients = [\"10.0.0.0/8\"]\n[[network]]\nid = \"b\"\nclients = [\"10.1.0.0/16\"]\n"
            ),
            9,
            "10.1.0.0/16",
        ),
        (format!("{head}[[expect]]\nname = \"a.test\"\nreplies = []\n"), 6, "does not hold|not expected"),
        (
            format!(
                "{head}[[zone]]\norigin = \"a.test\"\nrecords = \"\"\"\n@ 60 SOA a. b. 1 2 3 4 5\n@ 60 A nowhere\n\"\"\"\n"
            ),
            10,
            "[[zone]] records: a.test",
        ),
    ] {
        std::fs::write(&path, &text).unwrap();
        let (code, out, problem) = run(&["scenario", "check", path.to_str().unwrap()]);
        assert_eq!((code, out.as_str()), (2, ""), "{text}\n{problem}");
        assert!(problem.contains(&format!("mine.toml:{line}: ")), "{line} in {problem}");
        for word in words.split('|') {
            assert!(problem.contains(word), "`{word}` in {problem}");
        }
    }
    let (code, _, problem) = run(&["scenario", "run", "ru-2016-linkedn"]);
    assert_eq!(code, 2);
    assert!(problem.contains("did you mean `ru-2016-linkedin`?"), "{problem}");
}

#[test]
fn all_that_is_shipped_is_listed_shown_and_holds() {
    let (code, listed, _) = run(&["scenario", "list", "--json"]);
    assert_eq!(code, 0);
    let names: Vec<String> = listed
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["name"].as_str().unwrap().into())
        .collect();
    assert_eq!(names.len(), 11);
    for name in &names {
        let (code, shown, _) = run(&["scenario", "show", name]);
        assert!(code == 0 && shown.contains("Sources:") && shown.contains("modelled"), "{shown}");
        let long = shown.lines().find(|l| l.chars().count() > 100 && !l.trim_start().starts_with("https://"));
        assert_eq!(long, None, "{name}");
        assert!(!shown.contains(":\n\n"), "an empty heading: {shown}");
    }
    let (code, checked, problem) = run(&["scenario", "check"]);
    assert_eq!((code, problem.as_str()), (0, ""));
    assert_eq!(checked.lines().filter(|l| l.ends_with("hold")).count(), 11, "{checked}");
}

#[test]
fn show_tells_names_networks_and_days_as_they_were_there() {
    let (_, shown, _) = run(&["scenario", "show", "ru-2016-linkedin"]);
    for part in [
        "  auto-block-page, stub (modelled): in isp-auto\n    linkedin.com and below\n",
        "Its zones:\n  linkedin.com, ",
    ] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    let json = |arguments: &[&str]| -> Value {
        let (_, out, _) = run(&[arguments, &["--json"]].concat());
        serde_json::from_str(out.lines().next().unwrap()).unwrap()
    };
    assert_eq!(json(&["scenario", "list"])["from"], "2015-09-01");
    let shown = json(&["scenario", "show", "ru-2016-linkedin"]);
    assert_eq!(shown["from"], "2015-09-01T00:00:00+03:00");
    assert_eq!(shown["rules"][0]["from"], "2016-11-17T10:00:00+03:00");
    for (arguments, says) in [
        (&["show", "linkedin"][..], "did you mean `ru-2016-linkedin`?"),
        (&["run", "cn-gfw"], "did you mean `cn-gfw-injection`?"),
        (&["run", "x", "--listen", "5300"], "expected an address and a port, such as 127.0.0.1:5300"),
        (&["run", "x", "--forward", "x"], "expected an address and a port, such as 127.0.0.1:5301"),
        (&["run", "x", "--allow", "x"], "expected a network, such as 192.168.1.0/24"),
        (&["run", "x", "--seed", "x"], "expected a whole number"),
        (&["run", "x", "--at", "2016-11-17T09:00"], "add an offset, as in 2016-11-17T12:00:00+03:00"),
    ] {
        let (code, _, problem) = run(&[&["scenario"], arguments].concat());
        assert!(code == 2 && problem.contains(says), "{arguments:?}: {problem}");
    }
    for group in ["scenario", "lists"] {
        assert!(run(&[group, "--help"]).1.contains("Example"), "{group}");
    }
}

#[test]
fn what_was_recorded_is_answered_alike_again_and_not_by_another_seed() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("run.jsonl");
    let record = record.to_str().unwrap();
    // A seed and addresses of its own, which the record knows.
    let own = ["--seed", "99", "--stub-mode", "loopback"];
    let mut playing =
        Playing::start(&[&["cn-gfw-injection", "--port-per-network", "--record", record], &own[..]].concat());
    let networks: Vec<String> = playing.ready["networks"].as_object().unwrap().keys().cloned().collect();
    for network in &networks {
        for name in ["facebook.com", "www.google.com", "facebook.com"] {
            for qtype in ["A", "MX"] {
                exchange(
                    playing.address(network),
                    &question(name, qtype),
                    std::time::Duration::from_millis(50),
                );
            }
        }
    }
    assert_eq!(playing.stop(), 0);
    let lines = std::fs::read_to_string(record).unwrap();
    assert_eq!(lines.lines().count(), networks.len() * 6, "the record is whole when the program has ended");
    let forged: Value =
        serde_json::from_str(lines.lines().find(|l| l.contains("\"genuine\":false")).unwrap()).unwrap();
    assert!(forged["evidence"].is_string() && forged["intent"].as_str().unwrap().len() > 10, "{forged}");
    assert!(folder.path().join("run.pcapng").metadata().unwrap().len() > 1000);

    let replay =
        |more: &[&str]| run(&[&["scenario", "run", "cn-gfw-injection", "--replay", record], more].concat());
    let (code, told, problem) = replay(&[]);
    assert_eq!(code, 0, "{told}{problem}");
    assert!(told.contains("0 answered differently"), "{told}");
    let (code, told, _) = replay(&["--seed", "12345"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("\n  - ") && told.contains("\n  + "), "{told}");
    let (code, _, problem) = run(&["scenario", "run", "ir-injection", "--replay", record]);
    assert!(
        code == 2 && problem.contains("run.jsonl:1: this is a record of `cn-gfw-injection`"),
        "{code} {problem}"
    );
    for (text, words) in [("{\"number\": 1}\n", "run.jsonl:1: "), ("\n", "the record is empty")] {
        std::fs::write(record, text).unwrap();
        let (code, _, problem) = replay(&[]);
        assert!(code == 2 && problem.contains(words), "{code} {problem}");
    }
}

#[test]
fn the_clock_is_set_and_runs() {
    let at = |time: &str, speed: &str| {
        Playing::start(&["ru-2016-linkedin", "--port-per-network", "--at", time, "--speed", speed])
    };
    let before = at("2016-11-17T09:59:00+03:00", "0");
    let genuine = before.ask("isp-auto", "linkedin.com", "A").unwrap().0;
    assert_eq!(before.ask("control", "linkedin.com", "A").unwrap().0, genuine);
    let after = at("2016-11-17T10:00:00+03:00", "0");
    assert_ne!(after.ask("isp-auto", "linkedin.com", "A").unwrap().0, genuine);
    // A second before, and a day a second: it turns before the test's eyes.
    let running = at("2016-11-17T08:00:00+03:00", "7200");
    until("the clock reaches ten", || running.ask("isp-auto", "linkedin.com", "A").unwrap().0 != genuine);
}

#[test]
fn who_is_blind_sees_what_is_on_the_wire_and_nothing_else() {
    let playing = Playing::start(&["ru-2016-linkedin", "--blind", "--port-per-network", "--json"]);
    playing.ask("B", "linkedin.com", "A").unwrap();
    let line = playing.program.line().unwrap();
    let seen: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((seen["network"].as_str(), seen["replies"].as_array().map(Vec::len)), (Some("B"), Some(2)));
    for told in ["isp", "inject", "genuine", "modelled", "2016-linkedin", "+03:00"] {
        assert!(!line.contains(told) && !playing.ready.to_string().contains(told), "{told} in {line}");
    }
}

#[test]
fn a_quiet_time_says_when_to_look() {
    let arguments = ["scenario", "run", "tr-2014-twitter", "--listen", "127.0.0.1:0"];
    let program = Process::start(portcullis().args(arguments));
    let introduction: Vec<String> = program.lines().take_while(|line| !line.contains("Ctrl-C")).collect();
    let text = introduction.join("\n");
    assert!(text.contains("start it with --at 2014-0"), "{text}");
}

#[test]
fn the_clock_takes_commands_while_it_plays() {
    let mut playing = Playing::start(&["ru-2016-linkedin", "--port-per-network", "--commands"]);
    let mut commands = playing.program.stdin.take().unwrap();
    let mut command = |command: &str| -> Value {
        writeln!(commands, "{command}").unwrap();
        serde_json::from_str(&playing.program.line().unwrap()).unwrap()
    };
    let told = command("at 2016-11-16T12:00:00+03:00");
    assert!(told["ok"] == true && told["at"] == "2016-11-16T12:00:00+03:00", "{told}");
    let told = command("at noon");
    assert!(
        told["ok"] == false && told["problem"].as_str().unwrap().contains("`noon` is not a time"),
        "{told}"
    );
    assert_eq!(command("now")["at"], "2016-11-16T12:00:00+03:00");
    assert_eq!(command("sing")["ok"], false);
    let genuine = playing.ask("isp-nx", "linkedin.com", "A").unwrap().0;
    writeln!(commands, "at 2016-11-18T00:00:00+03:00").unwrap();
    playing.program.line().unwrap();
    assert_ne!(playing.ask("isp-nx", "linkedin.com", "A").unwrap().0, genuine);
    // The end of the commands is not the end of the scenario.
    drop(commands);
    assert_ne!(playing.ask("isp-nx", "linkedin.com", "A").unwrap().0, genuine);
}

#[test]
fn clients_are_told_apart_by_their_address_where_all_ask_at_one_port() {
    let playing = Playing::start(&["ru-2016-linkedin"]);
    let server: SocketAddr = playing.ready["dns"][0].as_str().unwrap().parse().unwrap();
    let from = |client: &str| {
        let socket = UdpSocket::bind((client, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(server).unwrap();
        socket.send(&question("linkedin.com", "A")).unwrap();
        let mut reply = [0; 512];
        let len = socket.recv(&mut reply).unwrap();
        reply[3] & 0xf | if len > 60 { 0x80 } else { 0 }
    };
    let (code, shown, _) = run(&["scenario", "show", "ru-2016-linkedin", "--json"]);
    assert_eq!(code, 0);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let client = |id: &str| {
        let networks = shown["networks"].as_array().unwrap();
        let network = networks.iter().find(|n| n["id"] == id).unwrap();
        network["clients"][0].as_str().unwrap().replace(".0/24", ".9")
    };
    assert_eq!(from(&client("isp-nx")) & 0xf, 3, "NXDOMAIN");
    assert_eq!(from(&client("control")) & 0xf, 0);
    assert_ne!(from(&client("isp-auto")), from(&client("isp-nx")));
}

#[test]
fn nothing_but_loopback_is_listened_on_and_blind_tells_nothing() {
    let (code, _, problem) = run(&["scenario", "run", "nothing-of-the-kind"]);
    assert!(code == 2 && problem.contains("scenario list"), "{problem}");
    let mut playing = Playing::start(&["--blind", "--seed", "4", "--port-per-network"]);
    let ready = playing.ready.to_string();
    assert!(
        playing.ready["dns"]
            .as_array()
            .unwrap()
            .iter()
            .all(|a| a.as_str().unwrap().starts_with("127.0.0.1:"))
    );
    let (_, listed, _) = run(&["scenario", "list", "--json"]);
    for line in listed.lines() {
        let scenario: Value = serde_json::from_str(line).unwrap();
        assert!(!ready.contains(scenario["name"].as_str().unwrap()), "{ready}");
        for network in scenario["networks"].as_array().unwrap() {
            assert!(!ready.contains(&format!("{network}:")), "{ready}");
        }
    }
    assert!(playing.ready["networks"]["A"].is_string());
    assert!(playing.ready["at"].as_str().unwrap().ends_with("+00:00"), "{ready}");
    assert_eq!(playing.stop(), 0);
    assert_eq!(playing.program.line(), None);
}

/// What a scenario is made of for these tests.
const OF_OWN: &str = r#"
[scenario]
name = "own"
sources = ["me"]
[[network]]
id = "one"
[[network]]
id = "two"
[[zone]]
origin = "test"
records = """
@ 60 SOA ns.test. host.test. 1 2 3 4 5
* 60 A 198.51.100.7
"""
[[rule]]
id = "strays"
match = { suffix = ["strays.test"] }
action = { kind = "delay", delay = "20ms", jitter = "7ms", spread = "normal" }
[[rule]]
id = "slow"
match = { suffix = ["slow.test"] }
action = { kind = "delay", delay = "60s" }
[[rule]]
id = "late"
match = { suffix = ["late.test"] }
action = { kind = "delay", delay = "1s" }
[[rule]]
id = "tie"
match = { suffix = ["tie.test"] }
action = { kind = "inject", replies = [{ a = ["192.0.2.1"], after = "10ms" }], genuine = "10ms" }
[[rule]]
id = "close"
match = { exact = ["close.test"] }
when = { transport = "tcp" }
action = { kind = "close" }
[[rule]]
id = "half"
match = { exact = ["half.test"] }
when = { chance = 0.5 }
action = { kind = "rcode", rcode = "NXDOMAIN" }
"#;

/// A folder with the scenario in it, its path, and that of a record.
fn of_own() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (scenario, record) = (path("own.toml"), path("run.jsonl"));
    std::fs::write(&scenario, OF_OWN).unwrap();
    (folder, scenario, record)
}

fn framed(names: &[&str]) -> Vec<u8> {
    let frame = |name: &&str| {
        let packet = question(name, "A");
        [&(packet.len() as u16).to_be_bytes()[..], &packet].concat()
    };
    names.iter().flat_map(frame).collect()
}

/// The lines of a record, in the order of their numbers.
fn lines(record: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(record).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    lines.sort_by_key(|l| l["number"].as_u64());
    lines
}

#[test]
fn what_a_record_holds_is_answered_alike_however_it_came() {
    let (_folder, scenario, record) = of_own();
    let mut playing = Playing::start(&[&scenario, "--port-per-network", "--record", &record]);
    for _ in 0..5 {
        playing.ask("one", "a.strays.test", "A").unwrap();
    }
    // Many at once, at two ports, draw for one question.
    std::thread::scope(|scope| {
        for network in ["one", "two", "one", "two"] {
            let address = playing.address(network);
            scope.spawn(move || {
                (0..500).for_each(|_| drop(exchange(address, &question("half.test", "A"), PATIENCE)));
            });
        }
    });
    // Who asks does not wait for the second answer, or for any.
    let mut stream = connect(playing.address("one"));
    for name in ["a.tie.test", "b.tie.test"] {
        stream.write_all(&framed(&[name])).unwrap();
        assert!(read_framed(&mut stream).is_some(), "{name}");
    }
    let mut stream = connect(playing.address("one"));
    stream.write_all(&framed(&["late.test", "close.test"])).unwrap();
    assert!(read_framed(&mut stream).is_none(), "the connection is closed before an answer");
    // A minute is more than the end waits for.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.send_to(&question("slow.test", "A"), playing.address("one")).unwrap();
    assert_eq!(playing.stop(), 0);
    let lines = lines(&record);
    let cut = |name: &str| {
        let line = lines.iter().find(|l| l["name"] == name).unwrap();
        (line["cut"].as_bool().unwrap(), line["replies"].as_array().unwrap().len())
    };
    assert_eq!((cut("late.test"), cut("slow.test")), ((true, 0), (true, 0)));
    assert_eq!((cut("close.test"), cut("a.strays.test")), ((false, 0), (false, 1)));
    let (code, told, problem) = run(&["scenario", "run", &scenario, "--replay", &record]);
    assert_eq!(code, 0, "{told}{problem}");
    assert!(told.starts_with("2010 questions"), "{told}");
}

#[test]
fn over_tcp_the_forged_answer_comes_first_and_the_stop_waits_for_what_is_under_way() {
    let (_folder, scenario, record) = of_own();
    let mut playing = Playing::start(&[&scenario, "--port-per-network", "--record", &record]);
    for _ in 0..20 {
        let mut stream = connect(playing.address("one"));
        stream.write_all(&framed(&["a.tie.test"])).unwrap();
        for _ in 0..2 {
            read_framed(&mut stream).unwrap();
        }
    }
    let mut stream = connect(playing.address("one"));
    stream.write_all(&framed(&["a.test", "late.test"])).unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(playing.stop(), 0);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.windows(4).filter(|w| *w == [198, 51, 100, 7]).count() == 2, "{rest:?}");
    for line in lines(&record).iter().filter(|l| l["name"] == "a.tie.test") {
        let genuine: Vec<_> =
            line["replies"].as_array().unwrap().iter().map(|r| r["genuine"].as_bool()).collect();
        assert_eq!(genuine, [Some(false), Some(true)], "{line}");
    }
}

#[test]
fn behind_a_close_nothing_is_answered_and_it_is_no_reset() {
    let (_folder, scenario, record) = of_own();
    let mut playing = Playing::start(&[&scenario, "--port-per-network", "--record", &record]);
    for _ in 0..20 {
        let mut stream = connect(playing.address("one"));
        stream.write_all(&framed(&[&["close.test"][..], &["a.test"; 50]].concat())).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    assert_eq!(playing.stop(), 0);
    // Those that were read before the end are answered side by side with it.
    assert!(lines(&record).iter().filter(|l| l["name"] == "close.test").count() == 20);
}

#[test]
fn a_start_that_fails_leaves_the_record_as_it_was() {
    let (folder, scenario, record) = of_own();
    std::fs::write(&record, "precious\n").unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let (code, _, problem) = run(&["scenario", "run", &scenario, "--listen", &taken, "--record", &record]);
    assert!(code == 2 && problem.contains("in use"), "{problem}");
    assert_eq!(std::fs::read_to_string(&record).unwrap(), "precious\n");
    // Nor does a capture that can't be written cost the record.
    std::fs::create_dir(folder.path().join("run.pcapng")).unwrap();
    let free = ["--listen", "127.0.0.1:0"];
    let (code, _, problem) = run(&[&["scenario", "run", &scenario, "--record", &record][..], &free].concat());
    assert!(code == 2 && problem.contains("run.pcapng"), "{problem}");
    assert_eq!(std::fs::read_to_string(&record).unwrap(), "precious\n");
    for listen in ["127.0.0.1:65535", "127.0.0.1:65534"] {
        let (code, _, problem) =
            run(&["scenario", "run", &scenario, "--port-per-network", "--listen", listen]);
        assert!(code == 2 && problem.contains("no ports are left"), "{problem}");
    }
}

#[test]
fn each_query_is_printed_before_the_end() {
    let (_folder, scenario, _) = of_own();
    let mut playing = Playing::start(&[&scenario, "--port-per-network", "--json"]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..500 {
        socket.send_to(&question("late.test", "A"), playing.address("one")).unwrap();
    }
    // The others are still under way when the first line is there.
    playing.program.line().unwrap();
    playing.program.signal("-TERM");
    assert_eq!(playing.program.lines().count(), 499);
    assert_eq!(playing.program.ended().code(), Some(0));
}

/// Runs out of file descriptors, and makes room.
#[cfg(target_os = "linux")]
#[test]
fn connections_are_accepted_again_when_there_were_too_many() {
    let (_folder, scenario, _) = of_own();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 40 && exec \"$0\" \"$@\""]).arg(portcullis().get_program());
    let playing = Playing::of(&mut limited, &[&scenario, "--port-per-network"]);
    let connect = || connect(playing.address("one"));
    let many: Vec<_> = (0..60).map(|_| connect()).collect();
    // Those that are idle for longest are closed until there is room for the last.
    for mut stream in [many.last().unwrap(), &connect()] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&framed(&["a.test"])).unwrap();
        stream.read_exact(&mut [0; 1]).expect("nobody accepts any more");
    }
    let mut first = &many[0];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(first.read(&mut [0; 1]), Ok(0)), "the first connection is still open");
}
