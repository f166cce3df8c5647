//! Every command of `docs/classroom.md` is run as it stands there, and its output compared with the page.
//!
//! What the fenced blocks of the page mean:
//!
//! - `console`: commands behind `$ `, and their output. `scenario run` stays in the background; `^C` ends it, and
//!   behind it stands what it had printed.
//! - `text`: what the terminal with the running scenario shows meanwhile.
//! - anything else is for the reader alone.
//!
//! A clock that runs 600 times as fast on the page runs 3600 times here. A line `...` stands for any number of lines. Ports from 5300 on are replaced by free ones, times in
//! milliseconds and ids are not compared, and white space counts as one space.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use libtest_mimic::Trial;

use crate::client::{DIG, TSHARK, test};
use crate::common::{PATIENCE, Run, find};

pub fn tests() -> Vec<Trial> {
    vec![
        test(
            "classroom::every_command_of_the_page_does_what_the_page_says",
            &[DIG, TSHARK],
            every_command_of_the_page_does_what_the_page_says,
        ),
        test("classroom::mistakes_are_told", &[], mistakes_are_told),
        test("classroom::the_comparison_finds_differences", &[], the_comparison_finds_differences),
        test("classroom::blocks_and_steps_are_read", &[], blocks_and_steps_are_read),
    ]
}

/// So many ports from 5300 on belong to the page.
const PORTS: u16 = 10;

/// A fenced block.
#[derive(Debug, PartialEq)]
struct Block {
    /// The word behind the fence.
    word: String,
    /// The line of the fence.
    line: usize,
    lines: Vec<String>,
}

/// A command with the output that the page gives.
#[derive(Debug, PartialEq)]
struct Step {
    line: usize,
    command: String,
    output: Vec<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, text) in (1..).zip(page.lines()) {
        match text.trim_start().strip_prefix("```") {
            Some(word) if !open => {
                blocks.push(Block { word: word.trim().into(), line, lines: Vec::new() });
                open = true;
            }
            Some(_) => open = false,
            None if open => blocks.last_mut().unwrap().lines.push(text.to_owned()),
            None => {}
        }
    }
    assert!(!open, "a block is not closed");
    blocks
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, text) in (block.line + 1..).zip(&block.lines) {
        if let Some(command) = text.strip_prefix("$ ") {
            steps.push(Step { line, command: command.into(), output: Vec::new() });
        } else if text == "^C" {
            steps.push(Step { line, command: text.clone(), output: Vec::new() });
        } else {
            let step = steps.last_mut().unwrap_or_else(|| panic!("line {line}: output without a command"));
            step.output.push(text.clone());
        }
    }
    steps
}

/// What is compared of a line.
fn comparable(line: &str) -> String {
    // dig before 9.18 has one line where the later ones have two.
    let line = line.replace("connection timed out; ", "");
    let words: Vec<&str> = line.split_whitespace().collect();
    let mut out: Vec<String> = Vec::new();
    for (place, word) in words.iter().enumerate() {
        let next = words.get(place + 1).is_some_and(|w| w.trim_end_matches([',', ':', ')']) == "ms");
        let id = place.checked_sub(1).is_some_and(|before| words[before] == "id:");
        let time = next && word.parse::<f64>().is_ok();
        out.push(if time || id { "#".into() } else { (*word).to_owned() });
    }
    out.join(" ")
}

/// Whether the lines are those of the page, where `...` stands for any number of them.
fn fits(page: &[String], real: &[String]) -> bool {
    match page.split_first() {
        None => real.is_empty(),
        Some((dots, rest)) if dots.trim() == "..." => (0..=real.len()).any(|from| fits(rest, &real[from..])),
        Some((line, rest)) => match real.split_first() {
            Some((first, real)) => comparable(line) == comparable(first) && fits(rest, real),
            None => false,
        },
    }
}

/// Lines of an output, without empty ones at its end.
fn lines_of(text: &str) -> Vec<String> {
    text.trim_end().lines().map(str::to_owned).collect()
}

fn compare(line: usize, command: &str, page: &[String], real: &[String]) -> Result<(), String> {
    if fits(page, real) {
        return Ok(());
    }
    let mut text = format!("docs/classroom.md:{line}: $ {command}\nthe page says:\n");
    for line in page {
        let _ = writeln!(text, "    {line}");
    }
    text.push_str("it is:\n");
    for line in real {
        let _ = writeln!(text, "    {line}");
    }
    Err(text)
}

/// The first of ten ports of which none is taken.
fn free_ports() -> u16 {
    let from = 10_000 + (std::process::id() % 2000) as u16 * 10;
    let bases = (from..32_000).step_by(PORTS.into()).chain((10_000..from).step_by(PORTS.into()));
    let free = |base: &u16| {
        (*base..base + PORTS).all(|port| {
            UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
        })
    };
    bases.into_iter().find(free).unwrap()
}

/// Replaces the ports from one on by those from the other on, where they stand as whole numbers.
fn ports(text: &str, from: u16, to: u16) -> String {
    let mut out = String::new();
    let mut number = String::new();
    for c in text.chars().chain(std::iter::once('\0')) {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        match number.parse::<u16>() {
            Ok(port) if (from..from + PORTS).contains(&port) => {
                let _ = write!(out, "{}", to + (port - from));
            }
            _ => out.push_str(&number),
        }
        number.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// A scenario that runs in the background, with what it has printed.
struct Running {
    child: Child,
    printed: Arc<(Mutex<Printed>, Condvar)>,
    /// The lines of its introduction.
    introduced: usize,
}

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it and waits until it is ready: its introduction ends with how it is ended.
    fn start(mut command: Command, base: u16) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let printed = Arc::new((Mutex::new(Printed::default()), Condvar::new()));
        let (out, told) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&printed));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                told.0.lock().unwrap().lines.push(ports(&line, base, 5300));
                told.1.notify_all();
            }
            told.0.lock().unwrap().ended = true;
            told.1.notify_all();
        });
        let mut running = Self { child, printed, introduced: 0 };
        let lines = running.wait(|p| p.ended || p.lines.iter().any(|l| l == "Ctrl-C ends it."));
        running.introduced =
            lines.iter().position(|l| l == "Ctrl-C ends it.").map_or(lines.len(), |at| at + 1);
        running
    }

    /// Waits until what was printed is as wanted, or patience ends; gives it in any case.
    fn wait(&self, wanted: impl Fn(&Printed) -> bool) -> Vec<String> {
        let (lock, more) = &*self.printed;
        let end = Instant::now() + PATIENCE;
        let mut printed = lock.lock().unwrap();
        while !wanted(&printed) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            printed = more.wait_timeout(printed, left).unwrap().0;
        }
        printed.lines.clone()
    }

    fn since_introduced<'a>(&self, lines: &'a [String]) -> &'a [String] {
        let lines = &lines[self.introduced.min(lines.len())..];
        // An empty line stands between the introduction and the rest.
        match lines.split_first() {
            Some((first, rest)) if first.is_empty() => rest,
            _ => lines,
        }
    }

    /// Ends it as Ctrl-C does and gives all that it printed since its introduction.
    fn interrupt(mut self) -> Vec<String> {
        let done = Command::new("kill").args(["-INT", &self.child.id().to_string()]).run();
        assert!(done.status.success());
        let lines = self.wait(|p| p.ended);
        let status = find("the end of the scenario", || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
        self.since_introduced(&lines).to_vec()
    }
}

/// A shell with `portcullis` on its path.
fn shell(command: &str, folder: &Path) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder).env("PATH", path).env("HOME", folder);
    shell
}

fn every_command_of_the_page_does_what_the_page_says() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/classroom.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut base = free_ports();
    let mut running: Option<Running> = None;
    let (mut wrong, mut count) = (Vec::new(), 0);
    for block in blocks(&page) {
        if block.word == "text" {
            let running = running.as_ref().unwrap_or_else(|| panic!("line {}: nothing runs", block.line));
            let mut expected = block.lines.clone();
            expected.push("...".into());
            let lines = running.wait(|p| fits(&expected, running.since_introduced(&p.lines)));
            let real = running.since_introduced(&lines);
            wrong.extend(compare(block.line, "(what the scenario prints)", &expected, real).err());
        }
        if block.word != "console" {
            continue;
        }
        for step in steps(&block) {
            count += 1;
            let Step { line, command, output } = &step;
            if command == "^C" {
                let ended = running.take().unwrap_or_else(|| panic!("line {line}: nothing runs"));
                let real = ended.interrupt();
                wrong.extend(compare(*line, command, output, &real).err());
                continue;
            }
            if command.contains("scenario run") {
                assert!(running.is_none(), "line {line}: the last scenario was not ended");
                base = free_ports();
                let command = command.replace("--speed 600", "--speed 3600");
                let listen = format!("exec {command} --listen 127.0.0.1:{base}");
                let started = Running::start(shell(&listen, folder.path()), base);
                let lines = started.wait(|_| true);
                let introduced = &lines[..started.introduced.min(lines.len())];
                wrong.extend(compare(*line, &command, output, introduced).err());
                running = Some(started);
                continue;
            }
            let done = shell(&ports(command, 5300, base), folder.path()).run();
            // Notices on standard error, such as tshark's, are no output; the program's own mistakes are.
            let errors = String::from_utf8_lossy(&done.stderr);
            if errors.contains("portcullis:") {
                wrong.push(format!("docs/classroom.md:{line}: $ {command}\n{errors}"));
            }
            let real = lines_of(&ports(&String::from_utf8_lossy(&done.stdout), base, 5300));
            let first = real.iter().take_while(|l| l.is_empty()).count();
            wrong.extend(compare(*line, command, output, &real[first..]).err());
        }
    }
    assert!(running.is_none(), "the last scenario is not ended on the page");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 40, "the page has lost its commands: {count}");
}

fn mistakes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let told = |command: &str| {
        let done = shell(command, folder.path()).run();
        let text = String::from_utf8(done.stderr).unwrap() + &String::from_utf8(done.stdout).unwrap();
        (done.status.code().unwrap(), text)
    };
    std::fs::write(folder.path().join("log"), "\n{}\n").unwrap();
    let worksheet = "portcullis scenario worksheet";
    for (command, code, says) in [
        ("ru-2016-linkedln", 2, "did you mean `ru-2016-linkedin`?"),
        ("ru-2016-linkedin --log log", 2, "portcullis: log:2: `replies` is missing"),
        ("ru-2016-linkedin --log nowhere", 2, "portcullis: nowhere: "),
        ("ru-2016-linkedin --log log --blind", 2, "cannot be used with"),
        ("--help", 0, "Examples:\n  portcullis scenario worksheet ru-2016-linkedin --seed 7 > sheet.md"),
    ] {
        let (real, text) = told(&format!("{worksheet} {command}"));
        assert!(real == code && text.contains(says), "{command}: {real}\n{text}");
    }
    for command in ["", " --key", " --blind"] {
        let (code, text) = told(&format!("{worksheet} cn-gfw-injection --json{command}"));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(code == 0 && json["rounds"][0]["questions"][0]["name"].is_string(), "{text}");
    }
}

fn the_comparison_finds_differences() {
    let lines = |text: &str| -> Vec<String> { text.lines().map(str::to_owned).collect() };
    for (page, real, same) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a\nc", false),
        ("a\nb", "a", false),
        ("a", "a\nb", false),
        ("", "", true),
        ("", "a", false),
        ("a", "", false),
        ("...", "", true),
        ("...\nb", "a\na\nb", true),
        ("...\nb", "a\nb\nc", false),
        ("a\n...\nc\n...", "a\nb\nb\nc", true),
        ("a\n...\nc", "a\nb\nd", false),
        ("x. 300 IN A 192.0.2.1", "x.\t\t300\tIN\tA\t192.0.2.1", true),
        ("x. 300 IN A 192.0.2.1", "x.\t\t300\tIN\tA\t192.0.2.2", false),
        ("x. 300 IN A 192.0.2.1", "x.\t\t301\tIN\tA\t192.0.2.1", false),
        ("reply after 1.0 ms", "reply after 2.5 ms", true),
        ("(1.0 ms)", "(1.0 s)", false),
        ("status: NOERROR, id: 1", "status: NOERROR, id: 2", true),
        ("status: NOERROR, id: 1", "status: NXDOMAIN, id: 1", false),
    ] {
        assert_eq!(fits(&lines(page), &lines(real)), same, "{page:?} {real:?}");
    }
    let error = compare(7, "dig x", &lines("a"), &lines("b")).unwrap_err();
    assert_eq!(error, "docs/classroom.md:7: $ dig x\nthe page says:\n    a\nit is:\n    b\n");
}

fn blocks_and_steps_are_read() {
    let page = "text\n```console\n$ one\n1\n2\n$ two\n```\n```sh\n$ no\n```\n```text\nseen\n```\n```console\n^C\nend\n```\n";
    let blocks = blocks(page);
    let words: Vec<&str> = blocks.iter().map(|b| b.word.as_str()).collect();
    assert_eq!(words, ["console", "sh", "text", "console"]);
    let step = |line, command: &str, output: &[&str]| Step {
        line,
        command: command.into(),
        output: output.iter().map(|l| (*l).into()).collect(),
    };
    assert_eq!(steps(&blocks[0]), [step(3, "one", &["1", "2"]), step(6, "two", &[])]);
    assert_eq!(steps(&blocks[3]), [step(15, "^C", &["end"])]);
    assert_eq!(
        ports("-p 5301 x 53010 127.0.0.1:5309, 5310", 5300, 20_000),
        "-p 20001 x 53010 127.0.0.1:20009, 5310"
    );
    assert_eq!(ports("20004", 20_000, 5300), "5304");
}
