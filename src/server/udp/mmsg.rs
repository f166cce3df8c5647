//! `recvmmsg` and `sendmmsg`: many datagrams per system call. Linux only; the only unsafe code of the
//! edge.
//!
//! An [`Inbox`] receives from a socket, an [`Outbox`] sends the datagrams put into it. Both own their
//! buffers and reuse them; nothing is allocated after they are made. On a socket that listens on a
//! wildcard address a [`Return`] holds the address that the query was sent to, and the reply leaves
//! from there (ip(7) `IP_PKTINFO`, RFC 3542 §6).

#![expect(unsafe_code, reason = "the standard library has no such calls")]

use std::io;
use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

use super::{Receive, Return, Transmit};
use libc::{c_int, c_uint, cmsghdr, in_pktinfo, in6_pktinfo, iovec, mmsghdr};

/// Octets of a `sockaddr_in6`, the longer of the two addresses that a UDP socket has.
const NAME: usize = size_of::<libc::sockaddr_in6>();
/// The offset of a control message's data: the header is padded to whole words.
const CONTROL_HEADER: usize = size_of::<cmsghdr>().next_multiple_of(size_of::<usize>());
/// Room for one control message with a whole number: a time to live.
const HOPS: usize = CONTROL_HEADER + size_of::<c_int>().next_multiple_of(size_of::<usize>());
/// Room for one control message with an `in6_pktinfo`, the longer of the two.
const CONTROL: usize = CONTROL_HEADER + size_of::<in6_pktinfo>().next_multiple_of(size_of::<usize>());
/// Buffers a page apart would share one set of the L1 cache; one more cache line spreads them.
const SPREAD: usize = 64;

/// Asks the kernel for the local address that each datagram was sent to. Needed on a socket that is
/// bound to a wildcard address, so that replies leave from that address.
///
/// # Errors
/// The kernel's.
pub fn tell_destination(socket: &UdpSocket) -> io::Result<()> {
    let (level, option) = if socket.local_addr()?.is_ipv6() {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: c_int = 1;
    // SAFETY: the value points to a live c_int, and its length is given.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&on).cast(),
            length(size_of::<c_int>()),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams received by one call.
pub struct Inbox {
    buffers: Box<[u8]>,
    /// The most octets of one datagram, and how far apart two buffers begin.
    octets: usize,
    stride: usize,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[iovec]>,
    headers: Box<[mmsghdr]>,
}

impl Inbox {
    /// Room for `slots` datagrams of at most `octets` each; longer ones are truncated.
    #[must_use]
    pub fn new(slots: usize, octets: usize) -> Self {
        let stride = octets.next_multiple_of(SPREAD) + SPREAD;
        Self {
            buffers: vec![0; slots * stride].into(),
            octets,
            stride,
            names: vec![Name([0; NAME]); slots].into(),
            controls: vec![Control([0; CONTROL]); slots].into(),
            vectors: vec![NO_VECTOR; slots].into(),
            headers: vec![NO_HEADER; slots].into(),
        }
    }
}

impl Receive for Inbox {
    /// Receives the first datagram and all others that have arrived, up to the number of slots.
    fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let octets = self.octets;
        let slots = self.buffers.chunks_exact_mut(self.stride).zip(&mut self.names).zip(&mut self.controls);
        for (((buffer, name), control), (vector, header)) in
            slots.zip(self.vectors.iter_mut().zip(&mut self.headers))
        {
            *vector = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: octets };
            *header = NO_HEADER;
            header.msg_hdr.msg_name = name.0.as_mut_ptr().cast();
            header.msg_hdr.msg_namelen = length(NAME);
            header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL as _;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let slots = count(self.headers.len());
        // SAFETY: each header points to one vector, name and control buffer of its own, all of the
        // lengths given and all owned by `self`, which is borrowed mutably until the call returns.
        let done = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                slots,
                libc::MSG_WAITFORONE as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(done).map_err(|_| io::Error::last_os_error())
    }

    /// `None` beyond the last slot, or if the kernel gave an address of neither family.
    fn get(&self, slot: usize) -> Option<(&[u8], Return)> {
        let header = self.headers.get(slot)?;
        let len = usize::try_from(header.msg_len).ok()?.min(self.octets);
        let octets = self.buffers.get(slot * self.stride..)?.get(..len)?;
        let peer = self.names.get(slot)?.address()?;
        #[allow(clippy::unnecessary_cast, reason = "the field's type differs between C libraries")]
        let filled = header.msg_hdr.msg_controllen as usize;
        let asked = self.controls.get(slot)?.destination(filled);
        Some((octets, Return { peer, asked }))
    }
}

/// Datagrams to be sent by one call.
pub struct Outbox {
    buffers: Box<[u8]>,
    /// The most octets of one datagram, and how far apart two buffers begin.
    octets: usize,
    stride: usize,
    filled: usize,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[iovec]>,
    headers: Box<[mmsghdr]>,
}

impl Outbox {
    /// Room for `slots` datagrams of at most `octets` each.
    #[must_use]
    pub fn new(slots: usize, octets: usize) -> Self {
        let Inbox { buffers, octets, stride, names, controls, vectors, headers } = Inbox::new(slots, octets);
        Self { buffers, octets, stride, filled: 0, names, controls, vectors, headers }
    }

    /// How many datagrams wait to be sent.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.filled
    }

    /// True if there is nothing to send.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Queues the first `len` octets of [`Transmit::space`]. Without a way back the socket must be
    /// connected.
    pub fn push(&mut self, len: usize, to: Option<&Return>) {
        let slot = self.filled;
        let (Some(header), Some(vector)) = (self.headers.get_mut(slot), self.vectors.get_mut(slot)) else {
            return;
        };
        vector.iov_len = len.min(self.octets);
        *header = NO_HEADER;
        if let (Some(to), Some(name)) = (to, self.names.get_mut(slot)) {
            header.msg_hdr.msg_namelen = length(name.set(to.peer));
            if let (Some(asked), Some(control)) = (to.asked, self.controls.get_mut(slot)) {
                header.msg_hdr.msg_controllen = control.set_source(asked, to.peer) as _;
            }
        }
        self.filled += 1;
    }
}

impl Transmit for Outbox {
    fn space(&mut self) -> Option<&mut [u8]> {
        if self.filled == self.headers.len() {
            return None;
        }
        let octets = self.octets;
        self.buffers.get_mut(self.filled * self.stride..)?.get_mut(..octets)
    }

    fn commit(&mut self, len: usize, to: &Return) {
        self.push(len, Some(to));
    }

    fn sent(&self, slot: usize) -> Option<&[u8]> {
        let len = self.vectors.get(slot)?.iov_len;
        self.buffers.get(slot * self.stride..)?.get(..len)
    }

    fn send(&mut self, socket: &UdpSocket) -> usize {
        let slots = self.buffers.chunks_exact_mut(self.stride).zip(&mut self.names).zip(&mut self.controls);
        for (((buffer, name), control), (vector, header)) in
            slots.zip(self.vectors.iter_mut().zip(&mut self.headers)).take(self.filled)
        {
            vector.iov_base = buffer.as_mut_ptr().cast();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            if header.msg_hdr.msg_namelen > 0 {
                header.msg_hdr.msg_name = name.0.as_mut_ptr().cast();
            }
            if header.msg_hdr.msg_controllen > 0 {
                header.msg_hdr.msg_control = control.0.as_mut_ptr().cast();
            }
        }
        let (mut at, mut lost) = (0, 0);
        while let Some(rest) = self.headers.get_mut(at..self.filled).filter(|r| !r.is_empty()) {
            // SAFETY: the headers up to `filled` point to vectors, names and control buffers of
            // their own, set just above, of the lengths given, and owned by `self`.
            let done = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), count(rest.len()), 0) };
            match usize::try_from(done) {
                Ok(sent) => at += sent.max(1),
                Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // The error is that of the first datagram left; the next ones may still succeed.
                Err(_) => (at, lost) = (at + 1, lost + 1),
            }
        }
        self.filled = 0;
        lost
    }
}

/// Sends one datagram, in an IP packet with this time to live or the system's.
///
/// # Errors
/// The kernel's.
pub fn send_one(socket: &UdpSocket, octets: &[u8], to: &Return, ip_ttl: Option<u8>) -> io::Result<()> {
    let mut name = Name([0; NAME]);
    let mut controls = Controls([0; CONTROL + HOPS]);
    let mut vector = iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    let mut header = NO_HEADER.msg_hdr;
    header.msg_namelen = length(name.set(to.peer));
    header.msg_name = name.0.as_mut_ptr().cast();
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    let filled = controls.set(to, ip_ttl);
    if filled > 0 {
        header.msg_controllen = filled as _;
        header.msg_control = controls.0.as_mut_ptr().cast();
    }
    // SAFETY: the header points to one vector over `octets`, which sendmsg only reads, and to the
    // name and control buffers above, of the lengths given.
    let done = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs the calling thread on one processor from now on.
///
/// # Errors
/// The kernel's: there is no such processor, or this process may not use it.
pub fn pin(processor: usize) -> io::Result<()> {
    const BITS: usize = u64::BITS as usize;
    let mut mask = [0u64; 16];
    let word = mask.get_mut(processor / BITS).ok_or(io::ErrorKind::InvalidInput)?;
    *word = 1 << (processor % BITS);
    // SAFETY: the mask is live, and as long as given; 0 means the calling thread.
    let done = unsafe { libc::sched_setaffinity(0, size_of_val(&mask), mask.as_ptr().cast()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The octets of a socket address in the kernel's layout, of either family.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME]);

impl Name {
    /// The offset of `sin_port` and `sin6_port`, in network byte order.
    const PORT: usize = offset_of!(libc::sockaddr_in, sin_port);
    const V4: usize = offset_of!(libc::sockaddr_in, sin_addr);
    const V6: usize = offset_of!(libc::sockaddr_in6, sin6_addr);
    const FLOW: usize = offset_of!(libc::sockaddr_in6, sin6_flowinfo);
    const SCOPE: usize = offset_of!(libc::sockaddr_in6, sin6_scope_id);

    fn address(&self) -> Option<SocketAddr> {
        let family = c_int::from(u16::from_ne_bytes(self.field(0)?));
        let port = u16::from_be_bytes(self.field(Self::PORT)?);
        match family {
            libc::AF_INET => Some(SocketAddrV4::new(Ipv4Addr::from(self.field::<4>(Self::V4)?), port).into()),
            libc::AF_INET6 => {
                let ip = Ipv6Addr::from(self.field::<16>(Self::V6)?);
                let flow = u32::from_ne_bytes(self.field(Self::FLOW)?);
                let scope = u32::from_ne_bytes(self.field(Self::SCOPE)?);
                Some(SocketAddrV6::new(ip, port, flow, scope).into())
            }
            _ => None,
        }
    }

    /// Stores an address; returns its length in octets.
    fn set(&mut self, address: SocketAddr) -> usize {
        let (family, len) = match address {
            SocketAddr::V4(v4) => {
                self.put(Self::V4, &v4.ip().octets());
                (libc::AF_INET, size_of::<libc::sockaddr_in>())
            }
            SocketAddr::V6(v6) => {
                self.put(Self::V6, &v6.ip().octets());
                self.put(Self::FLOW, &v6.flowinfo().to_ne_bytes());
                self.put(Self::SCOPE, &v6.scope_id().to_ne_bytes());
                (libc::AF_INET6, NAME)
            }
        };
        self.put(0, &u16::try_from(family).unwrap_or_default().to_ne_bytes());
        self.put(Self::PORT, &address.port().to_be_bytes());
        len
    }

    fn field<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..)?.first_chunk().copied()
    }

    fn put(&mut self, at: usize, octets: &[u8]) {
        put(&mut self.0, at, octets);
    }
}

/// A buffer for one control message, aligned as the kernel requires.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

impl Control {
    const LEVEL: usize = offset_of!(cmsghdr, cmsg_level);
    const TYPE: usize = offset_of!(cmsghdr, cmsg_type);
    /// The address of this host in an `in_pktinfo`.
    const LOCAL4: usize = CONTROL_HEADER + offset_of!(in_pktinfo, ipi_spec_dst);
    const LOCAL6: usize = CONTROL_HEADER + offset_of!(in6_pktinfo, ipi6_addr);
    const INTERFACE6: usize = CONTROL_HEADER + offset_of!(in6_pktinfo, ipi6_ifindex);

    /// The local address in a control message of `filled` octets; no other kind is asked for.
    fn destination(&self, filled: usize) -> Option<IpAddr> {
        if filled < CONTROL_HEADER {
            return None;
        }
        match (self.int(Self::LEVEL)?, self.int(Self::TYPE)?) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let octets: [u8; 4] = *self.0.get(Self::LOCAL4..)?.first_chunk()?;
                Some(Ipv4Addr::from(octets).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let octets: [u8; 16] = *self.0.get(Self::LOCAL6..)?.first_chunk()?;
                Some(Ipv6Addr::from(octets).into())
            }
            _ => None,
        }
    }

    /// Asks the kernel to send from a local address; returns the octets used. The interface is left
    /// to the routing table, except for a link-local address, which means nothing without one.
    fn set_source(&mut self, local: IpAddr, peer: SocketAddr) -> usize {
        self.0 = [0; CONTROL];
        let (level, kind, data) = match local {
            IpAddr::V4(v4) => {
                put(&mut self.0, Self::LOCAL4, &v4.octets());
                (libc::IPPROTO_IP, libc::IP_PKTINFO, size_of::<in_pktinfo>())
            }
            IpAddr::V6(v6) => {
                put(&mut self.0, Self::LOCAL6, &v6.octets());
                if let (true, SocketAddr::V6(peer)) = (v6.is_unicast_link_local(), peer) {
                    put(&mut self.0, Self::INTERFACE6, &peer.scope_id().to_ne_bytes());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, size_of::<in6_pktinfo>())
            }
        };
        put(&mut self.0, 0, &(CONTROL_HEADER + data).to_ne_bytes());
        put(&mut self.0, Self::LEVEL, &level.to_ne_bytes());
        put(&mut self.0, Self::TYPE, &kind.to_ne_bytes());
        CONTROL_HEADER + data.next_multiple_of(size_of::<usize>())
    }

    fn int(&self, at: usize) -> Option<c_int> {
        self.0.get(at..)?.first_chunk().map(|octets| c_int::from_ne_bytes(*octets))
    }
}

/// A buffer for a source address and a time to live.
#[repr(C, align(8))]
struct Controls([u8; CONTROL + HOPS]);

impl Controls {
    /// Asks the kernel to send from this address with this time to live; returns the octets used.
    fn set(&mut self, to: &Return, ip_ttl: Option<u8>) -> usize {
        let mut filled = 0;
        if let Some(asked) = to.asked {
            let mut control = Control([0; CONTROL]);
            filled = control.set_source(asked, to.peer);
            put(&mut self.0, 0, &control.0);
        }
        let Some(ttl) = ip_ttl else { return filled };
        let (level, kind) = if to.peer.is_ipv4() {
            (libc::IPPROTO_IP, libc::IP_TTL)
        } else {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT)
        };
        put(&mut self.0, filled, &(CONTROL_HEADER + size_of::<c_int>()).to_ne_bytes());
        put(&mut self.0, filled + Control::LEVEL, &level.to_ne_bytes());
        put(&mut self.0, filled + Control::TYPE, &kind.to_ne_bytes());
        put(&mut self.0, filled + CONTROL_HEADER, &c_int::from(ttl).to_ne_bytes());
        filled + HOPS
    }
}

fn put(buffer: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(slot) = buffer.get_mut(at..at + octets.len()) {
        slot.copy_from_slice(octets);
    }
}

const NO_VECTOR: iovec = iovec { iov_base: ptr::null_mut(), iov_len: 0 };
/// All zero, which means "none" for every field.
// SAFETY: a mmsghdr is made of integers and raw pointers, for which zero is a valid value.
const NO_HEADER: mmsghdr = unsafe { std::mem::zeroed::<mmsghdr>() };

/// Lengths here are sizes of small structures.
fn length(octets: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(octets).unwrap_or_default()
}

fn count(slots: usize) -> c_uint {
    c_uint::try_from(slots).unwrap_or(c_uint::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn pair(bind: &str) -> (UdpSocket, UdpSocket) {
        let server = UdpSocket::bind(bind).unwrap();
        let client = UdpSocket::bind((server.local_addr().unwrap().ip(), 0)).unwrap();
        for socket in [&server, &client] {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        (server, client)
    }

    #[test]
    fn what_was_sent_comes_back_to_its_sender() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let (server, client) = pair(bind);
            let (mut inbox, mut outbox) = (Inbox::new(8, 100), Outbox::new(4, 100));
            for octet in 1..=6u8 {
                client.send_to(&vec![octet; usize::from(octet) * 20], server.local_addr().unwrap()).unwrap();
            }
            let mut seen = Vec::new();
            while seen.len() < 6 {
                for slot in 0..inbox.receive(&server).unwrap() {
                    let (octets, to) = inbox.get(slot).unwrap();
                    assert_eq!(to, Return { peer: client.local_addr().unwrap(), asked: None });
                    seen.push(octets.to_vec());
                    let Some(space) = outbox.space() else { continue };
                    space[..octets.len()].copy_from_slice(octets);
                    outbox.commit(octets.len(), &to);
                }
            }
            // The last one was longer than a slot and is truncated; there was no room to answer the fifth.
            assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [20, 40, 60, 80, 100, 100]);
            assert_eq!(outbox.len(), 4);
            assert_eq!(outbox.send(&server), 0);
            assert!(outbox.is_empty());
            let mut back = [0; 200];
            for octet in 1..=4u8 {
                let len = client.recv(&mut back).unwrap();
                assert_eq!(back[..len], vec![octet; usize::from(octet) * 20]);
            }
        }
    }

    #[test]
    fn a_datagram_that_cannot_be_sent_takes_no_other_with_it() {
        let (server, client) = pair("127.0.0.1:0");
        let good = Return { peer: client.local_addr().unwrap(), asked: None };
        // A socket of one family cannot send to the other.
        let bad = Return { peer: "[2001:db8::1]:53".parse().unwrap(), asked: None };
        let mut outbox = Outbox::new(4, 10);
        for (octet, to) in [(1, bad), (2, good), (3, bad), (4, good)] {
            outbox.space().unwrap()[0] = octet;
            outbox.commit(1, &to);
        }
        assert_eq!(outbox.send(&server), 2);
        let mut back = [0; 10];
        for octet in [2, 4] {
            assert_eq!(client.recv(&mut back).unwrap(), 1);
            assert_eq!(back[0], octet);
        }
    }

    #[test]
    fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
        let (server, client) = pair("0.0.0.0:0");
        tell_destination(&server).unwrap();
        let port = server.local_addr().unwrap().port();
        let mut inbox = Inbox::new(2, 100);
        for address in ["127.0.0.1", "127.0.0.7"] {
            let asked: IpAddr = address.parse().unwrap();
            client.send_to(b"?", (asked, port)).unwrap();
            assert_eq!(inbox.receive(&server).unwrap(), 1);
            let (_, to) = inbox.get(0).unwrap();
            assert_eq!(to.asked, Some(asked));
            send_one(&server, b"!", &to, Some(7)).unwrap();
            let (_, from) = client.recv_from(&mut [0; 10]).unwrap();
            assert_eq!(from, SocketAddr::new(asked, port));
        }
    }
}
