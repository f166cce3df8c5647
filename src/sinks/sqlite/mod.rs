//! The query log in SQLite: a file a day, `LOG/2026-11-27.db`.
//!
//! The day's file has no index, so that a row costs little more than its own octets; the names, clients and rules
//! in it are numbers into dictionaries. After every 8,192 rows a *chunk* is written: which names, clients and lists
//! are in them, and how often. By the chunks a search passes over nearly all rows of a file without an index, and a
//! top list is summed up without reading rows. When the day is over, the file is closed: it gets sums of its hours
//! and of the whole day, and indexes, and is never written again.

mod chunk;
mod close;
mod export;
mod file;
mod filter;
mod purge;
mod read;
mod retention;
mod search;
mod top;
mod write;

pub use export::export;
pub use file::LogError;
pub use filter::{Filter, NameFilter};
pub use purge::purge;
pub use search::{Cursor, Page, follow, search};
pub use top::{Counted, Top, What, top};
pub use write::Writer;
