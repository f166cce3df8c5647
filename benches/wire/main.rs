//! Measures servers over the wire; `run.sh` and `stress.sh` beside this file show how to use it.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod asker;
mod batch;
#[path = "../common/mod.rs"]
mod common;
mod echo;
mod first;
mod histogram;
mod lane;
mod list;
mod load;
mod machine;
mod query;
mod report;
mod table;
mod upstream;
mod workload;

use std::io;

use clap::{CommandFactory, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "wire", about = "Measures DNS servers over loopback.")]
struct Command {
    /// What `cargo bench` adds
    #[arg(long, global = true, hide = true)]
    bench: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Queries a server as fast as it answers, and checks every reply
    Load(load::Load),
    /// Sends every packet back: the ceiling
    Echo(echo::Echo),
    /// Answers every query with one address, or fails in a chosen way
    Upstream(upstream::Upstream),
    /// Waits for the first correct answer of a server
    First(first::First),
    /// Makes tables of the JSON lines of `load` and `first`
    Table(table::Table),
    /// Writes the list of blocked names in every format
    List(list::List),
}

fn main() -> io::Result<()> {
    match Command::parse().what {
        Some(What::Load(load)) => load::run(&load),
        Some(What::Echo(echo)) => echo::run(&echo),
        Some(What::Upstream(upstream)) => upstream::run(&upstream),
        Some(What::First(first)) => first::run(&first),
        Some(What::Table(table)) => table::run(&table),
        Some(What::List(list)) => list::run(&list),
        // `cargo bench` runs every bench without arguments; then there is nothing to measure.
        None => Command::command().print_help(),
    }
}
