//! Begins and ends a connection without losing a response.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The most octets that are read and discarded before a connection closes.
const LINGER_OCTETS: u64 = 64 * 1024;
/// The longest that this takes.
const LINGER: Duration = Duration::from_secs(2);

/// The first octet that a client sends, left unread; `None` if the client sends none in time.
pub(super) async fn first_octet(stream: &TcpStream, wait: Duration) -> Option<u8> {
    let mut octet = [0];
    match timeout(wait, stream.peek(&mut octet)).await {
        Ok(Ok(1..)) => octet.first().copied(),
        _ => None,
    }
}

/// Closes after the client has had time to read: closing with unread octets resets the connection,
/// and a reset can destroy the response in flight (RFC 9112 §9.6).
pub(super) async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        // Whatever the client does now, it has its response.
        let _ = timeout(LINGER, discard(&mut stream, LINGER_OCTETS)).await;
    }
}

/// Reads and discards up to `most` octets.
pub(super) async fn discard(stream: &mut TcpStream, most: u64) -> io::Result<u64> {
    tokio::io::copy(&mut stream.take(most), &mut tokio::io::sink()).await
}
