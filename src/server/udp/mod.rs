//! UDP: one OS thread a core, each with a socket of its own on the same address.

pub mod worker;
