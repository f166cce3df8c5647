//! What happened to each query, told after its reply has left.

pub mod counters;
pub mod event;
pub mod sink;
