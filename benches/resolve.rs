//! Reading a query, and one whole answer from packet to reply, over a list of 100,000 names.
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

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::cache::store::Cache;
use portcullis::dns::query::{Query, encode};
use portcullis::dns::reply::Transport;
use portcullis::dns::types::Qtype;
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::resolver::live::Engine;
use portcullis::resolver::resolve::resolve as answer;
use portcullis::resolver::settings::{ListSettings, Settings, TextSource};
use portcullis::rule::{Action, Effect, Format};
use portcullis::sources::refresh;

fn resolve(c: &mut Criterion) {
    let names = common::names(100_000);
    let packets: Vec<Vec<u8>> =
        common::shuffled(common::wire(&names)).iter().map(|n| encode(n.as_name(), Qtype::A)).collect();
    let mut at = 0;
    c.bench_function("parse", |b| {
        b.iter(|| {
            at = (at + 1) % packets.len();
            black_box(Query::parse(&packets[at]).is_ok())
        });
    });

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
    };
    let settings = Settings { upstreams: Some(Vec::new()), lists: vec![list], ..Settings::default() };
    let counters = Arc::new(CounterSet::default());
    let (snapshot, _) =
        refresh::build(&settings, &Arc::new(Cache::new(0)), &counters, refresh::Build::default()).unwrap();
    let engine = Arc::new(Engine::new(snapshot, counters, None));
    let client = "127.0.0.1:5353".parse().unwrap();
    let now = Instant::now();
    let mut out = [0u8; 1232];
    for (what, packets) in [
        ("blocked", packets.clone()),
        (
            "refused",
            common::shuffled(common::wire(&common::misses(100_000)))
                .iter()
                .map(|n| encode(n.as_name(), Qtype::A))
                .collect(),
        ),
    ] {
        c.bench_function(&format!("answer/{what}"), |b| {
            b.iter(|| {
                at = (at + 1) % packets.len();
                let snapshot = engine.snapshot();
                let mut event = Event::new(client, Transport::Udp);
                black_box(answer(
                    &engine,
                    &snapshot,
                    &packets[at],
                    (client, Transport::Udp),
                    now,
                    &mut out,
                    &mut event,
                ));
            });
        });
    }
}

criterion_group!(benches, resolve);
criterion_main!(benches);
