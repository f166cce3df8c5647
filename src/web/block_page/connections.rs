//! Connections: how many at the same time, which goes first, and how one ends without losing an answer.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// The most that is read and thrown away before a connection closes.
const LINGER_OCTETS: u64 = 64 * 1024;
/// The longest that this takes.
const LINGER: Duration = Duration::from_secs(2);
/// A pause before the next try where no connection can be accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Has one task hold each connection, `most` at the same time. One more closes the oldest: an answer
/// takes milliseconds, so what has been open longest is idle, or a client that holds on to keep
/// others out.
pub(super) async fn accept<F, C>(listener: &TcpListener, most: usize, converse: F)
where
    F: Fn(TcpStream, IpAddr) -> C,
    C: Future<Output = ()> + Send + 'static,
{
    // Dropping the set ends its tasks.
    let mut tasks = JoinSet::new();
    let mut open = VecDeque::new();
    let mut told = false;
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                told = false;
                while tasks.try_join_next().is_some() {}
                if open.len() >= most {
                    close_oldest(&mut open, most);
                }
                open.push_back(tasks.spawn(converse(stream, client.ip().to_canonical())));
            }
            Err(e) if is_of_one_connection(&e) => {}
            Err(error) => {
                // Most often all descriptors are taken, and the next try would fail as well.
                if !told {
                    tracing::warn!(%error, "the block page cannot accept a connection; it closes its oldest");
                    told = true;
                }
                let fewer = open.len();
                close_oldest(&mut open, fewer);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Forgets the connections that have ended, and closes the oldest of the others if that leaves `most`.
fn close_oldest(open: &mut VecDeque<AbortHandle>, most: usize) {
    open.retain(|task| !task.is_finished());
    if open.len() >= most
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

/// The first octet that a client sends, left where it is; `None` if the client sends none in time.
pub(super) async fn first_octet(stream: &TcpStream, wait: Duration) -> Option<u8> {
    let mut octet = [0];
    match timeout(wait, stream.peek(&mut octet)).await {
        Ok(Ok(1..)) => octet.first().copied(),
        _ => None,
    }
}

/// Closes after the client has had time to read: to close with octets unread resets the connection,
/// and a reset can destroy the answer on its way (RFC 9112 §9.6).
pub(super) async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        // Whether the client closes, fails or goes on: nothing more is owed to it.
        let _ = timeout(LINGER, discard(&mut stream, LINGER_OCTETS)).await;
    }
}

/// Reads and throws away up to so many octets.
pub(super) async fn discard(stream: &mut TcpStream, most: u64) -> io::Result<u64> {
    tokio::io::copy(&mut stream.take(most), &mut tokio::io::sink()).await
}
