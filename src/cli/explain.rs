//! `portcullis explain`: the rungs of the decision for one question, the rule that decides, the reply.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::named::named;
use super::{OK, say, say_json, shipped};
use crate::app::kept_orders;
use crate::cache::store::Cache;
use crate::dns::{NameBuf, Qtype, Transport};
use crate::observe::counters::CounterSet;
use crate::policy::Rung;
use crate::resolver::explain::{self, Given, Question};
use crate::resolver::live::Engine;
use crate::resolver::moment::Moment;
use crate::resolver::snapshot::Client;
use crate::settings::{Settings, UpstreamSettings};
use crate::sources;

/// Options of `explain`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  portcullis explain www.linkedin.com -t AAAA\n  portcullis explain linkedin.com --config portcullis.toml --client 10.20.0.7 --json"
)]
pub(super) struct Args {
    /// The name to look up; of a URL, the host
    name: String,
    /// The type to look up
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "A")]
    qtype: String,
    /// The client's address
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client: IpAddr,
    /// The time of the query, such as 2026-09-01T08:00:00+02:00; by default now
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<i64>,
    /// What the upstreams would answer: an address, or the target of an alias; may be given more than once
    #[arg(long, value_name = "IP|NAME", value_parser = answer)]
    answer: Vec<Given>,
    /// The number of the listener that receives the query, from 0 in the order of `[server] listen`
    #[arg(long, value_name = "N", default_value_t = 0)]
    listener: u16,
    /// The configuration file; by default the built-in configuration is used
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Use the lists and zones of `portcullis demo` instead of a configuration
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// The query arrives over TCP
    #[arg(long)]
    tcp: bool,
    /// Print the octets of the reply too; --json always includes them
    #[arg(long)]
    wire: bool,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<i64, String> {
    let parsed = text.parse::<jiff::Timestamp>();
    parsed
        .map(jiff::Timestamp::as_second)
        .map_err(|_| "expected a time such as 2026-09-01T08:00:00+02:00".into())
}

fn answer(text: &str) -> Result<Given, String> {
    if let Ok(address) = text.parse() {
        return Ok(Given::Address(address));
    }
    NameBuf::from_text(text).map(Given::Name).map_err(|e| e.to_string())
}

/// The question of a command line.
pub(super) fn question(
    name: &str,
    qtype: &str,
    client: Client,
    answer: &[Given],
) -> Result<Question, String> {
    let known = NameBuf::from_text(name).map_err(|e| format!("`{name}` is not a domain name: {e}"))?;
    let qtype: Qtype = qtype.parse().map_err(|_| {
        format!("`{qtype}` is not a record type; expected one such as A, AAAA, HTTPS or TYPE65")
    })?;
    Ok(Question { name: known, qtype, client, answer: answer.to_vec() })
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    let mut settings = super::settings(args.config.as_ref())?;
    if args.demo {
        settings =
            Settings { zones: shipped::internet(), upstream: UpstreamSettings::of(Vec::new()), ..settings };
    } else {
        super::warn_if_unread(args.config.as_ref());
    }
    let transport = if args.tcp { Transport::Tcp } else { Transport::Udp };
    let client = Client { address: SocketAddr::new(args.client, 0), transport, listener: args.listener };
    let listeners = settings.server.listen.len();
    if usize::from(args.listener) >= listeners {
        return Err(format!(
            "there is no listener {}: `[server] listen` has {listeners}, counted from 0",
            args.listener
        ));
    }
    let question = question(&named("explaining", &args.name)?, &args.qtype, client, &args.answer)?;
    let now = Moment { unix: args.at.unwrap_or(super::now().unix), ..super::now() };
    settings.imagine_upstream();
    let counters = Arc::new(CounterSet::default());
    let cache = Arc::new(Cache::new(0));
    let (snapshot, _) = sources::build(&settings, &cache, &counters, sources::Build::default(), now.unix)
        .map_err(|e| e.to_string())?;
    let engine = Arc::new(Engine::new(snapshot, counters, None));
    match kept_orders(&settings) {
        Ok(kept) => engine.order(now.unix, |_| (Some(kept), ())),
        Err(problem) => super::say_error(&format!("{problem}; a server would start without kept orders")),
    }
    let snapshot = Arc::clone(&engine.snapshot_at(now.unix));
    let record = explain::explain(&engine, &snapshot, &question, now);
    if args.json {
        say_json(&record.json());
    } else {
        print(&record.json(), args.wire);
    }
    Ok(OK)
}

/// Prints the record for people, from its JSON, which is what a running server sends.
pub(super) fn print(record: &Value, wire: bool) {
    let text = |key: &str| record.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
    let field =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let line = |value: &Value| match value.get("line").and_then(Value::as_u64) {
        Some(line) if line > 0 => format!(", line {line}"),
        _ => String::new(),
    };
    let group = text("group").map_or_else(String::new, |g| format!(" of the group `{g}`"));
    let word = |key: &str| text(key).unwrap_or_default();
    say(&format!("{} {}, asked by {}{group}", word("name"), word("type"), word("client")));
    let refused = word("verdict") == "refused";
    if refused {
        say(&format!("==> {:<18} not a client of this server: in no network of [server] allow", "access"));
    }
    let rules = record.get("rules").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let told = |rule: &Value| {
        let lost = rule.get("lost").and_then(Value::as_str);
        let mark = if lost.is_none() { "==>" } else { "   " };
        let by = rule.get("stopped_by").filter(|by| !by.is_null());
        let by = by.map(|by| format!("{} ({}{})", field(by, "rule"), field(by, "list"), line(by)));
        let lost = match (lost, by) {
            (None, _) => String::new(),
            (Some(why), None) => format!("; {why}"),
            (Some(why), Some(by)) => format!("; stopped by {by}: {why}"),
        };
        let (rung, list, line) = (field(rule, "rung"), field(rule, "list"), line(rule));
        say(&format!("{mark} {rung:<18} {}  ({list}{line}{lost})", field(rule, "rule")));
    };
    let (apply, others): (Vec<&Value>, Vec<&Value>) =
        rules.iter().partition(|r| r.get("applies").and_then(Value::as_bool) != Some(false));
    for rung in Rung::ALL {
        let mut here = apply.iter().filter(|r| field(r, "rung") == rung.name()).peekable();
        let usual = [Rung::ImportantAllow, Rung::ImportantBlock, Rung::Allow, Rung::Block, Rung::Log];
        if here.peek().is_none() && usual.contains(&rung) {
            say(&format!("    {:<18} -", rung.name()));
        }
        here.for_each(|rule| told(rule));
    }
    let decided = rules.iter().any(|r| r.get("lost").is_some_and(Value::is_null));
    match record.get("rests_on").filter(|r| !r.is_null()) {
        Some(other) if !decided => {
            let in_answer = text("in_answer").map_or_else(String::new, |b| format!(": {b}"));
            let (list, line) = (field(other, "list"), line(other));
            say(&format!("==> {list:<18} {}{in_answer}{}", field(other, "rule"), line.replacen(',', ";", 1)));
        }
        _ => {
            let next = if decided || refused { "   " } else { "==>" };
            say(&format!("{next} {:<18} zones, cache, upstream", "no rule"));
        }
    }
    if !others.is_empty() {
        say("matches the name, but does not apply:");
        others.iter().for_each(|rule| told(rule));
    }
    if let Some(zone) = text("zone") {
        say(&format!("zone:    {zone}"));
    }
    if word("precedence") != "allow-wins" {
        say(&format!("precedence: {}", word("precedence")));
    }
    say(&format!("verdict: {}", word("verdict")));
    if let Some(by) = text("answered_by") {
        say(&format!("answers: {by}"));
    }
    match (text("id"), text("list"), text("action")) {
        (Some(id), Some(list), action) => {
            let because = text("action_because").map_or_else(String::new, |why| format!(": {why}"));
            let action = action.unwrap_or_default();
            say(&format!("refusal: {id}, by the list {list}, action {action}{because}"));
            for (word, key) in [("for", "authority"), ("because", "reason"), ("since", "since")] {
                if let Some(text) = text(key) {
                    say(&format!("         {word}: {text}"));
                }
            }
        }
        (_, _, Some(action)) => say(&format!("action:  {action}")),
        _ => {}
    }
    say(&format!("reply:   {}", word("reply").replace('\n', "\n         ")));
    if wire {
        let octets: Vec<String> =
            word("wire").as_bytes().chunks(2).map(|o| String::from_utf8_lossy(o).into_owned()).collect();
        for (number, line) in octets.chunks(16).enumerate() {
            let title = if number == 0 { "wire:" } else { "" };
            say(&format!("{title:<8} {:04x}  {}", number * 16, line.join(" ")));
        }
    }
}
