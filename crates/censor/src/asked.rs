//! One question, and everything else besides the scenario that a plan depends on.

use std::net::IpAddr;
use std::time::Duration;

use portcullis_core::dns::{Query, Transport};

/// One question, and everything besides the scenario that its answer depends on.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q, 'p> {
    /// The query.
    pub query: &'q Query<'p>,
    /// The network in which it was sent, by its index.
    pub network: u16,
    /// The client.
    pub client: IpAddr,
    /// The transport.
    pub transport: Transport,
    /// The scenario's clock, in seconds since 1970 (UTC).
    pub unix: i64,
    /// How long the scenario has been running in real time, which TTLs follow.
    pub uptime: Duration,
    /// The seed of all draws.
    pub seed: u64,
}

/// Something whose uses are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counter {
    /// Queries with this hash of their question.
    Question(u64),
    /// Addresses of this pool, for names with this hash.
    Pool(u16, u64),
}

/// Counts uses; the only input of a plan that is not passed as a value. The same counts give the same
/// plans.
pub trait Turns {
    /// How often this was used before; counts one more use.
    fn turn(&self, counter: Counter) -> u64;
}

impl<F: Fn(Counter) -> u64> Turns for F {
    fn turn(&self, counter: Counter) -> u64 {
        self(counter)
    }
}
