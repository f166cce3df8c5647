//! What `resolve` gives back.

use super::pending::Pending;

/// The end of a query's way, or the point where it must wait.
pub enum Outcome {
    /// Send the reply: its length in the caller's buffer, in octets.
    Reply(usize),
    /// Send nothing.
    Drop,
    /// An upstream must be asked: run [`Pending::wait`] where waiting is allowed.
    Later(Box<Pending>),
}
