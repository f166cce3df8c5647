//! The real binary over real sockets: what a user of the server would notice.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

#[path = "../common/mod.rs"]
mod common;

mod alarms;
mod block;
mod cache;
mod command;
#[cfg(unix)]
mod control;
mod forward;
mod guard;
#[cfg(unix)]
mod hostile;
mod judge;
mod lists;
#[cfg(feature = "log-sqlite")]
mod log;
mod metrics;
mod packets;
mod policy;
#[cfg(target_os = "linux")]
mod privileges;
mod portable;
mod scenario;
mod signals;
mod special;
#[cfg(target_os = "linux")]
mod streams;
mod transports;
mod zones;
