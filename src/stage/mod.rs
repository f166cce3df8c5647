//! The simulator of censors: scenarios read from files, played on sockets of their own, recorded and
//! judged.

pub mod capture;
pub mod collect;
pub mod harness;
pub mod record;
pub mod recorder;
pub mod shipped;
pub mod worksheet;
pub mod world;

pub use harness::Harness;
