//! Sends one query and keeps all replies, including late and repeated ones.
//!
//! Clients take the first reply and close the port; to see what an injector sends before or after the genuine
//! reply, one must keep listening. Times count from the sending of the query.

use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout_at;

use crate::censor::{End, Seen};
use crate::dns::MAX_MESSAGE;

/// The most replies that are kept; after them the socket is closed.
pub const MOST_REPLIES: usize = 64;
/// The most octets that are kept, all replies together.
pub const MOST_OCTETS: usize = 1 << 20;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For the first reply.
    pub timeout: Duration,
    /// For further replies.
    pub wait: Duration,
}

impl Default for Patience {
    /// The waits of OONI's `web_connectivity`: 5 s, and 500 ms for further replies.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(5), wait: Duration::from_millis(500) }
    }
}

/// The kept replies, and the end of the wait.
struct Collected {
    seen: Seen,
    octets: usize,
    sent: Instant,
    until: Instant,
    wait: Duration,
}

impl Collected {
    fn new(patience: Patience) -> Self {
        let sent = now();
        let until = sent + patience.timeout;
        Self { seen: Seen::default(), octets: 0, sent, until, wait: patience.wait }
    }

    /// Keeps a message; returns whether to wait for more.
    fn keep(&mut self, message: &[u8]) -> bool {
        let at = now();
        self.heard(at);
        self.octets = self.octets.saturating_add(message.len());
        if self.octets > MOST_OCTETS {
            return false;
        }
        self.seen.replies.push((at.duration_since(self.sent), message.to_vec()));
        self.seen.replies.len() < MOST_REPLIES
    }

    /// Notes a reply: after the first, the socket listens for `wait`.
    fn heard(&mut self, at: Instant) {
        if self.seen.replies.is_empty() {
            self.until = at + self.wait;
        }
    }

    /// The result, if it comes in time; `None`: it does not.
    async fn in_time<T>(&self, doing: impl Future<Output = T>) -> Option<T> {
        timeout_at(self.until.into(), doing).await.ok()
    }
}

/// Sends the query in one datagram from a socket that receives only from the server, and keeps all replies.
/// `local` is the address to send from; the port is any free one.
///
/// # Errors
/// The query could not be sent, or nothing arrived and the system reports that nothing listens there
/// ([`ErrorKind::ConnectionRefused`]).
pub async fn udp(
    server: SocketAddr,
    local: Option<IpAddr>,
    query: &[u8],
    patience: Patience,
) -> io::Result<Seen> {
    let socket = UdpSocket::bind((local.unwrap_or(unspecified(server)), 0)).await?;
    socket.connect(server).await?;
    let mut collected = Collected::new(patience);
    socket.send(query).await?;
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut refused = None;
    loop {
        match collected.in_time(socket.recv(&mut buffer)).await {
            Some(Ok(len)) => {
                if !collected.keep(buffer.get(..len).unwrap_or_default()) {
                    break;
                }
            }
            // An injector may answer for an address without a resolver.
            Some(Err(error)) if refused.is_none() => {
                refused = Some(error);
                collected.heard(now());
            }
            None | Some(Err(_)) => break,
        }
    }
    match refused {
        Some(error) if collected.seen.replies.is_empty() => Err(error),
        _ => Ok(collected.seen),
    }
}

/// Opens a TCP connection, sends the query after its length (RFC 1035 §4.2.2), and keeps all complete
/// messages until the connection ends or the time is over. A message that is cut off by the end is left
/// out.
///
/// # Errors
/// The connection could not be opened; [`ErrorKind::TimedOut`] if that took too long.
pub async fn tcp(
    server: SocketAddr,
    local: Option<IpAddr>,
    query: &[u8],
    patience: Patience,
) -> io::Result<Seen> {
    let len = u16::try_from(query.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let opening = Collected::new(patience);
    let stream = opening.in_time(open(server, local)).await.ok_or(ErrorKind::TimedOut)??;
    let mut collected = Collected::new(patience);
    let framed = [&len.to_be_bytes()[..], query].concat();
    collected.seen.end = exchange(stream, &framed, &mut collected).await;
    Ok(collected.seen)
}

async fn open(server: SocketAddr, local: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    let stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn exchange(mut stream: TcpStream, framed: &[u8], collected: &mut Collected) -> End {
    match collected.in_time(stream.write_all(framed)).await {
        None => return End::Open,
        Some(Err(error)) => return ended(&error),
        Some(Ok(())) => {}
    }
    let mut message = vec![0; MAX_MESSAGE];
    loop {
        let Some(len) = collected.in_time(stream.read_u16()).await else { return End::Open };
        let len = match len {
            Ok(len) => usize::from(len),
            Err(error) => return ended(&error),
        };
        let whole = message.get_mut(..len).unwrap_or_default();
        match collected.in_time(stream.read_exact(whole)).await {
            None => return End::Open,
            Some(Err(error)) => return ended(&error),
            Some(Ok(_)) => {}
        }
        if !collected.keep(whole) {
            return End::Open;
        }
    }
}

fn ended(error: &io::Error) -> End {
    match error.kind() {
        ErrorKind::UnexpectedEof => End::Close,
        _ => End::Reset,
    }
}

const fn unspecified(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

#[expect(clippy::disallowed_methods, reason = "arrival times are measured here")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASTY: Patience =
        Patience { timeout: Duration::from_millis(800), wait: Duration::from_millis(500) };

    fn wait(ms: u64) -> impl Future<Output = ()> {
        tokio::time::sleep(Duration::from_millis(ms))
    }

    fn texts(seen: &Seen) -> Vec<&str> {
        seen.replies.iter().map(|(_, octets)| std::str::from_utf8(octets).unwrap()).collect()
    }

    #[tokio::test]
    async fn datagrams_are_kept_until_the_wait_is_over() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        // Other systems have only one address on loopback.
        let local = if cfg!(target_os = "linux") { "127.0.0.2" } else { "127.0.0.1" };
        tokio::spawn(async move {
            let mut buffer = [0; 16];
            let (len, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..len], from.ip().to_string()), (&b"query"[..], local.into()));
            // Datagrams from other senders are ignored.
            let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            other.send_to(b"other", from).await.unwrap();
            server.send_to(b"one", from).await.unwrap();
            wait(60).await;
            server.send_to(b"two", from).await.unwrap();
            wait(1000).await;
            let _ = server.send_to(b"late", from).await;
        });
        let seen = udp(address, Some(local.parse().unwrap()), b"query", HASTY).await.unwrap();
        assert_eq!(texts(&seen), ["one", "two"]);
        assert!(seen.replies[1].0 >= Duration::from_millis(60), "{seen:?}");
        assert_eq!(seen.end, End::Open);
    }

    #[tokio::test]
    async fn silence_and_a_closed_port_are_told_apart() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        assert_eq!(udp(address, None, b"query", HASTY).await.unwrap(), Seen::default());
        drop(server);
        let error = udp(address, None, b"query", HASTY).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = tcp(address, None, b"query", HASTY).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn a_flood_is_cut_off() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        tokio::spawn(async move {
            let (_, from) = server.recv_from(&mut [0; 16]).await.unwrap();
            for _ in 0..1000 {
                if server.send_to(&[7; 1000], from).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
        let patient = Patience { wait: Duration::from_secs(5), ..Patience::default() };
        let seen = udp(address, None, b"query", patient).await.unwrap();
        assert_eq!(seen.replies.len(), MOST_REPLIES);
    }

    /// The octets that a TCP server sends, and how it ends.
    async fn over_tcp(sends: &'static [u8], end: End) -> Seen {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut query = [0; 7];
            stream.read_exact(&mut query).await.unwrap();
            assert_eq!(&query, b"\0\x05query");
            stream.write_all(sends).await.unwrap();
            match end {
                End::Open => wait(1200).await,
                End::Close => {}
                End::Reset => {
                    // The data must be read before the RST discards it.
                    wait(50).await;
                    let stream = stream.into_std().unwrap();
                    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        });
        let seen = tcp(address, None, b"query", HASTY).await.unwrap();
        server.await.unwrap();
        seen
    }

    #[tokio::test]
    async fn messages_over_tcp_and_how_the_connection_ends() {
        for (sends, end, replies) in [
            (&b"\0\x03one\0\x03two"[..], End::Open, &["one", "two"][..]),
            (b"\0\x03one", End::Close, &["one"]),
            (b"\0\x03one\0\x09cut", End::Close, &["one"]),
            (b"\0\x03one", End::Reset, &["one"]),
            (b"", End::Open, &[]),
            (b"", End::Close, &[]),
            (b"", End::Reset, &[]),
        ] {
            let seen = over_tcp(sends, end).await;
            assert_eq!((texts(&seen), seen.end), (replies.to_vec(), end), "{sends:?}");
        }
    }
}
