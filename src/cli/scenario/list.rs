//! `portcullis scenario list`: the scenarios that come with the program.

use super::show::day;
use crate::censor::{Evidence, Scenario};
use crate::cli::{OK, say, say_json};
use crate::stage::shipped;

/// Options of `scenario list`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis scenario list")]
pub(in crate::cli) struct Args {
    /// Print one line of JSON for each scenario
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
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
            say_json(&line);
        } else {
            say(&format!("{name:<24} {}", scenario.title));
        }
    }
    if !args.json {
        say("\nportcullis scenario show NAME describes one; portcullis scenario run NAME plays it.");
    }
    Ok(OK)
}

fn measured(scenario: &Scenario) -> usize {
    scenario.rules.iter().filter(|r| r.evidence == Evidence::Measured).count()
}
