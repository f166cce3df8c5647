//! The interface to the upstreams: the [`Upstream`] trait, and the results of a query.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::{Endpoint, Question};

/// Receives the reply, or the reason why there is none: called once, on any thread.
pub type Done = Box<dyn FnOnce(Result<&[u8], Failure>) + Send>;

/// A server or set of servers to query: a [`Forwarder`](super::Forwarder), or a wrapper around another
/// `Upstream`.
///
/// A wrapper keeps the inner `Upstream` in an `Arc`. Its `begin` calls the inner one with a `done` that
/// examines the reply, sends further queries if necessary, and then calls the outer `done` with the same
/// octets or others:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Instant;
/// use portcullis::upstream::{Done, Endpoint, Question, Tally, Upstream};
///
/// /// Clears the AD bit of every reply.
/// #[derive(Debug)]
/// struct Distrust(Arc<dyn Upstream>);
///
/// impl Upstream for Distrust {
///     fn begin(self: Arc<Self>, question: Question, now: Instant, done: Done) {
///         let inner_done: Done = Box::new(move |reply| match reply.map(<[u8]>::to_vec) {
///             Ok(mut reply) => {
///                 reply[3] &= !0x20;
///                 done(Ok(&reply));
///             }
///             Err(failure) => done(Err(failure)),
///         });
///         Arc::clone(&self.0).begin(question, now, inner_done);
///     }
///
///     fn tallies(&self) -> Vec<(&Endpoint, &Tally)> {
///         self.0.tallies()
///     }
/// }
/// ```
pub trait Upstream: Send + Sync + fmt::Debug {
    /// Sends a query and returns at once. `now` is the time at which the client's query was received.
    /// `done` is called once, on a thread of the runtime or this one, before or after this returns; it is
    /// dropped without a call only if the runtime shuts down. Must run within a runtime.
    ///
    /// The reply is a message that repeats the question, in any letter case. Its id is arbitrary. All names
    /// and data in it are well-formed, and all records belong to the question; see
    /// [`screen`](crate::dns::screen). [`Failure`] means that no server sent such a reply.
    fn begin(self: Arc<Self>, question: Question, now: Instant, done: Done);

    /// Every server with its counters, in the order of the configuration.
    fn tallies(&self) -> Vec<(&Endpoint, &Tally)>;

    /// How often a server that had failed has replied again. What failed before that may succeed now.
    fn revivals(&self) -> u64 {
        0
    }
}

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole message as received. Its id is the one that the transport chose, not the client's.
    pub bytes: Vec<u8>,
    /// Which server replied: its index in the list that was passed to the [`Forwarder`](super::Forwarder).
    pub server: usize,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No server replied in time: extended error 22, No Reachable Authority.
    Timeout,
    /// At least one server could not be reached or sent a message that does not answer the question; the
    /// text says which server and why. Extended error 23, Network Error.
    Network(String),
    /// No server has replied to anything for a while, so the query was not sent.
    Down,
    /// No server is configured.
    NoServers,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no upstream server answered in time"),
            Self::Network(text) => f.write_str(text),
            Self::Down => f.write_str("every upstream server fails"),
            Self::NoServers => f.write_str("no upstream server is configured"),
        }
    }
}

impl std::error::Error for Failure {}

/// Counts of the queries sent to one server.
#[derive(Debug, Default)]
pub struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
    pub(super) down: AtomicBool,
    pub(super) unwanted: Arc<AtomicU64>,
}

impl Tally {
    /// Queries that the server replied to, whatever the response code.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Queries without a usable reply.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Messages from the server's address that answered nothing: late, sent twice, or forged.
    #[must_use]
    pub fn unwanted(&self) -> u64 {
        self.unwanted.load(Ordering::Relaxed)
    }

    /// False while the server fails: it does not even reply to a probe, or not well.
    #[must_use]
    pub fn is_up(&self) -> bool {
        !self.down.load(Ordering::Relaxed)
    }

    pub(super) fn add_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}
