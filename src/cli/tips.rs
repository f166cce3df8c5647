//! Tips for a configuration file that is not read, and for arguments in the wrong place.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The name that the configuration has by convention.
const FILE: &str = "portcullis.toml";

/// The warning of a command that runs without `-c` in a folder where a configuration is.
pub(super) fn unread() -> Option<String> {
    Path::new(FILE).is_file().then(|| format!("{FILE} is here and is not read; write -c {FILE}"))
}

/// Adds to an error about an argument that nothing takes how to write it.
pub(super) fn add(error: &mut clap::Error, arguments: &[OsString]) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return };
    let at = |word: &str| arguments.iter().position(|argument| argument == word);
    let takes_only_a_file = ["serve", "check"].iter().any(|command| at(command) == Some(1));
    let before = at(unknown).and_then(|at| arguments.get(at.checked_sub(1)?));
    if unknown.starts_with('-') {
        return;
    }
    let tip = if before.is_some_and(|word| word == "--probe") {
        format!("write --probe={unknown}")
    } else if takes_only_a_file || Path::new(unknown).extension().is_some_and(|kind| kind == "toml") {
        format!("write -c {unknown}")
    } else {
        return;
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
}
