//! Chunks: what is in some thousand rows, so that they need not be read.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use crate::policy::Class;

/// The rows of a chunk.
pub(super) const CHUNK: i64 = 8192;

/// How often a key stands in some rows, and how often blocked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) n: u64,
    pub(super) blocked: u64,
}

impl Count {
    pub(super) fn add(&mut self, other: Self) {
        self.n += other.n;
        self.blocked += other.blocked;
    }
}

/// Counts by key.
pub(super) type Counts = BTreeMap<i64, Count>;

/// Writes the chunk of the rows from `first` to `last`, in place of one that begins there.
pub(super) fn write(db: &Connection, first: i64, last: i64) -> rusqlite::Result<()> {
    let mut rows = db.prepare_cached(
        "SELECT q.ms, q.name, q.client, rule.list, q.verdict FROM q LEFT JOIN rule ON rule.id = q.rule
         WHERE q.id BETWEEN ?1 AND ?2",
    )?;
    let mut rows = rows.query([first, last])?;
    let (mut since, mut until) = (i64::MAX, i64::MIN);
    let mut counts = [Counts::new(), Counts::new(), Counts::new()];
    while let Some(row) = rows.next()? {
        let ms = row.get(0)?;
        (since, until) = (since.min(ms), until.max(ms));
        let blocked = u64::from(row.get::<_, i64>(4)? == Class::Blocked as i64);
        for (column, counts) in (1..).zip(&mut counts) {
            if let Some(key) = row.get::<_, Option<i64>>(column)? {
                counts.entry(key).or_default().add(Count { n: 1, blocked });
            }
        }
    }
    if since > until {
        // Nothing is left of it.
        (since, until) = (0, 0);
    }
    let [names, clients, lists] = counts.map(|counts| encode(&counts));
    db.prepare_cached("INSERT OR REPLACE INTO chunk VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
        .execute(params![first, last, since, until, names, clients, lists])?;
    Ok(())
}

/// Writes the chunks of all whole chunks of rows up to `last`; with `rest`, one of what is left too.
pub(super) fn write_up_to(db: &Connection, next: &mut i64, last: i64, rest: bool) -> rusqlite::Result<()> {
    while last - *next + 1 >= CHUNK {
        write(db, *next, *next + CHUNK - 1)?;
        *next += CHUNK;
    }
    if rest && last >= *next {
        write(db, *next, last)?;
        *next = last + 1;
    }
    Ok(())
}

/// The first row that is in no chunk.
pub(super) fn next(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT coalesce(max(last), 0) + 1 FROM chunk", [], |row| row.get(0))
}

/// The counts in octets: for each key in order its distance from the one before, and both counts; each number
/// seven bits an octet, the lowest first.
fn encode(counts: &Counts) -> Vec<u8> {
    let mut octets = Vec::with_capacity(counts.len() * 4);
    let mut before = 0;
    for (key, count) in counts {
        put(&mut octets, key.wrapping_sub(before).cast_unsigned());
        put(&mut octets, count.n);
        put(&mut octets, count.blocked);
        before = *key;
    }
    octets
}

/// The counts, up to the end or to what is not understood.
pub(super) fn decode(mut octets: &[u8]) -> impl Iterator<Item = (i64, Count)> {
    let mut key = 0_i64;
    std::iter::from_fn(move || {
        key = key.wrapping_add(take(&mut octets)?.cast_signed());
        Some((key, Count { n: take(&mut octets)?, blocked: take(&mut octets)? }))
    })
}

fn put(octets: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        octets.push(if number == 0 { low } else { low | 0x80 });
        if number == 0 {
            return;
        }
    }
}

fn take(octets: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (octet, rest) = octets.split_first()?;
        *octets = rest;
        number |= u64::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_from_their_octets() {
        let count = |n, blocked| Count { n, blocked };
        let all: Counts =
            [(1, count(1, 0)), (2, count(8192, 127)), (300, count(128, 128)), (i64::MAX, count(u64::MAX, 1))]
                .into();
        let octets = encode(&all);
        assert_eq!(decode(&octets).collect::<Counts>(), all);
        assert_eq!(decode(&encode(&Counts::new())).count(), 0);
        // Any beginning of it, and anything else, ends without more.
        for end in 0..octets.len() {
            assert!(decode(&octets[..end]).count() < all.len());
        }
        assert_eq!(decode(&[0xff; 40]).count(), 0);
    }
}
