//! Cached replies of the upstreams, in wire format, by question; and their failures.

pub mod failure;
pub mod key;
pub mod stale;
pub mod store;
