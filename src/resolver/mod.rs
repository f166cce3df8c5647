//! The engine's middle: the order of the steps of one query, and what they share.

pub mod ahead;
pub mod live;
pub mod outcome;
pub mod pending;
pub mod resolve;
pub mod settings;
pub mod snapshot;
