//! One question, and what a plan may depend on beside the scenario.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::dns::{Query, Transport};

/// One question, and all that the answer may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q, 'p> {
    /// The query.
    pub query: &'q Query<'p>,
    /// The network that it was asked in, by its place.
    pub network: u16,
    /// Who asks.
    pub client: IpAddr,
    /// How.
    pub transport: Transport,
    /// The scenario's clock, in seconds since 1970 (UTC).
    pub unix: i64,
    /// How long the scenario has run by the clock on the wall: TTLs tick by it.
    pub uptime: Duration,
    /// What all draws start from.
    pub seed: u64,
}

/// Something of which it is counted how often it was had before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Questions with this hash.
    Question(u64),
    /// Addresses of this pool, for names with this hash.
    Pool(u16, u64),
}

/// Counts; the one thing that a plan depends on and that is no argument's value. What is counted the
/// same way gives the same plans.
pub trait Turns {
    /// How often this was had before; from now on it is once more.
    fn turn(&self, counter: Counter) -> u64;
}

impl<F: Fn(Counter) -> u64> Turns for F {
    fn turn(&self, counter: Counter) -> u64 {
        self(counter)
    }
}
