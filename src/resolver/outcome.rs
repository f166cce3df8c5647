//! What `resolve` returns.

use super::pending::Pending;

/// The result for a query, or the point at which it must wait.
pub enum Outcome {
    /// Send the reply: its length in the caller's buffer, in octets.
    Reply(usize),
    /// Send the reply, then refresh it: call [`Pending::refresh`].
    ReplyAndRefresh(usize, Box<Pending>),
    /// Send nothing.
    Drop,
    /// An upstream must be queried: call [`Pending::begin`].
    Later(Box<Pending>),
}

impl Outcome {
    /// A reply of this many octets, or none; with a reply, the refresh that is due.
    pub(super) fn of(reply: Option<usize>, refresh: Option<Box<Pending>>) -> Self {
        match (reply, refresh) {
            (None, _) => Self::Drop,
            (Some(len), None) => Self::Reply(len),
            (Some(len), Some(pending)) => Self::ReplyAndRefresh(len, pending),
        }
    }
}
