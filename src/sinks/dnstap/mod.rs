//! dnstap: every message from and to clients and upstreams, as Protocol Buffers in Frame Streams.
//!
//! The encoder is written by hand: the schema has four messages of plain fields, and a crate for it would bring
//! a code generator along.

mod frame;
mod message;
mod send;
pub mod tap;

pub(super) use send::run;
