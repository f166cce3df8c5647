//! Tables from the JSON lines that `load` and `first` print: medians of all rounds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

#[derive(Args)]
pub struct Table {
    /// JSON lines
    file: PathBuf,
}

/// A line of `load` or of `first`.
#[derive(Deserialize)]
struct Line {
    label: String,
    #[serde(default)]
    section: String,
    /// A run of the echo, just before one of the server in `label`.
    #[serde(default)]
    echo: bool,
    first_answer_s: Option<f64>,
    memory_mb: Option<f64>,
    queries_per_second: Option<f64>,
    cpu_us_per_query: Option<f64>,
    cpu_share: Option<f64>,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    wrong: Option<u64>,
    lost: Option<u64>,
}

/// The row that the others of its section are compared with, where queries go one at a time.
const DIRECT: &str = "upstream, directly";

pub fn run(table: &Table) -> io::Result<()> {
    let text = fs::read_to_string(&table.file)?;
    let lines = text.lines().map(serde_json::from_str::<Line>).collect::<Result<Vec<_>, _>>()?;
    let mut starts: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for line in &lines {
        if let Some(seconds) = line.first_answer_s {
            let (all, memory) = starts.entry(&line.label).or_default();
            all.push(seconds);
            memory.extend(line.memory_mb);
        }
    }
    for section in in_order(lines.iter().filter(|l| l.first_answer_s.is_none()).map(|l| &l.section)) {
        let lines: Vec<&Line> =
            lines.iter().filter(|l| &l.section == section && l.first_answer_s.is_none()).collect();
        println!("\n**{section}**\n");
        if lines.iter().any(|l| l.label == DIRECT) {
            print_latency(&lines);
        } else {
            print_throughput(&lines, &starts);
        }
    }
    Ok(())
}

fn print_throughput(lines: &[&Line], starts: &BTreeMap<&str, (Vec<f64>, Vec<f64>)>) {
    println!(
        "| server | queries/s | of the ceiling | CPU µs a query | processors | p50 µs | p99 µs | \
         MB loaded | MB after | first answer s | wrong, lost |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let echoes: Vec<&Line> = lines.iter().copied().filter(|l| l.echo).collect();
    if !echoes.is_empty() {
        print_row("echo", &echoes, "1", &(vec![], vec![]));
    }
    for label in in_order(lines.iter().filter(|l| !l.echo).map(|l| &l.label)) {
        let of = |echo: bool| lines.iter().copied().filter(move |l| &l.label == label && l.echo == echo);
        let runs: Vec<&Line> = of(false).collect();
        // The n-th run of the server against the n-th of the echo, which was just before it.
        let ratios = of(false)
            .zip(of(true))
            .filter_map(|(run, echo)| Some(run.queries_per_second? / echo.queries_per_second?));
        let ratio = median(ratios).map_or_else(none, |r| format!("{r:.2}"));
        let nothing = (vec![], vec![]);
        print_row(label, &runs, &ratio, starts.get(label.as_str()).unwrap_or(&nothing));
    }
}

fn print_row(label: &str, runs: &[&Line], ratio: &str, start: &(Vec<f64>, Vec<f64>)) {
    let of = |value: fn(&Line) -> Option<f64>, decimals: usize| {
        median(runs.iter().filter_map(|l| value(l))).map_or_else(none, |m| format!("{m:.decimals$}"))
    };
    let of_start = |values: &[f64], decimals: usize| {
        median(values.iter().copied()).map_or_else(none, |m| format!("{m:.decimals$}"))
    };
    let sum = |value: fn(&Line) -> Option<u64>| runs.iter().filter_map(|l| value(l)).sum::<u64>();
    println!(
        "| {label} | {} | {ratio} | {} | {} | {} | {} | {} | {} | {} | {}, {} |",
        of(|l| l.queries_per_second, 0),
        of(|l| l.cpu_us_per_query, 2),
        of(|l| l.cpu_share, 2),
        of(|l| l.p50_us, 0),
        of(|l| l.p99_us, 0),
        of_start(&start.1, 0),
        of(|l| l.memory_mb, 0),
        of_start(&start.0, 3),
        sum(|l| l.wrong),
        sum(|l| l.lost),
    );
}

fn print_latency(lines: &[&Line]) {
    println!("| server | p50 µs | p99 µs | p50 added µs | wrong, lost |");
    println!("| --- | --- | --- | --- | --- |");
    let of = |label: &str, value: fn(&Line) -> Option<f64>| {
        median(lines.iter().filter(|l| l.label == label).filter_map(|l| value(l))).unwrap_or(f64::NAN)
    };
    let direct = of(DIRECT, |l| l.p50_us);
    for label in in_order(lines.iter().map(|l| &l.label)) {
        let sum = |value: fn(&Line) -> Option<u64>| {
            lines.iter().filter(|l| &l.label == label).filter_map(|l| value(l)).sum::<u64>()
        };
        let p50 = of(label, |l| l.p50_us);
        let p99 = of(label, |l| l.p99_us);
        println!(
            "| {label} | {p50:.1} | {p99:.1} | {:.1} | {}, {} |",
            p50 - direct,
            sum(|l| l.wrong),
            sum(|l| l.lost)
        );
    }
}

fn none() -> String {
    "–".to_owned()
}

/// Each once, in the order of the first time.
fn in_order<'a>(all: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().saturating_sub(1) / 2)?, values.get(values.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}
