//! The query log: a bounded ring between the threads that answer and one that writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::event::Event;
use crate::dns::{NameBuf, Qtype};
use crate::policy::RuleText;

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Line {
    /// What happened.
    pub event: Event,
    /// The question, if the packet had one.
    pub question: Option<(NameBuf, Qtype)>,
    /// The rule that decided, if one did.
    pub rule: Option<RuleText>,
}

/// The end that the answering threads hold: it drops and counts, and never blocks.
pub struct Sink {
    sender: SyncSender<Line>,
    dropped: AtomicU64,
}

impl Sink {
    /// A log that holds `bound` lines not yet written.
    #[must_use]
    pub fn new(bound: usize) -> (Self, Receiver<Line>) {
        let (sender, receiver) = sync_channel(bound);
        (Self { sender, dropped: AtomicU64::new(0) }, receiver)
    }

    /// Hands a line over, or counts it as dropped.
    pub fn push(&self, line: Line) {
        if self.sender.try_send(line).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Lines dropped so far because the writer was too slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}
