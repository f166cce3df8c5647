//! `portcullis scenario worksheet`: a worksheet for a class, and its answer key.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use crate::cli::{OK, say, say_json};
use crate::stage::shipped;
use crate::stage::worksheet::Sheet;
use crate::stage::worksheet::key::Key;
use crate::stage::worksheet::log::Log;

/// Options of `scenario worksheet`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  portcullis scenario worksheet ru-2016-linkedin --seed 7 > sheet.md\n  \
    portcullis scenario worksheet ru-2016-linkedin --seed 7 --key > key.md\n  \
    portcullis scenario worksheet ru-2016-linkedin --questions 3\n  \
    portcullis scenario worksheet cn-gfw-injection --blind\n  \
    portcullis scenario worksheet ru-2016-linkedin --log run.jsonl   (what `scenario run --record` wrote)")]
pub(in crate::cli) struct Args {
    /// A scenario that comes with the program, or a file
    name: String,
    /// The seed for the choice of questions and all random draws; by default the scenario's own
    #[arg(long, value_name = "N", value_parser = crate::cli::seed)]
    seed: Option<u64>,
    /// The most questions, 1 to 50: 8 suit homework or a lesson, 3 a quarter of an hour
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=50))]
    questions: u8,
    /// Print the answer key for this seed's sheet: the replies, and the rule behind each
    #[arg(long)]
    key: bool,
    /// Print the answer key for the queries in this record instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "blind", "questions"])]
    log: Option<PathBuf>,
    /// Hide the names of the scenario and its networks, as `scenario run --blind` does; the key has both
    #[arg(long)]
    blind: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    let scenario = shipped::load(&args.name)?;
    let (text, json);
    if let Some(path) = &args.log {
        let file = path.display().to_string();
        let lines = File::open(path).map_err(|e| format!("{file}: {e}"))?;
        let log = Log::read(&scenario, &file, BufReader::new(lines))?;
        (text, json) = (log.text(), log.json());
    } else {
        let seed = args.seed.unwrap_or(scenario.seed);
        let sheet = Sheet::new(&scenario, &args.name, seed, args.questions.into(), args.blind);
        if args.key {
            let key = Key::new(&sheet, shipped::load(&args.name)?, crate::cli::now())?;
            (text, json) = (key.text(), key.json());
        } else {
            (text, json) = (sheet.text(), sheet.json());
        }
    }
    if args.json {
        say_json(&json);
    } else {
        say(text.trim_end());
    }
    Ok(OK)
}
