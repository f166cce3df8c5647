//! From the text of a list to a policy, and from a compiled file.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_possible_truncation)]

mod common;

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::lists::parse;
use portcullis::policy::{Options, compile, file};
use portcullis::rule::{Effect, Format};

const COUNT: usize = 1_000_000;

fn build(c: &mut Criterion) {
    let text = common::names(COUNT).join("\n");
    let read = || parse(text.as_bytes(), Format::Domains, None, Effect::Block).unwrap();
    let options = Options { lines: true, left_out: false };
    let mut group = c.benchmark_group("build/1000000");
    group.sample_size(10);
    group.bench_function("read", |b| b.iter(|| black_box(read().name_count())));
    group.bench_function("read and compile", |b| {
        b.iter(|| black_box(compile(&[("l".into(), read())], options).unwrap().0.index.entry_count()));
    });
    let (compiled, _) = compile(&[("l".into(), read())], options).unwrap();
    let bytes = [compiled.index.as_bytes(), &file::tail(&compiled).unwrap()].concat();
    let (all, hot) = (compiled.index.as_bytes().len(), compiled.index.hot_len());
    println!("text {} octets, index {hot}, with origins {all}", text.len() + 1);
    let mapped = Bytes::from(bytes);
    group.bench_function("open compiled", |b| b.iter(|| black_box(file::open(&mapped).unwrap())));
    group.finish();
}

criterion_group!(benches, build);
criterion_main!(benches);
