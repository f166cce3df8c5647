//! Scenarios played: read from files, run on sockets of their own, recorded and judged.

pub mod capture;
pub mod collect;
pub mod harness;
pub mod record;
pub mod recorder;
pub mod shipped;
pub mod stage;
pub mod worksheet;

pub use harness::Harness;
