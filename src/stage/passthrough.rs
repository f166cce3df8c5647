//! Forwards queries to the resolver they were sent to, for a censor on the path.
//!
//! A query leaves unchanged from a socket of our own, and the reply is relayed octet for octet. Without a
//! reply, the client gets none. The machine's routes decide which packets arrive here.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::dns::{Header, MAX_MESSAGE, Query, Rcode, ReplyMatch, flag, match_reply};

/// The time-out of the resolver.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most queries in flight; each has a socket.
const IN_FLIGHT: usize = 4096;

/// Forwards queries.
pub struct Passthrough {
    places: Semaphore,
    /// Queries that were dropped because too many were in flight.
    dropped: AtomicU64,
    /// The addresses of our own queries.
    own: Mutex<HashSet<SocketAddr>>,
    /// A warning that our own queries come back was logged.
    warned: AtomicBool,
    tasks: Mutex<JoinSet<()>>,
}

impl Passthrough {
    /// A forwarder without queries in flight.
    ///
    /// # Errors
    /// This machine's addresses cannot be distinguished from others.
    pub fn open() -> io::Result<Self> {
        for family in ["ipv4", "ipv6"] {
            let path = format!("/proc/sys/net/{family}/ip_nonlocal_bind");
            if std::fs::read_to_string(path).is_ok_and(|set| set.trim() != "0") {
                return Err(io::Error::other(format!(
                    "the addresses of this machine cannot be distinguished from others: set the sysctl \
                     net.{family}.ip_nonlocal_bind to 0"
                )));
            }
        }
        Ok(Self {
            places: Semaphore::new(IN_FLIGHT),
            dropped: AtomicU64::new(0),
            own: Mutex::default(),
            warned: AtomicBool::new(false),
            tasks: Mutex::default(),
        })
    }

    /// Whether to forward a query: not if it was sent to this machine, which has no resolver behind it.
    pub(super) fn leads_on(asked: SocketAddr) -> bool {
        !asked.ip().is_unspecified() && !is_here(asked.ip())
    }

    /// Whether a query is our own, because the routes return what we forward.
    pub(super) fn is_own(&self, client: SocketAddr) -> bool {
        let own = lock(&self.own).contains(&client);
        if own && !self.warned.swap(true, Relaxed) {
            tracing::warn!(
                "forwarded queries come back: the rule that routes port 53 here must name the clients' \
                 interface (iif)"
            );
        }
        own
    }

    /// How many queries were dropped because too many were in flight.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Runs a task until it is done, or this ends. Must be called within a runtime.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// How many queries over UDP are in flight.
    pub(super) fn passing(&self) -> usize {
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.len()
    }

    /// Drops all queries in flight.
    pub(super) async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
    }

    /// Queries over UDP; `None`: no reply.
    pub(super) async fn over_udp(&self, asked: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        self.within(async {
            let any: IpAddr =
                if asked.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind((any, 0)).await?;
            socket.connect(asked).await?;
            let _own = self.goes_out(socket.local_addr()?);
            socket.send(packet).await?;
            loop {
                // The buffer is allocated when there is a reply to read: most of the time there is none.
                socket.readable().await?;
                let mut reply = vec![0; MAX_MESSAGE];
                match socket.try_recv(&mut reply) {
                    Ok(len) => reply.truncate(len),
                    Err(reason) if reason.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(reason) => return Err(reason),
                }
                if answers(packet, &reply) {
                    reply.shrink_to_fit();
                    return Ok(reply);
                }
            }
        })
        .await
    }

    /// Queries over TCP, on a new connection; `None`: no reply.
    pub(super) async fn over_tcp(&self, asked: SocketAddr, packet: &[u8]) -> Option<Vec<u8>> {
        self.within(async {
            let mut stream = TcpStream::connect(asked).await?;
            let _own = self.goes_out(stream.local_addr()?);
            let len = u16::try_from(packet.len()).map_err(io::Error::other)?;
            stream.write_all(&[&len.to_be_bytes(), packet].concat()).await?;
            let mut reply = vec![0; usize::from(stream.read_u16().await?)];
            stream.read_exact(&mut reply).await?;
            Ok(reply)
        })
        .await
    }

    /// The result of an exchange, if it comes in time and there is room for it.
    async fn within(&self, exchange: impl Future<Output = io::Result<Vec<u8>>>) -> Option<Vec<u8>> {
        let Ok(_place) = self.places.try_acquire() else {
            if self.dropped.fetch_add(1, Relaxed) == 0 {
                tracing::warn!("too many queries are in flight; some are dropped");
            }
            return None;
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(reply)) => Some(reply),
            Ok(Err(reason)) => {
                tracing::debug!(%reason, "a forwarded query got no reply");
                None
            }
            Err(_) => None,
        }
    }

    fn goes_out(&self, from: SocketAddr) -> Own<'_> {
        lock(&self.own).insert(from);
        Own { passthrough: self, from }
    }
}

/// A registered socket of ours, until dropped.
struct Own<'p> {
    passthrough: &'p Passthrough,
    from: SocketAddr,
}

impl Drop for Own<'_> {
    fn drop(&mut self) {
        lock(&self.passthrough.own).remove(&self.from);
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether an address belongs to this machine: only such an address can be bound.
fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// Whether `reply` is one to `packet`: the same id and, unless an error leaves it out, the same question.
fn answers(packet: &[u8], reply: &[u8]) -> bool {
    let (Some(asked), Some(answered)) = (Header::read(packet), Header::read(reply)) else { return false };
    // Other messages than plain queries are not parsed here, nor are their replies.
    let Ok(query) = Query::parse(packet) else { return answered.id == asked.id && answered.has(flag::QR) };
    match match_reply(asked.id, query.question(), reply) {
        Some(ReplyMatch::Question) => true,
        Some(ReplyMatch::IdOnly) => answered.rcode() != Rcode::NOERROR,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{NameBuf, Qtype, encode};

    #[test]
    fn a_reply_is_told_from_a_stranger() {
        let query = encode(NameBuf::from_text("Example.test").unwrap().as_name(), Qtype::A);
        let reply = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut reply = query.clone();
            reply[2] |= 0x80;
            change(&mut reply);
            answers(&query, &reply)
        };
        assert!(reply(&|_| {}));
        assert!(reply(&|r| r[13] = b'e'), "the resolver may change the case");
        assert!(!reply(&|r| r[0] ^= 1), "another id");
        assert!(!reply(&|r| r[2] &= 0x7f), "a query");
        assert!(!reply(&|r| r[14] = b'y'), "another name");
        assert!(!reply(&|r| r.truncate(20)), "cut");
        assert!(!reply(&|r| r.truncate(11)), "no header");
        assert!(!reply(&|r| r[5] = 0), "no question, and no error either");
        assert!(
            reply(&|r| {
                r.truncate(12);
                r[3] |= 1;
                r[5] = 0;
            }),
            "an error without the question"
        );
    }

    #[test]
    fn nothing_leads_on_from_this_machine() {
        assert!(!Passthrough::leads_on("127.0.0.2:53".parse().unwrap()));
        assert!(!Passthrough::leads_on("0.0.0.0:53".parse().unwrap()));
        assert!(Passthrough::leads_on("192.0.2.1:53".parse().unwrap()));
    }
}
