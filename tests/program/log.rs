//! The query log of a running server: `portcullis log`, lines of JSON, and what happens when it can't be written.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::{Process, Run, Server, Upstream, portcullis, reply, until};

const CONFIG: &str = "[upstream]\nservers = []\n[[list]]\nname = \"ads\"\nrules = [\"||blocked.test^\"]\n\
    [metrics]\nlisten = \"127.0.0.1:0\"\n[data]\nfolder = \"data\"\n[log]\ncommit-every = \"100ms\"\n";

fn log(server: &Server, arguments: &[&str]) -> Output {
    let config = server.folder.path().join("portcullis.toml");
    portcullis().arg("log").args(arguments).arg("-c").arg(config).run()
}

/// The rows that a search finds, the newest first.
fn search(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let done = log(server, &[&["search", "--json"], arguments].concat());
    assert!(done.status.success(), "{done:?}");
    text(&done.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// Waits until so many queries are in the log.
fn written(server: &Server, rows: usize) {
    until("the queries are in the log", || search(server, &["-n", "1000"]).len() >= rows);
}

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn a_query_is_found_by_what_people_know_of_it() {
    let server = Server::start(CONFIG, &[]);
    // One after the other: two threads may write in another order than they answered.
    server.ask("WWW.Blocked.test", "A");
    written(&server, 1);
    server.ask_tcp("blocked.test", "AAAA");
    written(&server, 2);
    server.ask("open.test", "HTTPS");
    written(&server, 3);
    let all = search(&server, &[]);
    assert_eq!(names(&all), ["open.test", "blocked.test", "www.blocked.test"]);
    let row = &all[1];
    for (key, value) in [
        ("client", "127.0.0.1"),
        ("type", "AAAA"),
        ("verdict", "blocked"),
        ("answered_by", "policy"),
        ("rcode", "NXDOMAIN"),
        ("transport", "tcp"),
        ("rule", "||blocked.test^"),
        ("list", "ads"),
    ] {
        assert_eq!(row[key], value, "{row}");
    }
    assert_eq!(row["line"], 1);
    for (arguments, found) in [
        (&["locked"][..], &["blocked.test", "www.blocked.test"][..]),
        (&["LOCKED"], &["blocked.test", "www.blocked.test"]),
        (&["--name", "Blocked.test"], &["blocked.test"]),
        (&["--suffix", "blocked.test"], &["blocked.test", "www.blocked.test"]),
        (&["--client", "127.0.0.0/8", "-t", "A"], &["www.blocked.test"]),
        (&["--client", "127.0.0.2"], &[]),
        (&["--verdict", "pass"], &["open.test"]),
        (&["--list", "ads", "-n", "1"], &["blocked.test"]),
        (&["--since", "1h"], &["open.test", "blocked.test", "www.blocked.test"]),
        (&["--until", "2020-01-01"], &[]),
    ] {
        assert_eq!(names(&search(&server, arguments)), found, "{arguments:?}");
    }
    // A page, and the one behind it.
    let page = log(&server, &["search", "-n", "2", "--json"]);
    let told = text(&page.stderr);
    let place = told.trim().rsplit(' ').next().unwrap();
    assert_eq!(names(&search(&server, &["--after", place])), ["www.blocked.test"], "{told}");
    let lines = text(&log(&server, &["search", "--name", "blocked.test"]).stdout);
    assert!(lines.contains(" 127.0.0.1       blocked.test AAAA blocked NXDOMAIN by policy"), "{lines}");
    let csv = text(&log(&server, &["export", "--csv"]).stdout);
    let csv: Vec<&str> = csv.lines().collect();
    assert!(csv[0].starts_with("time,client,name,type,verdict,"), "{csv:?}");
    assert!(csv.len() == 4 && csv[1].contains(",127.0.0.1,www.blocked.test,A,blocked,policy,"), "{csv:?}");
    let top = text(&log(&server, &["top", "names", "--blocked", "--json"]).stdout);
    let top: Value = serde_json::from_str(&top).unwrap();
    assert_eq!(top[0], serde_json::json!({ "key": "blocked.test", "queries": 1, "blocked": 1 }));
    assert_eq!(top.as_array().unwrap().len(), 2);
    assert_eq!(text(&log(&server, &["purge", "--client", "127.0.0.1"]).stdout), "3 queries deleted\n");
    assert!(search(&server, &[]).is_empty());
}

#[test]
fn the_reference_of_a_refusal_leads_to_its_query() {
    let server = Server::start(CONFIG, &[]);
    server.ask("other.blocked.test", "A");
    let told = server.ask("www.blocked.test", "A").text();
    let reference = told.split(['[', ']']).nth(1).unwrap_or_else(|| panic!("{told}")).to_owned();
    written(&server, 2);
    let found = search(&server, &["--reference", &reference]);
    assert_eq!(names(&found), ["www.blocked.test"]);
    assert_eq!(found[0]["reference"], reference);
    assert!(search(&server, &["--reference", "00000000"]).is_empty());
}

#[test]
fn a_search_can_follow() {
    let server = Server::start(CONFIG, &[]);
    server.ask("before.test", "A");
    written(&server, 1);
    let config = server.folder.path().join("portcullis.toml");
    let following = Process::start(
        portcullis().args(["log", "search", "--follow", "--json", "--suffix", "test", "-c"]).arg(config),
    );
    let next = || serde_json::from_str::<Value>(&following.line().unwrap()).unwrap()["name"].clone();
    assert_eq!(next(), "before.test");
    server.ask("not.example", "A");
    server.ask("after.test", "A");
    assert_eq!(next(), "after.test");
}

#[test]
fn upstreams_are_counted() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 60, &[192, 0, 2, 9])], &[], None)));
    let config = CONFIG.replace("[upstream]\nservers = []\n", &Upstream::config(&[&upstream]));
    let server = Server::start(&config, &[]);
    server.ask("one.test", "A");
    server.ask("two.test", "A");
    until("the replies are counted", || {
        let top = text(&log(&server, &["top", "upstreams", "--json"]).stdout);
        let top: Value = serde_json::from_str(&top).unwrap();
        let replies = top[0]["replies"].as_u64().unwrap_or(0);
        replies == 2 && top[0]["key"].as_str().is_some_and(|key| key.contains(&upstream.addr.to_string()))
    });
}

#[test]
fn what_is_not_to_be_kept_is_nowhere_in_the_files() {
    let config = format!("{CONFIG}client = \"network\"\nnames = false\nlines = \"lines.jsonl\"\n");
    let server = Server::start(&config, &[]);
    server.ask("www.blocked.test", "A");
    written(&server, 1);
    let row = &search(&server, &[])[0];
    assert_eq!((&row["client"], &row["list"]), (&"127.0.0.0/24".into(), &"ads".into()));
    for key in ["name", "rule", "line", "reference"] {
        assert!(row[key].is_null(), "{row}");
    }
    assert_eq!(search(&server, &["--client", "127.0.0.1"]).len(), 1, "nobody can say who of them it was");
    let lines = server.folder.path().join("lines.jsonl");
    until("the line is written", || std::fs::read(&lines).is_ok_and(|octets| !octets.is_empty()));
    let log = server.folder.path().join("data/log");
    let files = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).chain([lines]);
    for file in files {
        let octets = std::fs::read(&file).unwrap();
        for word in [&b"blocked.test"[..], b"127.0.0.1"] {
            assert!(!octets.windows(word.len()).any(|window| window == word), "{}", file.display());
        }
    }
}

#[test]
fn each_query_is_a_line_of_json() {
    let mut server = Server::start(CONFIG, &[]);
    server.stop();
    let config = server.folder.path().join("portcullis.toml");
    let run = |arguments: &[&str]| {
        let mut command = portcullis();
        command.args(["serve", "--ready-json", "-c"]).arg(&config).args(arguments);
        Server::of(Process::start(&mut command), tempfile::tempdir().unwrap())
    };
    let to_output = run(&["--log-queries"]);
    to_output.ask("www.blocked.test", "A");
    let line: Value = serde_json::from_str(&to_output.child.line().unwrap()).unwrap();
    assert_eq!((&line["name"], &line["verdict"]), (&"www.blocked.test".into(), &"blocked".into()));
    drop(to_output);
    let file = server.folder.path().join("queries.jsonl");
    let mut to_file = run(&[&format!("--log-queries={}", file.display())]);
    to_file.ask("one.test", "A");
    let lines = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().lines().count();
    until("the line is in the file", || lines(&file) == 1);
    // As programs do that rotate logs.
    std::fs::rename(&file, file.with_extension("1")).unwrap();
    until("the file is made anew", || file.exists());
    to_file.ask("two.test", "A");
    until("the line is in the new file", || lines(&file) == 1);
    to_file.stop();
    assert_eq!(lines(&file.with_extension("1")), 1);
}

#[test]
fn a_crash_loses_nothing_that_was_committed() {
    let mut server = Server::start(CONFIG, &[]);
    for number in 0..20 {
        server.ask(&format!("n{number}.test"), "A");
    }
    written(&server, 20);
    server.child.kill();
    server.start_again();
    server.ask("later.test", "A");
    written(&server, 21);
    server.stop();
    // Without a server too.
    let found = search(&server, &[]);
    let mut found = names(&found);
    assert_eq!(found.remove(0), "later.test");
    found.sort_unstable();
    let mut asked: Vec<String> = (0..20).map(|number| format!("n{number}.test")).collect();
    asked.sort_unstable();
    assert_eq!(found, asked);
}

#[test]
fn a_stop_writes_everything() {
    let mut server = Server::start(&CONFIG.replace("100ms", "1h"), &[]);
    for number in 0..20 {
        server.ask(&format!("n{number}.test"), "A");
    }
    server.stop();
    assert_eq!(search(&server, &[]).len(), 20);
}

/// The most octets of a file stand for a disk that is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_queries_are_answered() {
    let mut server = Server::start(CONFIG, &[]);
    server.stop();
    let config = server.folder.path().join("portcullis.toml");
    let program = env!("CARGO_BIN_EXE_portcullis");
    // 16 KiB: less than the tables of an empty file.
    let script =
        format!("trap '' XFSZ; ulimit -f 16; exec {program} serve --ready-json -c {}", config.display());
    std::fs::remove_dir_all(server.folder.path().join("data")).unwrap();
    let full =
        Server::of(Process::start(Command::new("sh").args(["-c", &script])), tempfile::tempdir().unwrap());
    until("the problem is told", || full.child.log().contains("the query log can't be written"));
    assert_eq!(full.ask("www.blocked.test", "A").status(), "NXDOMAIN");
    until("the metrics tell it", || full.metrics().contains("portcullis_log_failing 1"));
    let told = full.child.log();
    assert_eq!(told.matches("the query log can't be written").count(), 1, "once: {told}");
}

#[test]
fn a_log_that_is_not_there_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("log");
    let done = portcullis().args(["log", "search", "--folder"]).arg(&missing).run();
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2));
    assert!(told.contains(missing.to_str().unwrap()) && told.contains("query log"), "{told}");
    std::fs::create_dir(&missing).unwrap();
    std::fs::write(
        missing.join("2026-11-27.db"),
        "not a database, but as long as the header of one would have to be",
    )
    .unwrap();
    let done = portcullis().args(["log", "search", "--folder"]).arg(&missing).run();
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1));
    assert!(told.contains("2026-11-27.db") && told.contains("damaged"), "{told}");
    for (arguments, problem) in [
        (&["search", "--verdict", "block"][..], "pass, allowed, blocked"),
        (&["search", "--reference", "12"], "0f3c9a12"),
        (&["search", "--since", "soon"], "24h"),
        (&["search", "--since", "1h", "--until", "2h"], "nothing can match"),
        (&["search", "--after", "there"], "2026-11-27.1.500"),
        (&["top", "things"], "names, clients, lists or upstreams"),
    ] {
        let done = portcullis().arg("log").args(arguments).arg("--folder").arg(&missing).run();
        let told = text(&done.stderr);
        assert!(done.status.code() == Some(2) && told.contains(problem), "{arguments:?}: {told}");
    }
}
