//! The engine's middle: the order of the steps of one query, and what they share.
//!
//! Each file names only those that stand before it: `moment`, `waiting`, `snapshot`, `live` (what there is);
//! `request`, `ruling`, `alias` (what becomes of a query); `lookup`, `pending`, `outcome`, `follow`,
//! `resolve` (the way of a query); `explain`.

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
pub mod snapshot;
pub mod waiting;
