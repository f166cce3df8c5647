//! The load generator: a closed loop over several sockets, each with a number of queries in flight.

use std::io;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::asker::{Asker, Until};
use crate::report::{self, Count};
use crate::workload::{Kind, Options, Stream};

/// How a thread waits when there is nothing to receive or send.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Idle {
    /// It polls again at once: it has a processor of its own.
    Spin,
    /// It yields to others.
    Yield,
    /// It sleeps until something arrives.
    Sleep,
}

#[derive(Args)]
#[command(args_override_self = true)]
pub struct Load {
    /// Address of the server
    #[arg(long)]
    pub server: SocketAddr,
    /// The kind of queries
    #[arg(long, value_enum, default_value = "blocked")]
    pub work: Kind,
    /// Seconds of measurement
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Seconds of warm-up before
    #[arg(long, default_value_t = 0.5)]
    pub lead: f64,
    /// The number of queries after which it ends, if that is sooner
    #[arg(long)]
    pub queries: Option<u64>,
    /// The most queries a second
    #[arg(long)]
    pub rate: Option<f64>,
    /// Sockets of each thread
    #[arg(long, default_value_t = 8)]
    pub sockets: usize,
    /// Queries in flight on each socket
    #[arg(long, default_value_t = 16, value_parser = window)]
    pub window: usize,
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    #[arg(long, value_enum, default_value = "spin")]
    pub idle: Idle,
    /// Milliseconds after which a query counts as lost and is sent again
    #[arg(long, default_value_t = 500)]
    pub timeout: u64,
    /// The server is the echo: only the question and the id are checked
    #[arg(long)]
    pub echo: bool,
    /// Any response code is correct, SERVFAIL too
    #[arg(long)]
    pub any_code: bool,
    /// Percent of broken packets, sent in addition
    #[arg(long, default_value_t = 0.0)]
    pub broken: f64,
    /// Seconds for which the upstream's answers hold: one that still has all of them is not from a cache
    #[arg(long)]
    pub ttl: Option<u32>,
    /// Ask without filling the cache first
    #[arg(long)]
    pub cold: bool,
    /// Allowed names
    #[arg(long, default_value_t = 50_000)]
    pub allowed: usize,
    /// The suffix of the new names
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "example.com,example.net,cdn.example.edu,www.example.org"
    )]
    pub suffixes: Vec<String>,
    /// The seed of the stream; by default from the time of day
    #[arg(long)]
    pub seed: Option<u64>,
    /// Process of the server, for its processor time and memory
    #[arg(long)]
    pub pid: Option<u32>,
    /// Processors of the server, to detect other load on them
    #[arg(long, value_delimiter = ',')]
    pub cores: Vec<usize>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The server's name in the table
    #[arg(long, default_value = "")]
    pub label: String,
    /// The heading in the table; by default the kind of queries
    #[arg(long)]
    pub section: Option<String>,
}

/// Few enough slots that an id has bits left to distinguish a late reply from one to the next query.
fn window(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| (1..=8000).contains(n)).ok_or_else(|| "1 to 8000".to_owned())
}

/// Looks up every allowed name once.
fn warm(load: &Load, stream: &Stream) -> io::Result<()> {
    let Some((mut once, count)) = stream.once().filter(|_| !load.cold && !load.echo) else { return Ok(()) };
    let now = Instant::now();
    let mut asker = Asker::new(load)?;
    let until = Until { from: now, to: now + Duration::from_secs(100), replies: count };
    let (begin, end) = asker.run(&mut once, &until)?;
    let Count { right, wrong, lost, .. } = asker.count;
    if wrong > 0 || right < count {
        let why = asker.count.first_wrong.unwrap_or_default();
        eprintln!(
            "while the cache was filled: {right} right, {wrong} wrong, {lost} lost in {:.1?} {why}",
            end.at - begin.at
        );
    }
    Ok(())
}

pub fn run(load: &Load) -> io::Result<()> {
    let seed = load.seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // So that it fits, in steps of 16 milliseconds.
        now.map_or(0, |since| (since.as_millis() / 16) as u64 & 0x7fff_ffff)
    });
    let options = Options { kind: load.work, allowed: load.allowed, suffixes: load.suffixes.clone(), seed };
    let stream = Stream::new(&options);
    warm(load, &stream)?;
    let now = Instant::now() + Duration::from_millis(1);
    let from = now + Duration::from_secs_f64(load.lead);
    let until = Until {
        from,
        to: from + Duration::from_secs_f64(load.seconds),
        replies: load.queries.map_or(u64::MAX, |n| n / load.threads as u64),
    };
    let (mut total, mut most_dropped, mut samples) = (Count::default(), 0, None);
    thread::scope(|scope| -> io::Result<()> {
        let threads: Vec<_> = (0..load.threads)
            .map(|which| {
                let (mut stream, until) = (stream.part(which, load.threads), &until);
                scope.spawn(move || -> io::Result<_> {
                    let mut asker = Asker::new(load)?;
                    let before = asker.drops();
                    let samples = asker.run(&mut stream, until)?;
                    let dropped = asker.drops().saturating_sub(before);
                    Ok((samples, asker.count, dropped))
                })
            })
            .collect();
        for thread in threads {
            let (of_thread, count, dropped) = thread.join().unwrap()?;
            samples = Some(of_thread);
            // Each thread has counted the server's drops.
            most_dropped = dropped.max(most_dropped);
            total.add(count);
        }
        Ok(())
    })?;
    report::print(load, &samples.unwrap(), total, most_dropped);
    Ok(())
}
