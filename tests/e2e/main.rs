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

mod block;
mod browser;
mod cache;
mod clients;
mod command;
#[cfg(unix)]
mod control;
mod forward;
mod lists;
mod packets;
mod policy;
mod scenario;
#[cfg(target_os = "linux")]
mod streams;
mod transparent;
mod transports;
