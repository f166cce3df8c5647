//! Reports what happened to each query, after its reply has been sent.

pub mod counters;
pub mod event;
pub mod listen;
pub mod lists;
pub mod sink;
pub mod stats;
pub mod throttle;
