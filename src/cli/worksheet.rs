//! `portcullis scenario worksheet`: a sheet of questions for a class, and its key.

/// Options of `scenario worksheet`.
#[derive(clap::Args)]
pub(super) struct Args {}

/// Runs the command.
pub(super) fn run(_: &Args) -> Result<u8, String> {
    Err("not yet".into())
}
