//! The command line: outputs, errors, exit codes.

use std::process::Output;

use crate::common::{PATIENCE, Process, Run, Upstream, exchange, portcullis, question, reply};

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = portcullis().args(arguments).run();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Runs a command on a configuration in a folder that has the lists `l` and `bad`.
fn with_config(command: &str, config: &str, more: &[&str]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("l"), "a.test\n").unwrap();
    std::fs::write(folder.path().join("bad"), "a.test\nno good line\nb..c\n").unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, config).unwrap();
    let path = path.to_str().unwrap();
    run(&[&[command, "--config", path], more].concat())
}

#[test]
fn every_config_mistake_is_told_with_line_and_remedy() {
    let list = "[[list]]\nname = \"l\"\nsource = \"l\"\n";
    for (config, place, words) in [
        ("[server]\nlisen = []\n".to_owned(), "toml:2", "unknown key `lisen`|did you mean `listen`"),
        ("[sever]\n".into(), "toml:1", "unknown table `sever`|did you mean `server`"),
        (
            "[server]\nthreads = \"two\"\n".into(),
            "toml:2",
            "[server] threads: found a string; expected a whole number from 0 to 256, such as threads = 0",
        ),
        (
            "[server]\nlisten = [\"127.0.0.1\"]\n".into(),
            "toml:2",
            "is not an address with a port|127.0.0.1:5300",
        ),
        (
            "\n[server]\nallow = [\"10.0.0.0/40\"]\n".into(),
            "toml:3",
            "`10.0.0.0/40` is not a network|10.0.0.0/8",
        ),
        (format!("{list}{list}"), "toml:5", "two lists are named `l`, the first in line 2"),
        (
            "[[list]]\nname = \"x\"\nsource = \"gone.txt\"\n".into(),
            "toml:3",
            "there is no file|relative to the configuration",
        ),
        ("[[list]]\nname = \"x\"\n".into(), "toml:1", "neither `source` nor `rules`"),
        (format!("{list}action = \"nxdomian\"\n"), "toml:4", "did you mean `nxdomain`"),
        (format!("{list}action = {{ address = [\"x\"] }}\n"), "toml:4", "`x` is not an IP address"),
        (format!("{list}format = \"host\"\n"), "toml:4", "did you mean `hosts`"),
        ("[block]\nttl = \"soon\"\n".into(), "toml:2", "`soon` is not a duration|60s"),
        ("[cache]\nsize = \"big\"\n".into(), "toml:2", "`big` is not a size|64MiB"),
        ("[upstream]\nservers = [\"dns_example\"]\n".into(), "toml:2", "is not an upstream|192.0.2.53"),
        (
            "[[zone]]\norigin = \"a..b\"\nfile = \"l\"\n".into(),
            "toml:2",
            "not a domain name: a label is empty",
        ),
        ("[server\n".into(), "toml:1", "the bracket of `[server` is not closed; write `[server]`"),
    ] {
        for command in ["check", "serve"] {
            let (code, out, err) = with_config(command, &config, &[]);
            assert_eq!((code, out.as_str()), (2, ""), "{config}\n{err}");
            assert!(err.contains(place), "{config}\n{err}");
            for word in words.split('|') {
                assert!(err.contains(word), "{word}\n{config}\n{err}");
            }
        }
    }
}

#[test]
fn check_gives_its_errors_as_json() {
    let config = "[server]\nlisten = \"127.0.0.1:53\"\n[[list]]\nname = \"l\"\nsource = \"gone\"\n";
    let (code, out, err) = with_config("check", config, &["--json"]);
    assert_eq!((code, err.as_str()), (2, ""));
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    let errors = said["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{said:#}");
    let (listen, source) = (&errors[0], &errors[1]);
    assert!(listen["file"].as_str().unwrap().ends_with("portcullis.toml"), "{listen:#}");
    assert_eq!((&listen["line"], &listen["column"]), (&2.into(), &10.into()));
    assert_eq!(listen["key"], serde_json::json!(["server", "listen"]));
    assert_eq!(listen["found"], "\"127.0.0.1:53\"");
    assert_eq!(listen["expected"], "a list of addresses with a port, in brackets");
    assert_eq!(listen["example"], "listen = [\"127.0.0.1:53\"]");
    assert_eq!(source["key"], serde_json::json!(["list", 0, "source"]));
    assert_eq!(source["help"], "paths are relative to the configuration file");
}

/// What the configuration names is checked as a whole too: every list, and every line of every zone.
#[test]
fn check_gives_all_that_lists_and_zones_have_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| std::fs::write(folder.path().join(name), text).unwrap();
    file("page", b"<!DOCTYPE html>\n<html><body>404</body></html>\n");
    file("good", b"a.test\n");
    file("binary", b"\x7fELF\x02\0\0\0\0\0\0\0\0");
    file("zone", b"$TTL 60\n@ SOA ns host 1 2 3 4 5\nwww A 192.0.2.300\nx.test. A 192.0.2.1\n");
    let list = |name: &str| format!("[[list]]\nname = \"{name}\"\nsource = \"{name}\"\n");
    let rules = "[[list]]\nname = \"own\"\nrules = [\"a.test\", { rule = \"b.test\", until = \"2020-01-01T00:00:00Z\" }]\n";
    let binary = list("binary") + "kind = \"resolvers\"\n";
    let lists = [list("page"), rules.to_owned(), list("good"), binary].concat();
    let config = format!("{lists}[[zone]]\norigin = \"a.test\"\nfile = \"zone\"\n");
    file("portcullis.toml", config.as_bytes());
    let check = |more: &[&str]| {
        let done =
            portcullis().current_dir(folder.path()).args(["check", "-c", "portcullis.toml"]).args(more).run();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
    };
    let (code, out, err) = check(&[]);
    assert_eq!((code, out.as_str()), (2, ""));
    let expected = [
        "portcullis: list `page`: this is a web page, not a list; fetch the list itself",
        "list `binary`: this is a binary file, not a list",
        "zone `a.test`: zone:3: `192.0.2.300` is not an IPv4 address; A is written like `192.0.2.1`",
        "zone `a.test`: zone:4: x.test. lies outside the zone a.test.",
    ];
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{err}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected), "{expected}\n{err}");
    }
    let (code, out, err) = check(&["--json"]);
    assert_eq!((code, err.as_str()), (2, ""));
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    let errors = said["errors"].as_array().unwrap();
    let found: Vec<_> = errors.iter().map(|e| serde_json::json!([e["file"], e["line"], e["key"]])).collect();
    let place = |file: &str, line: Option<u32>, key| serde_json::json!([file, line, key]);
    let (zone, source) =
        (serde_json::json!(["zone", 0, "file"]), |n| serde_json::json!(["list", n, "source"]));
    assert_eq!(
        found,
        [
            place("page", None, source(0)),
            place("binary", None, source(3)),
            place("zone", Some(3), zone.clone()),
            place("zone", Some(4), zone),
        ]
    );
    assert!(errors[3]["problem"].as_str().unwrap().contains("lies outside"), "{said:#}");
    assert!(errors.iter().all(|e| e.get("help").is_some() && e.get("column").is_some()), "{said:#}");
}

#[test]
fn check_names_who_asks_whom_and_asks_the_upstreams_itself() {
    let good = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 300, &[192, 0, 2, 1])], &[], None)));
    let silent = Upstream::start(|_, _| None);
    let config = |upstreams: &[&Upstream]| {
        let server = "[server]\nlisten = [\"127.0.0.1:5391\"]\nallow = [\"10.0.0.0/8\"]\n";
        format!("{server}{}", Upstream::config(upstreams))
    };
    let both = config(&[&good, &silent]);
    let (code, out, _) = with_config("check", &both, &["--strict"]);
    assert_eq!((code, good.asked()), (0, 0), "{out}");
    for line in [
        "listens on 127.0.0.1:5391 (UDP and TCP)\n",
        "may ask: 10.0.0.0/8\n",
        &format!("asks udp://{}, udp://{}\n", good.addr, silent.addr),
    ] {
        assert!(out.contains(line), "{line}\n{out}");
    }
    for (text, probe, code) in
        [(&both, "--probe", 1), (&both, "--probe=a.test", 1), (&config(&[&good]), "--probe", 0)]
    {
        let (exit, out, _) = with_config("check", text, &["--strict", probe]);
        assert_eq!(exit, code, "{probe}\n{out}");
        assert!(out.contains(&format!("upstream udp://{}: answered NOERROR in ", good.addr)), "{out}");
        let failed =
            format!("warning: upstream udp://{}: no upstream server answered in time (", silent.addr);
        assert_eq!(out.contains(&failed), code == 1, "{out}");
    }
    let (_, out, _) = with_config("check", &both, &["--json", "--probe"]);
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["serving"]["listen"], serde_json::json!(["127.0.0.1:5391"]));
    assert_eq!(said["serving"]["allow"], serde_json::json!(["10.0.0.0/8"]));
    assert_eq!((&said["probes"][0]["rcode"], &said["probes"][1]["rcode"]), (&"NOERROR".into(), &().into()));
}

#[test]
fn check_warns_of_what_strangers_could_do() {
    let open = "this server is an open forwarder: 0.0.0.0/0 in [server] allow-recursion";
    let unlimited = "replies have no limit, and ";
    let (zone, asks) = ("[upstream]\nservers = []\n", "[upstream]\nservers = [\"192.0.2.53\"]\n");
    let everybody = "allow = [\"0.0.0.0/0\"]";
    for (server, upstream, warnings) in [
        ("", asks, &[][..]),
        (everybody, asks, &[]),
        (&format!("{everybody}\nallow-recursion = [\"0.0.0.0/0\"]"), asks, &[open]),
        (&format!("{everybody}\nallow-recursion = [\"0.0.0.0/0\"]"), zone, &[]),
        ("allow-recursion = [\"0.0.0.0/0\"]", asks, &[]),
        (&format!("{everybody}\n[ratelimit]\nrate = 0"), asks, &[unlimited]),
        (&format!("{everybody}\n[ratelimit]\nexempt = [\"0.0.0.0/0\"]"), asks, &[unlimited]),
        ("allow = [\"203.0.113.0/24\"]\n[ratelimit]\nrate = 0", zone, &[unlimited]),
        ("[ratelimit]\nrate = 0", asks, &[]),
    ] {
        let config = format!("[server]\n{server}\n{upstream}");
        let (code, out, _) = with_config("check", &config, &["--strict"]);
        assert_eq!(code, i32::from(!warnings.is_empty()), "{config}\n{out}");
        for warning in [open, unlimited] {
            assert_eq!(
                out.contains(&format!("warning: {warning}")),
                warnings.contains(&warning),
                "{config}\n{out}"
            );
        }
        let (_, out, _) = with_config("check", &config, &["--json"]);
        let said: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(said["exposed"].as_array().unwrap().len(), warnings.len(), "{out}");
    }
    let (_, out, _) = with_config("check", &format!("[server]\n{everybody}\n"), &[]);
    assert!(out.contains("get what other servers know: 127.0.0.0/8, 10.0.0.0/8, "), "{out}");
}

#[test]
fn a_configuration_that_is_not_read_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let run_there = |arguments: &[&str]| {
        let Output { status, stderr, .. } = portcullis().current_dir(folder.path()).args(arguments).run();
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    };
    let warning = "portcullis.toml is here and is not read; write -c portcullis.toml\n";
    for present in [false, true] {
        if present {
            std::fs::write(folder.path().join("portcullis.toml"), "").unwrap();
        }
        // The port of a server in use: it ends by itself, after the warning.
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        for (arguments, code) in
            [(&["check"][..], 0), (&["explain", "x.test"], 0), (&["serve", "--listen", &address], 2)]
        {
            let (exit, err) = run_there(arguments);
            assert_eq!((exit, err.contains(warning)), (code, present), "{arguments:?}\n{err}");
        }
    }
    for arguments in [
        &["check", "-c", "portcullis.toml"][..],
        &["explain", "x.test", "-c", "portcullis.toml"],
        &["explain", "x.test", "--demo"],
    ] {
        assert_eq!(run_there(arguments), (0, String::new()), "{arguments:?}");
    }
}

#[test]
fn an_argument_in_the_wrong_place_gets_a_tip() {
    for (arguments, tip) in [
        (&["check", "portcullis.toml"][..], "tip: write -c portcullis.toml\n"),
        (&["check", "--strict", "my.conf"], "tip: write -c my.conf\n"),
        (&["serve", "portcullis.toml"], "tip: write -c portcullis.toml\n"),
        (&["explain", "x.test", "portcullis.toml"], "tip: write -c portcullis.toml\n"),
        (&["check", "--probe", "example.org"], "tip: write --probe=example.org\n"),
    ] {
        let (code, out, err) = run(arguments);
        assert!(code == 2 && out.is_empty() && err.contains(tip), "{arguments:?}\n{err}");
    }
}

#[test]
fn a_port_in_use_is_told_before_anything_is_served() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("[server]\nlisten = [\"{address}\"]\n[upstream]\nservers = []\n");
    let (code, _, err) = with_config("serve", &config, &[]);
    assert_eq!(code, 2);
    assert!(
        err.contains(&format!("cannot listen on {address} (UDP)")) && err.contains("another program"),
        "{err}"
    );
}

#[test]
fn check_shows_each_line_that_is_no_rule() {
    let config = "[[list]]\nname = \"b\"\nsource = \"bad\"\n";
    let (code, out, _) = with_config("check", config, &[]);
    assert_eq!(code, 0);
    assert!(out.contains("list b: 3 lines (domains"), "{out}");
    assert!(out.contains("line 2: more than one name on the line: no good line"), "{out}");
    assert!(out.contains("line 3: a label is empty"), "{out}");
    assert!(out.contains("warning: of the list `b` (") && out.contains("2 of 3 lines are invalid"), "{out}");
    assert_eq!(with_config("check", config, &["--strict"]).0, 1);
    let (_, json, _) = with_config("check", config, &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["lists"][0]["skipped"][1]["line"], 3);
    assert!(report["lists"][0]["warning"].as_str().unwrap().contains("2 of 3 lines"), "{json}");
}

#[test]
fn check_warns_of_a_list_that_gives_no_rules_or_is_mostly_invalid() {
    // What the list holds, the warning, and the exit code of --strict.
    for (text, warning, strict) in [
        ("", Some("the list `l` (LIST) gives no rules: the file is empty"), 1),
        ("# nothing but a comment\n", Some("gives no rules; check `source`, and whether its format is"), 1),
        ("a.test\nb..c\n", Some("1 of 2 lines are invalid"), 1),
        ("a.test\nb..c\nd..e\n", Some("of the list `l` (LIST), 2 of 3 lines are invalid"), 1),
        ("# one\n\na.test\nb..c\nd..e\n", Some("2 of 3 lines are invalid"), 1),
        ("a.test\na.test\na.test\n", None, 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (list, config) = (folder.path().join("list"), folder.path().join("portcullis.toml"));
        std::fs::write(&list, text).unwrap();
        std::fs::write(&config, "[[list]]\nname = \"l\"\nsource = \"list\"\nformat = \"domains\"\n").unwrap();
        let config = config.to_str().unwrap();
        let (code, out, _) = run(&["check", "--config", config]);
        assert_eq!((code, out.contains("warning: ")), (0, warning.is_some()), "{text}\n{out}");
        let warning = warning.unwrap_or_default().replace("LIST", list.to_str().unwrap());
        assert!(out.contains(&warning), "{warning}\n{out}");
        assert_eq!(run(&["check", "--strict", "--config", config]).0, strict, "{text}");
    }
}

#[test]
fn a_list_whose_rules_all_have_times_gives_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    let config = path.to_str().unwrap();
    let timed = |rule: &str| format!("{{ rule = \"{rule}\", schedule = \"lessons\" }}");
    for (rules, strict) in [
        (timed("||p.example^"), 0),
        (format!("\"! at school\", {}, \"\"", timed("||p.example^")), 0),
        (format!("\"||q.example^\", {}", timed("||p.example^")), 0),
        // There is something to tell.
        (format!("\"##.banner\", {}", timed("||p.example^")), 1),
        (timed("! nothing"), 1),
        (String::new(), 1),
    ] {
        let text = format!(
            "[[schedule]]\nname = \"lessons\"\nzone = \"Europe/Berlin\"\nwindows = [\"Mon-Fri 08:00-13:00\"]\n\
            [[list]]\nname = \"school\"\nrules = [{rules}]\n"
        );
        std::fs::write(&path, &text).unwrap();
        let (code, out, err) = run(&["check", "--strict", "--config", config]);
        assert_eq!((code, out.contains("gives no rules")), (strict, strict == 1), "{text}\n{out}{err}");
    }
}

#[test]
fn check_warns_of_patterns_that_take_long() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portcullis.toml");
    std::fs::write(&path, "[[list]]\nname = \"l\"\nsource = \"l\"\nformat = \"adguard\"\n").unwrap();
    // What the patterns cost depends on the machine and the build; the warning must follow from it.
    for number in [1, 2000] {
        let rules: String = (0..number).map(|n| format!("/[a-z]{{2}}.*[0-9]{{2}}.*ads.*z{n}/\n")).collect();
        std::fs::write(folder.path().join("l"), rules).unwrap();
        let (code, out, err) = run(&["check", "--strict", "--config", path.to_str().unwrap()]);
        let cost = out.split("cost up to ").nth(1).and_then(|rest| rest.split(' ').next());
        let slow = cost.unwrap().parse::<f64>().unwrap() >= 100.0;
        let warned = out.contains("warning: patterns cost up to ");
        assert_eq!((code, warned), (u8::from(slow).into(), slow), "{out}{err}");
    }
}

#[test]
fn explain_shows_the_ladder_and_the_reply() {
    let (code, out, _) = run(&["explain", "www.LinkedIn.com", "-t", "AAAA", "--demo"]);
    assert_eq!(code, 0);
    assert!(out.contains("==> block              ||linkedin.com^  (ru-2016-linkedin, line 4)"), "{out}");
    assert!(out.contains("status: NXDOMAIN") && out.contains("EDE: 16 (Censored)"), "{out}");
    let config = "[[list]]\nname = \"l\"\nrules = [\"||x.example^\", \"@@||a.x.example^\"]\n";
    let (_, out, _) = with_config("explain", config, &["a.x.example", "--json"]);
    let record: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(record["verdict"], "allowed");
    assert_eq!(record["rules"][0]["rule"], "@@||a.x.example^");
    assert_eq!(record["rules"][0]["line"], 2);
    assert_eq!(record["rules"][1]["decided"], false);
    assert_eq!(record["reply"], "the question would be forwarded to the upstreams");
    let config = "[[list]]\nname = \"l\"\nrules = [\"||x.example^\"]\naction = \"truncate\"\n";
    for (more, verdict) in [(&["x.example"][..], "blocked"), (&["x.example", "--tcp"], "logged")] {
        let (_, out, _) = with_config("explain", config, more);
        assert!(out.contains(&format!("verdict: {verdict}\n")), "{out}");
    }
    // What was pasted, the name that is taken of it, and what is said of that.
    for (pasted, name, note) in [
        (
            "https://www.linkedin.com/feed?x=1",
            "www.linkedin.com",
            "the host of https://www.linkedin.com/feed",
        ),
        ("http://user@LinkedIn.com:8080/", "linkedin.com", "the host of http://user@LinkedIn.com:8080/"),
        ("https://b\u{fc}cher.example/", "xn--bcher-kva.example", "the host of"),
        ("linkedin.com:443", "linkedin.com", "without the port of linkedin.com:443"),
        ("0/25.2.0.192.in-addr.arpa", "0/25.2.0.192.in-addr.arpa", ""),
    ] {
        let (code, out, err) = run(&["explain", pasted, "--demo", "--json"]);
        let record: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, record["name"].as_str().unwrap()), (0, name), "{err}");
        assert!(err.contains(note) && err.is_empty() == note.is_empty(), "{pasted}: {err}");
    }
    for (pasted, problem) in [
        ("https://192.0.2.1/x", "leads to the address 192.0.2.1"),
        ("https://[2001:db8::1]/", "leads to the address [2001:db8::1]"),
        ("file:///etc/hosts", "has no host"),
        ("https://", "is not a URL"),
    ] {
        let (code, out, err) = run(&["explain", pasted]);
        assert!(code == 2 && out.is_empty() && err.contains(problem), "{pasted}: {err}");
    }
    let (code, _, err) = run(&["explain", "a.test", "--listener", "1"]);
    assert_eq!(
        (code, err.contains("no listener 1: `[server] listen` has 1, counted from 0")),
        (2, true),
        "{err}"
    );
    let (code, _, err) = run(&["explain", "a..b"]);
    assert_eq!(code, 2);
    assert!(err.contains("a label is empty"), "{err}");
}

#[test]
fn help_has_an_example_for_every_command() {
    for command in [
        "",
        "demo",
        "serve",
        "check",
        "explain",
        "compile",
        "lists diff",
        "ctl",
        "ctl pause",
        "ctl resume",
        "ctl allow",
        "ctl block",
        "ctl revoke",
        "ctl list",
        "ctl status",
        "ctl explain",
    ] {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let (code, out, _) = run(&arguments);
        assert_eq!(code, 0);
        assert!(out.contains("Example:"), "{command}\n{out}");
    }
    assert_eq!(run(&["nonsense"]).0, 2);
}

#[test]
fn the_demo_blocks_shows_each_query_and_moves_from_a_taken_port() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (block, status, verdict) in
        [("on", "NXDOMAIN", "blocked NXDOMAIN"), ("off", "NOERROR", "pass    NOERROR")]
    {
        let mut demo = Process::start(portcullis().args(["demo", "--port", &port, "--block", block]));
        let mut lines = demo.lines();
        assert!(lines.next().unwrap().starts_with(&format!("Port {port} is taken")));
        let introduction: Vec<String> = lines.by_ref().take_while(|l| !l.contains("Ctrl-C")).collect();
        let promised = introduction.iter().any(|l| l.contains("blocked: NXDOMAIN"));
        assert_eq!(promised, block == "on", "{introduction:?}");
        let address = introduction[0].split("answers on ").nth(1).unwrap().split(',').next().unwrap();
        let reply = exchange(address.parse().unwrap(), &question("linkedin.com", "A"), PATIENCE).unwrap();
        assert_eq!(reply.status(), status);
        let shown = lines.find(|l| l.contains("linkedin.com A")).unwrap();
        assert!(shown.contains(verdict) && shown.contains("µs") && !shown.contains('\x1b'), "{shown}");
        assert_eq!(block == "on", shown.contains("||linkedin.com^ (ru-2016-linkedin:4)"), "{shown}");
        drop(lines);
        demo.signal("-INT");
        assert!(demo.ended().success());
    }
}

#[test]
fn check_tells_who_is_served_what() {
    let folder = tempfile::tempdir().unwrap();
    let config = "[server]\nlisten = [\"127.0.0.1:5300\"]\n[upstream]\nservers = []\n\
        [[list]]\nname = \"ads\"\nrules = [\"||ads.test^\"]\n\
        [[group]]\nname = \"kids\"\nclients = [\"10.0.0.0/8\", \"192.0.2.0/24\"]\nlists = [\"ads\"]\n\
        until = \"2001-01-01T00:00:00Z\"\n[[group]]\nname = \"others\"\nlists = []\n\
        [[forward]]\nsuffix = \"corp.test\"\nservers = [\"192.0.2.53\"]\n\
        [blockpage]\nlisten = [\"127.0.0.1:8080\"]\n[control]\nsocket = \"s\"\n";
    let path = folder.path().join("p.toml");
    std::fs::write(&path, config).unwrap();
    let done = portcullis().args(["check", "-c"]).arg(&path).run();
    let text = String::from_utf8(done.stdout).unwrap();
    for line in [
        "group kids: 2 networks; lists ads; inactive now by its schedule",
        "group others: all other clients; no list",
        "  corp.test  forward: udp://192.0.2.53:53",
        "block page: 127.0.0.1:8080",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}
