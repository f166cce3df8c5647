//! Streams of queries, written before the measurement starts.

use std::sync::Arc;

use clap::ValueEnum;

use crate::common::{self, Random};
use crate::query::{self, Expect};

/// Names of the list.
pub const BLOCKED: usize = 1_000_000;
/// A stream with repetitions starts again after this many queries.
const ROUND: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Names of the list, in random order.
    Blocked,
    /// Allowed names, some far more often than others (Zipf).
    Cached,
    /// One in five blocked, the others allowed names as in `cached`.
    Mixed,
    /// Names below a few allowed ones, each new.
    Forwarded,
}

pub struct Options {
    pub kind: Kind,
    /// How many allowed names there are.
    pub allowed: usize,
    /// The suffix of the new names of `forwarded`.
    pub suffixes: Vec<String>,
    /// The same seed gives the same stream.
    pub seed: u64,
}

/// Queries in memory.
struct Table {
    packets: Vec<u8>,
    starts: Vec<u32>,
    /// How many of the first are names of the list.
    blocked: usize,
}

impl Table {
    fn new(blocked: &[String], allowed: &[String]) -> Self {
        let (mut packets, mut starts) = (Vec::new(), vec![0]);
        for name in blocked.iter().chain(allowed) {
            query::write(name, &mut packets);
            starts.push(packets.len() as u32);
        }
        Self { packets, starts, blocked: blocked.len() }
    }

    fn len(&self) -> usize {
        self.starts.len() - 1
    }

    fn packet(&self, index: usize) -> &[u8] {
        &self.packets[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

#[derive(Clone)]
enum Source {
    /// Queries of a table, in the order given, over and over.
    Table(Arc<Table>, Arc<[u32]>),
    /// Names not queried before: each packet in turn, with a number from this one on.
    Fresh(Arc<[Vec<u8>]>, u64),
}

/// This many neighbours in a stream have equal length, so that one call can send them.
const RUN: usize = 8;

/// The same queries, in runs of equal length where that needs no query to move far.
fn in_runs(table: &Table, mut order: Vec<u32>, random: &mut Random) -> Arc<[u32]> {
    for part in order.chunks_mut(4096) {
        part.sort_by_key(|&index| table.packet(index as usize).len());
        let mut runs: Vec<Vec<u32>> = part.chunks(RUN).map(<[u32]>::to_vec).collect();
        shuffle(&mut runs, random);
        part.copy_from_slice(&runs.concat());
    }
    order.into()
}

/// Digits of a new name, after its first letter.
const DIGITS: usize = 16;

/// An endless stream of queries.
#[derive(Clone)]
pub struct Stream {
    source: Source,
    at: u64,
    step: u64,
}

impl Stream {
    pub fn new(options: &Options) -> Self {
        let mut random = Random::new(options.seed.wrapping_mul(2).wrapping_add(0x5eed));
        let blocked = || {
            let mut names = common::names(BLOCKED);
            shuffle(&mut names, &mut Random::new(42));
            names
        };
        let allowed = || common::misses(options.allowed);
        let source = match options.kind {
            Kind::Blocked => {
                let table = Table::new(&blocked(), &[]);
                let first = random.below(BLOCKED);
                let order = (0..BLOCKED).map(|i| ((first + i) % BLOCKED) as u32).collect();
                let order = in_runs(&table, order, &mut random);
                Source::Table(Arc::new(table), order)
            }
            Kind::Cached => {
                let table = Table::new(&[], &allowed());
                let zipf = Zipf::new(options.allowed);
                let order = (0..ROUND).map(|_| zipf.draw(&mut random) as u32).collect();
                let order = in_runs(&table, order, &mut random);
                Source::Table(Arc::new(table), order)
            }
            Kind::Mixed => {
                let table = Table::new(&blocked(), &allowed());
                let zipf = Zipf::new(options.allowed);
                let order = (0..ROUND).map(|_| match random.below(5) {
                    0 => random.below(BLOCKED) as u32,
                    _ => (BLOCKED + zipf.draw(&mut random)) as u32,
                });
                let order = order.collect();
                let order = in_runs(&table, order, &mut random);
                Source::Table(Arc::new(table), order)
            }
            Kind::Forwarded => {
                let packets = options.suffixes.iter().map(|suffix| {
                    let mut packet = Vec::new();
                    query::write(&format!("n{}.{suffix}", "0".repeat(DIGITS)), &mut packet);
                    packet
                });
                Source::Fresh(packets.collect(), options.seed << 32)
            }
        };
        Self { source, at: 0, step: 1 }
    }

    /// Every allowed name once, and how many there are, so that a server can fill its cache.
    pub fn once(&self) -> Option<(Self, u64)> {
        let Source::Table(table, _) = &self.source else { return None };
        let order: Arc<[u32]> = (table.blocked as u32..table.len() as u32).collect();
        let count = order.len() as u64;
        (count > 0).then(|| (Self { source: Source::Table(Arc::clone(table), order), at: 0, step: 1 }, count))
    }

    /// The part of the stream for one of several threads.
    pub fn part(&self, which: usize, of: usize) -> Self {
        Self { source: self.source.clone(), at: which as u64, step: of as u64 }
    }

    /// Writes the next query; returns its length and what to expect.
    pub fn next(&mut self, out: &mut [u8]) -> (usize, Expect) {
        let at = self.at;
        self.at += self.step;
        match &self.source {
            Source::Table(table, order) => {
                let index = order[(at % order.len() as u64) as usize] as usize;
                let packet = table.packet(index);
                out[..packet.len()].copy_from_slice(packet);
                (packet.len(), if index < table.blocked { Expect::Blocked } else { Expect::Answered })
            }
            Source::Fresh(packets, first) => {
                let packet = &packets[(at % packets.len() as u64) as usize];
                out[..packet.len()].copy_from_slice(packet);
                let mut number = first + at;
                // The digits follow the header, the length of the label and its first letter.
                for digit in out[query::HEADER + 2..][..DIGITS].iter_mut().rev() {
                    *digit = b"0123456789abcdef"[(number & 15) as usize];
                    number >>= 4;
                }
                (packet.len(), Expect::Answered)
            }
        }
    }
}

fn shuffle<T>(items: &mut [T], random: &mut Random) {
    for i in (1..items.len()).rev() {
        items.swap(i, random.below(i + 1));
    }
}

/// The n-th most frequent of the numbers is drawn 1/n times as often as the first.
struct Zipf {
    sums: Vec<f64>,
}

impl Zipf {
    fn new(count: usize) -> Self {
        let mut sum = 0.0;
        let sums = (1..=count).map(|n| {
            sum += 1.0 / n as f64;
            sum
        });
        Self { sums: sums.collect() }
    }

    fn draw(&self, random: &mut Random) -> usize {
        const FINE: usize = 1 << 30;
        let wanted = random.below(FINE) as f64 / FINE as f64 * self.sums.last().unwrap();
        self.sums.partition_point(|&sum| sum <= wanted)
    }
}
