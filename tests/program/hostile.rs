//! What others wrote can't act on a terminal or a log: every command over lists, zones, configurations,
//! scenarios and queries with escape sequences, other controls and marks for the direction of writing.
//!
//! The commands come from the program's own help, so that a new one needs a row here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use portcullis::dns::is_unsafe;

use crate::common::{
    PATIENCE, Process, Run, Server, Upstream, connect, exchange, portcullis, question, reply, until,
};

/// A title for the terminal, colours by C0 and by C1, a cleared screen, text turned round, DEL, a bell.
const HOSTILE: &str =
    "\u{1b}]0;owned\u{7}\u{9b}31m\u{1b}[2J\u{202e}txt\u{2066}\u{200f}\u{7f}\u{85}\u{2028}\u{feff}\r";
/// The same as far as a configuration may have it in a text.
const MARKS: &str = "\\u202e\\u2066\\u200f\\u2028\\uFEFF";

#[track_caller]
fn is_clean(what: &str, octets: &[u8]) {
    let text = std::str::from_utf8(octets).unwrap_or_else(|e| panic!("{what}: {e}"));
    let found = text.chars().find(|c| is_unsafe(*c) && *c != '\n');
    assert_eq!(found, None, "{what}: {text:?}");
}

/// Runs the program; both of its outputs must be clean. Returns them.
#[track_caller]
fn run(arguments: &[&str]) -> String {
    let done = portcullis().args(arguments).env("RUST_LOG", "trace").run();
    is_clean(&format!("{arguments:?}, standard output"), &done.stdout);
    is_clean(&format!("{arguments:?}, standard error"), &done.stderr);
    String::from_utf8(done.stdout).unwrap() + &String::from_utf8(done.stderr).unwrap()
}

/// The commands without commands of their own, as the help lists them.
fn commands(path: &[String], found: &mut BTreeSet<String>) {
    let mut arguments: Vec<&str> = path.iter().map(String::as_str).collect();
    arguments.push("--help");
    let help = run(&arguments);
    let Some((_, list)) = help.split_once("Commands:\n") else {
        found.insert(path.join(" "));
        return;
    };
    let rows = list.lines().take_while(|line| !line.is_empty());
    for row in rows.filter(|row| row.starts_with("  ") && !row.starts_with("   ")) {
        let word = row.split_whitespace().next().unwrap();
        if word != "help" {
            commands(&[path, &[word.to_owned()]].concat(), found);
        }
    }
}

/// The files, each with what is hostile in every place that its format has.
fn files(folder: &Path) -> Vec<(&'static str, PathBuf)> {
    let h = HOSTILE;
    let texts = [
        ("hosts", format!("0.0.0.0 fine.example # {h}\n0.0.0.0 a{h}.example\n{h} b.example\n")),
        ("domains", format!("fine.example\na{h}.example\n{h}\nx{h} y\n192.0.2.1{h}\n")),
        ("wildcard", format!("*.fine.example\n*{h}*.example\n")),
        (
            "adguard",
            format!(
                "||fine.example^\n||a{h}^\n/{h}(/\n/{h}[0-9]+/\n||x.example^${h}\n||y.example^$client='{h}'\n\
                ||z.example^$ctag={h}\n||c.example^$client='\u{202e}K'\n||w.example^$dnsrewrite={h}\n\
                ||v.example^$dnsrewrite=NOERROR;TXT;{h}\n@@||u.example^$dnstype={h}\n-banner{h}-\n"
            ),
        ),
        ("dnsmasq", format!("address=/fine.example/{h}\naddress=/a{h}/\n{h}=/x/\nserver=/b/{h}\n")),
        (
            "unbound",
            format!(
                "local-zone: \"fine.example\" static\nlocal-zone: \"a{h}\" static\nlocal-zone: b {h}\n{h}: x\n\
                local-data: \"c.example TXT {h}\"\nlocal-data: \"c.example {h} x\"\n"
            ),
        ),
        (
            "rpz",
            format!(
                "$TTL 60\n@ SOA ns. h. 1 2 3 4 5\nfine.example CNAME .\na{h} CNAME .\nb CNAME {h}\n\
                $ORIGIN {h}\n${h} x\nc TXT \"{h}\"\nd {h} x\n"
            ),
        ),
        ("regex", format!("^fine\n({h}\n(?!{h})\n")),
        ("dnscrypt", format!("=fine.example\n=a{h}\nx.example @{h}\n[{h}\n")),
        ("v2fly", format!("full:fine.example @a{h}\nfull:a{h}\ninclude:{h}\n{h}:x\nregexp:({h}\n")),
    ];
    let write = |(format, text): &(&'static str, String)| {
        let path = folder.join(format!("{format}-\u{1b}[31m\u{202e}.txt"));
        // What is mostly controls at its beginning would be taken for no text at all.
        let mark = if *format == "rpz" { ';' } else { '#' };
        std::fs::write(&path, format!("{mark} {}\n{text}", "plain ".repeat(200))).unwrap();
        (*format, path)
    };
    texts.iter().map(write).collect()
}

/// A configuration that can be served, with these lists.
fn config(folder: &Path, lists: &[(&'static str, PathBuf)], more: &str) -> PathBuf {
    let mut text = format!(
        "{more}\n[[list]]\nname = \"own{MARKS}\"\nrules = [\"||blocked.example^\", \"||x.example^${MARKS}\"]\n\
        reason = \"because{MARKS}\"\nauthority = \"they{MARKS}\"\n\
        [[group]]\nname = \"kids{MARKS}\"\nclients = [\"127.0.0.0/8\"]\n\
        [block.contact]\nuris = [\"mailto:x@y.example\"]\norganization = \"we{MARKS}\"\n"
    );
    for (format, path) in lists {
        let source = path.file_name().unwrap().to_str().unwrap();
        let source = source.replace('\u{1b}', "\\u001b").replace('\u{202e}', "\\u202e");
        // A configuration can't name a file with control characters; the copy has the rest.
        let plain = source.replace("\\u001b", "");
        std::fs::copy(path, folder.join(plain.replace("\\u202e", "\u{202e}"))).unwrap();
        text += &format!(
            "[[list]]\nname = \"{format}{MARKS}\"\nsource = \"{plain}\"\nformat = \"{format}\"\nmay = [\"block\"]\n"
        );
    }
    let path = folder.join("portcullis.toml");
    std::fs::write(&path, text).unwrap();
    path
}

/// Configurations, zones and scenarios with mistakes.
fn mistakes(folder: &Path) -> Vec<PathBuf> {
    let zone = folder.join("bad.zone");
    std::fs::write(
        &zone,
        format!("@ 60 SOA a. b. 1 2 3 4 5\n{HOSTILE} {HOSTILE} {HOSTILE}\n$INCLUDE {HOSTILE}\n"),
    )
    .unwrap();
    let texts = [
        format!("\"{MARKS}\\u001b[31m\" = 1\n[server]\nlisten = [\"\\u001b[2J{MARKS}\"]\n"),
        format!("{HOSTILE} = 1\n"),
        format!("[[list]]\nname = \"a\\u001b[31m\"\nsource = \"\\u001b[31m.txt\"\nformat = \"{MARKS}\"\n"),
        format!("[[list]]\nname = \"a\"\nsource = \"nowhere{MARKS}.txt\"\n"),
        format!(
            "[[list]]\nname = \"a\"\nrules = [\"x\"]\nmay = [\"{MARKS}\"]\n[[group]]\nname = \"g\"\nlists = [\"{MARKS}\"]\n"
        ),
        "[[zone]]\norigin = \"z.example\"\nfile = \"bad.zone\"\n".to_owned(),
        format!("[[zone]]\norigin = \"z{MARKS}.example\"\nfile = \"{MARKS}.zone\"\n"),
    ];
    let write = |(number, text): (usize, &String)| {
        let path = folder.join(format!("bad{number}.toml"));
        std::fs::write(&path, text).unwrap();
        path
    };
    texts.iter().enumerate().map(write).collect()
}

fn scenarios(folder: &Path) -> [PathBuf; 2] {
    let good = folder.join("good\u{202e}.toml");
    let text = format!(
        "[scenario]\nname = \"mine\"\ntitle = \"t{MARKS}\"\nsummary = \"s{MARKS}\"\nsources = [\"me{MARKS}\"]\n\
        [[network]]\nid = \"isp\"\ntitle = \"isp{MARKS}\"\n\
        [[event]]\nat = 2021-04-08T12:00:00+02:00\ntext = \"e{MARKS}\"\n\
        [[rule]]\nid = \"r\"\nmatch = {{ any = true }}\nintent = \"i{MARKS}\"\nevidence = \"modelled\"\n\
        action = {{ kind = \"nodata\" }}\n"
    );
    std::fs::write(&good, text).unwrap();
    let bad = folder.join("bad\u{1b}[31m.toml");
    std::fs::write(
        &bad,
        format!("[scenario]\nname = \"x{MARKS}\"\n\"\\u001b[31m\" = \"{MARKS}\"\n{HOSTILE}\n"),
    )
    .unwrap();
    [good, bad]
}

/// A query whose name has what is hostile in its labels.
fn hostile_question() -> Vec<u8> {
    let mut packet = question("aaaaaaaaaa.blocked.example", "A");
    let at = packet.windows(10).position(|w| w == b"aaaaaaaaaa").unwrap();
    packet[at..at + 10].copy_from_slice(b"\x1b[31m\xc2\x9b\x07\x7f\n");
    packet
}

#[test]
fn nothing_that_others_wrote_acts_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lists = files(folder);
    let good = config(folder, &lists, "");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let good = text(&good);
    let bad: Vec<String> = mistakes(folder).iter().map(|path| text(path)).collect();
    let [scenario, bad_scenario] = scenarios(folder).map(|path| text(&path));
    let hostile = HOSTILE;
    let mut all = BTreeSet::new();
    commands(&[], &mut all);
    assert!(all.len() >= 17, "{all:?}");

    let control = folder.join("c.sock");
    let serving = tempfile::tempdir().unwrap();
    let more = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n[metrics]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"{}\"\n\
        [blockpage]\nlisten = [\"127.0.0.1:0\"]\n[data]\nfolder = \"data\"\n[log]\ncommit-every = \"100ms\"\n",
        control.display()
    );
    let upstream = Upstream::start(|query, _| {
        Some(reply(query, 0, &[(16, 60, b"\x0a\x1b[31m\xc2\x9b\x07\x7f\n")], &[], None))
    });
    let upstreams = Upstream::config(&[&upstream]);
    let serve = config(serving.path(), &lists, &format!("{more}{upstreams}"));
    let start = ["serve", "--ready-json", "-c", &text(&serve)];
    let server = Server::of(Process::start(portcullis().args(start).env("RUST_LOG", "trace")), serving);
    let socket = text(&control);

    for command in &all {
        let words: Vec<&str> = command.split(' ').collect();
        // What the user gives is repeated in errors.
        run(&[&words[..], &[&format!("--{hostile}")]].concat());
        let told = match words[..] {
            ["check"] => {
                for config in &bad {
                    run(&["check", "-c", config]);
                    run(&["check", "--json", "-c", config]);
                }
                run(&["check", "--json", "--lines", "-c", &good]);
                run(&["check", "--lines", "-c", &good])
            }
            ["serve"] => {
                for config in &bad {
                    run(&["serve", "-c", config]);
                }
                let _ = server.send(&hostile_question());
                let _ = server.send(&question("txt.other.example", "TXT"));
                is_clean("metrics", server.metrics().replace('\r', "").as_bytes());
                let reply = server.send(&question("blocked.example", "A")).unwrap();
                is_clean("EDE", reply.message().edes().map(|(_, text)| text).collect::<String>().as_bytes());
                is_clean("block page", block_page(&server).replace('\r', "").as_bytes());
                server.signal("-HUP");
                let log = server.child.log();
                is_clean("the log", log.as_bytes());
                log
            }
            ["explain"] => {
                run(&["explain", hostile, "-c", &good]);
                run(&["explain", "blocked.example", "-t", hostile, "-c", &good]);
                run(&["explain", "c.example", "-c", &good, "--json"]);
                run(&["explain", "blocked.example", "-c", &good, "--json"]);
                run(&["explain", "c.example", "-c", &good]);
                run(&["explain", "blocked.example", "-c", &good, "--wire"])
            }
            ["compile"] => {
                let mut told = String::new();
                for (format, list) in &lists {
                    let out = text(&folder.join(format!("{format}.idx")));
                    let list = text(list);
                    run(&["compile", "--format", format, "--lines", "--json", &list, "-o", &out]);
                    told += &run(&["compile", "--format", format, "--lines", &list, "-o", &out]);
                    run(&["explain", "fine.example", "-c", &index_config(folder, &out)]);
                    run(&["check", "-c", &index_config(folder, &out)]);
                }
                run(&["compile", hostile, "-o", hostile]);
                told
            }
            ["lists", "diff"] => {
                let empty = text(&folder.join("empty"));
                std::fs::write(&empty, "fine.test\n").unwrap();
                let mut told = String::new();
                for (_, list) in &lists {
                    told += &run(&["lists", "diff", &empty, &text(list)]);
                    run(&["lists", "diff", "--json", &empty, &text(list)]);
                }
                run(&["lists", "diff", hostile, hostile]) + &told
            }
            ["ctl", order] => {
                run(&["ctl", order, "-s", hostile]);
                run(&["ctl", order, "-c", &bad[0]]);
                let given: &[&[&str]] = match order {
                    "pause" => {
                        &[&["--group", hostile], &["--group", "kids\u{202e}\u{2066}\u{200f}\u{2028}\u{feff}"]]
                    }
                    "allow" | "block" | "explain" => &[&[hostile], &["ordered.example"]],
                    "resume" => &[&["--group", hostile], &[]],
                    "revoke" => &[&[hostile]],
                    "list" | "lists" | "status" => &[&[]],
                    new => panic!("`ctl {new}` needs hostile input here"),
                };
                let mut told = String::new();
                for given in given {
                    told += &run(&[&["ctl", order, "-s", &socket], *given].concat());
                    told += &run(&[&["ctl", order, "-s", &socket, "--json"], *given].concat());
                }
                told
            }
            ["log", what] => {
                let own = text(&serve);
                run(&["log", what, hostile, "-c", &own]);
                run(&["log", what, "--folder", hostile]);
                run(&["log", what, "--client", hostile, "-c", &own]);
                let given: &[&[&str]] = match what {
                    "search" => &[&[], &["--json"], &["--csv"], &["--list", hostile]],
                    "export" => &[&[], &["--csv"]],
                    "top" => &[&["names"], &["clients"], &["lists"], &["upstreams"], &["names", "--json"]],
                    "purge" => &[&["--client", "192.0.2.1"]],
                    new => panic!("`log {new}` needs hostile input here"),
                };
                server.send(&hostile_question()).expect("a reply");
                until("the log has the hostile name", || {
                    run(&["log", "search", "-c", &own]).contains("\\027")
                });
                given.iter().map(|given| run(&[&["log", what], *given, &["-c", &own]].concat())).collect()
            }
            ["demo"] => {
                let demo = Process::start(portcullis().args(["demo", "--port", "0"]));
                shows_a_hostile_query(&demo)
            }
            ["scenario", "list"] => run(&["scenario", "list", "--json"]) + &run(&["scenario", "list"]),
            ["scenario", "show" | "check"] => {
                run(&["scenario", words[1], hostile]);
                run(&["scenario", words[1], &bad_scenario, "--json"]);
                run(&["scenario", words[1], &bad_scenario]);
                run(&["scenario", words[1], &scenario, "--json"]);
                run(&["scenario", words[1], &scenario])
            }
            ["scenario", "worksheet"] => {
                run(&["scenario", "worksheet", &bad_scenario]);
                run(&["scenario", "worksheet", &scenario, "--log", &bad[0]]);
                run(&["scenario", "worksheet", &scenario, "--json"]);
                run(&["scenario", "worksheet", &scenario])
            }
            ["scenario", "run"] => {
                run(&["scenario", "run", hostile]);
                run(&["scenario", "run", &bad_scenario]);
                let start = ["scenario", "run", &scenario, "--listen", "127.0.0.1:0"];
                shows_a_hostile_query(&Process::start(portcullis().args(start)))
            }
            ["scenario", "judge"] => {
                let at = server.dns.to_string();
                let ask = ["scenario", "judge", "--resolver", &at, "--control", &at, "--timeout", "1s"];
                run(&[&ask[..], &[hostile]].concat());
                run(&[&ask[..], &["--fingerprints", &text(&lists[0].1), "x.example"]].concat());
                run(&[&ask[..], &["--edns", "-v", "blocked.example", "--json"]].concat());
                run(&[&ask[..], &["--edns", "-v", "blocked.example"]].concat())
            }
            _ => panic!("`{command}` needs hostile input here"),
        };
        // The input was read and shown, not passed over.
        if matches!(words[..], ["check" | "compile" | "explain"] | ["lists", "diff"]) {
            assert!(told.contains('\u{fffd}'), "{command}: {told}");
        }
    }
}

/// Asks a server that shows each query for a hostile name, at the address that its own lines tell, and reads
/// until it shows the query. Returns all of that.
#[track_caller]
fn shows_a_hostile_query(server: &Process) -> String {
    let (mut asked, mut told) = (false, String::new());
    for line in server.lines() {
        is_clean("a line", line.as_bytes());
        told += &line;
        // Of the name in the question.
        if line.contains("\\027[31m") || line.contains("\\\\027[31m") {
            return told;
        }
        let words = line.split([' ', ',']).filter_map(|word| word.parse().ok());
        if let (false, Some(at)) = (asked, words.clone().find(|at: &SocketAddr| at.port() != 0)) {
            exchange(at, &hostile_question(), PATIENCE);
            asked = true;
        }
    }
    panic!("the query was not shown: {told}\n{}", server.log());
}

fn block_page(server: &Server) -> String {
    use std::io::{Read, Write};
    let at = server.ready["blockpage"][0].as_str().unwrap().parse().unwrap();
    let mut stream = connect(at);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: blocked.example\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("because"), "{text}");
    text
}

/// A configuration with one compiled index.
fn index_config(folder: &Path, index: &str) -> String {
    let path = folder.join("index.toml");
    std::fs::write(&path, format!("[[list]]\nname = \"i\"\nsource = \"{index}\"\nformat = \"index\"\n"))
        .unwrap();
    path.to_str().unwrap().to_owned()
}
