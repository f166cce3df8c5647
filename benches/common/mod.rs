//! A seeded list of names of realistic shape, shared by the benches.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

use bytes::Bytes;
use portcullis::dns::{Name, NameBuf};
use portcullis::lists::parse;
use portcullis::policy::{Options, compile};
use portcullis::rule::{Effect, Format};
use portcullis::trie::Index;

/// A small generator of numbers (xorshift64*), so that every run sees the same names.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn label(&mut self, shortest: usize, spread: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789-eeeaaiioorrnnttss";
        let len = shortest + self.below(spread) / 2 + self.below(spread) / 2;
        (0..len).map(|i| LETTERS[self.below(if i == 0 { 26 } else { LETTERS.len() })] as char).collect()
    }
}

/// Top-level domains with the frequencies of published lists: six in ten names are below `com`.
const TLDS: [&str; 20] = [
    "com", "com", "com", "com", "com", "com", "com", "com", "com", "com", "com", "com", "net", "ru", "de",
    "club", "pl", "org", "info", "co.uk",
];
const COMMON: [&str; 8] = ["www", "m", "ads", "api", "cdn", "track", "static", "mail"];

/// `count` distinct names. Label counts and lengths are those of a published list of 174,000 names
/// (1Hosts Pro): a third of the names have two labels, half have three, the rest more; a name with its
/// line's end takes 20 octets; half of the names are below a registered name that is also in the list
/// or that several share, occasionally one with thousands.
pub fn names(count: usize) -> Vec<String> {
    let mut random = Random::new(0x2016_1117);
    let mut seen = std::collections::HashSet::new();
    let mut registered: Vec<String> = Vec::new();
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let name = if registered.len() > 100 && random.below(100) < 67 {
            // A few registered names have very many below them.
            let base = match random.below(20) {
                0 => random.below(20),
                _ => random.below(registered.len()),
            };
            let first = match random.below(3) {
                0 => COMMON[random.below(COMMON.len())].to_owned(),
                _ => random.label(2, 11),
            };
            let deep = if random.below(4) == 0 { format!("{}.", random.label(2, 8)) } else { String::new() };
            format!("{deep}{first}.{}", registered[base])
        } else {
            let tld = TLDS[random.below(TLDS.len())];
            let name = format!("{}.{tld}", random.label(4, 14));
            // One in two is in the list only through names below it.
            registered.push(name.clone());
            if random.below(2) == 0 {
                continue;
            }
            name
        };
        if seen.insert(name.clone()) {
            out.push(name);
        }
    }
    out
}

/// The index for a list of these names, compiled as in the server.
pub fn index(names: &[String], lines: bool) -> Index<Bytes> {
    let list = parse(names.join("\n").as_bytes(), Format::Domains, None, Effect::Block).unwrap();
    compile(&[("l".into(), list)], Options { lines, left_out: false }).unwrap().0.index
}

pub fn wire(names: &[String]) -> Vec<NameBuf> {
    names.iter().map(|n| NameBuf::from_text(n).unwrap()).collect()
}

/// The names in an order unrelated to the list's.
pub fn shuffled(mut names: Vec<NameBuf>) -> Vec<NameBuf> {
    let mut random = Random::new(42);
    for i in (1..names.len()).rev() {
        names.swap(i, random.below(i + 1));
    }
    names
}

/// Names one after the other in memory, so that reading one is not a cache miss, as in a server that
/// has just received the packet. Only the list is measured.
pub struct Packed {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

pub fn packed(names: &[NameBuf]) -> Packed {
    let mut packed = Packed { bytes: Vec::new(), starts: Vec::new() };
    for name in names {
        packed.starts.push(packed.bytes.len() as u32);
        packed.bytes.extend_from_slice(name.as_bytes());
    }
    packed.starts.push(packed.bytes.len() as u32);
    packed
}

impl Packed {
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn name(&self, at: usize) -> Name<'_> {
        Name::parse(&self.bytes[self.starts[at] as usize..self.starts[at + 1] as usize]).unwrap()
    }
}

/// Names that no rule covers: hosts of registered names that are not in the list.
pub fn misses(count: usize) -> Vec<String> {
    let mut random = Random::new(7);
    (0..count)
        .map(|_| {
            let host = COMMON[random.below(COMMON.len())];
            let tld = TLDS[random.below(TLDS.len())];
            format!("{host}.{}-{}.{tld}", random.label(4, 10), random.below(1_000_000))
        })
        .collect()
}

/// Registered names that are not in the list.
pub fn misses_at_second(count: usize) -> Vec<String> {
    let mut random = Random::new(8);
    (0..count).map(|_| format!("{}-{}.com", random.label(4, 10), random.below(1_000_000))).collect()
}
