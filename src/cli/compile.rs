//! `portcullis compile`: lists → one index file.

use std::path::PathBuf;

use super::check::{list_json, list_text};
use super::progress::Bar;
use super::{OK, WARNED, count, say, say_json};
use crate::policy::{Options, compile, file};
use crate::rule::{Effect, Format, Match};
use crate::settings::{ListSettings, May, Power, TextSource};
use crate::sources::store;
use crate::sources::{self, BuildError, ListReport, Progress, Reading};

/// Options of `compile`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis compile ads.txt trackers.txt.gz -o block.idx\n\n\
    In the configuration:\n  [[list]]\n  name = \"block\"\n  source = \"block.idx\"\n  format = \"index\"\n\n\
    Exit codes: 0 done; 1 with --strict, if a line is invalid or unsupported (nothing is written then); 2 the lists cannot be compiled.")]
pub(super) struct Args {
    /// Lists: text in any format, plain or compressed with gzip or zstd
    #[arg(required = true, value_name = "LIST")]
    lists: Vec<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The format of all lists; auto detects it for each from its lines
    #[arg(long, default_value = "auto", value_parser = format)]
    format: Format,
    /// What names match. A plain name: exact or suffix, by default as the format defines it. `*.name`: the name
    /// and everything below it; with below, only what is below it
    #[arg(long = "match", value_name = "MATCH", value_parser = matching)]
    matching: Option<Match>,
    /// Of v2fly lists, only the rules with all of these attributes; -NAME: only those without it
    #[arg(long, value_name = "NAME", value_delimiter = ',', allow_hyphen_values = true)]
    attributes: Vec<String>,
    /// What plain rules do: block or allow
    #[arg(long, default_value = "block", value_parser = kind)]
    kind: Effect,
    /// What the lists may do: block, allow, rewrite, important, every-name, separated by commas; by default
    /// everything
    #[arg(long, value_name = "WORDS", value_parser = may)]
    may: Option<May>,
    /// Leave out the line numbers of rules: the file is smaller, and `explain` names only the list
    #[arg(long)]
    no_origins: bool,
    /// Write nothing and exit 1 if any line is invalid or unsupported
    #[arg(long)]
    strict: bool,
    /// Show every line that is not used
    #[arg(long)]
    lines: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn format(word: &str) -> Result<Format, String> {
    let known = Format::WORDS.iter().filter(|(_, f)| *f != Format::Index);
    let words: Vec<&str> = known.clone().map(|(w, _)| *w).collect();
    let found = known.clone().find(|(w, _)| *w == word).map(|(_, f)| *f);
    found.ok_or_else(|| format!("expected one of {}", words.join(", ")))
}

pub(super) fn matching(word: &str) -> Result<Match, String> {
    match word {
        "exact" => Ok(Match::Exact),
        "suffix" => Ok(Match::Suffix),
        "below" => Ok(Match::Subdomains),
        _ => Err("expected exact, suffix or below".into()),
    }
}

fn kind(word: &str) -> Result<Effect, String> {
    match word {
        "block" => Ok(Effect::Block),
        "allow" => Ok(Effect::Allow),
        _ => Err("expected block or allow".into()),
    }
}

fn may(words: &str) -> Result<May, String> {
    let known = |word: &str| Power::WORDS.iter().find(|(w, _)| *w == word).map(|(_, power)| *power);
    let powers: Option<Vec<Power>> = words.split(',').map(|word| known(word.trim())).collect();
    let all: Vec<&str> = Power::WORDS.iter().map(|(word, _)| *word).collect();
    powers.map(|powers| May::of(&powers)).ok_or_else(|| format!("expected some of {}", all.join(", ")))
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    let start = super::now();
    let bar = Bar::default();
    let (mut lists, mut failures) = (Vec::with_capacity(args.lists.len()), Vec::new());
    let all = ListSettings {
        format: args.format,
        effect: args.kind,
        plain: args.matching,
        may: args.may.unwrap_or_default(),
        attributes: args.attributes.clone(),
        ..ListSettings::default()
    };
    for path in &args.lists {
        let (name, source) = (path.display().to_string(), TextSource::File(path.clone()));
        let settings = ListSettings { name, source, ..all.clone() };
        match sources::read_text(&settings, &bar) {
            Ok(list) => lists.push((settings.name, list)),
            Err(failure) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(BuildError(failures).to_string());
    }
    bar.stage("compiling");
    let options = Options { lines: !args.no_origins, left_out: args.lines };
    let (compiled, accounts) =
        compile(&lists, options).map_err(|e| format!("{e}; compile fewer or smaller lists"))?;
    // A pattern that cannot be served is an error now, not when the file is loaded.
    sources::serves(&compiled).map_err(|e| e.to_string())?;
    drop(bar);
    let reports: Vec<ListReport> = lists
        .into_iter()
        .zip(accounts)
        .map(|((name, list), account)| ListReport {
            reading: Reading::of(&list, &all),
            source: name.clone(),
            in_file: true,
            name,
            format: list.format,
            lines: list.lines,
            rules: account.used as usize,
            account,
            detected: list.detected,
            unkept: list.unkept,
            before: None,
            kept: None,
            skipped: list.skipped,
            confined: list.confined,
        })
        .collect();
    let bad = args.strict && reports.iter().any(|r| !r.skipped.is_empty());
    let tail = file::tail(&compiled).map_err(|e| e.to_string())?;
    let index = compiled.index.as_bytes();
    if !bad {
        store::write(&args.output, &[index, &tail])
            .map_err(|e| format!("cannot write {}: {e}", args.output.display()))?;
    }
    let took = super::now().at.duration_since(start.at);
    let rules =
        compiled.index.entry_count() + compiled.tables.patterns.len() + compiled.tables.addresses.len();
    let (octets, hot) = (index.len() + tail.len(), compiled.index.hot_len());
    if args.json {
        let lists: Vec<_> = reports.iter().map(list_json).collect();
        let written = (!bad).then(|| args.output.display().to_string());
        say_json(&serde_json::json!({
            "lists": lists, "rules": rules, "octets": octets, "index_octets": hot,
            "milliseconds": u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "written": written,
        }));
    } else {
        for report in &reports {
            list_text(report, args.lines).iter().for_each(|line| say(line));
        }
        let what = if bad { "not written".to_owned() } else { args.output.display().to_string() };
        let millis = took.as_millis();
        let of_them = match index.len() - hot {
            0 => String::new(),
            origins => format!(", {origins} of them for line numbers"),
        };
        say(&format!("{what}: {}, {octets} octets{of_them}; {millis} ms", count(rules, "rule")));
    }
    Ok(if bad { WARNED } else { OK })
}
