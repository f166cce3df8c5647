//! `portcullis scenario …`: the censors that can be imitated, and what is done with them.

use std::path::PathBuf;

use super::{FAILED, OK, judge, play, say, say_error, worksheet};
use crate::censor::names::{Names, Pattern};
use crate::censor::stub::StubMode;
use crate::censor::{Evidence, Rule, Scenario};
use crate::scenario::harness::time_text;
use crate::scenario::shipped;
use crate::scenario::stage::{Setting, Stage};
pub(super) use crate::scenario::worksheet::changes;

/// So many of a rule's names are shown.
const SHOWN: usize = 4;

/// What is done with scenarios.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// The scenarios that come with the program
    List(ListArgs),
    /// What a scenario imitates: its story, networks, rules, and how sure each of them is
    Show(ShowArgs),
    /// Play a scenario: answer as the censor did
    Run(play::Args),
    /// Read a scenario file, ask everything that it expects, and say what is wrong
    Check(CheckArgs),
    /// Ask a resolver and a control, and say what probes for censorship would make of the answers
    Judge(judge::Args),
    /// A sheet of questions for a class, and its key
    Worksheet(worksheet::Args),
}

/// Options of `scenario list`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis scenario list")]
pub(super) struct ListArgs {
    /// Print one line of JSON for each
    #[arg(long)]
    json: bool,
}

/// Options of `scenario show`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis scenario show ru-2016-linkedin")]
pub(super) struct ShowArgs {
    /// A scenario that comes with the program, or a file
    name: String,
    /// Print the file itself
    #[arg(long, conflicts_with = "json")]
    text: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `scenario check`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis scenario check my-provider.toml\n\n\
    Exit codes: 0 all is well; 2 a mistake in a file, or something expected does not hold.")]
pub(super) struct CheckArgs {
    /// Scenario files, or names of those that come with the program; without any, all of those
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Print one line of JSON for each
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
pub(super) fn run(command: &Command) -> Result<u8, String> {
    match command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Run(args) => play::run(args),
        Command::Check(args) => Ok(check(args)),
        Command::Judge(args) => judge::run(args),
        Command::Worksheet(args) => worksheet::run(args),
    }
}

fn list(args: &ListArgs) -> Result<u8, String> {
    for (name, _) in shipped::ALL {
        let scenario = shipped::load(name)?;
        let day = |unix: Option<i64>| unix.map(|unix| day(unix, scenario.offset));
        let (from, until) = (day(scenario.from), day(scenario.until));
        if args.json {
            let networks: Vec<&str> = scenario.networks.iter().map(|n| n.id.as_str()).collect();
            let line = serde_json::json!({
                "name": name, "title": scenario.title, "place": scenario.place, "from": from,
                "until": until, "networks": networks, "rules": scenario.rules.len(),
                "measured": measured(&scenario),
            });
            say(&line.to_string());
        } else {
            say(&format!("{name:<24} {}", scenario.title));
        }
    }
    if !args.json {
        say("\nportcullis scenario show NAME tells more; portcullis scenario run NAME plays it.");
    }
    Ok(OK)
}

fn measured(scenario: &Scenario) -> usize {
    scenario.rules.iter().filter(|r| r.evidence == Evidence::Measured).count()
}

/// The day, where the clocks are so many seconds ahead of UTC.
fn day(unix: i64, ahead: i32) -> String {
    time_text(unix, ahead).chars().take(10).collect()
}

fn show(args: &ShowArgs) -> Result<u8, String> {
    let scenario = shipped::load(&args.name)?;
    if args.text {
        let text = match shipped::ALL.iter().find(|(name, _)| *name == args.name) {
            Some((_, text)) => (*text).to_owned(),
            None => std::fs::read_to_string(&args.name).map_err(|e| format!("{}: {e}", args.name))?,
        };
        say(text.trim_end());
        return Ok(OK);
    }
    if args.json {
        say(&json(&scenario).to_string());
        return Ok(OK);
    }
    let offset = scenario.offset;
    say(&format!("{} ({})\n", scenario.title, scenario.name));
    if !scenario.summary.is_empty() {
        say(&format!("{}\n", wrapped(&scenario.summary, "")));
    }
    let mut lines: Vec<(i64, String)> = scenario.events.iter().map(|e| (e.at, e.text.clone())).collect();
    for (at, what) in changes(&scenario) {
        lines.push((at, format!("on the wire: {what}")));
    }
    lines.sort();
    if !lines.is_empty() {
        say("What happened:");
        for (at, text) in lines {
            say(&hung(&format!("  {}  ", time_text(at, offset)), &text));
        }
        say("");
    }
    say("Networks:");
    let wide = scenario.networks.iter().map(|n| n.id.chars().count()).max().unwrap_or(0);
    for network in &scenario.networks {
        let only = if network.injector_only { " (nobody is at home there)" } else { "" };
        say(&hung(&format!("  {:<wide$}  ", network.id), &format!("{}{only}", network.title)));
    }
    if !scenario.rules.is_empty() {
        say("\nRules, the first that applies decides:");
    }
    for rule in &scenario.rules {
        let networks = networks_of(&scenario, rule);
        let place =
            if networks.is_empty() { "everywhere".into() } else { format!("in {}", networks.join(", ")) };
        let head = format!("{}, {} ({}): {place}", rule.id, rule.kind, rule.evidence.word());
        say(&hung("  ", &head));
        say(&wrapped(&names_of(&rule.names), "    "));
        if !rule.intent.is_empty() {
            say(&wrapped(&rule.intent, "    "));
        }
    }
    let origins: Vec<String> = scenario.zones.iter().map(|zone| zone.origin.to_string()).collect();
    if origins.is_empty() {
        say("\nIt has no zones: every name is refused where no rule takes it, unless --forward is given.");
    } else {
        say(&format!("\nNames it knows:\n{}", wrapped(&origins.join(", "), "  ")));
        say("  and those below them. Others are refused, unless --forward is given.");
    }
    say("\nSources:");
    for source in &scenario.sources {
        say(&format!("  {source}"));
    }
    say(&format!("\nportcullis scenario run {} plays it.", args.name));
    Ok(OK)
}

/// The ids of a rule's networks; none: it applies in all.
fn networks_of<'s>(scenario: &'s Scenario, rule: &Rule) -> Vec<&'s str> {
    let known = |place: &u16| scenario.networks.get(usize::from(*place));
    rule.when.networks.iter().filter_map(known).map(|n| n.id.as_str()).collect()
}

/// The first few of the names that a rule takes.
fn names_of(names: &Names) -> String {
    let few = |all: Vec<String>| match all.split_at_checked(SHOWN) {
        Some((first, rest)) if !rest.is_empty() => format!("{} and {} more", first.join(", "), rest.len()),
        _ => all.join(", "),
    };
    let pattern = |pattern: &Pattern| match pattern {
        Pattern::Any => "every name".to_owned(),
        Pattern::Exact(name) => name.clone(),
        Pattern::Suffix(name) => format!("{name} and below"),
        Pattern::EndsWith(part) => format!("…{part}"),
        Pattern::Prefix(part) => format!("{part}…"),
        Pattern::Substring(part) => format!("…{part}…"),
        Pattern::Regex(expression) => format!("/{}/", expression.as_str()),
    };
    let mut text = few(names.patterns.iter().map(pattern).collect());
    if !names.except.is_empty() {
        let except = names.except.iter().map(|name| format!("{name} and below")).collect();
        text.push_str(&format!("; but not {}", few(except)));
    }
    text
}

fn json(scenario: &Scenario) -> serde_json::Value {
    let time = |unix| time_text(unix, scenario.offset);
    let rules: Vec<_> = scenario
        .rules
        .iter()
        .map(|rule| {
            serde_json::json!({
                "id": rule.id, "line": rule.line, "action": rule.kind, "evidence": rule.evidence.word(),
                "intent": rule.intent, "networks": networks_of(scenario, rule),
                "from": rule.when.from.map(time), "until": rule.when.until.map(time),
            })
        })
        .collect();
    let networks: Vec<_> = scenario.networks.iter().map(|n| {
        serde_json::json!({ "id": n.id, "title": n.title, "injector_only": n.injector_only, "clients": n.clients })
    }).collect();
    let events: Vec<_> =
        scenario.events.iter().map(|e| serde_json::json!({ "at": time(e.at), "text": e.text })).collect();
    serde_json::json!({
        "name": scenario.name, "title": scenario.title, "summary": scenario.summary, "place": scenario.place,
        "from": scenario.from.map(time), "until": scenario.until.map(time),
        "seed": scenario.seed, "sources": scenario.sources, "networks": networks, "events": events,
        "rules": rules,
    })
}

/// Text in lines of at most 96 characters, the first behind a beginning, the rest as far from the edge.
fn hung(begin: &str, text: &str) -> String {
    let blank = " ".repeat(begin.chars().count());
    let lines = wrapped(text, &blank);
    format!("{begin}{}", lines.strip_prefix(&blank).unwrap_or(&lines))
}

/// Text in lines of at most 96 characters, each behind the same beginning.
pub(super) fn wrapped(text: &str, begin: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("{begin}{word}")),
        }
    }
    lines.join("\n")
}

fn check(args: &CheckArgs) -> u8 {
    let all = || shipped::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files: Vec<String> = if args.files.is_empty() { all() } else { args.files.clone() };
    let mut code = OK;
    for file in &files {
        let (told, problem) = match checked(file) {
            Ok(told) => (Some(told), None),
            Err(problem) => (None, Some(problem)),
        };
        if problem.is_some() {
            code = FAILED;
        }
        if args.json {
            let line = serde_json::json!({ "file": file, "ok": problem.is_none(), "problem": problem });
            say(&line.to_string());
        } else if let Some(problem) = problem {
            say_error(&problem);
        } else {
            say(&format!("{file}: {}", told.unwrap_or_default()));
        }
    }
    code
}

/// Reads a file and asks what it expects.
fn checked(file: &str) -> Result<String, String> {
    let scenario = shipped::load(file)?;
    let (rules, networks) = (scenario.rules.len(), scenario.networks.len());
    let asked = scenario.expects.len();
    let path: PathBuf = match shipped::ALL.iter().any(|(name, _)| *name == file) {
        true => format!("blocklists/scenarios/{file}.toml").into(),
        false => file.into(),
    };
    // Nothing is sent, so that the addresses may be those of the file, and are told as they stand there.
    let stubs = Some(StubMode::Historical);
    let setting = Setting { by_listener: true, stubs, ..Setting::default() };
    let now = super::now();
    let stage = Stage::new(scenario, &setting, now).map_err(|e| format!("{}: {e}", path.display()))?;
    stage.check(now).map_err(|wrong| {
        let lines: Vec<String> = wrong
            .iter()
            .map(|(line, why)| format!("{}:{line}: [[expect]]: does not hold: {why}", path.display()))
            .collect();
        lines.join("\n")
    })?;
    let rules = super::count(rules, "rule");
    let networks = super::count(networks, "network");
    let hold = if asked == 1 { "holds" } else { "hold" };
    Ok(format!("{rules} in {networks}; {} {hold}", super::count(asked, "expectation")))
}
