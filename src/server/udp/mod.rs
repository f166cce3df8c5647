//! UDP: one OS thread a core, each with a socket of its own on the same address.
//!
//! [`worker`] is the loop. It takes and sends datagrams through [`Receive`] and [`Transmit`], which
//! there are two of: [`mmsg`] moves many with one call and knows the address that was asked (Linux);
//! [`plain`] moves one at a time with the standard library's own calls, anywhere.

#[cfg(target_os = "linux")]
pub mod mmsg;
pub mod plain;
pub mod worker;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The way back to whoever sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Who sent it.
    pub peer: SocketAddr,
    /// The local address that it was sent to, where the kernel was asked to tell.
    pub asked: Option<IpAddr>,
}

/// Takes datagrams from a socket.
pub trait Receive {
    /// Waits for a datagram, as long as the socket's read timeout allows; returns how many came.
    ///
    /// # Errors
    /// The kernel's; `WouldBlock` or `TimedOut` when the time is up.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize>;

    /// The octets of one of them, and the way back.
    fn get(&self, slot: usize) -> Option<(&[u8], Return)>;
}

/// Gathers datagrams and sends them.
pub trait Transmit {
    /// The buffer of the next datagram; `None` when there is room for no more before a
    /// [`Transmit::send`].
    fn space(&mut self) -> Option<&mut [u8]>;

    /// Puts the first `len` octets of [`Transmit::space`] among those to be sent.
    fn commit(&mut self, len: usize, to: &Return);

    /// The octets of the datagram that was put there as number `slot`, from 0, and was sent; until the next
    /// [`Transmit::space`].
    fn sent(&self, slot: usize) -> Option<&[u8]>;

    /// Sends all of them. What the kernel will not take is lost, as any datagram may be; the number
    /// lost is returned.
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
