//! A verdict's action → reply bytes, such that a caching client can live with them.

mod action;
mod alias;
mod deny;
mod stub;
mod text;

pub use self::action::{Blocked, Right, aliased, blocked};
pub use self::alias::{End, Target, write_aliases};
