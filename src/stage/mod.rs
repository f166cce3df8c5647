//! The censorship simulator: scenarios read from files, played on their own sockets, recorded and judged.

pub mod capture;
pub mod censor;
pub mod clock;
pub mod collect;
pub mod delay;
pub mod exchange;
pub mod harness;
pub mod passthrough;
pub mod play;
pub mod record;
pub mod recorder;
pub mod shipped;
pub mod worksheet;
pub mod world;

pub use harness::Harness;
