//! One lookup in a list of 100,000 names, with a `HashSet<String>` that walks suffixes beside it.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

mod common;

use std::collections::HashSet;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::dns::name::{Match, NameBuf};
use portcullis::trie::build::build;

const COUNT: usize = 100_000;

fn walk(set: &HashSet<String>, name: &str) -> bool {
    let mut rest = name;
    loop {
        if set.contains(rest) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => return false,
        }
    }
}

fn lookup(c: &mut Criterion) {
    let names = common::names(COUNT);
    let entries =
        (0u32..).zip(&names).map(|(id, n)| (NameBuf::from_text(n).unwrap(), Match::Suffix, id)).collect();
    let index = build(entries).unwrap();
    let set: HashSet<String> = names.iter().cloned().collect();
    let deep: Vec<String> = names.iter().map(|n| format!("a.b.c.d.e.f.{n}")).collect();
    for (what, questions) in [("hit", names.clone()), ("miss", common::misses(COUNT)), ("deep", deep)] {
        let wire = common::shuffled(&questions);
        let text: Vec<String> = wire.iter().map(NameBuf::to_string).collect();
        let mut group = c.benchmark_group(format!("lookup/{what}"));
        let mut at = 0;
        group.bench_function("index", |b| {
            b.iter(|| {
                at = (at + 1) % wire.len();
                let mut last = None;
                index.lookup(wire[at].as_name(), |hit| last = Some(hit.id));
                black_box(last)
            });
        });
        group.bench_function("hashset", |b| {
            b.iter(|| {
                at = (at + 1) % text.len();
                black_box(walk(&set, &text[at]))
            });
        });
        group.finish();
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
