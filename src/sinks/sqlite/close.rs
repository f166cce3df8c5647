//! Closes the files of days that are over, on a thread of its own: sums and indexes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, InterruptHandle, TransactionBehavior, params};

use super::chunk::{self, Count};
use super::file::{DayFile, LogError, is_closed, open_to_change, open_to_read};
use crate::policy::Class;

/// The kinds of keys in `hour` and `day`.
pub(super) const NAME: i64 = 0;
/// A client.
pub(super) const CLIENT: i64 = 1;
/// A list.
pub(super) const LIST: i64 = 2;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// The thread that closes files, started with the first.
#[derive(Default)]
pub(super) struct Closer {
    thread: Option<(Sender<DayFile>, JoinHandle<()>)>,
    stop: Arc<Stop>,
    /// Those that were given to the thread.
    given: HashSet<PathBuf>,
}

/// What stops the thread in the middle of a file, which the next start closes.
#[derive(Default)]
struct Stop {
    now: AtomicBool,
    working: Mutex<Option<InterruptHandle>>,
}

impl Closer {
    /// Closes a file at some time.
    pub(super) fn close(&mut self, file: &DayFile) {
        if !self.given.insert(file.path.clone()) {
            return;
        }
        if self.thread.is_none() {
            let (sender, files) = channel::<DayFile>();
            let stop = Arc::clone(&self.stop);
            let work = move || files.into_iter().for_each(|file| close_and_tell(&file, &stop));
            match std::thread::Builder::new().name("log-close".to_owned()).spawn(work) {
                Ok(thread) => self.thread = Some((sender, thread)),
                Err(error) => {
                    return tracing::error!("the query log: no thread to close a day's file: {error}");
                }
            }
        }
        if let Some((sender, _)) = &self.thread {
            // The thread ends only after the sender.
            let _ = sender.send(file.clone());
        }
    }

    /// Ends the thread, in the middle of a file too.
    pub(super) fn stop(self) {
        self.stop.now.store(true, Relaxed);
        if let Some(handle) = &*self.stop.working.lock().unwrap_or_else(PoisonError::into_inner) {
            handle.interrupt();
        }
        if let Some((sender, thread)) = self.thread {
            drop(sender);
            let _ = thread.join();
        }
    }
}

fn close_and_tell(file: &DayFile, stop: &Stop) {
    if stop.now.load(Relaxed) || !file.path.exists() {
        return;
    }
    // A file that is closed is not even opened for writing.
    let closed = open_to_read(file).map(|db| db.is_some_and(|db| is_closed(&db) == Ok(true)));
    if matches!(closed, Ok(true)) {
        return;
    }
    let done = open_to_change(file).and_then(|mut db| {
        *stop.working.lock().unwrap_or_else(PoisonError::into_inner) = Some(db.get_interrupt_handle());
        close(&mut db, &file.path)
    });
    *stop.working.lock().unwrap_or_else(PoisonError::into_inner) = None;
    if let Err(error) = done
        && !stop.now.load(Relaxed)
    {
        tracing::error!("the query log: the sums and indexes of a day could not be made: {error}");
    }
}

/// Closes a file: it can be read alone from then on, and is never written again.
///
/// # Errors
/// [`LogError`]; the file is as it was.
pub(super) fn close(db: &mut Connection, path: &Path) -> Result<(), LogError> {
    let error = LogError::of(path);
    if is_closed(db).map_err(&error)? {
        return Ok(());
    }
    let begun = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&error)?;
    (|| {
        let last = begun.query_row("SELECT coalesce(max(id), 0) FROM q", [], |row| row.get(0))?;
        chunk::write_up_to(&begun, &mut chunk::next(&begun)?, last, true)?;
        sums(&begun)?;
        begun.execute_batch(
            "CREATE INDEX q_name ON q (name); CREATE INDEX q_client ON q (client);
             CREATE INDEX q_verdict ON q (verdict) WHERE verdict <> 0;
             CREATE INDEX name_name ON name (name); CREATE INDEX client_client ON client (client);
             CREATE INDEX list_list ON list (list); CREATE INDEX reference_ref ON reference (ref);
             CREATE INDEX day_n ON day (kind, n); CREATE INDEX day_blocked ON day (kind, blocked);
             UPDATE meta SET value = 1 WHERE key = 'closed';",
        )
    })()
    .map_err(&error)?;
    begun.commit().map_err(&error)?;
    // A reader may hold it; then the file stays as it is, and can be read all the same.
    let _ = db.pragma_update(None, "journal_mode", "DELETE");
    Ok(())
}

/// Writes the sums of the hours and of the day. A key that is in the dictionary twice counts as the first.
pub(super) fn sums(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("DELETE FROM hour; DELETE FROM day;")?;
    let first = |table: &str, column: &str| {
        let twice = format!(
            "SELECT t.id, f.id FROM {table} AS t JOIN (SELECT {column} AS text, min(id) AS id FROM {table}
             GROUP BY {column} HAVING count(*) > 1) AS f ON t.{column} = f.text WHERE t.id <> f.id"
        );
        let mut twice = db.prepare(&twice)?;
        let firsts = twice.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        firsts.collect::<rusqlite::Result<HashMap<i64, i64>>>()
    };
    let firsts = [first("name", "name")?, first("client", "client")?, first("list", "list")?];
    let mut rows = db.prepare(
        "SELECT q.ms, q.name, q.client, rule.list, q.verdict FROM q LEFT JOIN rule ON rule.id = q.rule ORDER BY q.id",
    )?;
    let mut rows = rows.query([])?;
    let mut hour: HashMap<(i64, i64), Count> = HashMap::new();
    let mut now = i64::MIN;
    while let Some(row) = rows.next()? {
        let this = row.get::<_, i64>(0)?.div_euclid(HOUR);
        if this != now {
            write_hour(db, now, &mut hour)?;
            now = this;
        }
        let blocked = u64::from(row.get::<_, i64>(4)? == Class::Blocked as i64);
        for (kind, (column, firsts)) in (NAME..=LIST).zip((1..).zip(&firsts)) {
            if let Some(key) = row.get::<_, Option<i64>>(column)? {
                let key = firsts.get(&key).copied().unwrap_or(key);
                hour.entry((kind, key)).or_default().add(Count { n: 1, blocked });
            }
        }
        if hour.len() > 1_000_000 {
            // Names that are asked for once each: the sums of the hour are added up in the file.
            write_hour(db, now, &mut hour)?;
        }
    }
    write_hour(db, now, &mut hour)?;
    db.execute_batch("INSERT INTO day SELECT kind, key, sum(n), sum(blocked) FROM hour GROUP BY kind, key")?;
    Ok(())
}

fn write_hour(db: &Connection, hour: i64, counts: &mut HashMap<(i64, i64), Count>) -> rusqlite::Result<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO hour VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET n = n + excluded.n, blocked = blocked + excluded.blocked",
    )?;
    let mut sorted: Vec<_> = counts.drain().collect();
    sorted.sort_unstable_by_key(|(key, _)| *key);
    for ((kind, key), count) in sorted {
        insert.execute(params![hour, kind, key, count.n.cast_signed(), count.blocked.cast_signed()])?;
    }
    Ok(())
}
