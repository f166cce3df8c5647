//! `portcullis explain`: the ladder for one question, the rule that decides, the reply.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::{OK, say, shipped};
use crate::cache::store::Cache;
use crate::dns::message::Message;
use crate::dns::name::NameBuf;
use crate::dns::query;
use crate::dns::reply::Transport;
use crate::dns::types::Qtype;
use crate::observe::counters::CounterSet;
use crate::observe::event::Event;
use crate::policy::decide::{Asker, Decider, Rung, ladder};
use crate::policy::explain::{RuleText, rule_text};
use crate::resolver::live::Engine;
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::settings::Settings;
use crate::sources::refresh;

/// Options of `explain`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  portcullis explain www.linkedin.com -t AAAA\n  portcullis explain linkedin.com --config portcullis.toml --client 10.20.0.7 --json"
)]
pub(super) struct Args {
    /// The name asked
    name: String,
    /// The type asked
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "A")]
    qtype: String,
    /// The client that asks
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client: IpAddr,
    /// The configuration file; without one the built-in default is explained
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Explain the world of `portcullis demo` instead of a configuration
    #[arg(long, conflicts_with = "config")]
    demo: bool,
    /// The question comes over TCP
    #[arg(long)]
    tcp: bool,
    /// Print the explanation as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    let name =
        NameBuf::from_text(&args.name).map_err(|e| format!("`{}` is no domain name: {e}", args.name))?;
    let qtype: Qtype = args.qtype.parse().map_err(|_| {
        format!("`{}` is no record type; expected one such as A, AAAA, HTTPS or TYPE65", args.qtype)
    })?;
    let mut settings = super::settings(args.config.as_ref())?;
    if args.demo {
        settings = Settings { zones: shipped::internet(), ..settings };
    }
    // Nothing is sent; whether a question would be forwarded depends on there being an upstream at all.
    let forwards = settings.upstreams.as_ref().is_none_or(|servers| !servers.is_empty()) && !args.demo;
    settings.upstreams = Some(Vec::new());
    let counters = Arc::new(CounterSet::default());
    let cache = Arc::new(Cache::new(0));
    let (snapshot, _) =
        refresh::build(&settings, &cache, &counters, refresh::Build::default()).map_err(|e| e.to_string())?;
    let engine = Arc::new(Engine::new(snapshot, counters, None));

    let packet = query::encode(name.as_name(), qtype);
    let transport = if args.tcp { Transport::Tcp } else { Transport::Udp };
    let client = SocketAddr::new(args.client, 0);
    let mut event = Event::new(client, transport);
    let mut out = vec![0; 65_535];
    let snapshot = Arc::clone(&engine.snapshot());
    let outcome =
        resolve(&engine, &snapshot, &packet, (client, transport), super::now(), &mut out, &mut event);
    let unknown = event.source == crate::observe::event::Source::Local
        && snapshot.zones.find(name.as_name()).is_none()
        && event.rcode == Some(crate::dns::types::Rcode::REFUSED)
        && qtype != Qtype::ANY;
    let reply = match outcome {
        _ if unknown && forwards => "the question would be forwarded to the upstreams".to_owned(),
        Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) => {
            let bytes = out.get(..len).unwrap_or_default();
            Message::parse(bytes).map_or_else(|| "a reply without a question".into(), |m| m.to_string())
        }
        Outcome::Drop => "no reply is sent".to_owned(),
        Outcome::Later(_) => "the question would be forwarded to the upstreams".to_owned(),
    };
    let rules: Vec<(Decider, RuleText)> =
        ladder(&snapshot.policy, name.as_name(), Asker { client: args.client, qtype })
            .into_iter()
            .filter_map(|d| Some((d, rule_text(&snapshot.policy, d, name.as_name())?)))
            .collect();
    let winner = event.verdict.decider();
    if args.json {
        let rules: Vec<_> = rules.iter().map(|(d, r)| {
            serde_json::json!({ "rung": d.rung.name(), "rule": r.rule, "list": r.list, "line": r.line, "decided": Some(*d) == winner })
        }).collect();
        say(&serde_json::json!({
            "name": name.to_string(), "type": qtype.to_string(), "client": args.client,
            "verdict": event.verdict.word(), "rules": rules, "reply": reply.trim_end(),
        })
        .to_string());
        return Ok(OK);
    }
    say(&format!("{name} {qtype}, asked by {}", args.client));
    for rung in Rung::ALL {
        let mut here = rules.iter().filter(|(d, _)| d.rung == rung).peekable();
        if here.peek().is_none() && matches!(rung, Rung::Rewrite | Rung::RewriteException) {
            continue;
        }
        if here.peek().is_none() {
            say(&format!("    {:<18} -", rung.name()));
        }
        for (decider, rule) in here {
            let mark = if Some(*decider) == winner { "==>" } else { "   " };
            let line = if rule.line > 0 { format!(", line {}", rule.line) } else { String::new() };
            say(&format!("{mark} {:<18} {}  ({}{line})", rung.name(), rule.rule, rule.list));
        }
    }
    let next = if winner.is_none() { "==>" } else { "   " };
    say(&format!("{next} {:<18} zones, cache, upstream", "no rule"));
    say(&format!("verdict: {}", event.verdict.word()));
    say(&format!("reply:   {}", reply.trim_end().replace('\n', "\n         ")));
    Ok(OK)
}
