//! The files of the log: their names, their tables, and opening them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

use crate::observe::event::Source;
use crate::policy::Class;

/// Microseconds of a day.
pub(super) const DAY: i64 = 86_400_000_000;
/// The version of the tables.
const VERSION: i64 = 1;
/// How long to wait for another process that writes or reads.
const BUSY: Duration = Duration::from_secs(10);

/// The tables of a file. `q` has no index: what is found in it is found by way of `chunk`.
const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE name (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE client (id INTEGER PRIMARY KEY, client TEXT NOT NULL);
CREATE TABLE list (id INTEGER PRIMARY KEY, list TEXT NOT NULL);
CREATE TABLE rule (id INTEGER PRIMARY KEY, list INTEGER NOT NULL, line INTEGER NOT NULL, rule TEXT NOT NULL);
CREATE TABLE reference (ref INTEGER NOT NULL, name INTEGER NOT NULL);
CREATE TABLE word (kind TEXT NOT NULL, id INTEGER NOT NULL, word TEXT NOT NULL, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE q (id INTEGER PRIMARY KEY, ms INTEGER NOT NULL, client INTEGER, name INTEGER, type INTEGER, rcode INTEGER,
  verdict INTEGER NOT NULL, source INTEGER NOT NULL, transport INTEGER NOT NULL, rule INTEGER, ref INTEGER,
  us INTEGER NOT NULL);
CREATE TABLE chunk (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
  names BLOB NOT NULL, clients BLOB NOT NULL, lists BLOB NOT NULL);
CREATE TABLE upstream (ms INTEGER NOT NULL, upstream TEXT NOT NULL, answers INTEGER NOT NULL, failures INTEGER NOT NULL);
CREATE TABLE hour (hour INTEGER NOT NULL, kind INTEGER NOT NULL, key INTEGER NOT NULL, n INTEGER NOT NULL,
  blocked INTEGER NOT NULL, PRIMARY KEY (hour, kind, key)) WITHOUT ROWID;
CREATE TABLE day (kind INTEGER NOT NULL, key INTEGER NOT NULL, n INTEGER NOT NULL, blocked INTEGER NOT NULL,
  PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE VIEW queries AS SELECT
  strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT value FROM meta WHERE key = 'start') + q.ms / 1000.0, 'unixepoch') AS time,
  client.client AS client, name.name AS name, type.word AS type, verdict.word AS verdict, source.word AS answered_by,
  rcode.word AS rcode, transport.word AS transport, rule.rule AS rule, list.list AS list,
  nullif(rule.line, 0) AS line, printf('%08x', q.ref & 4294967295) AS reference, q.us AS microseconds
FROM q LEFT JOIN client ON client.id = q.client LEFT JOIN name ON name.id = q.name
  LEFT JOIN rule ON rule.id = q.rule LEFT JOIN list ON list.id = rule.list
  LEFT JOIN word AS type ON type.kind = 'type' AND type.id = q.type
  LEFT JOIN word AS rcode ON rcode.kind = 'rcode' AND rcode.id = q.rcode
  LEFT JOIN word AS verdict ON verdict.kind = 'verdict' AND verdict.id = q.verdict
  LEFT JOIN word AS source ON source.kind = 'source' AND source.id = q.source
  LEFT JOIN word AS transport ON transport.kind = 'transport' AND transport.id = q.transport;
CREATE VIEW hours AS SELECT
  strftime('%Y-%m-%dT%H:00:00Z', (SELECT value FROM meta WHERE key = 'start') + hour.hour * 3600, 'unixepoch') AS hour,
  CASE kind WHEN 0 THEN 'name' WHEN 1 THEN 'client' ELSE 'list' END AS kind,
  CASE kind WHEN 0 THEN name.name WHEN 1 THEN client.client ELSE list.list END AS key, n AS queries, blocked
FROM hour LEFT JOIN name ON kind = 0 AND name.id = key LEFT JOIN client ON kind = 1 AND client.id = key
  LEFT JOIN list ON kind = 2 AND list.id = key;
";

/// Why a file of the log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// It is damaged, or not a file of the log.
    #[error("{}: it is damaged ({reason}); the log goes on in another file, remove this one at will", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// A file of another version of the program.
    #[error("{}: its tables have version {found}, and this program reads version {VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version of its tables.
        found: i64,
    },
    /// The disk is full, the folder can't be written, somebody else holds the file.
    #[error("{}: {reason}", path.display())]
    Other {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl LogError {
    pub(super) fn of(path: &Path) -> impl Fn(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| {
            let (path, reason) = (path.clone(), reason(&error));
            match error.sqlite_error_code() {
                None
                | Some(
                    ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    // A table that is not there, a text where a number was.
                    | ErrorCode::Unknown
                    | ErrorCode::TypeMismatch
                    | ErrorCode::ConstraintViolation,
                ) => Self::Damaged { path, reason },
                Some(_) => Self::Other { path, reason },
            }
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Other { path: path.clone(), reason: error.to_string() }
    }

    /// True if no further row will go into the file.
    pub(super) const fn is_final(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Version { .. })
    }
}

/// The reason, and what may help.
fn reason(error: &rusqlite::Error) -> String {
    let help = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; make room, or keep less: [log] size and days",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; the folder must be writable for the user of the server"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "; another program holds it",
        _ => "",
    };
    format!("{error}{help}")
}

/// A file of the log: its day, and its number among the files of that day, from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DayFile {
    /// Days since 1970.
    pub(super) day: i64,
    pub(super) part: u32,
    pub(super) path: PathBuf,
}

impl DayFile {
    pub(super) fn new(folder: &Path, day: i64, part: u32) -> Self {
        let date = date(day);
        let name = if part == 1 { format!("{date}.db") } else { format!("{date}.{part}.db") };
        Self { day, part, path: folder.join(name) }
    }

    fn parse(folder: &Path, name: &str) -> Option<Self> {
        let name = name.strip_suffix(".db")?;
        let (date, part) = match name.split_once('.') {
            Some((date, part)) => (date, part.parse().ok().filter(|part| *part > 1)?),
            None => (name, 1),
        };
        let date: Date = date.parse().ok()?;
        let day = date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second().div_euclid(86_400);
        Some(Self::new(folder, day, part))
            .filter(|file| file.path.file_stem().is_some_and(|stem| stem == name))
    }

    /// Microseconds since 1970 at its beginning.
    pub(super) const fn start(&self) -> i64 {
        self.day * DAY
    }

    /// Its octets on the disk, with those that SQLite keeps beside it.
    pub(super) fn octets(&self) -> u64 {
        let beside = ["", "-wal", "-shm", "-journal"];
        beside.iter().filter_map(|end| fs::metadata(self.beside(end)).ok()).map(|is| is.len()).sum()
    }

    /// Deletes it.
    pub(super) fn unlink(&self) -> std::io::Result<()> {
        fs::remove_file(&self.path)?;
        for end in ["-wal", "-shm", "-journal"] {
            // Most files have none.
            let _ = fs::remove_file(self.beside(end));
        }
        Ok(())
    }

    fn beside(&self, end: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(end);
        path.into()
    }
}

/// A day as a date.
pub(super) fn date(day: i64) -> Date {
    let time = jiff::Timestamp::from_second(day.saturating_mul(86_400)).unwrap_or_default();
    time.to_zoned(TimeZone::UTC).date()
}

/// The files of a folder, the oldest first.
///
/// # Errors
/// The folder can't be read.
pub(super) fn files(folder: &Path) -> Result<Vec<DayFile>, LogError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(LogError::io(folder))? {
        let entry = entry.map_err(LogError::io(folder))?;
        files.extend(entry.file_name().to_str().and_then(|name| DayFile::parse(folder, name)));
    }
    files.sort();
    Ok(files)
}

/// Opens a file that is there for writing: it may be deleted at any time, and must not come back.
///
/// # Errors
/// [`LogError`]
pub(super) fn open_to_change(file: &DayFile) -> Result<Connection, LogError> {
    open(file, OpenFlags::empty())
}

/// Opens a file for writing; makes it, with its tables, if it is not there.
///
/// # Errors
/// [`LogError`]
pub(super) fn open_to_write(file: &DayFile) -> Result<Connection, LogError> {
    open(file, OpenFlags::SQLITE_OPEN_CREATE)
}

fn open(file: &DayFile, create: OpenFlags) -> Result<Connection, LogError> {
    let error = LogError::of(&file.path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
    let mut db = Connection::open_with_flags(&file.path, flags).map_err(&error)?;
    let prepared = (|| {
        db.busy_timeout(BUSY)?;
        // Readers never wait for the writer, nor it for them; and what was committed survives a power failure.
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let version: i64 =
            db.query_row("SELECT user_version FROM pragma_user_version", [], |row| row.get(0))?;
        let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if version == 0 && tables == 0 {
            let begun = db.transaction()?;
            begun.execute_batch(TABLES)?;
            begun.execute(
                "INSERT INTO meta VALUES ('start', ?1), ('closed', 0)",
                [file.start() / 1_000_000],
            )?;
            let mut word = begun.prepare("INSERT INTO word VALUES (?1, ?2, ?3)")?;
            for class in Class::ALL {
                word.execute(params!["verdict", class as i64, class.word()])?;
            }
            for source in Source::ALL {
                word.execute(params!["source", source as i64, source.word()])?;
            }
            drop(word);
            begun.pragma_update(None, "user_version", VERSION)?;
            begun.commit()?;
            return Ok(VERSION);
        }
        Ok(version)
    })();
    match prepared.map_err(&error)? {
        VERSION => Ok(db),
        0 => Err(LogError::Damaged { path: file.path.clone(), reason: "it is not a file of the log".into() }),
        found => Err(LogError::Version { path: file.path.clone(), found }),
    }
}

/// Opens a file for reading, while a server may be writing it. `None`: the server is about to make it.
///
/// # Errors
/// [`LogError`]
pub(super) fn open_to_read(file: &DayFile) -> Result<Option<Connection>, LogError> {
    let error = LogError::of(&file.path);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(&file.path, flags).map_err(&error)?;
    db.busy_timeout(BUSY).map_err(&error)?;
    // Both at once: the server writes both at once.
    let sql = "SELECT user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_user_version";
    let found = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    match found.map_err(&error)? {
        (VERSION, _) => Ok(Some(db)),
        (0, 0) => Ok(None),
        (0, _) => {
            Err(LogError::Damaged { path: file.path.clone(), reason: "it is not a file of the log".into() })
        }
        (found, _) => Err(LogError::Version { path: file.path.clone(), found }),
    }
}

/// True if the file is never written again.
pub(super) fn is_closed(db: &Connection) -> rusqlite::Result<bool> {
    let closed = db.query_row("SELECT value FROM meta WHERE key = 'closed'", [], |row| row.get::<_, i64>(0));
    Ok(closed.optional()? == Some(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_its_day() {
        let folder = Path::new("log");
        for (name, parsed) in [
            ("1970-01-02.db", Some((1, 1))),
            ("2026-11-27.db", Some((20_784, 1))),
            ("2026-11-27.12.db", Some((20_784, 12))),
            ("2026-11-27.1.db", None),
            ("2026-11-27.02.db", None),
            ("2026-11-27.db-wal", None),
            ("2026-11-31.db", None),
            ("20261127.db", None),
            ("lock", None),
        ] {
            let file = DayFile::parse(folder, name);
            assert_eq!(file.as_ref().map(|f| (f.day, f.part)), parsed, "{name}");
            assert!(file.is_none_or(|f| f.path == folder.join(name)), "{name}");
        }
    }
}
