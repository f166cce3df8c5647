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

impl Outcome {
    /// A reply of so many octets, or none; if there is one, the fetch that is due because of it.
    pub(super) fn of(reply: Option<usize>, refresh: Option<Box<Pending>>) -> Self {
        match (reply, refresh) {
            (None, _) => Self::Drop,
            (Some(len), None) => Self::Reply(len),
            (Some(len), Some(pending)) => Self::ReplyAndRefresh(len, pending),
        }
    }
}
