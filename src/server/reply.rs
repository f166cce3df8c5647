//! The way back to one query on a stream: from any thread, to the connection that writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::frames::Left;

/// Where the answer to one query goes, from any thread. The query is under way until this is dropped.
pub struct Reply {
    items: UnboundedSender<Item>,
    open: Arc<AtomicUsize>,
    server: Option<SocketAddr>,
}

impl Reply {
    /// A query is under way on a connection; `open` counts it until this is dropped.
    pub(super) const fn new(
        items: UnboundedSender<Item>,
        open: Arc<AtomicUsize>,
        server: Option<SocketAddr>,
    ) -> Self {
        Self { items, open, server }
    }

    /// The address and port that were asked.
    pub(super) const fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    /// Sends a message; nothing for an empty one.
    pub(super) fn send(&self, message: Vec<u8>) {
        // The connection may have ended meanwhile.
        let _ = self.items.send(Item::Message(message, None));
    }

    /// Sends a message, and gives it to `left` when it has left; nothing for an empty one.
    pub(super) fn send_then(&self, message: Vec<u8>, left: impl FnOnce(Vec<u8>) + Send + 'static) {
        let _ = self.items.send(Item::Message(message, Some(Box::new(left))));
    }

    pub(super) fn close(&self) {
        let _ = self.items.send(Item::End(Ending::Close));
    }

    pub(super) fn reset(&self) {
        let _ = self.items.send(Item::End(Ending::Reset));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Release);
        let _ = self.items.send(Item::Done);
    }
}

/// What comes to a connection from those who answer.
pub(super) enum Item {
    Message(Vec<u8>, Option<Left>),
    End(Ending),
    /// A query is done.
    Done,
}

/// How a connection ends before its client wants it to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As at the end of any other.
    Close,
    /// As by somebody on the way who wants it broken.
    Reset,
}
