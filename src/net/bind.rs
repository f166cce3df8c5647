//! Binds addresses, with errors that give a remedy.

use std::fmt;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// The backlog: connections that the kernel has accepted and this program has not.
const BACKLOG: i32 = 1024;

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// UDP or TCP.
    pub transport: &'static str,
    /// The kernel's reason.
    pub reason: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, transport, reason } = self;
        write!(f, "cannot listen on {address} ({transport}): {reason}")?;
        match reason.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "; another program uses it: stop it, or listen on another port (port 0 picks a free one)",
            ),
            io::ErrorKind::PermissionDenied => {
                f.write_str("; ports below 1024 need a privilege: use a higher one")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str("; no interface of this machine has the address"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

/// How a UDP socket holds its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Several may share the address, if each is opened this way.
    pub shared: bool,
    /// It takes packets for any address that is routed here, and sends from any.
    pub transparent: bool,
}

/// A UDP socket on `address`.
///
/// # Errors
/// The kernel's, most often that the address is in use.
pub fn udp(address: SocketAddr, hold: Hold) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
    if hold.shared {
        socket.set_reuse_port(true)?;
    }
    if hold.transparent {
        take_any(&socket, address)?;
    }
    // A burst waits in the kernel rather than being lost; the kernel may grant less.
    let _ = socket.set_recv_buffer_size(4 << 20);
    let _ = socket.set_send_buffer_size(4 << 20);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Allows other sockets that are opened as shared to bind this socket's address too. Until then no other socket can
/// bind it, shared or not.
///
/// # Errors
/// The kernel's.
pub fn share(socket: &UdpSocket) -> io::Result<()> {
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))))]
    socket2::SockRef::from(socket).set_reuse_port(true)?;
    Ok(())
}

/// A TCP listener on `address`; a transparent one takes connections to any address that is routed here. Must
/// run within a runtime.
///
/// # Errors
/// The kernel's, most often that the address is in use.
pub fn tcp(address: SocketAddr, transparent: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if transparent {
        take_any(&socket, address)?;
    }
    // A restart must not wait until the kernel forgets the connections of the last run (TIME_WAIT).
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Lets a socket, before it is bound, receive packets for any address and send from any.
///
/// # Errors
/// The kernel's, most often that a privilege is missing.
#[cfg(target_os = "linux")]
fn take_any(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let done = match address {
        SocketAddr::V4(_) => socket.set_ip_transparent_v4(true),
        SocketAddr::V6(_) => socket.set_ip_transparent_v6(true),
    };
    done.map_err(|reason| {
        let text = format!("answering for other addresses (IP_TRANSPARENT) needs CAP_NET_ADMIN: {reason}");
        io::Error::other(text)
    })
}

/// Other systems do not support this.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
fn take_any(_: &Socket, _: SocketAddr) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "answering for other addresses needs Linux"))
}
