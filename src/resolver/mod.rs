//! The engine's middle: the order of the steps of one query, and what they share.

pub mod ahead;
mod alias;
pub mod builtin;
pub mod explain;
mod follow;
pub mod live;
mod lookup;
pub mod moment;
pub mod outcome;
pub mod pending;
mod request;
pub mod resolve;
mod ruling;
pub mod settings;
pub mod snapshot;
pub mod waiting;
