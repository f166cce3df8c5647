//! A stream on which a client must read: a write that makes no progress for too long fails.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream whose writes time out.
pub struct Stalling<S> {
    stream: S,
    most: Duration,
    timer: Pin<Box<Sleep>>,
    waits: bool,
}

impl<S> Stalling<S> {
    /// No write on `stream` waits longer than `most` for the client to read.
    pub fn new(stream: S, most: Duration) -> Self {
        Self { stream, most, timer: Box::pin(sleep(most)), waits: false }
    }

    fn written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        if !self.waits {
            self.waits = true;
            self.timer.set(sleep(self.most));
        }
        ready!(self.timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalling<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, room)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalling<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, octets);
        self.written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.written(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.written(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_reads_gets_everything_and_who_reads_nothing_is_given_up() {
        let (mut client, server) = tokio::io::duplex(100);
        let mut server = Stalling::new(server, Duration::from_millis(50));
        let reads = tokio::spawn(async move {
            client.read_exact(&mut [0; 1000]).await.unwrap();
            client
        });
        server.write_all(&[7; 1000]).await.unwrap();
        let _client = reads.await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_secs(30), server.write_all(&[7; 1000]));
        assert_eq!(given_up.await.expect("an end").unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
