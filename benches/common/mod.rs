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

use portcullis::dns::name::NameBuf;

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

const TLDS: [&str; 16] = [
    "com", "com", "com", "com", "com", "com", "net", "org", "ru", "de", "io", "info", "xyz", "top", "co.uk",
    "fr",
];

/// `count` distinct names: one to three labels below a top-level domain, half of them below a
/// registered name that several share, as in published lists.
pub fn names(count: usize) -> Vec<String> {
    let mut random = Random::new(0x2016_1117);
    let mut seen = std::collections::HashSet::new();
    let mut registered: Vec<String> = Vec::new();
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let name = if registered.len() > 100 && random.below(100) < 45 {
            let base = random.below(registered.len());
            let deep = if random.below(4) == 0 { format!("{}.", random.label(2, 8)) } else { String::new() };
            format!("{deep}{}.{}", random.label(1, 12), registered[base])
        } else {
            let tld = TLDS[random.below(TLDS.len())];
            let name = format!("{}.{tld}", random.label(4, 16));
            registered.push(name.clone());
            name
        };
        if seen.insert(name.clone()) {
            out.push(name);
        }
    }
    out
}

/// Names in wire form, in an order that has nothing to do with the list's.
pub fn shuffled(names: &[String]) -> Vec<NameBuf> {
    let mut random = Random::new(42);
    let mut wire: Vec<NameBuf> = names.iter().map(|n| NameBuf::from_text(n).unwrap()).collect();
    for i in (1..wire.len()).rev() {
        wire.swap(i, random.below(i + 1));
    }
    // Copied in their new order, so that reading a question is no cache miss, as in a server, whose
    // packet has just been received. What is measured is the list.
    wire.iter().map(|name| name.as_name().to_buf()).collect()
}

/// Names that no rule covers: a registered name that is not in the list.
pub fn misses(count: usize) -> Vec<String> {
    let mut random = Random::new(7);
    (0..count).map(|_| format!("www.{}-{}.com", random.label(4, 12), random.below(1_000_000))).collect()
}
