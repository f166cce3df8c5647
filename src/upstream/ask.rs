//! The one way to ask: the [`Upstream`] trait, and what comes of a question.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{Endpoint, Question};

/// Hears of the reply, or of why there is none: called once, on whatever thread it comes.
pub type Done = Box<dyn FnOnce(Result<&[u8], Failure>) + Send>;

/// Whoever can be asked: a [`Forwarder`](super::Forwarder), or what wraps another `Upstream`.
///
/// A wrapper keeps the inner `Upstream` in an `Arc`, and in its own `begin` calls the inner one's with a
/// `done` that looks at the reply, asks more if need be, and then calls the outer `done` with these
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
///         let heard: Done = Box::new(move |reply| match reply.map(<[u8]>::to_vec) {
///             Ok(mut reply) => {
///                 reply[3] &= !0x20;
///                 done(Ok(&reply));
///             }
///             Err(failure) => done(Err(failure)),
///         });
///         Arc::clone(&self.0).begin(question, now, heard);
///     }
///
///     fn tallies(&self) -> Vec<(&Endpoint, &Tally)> {
///         self.0.tallies()
///     }
/// }
/// ```
pub trait Upstream: Send + Sync + fmt::Debug {
    /// Asks, and returns at once. `now` is the time at which the question came. `done` is called once,
    /// on a thread of the runtime or this one, before or after this returns; only if the runtime ends
    /// meanwhile is it dropped without a call. Must run within a runtime.
    ///
    /// The reply is a message of at least a header, whose question is the one asked, but for the case
    /// of its name. Its id is any. [`Failure`] says that no server sent a reply.
    fn begin(self: Arc<Self>, question: Question, now: Instant, done: Done);

    /// Every server with its counters, in the order of the configuration.
    fn tallies(&self) -> Vec<(&Endpoint, &Tally)>;
}

/// A server's reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The whole message as received. Its id is the one that the transport chose, not the client's.
    pub bytes: Vec<u8>,
    /// Which server replied: the index into the list that the [`Forwarder`](super::Forwarder) was made
    /// with.
    pub server: usize,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Every server kept silent: extended error 22, No Reachable Authority.
    Timeout,
    /// At least one server could not be reached or sent something that does not answer the question;
    /// the text says which server and why. Extended error 23, Network Error.
    Network(String),
    /// There is no server to ask.
    NoServers,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no upstream server answered in time"),
            Self::Network(text) => f.write_str(text),
            Self::NoServers => f.write_str("no upstream server is configured"),
        }
    }
}

impl std::error::Error for Failure {}

/// What became of the questions put to one server.
#[derive(Debug, Default)]
pub struct Tally {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Questions that the server replied to, whatever the response code.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Questions that it left without a usable reply.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn add_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn add_failure(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}
