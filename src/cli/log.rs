//! `portcullis log`: what was asked, by whom, and what became of it.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::{OK, WARNED, say, say_error};
use crate::config::value::duration_of;
use crate::dns::{NameBuf, Qtype, clean, clean_json};
use crate::net::unix_micros;
use crate::policy::Class;
use crate::settings::DataSettings;
use crate::sinks::row::Row;
use crate::sinks::sqlite::{self, Cursor, Filter, LogError, NameFilter, Page, What};

/// How often a search that follows looks for new queries.
const LOOK: Duration = Duration::from_millis(250);
/// The most queries that it prints at once.
const AT_ONCE: usize = 1000;

/// What the command does.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Search the log, the newest queries first
    #[command(after_help = "Examples:\n  portcullis log search -c portcullis.toml linkedin\n  \
        portcullis log search -c portcullis.toml --client 192.168.1.7 --verdict blocked --since 24h\n  \
        portcullis log search -c portcullis.toml --reference 0f3c9a12\n\n\
        Exit codes: 0 done; 1 a file of the log could not be read; 2 nothing could be searched.")]
    Search(Box<SearchArgs>),
    /// Show the most frequent names, clients, lists or upstreams of some time
    #[command(after_help = "Example:\n  portcullis log top names -c portcullis.toml --since 7d --blocked")]
    Top(TopArgs),
    /// Write everything that matches to standard output, the oldest query first
    #[command(
        after_help = "Example:\n  portcullis log export -c portcullis.toml --since 2026-11-01 --csv > november.csv"
    )]
    Export(Box<ExportArgs>),
    /// Delete what a client asked
    #[command(after_help = "Example:\n  portcullis log purge -c portcullis.toml --client 192.168.1.7")]
    Purge(PurgeArgs),
}

/// Where the log is.
#[derive(clap::Args)]
struct Place {
    /// The configuration file, whose [data] folder has the log
    #[arg(short, long, value_name = "FILE", required_unless_present = "folder")]
    config: Option<PathBuf>,
    /// The folder of the log's files, instead of a configuration
    #[arg(long, value_name = "FOLDER", conflicts_with = "config")]
    folder: Option<PathBuf>,
}

/// Which queries.
#[derive(clap::Args)]
struct Which {
    /// A part of the name
    #[arg(value_name = "PART")]
    part: Option<String>,
    /// The whole name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["part", "suffix"], value_parser = name)]
    name: Option<NameBuf>,
    /// The name, or one below it
    #[arg(long, value_name = "NAME", conflicts_with = "part", value_parser = name)]
    suffix: Option<NameBuf>,
    /// The client's address, or its network
    #[arg(long, value_name = "ADDRESS", value_parser = super::network)]
    client: Option<IpNet>,
    /// pass, allowed, blocked, logged, paused or rewritten
    #[arg(long, value_parser = verdict)]
    verdict: Option<Class>,
    /// The list whose rule decided
    #[arg(long, value_name = "LIST")]
    list: Option<String>,
    /// The type, such as AAAA
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = qtype)]
    qtype: Option<Qtype>,
    /// The reference of a refusal, as the reply and the block page have it
    #[arg(long, value_name = "REFERENCE", value_parser = reference)]
    reference: Option<u32>,
    /// Since a time (2026-11-27T09:00Z, 2026-11-27), or for so long until now (90m, 24h, 7d)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Before a time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
}

/// How it is printed.
#[derive(clap::Args)]
struct Form {
    /// Print each query as a line of JSON
    #[arg(long)]
    json: bool,
    /// Print each query as a line of CSV, below a line with the columns
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// Options of `log search`.
#[derive(clap::Args)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    form: Form,
    /// How many queries are printed at most
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 50)]
    limit: usize,
    /// Begin behind this place, which the search before printed
    #[arg(long, value_name = "PLACE", conflicts_with = "follow")]
    after: Option<Cursor>,
    /// Print queries as they come, until interrupted
    #[arg(short, long)]
    follow: bool,
}

/// Options of `log top`.
#[derive(clap::Args)]
pub(super) struct TopArgs {
    /// names, clients, lists or upstreams
    #[arg(value_parser = what)]
    what: What,
    #[command(flatten)]
    place: Place,
    /// For so long until now (1h, 24h, 7d, 30d), or since a time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    since: i64,
    /// By their blocked queries
    #[arg(long)]
    blocked: bool,
    /// How many are shown
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 10)]
    limit: usize,
    /// Print a list in JSON
    #[arg(long)]
    json: bool,
}

/// Options of `log export`.
#[derive(clap::Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    which: Which,
    /// Write CSV, below a line with the columns, instead of lines of JSON
    #[arg(long)]
    csv: bool,
}

/// Options of `log purge`.
#[derive(clap::Args)]
pub(super) struct PurgeArgs {
    #[command(flatten)]
    place: Place,
    /// The client's address, or its network
    #[arg(long, value_name = "ADDRESS", value_parser = super::network)]
    client: IpNet,
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<u8, String> {
    match command {
        Command::Search(args) => search(args),
        Command::Top(args) => top(args),
        Command::Export(args) => export(args),
        Command::Purge(args) => purge(args),
    }
}

fn search(args: &SearchArgs) -> Result<u8, String> {
    let (folder, filter) = (args.place.folder()?, args.which.filter()?);
    let mut out = std::io::stdout().lock();
    let mut print = |row: &Row| writeln!(out, "{}", args.form.line(row)).is_ok();
    if args.form.csv && !print_columns() {
        return Ok(OK);
    }
    let place = if args.follow {
        sqlite::follow(&folder, &filter, None, 0).map_err(|error| text(&error))?.1
    } else {
        None
    };
    let page =
        sqlite::search(&folder, &filter, args.after.as_ref(), args.limit).map_err(|error| text(&error))?;
    let Page { mut rows, next, problems } = page;
    let code = told(&problems);
    if args.follow {
        // As they came, so that the new ones follow.
        rows.reverse();
    }
    if !rows.iter().all(&mut print) {
        return Ok(code);
    }
    if args.follow {
        return follow(&folder, &filter, place, print);
    }
    match next {
        Some(next) => say_error(&format!("there are more: --after {next}")),
        None if rows.is_empty() => say_error("no query matches"),
        None => {}
    }
    Ok(code)
}

/// Prints what comes, until nobody reads it.
fn follow(
    folder: &std::path::Path,
    filter: &Filter,
    mut place: Option<Cursor>,
    mut print: impl FnMut(&Row) -> bool,
) -> Result<u8, String> {
    // With what was searched before, the place may be a little behind; without a file, the first begins it.
    let mut place = place.take().or_else(|| "1970-01-01.1.0".parse().ok());
    loop {
        match sqlite::follow(folder, filter, place.as_ref(), AT_ONCE) {
            Ok((rows, next)) => {
                place = next.or(place);
                if !rows.iter().all(&mut print) {
                    return Ok(OK);
                }
            }
            // A file may be deleted or closed at this moment.
            Err(problem) => tracing::debug!("{problem}"),
        }
        std::thread::park_timeout(LOOK);
    }
}

fn top(args: &TopArgs) -> Result<u8, String> {
    let found = sqlite::top(&args.place.folder()?, args.what, args.since, args.blocked, args.limit)
        .map_err(|error| text(&error))?;
    let (all, some) = match args.what {
        What::Upstreams => ("replies", "failures"),
        _ => ("queries", "blocked"),
    };
    if args.json {
        let keys =
            found.keys.iter().map(|c| serde_json::json!({ "key": c.key, all: c.queries, some: c.blocked }));
        say(&clean_json(&serde_json::Value::from_iter(keys).to_string()));
    } else {
        say(&format!("{all:>10} {some:>10}"));
        for counted in &found.keys {
            say(&format!("{:>10} {:>10}  {}", counted.queries, counted.blocked, clean(&counted.key)));
        }
    }
    Ok(told(&found.problems))
}

fn export(args: &ExportArgs) -> Result<u8, String> {
    let (folder, filter) = (args.place.folder()?, args.which.filter()?);
    let form = Form { json: !args.csv, csv: args.csv };
    if args.csv && !print_columns() {
        return Ok(OK);
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let problems = sqlite::export(&folder, &filter, |row| match writeln!(out, "{}", form.line(row)) {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    });
    let problems = problems.map_err(|error| text(&error))?;
    out.flush().map_err(|error| format!("the export could not be written to its end: {error}"))?;
    Ok(told(&problems))
}

fn purge(args: &PurgeArgs) -> Result<u8, String> {
    let (deleted, problems) =
        sqlite::purge(&args.place.folder()?, &args.client).map_err(|error| text(&error))?;
    say(&format!("{} deleted", super::count_u64(deleted, "query").replace("querys", "queries")));
    Ok(told(&problems))
}

/// The files that could not be read, on standard error; and the exit code.
fn told(problems: &[LogError]) -> u8 {
    for problem in problems {
        say_error(&format!("warning: {}", clean(&problem.to_string())));
    }
    if problems.is_empty() { OK } else { WARNED }
}

fn text(error: &LogError) -> String {
    format!("{}; is this the folder of a query log?", clean(&error.to_string()))
}

fn print_columns() -> bool {
    writeln!(std::io::stdout(), "{}", Row::COLUMNS.join(",")).is_ok()
}

impl Place {
    fn folder(&self) -> Result<PathBuf, String> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        let settings = super::settings(self.config.as_ref())?;
        let folder = settings.data.as_ref().map(DataSettings::log);
        folder.ok_or_else(|| "the configuration has no [data] folder, so no query log is kept".to_owned())
    }
}

impl Which {
    fn filter(&self) -> Result<Filter, String> {
        let lower = |name: &NameBuf| name.as_name().to_folded().to_string();
        let name = match (&self.part, &self.name, &self.suffix) {
            (Some(part), _, _) => Some(NameFilter::Part(part.to_ascii_lowercase())),
            (_, Some(name), _) => Some(NameFilter::Exact(lower(name))),
            (_, _, Some(name)) => Some(NameFilter::Suffix(lower(name))),
            _ => None,
        };
        if let (Some(since), Some(until)) = (self.since, self.until)
            && since >= until
        {
            return Err("--since is not before --until: nothing can match".to_owned());
        }
        Ok(Filter {
            name,
            client: self.client,
            verdict: self.verdict,
            list: self.list.clone(),
            qtype: self.qtype,
            reference: self.reference,
            since: self.since,
            until: self.until,
        })
    }
}

impl Form {
    fn line(&self, row: &Row) -> String {
        if self.json {
            clean_json(&row.json().to_string()).into_owned()
        } else if self.csv {
            row.csv()
        } else {
            row.text()
        }
    }
}

/// Reads an option: a name.
fn name(text: &str) -> Result<NameBuf, String> {
    NameBuf::from_host(text).or_else(|_| NameBuf::from_text(text)).map_err(|problem| problem.to_string())
}

/// Reads an option: a verdict.
fn verdict(text: &str) -> Result<Class, String> {
    Class::ALL.into_iter().find(|class| class.word() == text).ok_or_else(|| {
        let words: Vec<&str> = Class::ALL.iter().map(|class| class.word()).collect();
        format!("expected one of {}", words.join(", "))
    })
}

/// Reads an option: a type.
fn qtype(text: &str) -> Result<Qtype, String> {
    text.parse().map_err(|_| "expected a type such as A, AAAA, HTTPS or TYPE65".to_owned())
}

/// Reads an option: a reference.
fn reference(text: &str) -> Result<u32, String> {
    // The parser takes a sign too.
    let digits = (text.len() == 8 && !text.starts_with('+')).then_some(text);
    digits
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| "expected the eight digits and letters of a refusal, such as 0f3c9a12".to_owned())
}

/// Reads an option: what is counted.
fn what(text: &str) -> Result<What, String> {
    match text {
        "names" => Ok(What::Names),
        "clients" => Ok(What::Clients),
        "lists" => Ok(What::Lists),
        "upstreams" => Ok(What::Upstreams),
        _ => Err("expected names, clients, lists or upstreams".to_owned()),
    }
}

/// Reads an option: a time, in UTC unless it says otherwise, or how long ago.
fn time(text: &str) -> Result<i64, String> {
    if let Some(ago) = duration_of(text) {
        return Ok(unix_micros().saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX)));
    }
    let utc = || {
        let civil: jiff::civil::DateTime = text.trim_end_matches('Z').parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    let parsed = text.parse::<jiff::Timestamp>().ok().or_else(utc);
    parsed
        .map(jiff::Timestamp::as_microsecond)
        .ok_or_else(|| "expected a time such as 2026-11-27T09:00Z, a date, or a span such as 24h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, expected) in [
            ("2026-11-27T09:00:00Z", 1_795_770_000),
            ("2026-11-27T09:00Z", 1_795_770_000),
            ("2026-11-27T10:00:00+01:00", 1_795_770_000),
            ("2026-11-27 09:00", 1_795_770_000),
            ("2026-11-27", 1_795_737_600),
        ] {
            assert_eq!(time(text), Ok(expected * 1_000_000), "{text}");
        }
        let ago = unix_micros() - time("24h").unwrap();
        assert!((86_399_000_000..=86_460_000_000).contains(&ago), "{ago}");
        for text in ["", "yesterday", "24", "2026-13-01"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(reference("0f3c9a12"), Ok(0x0f3c_9a12));
        for text in ["f3c9a12", "+f3c9a12", "0f3c9a1g", "0f3c9a123", ""] {
            assert!(reference(text).is_err(), "{text}");
        }
    }
}
