//! `portcullis check`: what would be served, and what is wrong.

use std::path::PathBuf;

use super::{OK, WARNED, say};
use crate::sources::refresh::{self, Report};

/// Lines shown of a list that has many bad ones.
const SHOWN: usize = 20;

/// Options of `check`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis check --config portcullis.toml --strict\n\n\
    Exit codes: 0 all is well; 1 with --strict, if a line of a list was skipped; 2 it cannot be served.")]
pub(super) struct Args {
    /// The configuration file; without one the built-in default is checked
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Exit 1 if any line of a list was skipped
    #[arg(long)]
    strict: bool,
    /// Show every skipped line, not just the first twenty of each list
    #[arg(long)]
    lines: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    let settings = super::settings(args.config.as_ref())?;
    let (_, mut report) = refresh::compile(&settings).map_err(|e| e.to_string())?;
    refresh::zones(&settings, &mut report).map_err(|e| e.to_string())?;
    if args.json {
        json(&report);
    } else {
        text(&report, args.lines);
    }
    let skipped = report.lists.iter().any(|l| !l.skipped.is_empty());
    Ok(if args.strict && skipped { WARNED } else { OK })
}

fn text(report: &Report, all: bool) {
    for list in &report.lists {
        let (name, format, source) = (&list.name, list.format, &list.source);
        let (lines, rules, skipped) = (list.lines, list.rules, list.skipped.len());
        say(&format!(
            "list {name}: {rules} rules from {lines} lines, {skipped} skipped ({format}, {source})"
        ));
        let shown = if all { usize::MAX } else { SHOWN };
        for skip in list.skipped.iter().take(shown) {
            say(&format!("  line {}: {}: {}", skip.line, skip.reason, skip.text));
        }
        if skipped > shown {
            say(&format!("  and {} more; --lines shows them", skipped - shown));
        }
    }
    for zone in &report.zones {
        say(&format!("zone {}: {} names ({})", zone.origin, zone.names, zone.source));
    }
    let (rules, duplicates, bytes) = (report.rules, report.duplicates, report.index_bytes);
    say(&format!("{rules} rules in the index ({bytes} octets), {duplicates} duplicates left out"));
}

fn json(report: &Report) {
    let lists: Vec<_> =
        report
            .lists
            .iter()
            .map(|l| {
                let skipped: Vec<_> = l.skipped.iter().map(|s| {
            serde_json::json!({ "line": s.line, "reason": s.reason.to_string(), "text": s.text })
        }).collect();
                serde_json::json!({
                    "name": l.name, "source": l.source, "format": l.format.to_string(), "lines": l.lines,
                    "rules": l.rules, "skipped": skipped,
                })
            })
            .collect();
    let zones: Vec<_> = report
        .zones
        .iter()
        .map(|z| serde_json::json!({ "origin": z.origin.to_string(), "source": z.source, "names": z.names }))
        .collect();
    say(&serde_json::json!({
        "lists": lists, "zones": zones, "rules": report.rules, "duplicates": report.duplicates,
        "index_bytes": report.index_bytes,
    })
    .to_string());
}
