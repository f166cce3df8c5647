//! The thread that writes: it collects rows, writes them in short transactions, and begins a file a day.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use rusqlite::{Connection, params};

use super::chunk;
use super::close::Closer;
use super::file::{DAY, DayFile, LogError, date, files, is_closed, open_to_write};
use super::retention;
use crate::dns::NameBuf;
use crate::observe::sink::{Drain, Wait};
use crate::observe::stats::{SinkStats, Tallies};
use crate::resolver::moment::Clock;
use crate::settings::LogStore;
use crate::sinks::entry::{Entry, client_text};
use crate::sinks::trouble::Trouble;

/// The most rows that wait in memory; more are written at once.
const BATCH: usize = 10_000;
/// How long until something that failed is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// How often the folder's size is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// The most names in memory: with more, the dictionary begins again, and some names are in the file twice.
const NAMES: usize = 100_000;
/// A clock that was set back by less than this goes on in the same file.
const BACK: i64 = DAY / 24;

/// What the thread knows.
pub struct Writer {
    store: LogStore,
    clock: Clock,
    stats: Arc<SinkStats>,
    tallies: Tallies,
    tallied: HashMap<String, (u64, u64)>,
    /// While it is held, no other server writes into the folder.
    lock: Option<File>,
    open: Option<Open>,
    batch: Vec<Entry>,
    /// When the oldest row of the batch came.
    begun: Option<Instant>,
    retry: Option<Instant>,
    looked: Option<Instant>,
    trouble: Trouble,
    closer: Closer,
}

/// The file that is being written.
struct Open {
    db: Connection,
    file: DayFile,
    names: HashMap<NameBuf, i64>,
    clients: HashMap<IpNet, i64>,
    lists: HashMap<String, i64>,
    rules: HashMap<(String, u32, String), i64>,
    references: HashSet<(u32, i64)>,
    words: HashSet<(&'static str, u16)>,
    /// The first row that is in no chunk.
    next: i64,
}

impl Writer {
    /// A writer for the store; nothing is opened before [`Writer::run`].
    #[must_use]
    pub fn new(store: LogStore, clock: Clock, stats: Arc<SinkStats>, tallies: Tallies) -> Self {
        Self {
            store,
            clock,
            stats,
            tallies,
            tallied: HashMap::new(),
            lock: None,
            open: None,
            batch: Vec::new(),
            begun: None,
            retry: None,
            looked: None,
            trouble: Trouble::new("the query log"),
            closer: Closer::default(),
        }
    }

    /// Writes what comes until the end.
    pub fn run(mut self, mut drain: Drain<Entry>) {
        // A folder that can't be written, or belongs to another server, is told at the start.
        self.write();
        loop {
            let now = (self.clock)().at;
            let wait = self
                .begun
                .map_or(LOOK, |begun| (begun + self.store.commit_every).saturating_duration_since(now));
            match drain.next_within(wait) {
                Wait::End => break,
                Wait::Idle => self.write(),
                Wait::Item(entry) => {
                    self.begun.get_or_insert(now);
                    if self.batch.len() < BATCH {
                        self.batch.push(entry);
                    } else {
                        self.stats.log.lose(1);
                    }
                    let is_due = self.begun.is_some_and(|begun| now >= begun + self.store.commit_every);
                    if is_due || self.batch.len() >= BATCH {
                        self.write();
                    }
                }
            }
        }
        self.retry = None;
        self.write();
        self.stats.log.lose(self.batch.len() as u64);
        drop(self.open);
        self.closer.stop();
    }

    /// Writes the rows that wait; keeps them if that fails.
    fn write(&mut self) {
        let now = (self.clock)();
        self.begun = None;
        if self.retry.is_some_and(|retry| now.at < retry) {
            self.begun = Some(now.at);
            return;
        }
        self.retry = None;
        let batch = std::mem::take(&mut self.batch);
        let mut left = batch.as_slice();
        match self.write_all(&mut left, now.unix) {
            Ok(()) => {
                self.trouble.works();
                self.stats.log.failing.store(false, Relaxed);
            }
            Err(error) => {
                self.batch = left.to_vec();
                self.open = None;
                self.retry = Some(now.at + RETRY);
                self.begun = Some(now.at);
                self.stats.log.failing.store(true, Relaxed);
                self.trouble.failed(error.to_string());
            }
        }
        if self.looked.is_none_or(|looked| now.at >= looked + LOOK) && self.lock.is_some() {
            self.looked = Some(now.at);
            self.look(now.unix);
        }
    }

    /// Writes rows, and takes those that are written from `left`.
    fn write_all(&mut self, left: &mut &[Entry], unix: i64) -> Result<(), LogError> {
        self.lock()?;
        if left.is_empty() && self.open.is_none() {
            // So that a problem is told before the first query, and yesterday's file is closed.
            self.open(unix.div_euclid(86_400))?;
        }
        while let Some(first) = left.first() {
            let day = self.day_of(first);
            let rows = left.iter().position(|entry| self.day_of(entry) != day).unwrap_or(left.len());
            let (rows, rest) = left.split_at_checked(rows).unwrap_or((left, &[]));
            if self.open.as_ref().is_none_or(|open| open.file.day != day) {
                self.open(day)?;
            }
            let Some(open) = &mut self.open else { break };
            let upstreams = differences(&mut self.tallied, (self.tallies)());
            match open.write(rows, &upstreams) {
                Ok(true) => {
                    self.stats.log.wrote(rows.len() as u64);
                    *left = rest;
                }
                Ok(false) => {
                    let (day, part) = (open.file.day, open.file.part);
                    self.open = None;
                    self.open_part(day, part + 1)?;
                }
                Err(error) if error.is_final() => {
                    tracing::error!("the query log: {error}");
                    let (day, part) = (open.file.day, open.file.part);
                    self.open = None;
                    self.open_part(day, part + 1)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The day in whose file an entry belongs: its own, unless the clock was set back a little.
    fn day_of(&self, entry: &Entry) -> i64 {
        let day = entry.at.div_euclid(DAY);
        match &self.open {
            Some(open) if day < open.file.day && open.file.start() - entry.at < BACK => open.file.day,
            _ => day,
        }
    }

    /// Makes the folder and takes its lock.
    fn lock(&mut self) -> Result<(), LogError> {
        if self.lock.is_some() {
            return Ok(());
        }
        let folder = &self.store.folder;
        make_folder(folder).map_err(LogError::io(folder))?;
        let path = folder.join("lock");
        let options = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = options.map_err(LogError::io(&path))?;
        #[cfg(unix)]
        if rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
            let reason =
                "another server writes its log here; give each a [data] folder of its own".to_owned();
            return Err(LogError::Other { path: folder.clone(), reason });
        }
        self.lock = Some(file);
        Ok(())
    }

    /// Opens the file of a day, and closes those of others.
    fn open(&mut self, day: i64) -> Result<(), LogError> {
        if let Some(open) = self.open.take()
            && day < open.file.day
        {
            let (from, to) = (date(open.file.day), date(day));
            tracing::warn!(
                "the clock was set back from {from} to {to}: the query log goes on in a file of that day"
            );
        }
        let of_day = |file: &&DayFile| file.day == day;
        let part = files(&self.store.folder)?.iter().filter(of_day).map(|file| file.part).max();
        self.open_part(day, part.unwrap_or(1))
    }

    /// Opens this file of a day or, if no more rows can go into it, the next.
    fn open_part(&mut self, day: i64, part: u32) -> Result<(), LogError> {
        for part in part.. {
            let file = DayFile::new(&self.store.folder, day, part);
            match Open::new(file) {
                Ok(Some(open)) => {
                    self.open = Some(open);
                    break;
                }
                Ok(None) => {}
                Err(error) if error.is_final() => tracing::error!("the query log: {error}"),
                Err(error) => return Err(error),
            }
        }
        self.close_others()
    }

    /// Closes all files but the open one.
    fn close_others(&mut self) -> Result<(), LogError> {
        let open = self.open.as_ref().map(|open| &open.file);
        for file in files(&self.store.folder)?.iter().filter(|file| Some(*file) != open) {
            self.closer.close(file);
        }
        self.looked = None;
        Ok(())
    }

    /// Begins another file if this one is large, and deletes what is too old or too much.
    fn look(&mut self, unix: i64) {
        let done = (|| {
            // The oldest part of a day must be able to go before the day does.
            if let Some(open) = &self.open
                && fs::metadata(&open.file.path).is_ok_and(|is| is.len() > self.store.size / 4)
            {
                let (day, part) = (open.file.day, open.file.part);
                self.open = None;
                self.open_part(day, part + 1)?;
            }
            let open = self.open.as_ref().map(|open| &open.file);
            retention::apply(&self.store, open, unix.div_euclid(86_400))
        })();
        if let Err(error) = done {
            tracing::error!("the query log: old files could not be deleted: {error}");
        }
    }
}

/// What was added since the last time.
fn differences(
    before: &mut HashMap<String, (u64, u64)>,
    now: Vec<(String, u64, u64)>,
) -> Vec<(String, u64, u64)> {
    let mut added = Vec::new();
    for (server, answers, failures) in now {
        let last = before.entry(server.clone()).or_default();
        // After a reload the counts may begin again.
        let since = |now: u64, last: u64| if now < last { now } else { now - last };
        let (more, worse) = (since(answers, last.0), since(failures, last.1));
        *last = (answers, failures);
        if more + worse > 0 {
            added.push((server, more, worse));
        }
    }
    added
}

impl Open {
    /// Opens a file; `None`: it is closed.
    fn new(file: DayFile) -> Result<Option<Self>, LogError> {
        let error = LogError::of(&file.path);
        let db = open_to_write(&file)?;
        if is_closed(&db).map_err(&error)? {
            return Ok(None);
        }
        let next = chunk::next(&db).map_err(&error)?;
        Ok(Some(Self {
            db,
            file,
            names: HashMap::new(),
            clients: HashMap::new(),
            lists: HashMap::new(),
            rules: HashMap::new(),
            references: HashSet::new(),
            words: HashSet::new(),
            next,
        }))
    }

    /// Writes rows. False: nothing was written, because the file has been closed meanwhile, which can happen when
    /// the clock is set back.
    fn write(&mut self, rows: &[Entry], upstreams: &[(String, u64, u64)]) -> Result<bool, LogError> {
        let error = LogError::of(&self.file.path);
        let done = self.try_write(rows, upstreams);
        if done.is_err() {
            // The numbers that were given out in the transaction are not in the file.
            self.forget();
        }
        done.map_err(error)
    }

    fn try_write(&mut self, rows: &[Entry], upstreams: &[(String, u64, u64)]) -> rusqlite::Result<bool> {
        if self.names.len() + self.rules.len() + self.references.len() + self.clients.len() > NAMES {
            self.forget();
        }
        self.db.execute_batch("BEGIN IMMEDIATE")?;
        let done = (|| {
            if is_closed(&self.db)? {
                self.db.execute_batch("ROLLBACK")?;
                return Ok(false);
            }
            let mut last = self.next - 1;
            for entry in rows {
                last = self.insert(entry)?;
            }
            let ms = |entry: &Entry| (entry.at - self.file.start()).div_euclid(1000);
            let mut upstream = self.db.prepare_cached("INSERT INTO upstream VALUES (?1, ?2, ?3, ?4)")?;
            for (server, answers, failures) in upstreams {
                let at = rows.last().map_or(0, ms);
                upstream.execute(params![at, server, answers.cast_signed(), failures.cast_signed()])?;
            }
            drop(upstream);
            chunk::write_up_to(&self.db, &mut self.next, last, false)?;
            self.db.execute_batch("COMMIT")?;
            Ok(true)
        })();
        if done.is_err() {
            // It may have been rolled back already.
            let _ = self.db.execute_batch("ROLLBACK");
        }
        done
    }

    fn forget(&mut self) {
        self.names.clear();
        self.clients.clear();
        self.lists.clear();
        self.rules.clear();
        self.references.clear();
        self.words.clear();
    }

    /// Inserts one row, and returns its number.
    fn insert(&mut self, entry: &Entry) -> rusqlite::Result<i64> {
        let db = &self.db;
        let name = match &entry.name {
            None => None,
            Some(name) => Some(match self.names.get(name) {
                Some(id) => *id,
                None => {
                    let id = add(db, "INSERT INTO name (name) VALUES (?1)", [name.to_string()])?;
                    self.names.insert(name.clone(), id);
                    id
                }
            }),
        };
        let client = match &entry.client {
            None => None,
            Some(client) => Some(match self.clients.get(client) {
                Some(id) => *id,
                None => {
                    let id = add(db, "INSERT INTO client (client) VALUES (?1)", [client_text(*client)])?;
                    self.clients.insert(*client, id);
                    id
                }
            }),
        };
        let rule = match &entry.rule {
            None => None,
            Some(rule) => {
                let key = (rule.list.clone(), rule.line, rule.rule.clone());
                Some(match self.rules.get(&key) {
                    Some(id) => *id,
                    None => {
                        let list = match self.lists.get(&rule.list) {
                            Some(id) => *id,
                            None => {
                                let id = add(db, "INSERT INTO list (list) VALUES (?1)", [&rule.list])?;
                                self.lists.insert(rule.list.clone(), id);
                                id
                            }
                        };
                        let id = add(
                            db,
                            "INSERT INTO rule (list, line, rule) VALUES (?1, ?2, ?3)",
                            params![list, rule.line, rule.rule],
                        )?;
                        self.rules.insert(key, id);
                        id
                    }
                })
            }
        };
        if let (Some(reference), Some(name)) = (entry.reference, name)
            && self.references.insert((reference, name))
        {
            db.prepare_cached("INSERT INTO reference VALUES (?1, ?2)")?
                .execute(params![reference.cast_signed(), name])?;
        }
        let mut word = |kind, number: u16, word: &dyn ToString| {
            if self.words.insert((kind, number)) {
                db.prepare_cached("INSERT OR IGNORE INTO word VALUES (?1, ?2, ?3)")?.execute(params![
                    kind,
                    number,
                    word.to_string()
                ])?;
            }
            Ok::<_, rusqlite::Error>(())
        };
        if let Some(qtype) = entry.qtype {
            word("type", qtype.0, &qtype)?;
        }
        if let Some(rcode) = entry.rcode {
            word("rcode", rcode.0, &rcode)?;
        }
        word("transport", entry.transport as u16, &entry.transport.word())?;
        db.prepare_cached(
            "INSERT INTO q (ms, client, name, type, rcode, verdict, source, transport, rule, ref, us)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            (entry.at - self.file.start()).div_euclid(1000),
            client,
            name,
            entry.qtype.map(|qtype| qtype.0),
            entry.rcode.map(|rcode| rcode.0),
            entry.verdict as i64,
            entry.source as i64,
            entry.transport as i64,
            rule,
            entry.reference.map(u32::cast_signed),
            entry.micros,
        ])?;
        Ok(db.last_insert_rowid())
    }
}

fn add(db: &Connection, insert: &str, values: impl rusqlite::Params) -> rusqlite::Result<i64> {
    db.prepare_cached(insert)?.execute(values)?;
    Ok(db.last_insert_rowid())
}

/// Makes the folder, which only the server's user may read: it tells who asked for what.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
