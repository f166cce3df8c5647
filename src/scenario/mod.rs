//! Scenarios played: read from files, run on sockets of their own, recorded and judged.

pub mod collect;
