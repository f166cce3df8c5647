//! `portcullis lists diff`: which names change verdict from one list to the next.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::progress::Bar;
use super::{OK, WARNED, say};
use crate::dns::name::{Match, Name, NameBuf};
use crate::dns::types::Qtype;
use crate::policy::Policy;
use crate::policy::decide::{Asker, Verdict, decide};
use crate::policy::explain::one_line;
use crate::resolver::settings::{ListSettings, Settings, TextSource};
use crate::rule::{Action, Effect, Format};
use crate::sources::refresh::{self, Build};

/// What to do with lists.
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
    /// The list as it was
    old: PathBuf,
    /// The list as it is to be
    new: PathBuf,
    /// Print the changes as JSON, a line each
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
            format: Format::Auto,
            effect: Effect::Block,
            plain: None,
            action: Action::NxDomain,
            ttl: 60,
            authority: None,
        };
        let settings = Settings { lists: vec![list], ..Settings::default() };
        let build = Build { progress: &bar, left_out: false };
        refresh::compile(&settings, build).map(|(policy, _)| policy).map_err(|e| e.to_string())
    };
    let (old, new) = (load(&args.old)?, load(&args.new)?);
    drop(bar);
    let asker = Asker { client: IpAddr::V4(Ipv4Addr::LOCALHOST), qtype: Qtype::A };
    let mut changed = 0;
    for (name, below) in questions(&old, &new) {
        let was = decide(&old, name.as_name(), asker);
        let is = decide(&new, name.as_name(), asker);
        if effect(&old, was) == effect(&new, is) {
            continue;
        }
        changed += 1;
        let shown = if below { format!("*.{}", parent(&name)) } else { name.to_string() };
        let (was, is) = (one_line(&old, was, name.as_name()), one_line(&new, is, name.as_name()));
        if args.json {
            say(&serde_json::json!({ "name": shown, "old": was, "new": is }).to_string());
        } else {
            say(&format!("{shown}: {was} -> {is}"));
        }
    }
    let only = |a: &Policy, b: &Policy| {
        let of = |p: &Policy| p.patterns().map(|(rule, _)| rule.to_string()).collect::<BTreeSet<_>>();
        of(a).difference(&of(b)).cloned().collect::<Vec<_>>()
    };
    for (sign, rules) in [("removed", only(&old, &new)), ("added", only(&new, &old))] {
        for rule in rules {
            changed += 1;
            if args.json {
                say(&serde_json::json!({ "pattern": rule, "change": sign }).to_string());
            } else {
                say(&format!("pattern {rule}: {sign}; it may change names that no rule names"));
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

/// Every name that a rule of either list names, and for rules on what is below a name one such name.
fn questions(old: &Policy, new: &Policy) -> BTreeSet<(NameBuf, bool)> {
    let mut all = BTreeSet::new();
    for policy in [old, new] {
        policy.for_each_name(|name, matching| {
            if matching != Match::Subdomains {
                all.insert((name.clone(), false));
            }
            if matching != Match::Exact
                && let Ok(below) = NameBuf::try_from([b"\x01*", name.as_bytes()].concat())
            {
                all.insert((below, true));
            }
        });
    }
    all
}

fn parent(name: &NameBuf) -> NameBuf {
    name.as_name().parent().map_or_else(|| name.clone(), Name::to_buf)
}

/// What a client would notice.
fn effect(policy: &Policy, verdict: Verdict) -> Option<Action> {
    match verdict {
        Verdict::Blocked(d) => policy.action(d.rule, d.list).cloned(),
        Verdict::NoRule | Verdict::Allowed(_) | Verdict::Logged(_) => None,
    }
}
