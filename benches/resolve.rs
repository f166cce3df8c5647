//! Reading a query, and whole answers from packet to reply, in batches of 64 as in the UDP
//! loop: over a list of 1,000,000 names, and from a cache of 50,000 replies.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

mod common;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use portcullis::cache::key::Key;
use portcullis::cache::store::{Cache, Stored};
use portcullis::dns::{Message, NameBuf, Qtype, Query, ReplyWriter, Section, Transport, encode};
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::resolver::ahead::read_ahead;
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::resolve::resolve as answer;
use portcullis::resolver::snapshot::Client;
use portcullis::rule::{Action, Effect, Format};
use portcullis::settings::{ListSettings, Settings, TextSource, UpstreamSettings};
use portcullis::sources;

const BATCH: usize = 64;

fn packets(names: &[NameBuf]) -> Vec<Vec<u8>> {
    names.iter().map(|n| encode(n.as_name(), Qtype::A)).collect()
}

fn engine(names: &[String]) -> Arc<Engine> {
    let text: &'static str = Box::leak(names.join("\n").into_boxed_str());
    let list = ListSettings {
        name: "bench".into(),
        source: TextSource::Embedded("bench", text),
        format: Format::Domains,
        effect: Effect::Block,
        plain: None,
        action: Action::NxDomain,
        ttl: 60,
        authority: None,
        ..ListSettings::default()
    };
    let settings =
        Settings { upstream: UpstreamSettings::of(Vec::new()), lists: vec![list], ..Settings::default() };
    let counters = Arc::new(CounterSet::default());
    let cache = Arc::new(Cache::new(64 << 20));
    let (snapshot, _) = sources::build(&settings, &cache, &counters, sources::Build::default(), 0).unwrap();
    Arc::new(Engine::new(snapshot, counters, None))
}

/// Puts a reply with one address into the cache for each question.
fn fill(engine: &Engine, questions: &[Vec<u8>], now: Instant) {
    for packet in questions {
        let query = Query::parse(packet).unwrap();
        let mut out = [0; 1232];
        let mut reply = ReplyWriter::new(&query, &mut out, 1232);
        reply.record(Section::Answer, None, Qtype::A, 3600, &[&[192, 0, 2, 1]]).unwrap();
        let len = reply.finish();
        let (key, message) = (Key::of(&query, 0), Message::parse(&out[..len]).unwrap());
        engine.snapshot().cache.put(&Stored::new(&key, &message, now, 86_400).unwrap());
    }
}

fn resolve(c: &mut Criterion) {
    let names = common::names(1_000_000);
    let blocked = packets(&common::shuffled(common::wire(&names)));
    let now = Moment { at: Instant::now(), unix: 0 };
    let mut at = 0;
    c.bench_function("parse", |b| {
        b.iter(|| {
            at = (at + 1) % blocked.len();
            black_box(Query::parse(&blocked[at]).is_ok())
        });
    });

    let engine = engine(&names);
    let allowed = packets(&common::shuffled(common::wire(&common::misses(50_000))));
    fill(&engine, &allowed, now.at);
    let unknown = packets(&common::shuffled(common::wire(&common::misses_at_second(100_000))));
    let client =
        Client { address: "127.0.0.1:5353".parse().unwrap(), transport: Transport::Udp, listener: 0 };
    let mut out = [0u8; 1232];
    let mut counters = engine.counters.own();
    let mut room = Vec::new();
    let mut group = c.benchmark_group("batch");
    group.throughput(Throughput::Elements(BATCH as u64));
    // What a packet brings is in the cache, because the kernel has just written it.
    let mut inbox: Vec<Vec<u8>> = vec![Vec::new(); BATCH];
    for (what, packets) in [("blocked", &blocked), ("cached", &allowed), ("refused", &unknown)] {
        for ahead in [true, false] {
            let way = if ahead { "ahead" } else { "one by one" };
            group.bench_function(format!("{what}/{way}"), |b| {
                b.iter(|| {
                    for slot in &mut inbox {
                        at = (at + 1) % packets.len();
                        slot.clear();
                        slot.extend_from_slice(&packets[at]);
                    }
                    let snapshot = engine.snapshot();
                    if ahead {
                        read_ahead(&snapshot, BATCH, |slot| inbox.get(slot).map(Vec::as_slice), &mut room);
                    }
                    for packet in &inbox {
                        let mut event = Event::new(client.address, client.transport);
                        black_box(answer(&engine, &snapshot, packet, client, now, &mut out, &mut event));
                        engine.observe(&mut counters, &snapshot, &event, packet, &out);
                    }
                });
            });
        }
    }
}

criterion_group!(benches, resolve);
criterion_main!(benches);
