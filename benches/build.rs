//! From the text of a list to the frozen index.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_possible_truncation)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::lists::parse;
use portcullis::policy::compile::{ListPolicy, Policy};
use portcullis::rule::{Action, Effect, Format};

fn build(c: &mut Criterion) {
    let text = common::names(100_000).join("\n");
    let mut group = c.benchmark_group("build/100000");
    group.sample_size(10);
    group.bench_function("parse", |b| {
        b.iter(|| {
            black_box(parse(text.as_bytes(), Format::Domains, None, Effect::Block).unwrap().rules.len())
        });
    });
    group.bench_function("parse and compile", |b| {
        b.iter(|| {
            let rules = parse(text.as_bytes(), Format::Domains, None, Effect::Block).unwrap().rules;
            let policy = ListPolicy::new("l".into(), Action::NxDomain, 60, None);
            black_box(Policy::compile(vec![(policy, rules)]).unwrap().rule_count())
        });
    });
    group.finish();
}

criterion_group!(benches, build);
criterion_main!(benches);
