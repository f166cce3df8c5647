//! `portcullis check`: what would be served, and all errors.

mod authorities;
mod dead;
mod probe;
mod running;
mod serving;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::progress::Bar;
use super::{FAILED, OK, WARNED, count, exposed, say, say_json};
use crate::app::kept_orders;
use crate::config::{
    self,
    error::{KeyPath, Mistake},
};
use crate::lists::Detected;
use crate::policy::Account;
use crate::settings::{GroupSettings, Settings};
use crate::sources::{self, Build, BuildError, Failure, ListReport, Part, Report};

/// Lines shown of a list that has many bad ones.
const SHOWN: usize = 20;

/// Options of `check`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis check --config portcullis.toml --strict\n\n\
    Exit codes: 0 no errors; 1 with --strict, if a line of a list is invalid or unsupported, a list has \
    an alarm, something can never have an effect, strangers can abuse the server, an upstream fails under --probe, or the file of kept orders is damaged; 2 the configuration cannot be served.")]
pub(super) struct Args {
    /// The configuration file; by default the built-in configuration is checked
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Exit 1 if any line of a list is invalid or unsupported, a list gives no rules, an upstream fails, or the
    /// file of kept orders is damaged
    #[arg(long)]
    strict: bool,
    /// Show every unused line of the lists: invalid, unsupported, duplicate and covered
    #[arg(long)]
    lines: bool,
    /// Send each upstream one query: for the name servers of the root, or for the addresses of NAME
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = ".")]
    probe: Option<String>,
    /// Print the report, or the errors, as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    super::warn_if_unread(args.config.as_ref());
    let read = args.config.as_ref().map(|path| config::load(path)).transpose();
    let settings = match read {
        Ok(settings) => settings.map_or_else(|| super::settings(None), Ok)?,
        Err(error) if args.json => return Ok(json_errors(&serde_json::json!(error))),
        Err(error) => return Err(error.to_string()),
    };
    let bar = Bar::default();
    let how = Build { progress: &bar, left_out: args.lines, ..Build::default() };
    let built = BuildError::both(sources::compile(&settings, how), sources::zones(&settings));
    drop(bar);
    let (policy, mut report) = match built {
        Ok(((policy, report), (_, zones))) => (policy, Report { zones, ..report }),
        Err(error) if args.json => {
            let config = args.config.as_deref().unwrap_or(Path::new(""));
            let mistakes: Vec<_> =
                error.0.iter().map(|failure| mistake(failure, &settings, config)).collect();
            return Ok(json_errors(&serde_json::json!(mistakes)));
        }
        Err(error) => return Err(error.to_string()),
    };
    running::compare(&settings, &mut report.lists);
    let probed = args.probe.as_ref().map(|name| probe::probe(&settings, name)).transpose()?;
    let probed = probed.unwrap_or_default();
    let dead = dead::all(&settings, &policy, super::now().unix);
    let exposed = exposed::all(&settings);
    let patterns = sources::pattern_time(&policy, super::now).map(|time| (policy.pattern_count(), time));
    let slow = patterns.and_then(|(_, time)| sources::slow_patterns(time));
    let damaged = kept_orders(&settings).err().map(|e| e.to_string());
    if args.json {
        let probes = args.probe.as_ref().map(|_| probed.iter().map(probe::Probed::json).collect());
        say_json(&json(
            &report,
            &settings,
            Found { dead: &dead, exposed: &exposed, patterns, damaged: damaged.as_deref() },
            probes.as_ref(),
        ));
    } else {
        serving::text(&settings).iter().for_each(|line| say(line));
        probed.iter().for_each(|server| say(&server.text()));
        text(&report, args.lines);
        if let Some((number, time)) = patterns {
            say(&format!("{} cost up to {} µs per query", count(number, "pattern"), micros(time)));
        }
        slow.iter().for_each(|warning| say(&format!("warning: {warning}")));
        policy_text(&settings).iter().for_each(|line| say(line));
        dead.iter().for_each(|dead| say(&format!("warning: {}", dead.text)));
        exposed.iter().for_each(|exposed| say(&format!("warning: {}", exposed.text)));
        if let Some(problem) = &damaged {
            say(&format!(
                "warning: {problem}; correct or remove the file: until then a server starts without kept orders"
            ));
        }
    }
    let bad = |list: &ListReport| {
        let Account { invalid, unsupported, .. } = list.account;
        !list.skipped.is_empty()
            || invalid + unsupported > 0
            || list.reading.addressed > 0
            || !list.warnings().is_empty()
    };
    let bad = damaged.is_some()
        || slow.is_some()
        || !dead.is_empty()
        || !exposed.is_empty()
        || probed.iter().any(probe::Probed::has_failed)
        || report.lists.iter().any(bad);
    Ok(if args.strict && bad { WARNED } else { OK })
}

/// What was found apart from lists and zones.
#[derive(Clone, Copy)]
struct Found<'f> {
    dead: &'f [dead::Dead],
    exposed: &'f [exposed::Exposed],
    /// The number of patterns, and the time they take.
    patterns: Option<(usize, Duration)>,
    damaged: Option<&'f str>,
}

fn micros(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e6)
}

fn text(report: &Report, all: bool) {
    for list in &report.lists {
        for line in list_text(list, all) {
            say(&line);
        }
    }
    for zone in &report.zones {
        say(&format!("zone {}: {} ({})", zone.origin, count(zone.names, "name"), zone.source));
    }
    let octets = report.index_bytes;
    say(&format!("{} in the index ({octets} octets)", count(report.rules, "rule")));
}

/// The settings apart from lists and zones: groups, who answers, block page, control socket.
fn policy_text(settings: &Settings) -> Vec<String> {
    let addresses = |all: &[SocketAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut out = Vec::new();
    for group in &settings.groups {
        let clients = match (group.networks.len(), group.listeners.as_slice()) {
            (0, []) => "all other clients".to_owned(),
            (0, at) => format!("clients that ask at {}", addresses(at)),
            (n, []) => count(n, "network"),
            (n, at) => format!("{} at {}", count(n, "network"), addresses(at)),
        };
        let lists = group_lists(settings, group);
        let lists = match &lists {
            None => "all lists".to_owned(),
            Some(lists) if lists.is_empty() => "no list".to_owned(),
            Some(lists) => format!("lists {}", lists.join(" ")),
        };
        let inactive = group.schedule.as_ref().is_some_and(|s| !s.is_active(super::now().unix));
        let inactive = if inactive { "; inactive now by its schedule" } else { "" };
        let closed = group.closed.unwrap_or(settings.policy.closed);
        let closed = if closed { "; blocks every name that no rule lets pass" } else { "" };
        out.push(format!("group {}: {clients}; {lists}{closed}{inactive}", group.name));
    }
    out.extend(authorities::text(settings));
    if let Some(page) = &settings.blockpage {
        out.push(format!("block page: {}", addresses(&page.listen)));
        if !page.refuse_tls.is_empty() {
            out.push(format!("TLS refused: {}", addresses(&page.refuse_tls)));
        }
    }
    if let Some(control) = &settings.control {
        out.push(format!("orders: {}", control.socket.display()));
    }
    out
}

/// The names of a group's lists, each once; `None`: all.
fn group_lists(settings: &Settings, group: &GroupSettings) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for number in group.lists.as_ref()? {
        if let Some(list) = settings.lists.get(usize::from(*number))
            && !names.contains(&list.name)
        {
            names.push(list.name.clone());
        }
    }
    Some(names)
}

/// A list's account, and its lines that are not used: the first of them, or all.
pub(super) fn list_text(list: &ListReport, all: bool) -> Vec<String> {
    let (name, format, source) = (&list.name, list.format, &list.source);
    if list.lines == 0 && list.rules > 0 {
        let mut out = vec![format!("list {name}: {} ({format}, {source})", count(list.rules, "rule"))];
        out.extend(list.reading.notes().into_iter().map(|note| format!("  {note}")));
        return out;
    }
    let lines = count(list.lines as usize, "line");
    let mut out = vec![format!("list {name}: {lines} ({format}, {source}): {}", account_text(&list.account))];
    out.extend(list.detected.and_then(detected_text));
    out.extend(list.reading.notes().into_iter().map(|note| format!("  {note}")));
    out.extend(list.warnings().iter().map(|warning| format!("warning: {warning}")));
    let skipped = list.skipped.iter().map(|s| (s.line, format!("{}: {}", s.reason, s.text)));
    let confined = list.confined.iter().map(|c| (c.line, format!("{}: {}", c.fate(), c.rule)));
    let left_out = list.account.left_out.iter().map(|l| (l.line, format!("{}: {}", l.fate.word(), l.rule)));
    let mut shown: Vec<(u32, String)> = skipped.chain(confined).chain(left_out).collect();
    shown.sort_by_key(|(line, _)| *line);
    let limit = if all { usize::MAX } else { SHOWN };
    out.extend(shown.iter().take(limit).map(|(line, text)| format!("  line {line}: {text}")));
    let unkept = (list.unkept.invalid + list.unkept.unsupported) as usize;
    if unkept > 0 {
        out.push(format!(
            "  and {unkept} more unused lines, of which only the number was kept (`max-bad-lines`)"
        ));
    }
    if shown.len() > limit {
        out.push(format!("  and {} more; --lines shows them", shown.len() - limit));
    }
    out
}

/// How sure the format is; nothing for a list of comments only.
fn detected_text(found: Detected) -> Option<String> {
    let Detected { format, lines, read, certain, runner_up, .. } = found;
    let share = |read: u32| u64::from(read) * 100 / u64::from(lines.max(1));
    let next = runner_up
        .map_or(String::new(), |(other, read)| format!(", and as {other} {read} ({} %)", share(read)));
    let certain = if certain { "; one of its lines says so" } else { "" };
    let text = format!(
        "  format detected: as {format} it has {read} readable lines of {lines} ({} %){next}{certain}",
        share(read)
    );
    (lines > 0).then_some(text)
}

/// The same for a script.
fn detected_json(found: Detected) -> serde_json::Value {
    let Detected { format, lines, read, certain, runner_up, .. } = found;
    let share = |read: u32| f64::from(read) / f64::from(lines.max(1));
    let next = runner_up.map(|(format, read)| {
        serde_json::json!({ "format": format.to_string(), "readable": read, "confidence": share(read) })
    });
    serde_json::json!({
        "format": format.to_string(), "lines": lines, "readable": read, "confidence": share(read),
        "certain": certain, "runner_up": next,
    })
}

/// The account of a list in one line, without zero counts.
fn account_text(account: &Account) -> String {
    let parts = [
        (account.used, "used"),
        (account.duplicate, "duplicate"),
        (account.covered, "covered by a broader rule"),
        (account.cancelled, "taken back"),
        (account.unsupported, "unsupported"),
        (account.invalid, "invalid"),
        (account.confined, "not allowed by `may`"),
        (account.blank, "empty or comment"),
    ];
    let words: Vec<String> = parts
        .iter()
        .filter(|(n, word)| *n > 0 || *word == "used")
        .map(|(n, word)| format!("{n} {word}"))
        .collect();
    words.join(", ")
}

/// What failed, as a mistake like those of the configuration: with the file that is to blame, and the key that
/// names it.
fn mistake(failure: &Failure, settings: &Settings, config: &Path) -> Mistake {
    let key = match &failure.what {
        Part::List { name, .. } => {
            // The lists of a table with times of its own share a name; others have no table.
            let mut names: Vec<&str> = settings.lists.iter().map(|list| list.name.as_str()).collect();
            names.dedup();
            let key = if failure.file.is_some() { "source" } else { "rules" };
            let at = names.iter().position(|other| other == name);
            at.map(|at| KeyPath::table("[[list]]").at(at).key(key))
        }
        Part::Zone(origin) => {
            let at = settings.zones.iter().position(|zone| zone.origin == *origin);
            at.map(|at| KeyPath::table("[[zone]]").at(at).key("file"))
        }
        Part::Other(_) => None,
    };
    Mistake {
        file: failure.file.clone().unwrap_or_else(|| config.into()),
        line: failure.line.map(|line| line as usize),
        column: None,
        key: key.unwrap_or_default(),
        problem: failure.reason.clone(),
        found: None,
        expected: None,
        example: None,
        help: failure.help.map(str::to_owned),
        source: None,
    }
}

/// Prints errors for a script.
fn json_errors(errors: &serde_json::Value) -> u8 {
    say_json(&serde_json::json!({ "errors": errors }));
    FAILED
}

fn json(
    report: &Report,
    settings: &Settings,
    found: Found<'_>,
    probes: Option<&serde_json::Value>,
) -> serde_json::Value {
    let dead: Vec<_> = found.dead.iter().map(dead::Dead::json).collect();
    let exposed: Vec<_> = found.exposed.iter().map(exposed::Exposed::json).collect();
    let patterns = found.patterns.map(
        |(number, time)| serde_json::json!({ "patterns": number, "microseconds": time.as_secs_f64() * 1e6, "warning": sources::slow_patterns(time) }),
    );
    let lists: Vec<_> = report.lists.iter().map(list_json).collect();
    let zones: Vec<_> = report
        .zones
        .iter()
        .map(|z| serde_json::json!({ "origin": z.origin.to_string(), "source": z.source, "names": z.names }))
        .collect();
    let groups: Vec<_> = settings
        .groups
        .iter()
        .map(|g| {
            serde_json::json!({
                "name": g.name, "networks": g.networks, "listen": g.listeners,
                "lists": group_lists(settings, g),
            })
        })
        .collect();
    let forwards: Vec<_> = settings
        .forwards
        .iter()
        .map(|f| {
            let servers: Vec<String> = f.servers.iter().map(|s| s.at.to_string()).collect();
            serde_json::json!({ "suffix": f.suffix.to_string(), "servers": servers })
        })
        .collect();
    serde_json::json!({
        "lists": lists, "zones": zones, "rules": report.rules, "index_bytes": report.index_bytes,
        "groups": groups, "forwards": forwards, "authorities": authorities::json(settings),
        "serving": serving::json(settings), "probes": probes, "state_problem": found.damaged, "without_effect": dead, "exposed": exposed, "pattern_cost": patterns,
    })
}

/// A list's report for a script.
pub(super) fn list_json(list: &ListReport) -> serde_json::Value {
    let skipped: Vec<_> = list
        .skipped
        .iter()
        .map(|s| {
            let class = if s.reason.is_unsupported() { "unsupported" } else { "invalid" };
            serde_json::json!({ "line": s.line, "class": class, "reason": s.reason.to_string(), "text": s.text })
        })
        .collect();
    let left_out: Vec<_> = list
        .account
        .left_out
        .iter()
        .map(|l| serde_json::json!({ "line": l.line, "reason": l.fate.word(), "rule": l.rule }))
        .collect();
    let confined: Vec<_> = list
        .confined
        .iter()
        .map(|c| {
            serde_json::json!({
                "line": c.line, "may_not": c.power.word(), "weaker": c.weaker, "reason": c.fate(), "rule": c.rule,
            })
        })
        .collect();
    let (a, r) = (&list.account, &list.reading);
    let stars = (r.stars > 0).then_some(if r.below { "below" } else { "suffix" });
    let warnings: Vec<(&str, String)> = list.warnings().iter().map(|w| (w.kind(), w.to_string())).collect();
    serde_json::json!({
        "name": list.name, "source": list.source, "format": list.format.to_string(), "lines": list.lines,
        "rules": list.rules, "warning": warnings.first().map(|w| &w.1), "warnings": warnings.iter().map(|(kind, text)| serde_json::json!({ "kind": kind, "text": text })).collect::<Vec<_>>(), "skipped": skipped, "left_out": left_out,
        "confined": confined, "not_kept": { "invalid": list.unkept.invalid, "unsupported": list.unkept.unsupported },
        "detected": list.detected.map(detected_json),
        "reading": {
            "star_lines": r.stars, "star_match": stars, "one_family_lines": r.one_family,
            "left_out_by_attributes": r.not_chosen, "other_addresses": r.addressed, "notes": r.notes(),
        },
        "account": {
            "used": a.used, "duplicate": a.duplicate, "covered": a.covered, "cancelled": a.cancelled,
            "unsupported": a.unsupported, "invalid": a.invalid, "confined": a.confined, "blank": a.blank,
        },
    })
}
