//! `portcullis scenario show`: describes what a scenario imitates.

use crate::censor::{Names, Pattern, Rule, Scenario};
use crate::cli::{OK, say, say_json};
use crate::stage::harness::time_text;
use crate::stage::shipped;
use crate::stage::worksheet::changes;

/// The most names shown for a rule.
const SHOWN: usize = 4;

/// Options of `scenario show`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis scenario show ru-2016-linkedin")]
pub(in crate::cli) struct Args {
    /// A scenario that comes with the program, or a file
    name: String,
    /// Print the file itself
    #[arg(long, conflicts_with = "json")]
    text: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The day, at an offset from UTC in seconds.
pub(super) fn day(unix: i64, ahead: i32) -> String {
    time_text(unix, ahead).chars().take(10).collect()
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
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
        say_json(&json(&scenario));
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
        let only = if network.injector_only { " (no resolver is there, only an injector)" } else { "" };
        say(&hung(&format!("  {:<wide$}  ", network.id), &format!("{}{only}", network.title)));
    }
    if !scenario.rules.is_empty() {
        say("\nRules; the first that applies decides:");
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
        say("\nIt has no zones: names that no rule matches are refused, unless --forward is given.");
    } else {
        say(&format!("\nIts zones:\n{}", wrapped(&origins.join(", "), "  ")));
        say("  Other names are refused, unless --forward is given.");
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

/// The first few names that a rule matches.
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

/// Text in lines of at most 96 characters, the first after `begin`, the rest indented as far.
fn hung(begin: &str, text: &str) -> String {
    let blank = " ".repeat(begin.chars().count());
    let lines = wrapped(text, &blank);
    format!("{begin}{}", lines.strip_prefix(&blank).unwrap_or(&lines))
}

/// Text in lines of at most 96 characters, each after the same `begin`.
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
