//! Orders to a running server: over its socket, and by `ctl`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Output;
use std::time::Instant;

use serde_json::Value;

use crate::common::{PATIENCE, Run, Server, Upstream, portcullis, read, reply};

/// No server to ask, so that a name which is not blocked is refused.
const CONFIG: &str = r#"
[upstream]
servers = []
[[list]]
name = "ru"
rules = ["||linkedin.com^"]
[[group]]
name = "kids"
clients = ["127.0.0.0/8"]
[control]
socket = "s"
state = "kept.json"
"#;

const BLOCKED: &str = "NXDOMAIN";
const PASSED: &str = "REFUSED";

fn server() -> Server {
    Server::start(CONFIG, &[])
}

/// `ctl` with the server's socket: the exit code, what it says, what it complains of.
fn ctl_at(folder: &Path, arguments: &str) -> (i32, String, String) {
    let socket = folder.join("s");
    let mut command = portcullis();
    command.args(["ctl", "--socket", socket.to_str().unwrap()]).args(arguments.split(' '));
    let Output { status, stdout, stderr } = command.run();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn ctl(server: &Server, arguments: &str) -> (i32, String, String) {
    ctl_at(server.folder.path(), arguments)
}

/// What an order that is carried out says.
#[track_caller]
fn done(server: &Server, arguments: &str) -> String {
    let (code, out, err) = ctl(server, arguments);
    assert_eq!((code, err.as_str()), (0, ""), "{arguments}");
    out
}

/// The answer to a line, without a program between.
fn said(server: &Server, line: &[u8]) -> Value {
    let mut stream = UnixStream::connect(server.folder.path().join("s")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(line).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn status(server: &Server) -> String {
    server.ask("www.linkedin.com", "A").status()
}

#[test]
fn orders_are_carried_out_and_taken_back() {
    let server = server();
    assert_eq!(status(&server), BLOCKED);
    for (order, then) in [
        ("pause", PASSED),
        ("resume", BLOCKED),
        ("pause --group kids", PASSED),
        // Not theirs.
        ("resume --client 127.0.0.1", PASSED),
        ("resume --group kids", BLOCKED),
        ("pause --client 10.0.0.0/8", BLOCKED),
        ("resume", BLOCKED),
        // The addresses of IPv4 within IPv6 are those of IPv4.
        ("pause --client ::ffff:127.0.0.0/104", PASSED),
        ("resume --client 127.0.0.0/8", BLOCKED),
        ("allow linkedin.com --client ::ffff:127.0.0.1", PASSED),
        ("block www.linkedin.com", BLOCKED),
        ("revoke www.linkedin.com", PASSED),
        ("revoke linkedin.com", BLOCKED),
        // A shorter order does not end a longer one.
        ("allow linkedin.com", PASSED),
        ("block linkedin.com --for 1h", BLOCKED),
        ("revoke 8", PASSED),
        ("revoke 7", BLOCKED),
        ("pause", PASSED),
        ("block linkedin.com", BLOCKED),
    ] {
        done(&server, order);
        assert_eq!(status(&server), then, "{order}");
    }
    assert_eq!(server.ask("other.test", "A").status(), PASSED);
    done(&server, "block other.test --for 10m");
    assert_eq!(server.ask("a.other.test", "A").status(), BLOCKED);
}

#[test]
fn what_ctl_says_and_how_it_exits() {
    let server = server();
    assert_eq!(done(&server, "list"), "no orders are in force\n");
    assert_eq!(done(&server, "resume"), "nothing is paused\n");
    assert_eq!(
        done(&server, "allow a.test --keep"),
        "order 1: allow a.test for all clients, until it is revoked, kept\n"
    );
    assert!(
        done(&server, "pause --for 10m --group kids")
            .starts_with("order 2: pause for the group kids, until 2")
    );
    assert_eq!(
        done(&server, "resume --client 10.0.0.1"),
        "no pause is in force for that group or client alone\n"
    );
    let list = done(&server, "list");
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines[0], "    1  allow a.test for all clients, until it is revoked, kept");
    assert!(lines[1].starts_with("    2  pause for the group kids, until 2"), "{list}");
    let json: Value = serde_json::from_str(&done(&server, "--json list")).unwrap();
    assert_eq!(json["orders"][0]["name"], "a.test");
    assert_eq!(json["orders"][1]["group"], "kids");
    let json: Value = serde_json::from_str(&done(&server, "--json status")).unwrap();
    assert_eq!((json["ok"].clone(), json["orders"].clone()), (true.into(), 2.into()));
    let json: Value = serde_json::from_str(&done(&server, "--json explain www.linkedin.com")).unwrap();
    let record = &json["record"];
    assert_eq!((record["verdict"].clone(), record["group"].clone()), ("paused".into(), "kids".into()));
    let text = done(&server, "explain www.linkedin.com");
    assert!(text.starts_with("www.linkedin.com A, asked by 127.0.0.1 of the group `kids`\n"), "{text}");
    assert!(text.contains("verdict: paused\n"), "{text}");
    assert_eq!(done(&server, "resume"), "1 order revoked\n");
    for (order, problem) in [
        ("revoke 999", "no such order: there is none number 999"),
        ("revoke b.test", "no such order: there is none about b.test"),
        ("pause --group kidz", "there is no group `kidz`, expected one of kids"),
        ("pause --client nobody", "`nobody` is not an address or a network"),
        ("allow a..b", "`a..b` is not a domain name"),
        ("pause --for 0s", "expected a time such as 30s"),
        ("pause --group kids --client 10.0.0.1", "cannot be used with"),
    ] {
        let (code, out, err) = ctl(&server, order);
        assert_eq!((code, out.as_str()), (2, ""), "{order}");
        assert!(err.contains(problem), "{order}: {err}");
    }
    let (code, out, _) = ctl(&server, "--json revoke 999");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, json["ok"].clone()), (2, false.into()));
    let nowhere = tempfile::tempdir().unwrap();
    let (code, _, err) = ctl_at(nowhere.path(), "list");
    assert!(code == 2 && err.contains("no server answers on"), "{err}");
}

#[test]
fn orders_are_about_names_that_can_be_asked_for() {
    let server = server();
    // The order, what is blocked, and what is said on standard error.
    for (order, name, note) in [
        ("block HTTPS://www.X.test:8080/feed?a=b", "www.x.test", "blocking www.x.test, the host of HTTPS://"),
        ("block x.test:443", "x.test", "blocking x.test, without the port of x.test:443"),
        ("block _dmarc.x.test.", "_dmarc.x.test", ""),
        ("block . --yes", ".", ""),
    ] {
        let (code, out, err) = ctl(&server, order);
        assert!(
            out.ends_with(&format!(": block {name} for all clients, until it is revoked\n")),
            "{out}{err}"
        );
        assert!(code == 0 && err.contains(note) && err.is_empty() == note.is_empty(), "{err}");
        assert_eq!(server.ask(name, "A").status(), BLOCKED, "{order}");
        done(&server, &format!("revoke {name}"));
    }
    for (name, problem) in [
        ("*.x.test", "`*.x.test` is a pattern, not a name; a name covers those below it; write x.test"),
        ("||x.test^", "no host name has `|`; a name covers those below it; write x.test"),
        ("x.test/path", "no host name has `/`; a name covers those below it; write x.test"),
        ("a*", "no host name has `*`; a name covers those below it; write a name such as x.test"),
        ("192.0.2.1", "`192.0.2.1` is an address, not a name; orders are about names"),
        ("2001:db8::1", "`2001:db8::1` is an address"),
        ("https://192.0.2.1/", "leads to the address 192.0.2.1"),
    ] {
        for verb in ["allow", "block"] {
            let (code, out, err) = ctl(&server, &format!("{verb} {name}"));
            assert_eq!((code, out.as_str()), (2, ""), "{name}");
            assert!(err.contains(problem), "{name}: {err}");
        }
    }
    let (code, out, err) = ctl(&server, "block .");
    assert!(code == 2 && out.is_empty() && err.contains("blocks all names; add --yes"), "{err}");
    for name in ["https://x.test/", "x.test:443", "*.x.test"] {
        let answer = said(&server, format!("{{\"do\":\"block\",\"name\":\"{name}\"}}\n").as_bytes());
        let told = answer["error"].as_str().unwrap();
        assert!(answer["ok"] == false && told.ends_with("write x.test"), "{told}");
    }
    assert_eq!(done(&server, "list"), "no orders are in force\n");
}

#[test]
fn the_socket_is_named_before_or_behind_the_order() {
    let server = server();
    let folder = server.folder.path().to_str().unwrap();
    let run = |arguments: &str| {
        let arguments = arguments.replace("HERE", folder);
        let Output { status, stdout, stderr } =
            portcullis().arg("ctl").args(arguments.split_whitespace()).run();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    };
    for arguments in [
        "-c HERE/portcullis.toml pause",
        "pause -c HERE/portcullis.toml",
        "-s HERE/s pause --json",
        "pause -s HERE/s",
    ] {
        let (code, _, err) = run(arguments);
        assert_eq!((code, err.as_str(), status(&server)), (0, "", PASSED.to_owned()), "{arguments}");
        done(&server, "resume");
    }
    for both in ["-s HERE/s -c HERE/portcullis.toml pause", "-s HERE/s pause -c HERE/portcullis.toml"] {
        let (code, _, err) = run(both);
        assert!(code == 2 && err.contains("both --socket and --config are given"), "{both}: {err}");
    }
    assert_eq!(status(&server), BLOCKED);
}

#[test]
fn requests_that_are_none() {
    let server = server();
    let long = [&b"{\"do\":\""[..], &vec![b'x'; 70_000], b"\"}\n"].concat();
    for (request, problem) in [
        (&b"nonsense\n"[..], "this is not JSON"),
        (b"\xff\xfe\n", "this is not JSON"),
        (b"[]\n", "expected a JSON object on one line"),
        (b"{}\n", "expected `do` to be one of pause, resume"),
        (b"{\"do\":\"reboot\"}\n", "expected `do` to be one of pause, resume"),
        (b"{\"do\":7}\n", "expected `do` to be a string"),
        (b"{\"do\":\"pause\",\"secs\":5}\n", "unknown key `secs`, expected one of do, seconds"),
        (b"{\"do\":\"pause\",\"seconds\":-1}\n", "expected `seconds` to be a positive number"),
        (b"{\"do\":\"pause\",\"keep\":1}\n", "expected `keep` to be true or false"),
        (b"{\"do\":\"pause\",\"group\":\"kids\",\"client\":\"::1\"}\n", "both `group` and `client`"),
        (b"{\"do\":\"allow\"}\n", "expected a `name`"),
        (b"{\"do\":\"revoke\"}\n", "expected either an `id` or a `name`"),
        (b"{\"do\":\"revoke\",\"id\":\"1\"}\n", "expected `id` to be a number"),
        (b"{\"do\":\"revoke\",\"id\":1,\"name\":\"a\"}\n", "expected either an `id` or a `name`"),
        (&long, "the request is longer than 65536 octets"),
    ] {
        let answer = said(&server, request);
        let told = answer["error"].as_str().unwrap();
        assert!(answer["ok"] == false && told.contains(problem), "{problem}: {told}");
    }
    assert_eq!(said(&server, b"{\"do\":\"list\"}\n")["orders"], serde_json::json!([]));
}

#[test]
fn an_order_ends_at_its_second() {
    let server = server();
    assert_eq!(said(&server, b"{\"do\":\"pause\",\"seconds\":2}\n")["ok"], true);
    let begun = Instant::now();
    let mut passed = 0;
    while status(&server) == PASSED {
        passed += 1;
        assert!(begun.elapsed() < PATIENCE, "it does not end");
    }
    assert!(passed > 0);
    assert_eq!(done(&server, "list"), "no orders are in force\n");
}

#[test]
fn kept_orders_outlive_the_server_and_the_others_do_not() {
    let mut server = server();
    let (socket, state) = (server.folder.path().join("s"), server.folder.path().join("kept.json"));
    assert_eq!(mode(&socket), 0o600);
    done(&server, "allow linkedin.com");
    assert!(!state.exists(), "nothing is to be kept yet");
    // What somebody else put where the file is written first is not followed.
    let victim = server.folder.path().join("victim");
    fs::write(&victim, "untouched").unwrap();
    symlink(&victim, server.folder.path().join(format!("kept.json.{}.part", server.child.id()))).unwrap();
    done(&server, "block other.test --keep --for 1h");
    assert_eq!((mode(&state), read(&victim).as_str()), (0o600, "untouched"));
    // A passing order on the same name does not unseat the kept one.
    done(&server, "allow other.test");
    assert_eq!(server.ask("other.test", "A").status(), PASSED);
    server.restart();
    assert_eq!(status(&server), BLOCKED);
    assert_eq!(server.ask("other.test", "A").status(), BLOCKED);
    let list = done(&server, "list");
    assert!(
        list.starts_with("    2  block other.test for all clients, until 2") && list.ends_with(", kept\n")
    );
    done(&server, "revoke 2");
    server.restart();
    assert_eq!(server.ask("other.test", "A").status(), PASSED);
    server.stop();
    assert!(!socket.exists(), "it is taken away in the end");
    let left: Vec<_> = fs::read_dir(server.folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "the configuration, the kept orders and the victim alone: {left:?}");
}

/// Runs a command on the server's configuration.
fn with_config(server: &Server, arguments: &str) -> (i32, String, String) {
    let (command, more) = arguments.split_once(' ').unwrap_or((arguments, ""));
    let mut run = portcullis();
    run.arg(command).arg("--config").arg(server.folder.path().join("portcullis.toml"));
    let Output { status, stdout, stderr } = run.args(more.split_whitespace()).run();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn a_damaged_file_of_kept_orders_is_set_aside() {
    let mut server = server();
    let state = server.folder.path().join("kept.json");
    let bad = server.folder.path().join("kept.json.bad");
    let order = |rest: &str| format!("{{\"orders\":[{{\"id\":1,\"order\":\"pause\",\"since\":0{rest}}}]}}");
    let twice = "{\"id\":1,\"order\":\"pause\",\"since\":0}";
    let many = vec![twice; 10_001].join(",");
    for (text, problem) in [
        ("no JSON".to_owned(), "this is not JSON"),
        ("{}".to_owned(), "the list `orders` is missing"),
        (order(",\"group\":7"), "order 1 is damaged"),
        (order(",\"client\":\"10.0.0.0/40\""), "order 1 is damaged"),
        (order(",\"client\":\"10.0.0.1\",\"group\":\"kids\""), "order 1 is damaged"),
        (order(",\"until\":\"never\""), "order 1 is damaged"),
        (
            format!("{{\"orders\":[{twice},{twice}]}}"),
            "order 2 has the number 1, which an earlier one has too",
        ),
        (format!("{{\"orders\":[{many}]}}"), "there are 10001 orders, more than 10000"),
    ] {
        server.stop();
        fs::write(&state, &text).unwrap();
        for (arguments, exit) in [("check", 0), ("check --strict", 1)] {
            let (code, out, _) = with_config(&server, arguments);
            assert_eq!(code, exit, "{problem}");
            assert!(
                out.contains("kept.json: the file of kept orders is damaged") && out.contains(problem),
                "{out}"
            );
        }
        let (_, json, _) = with_config(&server, "check --json");
        let report: Value = serde_json::from_str(&json).unwrap();
        assert!(report["state_problem"].as_str().unwrap().contains(problem));
        let (code, out, err) = with_config(&server, "explain linkedin.com");
        assert!(code == 0 && out.contains("verdict: blocked") && err.contains(problem), "{out}{err}");
        server.start_again();
        assert_eq!(status(&server), BLOCKED, "{problem}");
        assert!(!state.exists());
        assert_eq!(read(&bad), text);
    }
    done(&server, "pause --keep");
    server.restart();
    assert_eq!(status(&server), PASSED);
    assert_eq!(with_config(&server, "check --strict").0, 0);
}

#[test]
fn explain_and_check_look_at_kept_orders_and_leave_them() {
    let server = server();
    done(&server, "allow linkedin.com --keep");
    let state = server.folder.path().join("kept.json");
    let before = read(&state);
    let (code, out, _) = with_config(&server, "explain www.linkedin.com");
    assert!(code == 0 && out.contains("order 1") && out.contains("verdict: allowed"), "{out}");
    with_config(&server, "check");
    assert_eq!(read(&state), before);
}

#[test]
fn a_kept_order_for_a_group_that_is_gone_waits_for_it() {
    let mut server = server();
    done(&server, "allow linkedin.com --group kids --keep");
    let path = server.folder.path().join("portcullis.toml");
    let config = read(&path);
    fs::write(&path, config.replace("\"kids\"", "\"pupils\"")).unwrap();
    server.restart();
    assert_eq!(status(&server), BLOCKED);
    assert!(done(&server, "list").contains("allow linkedin.com for the group kids"));
    fs::write(&path, config).unwrap();
    server.restart();
    assert_eq!(status(&server), PASSED);
}

#[test]
fn two_servers_can_not_have_one_socket() {
    let first = server();
    done(&first, "pause --keep");
    let (code, _, err) = with_config(&first, "serve");
    assert_eq!(code, 2);
    assert!(err.contains("another server listens on") && err.contains("[control] socket"), "{err}");
    assert_eq!(status(&first), PASSED, "the first one goes on");
    // What is no socket is not replaced either.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("s"), "a file").unwrap();
    let config = read(&first.folder.path().join("portcullis.toml"));
    fs::write(other.path().join("portcullis.toml"), config).unwrap();
    let run = portcullis().args(["serve", "--config"]).arg(other.path().join("portcullis.toml")).run();
    assert!(String::from_utf8(run.stderr).unwrap().contains("exists and is not a socket"));
    assert_eq!(read(&other.path().join("s")), "a file");
}

#[test]
fn what_a_killed_server_left_is_replaced() {
    let mut server = server();
    server.child.kill();
    assert!(server.folder.path().join("s").exists());
    server.start_again();
    done(&server, "pause");
    assert_eq!(status(&server), PASSED);
}

/// What was ordered goes for names behind an alias too, in answers that are cached already; a pause lets
/// rewrites and the refusal of private addresses stand.
#[test]
fn orders_go_for_what_answers_lead_to() {
    let upstream = Upstream::start(|query, _| {
        let private = query[13..].starts_with(b"inside");
        let address: &[u8] = if private { &[192, 168, 0, 1] } else { &[192, 0, 2, 9] };
        let mut bytes = reply(query, 0, &[(5, 300, b"\x03cdn\x04test\0"), (1, 300, address)], &[], None);
        bytes[7] = 2;
        Some(bytes)
    });
    let config = format!(
        "{}[control]\nsocket = \"s\"\n[inspect]\nrebinding = true\n\
         [[rewrite]]\nname = \"nas.test\"\naddress = [\"192.0.2.5\"]\n\
         [[list]]\nname = \"l\"\nrules = [\"||bad.test^\"]\n",
        Upstream::config(&[&upstream])
    );
    let server = Server::start(&config, &[]);
    let ask = |name: &str| server.ask(name, "A").told();
    assert!(ask("shop.test").contains("status: NOERROR"));
    done(&server, "block cdn.test");
    assert!(ask("shop.test").contains("status: NXDOMAIN, flags: qr rd ra\nEDE: 15 (Blocked): order\n"));
    done(&server, "revoke cdn.test");
    assert!(ask("shop.test").contains("status: NOERROR"));
    done(&server, "pause");
    assert!(ask("bad.test").contains("192.0.2.9"));
    assert!(ask("nas.test").contains("192.0.2.5"));
    assert!(ask("inside.test").contains("EDE: 15 (Blocked): rebinding\n"));
    assert_eq!(upstream.asked(), 3);
}
