//! Sockets for all edges: binding addresses, accepting connections within bounds, and the memory they may hold.

pub mod accept;
pub mod bind;
pub mod budget;
mod clock;
pub mod memory;
pub mod stall;

pub use clock::{now, unix_micros};
