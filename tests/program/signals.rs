//! Signals to a running server, and what its log says at a start and at a reload.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::common::{PATIENCE, Process, Run, exchange, find, portcullis, question};

/// A server whose log is read.
struct Logged {
    child: Process,
    ready: Value,
    /// How much of its log was read.
    read: Cell<usize>,
}

impl Logged {
    fn start(config: &Path) -> Self {
        let child = Process::start(portcullis().args(["serve", "--ready-json", "--config"]).arg(config));
        let ready = child.line().unwrap_or_else(|| panic!("it ended\n{}", child.log()));
        Self { child, ready: serde_json::from_str(&ready).unwrap(), read: Cell::default() }
    }

    fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// The lines of the log, from where it was read to, up to the first that holds a text.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        find(&format!("a line of the log with `{text}`"), || {
            let log = self.child.log();
            let new = &log[self.read.get()..];
            let end = new.find(text).and_then(|at| Some(at + new[at..].find('\n')? + 1))?;
            self.read.set(self.read.get() + end);
            Some(new[..end].lines().map(str::to_owned).collect())
        })
    }
}

const CONFIG: &str = "[server]\nlisten = [\"127.0.0.1:0\"]\n[upstream]\nservers = []\n";

#[test]
fn sigusr1_writes_the_state_to_the_log_and_sigusr2_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, format!("{CONFIG}[[list]]\nname = \"l\"\nrules = [\"||a.test^\"]\n")).unwrap();
    let mut server = Logged::start(&config);
    let dns = server.ready["dns"][0].as_str().unwrap().parse().unwrap();
    assert!(exchange(dns, &question("a.test", "A"), PATIENCE).is_some());
    server.signal("-USR2");
    server.signal("-USR1");
    let lines = server.until("status");
    let line = lines.last().unwrap();
    assert!(line.contains("rules=1") && line.contains("queries=1") && line.contains("orders=0"), "{line}");
    server.signal("-TERM");
    assert!(server.child.ended().success());
}

#[test]
fn the_ready_line_names_the_listeners_that_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, format!("{CONFIG}[metrics]\nlisten = \"127.0.0.1:0\"\n")).unwrap();
    let server = Logged::start(&config);
    let keys: Vec<&String> = server.ready.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["blockpage", "dns", "ready", "web"]);
    assert_eq!(server.ready["web"].as_array().unwrap().len(), 1);
}

/// What waits for the next start is what differs from the sockets that are open, whatever the
/// configuration said in between.
#[test]
fn a_change_of_sockets_is_told_at_each_reload_until_it_is_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let server = Logged::start(&config);
    server.until("listening");
    let told = |text: &str| {
        std::fs::write(&config, text).unwrap();
        server.signal("-HUP");
        let first = server.until("reloaded");
        // The line after it, if any: the next reload begins with the same line.
        server.signal("-USR1");
        let rest = server.until("status");
        let line = first.into_iter().chain(rest).find(|line| line.contains("take effect at the next start"));
        line.map(|line| line.split("next start: ").nth(1).unwrap().to_owned())
    };
    let metrics = format!("{CONFIG}[metrics]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(told(CONFIG), None);
    assert_eq!(told(&metrics).as_deref(), Some("[metrics]"));
    assert_eq!(told(&metrics).as_deref(), Some("[metrics]"), "it is still not open");
    assert_eq!(told(CONFIG), None, "these are the sockets that are open");
    let threads = CONFIG.replace("[upstream]", "threads = 3\n[upstream]");
    assert_eq!(told(&threads).as_deref(), Some("[server] threads"));
}

#[test]
fn a_list_without_rules_is_a_warning_at_the_start_and_at_each_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (config, list) = (folder.path().join("portcullis.toml"), folder.path().join("list"));
    std::fs::write(&config, format!("{CONFIG}[[list]]\nname = \"l\"\nsource = \"list\"\n")).unwrap();
    std::fs::write(&list, "").unwrap();
    let server = Logged::start(&config);
    let warned = |warning: &str| {
        let lines = server.until(warning);
        assert!(lines.last().unwrap().contains(" WARN "), "{lines:?}");
    };
    warned("gives no rules");
    for (text, warning) in
        [("a.test\nb..c\nd..e\n", "2 of 3 lines are invalid"), ("# none\n", "no longer gives any rules")]
    {
        std::fs::write(&list, text).unwrap();
        server.signal("-HUP");
        warned(warning);
    }
}

/// A file that nobody writes can't be read to its end: what is heard meanwhile is heard at any moment of a reload.
#[cfg(target_os = "linux")]
#[test]
fn signals_orders_and_queries_are_heard_during_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let (config, same) = (folder.path().join("portcullis.toml"), folder.path().join("same.toml"));
    let more = "[[list]]\nname = \"l\"\nrules = [\"a.test\"]\n[control]\nsocket = \"ctl.sock\"\n";
    std::fs::write(&config, format!("{CONFIG}{more}")).unwrap();
    std::fs::copy(&config, &same).unwrap();
    let mut server = Logged::start(&config);
    let dns = server.ready["dns"][0].as_str().unwrap().parse().unwrap();
    std::fs::remove_file(&config).unwrap();
    assert!(Command::new("mkfifo").arg(&config).run().status.success());
    server.signal("-HUP");
    // It can be opened for writing without waiting (O_NONBLOCK) once somebody reads it.
    let end = find("the reload reads the configuration", || {
        let mut open = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(open.write(true), 0o4000).open(&config).ok()
    });
    server.signal("-HUP");
    server.signal("-USR1");
    server.until("status rules=1");
    let ctl = portcullis().args(["ctl", "--config"]).arg(&same).arg("status").run();
    assert!(ctl.status.success(), "{ctl:?}");
    assert_eq!(exchange(dns, &question("a.test", "A"), PATIENCE).unwrap().status(), "NXDOMAIN");
    server.signal("-TERM");
    assert!(server.child.ended().success(), "{}", server.child.log());
    drop(end);
}

#[cfg(target_os = "linux")]
#[test]
fn a_start_that_reads_long_lists_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("portcullis.toml");
    std::fs::write(&config, format!("{CONFIG}[[list]]\nname = \"l\"\nsource = \"list\"\n")).unwrap();
    let names: String = (0..300_000).map(|n| format!("n{n}.test\n")).collect();
    std::fs::write(folder.path().join("list"), names).unwrap();
    let mut starting = Process::start(portcullis().args(["serve", "--config"]).arg(&config));
    // SIGTERM is the 15th bit of the signals that it handles (proc(5)).
    find("its handlers", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", starting.id())).ok()?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
        (u64::from_str_radix(&caught, 16).ok()? & 1 << 14 > 0).then_some(())
    });
    starting.signal("-TERM");
    assert!(starting.ended().success(), "{}", starting.log());
}

/// Each thing that a reload can't use has a line of its own, and what was served before still is.
#[test]
fn a_reload_that_fails_logs_every_reason() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let list = "[[list]]\nname = \"l\"\nsource = \"list\"\n";
    let zone = "[[zone]]\norigin = \"z.test\"\nfile = \"zone\"\n";
    write("portcullis.toml", &format!("{CONFIG}{list}{zone}"));
    write("list", "a.test\n");
    write("zone", "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n");
    let server = Logged::start(&folder.path().join("portcullis.toml"));
    let dns = server.ready["dns"][0].as_str().unwrap().parse().unwrap();
    write("list", "<!DOCTYPE html>\n");
    write("zone", "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nwww A x\nw2 A y\n");
    server.signal("-HUP");
    let lines = server.until("zone:5: ");
    let failed = lines.iter().filter(|line| line.contains("ERROR") && line.contains("serving as before: "));
    assert_eq!(failed.count(), 3, "{lines:#?}");
    assert_eq!(exchange(dns, &question("a.test", "A"), PATIENCE).unwrap().status(), "NXDOMAIN");
}
