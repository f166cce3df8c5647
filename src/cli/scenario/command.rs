//! The subcommands of `portcullis scenario`.

use super::{check, judge, list, play, show, worksheet};

/// The subcommands.
#[derive(clap::Subcommand)]
pub(in crate::cli) enum Command {
    /// List the scenarios that come with the program
    List(list::Args),
    /// Show what a scenario imitates: events, networks, and rules with their evidence
    Show(show::Args),
    /// Play a scenario: answer as the censor did
    Run(play::Args),
    /// Read a scenario file, verify its expectations, and report errors
    Check(check::Args),
    /// Query a resolver and a control, and judge the replies as censorship probes would
    Judge(judge::Args),
    /// Print a worksheet for a class, or its answer key
    Worksheet(worksheet::Args),
}

/// Runs a subcommand.
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
