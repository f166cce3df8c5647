//! Replies of the upstreams, kept in wire form by question.

pub mod key;
pub mod stale;
pub mod store;
