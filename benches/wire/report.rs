//! The load generator's counts, and their report.

use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;

use crate::histogram::Histogram;
use crate::load::{Idle, Load};
use crate::machine::{self, Ticks};

/// Processors that other processes may use before a run counts as disturbed.
const CROWD: f64 = 0.1;

/// The counts of one thread.
#[derive(Default)]
pub struct Count {
    pub right: u64,
    pub wrong: u64,
    pub lost: u64,
    pub stray: u64,
    pub broken: u64,
    pub broken_replies: u64,
    pub answers: u64,
    pub uncached: u64,
    pub octets: u64,
    pub took: Histogram,
    pub idle: Duration,
    /// Correct replies that arrived during the measurement.
    pub in_time: u64,
    pub first_wrong: Option<String>,
}

impl Count {
    pub fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.lost += other.lost;
        self.stray += other.stray;
        self.broken += other.broken;
        self.broken_replies += other.broken_replies;
        self.answers += other.answers;
        self.uncached += other.uncached;
        self.octets += other.octets;
        self.took.add(&other.took);
        self.idle += other.idle;
        self.in_time += other.in_time;
        self.first_wrong = self.first_wrong.take().or(other.first_wrong);
    }
}

/// The system's statistics at one moment.
pub struct Sample {
    pub at: Instant,
    cpu: Option<Duration>,
    own_cpu: Option<Duration>,
    cores: Option<Ticks>,
}

impl Sample {
    pub fn take(load: &Load) -> Self {
        Self {
            cpu: load.pid.and_then(machine::cpu_of),
            own_cpu: machine::cpu_of(std::process::id()),
            cores: Ticks::of(&load.cores),
            at: Instant::now(),
        }
    }
}

/// The result of a run.
#[derive(Serialize)]
struct Report {
    label: String,
    section: String,
    echo: bool,
    seconds: f64,
    queries_per_second: f64,
    right: u64,
    wrong: u64,
    lost: u64,
    /// Replies to no query in flight.
    stray: u64,
    broken: u64,
    /// Replies to broken packets.
    broken_replies: u64,
    /// Share of the answers that came from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    hits: Option<f64>,
    /// Datagrams that found a full socket buffer, at the server or here.
    dropped: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    reply_octets: f64,
    /// Share of the time in which the generator had nothing to do.
    spare: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us_per_query: Option<f64>,
    /// Processor time of the server, in processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_share: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cores_busy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cores_stolen: Option<f64>,
    /// Other processes ran on the server's processors, or on the generator's.
    disturbed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_mb: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_wrong: Option<String>,
}

/// Prints the result; `dropped` datagrams found a full socket buffer.
pub fn print(load: &Load, (first, last): &(Sample, Sample), count: Count, dropped: u64) {
    let seconds = (last.at - first.at).as_secs_f64();
    let processors = |last: Option<Duration>, first: Option<Duration>| {
        Some(last?.saturating_sub(first?).as_secs_f64() / seconds)
    };
    let cpu = processors(last.cpu, first.cpu);
    let own = processors(last.own_cpu, first.own_cpu);
    let cores = last.cores.zip(first.cores).map(|(last, first)| last.shares_since(first));
    // Where the server has several, the generator is on them too.
    let beside = own.filter(|_| load.cores.len() > 1).unwrap_or(0.0);
    let crowded =
        cores.zip(cpu).is_some_and(|((busy, _), cpu)| busy * load.cores.len() as f64 - cpu - beside > CROWD);
    let starved = load.idle == Idle::Spin && own.is_some_and(|own| own < load.threads as f64 * (1.0 - CROWD));
    let report = Report {
        label: load.label.clone(),
        section: load.section.clone().unwrap_or_else(|| {
            load.work.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
        }),
        echo: load.echo,
        seconds,
        queries_per_second: count.in_time as f64 / seconds,
        right: count.right,
        wrong: count.wrong,
        lost: count.lost,
        stray: count.stray,
        broken: count.broken,
        broken_replies: count.broken_replies,
        hits: load.ttl.map(|_| 1.0 - count.uncached as f64 / count.answers.max(1) as f64),
        dropped,
        p50_us: count.took.quantile(0.5),
        p99_us: count.took.quantile(0.99),
        p999_us: count.took.quantile(0.999),
        reply_octets: count.octets as f64 / count.right.max(1) as f64,
        spare: count.idle.as_secs_f64() / seconds / load.threads as f64,
        cpu_us_per_query: cpu.map(|cpu| cpu * seconds * 1e6 / count.in_time.max(1) as f64),
        cpu_share: cpu,
        cores_busy: cores.map(|s| s.0),
        cores_stolen: cores.map(|s| s.1),
        disturbed: crowded || starved,
        memory_mb: load.pid.and_then(machine::memory_of),
        first_wrong: count.first_wrong,
    };
    if load.json {
        println!("{}", serde_json::to_string(&report).unwrap());
        return;
    }
    println!(
        "{:.0} queries/s, {} right, {} wrong, {} lost, {} stray, {} dropped; p50 {:.1} µs, p99 {:.1} µs; \
         replies of {:.1} octets; generator {:.0} % idle",
        report.queries_per_second,
        report.right,
        report.wrong,
        report.lost,
        report.stray,
        report.dropped,
        report.p50_us,
        report.p99_us,
        report.reply_octets,
        report.spare * 100.0,
    );
    if let (Some(each), Some(share)) = (report.cpu_us_per_query, report.cpu_share) {
        println!("server: {each:.2} µs of processor a query, {share:.2} processors");
    }
    if let (Some(busy), Some(stolen)) = (report.cores_busy, report.cores_stolen) {
        println!("its processors: {:.0} % busy, {:.1} % stolen", busy * 100.0, stolen * 100.0);
    }
    if let Some(wrong) = report.first_wrong {
        println!("first wrong reply: {wrong}");
    }
}
