//! Portcullis, a DNS server that decides for every query whether the name may pass.
//!
//! The modules stand in three rings; an inner one never names an outer one, which `tests/layers.rs`
//! checks. The way of one query is [`resolver::resolve::resolve`], from top to bottom.

// ── core: values and pure functions ─────────────────────────────────────────────────────────────

pub use portcullis_censor as censor;
pub use portcullis_core::{answer, dns, lists, policy, rule, trie};

// ── engine: state, and the order of the steps ───────────────────────────────────────────────────

pub mod settings;
pub mod guard;
pub mod cache;
pub mod zones;
pub mod upstream;
pub mod observe;
pub mod resolver;
pub mod sources;

// ── edges: sockets, files, HTTP, the command line ───────────────────────────────────────────────

pub mod server;
pub mod web;
pub mod config;
pub mod scenario;
pub mod cli;

pub use dns::query::Query;
pub use policy::Policy;
pub use policy::decide::Verdict;
pub use trie::index::Index;
