//! What came back for one question, and whether it is what was expected.

use std::time::Duration;

use super::End;

/// All that came back for one query, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The packets, each with how long after the query it came.
    pub replies: Vec<(Duration, Vec<u8>)>,
    /// How the TCP connection ended; over UDP it is open.
    pub end: End,
}
