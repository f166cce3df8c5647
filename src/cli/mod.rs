//! The command line: its commands, and the exit code.

mod check;
mod compile;
mod ctl;
mod demo;
mod explain;
mod exposed;
mod lists;
#[cfg(feature = "log-sqlite")]
mod log;
mod named;
mod progress;
mod scenario;
mod serve;
mod shipped;
mod tips;

use std::ffi::OsString;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ipnet::IpNet;

use crate::config;
use crate::dns::{clean_json, clean_lines, is_unsafe};
use crate::net::now;
use crate::settings::Settings;

/// Everything went as asked.
const OK: u8 = 0;
/// Something was found that the user asked to treat as a failure.
const WARNED: u8 = 1;
/// A mistake in the command line, the configuration or a list; nothing was started.
const FAILED: u8 = 2;

/// A DNS server that blocks names, forwards the rest, and says why.
#[derive(Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
#[command(after_help = "Example:\n  portcullis demo\n  dig @127.0.0.1 -p 5300 linkedin.com")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a demonstration on loopback, offline: a little internet and the LinkedIn ban
    Demo(demo::Args),
    /// Run the server
    Serve(serve::Args),
    /// Read the configuration and every list; report what would be served and all errors
    Check(check::Args),
    /// Explain how one question would be answered, and which rule decides
    Explain(explain::Args),
    /// Give orders to a running server: pause, allow or block a name for a while
    Ctl(ctl::Args),
    /// Compile lists into one index file, to be read at start with `format = "index"`
    Compile(compile::Args),
    /// Compare lists
    #[command(subcommand, after_help = "Example:\n  portcullis lists diff ads.yesterday.txt ads.txt")]
    Lists(lists::Command),
    /// Search the query log: what was asked, by whom, and what became of it
    #[cfg(feature = "log-sqlite")]
    #[command(
        subcommand,
        after_help = "Example:\n  portcullis log search -c portcullis.toml --client 192.168.1.7"
    )]
    Log(log::Command),
    /// Imitate censors, and test resolvers for censorship
    #[command(
        subcommand,
        after_help = "Example:\n  portcullis scenario list\n  portcullis scenario run ru-2016-linkedin --port-per-network"
    )]
    Scenario(scenario::Command),
}

/// Runs the program with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(mut error) => {
            tips::add(&mut error, &arguments);
            // Help and version go to standard output and are not failures; clap knows which is which. Errors
            // repeat the arguments, which may come from a file or a script.
            if arguments.iter().any(|given| given.to_string_lossy().contains(is_unsafe)) {
                let _ = write!(std::io::stderr(), "{}", clean_lines(&error.render().to_string()));
            } else {
                let _ = error.print();
            }
            return if error.use_stderr() { FAILED } else { OK };
        }
    };
    let done = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(args),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Compile(args) => compile::run(&args),
        Command::Lists(command) => lists::run(&command),
        #[cfg(feature = "log-sqlite")]
        Command::Log(command) => log::run(&command),
        Command::Scenario(command) => scenario::run(&command),
    };
    done.unwrap_or_else(|problem| {
        say_error(&problem);
        FAILED
    })
}

/// An error on standard error, in one paragraph.
fn say_error(problem: &str) {
    let _ = writeln!(std::io::stderr(), "portcullis: {}", clean_lines(problem));
}

/// Warns of a configuration in the folder, where none is named.
fn warn_if_unread(config: Option<&PathBuf>) {
    if config.is_none()
        && let Some(warning) = tips::unread()
    {
        say_error(&format!("warning: {warning}"));
    }
}

/// A line, or several, on standard output. A closed pipe is not an error here.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{}", clean_lines(line));
}

/// The same for a line with colours of our own; `line` has nothing from outside that is not [`clean`] already.
fn say_coloured(line: &str) {
    let colours = |c: char| c == '\x1b';
    let text: Vec<_> = line.split(colours).map(clean_lines).collect();
    let _ = writeln!(std::io::stdout(), "{}", text.join("\x1b"));
}

/// A line of JSON on standard output.
fn say_json(value: &serde_json::Value) {
    let _ = writeln!(std::io::stdout(), "{}", clean_json(&value.to_string()));
}

/// Reads an option: an address and a port.
fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, such as 127.0.0.1:5300".into())
}

/// Reads an option: a network, or a single address.
fn network(text: &str) -> Result<IpNet, String> {
    let one = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| one()).map_err(|_| "expected a network, such as 192.168.1.0/24".into())
}

/// Reads an option: the seed of random draws.
fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// A number with its noun.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A number with its noun.
fn count_u64(number: u64, noun: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), noun)
}

/// The settings of a file, or the built-in ones without a file.
fn settings(file: Option<&PathBuf>) -> Result<Settings, String> {
    match file {
        Some(path) => config::load(path).map_err(|e| e.to_string()),
        None => Ok(shipped::settings()),
    }
}
