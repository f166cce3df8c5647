//! `portcullis scenario`: imitates censors and tests for censorship; a file for each command.

mod check;
mod command;
mod judge;
mod list;
mod commands;
mod play;
mod replay;
mod show;
mod worksheet;

pub(super) use command::{Command, run};
