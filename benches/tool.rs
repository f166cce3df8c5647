//! What the scripts beside this file run: `names N`, `lookups KIND N`, `load FORMAT FILE`; see README.md.
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
use std::time::Instant;

use portcullis::dns::name::Name;

/// Lookups in a list of 1,000,000 names over and over the same 256 questions, so that the caches hold
/// what they need: what is left is the work of the processor.
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

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["names", count] => common::names(count.parse().unwrap()).iter().for_each(|n| println!("{n}")),
        ["lookups", kind, count] => lookups(kind, count.parse().unwrap()),
        _ => {}
    }
}
