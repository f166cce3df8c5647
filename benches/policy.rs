//! The cost of groups, schedules and types for a blocked query: 1,000,000 names in 50 lists, answered from
//! packet to reply without groups, and with 32 groups over 10,000 networks, each with 25 of the lists, a
//! third of them on a schedule or for some types only.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

mod common;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipnet::{IpNet, Ipv4Net};
use portcullis::cache::store::Cache;
use portcullis::dns::{Qtype, Transport, encode};
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::policy::{schedule::Schedule, schedule::window, schedule::zone};
use portcullis::resolver::ahead::read_ahead;
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::outcome::Outcome;
use portcullis::resolver::resolve::resolve;
use portcullis::resolver::snapshot::Client;
use portcullis::rule::Format;
use portcullis::settings::{GroupSettings, ListSettings, Settings, TextSource, UpstreamSettings};
use portcullis::sources;

const LISTS: usize = 50;
const GROUPS: u16 = 32;
const NETWORKS: u16 = 10_000;
const BATCH: usize = 64;
/// A Wednesday morning.
const NOW: i64 = 1_795_600_000;

fn lists(names: &[String]) -> Vec<ListSettings> {
    let list = |(number, names): (usize, &[String])| {
        let text: &'static str = Box::leak(names.join("\n").into_boxed_str());
        ListSettings {
            name: format!("list{number}"),
            source: TextSource::Embedded("bench", text),
            format: Format::Domains,
            ..ListSettings::default()
        }
    };
    names.chunks(names.len().div_ceil(LISTS)).enumerate().map(list).collect()
}

/// The nth network: /24s of 10.0.0.0/8, each group's in one run.
fn network(number: u16) -> IpNet {
    let [high, low] = number.to_be_bytes();
    IpNet::V4(Ipv4Net::new(Ipv4Addr::new(10, high, low, 0), 24).unwrap())
}

/// With every option that an operator may set, but with every list in force on a Wednesday.
fn grouped(mut lists: Vec<ListSettings>) -> Settings {
    let workdays = Schedule {
        zone: zone("Europe/Berlin").unwrap(),
        windows: vec![window("Mon-Fri 00:00-24:00").unwrap()],
        from: None,
        until: None,
    };
    for (number, list) in lists.iter_mut().enumerate() {
        match number % 6 {
            0 => list.schedule = Some(workdays.clone()),
            1 => list.types = vec![Qtype::A, Qtype::AAAA, Qtype::HTTPS],
            _ => {}
        }
    }
    let group = |number: u16| {
        let each = NETWORKS / GROUPS;
        GroupSettings {
            name: format!("group{number}"),
            networks: (number * each..(number + 1) * each).map(network).collect(),
            listeners: Vec::new(),
            // Every second list, so that each name is blocked for every second group.
            lists: Some((0..LISTS as u16).filter(|l| (l + number).is_multiple_of(2)).collect()),
            action: None,
            closed: None,
            schedule: None,
            upstreams: None,
        }
    };
    Settings { lists, groups: (0..GROUPS).map(group).collect(), ..Settings::default() }
}

fn engine(settings: Settings) -> Arc<Engine> {
    let settings = Settings { upstream: UpstreamSettings::of(Vec::new()), ..settings };
    let counters = Arc::new(CounterSet::default());
    let cache = Arc::new(Cache::new(1 << 20));
    let (snapshot, _) = sources::build(&settings, &cache, &counters, sources::Build::default(), NOW).unwrap();
    Arc::new(Engine::new(snapshot, counters, None))
}

fn policy(c: &mut Criterion) {
    let names = common::names(1_000_000);
    let plain = engine(Settings { lists: lists(&names), ..Settings::default() });
    let grouped = engine(grouped(lists(&names)));
    // Each name with a client whose group has its list.
    let each = names.len().div_ceil(LISTS);
    let mut asks: Vec<(Vec<u8>, SocketAddr)> = common::wire(&names)
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let parity = (at / each % 2) as u16;
            let group = (at * 7 % (GROUPS as usize / 2)) as u16 * 2 + parity;
            let network = network(group * (NETWORKS / GROUPS) + (at % 300) as u16);
            (encode(name.as_name(), Qtype::A), SocketAddr::new(network.addr(), 5353))
        })
        .collect();
    let mut random = common::Random::new(7);
    for last in (1..asks.len()).rev() {
        asks.swap(last, random.below(last + 1));
    }
    let now = Moment { at: Instant::now(), unix: NOW };
    let mut at = 0;
    let mut out = [0u8; 1232];
    let mut room = Vec::new();
    let mut inbox: Vec<(Vec<u8>, SocketAddr)> = vec![(Vec::new(), (IpAddr::from([0; 4]), 0).into()); BATCH];
    let mut group = c.benchmark_group("blocked");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (what, engine) in [("no groups", &plain), ("32 groups", &grouped)] {
        let mut counters = engine.counters.own();
        group.bench_function(what, |b| {
            b.iter(|| {
                for slot in &mut inbox {
                    at = (at + 1) % asks.len();
                    slot.0.clear();
                    slot.0.extend_from_slice(&asks[at].0);
                    slot.1 = asks[at].1;
                }
                let snapshot = engine.snapshot_at(now.unix);
                read_ahead(&snapshot, BATCH, |slot| inbox.get(slot).map(|s| s.0.as_slice()), &mut room);
                for (packet, address) in &inbox {
                    let client = Client { address: *address, transport: Transport::Udp, listener: 0 };
                    let mut event = Event::new(client.address, client.transport);
                    let outcome = resolve(engine, &snapshot, packet, client, now, &mut out, &mut event);
                    assert!(matches!(outcome, Outcome::Reply(_)) && event.verdict.word() == "blocked");
                    black_box(&out);
                    engine.observe(&mut counters, &snapshot, &event, packet, &out);
                }
            });
        });
    }
}

criterion_group!(benches, policy);
criterion_main!(benches);
