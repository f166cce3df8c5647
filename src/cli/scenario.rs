//! `portcullis scenario`: censors as data, and probes that look for them.

use super::judge;

/// What to do with scenarios.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Ask a resolver and a control, and say what probes for censorship would make of the answers
    Judge(judge::Args),
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<u8, String> {
    match command {
        Command::Judge(args) => judge::run(args),
    }
}
