//! Lists that are not what they should be: told by `check`, refused or kept as they were by a reload.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Run, Server, find, portcullis, until};

struct Folder(TempDir);

impl Folder {
    /// A configuration with one list, whose file has this text.
    fn of(list: &[u8], more: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("list"), list).unwrap();
        let config = format!("[upstream]\nservers = []\n{more}\n[[list]]\nname = \"l\"\nsource = \"list\"\n");
        fs::write(folder.path("c.toml"), config).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `check` with the exit code, and its report or its errors.
    fn check(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = portcullis();
        command.current_dir(self.0.path()).args(["check", "-c", "c.toml"]).args(arguments);
        let output = command.run();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout) + &text(output.stderr))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.check(&["--json"]).1).unwrap()
    }
}

fn many(line: &str, count: usize) -> String {
    (0..count).map(|n| line.replace('#', &n.to_string()) + "\n").collect()
}

#[test]
fn the_whole_file_decides_its_format() {
    // 64 KiB of names, and then what the list consists of.
    let text = many("-ad-banner-#-", 5000) + &many("||bad#.example^", 20_000);
    let folder = Folder::of(text.as_bytes(), "");
    let report = folder.json();
    let list = &report["lists"][0];
    assert_eq!(list["format"], "adguard", "{list}");
    assert_eq!((&list["account"]["used"], &list["account"]["invalid"]), (&25_000.into(), &0.into()));
    let found = &list["detected"];
    assert_eq!((&found["lines"], &found["readable"]), (&25_000.into(), &25_000.into()), "{found}");
    assert_eq!(found["confidence"], 1.0);
    let (code, text) = folder.check(&["--strict"]);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("format detected: as adguard it has 25000 readable lines of 25000 (100 %)"),
        "{text}"
    );
    let mixed = Folder::of((many("bad#.example", 30) + &many("0.0.0.0 bad#.example", 70)).as_bytes(), "");
    let found = &mixed.json()["lists"][0]["detected"];
    assert_eq!((&found["format"], &found["confidence"]), (&"hosts".into(), &0.7.into()), "{found}");
    assert_eq!(found["runner_up"]["format"], "domains");
}

/// A pipe can't be read twice, and is never held in memory.
#[cfg(unix)]
#[test]
fn a_pipe_is_read_as_a_file_is() {
    let folder = Folder::of(b"", "");
    let text = many("-ad-banner-#-", 5000) + &many("||bad#.example^", 20_000);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    for octets in [text.clone().into_bytes(), gz.finish().unwrap()] {
        let mut command = portcullis();
        command.current_dir(folder.0.path()).args(["compile", "/dev/stdin", "--strict", "--json", "-o", "i"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(&octets));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(output.status.success());
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["lists"][0]["format"], &report["rules"]), (&"adguard".into(), &25_000.into()));
    }
}

#[test]
fn what_is_not_a_list_is_refused_with_a_remedy() {
    let mut tar = vec![0; 1024];
    tar[..6].copy_from_slice(b"blocks");
    tar[257..262].copy_from_slice(b"ustar");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    let tar_gz = gz.finish().unwrap();
    for (octets, says) in [
        (&tar[..], "tar -xf"),
        (&tar_gz, "tar -xf"),
        (b"PK\x03\x04\x14\0\0\0", "unzip"),
        (b"\xfd7zXZ\0\0\x04", "xz -d"),
        (b"BZh91AY&SY", "bzip2 -d"),
        (b"7z\xbc\xaf\x27\x1c\0\x04", "7z x"),
        (b"<!DOCTYPE html><title>404", "web page"),
        (b"%PDF-1.7\n", "PDF"),
        (b"{\"message\": \"Not Found\"}", "JSON"),
    ] {
        let (code, text) = Folder::of(octets, "").check(&[]);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("list `l`") && text.contains(says), "{says}: {text}");
    }
}

#[test]
fn a_tenth_of_invalid_lines_is_an_alarm() {
    let good = many("bad#.example", 90);
    for (bad, alarm) in [(10, false), (11, true)] {
        let folder = Folder::of((good.clone() + &many("b..#", bad)).as_bytes(), "");
        let list = &folder.json()["lists"][0];
        let kinds: Vec<&str> =
            list["warnings"].as_array().unwrap().iter().map(|w| w["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds.contains(&"invalid"), alarm, "{list}");
        assert_eq!(folder.check(&["--strict"]).0, 1);
    }
}

#[test]
fn budgets_name_the_list_and_the_bound() {
    let bomb = || {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let piece = "||a.example^\n".repeat(10_000);
        (0..300).for_each(|_| gz.write_all(piece.as_bytes()).unwrap());
        gz.finish().unwrap()
    };
    let names = many("bad#.example", 2000).into_bytes();
    let globs = "a*b*c\n".repeat(30).into_bytes();
    for (octets, bound, says) in [
        (bomb(), "", "max-ratio"),
        (bomb(), "max-ratio = 100000\nmax-size = \"1MiB\"", "max-size"),
        (names.clone(), "max-packed = \"1KiB\"", "max-packed"),
        (names.clone(), "max-lines = 1999", "list:2000: the list has more than 1999 lines"),
        (names.clone(), "max-rules = 10", "list:11: the list has more than 10 rules"),
        (b"a.example\n".repeat(10), "max-duplicates = 8", "max-duplicates"),
        (many("/[0-9]{#}x/", 9).into_bytes(), "max-expressions = 8", "list:9: the list has more than 8"),
        (many("/[0-9]{#}x/", 9).into_bytes(), "max-automata = \"256B\"", "max-automata"),
        (globs, "max-short-patterns = 20", "list:21: the list has more than 20 patterns"),
        (names, "min-rules = 5000", "it gives 2000 rules, and `min-rules` is 5000"),
    ] {
        let (code, text) = Folder::of(&octets, &format!("[lists]\n{bound}")).check(&[]);
        assert_eq!(code, 2, "{bound}: {text}");
        assert!(text.contains("list `l`") && text.contains(says), "{says}: {text}");
    }
    // All bad lines are counted, some are kept.
    let folder = Folder::of(many("b..#", 50).as_bytes(), "[lists]\nmax-bad-lines = 5");
    let list = &folder.json()["lists"][0];
    assert_eq!(list["skipped"].as_array().unwrap().len(), 5);
    assert_eq!((&list["account"]["invalid"], &list["not_kept"]["invalid"]), (&50.into(), &45.into()));
    let (code, text) = Folder::of(b"a.test\n", "[lists]\nmax-shrink = \"lots\"").check(&[]);
    assert!(code == 2 && text.contains("`lots` is not a percentage") && text.contains("\"30%\""), "{text}");
}

#[test]
fn what_can_never_have_an_effect_is_told() {
    let rules = "||a.test^$client=Kidd\n||b.test^$client=00:11:22:33:44:55\n||c.test^$ctag=device_tvv\n\
                 ||d.test^$ctag=device_tv\n||e.test^$client=203.0.113.7\n||f.test^$client=Kid\n\
                 192.168.1.5 nas.home\n";
    let more = "[[client]]\nname = \"Kid\"\naddresses = [\"10.0.0.7\"]\n\
                [[group]]\nname = \"outside\"\nclients = [\"203.0.113.0/24\"]\n\
                [inspect]\nrebinding = true\n\
                [[forward]]\nsuffix = \"corp.test\"\nservers = [\"10.0.0.1\"]\n\
                [[forward]]\nsuffix = \"10.in-addr.arpa\"\nservers = [\"10.0.0.1\"]\n\
                [[schedule]]\nname = \"term\"\nzone = \"UTC\"\nuntil = \"2020-01-01\"\n";
    let folder = Folder::of(rules.as_bytes(), more);
    let report = folder.json();
    let dead: Vec<&str> =
        report["without_effect"].as_array().unwrap().iter().map(|d| d["text"].as_str().unwrap()).collect();
    for says in [
        "line 1: a.test: `$client=Kidd` matches nobody: no [[client]] has this name; did you mean `Kid`?",
        "line 2: b.test: `$client=00:11:22:33:44:55` matches nobody: clients are not known by MAC addresses",
        "line 3: c.test: `$ctag=device_tvv` matches nobody: this tag is not known, and no [[client]] has it; did you mean `device_tv`?",
        "line 4: d.test: `$ctag=device_tv` matches nobody: no [[client]] has this tag",
        "line 5: e.test: `$client=203.0.113.7/32` matches nobody: [server] allow admits no such client",
        "group outside: [server] allow admits no client of 203.0.113.0/24",
        "forward corp.test: its server udp://10.0.0.1:53 is in a private network",
        "schedule term: its time is over",
    ] {
        let says = says.replace("udp://", "");
        assert!(dead.iter().any(|d| d.contains(&says)), "{says}: {dead:#?}");
    }
    assert_eq!(dead.len(), 8, "{dead:#?}");
    assert_eq!(report["lists"][0]["reading"]["other_addresses"], 1);
    let (code, text) = folder.check(&["--strict"]);
    assert_eq!(code, 1);
    assert!(text.contains("warning: group outside") && text.contains("1 line with an address"), "{text}");
    assert_eq!(Folder::of(b"||f.test^\n", "").check(&["--strict"]).0, 0);
}

#[cfg(unix)]
#[test]
fn a_reload_keeps_the_last_good_rules() {
    let config = "[upstream]\nservers = []\n[metrics]\nlisten = \"127.0.0.1:0\"\n[control]\nsocket = \"s\"\n\
        [[list]]\nname = \"l\"\nsource = \"list\"\nmax-shrink = \"50%\"\n\
        [[list]]\nname = \"other\"\nsource = \"other\"\nmin-rules = 0\n";
    let list = many("bad#.example", 99) + "||ads.example^$dnstype=AAAA\n/^track[0-9]/\n";
    let server = Server::start(config, &[("list", &list), ("other", "x.test\n")]);
    let write = |name: &str, text: &str| fs::write(server.folder.path().join(name), text).unwrap();
    let status = |name: &str, qtype: &str| server.ask(name, qtype).status();
    let reload = |says: &str| {
        let before = server.child.log().len();
        server.signal("-HUP");
        find(&format!("a line of the log with `{says}`"), || {
            server.child.log()[before..].lines().find(|line| line.contains(says)).map(str::to_owned)
        })
    };
    let alarm = |kind: &str| {
        let line = format!("portcullis_list_alarm{{list=\"l\",alarm=\"{kind}\"}} 1");
        server.metrics().contains(&line)
    };
    let short = many("bad#.example", 40);
    for (text, why) in [
        ("", "it no longer gives any rules"),
        ("<!DOCTYPE html>", "this is a web page"),
        (short.as_str(), "it gives 40 rules after 101, and `max-shrink` is 50%"),
    ] {
        write("list", text);
        // The other list is taken meanwhile.
        write("other", "y.test\n");
        let line = reload(why);
        assert!(line.contains(" WARN ") && line.contains("`l`"), "{line}");
        until("the other list is taken", || status("y.test", "A") == "NXDOMAIN");
        for (name, qtype) in [("bad98.example", "A"), ("ads.example", "AAAA"), ("track7.example", "A")] {
            assert_ne!(status(name, qtype), "REFUSED", "{name} {why}");
        }
        assert_eq!(status("ads.example", "A"), "REFUSED", "{why}");
        assert!(alarm("kept"), "{}", server.metrics());
        let mut ctl = portcullis();
        let output = ctl.args(["ctl", "lists", "-s"]).arg(server.folder.path().join("s")).run();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.contains("l: 101 rules") && told.contains(why), "{told}");
    }
    // `check` compares with what is served.
    write("list", &many("bad#.example", 60));
    let mut check = portcullis();
    let output =
        check.args(["check", "--strict", "-c"]).arg(server.folder.path().join("portcullis.toml")).run();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("shrank: 101 -> 60 rules"), "{told}");
    // A smaller loss is told and taken; `min-rules = 0` takes an empty list.
    write("other", "# none\n");
    let line = reload("101 -> 60 rules");
    assert!(line.contains(" WARN "), "{line}");
    until("the other list is empty", || status("y.test", "A") == "REFUSED");
    assert_eq!(
        (status("bad59.example", "A"), status("bad98.example", "A")),
        ("NXDOMAIN".into(), "REFUSED".into())
    );
    assert!(alarm("shrank") && !alarm("kept"), "{}", server.metrics());
    // A configuration that can't be read is counted.
    write("portcullis.toml", "[sever]\n");
    reload("not reloaded");
    until("it is counted", || server.metrics().contains("portcullis_reload_failures_total 1"));
}
