//! The way back to one query on a stream: from any thread, to the connection that writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::frames::Left;
use crate::net::budget::{Held, Holder};

/// What waiting for an answer takes beside the query's octets, roughly.
const WAITING: usize = 1024;

/// The queries of one connection that are in progress.
pub(super) struct Progress {
    /// How many there are.
    pub(super) open: AtomicUsize,
    /// An answer had to be discarded: the client does not read, and all connections together hold too much.
    pub(super) lost: AtomicBool,
    pub(super) holder: Arc<Holder>,
}

impl Progress {
    pub(super) fn new(holder: Arc<Holder>) -> Arc<Self> {
        Arc::new(Self { open: AtomicUsize::new(0), lost: AtomicBool::new(false), holder })
    }
}

/// Where the answer to one query goes, from any thread. The query is under way until this is dropped.
pub struct Reply {
    items: UnboundedSender<Item>,
    progress: Arc<Progress>,
    server: Option<SocketAddr>,
    _query: Held,
}

impl Reply {
    /// A query of `len` octets is under way on a connection.
    pub(super) fn new(
        items: UnboundedSender<Item>,
        progress: Arc<Progress>,
        server: Option<SocketAddr>,
        len: usize,
    ) -> Self {
        progress.open.fetch_add(1, Ordering::Relaxed);
        let query = progress.holder.hold(len + WAITING);
        Self { items, progress, server, _query: query }
    }

    /// The address and port that were asked.
    pub(super) const fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    /// Sends a message; nothing for an empty one.
    pub(super) fn send(&self, message: Vec<u8>) {
        self.deliver(message, None);
    }

    /// Sends a message, and gives it to `left` when it has left; nothing for an empty one.
    pub(super) fn send_then(&self, message: Vec<u8>, left: impl FnOnce(Vec<u8>) + Send + 'static) {
        self.deliver(message, Some(Box::new(left)));
    }

    fn deliver(&self, message: Vec<u8>, left: Option<Left>) {
        let Progress { lost, holder, .. } = &*self.progress;
        if holder.may_hold_more() {
            let held = holder.hold(message.len());
            // The connection may have ended meanwhile.
            let _ = self.items.send(Item::Message(message, left, held));
        } else {
            lost.store(true, Ordering::Relaxed);
        }
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
        self.progress.open.fetch_sub(1, Ordering::Release);
        let _ = self.items.send(Item::Done);
    }
}

/// What comes to a connection from those who answer.
pub(super) enum Item {
    /// The message, who wants it when it has left, and the memory that it takes until it is in the outbox.
    Message(Vec<u8>, Option<Left>, Held),
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
