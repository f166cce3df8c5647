//! What `resolve` gives back.

use super::pending::Pending;

/// The end of a query's way, or the point where it must wait.
pub enum Outcome {
    /// Send the reply: its length in the caller's buffer, in octets.
    Reply(usize),
    /// Send the reply, then fetch it anew: call [`Pending::refresh`].
    ReplyAndRefresh(usize, Box<Pending>),
    /// Send nothing.
    Drop,
    /// An upstream must be asked: call [`Pending::begin`].
    Later(Box<Pending>),
}
