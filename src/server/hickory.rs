//! TCP through hickory-server: its framing and connections, our bytes.
//!
//! hickory hands over the request's octets and takes replies only as records, so the reply that
//! `resolve` wrote is decoded once more and its parts handed over. A query that hickory can't
//! decode is answered inside it with FORMERR and never gets here.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::net::runtime::Time;
use hickory_server::proto::op::{
    Header, HeaderCounts, Message as Decoded, MessageType, Metadata, OpCode, ResponseCode,
};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server};
use hickory_server::zone_handler::MessageResponseBuilder;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::dns::reply::Transport;
use crate::observe::counters::Counters;
use crate::observe::event::Event;
use crate::resolver::live::Engine;
use crate::resolver::moment::Clock;
use crate::resolver::outcome::Outcome;
use crate::resolver::pending::Pending;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::Client;

/// A connection on which nothing happens for this long is closed (RFC 7766 §6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// The longest message that a stream carries, in octets (RFC 1035 §4.2.2).
const MAX_MESSAGE: usize = 65_535;
/// Replies that wait in one connection for a slow reader.
const REPLY_BUFFER: usize = 64;

/// The TCP side of the server.
pub struct Tcp {
    /// One for each listener, because a request does not tell which one it came to.
    servers: Vec<Server<Handler>>,
}

impl Tcp {
    /// Serves these listeners.
    #[must_use]
    pub fn start(listeners: Vec<TcpListener>, engine: &Arc<Engine>, clock: Clock) -> Self {
        let counters = engine.counters.shared();
        let serve = |(listener, number)| {
            let (engine, counters) = (Arc::clone(engine), Arc::clone(&counters));
            let mut server = Server::new(Handler { engine, counters, listener: number, clock });
            server.register_listener(listener, IDLE, REPLY_BUFFER);
            server
        };
        Self { servers: listeners.into_iter().zip(0u16..).map(serve).collect() }
    }

    /// Stops listening and waits for the connections' tasks to end.
    ///
    /// # Errors
    /// A listener's own error, as text.
    pub async fn stop(self) -> Result<(), String> {
        for mut server in self.servers {
            server.shutdown_gracefully().await.map_err(|e| e.to_string())?;
        }
        Ok(())
    }
}

/// A listener on `address`; a transparent one takes connections to any address that is routed here.
///
/// # Errors
/// The kernel's, most often that the address is in use.
pub fn bind(address: SocketAddr, transparent: bool) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if transparent {
        super::passage::take_any(&socket, address)?;
    }
    // A restart must not wait for the connections of the last run to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

#[derive(Clone)]
struct Handler {
    engine: Arc<Engine>,
    counters: Arc<Counters>,
    listener: u16,
    clock: Clock,
}

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let info = ResponseInfo::from(Header {
            metadata: Metadata::new(request.metadata.id, MessageType::Response, OpCode::Query),
            counts: HeaderCounts::default(),
        });
        self.answer(request, response).await;
        info
    }
}

impl Handler {
    /// Answers what needs no waiting at once, so that a client that sends faster than it reads holds
    /// up nobody but itself. hickory awaits each query of a connection in turn; what must wait for an
    /// upstream gets a task of its own, so that later answers overtake it (RFC 7766 §6.2.1.1).
    async fn answer<R: ResponseHandler>(&self, request: &Request, response: R) {
        let received = (self.clock)();
        let packet = request.as_slice();
        let client = Client { address: request.src(), transport: Transport::Tcp, listener: self.listener };
        let mut event = Event::new(request.src(), Transport::Tcp);
        let snapshot = Arc::clone(&self.engine.snapshot_at(received.unix));
        let mut out = vec![0u8; MAX_MESSAGE];
        match resolve(&self.engine, &snapshot, packet, client, received, &mut out, &mut event) {
            Outcome::Reply(len) => send(out.get(..len), request, response).await,
            Outcome::ReplyAndRefresh(len, pending) => {
                pending.refresh(self.clock);
                send(out.get(..len), request, response).await;
            }
            // A scenario has a TCP of its own.
            Outcome::Drop | Outcome::Play(_) => {}
            Outcome::Later(pending) => {
                let handler = self.clone();
                // The request is borrowed, so the task reads its own from the packet.
                let owned = Request::from_bytes(packet.to_vec(), request.src(), request.protocol());
                if let Ok(request) = owned {
                    tokio::spawn(async move { handler.finish(pending, &request, response).await });
                }
                return;
            }
        }
        event.took = (self.clock)().at.saturating_duration_since(received.at);
        self.engine.observe(&mut &*self.counters, &snapshot, &event, packet);
    }

    async fn finish<R: ResponseHandler>(&self, pending: Box<Pending>, request: &Request, response: R) {
        let (sender, receiver) = oneshot::channel();
        let snapshot = Arc::clone(pending.snapshot());
        pending.begin(self.clock, move |pending, answered| {
            let mut out = vec![0u8; MAX_MESSAGE];
            let (len, event) = pending.write(answered, &mut out);
            out.truncate(len);
            // The task that receives it has ended only if the runtime is going down.
            let _ = sender.send((out, event));
        });
        let Ok((out, event)) = receiver.await else { return };
        send(Some(&out), request, response).await;
        self.engine.observe(&mut &*self.counters, &snapshot, &event, request.as_slice());
    }
}

async fn send<R: ResponseHandler>(reply: Option<&[u8]>, request: &Request, mut response: R) {
    let mut builder = MessageResponseBuilder::from_message_request(request);
    let Some(Ok(message)) = reply.map(Decoded::from_vec) else {
        // Something of an upstream's that hickory knows better than we do.
        tracing::warn!("a reply could not be decoded for TCP; the client got SERVFAIL");
        let _ = response.send_response(builder.error_msg(&request.metadata, ResponseCode::ServFail)).await;
        return;
    };
    if let Some(edns) = &message.edns {
        builder.edns(edns);
    }
    let (answers, authorities) = (message.answers.iter(), message.authorities.iter());
    let parts = builder.build(message.metadata, answers, authorities, [], message.additionals.iter());
    // A client that has hung up needs no reply.
    let _ = response.send_response(parts).await;
}
