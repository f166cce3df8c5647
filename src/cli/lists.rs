//! `portcullis lists diff`: which names change verdict from one list to the next.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::compile::{format, matching};
use super::progress::Bar;
use super::{OK, WARNED, say, say_json};
use crate::dns::{Match, Name, NameBuf, Qtype};
use crate::policy::{Asker, KnownClient, Policy, Verdict, decide, one_line};
use crate::rule::{Action, Client, Format};
use crate::settings::{ListSettings, Settings, TextSource};
use crate::sources::{self, Build, BuildError};

/// What the command does.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show which names change verdict from one list to another; either may be a compiled index
    #[command(after_help = "Example:\n  portcullis lists diff ads.yesterday.txt ads.txt\n\n\
        Exit codes: 0 no name changes its verdict; 1 some do; 2 a list cannot be read.")]
    Diff(DiffArgs),
}

/// Options of `lists diff`.
#[derive(clap::Args)]
pub(super) struct DiffArgs {
    /// The old list
    old: PathBuf,
    /// The new list
    new: PathBuf,
    /// The format of both lists; auto detects it for each
    #[arg(long, default_value = "auto", value_parser = format)]
    format: Format,
    /// What names match in both: exact, suffix or below; by default as the format defines it
    #[arg(long = "match", value_name = "MATCH", value_parser = matching)]
    matching: Option<Match>,
    /// Print each change as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<u8, String> {
    let Command::Diff(args) = command;
    let bar = Bar::default();
    let load = |path: &PathBuf| {
        let list = ListSettings {
            name: path.display().to_string(),
            source: TextSource::File(path.clone()),
            format: args.format,
            plain: args.matching,
            ..ListSettings::default()
        };
        let settings = Settings { lists: vec![list], ..Settings::default() };
        let build = Build { progress: &bar, ..Build::default() };
        sources::compile(&settings, build).map(|(policy, _)| policy)
    };
    let both = BuildError::both(load(&args.old), load(&args.new));
    let (mut old, mut new) = both.map_err(|e| e.to_string())?;
    drop(bar);
    let (clients, askers) = askers(&old, &new);
    old.clients.clone_from(&clients);
    new.clients = clients;
    let mut changed = 0;
    for (name, below) in questions(&old, &new) {
        let differs = |asker: &&(Asker, String)| {
            let (was, is) = (decide(&old, name.as_name(), asker.0), decide(&new, name.as_name(), asker.0));
            effect(&old, was) != effect(&new, is)
        };
        // One line a name is enough: the first client whose verdict changes.
        let Some((asker, who)) = askers.iter().find(differs) else { continue };
        changed += 1;
        let shown = if below { format!("*.{}", parent(&name)) } else { name.to_string() };
        let explained =
            |policy: &Policy| one_line(policy, decide(policy, name.as_name(), *asker), name.as_name());
        let (was, is) = (explained(&old), explained(&new));
        if args.json {
            say_json(&serde_json::json!({ "name": shown, "asked": who.trim(), "old": was, "new": is }));
        } else {
            say(&format!("{shown}{who}: {was} -> {is}"));
        }
    }
    let only = |a: &Policy, b: &Policy| {
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (a.pattern_rules().collect(), b.pattern_rules().collect());
        a.difference(&b).cloned().collect::<Vec<_>>()
    };
    for (sign, rules) in [("removed", only(&old, &new)), ("added", only(&new, &old))] {
        for rule in rules {
            changed += 1;
            if args.json {
                say_json(&serde_json::json!({ "pattern": rule, "change": sign }));
            } else {
                say(&format!("pattern {rule}: {sign}; it may change verdicts of names that no rule lists"));
            }
        }
    }
    if !args.json {
        say(&match changed {
            0 => "no name changes its verdict".to_owned(),
            1 => "1 change".to_owned(),
            n => format!("{n} changes"),
        });
    }
    Ok(if changed > 0 { WARNED } else { OK })
}

/// Most clients, and most types, that are tried for each name.
const MOST: usize = 16;

/// The queries to try: every type and every client, up to a limit, that a rule of either list mentions.
/// The clients that are named by name or tag get addresses of their own.
fn askers(old: &Policy, new: &Policy) -> (Vec<KnownClient>, Vec<(Asker<'static>, String)>) {
    let (mut types, mut networks, mut words) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for scope in old.scopes().chain(new.scopes()) {
        types.extend(scope.types.iter().chain(&scope.not_types).copied());
        for client in scope.clients.iter().chain(&scope.not_clients) {
            match client {
                Client::Network(network) => _ = networks.insert(network.addr()),
                Client::Name(name) => _ = words.insert((name, false)),
            }
        }
        words.extend(scope.tags.iter().chain(&scope.not_tags).map(|tag| (tag, true)));
    }
    // No real client has an address reserved for documentation.
    let known = (0..u8::MAX).zip(words.into_iter().take(MOST)).map(|(number, (word, tag))| KnownClient {
        name: if tag { format!("a client with the tag {word}") } else { word.clone() },
        networks: vec![IpAddr::from([203, 0, 113, number]).into()],
        tags: if tag { vec![word.clone()] } else { Vec::new() },
    });
    let known: Vec<KnownClient> = known.collect();
    let mut who = vec![(IpAddr::V4(Ipv4Addr::LOCALHOST), String::new())];
    who.extend(networks.into_iter().take(MOST).map(|address| (address, format!(" asked by {address}"))));
    for client in &known {
        let address = client.networks.first().map(ipnet::IpNet::addr);
        let word =
            if client.tags.is_empty() { format!("client `{}`", client.name) } else { client.name.clone() };
        who.extend(address.map(|address| (address, format!(" asked by {word}"))));
    }
    types.remove(&Qtype::A);
    let types: Vec<Qtype> = std::iter::once(Qtype::A).chain(types.into_iter().take(MOST)).collect();
    let askers = who.iter().flat_map(|(client, who)| {
        types.iter().map(move |qtype| {
            let word = if *qtype == Qtype::A { String::new() } else { format!(" {qtype}") };
            (Asker { client: *client, qtype: *qtype, view: None }, word + who)
        })
    });
    let askers = askers.collect();
    (known, askers)
}

/// Every name that a rule of either list names, exceptions within rules too, and for rules on what is
/// below a name one such name.
fn questions(old: &Policy, new: &Policy) -> BTreeSet<(NameBuf, bool)> {
    let mut all = BTreeSet::new();
    let mut add = |name: &NameBuf, matching: Match| {
        if matching != Match::Subdomains {
            all.insert((name.clone(), false));
        }
        if matching != Match::Exact
            && let Ok(below) = NameBuf::try_from([b"\x01*", name.as_bytes()].concat())
        {
            all.insert((below, true));
        }
    };
    for policy in [old, new] {
        policy.for_each_name(&mut add);
        policy.scopes().flat_map(|scope| &scope.except).for_each(|name| add(name, Match::Suffix));
    }
    all
}

fn parent(name: &NameBuf) -> NameBuf {
    name.as_name().parent().map_or_else(|| name.clone(), Name::to_buf)
}

/// What is compared: the word, and what a blocked client gets.
fn effect(policy: &Policy, verdict: Verdict) -> (&'static str, Option<&Action>) {
    let action = match verdict {
        Verdict::Blocked(d) => policy.action(d, None),
        _ => None,
    };
    (verdict.word(), action)
}
