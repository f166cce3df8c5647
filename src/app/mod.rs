//! Puts all of it together: what `serve`, `demo`, tests and embedders start, reload and stop.

pub mod log;
pub mod service;
pub mod signals;

pub use service::{Service, runtime};
pub use signals::{Signal, Signals};
