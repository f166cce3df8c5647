//! What is done with scenarios: a word each.

use super::{check, judge, list, play, show, worksheet};

/// What is done with scenarios.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// The scenarios that come with the program
    List(list::Args),
    /// What a scenario imitates: its story, networks, rules, and how sure each of them is
    Show(show::Args),
    /// Play a scenario: answer as the censor did
    Run(play::Args),
    /// Read a scenario file, ask everything that it expects, and say what is wrong
    Check(check::Args),
    /// Ask a resolver and a control, and say what probes for censorship would make of the answers
    Judge(judge::Args),
    /// A sheet of questions for a class, and its key
    Worksheet(worksheet::Args),
}

/// Runs one of them.
pub(in crate::cli) fn run(command: &Command) -> Result<u8, String> {
    match command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Run(args) => play::run(args),
        Command::Check(args) => Ok(check::run(args)),
        Command::Judge(args) => judge::run(args),
        Command::Worksheet(args) => worksheet::run(args),
    }
}
