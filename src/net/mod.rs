//! Sockets for all edges: binding addresses, and accepting connections within bounds.

pub mod accept;
pub mod bind;
mod clock;

pub use clock::now;
