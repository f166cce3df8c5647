//! A verdict's action → reply bytes, such that a caching client can live with them.

pub mod action;
pub mod alias;
pub mod deny;
pub mod stub;
mod text;

pub use action::{Blocked, Right, aliased, blocked};
pub use alias::{End, Target};
