//! From a verdict's action to the octets of a reply that clients can cache safely.

mod action;
mod alias;
mod deny;
mod stub;
mod text;

pub use self::action::{Blocked, Right, aliased, blocked};
pub use self::alias::{End, Target, write_aliases};
pub use self::stub::Added;
