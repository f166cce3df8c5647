//! The system calls `recvmmsg` and `sendmmsg`, over buffers that are laid out once.
//!
//! The server's own module is deliberately not used here: a mistake in it would lower the ceiling that
//! it is measured against, and the generator, unlike a server, needs calls that never wait.
#![expect(unsafe_code, reason = "the standard library has no such calls")]

use std::io;
use std::mem::zeroed;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use libc::{cmsghdr, iovec, mmsghdr, pollfd, sockaddr_in6};
use socket2::{Domain, Protocol, Socket, Type};

/// Buffers a page apart would share one set of the L1 cache; one more cache line spreads them.
const SPREAD: usize = 64;

/// A number of datagrams, and for each the address that it came from or goes to.
pub struct Batch {
    buffers: Box<[u8]>,
    stride: usize,
    /// Octets of each datagram that is to be sent.
    lengths: Box<[usize]>,
    peers: Box<[sockaddr_in6]>,
    vectors: Box<[iovec]>,
    controls: Box<[Segments]>,
    headers: Box<[mmsghdr]>,
}

/// A control message with the length of each datagram, for datagrams that are sent as one.
#[derive(Clone, Copy)]
#[repr(C)]
struct Segments {
    header: cmsghdr,
    size: u16,
}

/// The most of them at once (`UDP_MAX_SEGMENTS` of older kernels).
const MOST_SEGMENTS: usize = 64;

/// Whether a call waits for the first datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    First,
    Never,
}

impl Batch {
    /// Room for `slots` datagrams of at most `octets` each. Without `addressed` it is for connected
    /// sockets, which need no addresses.
    pub fn new(slots: usize, octets: usize, addressed: bool) -> Self {
        let stride = octets.next_multiple_of(SPREAD) + SPREAD;
        // SAFETY: all of them are plain C structures of integers and pointers, for which zero is a value.
        let (peer, control, header): (sockaddr_in6, cmsghdr, mmsghdr) =
            unsafe { (zeroed(), zeroed(), zeroed()) };
        let mut segments = Segments { header: control, size: 0 };
        segments.header.cmsg_level = libc::SOL_UDP;
        segments.header.cmsg_type = libc::UDP_SEGMENT;
        segments.header.cmsg_len = (size_of::<cmsghdr>() + size_of::<u16>()) as _;
        let mut batch = Self {
            buffers: vec![0; slots * stride].into(),
            stride,
            lengths: vec![0; slots].into(),
            peers: vec![peer; slots].into(),
            vectors: vec![iovec { iov_base: ptr::null_mut(), iov_len: 0 }; slots].into(),
            controls: vec![segments; slots].into(),
            headers: vec![header; slots].into(),
        };
        for slot in 0..slots {
            if addressed {
                batch.headers[slot].msg_hdr.msg_name = (&raw mut batch.peers[slot]).cast();
            }
            batch.headers[slot].msg_hdr.msg_iov = &raw mut batch.vectors[slot];
            batch.headers[slot].msg_hdr.msg_iovlen = 1;
            batch.rewind(slot);
        }
        batch
    }

    /// Makes a slot ready to receive.
    fn rewind(&mut self, slot: usize) {
        self.vectors[slot] = iovec { iov_base: self.base(slot), iov_len: self.stride - SPREAD };
        if !self.headers[slot].msg_hdr.msg_name.is_null() {
            self.headers[slot].msg_hdr.msg_namelen = size_of::<sockaddr_in6>() as u32;
        }
    }

    fn base(&mut self, slot: usize) -> *mut libc::c_void {
        self.buffers[slot * self.stride..].as_mut_ptr().cast()
    }

    pub fn slots(&self) -> usize {
        self.headers.len()
    }

    /// The whole buffer of a slot.
    pub fn space(&mut self, slot: usize) -> &mut [u8] {
        &mut self.buffers[slot * self.stride..(slot + 1) * self.stride - SPREAD]
    }

    /// Sets how many octets of a slot are to be sent.
    pub fn set_len(&mut self, slot: usize, octets: usize) {
        self.lengths[slot] = octets.min(self.stride - SPREAD);
    }

    /// The octets to be sent from a slot.
    pub fn outgoing(&self, slot: usize) -> &[u8] {
        &self.buffers[slot * self.stride..][..self.lengths[slot]]
    }

    /// The octets received into a slot.
    pub fn received(&self, slot: usize) -> &[u8] {
        let len = (self.headers[slot].msg_len as usize).min(self.stride - SPREAD);
        &self.buffers[slot * self.stride..][..len]
    }

    /// Receives pending datagrams, into the slots from the first on; returns how many were filled.
    pub fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        let flags = if wait == Wait::First { libc::MSG_WAITFORONE } else { libc::MSG_DONTWAIT };
        let slots = self.headers.len() as u32;
        // SAFETY: every header points to a vector (and an address) of its own, every vector to a buffer
        // of the length given; all are boxed in `self`, never moved, and borrowed until the call returns.
        let done = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), slots, flags as _, ptr::null_mut())
        };
        match usize::try_from(done) {
            Ok(received) => Ok(received),
            Err(_) => match io::Error::last_os_error() {
                // Nothing pending, or the error of an earlier datagram that nothing received.
                e if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                        | io::ErrorKind::ConnectionRefused
                ) =>
                {
                    Ok(0)
                }
                e => Err(e),
            },
        }
    }

    /// Sends the first `count` slots back to their senders, each with the length that was set,
    /// and makes them ready to receive again.
    pub fn send_back(&mut self, socket: &UdpSocket, count: usize) -> io::Result<()> {
        for slot in 0..count {
            self.vectors[slot].iov_len = self.lengths[slot];
        }
        let sent = self.transmit(socket, count);
        self.forget(count);
        sent
    }

    /// Makes the first `count` slots ready to receive again.
    pub fn forget(&mut self, count: usize) {
        for slot in 0..count {
            self.rewind(slot);
        }
    }

    /// Sends the slots named, in their order, over a connected socket. Neighbours of equal length
    /// are sent as one and segmented by the kernel (udp(7), `UDP_SEGMENT`).
    pub fn send(&mut self, socket: &UdpSocket, slots: &[u16]) -> io::Result<()> {
        let mut sends = 0;
        let mut at = 0;
        while let Some(&first) = slots.get(at) {
            let octets = self.lengths[usize::from(first)];
            let begin = at;
            while at < slots.len() && at - begin < MOST_SEGMENTS {
                let slot = usize::from(slots[at]);
                if self.lengths[slot] != octets {
                    break;
                }
                self.vectors[at] = iovec { iov_base: self.base(slot), iov_len: octets };
                at += 1;
            }
            let header = &mut self.headers[sends].msg_hdr;
            header.msg_iov = &raw mut self.vectors[begin];
            header.msg_iovlen = (at - begin) as _;
            (header.msg_control, header.msg_controllen) = (ptr::null_mut(), 0);
            if at - begin > 1 {
                let control = &mut self.controls[sends];
                control.size = octets as u16;
                header.msg_control = ptr::from_mut(control).cast();
                header.msg_controllen = size_of::<Segments>() as _;
            }
            sends += 1;
        }
        self.transmit(socket, sends)
    }

    /// Sends the data of the first `count` vectors. A datagram that the kernel rejects is skipped: it is
    /// lost like any other.
    fn transmit(&mut self, socket: &UdpSocket, count: usize) -> io::Result<()> {
        let mut at = 0;
        while at < count {
            let rest = &mut self.headers[at..count];
            // SAFETY: as in `receive`; sendmmsg reads the buffers and writes only the lengths sent.
            let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
            match usize::try_from(done) {
                Ok(sent) => at += sent.max(1),
                Err(_) => match io::Error::last_os_error() {
                    e if e.kind() == io::ErrorKind::Interrupted => {}
                    e if e.kind() == io::ErrorKind::ConnectionRefused => at += 1,
                    e => return Err(e),
                },
            }
        }
        Ok(())
    }
}

/// Waits until one of the sockets has something to read, or the time is up.
pub fn poll<'a>(sockets: impl Iterator<Item = &'a UdpSocket>, most: Duration) {
    let entry = |s: &UdpSocket| pollfd { fd: s.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut entries: Vec<pollfd> = sockets.map(entry).collect();
    // SAFETY: the entries are live and as many as given. An error only ends the wait early.
    let _ = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as _, most.as_millis() as i32) };
}

/// A socket for a thread of a server; several may share the address.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A socket for a client, which receives only from `server`.
pub fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(4 << 20)?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}
