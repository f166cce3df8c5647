//! Which addresses are given out in the place of those that censors used.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What forged answers lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StubMode {
    /// Addresses for documentation (RFC 5737, RFC 3849).
    #[default]
    Doc,
    /// Loopback.
    Loopback,
    /// Those that were seen in the world.
    Historical,
}

/// The addresses of a scenario that stand in the internet, and what is given out for each.
#[derive(Clone, Debug, Default)]
pub struct Stubs {
    /// As they are in the file, in the order of their first mention, and what is given out.
    pub v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    /// The same.
    pub v6: Vec<(Ipv6Addr, Ipv6Addr)>,
}
