//! Messages on a stream, each after its length (RFC 1035 §4.2.2): received octets, and octets to be sent.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// The octets of replies that count as progress.
const STEP: usize = 4096;
/// Room for a read, in octets; most queries are shorter.
const READ: usize = 512;
/// A buffer that has grown beyond this, in octets, is freed when it is empty.
const KEEP: usize = 16_384;

/// Called with a message that has been sent.
pub(super) type Left = Box<dyn FnOnce(Vec<u8>) + Send>;

/// Received octets that are not processed. It grows with the octets received, not with announced lengths.
#[derive(Default)]
pub(super) struct Inbox {
    pub(super) octets: Vec<u8>,
    /// Where the next message begins.
    at: usize,
}

impl Inbox {
    /// The message after the next length, if it is complete.
    pub(super) fn peek(&self) -> Option<Range<usize>> {
        let start = self.at + 2;
        let [high, low] = *self.octets.get(self.at..start)? else { return None };
        let end = start + usize::from(u16::from_be_bytes([high, low]));
        (end <= self.octets.len()).then_some(start..end)
    }

    pub(super) fn has_message(&self) -> bool {
        self.peek().is_some()
    }

    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        let message = self.peek()?;
        self.at = message.end;
        Some(message)
    }

    /// The space for the next octets.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        self.octets.reserve(READ);
        &mut self.octets
    }

    /// Discards the processed octets.
    pub(super) fn tidy(&mut self) {
        self.octets.drain(..self.at);
        self.at = 0;
        if self.octets.is_empty() && self.octets.capacity() > KEEP {
            self.octets = Vec::new();
        }
    }
}

/// Replies that are not sent yet, each after its length.
#[derive(Default)]
pub(super) struct Outbox {
    octets: Vec<u8>,
    /// How many of the octets are sent.
    at: usize,
    /// Replies with a callback: where they end, and the callback.
    leaving: VecDeque<(usize, Vec<u8>, Left)>,
    /// The stream may have buffered some octets.
    unflushed: bool,
    /// Octets sent since the last progress.
    step: usize,
}

impl Outbox {
    /// Appends a reply; ignores an empty one, or one that is too long for a stream.
    pub(super) fn push(&mut self, message: &[u8]) -> bool {
        let Some(len) = u16::try_from(message.len()).ok().filter(|len| *len > 0) else { return false };
        self.octets.extend_from_slice(&len.to_be_bytes());
        self.octets.extend_from_slice(message);
        true
    }

    pub(super) fn message(&mut self, message: Vec<u8>, left: Option<Left>) {
        if self.push(&message)
            && let Some(left) = left
        {
            self.leaving.push_back((self.octets.len(), message, left));
        }
    }

    /// How many octets are not sent yet.
    pub(super) fn unwritten(&self) -> usize {
        self.octets.len() - self.at
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unwritten() == 0 && !self.unflushed
    }

    /// Writes as much as the stream accepts now; returns whether that is progress.
    pub(super) fn write(
        &mut self,
        mut stream: Pin<&mut impl AsyncWrite>,
        cx: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut progress = false;
        while let Some(rest) = self.octets.get(self.at..).filter(|rest| !rest.is_empty()) {
            let Poll::Ready(written) = stream.as_mut().poll_write(cx, rest)? else { return Ok(progress) };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.at += written;
            self.step += written;
            self.unflushed = true;
            if self.step >= STEP || self.unwritten() == 0 {
                self.step = 0;
                progress = true;
            }
            while self.leaving.front().is_some_and(|(end, ..)| *end <= self.at)
                && let Some((_, message, left)) = self.leaving.pop_front()
            {
                left(message);
            }
        }
        if self.unflushed {
            self.unflushed = stream.poll_flush(cx)?.is_pending();
        }
        Ok(progress)
    }

    /// Discards the sent octets.
    pub(super) fn tidy(&mut self) {
        if self.unwritten() == 0 {
            self.octets.clear();
            self.at = 0;
            if self.octets.capacity() > KEEP {
                self.octets = Vec::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announced_length_takes_no_room() {
        let mut inbox = Inbox::default();
        inbox.room().extend_from_slice(&[0xff, 0xff, 1, 2, 3]);
        assert_eq!(inbox.next(), None);
        assert!(inbox.room().capacity() < 4 * READ, "{}", inbox.octets.capacity());
        inbox.octets.resize(2 + 65_535, 0);
        assert_eq!(inbox.next(), Some(2..2 + 65_535));
        inbox.tidy();
        assert_eq!(inbox.octets.capacity(), 0, "and a long buffer is freed");
    }
}
