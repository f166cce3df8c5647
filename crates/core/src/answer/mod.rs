//! From a verdict's action to the octets of a reply that clients can cache safely.

mod action;
mod alias;
mod deny;
mod special;
mod stub;
mod text;

pub use self::action::{Blocked, Right, aliased, blocked};
pub use self::alias::{End, Link, write_aliases};
pub use self::special::special;
pub use self::stub::Added;
