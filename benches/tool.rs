//! Measurements with one process each, for `instructions.sh` and `load.sh` beside this file:
//!
//! ```text
//! tool names N           the first N names of the seeded list
//! tool resolve KIND N    N queries from packet to reply over the same list: blocked, refused (no
//!                        upstream), cached, or cached and inspected again each time
//! tool lookups KIND N    N lookups (hit, miss, second) in a list of 1,000,000 names
//! tool load FILE         reads and compiles a list, opens it compiled: time, sizes, peak memory
//! ```
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_possible_truncation
)]

mod common;

use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use portcullis::cache::key::Key;
use portcullis::cache::store::{Cache, Stored};
use portcullis::dns::{Message, Name, Qtype, Query, ReplyWriter, Section, Transport, encode};
use portcullis::lists::Reader;
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::policy::{Options, compile, file};
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::resolve::resolve;
use portcullis::resolver::snapshot::{Client, Snapshot};
use portcullis::rule::{Effect, Format};
use portcullis::settings::{ListSettings, Settings, TextSource, UpstreamSettings};
use portcullis::sources;

/// Lookups of the same 256 names in a list of 1,000,000, repeated so that the caches hold all data: the
/// rest is the work of the processor.
fn lookups(kind: &str, count: usize) {
    let names = common::names(1_000_000);
    let index = common::index(&names, false);
    let questions = match kind {
        "hit" => common::shuffled(common::wire(&names)),
        "miss" => common::wire(&common::misses(256)),
        _ => common::wire(&common::misses_at_second(256)),
    };
    let packed = common::packed(&questions[..256]);
    let wire: Vec<Name<'_>> = (0..packed.len()).map(|at| packed.name(at)).collect();
    let begin = Instant::now();
    for at in 0..count {
        let mut last = None;
        index.lookup(wire[at % 256], |hit| last = Some(hit.id));
        black_box(last);
    }
    println!("{kind}: {:.1} ns", begin.elapsed().as_nanos() as f64 / count.max(1) as f64);
}

fn load(path: &str) {
    let text = std::fs::metadata(path).unwrap().len() as f64;
    let begin = Instant::now();
    let mut reader = Reader::new(Format::Auto, None, Effect::Block);
    // In pieces, as the server reads it.
    let mut file = std::fs::File::open(path).unwrap();
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).unwrap() {
            0 => break,
            n => reader.feed(&piece[..n]).unwrap(),
        }
    }
    let list = reader.finish().unwrap();
    let (lines, format) = (list.lines, list.format);
    let read = begin.elapsed();
    let options = Options { lines: true, left_out: false };
    let (compiled, accounts) = compile(&[("l".into(), list)], options).unwrap();
    let compile = begin.elapsed() - read;
    let peak = peak_memory().map_or("?".into(), |peak| format!("{:.2}", peak / text));
    let bytes = [compiled.index.as_bytes(), &file::tail(&compiled).unwrap()].concat();
    let (all, hot) = (compiled.index.as_bytes().len() as f64, compiled.index.hot_len() as f64);
    let mapped = Bytes::from(bytes);
    let begin = Instant::now();
    black_box(file::open(&mapped).unwrap());
    let open = begin.elapsed();
    let account = &accounts[0];
    println!(
        "{path}: {format}, {lines} lines, {} names and {} patterns kept; read {read:.0?}, compiled {compile:.0?}, \
         opened compiled {open:.1?}; a byte of text: index {:.3}, with lines {:.3}, peak memory {peak}; \
         used {} duplicate {} covered {} unsupported {} invalid {}",
        compiled.index.entry_count(),
        compiled.tables.patterns.len(),
        hot / text,
        all / text,
        account.used,
        account.duplicate,
        account.covered,
        account.unsupported,
        account.invalid,
    );
}

/// Whole queries, the same 256 repeatedly, from the packet to the reply and its counting.
fn queries(kind: &str, count: usize) {
    let names = common::names(1_000_000);
    let asked = match kind {
        "blocked" => common::shuffled(common::wire(&names)),
        _ => common::wire(&common::misses(256)),
    };
    let packets: Vec<Vec<u8>> = asked[..256].iter().map(|n| encode(n.as_name(), Qtype::A)).collect();
    let text: &'static str = Box::leak(names.join("\n").into_boxed_str());
    let list = ListSettings {
        name: "bench".into(),
        source: TextSource::Embedded("bench", text),
        format: Format::Domains,
        ..ListSettings::default()
    };
    let settings =
        Settings { upstream: UpstreamSettings::of(Vec::new()), lists: vec![list], ..Settings::default() };
    let counters = Arc::new(CounterSet::default());
    let cache = Arc::new(Cache::new(1 << 20));
    let (snapshot, _) = sources::build(&settings, &cache, &counters, sources::Build::default(), 0).unwrap();
    let engine = Arc::new(Engine::new(snapshot, counters, None));
    let mut counters = engine.counters.own();
    let (now, snapshot) = (Moment { at: Instant::now(), unix: 0 }, Snapshot::clone(&engine.snapshot()));
    let epoch = if kind == "inspected" { 0 } else { snapshot.epoch };
    let snapshot = Arc::new(Snapshot { epoch, ..snapshot });
    if matches!(kind, "cached" | "inspected") {
        packets.iter().for_each(|packet| keep(&snapshot.cache, packet, now.at));
    }
    let address = "127.0.0.1:5353".parse().unwrap();
    let client = Client { address, transport: Transport::Udp, listener: 0 };
    let mut out = [0u8; 1232];
    for at in 0..count {
        let packet = &packets[at % 256];
        let mut event = Event::new(address, Transport::Udp);
        black_box(resolve(&engine, &snapshot, packet, client, now, &mut out, &mut event));
        engine.observe(&mut counters, &snapshot, &event, packet, &out);
    }
}

/// Puts a reply with one address into the cache.
fn keep(cache: &Cache, packet: &[u8], now: Instant) {
    let query = Query::parse(packet).unwrap();
    let mut out = [0; 512];
    let mut reply = ReplyWriter::new(&query, &mut out, 512);
    reply.record(Section::Answer, None, Qtype::A, 3600, &[&[192, 0, 2, 1]]).unwrap();
    let len = reply.finish();
    let message = Message::parse(&out[..len]).unwrap();
    cache.put(&Stored::new(&Key::of(&query, 0), &message, now, 86_400).unwrap());
}

/// The peak memory of the process, in octets, where the system reports it.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["names", count] => common::names(count.parse().unwrap()).iter().for_each(|n| println!("{n}")),
        ["lookups", kind, count] => lookups(kind, count.parse().unwrap()),
        ["resolve", kind, count] => queries(kind, count.parse().unwrap()),
        ["load", path] => load(path),
        // `cargo bench` runs every bench without arguments; then there is nothing to do.
        _ => {}
    }
}
