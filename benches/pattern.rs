//! 10,000 regular expressions and inner wildcards like those of published lists.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, clippy::disallowed_methods)]

mod common;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use portcullis::dns::{Pattern, Start};
use portcullis::trie::Patterns;

fn patterns(count: u32) -> Vec<(Pattern, u32)> {
    let mut random = common::Random::new(3);
    // Like the compiler, no pattern twice: popular words repeat.
    let mut seen = std::collections::HashSet::new();
    let words = common::names(count as usize * 2);
    let patterns = (0..).map(|id| {
        let word = words[id as usize].split('.').next().unwrap().trim_matches('-').to_owned();
        let regex = |text: String| Pattern::Regex(text);
        let pattern = match random.below(6) {
            0 => regex(format!("^{word}[0-9]*[._-]")),
            1 => regex(format!("^(.+[_.-])?{word}s?[0-9]*\\.")),
            2 => regex(format!("{word}\\.(com|net|org)$")),
            3 => regex(format!("(^|\\.){word}-[a-z0-9]+\\.cdn{id}\\.")),
            4 => Pattern::Glob { text: format!("ads*.{word}.com"), start: Start::Label, end: true },
            _ => Pattern::Glob { text: format!("{word}-*-track"), start: Start::Anywhere, end: false },
        };
        (pattern, id)
    });
    patterns.filter(|(pattern, _)| seen.insert(pattern.clone())).take(count as usize).collect()
}

fn bench(c: &mut Criterion) {
    for count in [100, 10_000] {
        let rules = patterns(count);
        let set = Patterns::build(&rules).unwrap();
        let names = common::misses(10_000);
        let mut at = 0;
        let mut group = c.benchmark_group(format!("pattern/{count}"));
        group.bench_function("lookup", |b| {
            b.iter(|| {
                at = (at + 1) % names.len();
                let mut hits = 0;
                set.matches(names[at].as_bytes(), |_| hits += 1);
                black_box(hits)
            });
        });
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
