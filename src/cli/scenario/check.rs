//! `portcullis scenario check`: reads scenario files and verifies their expectations.

use std::path::PathBuf;

use crate::censor::StubMode;
use crate::cli::{FAILED, OK, count, now, say, say_error, say_json};
use crate::stage::shipped;
use crate::stage::world::{Setting, World};

/// Options of `scenario check`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis scenario check my-provider.toml\n\n\
    Exit codes: 0 no errors; 2 an error in a file, or an expectation that does not hold.")]
pub(in crate::cli) struct Args {
    /// Scenario files, or names of shipped scenarios; by default all that are shipped
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Print one line of JSON for each scenario
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> u8 {
    let all = || shipped::ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files: Vec<String> = if args.files.is_empty() { all() } else { args.files.clone() };
    let mut code = OK;
    for file in &files {
        let (summary, problem) = match checked(file) {
            Ok(summary) => (Some(summary), None),
            Err(problem) => (None, Some(problem)),
        };
        if problem.is_some() {
            code = FAILED;
        }
        if args.json {
            let line = serde_json::json!({ "file": file, "ok": problem.is_none(), "problem": problem });
            say_json(&line);
        } else if let Some(problem) = problem {
            say_error(&problem);
        } else {
            say(&format!("{file}: {}", summary.unwrap_or_default()));
        }
    }
    code
}

/// Reads a file and verifies its expectations.
fn checked(file: &str) -> Result<String, String> {
    let scenario = shipped::load(file)?;
    let (rules, networks) = (scenario.rules.len(), scenario.networks.len());
    let asked = scenario.expects.len();
    let path: PathBuf = match shipped::ALL.iter().any(|(name, _)| *name == file) {
        true => format!("blocklists/scenarios/{file}.toml").into(),
        false => file.into(),
    };
    // Nothing is sent, so the file's own addresses are safe, and errors show them as the file has them.
    let stubs = Some(StubMode::Historical);
    let setting = Setting { by_listener: true, stubs, ..Setting::default() };
    let now = now();
    let world = World::new(scenario, &setting, now).map_err(|e| format!("{}: {e}", path.display()))?;
    world.check(now).map_err(|wrong| {
        let lines: Vec<String> = wrong
            .iter()
            .map(|(line, why)| format!("{}:{line}: [[expect]]: does not hold: {why}", path.display()))
            .collect();
        lines.join("\n")
    })?;
    let rules = count(rules, "rule");
    let networks = count(networks, "network");
    let hold = if asked == 1 { "holds" } else { "hold" };
    Ok(format!("{rules} in {networks}; {} {hold}", count(asked, "expectation")))
}
