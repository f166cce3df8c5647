//! `[log]`: the query log.

use super::check::Check;
use super::key::{Form, Key, Kind, words};
use super::table::Table;
use crate::settings::{ClientPrivacy, DataSettings, LogLines, LogSettings, LogStore, Privacy};

/// The stores, and whether each is a database.
const STORES: [(&str, bool); 2] = [("sqlite", true), ("none", false)];
const CLIENTS: [(&str, ClientPrivacy); 3] =
    [("full", ClientPrivacy::Full), ("network", ClientPrivacy::Network), ("none", ClientPrivacy::None)];

/// The smallest log: SQLite keeps some MiB beside the file that is being written.
const LEAST_SIZE: u64 = 16 << 20;
/// The longest time until a commit, in seconds.
const LONGEST_COMMIT: u64 = 3600;

const STORE: Key = Key::with("store", Kind::Word(|| words(&STORES)), r#""sqlite""#).means(
    "The database for `portcullis log`: SQLite, a file a day in `log` below `[data] folder`; or none.",
);
const DAYS: Key = Key::with("days", Kind::Number(1, 36_500), "30")
    .means("For how many days the log is kept; then the day's file is deleted.");
const SIZE: Key = Key::with("size", Kind::Size, r#""1GiB""#)
    .means("How much room all files may take together; above that the oldest are deleted.");
const COMMIT_EVERY: Key = Key::with("commit-every", Kind::Duration, r#""1s""#).means(
    "How long queries may wait in memory until they are written: what a power failure can lose. `\"60s\"` spares SD cards.",
);
const CLIENT: Key = Key::with("client", Kind::Word(|| words(&CLIENTS)), r#""full""#).means(
    "What is kept of a client's address: all of it; its network (24 bits of IPv4, 56 of IPv6); or nothing.",
);
const NAMES: Key = Key::with("names", Kind::Flag, "true")
    .means("Whether the names are kept, and the rules and references, which tell the name.");
const LINES: Key = Key::optional("lines", Kind::TextOf("a path"), "none are written")
    .like(r#""queries.jsonl""#)
    .means("A file to which each query is added as a line of JSON; `\"-\"`: standard output.");

pub(super) static FORM: Form = Form {
    header: "[log]",
    meaning: "The query log, which `portcullis log` searches: [log.md](log.md). Without this table: none is kept.",
    keys: &[STORE, DAYS, SIZE, COMMIT_EVERY, CLIENT, NAMES, LINES],
    also: &[
        ("retention", "days"),
        ("max-size", "size"),
        ("interval", "commit-every"),
        ("flush", "commit-every"),
        ("clients", "client"),
        ("privacy", "client"),
        ("file", "lines"),
        ("name", "names"),
    ],
};

impl Check<'_> {
    pub(super) fn log(&mut self, mut table: Table<'_>, data: Option<&DataSettings>) -> Option<LogSettings> {
        let is_given = table.has(STORE.name);
        let kept = table.word(self, STORE, &STORES).unwrap_or(true);
        let days = table.bounded(self, DAYS).and_then(|days| u32::try_from(days).ok()).unwrap_or(30);
        let size = self.size(&mut table, SIZE).unwrap_or(1 << 30);
        if size < LEAST_SIZE {
            let (path, place) = (table.key(SIZE), table.place(SIZE.name));
            self.wrong(&path, &place, "it is less than 16MiB".to_owned(), SIZE.remedy(""));
        }
        let commit_every = self.span_of(&mut table, COMMIT_EVERY);
        let commit_every = commit_every.unwrap_or(std::time::Duration::from_secs(1));
        if commit_every.as_millis() < 100 || commit_every.as_secs() > LONGEST_COMMIT {
            let (path, place) = (table.key(COMMIT_EVERY), table.place(COMMIT_EVERY.name));
            let problem = "it must be from 100ms to 1h".to_owned();
            self.wrong(&path, &place, problem, COMMIT_EVERY.remedy(""));
        }
        let client = table.word(self, CLIENT, &CLIENTS).unwrap_or(ClientPrivacy::Full);
        let names = table.flag(self, NAMES).unwrap_or(true);
        let lines = table.text(self, LINES).and_then(|text| match text.get_ref().as_str() {
            "-" => Some(LogLines::Output),
            _ => self.new_file(&table.key(LINES), &text).map(LogLines::File),
        });
        let folder = data.map(DataSettings::log);
        if kept && folder.is_none() && (is_given || lines.is_none()) {
            let problem = "the database needs a folder, and there is no `[data]`".to_owned();
            let help = "add [data] with folder = \"/var/lib/portcullis\", or write store = \"none\"";
            self.wrong(&table.path, &table.span, problem, help);
        }
        if kept && !cfg!(feature = "log-sqlite") && (is_given || lines.is_none()) {
            let problem = "this program was built without SQLite".to_owned();
            let help =
                "build it with the feature log-sqlite, or write store = \"none\" and name a file in `lines`";
            self.wrong(&table.path, &table.span, problem, help);
        }
        table.done(self, "", &[]);
        let folder = folder.filter(|_| kept && cfg!(feature = "log-sqlite"));
        let store = folder.map(|folder| LogStore { folder, days, size, commit_every });
        Some(LogSettings { store, lines, privacy: Privacy { client, names } })
    }
}
