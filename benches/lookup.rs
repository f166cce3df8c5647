//! One lookup in a list of 1,000,000 names, asked in random order so that caches miss, beside a
//! `HashSet<Box<[u8]>>` that walks suffixes and the `fst` crate on reversed names.
//!
//! Each round looks up the same names in all three, and the ratio is printed at the end: compare within
//! a run, never between runs.
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

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::dns::{Name, NameBuf};
use portcullis::trie::Index;

const COUNT: usize = 1_000_000;
/// Questions of one kind; more than the caches hold.
const QUESTIONS: usize = 200_000;

/// The longest suffix of a wire name that is in the set.
fn walk(set: &HashSet<Box<[u8]>>, mut rest: &[u8]) -> bool {
    loop {
        if set.contains(rest) {
            return true;
        }
        match rest.first() {
            Some(len @ 1..) => rest = &rest[1 + usize::from(*len)..],
            _ => return false,
        }
    }
}

/// The labels from the root down, each after a dot: the order in which an `fst` shares its upper part.
fn reversed(name: Name<'_>) -> Vec<u8> {
    let labels: Vec<&[u8]> = name.labels().collect();
    let mut key = Vec::new();
    for label in labels.iter().rev() {
        key.extend_from_slice(label);
        key.push(b'.');
    }
    key
}

/// True if a prefix of the key that ends with a label is in the set.
fn walk_fst(set: &fst::Set<Vec<u8>>, key: &[u8]) -> bool {
    let raw = set.as_fst();
    let mut node = raw.root();
    for byte in key {
        match node.find_input(*byte) {
            None => return false,
            Some(at) => node = raw.node(node.transition_addr(at)),
        }
        if *byte == b'.' && node.is_final() {
            return true;
        }
    }
    false
}

struct Three {
    index: Index<Bytes>,
    set: HashSet<Box<[u8]>>,
    fst: fst::Set<Vec<u8>>,
}

impl Three {
    fn of(list: &[String], names: &[NameBuf]) -> Self {
        let mut keys: Vec<_> = names.iter().map(|n| reversed(n.as_name())).collect();
        keys.sort_unstable();
        keys.dedup();
        Self {
            index: common::index(list, false),
            set: names.iter().map(|n| n.as_bytes().into()).collect(),
            fst: fst::Set::from_iter(keys).unwrap(),
        }
    }
}

fn compare(c: &mut Criterion, what: &str, three: &Three, questions: &[NameBuf]) {
    let mut group = c.benchmark_group(format!("lookup/{what}"));
    let packed = common::packed(questions);
    let wire: Vec<Name<'_>> = (0..packed.len()).map(|at| packed.name(at)).collect();
    let keys: Vec<Vec<u8>> = questions.iter().map(|n| reversed(n.as_name())).collect();
    let (mut at, mut hits) = (0, [0usize; 3]);
    group.bench_function("index", |b| {
        b.iter(|| {
            at = if at + 1 < wire.len() { at + 1 } else { 0 };
            let mut last = None;
            three.index.lookup(wire[at], |hit| last = Some(hit.id));
            hits[0] += usize::from(last.is_some());
            black_box(last)
        });
    });
    group.bench_function("hashset", |b| {
        b.iter(|| {
            at = if at + 1 < wire.len() { at + 1 } else { 0 };
            black_box(walk(&three.set, wire[at].as_bytes()))
        });
    });
    group.bench_function("fst", |b| {
        b.iter(|| {
            at = if at + 1 < keys.len() { at + 1 } else { 0 };
            black_box(walk_fst(&three.fst, &keys[at]))
        });
    });
    group.finish();
    // All three must agree, or the comparison is meaningless.
    for (number, name) in questions.iter().enumerate() {
        let mut found = false;
        three.index.lookup(name.as_name(), |_| found = true);
        assert_eq!(found, walk(&three.set, name.as_bytes()), "{name}");
        assert_eq!(found, walk_fst(&three.fst, &keys[number]), "{name}");
    }
}

fn lookup(c: &mut Criterion) {
    let list = common::names(COUNT);
    let names: Vec<NameBuf> = common::wire(&list);
    let three = Three::of(&list, &names);
    let text: usize = names.iter().map(|n| n.as_bytes().len() - 1).sum();
    let bytes = three.index.hot_len();
    println!(
        "{COUNT} names, {text} octets of text, index {bytes}: {:.3} a byte of text, {:.3} with lines",
        bytes as f64 / text as f64,
        common::index(&list, true).as_bytes().len() as f64 / text as f64
    );
    let some = |names: Vec<NameBuf>| common::shuffled(names).into_iter().take(QUESTIONS).collect::<Vec<_>>();
    compare(c, "hit", &three, &some(names.clone()));
    compare(c, "miss", &three, &some(common::wire(&common::misses(QUESTIONS))));
    compare(c, "miss-second-label", &three, &some(common::wire(&common::misses_at_second(QUESTIONS))));
    let deep: Vec<String> = list.iter().map(|n| format!("a.b.c.d.e.f.{n}")).collect();
    compare(c, "deep", &three, &some(common::wire(&deep)));
}

criterion_group!(benches, lookup);
criterion_main!(benches);
