//! One datagram at a time, with portable calls.
//!
//! On a wildcard address the reply leaves from the address that the system picks.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::{Receive, Return, Transmit};

/// The datagram that arrived last.
pub struct Inbox {
    buffer: Box<[u8]>,
    last: Option<(usize, SocketAddr)>,
}

impl Inbox {
    /// Room for a datagram of at most `octets`; a longer one is truncated.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self { buffer: vec![0; octets].into(), last: None }
    }
}

impl Receive for Inbox {
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.last = None;
        self.last = Some(socket.recv_from(&mut self.buffer)?);
        Ok(1)
    }

    fn get(&self, slot: usize) -> Option<(&[u8], Return)> {
        let (len, peer) = self.last.filter(|_| slot == 0)?;
        Some((self.buffer.get(..len)?, Return { peer, asked: None }))
    }
}

/// The datagram to be sent.
pub struct Outbox {
    buffer: Box<[u8]>,
    next: Option<(usize, SocketAddr)>,
    /// The length of the last datagram.
    len: usize,
}

impl Outbox {
    /// Room for a datagram of at most `octets`.
    #[must_use]
    pub fn new(octets: usize) -> Self {
        Self { buffer: vec![0; octets].into(), next: None, len: 0 }
    }
}

impl Transmit for Outbox {
    fn space(&mut self) -> Option<&mut [u8]> {
        self.next.is_none().then_some(&mut self.buffer)
    }

    fn commit(&mut self, len: usize, to: &Return) {
        self.next = Some((len, to.peer));
        self.len = len;
    }

    fn sent(&self, slot: usize) -> Option<&[u8]> {
        self.buffer.get(..self.len).filter(|_| slot == 0)
    }

    fn send(&mut self, socket: &UdpSocket) -> usize {
        let Some((len, peer)) = self.next.take() else { return 0 };
        let sent = self.buffer.get(..len).map(|octets| socket.send_to(octets, peer));
        usize::from(!matches!(sent, Some(Ok(_))))
    }
}
