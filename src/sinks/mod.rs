//! Who drains `observe/sink`: the query log in SQLite, lines of JSON, dnstap. Each has a bounded queue and a
//! thread of its own; the threads that answer only push.

pub mod dnstap;
pub mod entry;
pub mod lines;
pub mod row;
#[cfg(feature = "log-sqlite")]
pub mod sqlite;
pub mod start;

mod trouble;
