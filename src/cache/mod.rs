//! Cached replies of the upstreams, in wire format, by question.

pub mod key;
pub mod stale;
pub mod store;
