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

    /// The space for the next octets: more for a long message of which half or more has come.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        let len = self.octets.len();
        if self.octets.capacity() - len < READ / 2 {
            self.octets.reserve_exact(READ.max(len / 2));
        }
        &mut self.octets
    }

    /// The memory that it takes, in octets.
    pub(super) const fn held(&self) -> usize {
        self.octets.capacity()
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
    /// Appends a reply and returns its place; ignores an empty one, or one that is too long for a stream.
    pub(super) fn push(&mut self, message: &[u8]) -> Option<Range<usize>> {
        let len = u16::try_from(message.len()).ok().filter(|len| *len > 0)?;
        if message.len() > KEEP {
            self.octets.reserve_exact(2 + message.len());
        }
        self.octets.extend_from_slice(&len.to_be_bytes());
        let start = self.octets.len();
        self.octets.extend_from_slice(message);
        Some(start..self.octets.len())
    }

    /// The octets of a reply, until [`Outbox::tidy`].
    pub(super) fn get(&self, reply: Range<usize>) -> &[u8] {
        self.octets.get(reply).unwrap_or_default()
    }

    pub(super) fn message(&mut self, message: Vec<u8>, left: Option<Left>) {
        if let (Some(reply), Some(left)) = (self.push(&message), left) {
            self.leaving.push_back((reply.end, message, left));
        }
    }

    /// The memory that it takes, in octets.
    pub(super) const fn held(&self) -> usize {
        self.octets.capacity()
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

    /// Discards the sent octets, even if a client always leaves some replies unread.
    pub(super) fn tidy(&mut self) {
        // What is moved is never more than what is forgotten.
        if self.at >= self.unwritten() {
            self.octets.drain(..self.at);
            for (end, ..) in &mut self.leaving {
                *end -= self.at;
            }
            self.at = 0;
        }
        if self.octets.is_empty() && self.octets.capacity() > KEEP {
            self.octets = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::dns::MAX_MESSAGE;

    #[test]
    fn an_announced_length_takes_no_room() {
        let mut inbox = Inbox::default();
        inbox.room().extend_from_slice(&[0xff, 0xff, 1, 2, 3]);
        assert_eq!(inbox.next(), None);
        assert!(inbox.room().capacity() < 4 * READ, "{}", inbox.octets.capacity());
        inbox.octets.resize(2 + MAX_MESSAGE, 0);
        assert_eq!(inbox.next(), Some(2..2 + MAX_MESSAGE));
        inbox.tidy();
        assert_eq!(inbox.octets.capacity(), 0, "and a long buffer is freed");
    }

    #[tokio::test]
    async fn a_client_that_always_leaves_some_unread_takes_no_memory() {
        let (mut client, mut server) = tokio::io::duplex(1000);
        let (left, mut outbox, mut read) = (Arc::<AtomicUsize>::default(), Outbox::default(), Vec::new());
        for number in 0..10_000u16 {
            let count = Arc::clone(&left);
            let told = move |message: Vec<u8>| assert_eq!(count.fetch_add(1, Relaxed), id(&message));
            outbox.message([&number.to_be_bytes()[..], &[0; 98]].concat(), Some(Box::new(told)));
            poll_fn(|cx| Poll::Ready(outbox.write(Pin::new(&mut server), cx))).await.unwrap();
            outbox.tidy();
            // The first replies are for the stream to hold, and there are always some more.
            if number >= 20 {
                let mut reply = [0; 102];
                client.read_exact(&mut reply).await.unwrap();
                read.push(id(&reply[2..]));
                assert!(!outbox.is_empty(), "after {number}");
            }
            assert!(outbox.octets.capacity() < KEEP, "{} octets", outbox.octets.capacity());
        }
        assert!(read.into_iter().eq(0..9980));
        assert!((9980..10_000).contains(&left.load(Relaxed)), "{left:?}");
    }

    fn id(message: &[u8]) -> usize {
        usize::from(u16::from_be_bytes([message[0], message[1]]))
    }
}
