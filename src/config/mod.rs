//! The configuration file: its tables, its checks, its errors with file, line and remedy.
//!
//! Each table has a file, with a declaration of its keys (`key`) and what reads them (`table`).
//! [`mod@reference`] makes `docs/configuration.md` from the declarations.

pub mod error;
pub mod reference;
pub mod scenario;
pub mod value;

mod addresses;
mod check;
mod file;
mod key;
mod listener;
mod syntax;
mod table;
mod user;

mod answers;
mod block;
mod blockpage;
mod bounds;
mod cache;
mod client;
mod contact;
mod control;
mod data;
mod dnstap;
mod forward;
mod group;
mod inspect;
mod list;
mod log;
mod metrics;
mod policy;
mod ratelimit;
mod rewrite;
mod schedule;
mod server;
mod special;
mod upstream;
mod zone;

pub use self::file::{load, parse};

#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod tests;
