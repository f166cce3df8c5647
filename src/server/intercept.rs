//! A hook before the resolver: an interceptor may take over a query and answer it itself.

use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;

use super::reply::Reply;
use super::udp::{Return, send_marked};
use crate::resolver::moment::Moment;
use crate::resolver::snapshot::Client;

/// Sees every query before the resolver, on every transport.
pub trait Interceptor: Send + Sync {
    /// Takes over a packet that arrived at `at`; replies to it go out by `path`, now or later. Must not
    /// block. Called within a runtime.
    ///
    /// # Errors
    /// The path back: the packet is for the resolver.
    fn intercept(&self, packet: &[u8], client: Client, at: Moment, path: ReplyPath) -> Result<(), ReplyPath>;

    /// How many packets are still to be sent or waited for.
    fn under_way(&self) -> usize;

    /// Cancels everything in progress.
    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The way back to the client for all replies to one query.
pub enum ReplyPath {
    /// Datagrams.
    Datagram {
        /// The socket that the query came to, from which all replies leave.
        socket: Arc<UdpSocket>,
        /// The client.
        to: Return,
    },
    /// Messages on a connection.
    Stream(Reply),
}

impl ReplyPath {
    /// The address and port that the query was sent to.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        match self {
            Self::Datagram { socket, to } => {
                let mut server = socket.local_addr().ok()?;
                to.asked.inspect(|asked| server.set_ip(*asked));
                Some(server)
            }
            Self::Stream(reply) => reply.server(),
        }
    }

    /// Sends a message from any thread, a datagram in an IP packet with this time to live where the system can
    /// (Linux); `None` leaves it to the system. `left` gets the message back once it is sent; if it can no
    /// longer be sent, `left` is dropped.
    pub fn send(&self, message: Vec<u8>, ip_ttl: Option<u8>, left: impl FnOnce(Vec<u8>) + Send + 'static) {
        match self {
            Self::Datagram { socket, to } => {
                // A datagram that the kernel rejects is lost, as any may be.
                let _ = send_marked(socket, &message, to, ip_ttl);
                left(message);
            }
            Self::Stream(reply) => reply.send_then(message, left),
        }
    }

    /// Closes the connection, if there is one, after all pending messages are sent.
    pub fn close(&self) {
        if let Self::Stream(reply) = self {
            reply.close();
        }
    }

    /// Resets the connection, if there is one, after all pending messages are sent.
    pub fn reset(&self) {
        if let Self::Stream(reply) = self {
            reply.reset();
        }
    }
}
