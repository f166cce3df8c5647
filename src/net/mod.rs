//! Sockets for all edges: how an address is bound, and how connections are accepted within bounds.

pub mod accept;
pub mod bind;
