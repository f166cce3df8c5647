//! The program as the programs of others see it: dig, kdig, dnsping, a browser, tshark, other languages' tests.
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

mod browser;
mod classroom;
mod dig;
mod fixtures;
mod matrix;
#[cfg(target_os = "linux")]
mod transparent;
