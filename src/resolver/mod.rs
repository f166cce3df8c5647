//! The core of the engine: the steps of one query in order, and what they share.
//!
//! Each file imports only those before it: `moment`, `waiting`, `snapshot`, `turns`, `live` (state); `request`,
//! `ruling`, `alias` (the reply to a query); `authority`, `lookup`, `cookie`, `pending`, `outcome`, `admission`, `follow`,
//! `resolve` (the steps of a query); `explain`.

mod admission;
pub mod ahead;
mod alias;
mod authority;
pub mod builtin;
mod cookie;
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
mod turns;
pub mod waiting;
