//! The engine's middle: the order of the steps of one query, and what they share.

pub mod ahead;
pub mod alias;
pub mod builtin;
pub mod censored;
pub mod explain;
pub mod live;
pub mod moment;
pub mod outcome;
pub mod pending;
pub mod resolve;
pub mod snapshot;
