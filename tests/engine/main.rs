//! The parts of the program, called as functions: what they answer, keep, write down and imitate.
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

mod aging;
mod blockpage;
mod dnstap;
#[path = "../fixtures/rust.rs"]
mod fixture;
mod gate;
mod policy;
#[cfg(feature = "log-sqlite")]
mod querylog;
mod record;
mod scenarios;
mod sink;
mod upstream;
