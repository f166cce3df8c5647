//! The most frequent names, clients, lists and upstreams of some time, exactly.
//!
//! A file that lies wholly within the time and is closed has a sum for each key of its day, in the order of the sums.
//! So not all of them are read: the files' best keys are taken in turn, each is looked up in all other files, and
//! as soon as no key that was not seen can have more than the tenth of those that were, the ten are known (Fagin's
//! threshold algorithm). Of other files the chunks are added up, and rows are read only at the ends of the time.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{OptionalExtension, params};

use super::chunk::{self, Count};
use super::close::{CLIENT, LIST, NAME};
use super::file::{LogError, files};
use super::filter::{Filter, may_have};
use super::read::Reader;
use crate::policy::Class;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Names that were asked for.
    Names,
    /// Clients that asked.
    Clients,
    /// Lists whose rules decided.
    Lists,
    /// Upstreams that answered.
    Upstreams,
}

/// A key and how often it was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The name, client, list or upstream.
    pub key: String,
    /// Queries; of an upstream, its replies.
    pub queries: u64,
    /// Those of them that were blocked; of an upstream, its failures.
    pub blocked: u64,
}

/// The most frequent keys.
#[derive(Debug, Default)]
pub struct Top {
    /// The keys, the most frequent first; those that are as frequent by the alphabet.
    pub keys: Vec<Counted>,
    /// Files that could not be read.
    pub problems: Vec<LogError>,
}

/// After so many keys that were looked up, all are read: the keys are about equally frequent.
const LOOKED_UP: usize = 2000;

/// The `most` frequent keys since a time, in microseconds since 1970; with `blocked`, by their blocked queries.
///
/// # Errors
/// The folder can't be read.
pub fn top(folder: &Path, what: What, since: i64, blocked: bool, most: usize) -> Result<Top, LogError> {
    let filter = Filter { since: Some(since), ..Filter::default() };
    let mut top = Top::default();
    let mut sums = Sums { whole: Vec::new(), rest: HashMap::new(), blocked };
    for file in files(folder)?.into_iter().filter(|file| may_have(file, &filter)) {
        let error = LogError::of(&file.path);
        let added = Reader::open(file).and_then(|reader| match reader {
            Some(reader) => sums.add(reader, what, since).map_err(error),
            None => Ok(()),
        });
        top.problems.extend(added.err());
    }
    let counted = match what {
        What::Upstreams => Ok(sums.best_of_rest(most)),
        What::Names => sums.best(&Kind { number: NAME, table: "name", column: "name" }, most),
        What::Clients => sums.best(&Kind { number: CLIENT, table: "client", column: "client" }, most),
        What::Lists => sums.best(&Kind { number: LIST, table: "list", column: "list" }, most),
    };
    match counted {
        Ok(keys) => top.keys = keys,
        Err(problem) => top.problems.push(problem),
    }
    Ok(top)
}

/// A kind of keys in the tables.
struct Kind {
    number: i64,
    table: &'static str,
    column: &'static str,
}

struct Sums {
    /// Closed files within the time.
    whole: Vec<Reader>,
    /// The counts of all others.
    rest: HashMap<String, Count>,
    blocked: bool,
}

impl Sums {
    fn add(&mut self, reader: Reader, what: What, since: i64) -> rusqlite::Result<()> {
        let since = (since - reader.file.start()).div_euclid(1000);
        if what == What::Upstreams {
            let mut sums = reader.db.prepare(
                "SELECT upstream, sum(answers), sum(failures) FROM upstream WHERE ms >= ?1 GROUP BY upstream",
            )?;
            let mut sums = sums.query([since])?;
            while let Some(row) = sums.next()? {
                let count = Count {
                    n: row.get::<_, i64>(1)?.cast_unsigned(),
                    blocked: row.get::<_, i64>(2)?.cast_unsigned(),
                };
                self.rest.entry(row.get(0)?).or_default().add(count);
            }
            return Ok(());
        }
        if reader.closed {
            let first = reader
                .db
                .query_row("SELECT min(since) FROM chunk", [], |row| row.get::<_, Option<i64>>(0))?;
            if first.is_none_or(|first| first >= since) {
                self.whole.push(reader);
                return Ok(());
            }
        }
        let (column, of_row, text) = match what {
            What::Names => (2, "q.name", "SELECT name FROM name WHERE id = ?1"),
            What::Clients => (3, "q.client", "SELECT client FROM client WHERE id = ?1"),
            What::Lists | What::Upstreams => (
                4,
                "(SELECT rule.list FROM rule WHERE rule.id = q.rule)",
                "SELECT list FROM list WHERE id = ?1",
            ),
        };
        let mut counts: HashMap<i64, Count> = HashMap::new();
        let rows = format!("SELECT {of_row}, q.verdict FROM q WHERE q.id BETWEEN ?1 AND ?2 AND q.ms >= ?3");
        let mut rows = reader.db.prepare(&rows)?;
        let mut add_rows = |first: i64, last: i64, counts: &mut HashMap<i64, Count>| {
            let mut rows = rows.query([first, last, since])?;
            while let Some(row) = rows.next()? {
                let blocked = u64::from(row.get::<_, i64>(1)? == Class::Blocked as i64);
                if let Some(key) = row.get::<_, Option<i64>>(0)? {
                    counts.entry(key).or_default().add(Count { n: 1, blocked });
                }
            }
            Ok::<_, rusqlite::Error>(())
        };
        // One state of the file for all that is read, whatever is written meanwhile.
        let reading = reader.db.unchecked_transaction()?;
        let mut chunks =
            reading.prepare("SELECT first, last, names, clients, lists, since, until FROM chunk")?;
        let mut chunks = chunks.query([])?;
        while let Some(row) = chunks.next()? {
            if row.get::<_, i64>(6)? < since {
                continue;
            }
            if row.get::<_, i64>(5)? < since {
                add_rows(row.get(0)?, row.get(1)?, &mut counts)?;
                continue;
            }
            for (key, count) in chunk::decode(row.get_ref(column)?.as_blob()?) {
                counts.entry(key).or_default().add(count);
            }
        }
        add_rows(chunk::next(&reading)?, i64::MAX, &mut counts)?;
        let mut text = reading.prepare(text)?;
        for (key, count) in counts {
            // A key without a text was purged.
            if let Some(text) = text.query_row([key], |row| row.get(0)).optional()? {
                self.rest.entry(text).or_default().add(count);
            }
        }
        Ok(())
    }

    const fn weight(&self, count: Count) -> u64 {
        if self.blocked { count.blocked } else { count.n }
    }

    fn best_of_rest(&self, most: usize) -> Vec<Counted> {
        self.sorted(self.rest.iter().map(|(key, count)| (key.clone(), *count)), most)
    }

    fn sorted(&self, counts: impl Iterator<Item = (String, Count)>, most: usize) -> Vec<Counted> {
        let mut all: Vec<_> = counts.filter(|(_, count)| self.weight(*count) > 0).collect();
        all.sort_by(|(a, one), (b, other)| {
            self.weight(*other).cmp(&self.weight(*one)).then_with(|| a.cmp(b))
        });
        all.truncate(most);
        all.into_iter().map(|(key, Count { n, blocked })| Counted { key, queries: n, blocked }).collect()
    }

    /// The best of all files.
    fn best(&self, kind: &Kind, most: usize) -> Result<Vec<Counted>, LogError> {
        let Kind { number, table, column } = kind;
        let by = if self.blocked { "blocked" } else { "n" };
        let ordered = format!(
            "SELECT {table}.{column}, day.{by} FROM day JOIN {table} ON {table}.id = day.key WHERE day.kind = {number}
             ORDER BY day.{by} DESC LIMIT ?1 OFFSET ?2"
        );
        let looked_up = format!(
            "SELECT day.n, day.blocked FROM day WHERE day.kind = {number} AND day.key =
             (SELECT min(id) FROM {table} WHERE {column} = ?1)"
        );
        let mut seen: HashMap<String, Count> = HashMap::new();
        let mut rest: Vec<(&String, u64)> = self.rest.iter().map(|(key, c)| (key, self.weight(*c))).collect();
        rest.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        let step = most.max(10);
        for depth in (0..).step_by(step) {
            // The best that a key that was not seen can have: what stands last in each order.
            let mut unseen = 0;
            let mut keys: HashSet<String> = HashSet::new();
            let next = rest.get(depth..).unwrap_or_default().iter().take(step);
            unseen += next.clone().nth(step - 1).map_or(0, |(_, n)| *n);
            keys.extend(next.map(|(key, _)| (*key).clone()));
            for reader in &self.whole {
                let error = LogError::of(&reader.file.path);
                let mut rows = reader.db.prepare_cached(&ordered).map_err(&error)?;
                let limits = params![step.cast_signed(), depth.cast_signed()];
                let some =
                    rows.query_map(limits, |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
                let some: Vec<_> = some.and_then(Iterator::collect).map_err(&error)?;
                unseen += some.get(step - 1).map_or(0, |(_, n)| n.cast_unsigned());
                keys.extend(some.into_iter().map(|(key, _)| key));
            }
            let is_all = keys.is_empty();
            for key in keys {
                if seen.contains_key(&key) {
                    continue;
                }
                let mut count = self.rest.get(&key).copied().unwrap_or_default();
                for reader in &self.whole {
                    let error = LogError::of(&reader.file.path);
                    let mut of_day = reader.db.prepare_cached(&looked_up).map_err(&error)?;
                    let found = of_day.query_row([&key], |row| {
                        let (n, blocked) = (row.get::<_, i64>(0)?, row.get::<_, i64>(1)?);
                        Ok(Count { n: n.cast_unsigned(), blocked: blocked.cast_unsigned() })
                    });
                    count.add(found.optional().map_err(&error)?.unwrap_or_default());
                }
                seen.insert(key, count);
            }
            let mut best: Vec<u64> = seen.values().map(|count| self.weight(*count)).collect();
            best.sort_unstable_by(|one, other| other.cmp(one));
            // A key that was not seen, and is as frequent, could still come earlier in the alphabet.
            if is_all || unseen == 0 || best.get(most.saturating_sub(1)).is_some_and(|last| *last > unseen) {
                break;
            }
            if seen.len() > LOOKED_UP {
                return self.all(kind, most);
            }
        }
        Ok(self.sorted(seen.into_iter(), most))
    }

    /// The same from all sums of all files.
    fn all(&self, kind: &Kind, most: usize) -> Result<Vec<Counted>, LogError> {
        let Kind { number, table, column } = kind;
        let sql = format!(
            "SELECT {table}.{column}, day.n, day.blocked FROM day JOIN {table} ON {table}.id = day.key
             WHERE day.kind = {number}"
        );
        let mut sums = self.rest.clone();
        for reader in &self.whole {
            let error = LogError::of(&reader.file.path);
            let mut rows = reader.db.prepare(&sql).map_err(&error)?;
            let mut rows = rows.query([]).map_err(&error)?;
            while let Some(row) = rows.next().map_err(&error)? {
                let of = |row: &rusqlite::Row<'_>| {
                    let (n, blocked) = (row.get::<_, i64>(1)?, row.get::<_, i64>(2)?);
                    Ok((
                        row.get::<_, String>(0)?,
                        Count { n: n.cast_unsigned(), blocked: blocked.cast_unsigned() },
                    ))
                };
                let (key, count) = of(row).map_err(&error)?;
                sums.entry(key).or_default().add(count);
            }
        }
        Ok(self.sorted(sums.into_iter(), most))
    }
}
