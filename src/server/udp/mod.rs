//! UDP: one OS thread per core, each with a socket of its own on the same address.
//!
//! [`worker`] is the loop. It receives and sends datagrams through [`Receive`] and [`Transmit`], which have
//! two implementations: [`mmsg`] moves many per call and knows the local address that each was sent to
//! (Linux); [`plain`] moves one at a time with the standard library's calls, on every system.

#[cfg(target_os = "linux")]
pub mod mmsg;
pub mod plain;
pub mod worker;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The way back to the sender of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// The sender.
    pub peer: SocketAddr,
    /// The local address that it was sent to, if the kernel was asked to report it.
    pub asked: Option<IpAddr>,
}

/// Receives datagrams from a socket.
pub trait Receive {
    /// Waits for a datagram, as long as the socket's read timeout allows; returns how many arrived.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` or `TimedOut` when the time is up.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize>;

    /// The octets of one of them, and the way back.
    fn get(&self, slot: usize) -> Option<(&[u8], Return)>;
}

/// Queues datagrams and sends them.
pub trait Transmit {
    /// The buffer of the next datagram; `None` when there is room for no more before a
    /// [`Transmit::send`].
    fn space(&mut self) -> Option<&mut [u8]>;

    /// Queues the first `len` octets of [`Transmit::space`].
    fn commit(&mut self, len: usize, to: &Return);

    /// The octets of the datagram with this number, from 0, among those sent last; until the next
    /// [`Transmit::space`].
    fn sent(&self, slot: usize) -> Option<&[u8]>;

    /// Sends all of them. Datagrams that the kernel rejects are lost, as any may be; returns the number
    /// lost.
    fn send(&mut self, socket: &UdpSocket) -> usize;
}

/// Sends one datagram from any thread, in an IP packet with this time to live where the system can
/// (Linux); `None` leaves it to the system.
///
/// # Errors
/// The kernel's.
pub fn send_marked(socket: &UdpSocket, octets: &[u8], to: &Return, ip_ttl: Option<u8>) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if ip_ttl.is_some() {
        return mmsg::send_one(socket, octets, to, ip_ttl);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = ip_ttl;
    send_one(socket, octets, to)
}

/// Sends one datagram from any thread.
///
/// # Errors
/// The kernel's.
pub fn send_one(socket: &UdpSocket, octets: &[u8], to: &Return) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if to.asked.is_some() {
        return mmsg::send_one(socket, octets, to, None);
    }
    socket.send_to(octets, to.peer).map(|_| ())
}
