//! DNS on the wire: names, queries, replies. Values and pure functions over bytes.

pub mod ede;
pub mod edns;
pub mod found;
pub mod header;
pub mod master;
pub mod message;
pub mod name;
pub mod pattern;
pub mod query;
pub mod rdata;
pub mod relay;
pub mod reply;
pub mod sde;
pub mod types;
