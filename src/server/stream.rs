//! TCP of a scenario: our own framing and connections (RFC 1035 §4.2.2, RFC 7766).
//!
//! hickory-server takes replies as records, so that a broken reply, or a reset in the place of one, can't
//! pass through it. Here the octets go out as they were planned.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, Semaphore, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::delay::Delayer;
use super::passage::Passage;
use super::play::{Teller, censored, passed};
use crate::censor::End;
use crate::censor::plan::Shot;
use crate::dns::reply::Transport;
use crate::observe::counters::Counters;
use crate::observe::event::Event;
use crate::resolver::censored::Play;
use crate::resolver::live::Engine;
use crate::resolver::moment::{Clock, Moment};
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::Client;

/// A connection on which nothing happens for this long is closed (RFC 7766 §6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// The longest message that a stream carries, in octets.
const MAX_MESSAGE: usize = 65_535;
/// Connections at once; more wait to be accepted.
const CONNECTIONS: usize = 1024;
/// Queries of one connection that are answered at once; the next is read when one is done.
const QUERIES: usize = 64;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    pub(super) delayer: Arc<Delayer>,
    /// The way on to whoever was asked, for a censor that stands on it.
    pub(super) passage: Option<Arc<Passage>>,
}

/// The TCP side of a scenario.
pub(super) struct Streams {
    phase: watch::Sender<Phase>,
    listeners: JoinSet<()>,
}

/// How far the server has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// It serves.
    Serves,
    /// It takes nothing more, and answers what it has taken.
    Drains,
    /// It ends.
    Ends,
}

impl Streams {
    /// Serves these listeners. Must run within a runtime.
    pub(super) fn start(listeners: Vec<TcpListener>, shared: &Shared) -> Self {
        let (phase, at) = watch::channel(Phase::Serves);
        let mut tasks = JoinSet::new();
        for (listener, number) in listeners.into_iter().zip(0u16..) {
            tasks.spawn(accept(listener, number, shared.clone(), at.clone()));
        }
        Self { phase, listeners: tasks }
    }

    /// Takes no more connections and queries.
    pub(super) fn close(&self) {
        let _ = self.phase.send(Phase::Drains);
    }

    /// Waits until all queries are answered; of use after [`Streams::close`].
    pub(super) async fn drained(&mut self) {
        while self.listeners.join_next().await.is_some() {}
    }

    /// Ends all connections.
    pub(super) async fn stop(mut self) {
        let _ = self.phase.send(Phase::Ends);
        self.drained().await;
    }
}

async fn accept(listener: TcpListener, number: u16, shared: Shared, mut phase: watch::Receiver<Phase>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let place = Arc::clone(&places).acquire_owned();
        let accepted = async {
            let place = place.await;
            (listener.accept().await, place)
        };
        tokio::select! {
            _ = phase.changed() => break,
            accepted = accepted => {
                let (Ok((stream, peer)), Ok(place)) = accepted else {
                    // Out of descriptors, most likely; one will be given back.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                let (shared, phase) = (shared.clone(), phase.clone());
                connections.spawn(async move {
                    serve(stream, peer, number, shared, phase).await;
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection, until the client or the censor ends it, or nothing happens on it.
async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    listener: u16,
    shared: Shared,
    mut phase: watch::Receiver<Phase>,
) {
    let Ok(server) = stream.local_addr() else { return };
    // Small replies must not wait for one another.
    let _ = stream.set_nodelay(true);
    let (mut reader, writer) = stream.into_split();
    let (end, mut ended) = watch::channel(End::Open);
    let connection =
        Arc::new(Connection { writer: Mutex::new(Some(writer)), end, peer, server, listener, shared });
    let mut answering = JoinSet::new();
    loop {
        let packet = tokio::select! {
            // What came behind the question that ended the connection is not answered.
            biased;
            _ = ended.changed() => break,
            _ = phase.wait_for(|phase| *phase != Phase::Serves) => break,
            packet = timeout(IDLE, read(&mut reader)) => packet,
        };
        let Ok(Ok(packet)) = packet else { break };
        while answering.len() >= QUERIES && answering.join_next().await.is_some() {}
        while answering.try_join_next().is_some() {}
        let connection = Arc::clone(&connection);
        answering.spawn(async move { connection.answer(packet).await });
    }
    // Who has sent all questions and closed its side still gets its answers (RFC 7766 §6.2.4).
    while *ended.borrow() == End::Open {
        tokio::select! {
            done = answering.join_next() => if done.is_none() { break },
            _ = ended.changed() => break,
            _ = phase.wait_for(|phase| *phase == Phase::Ends) => break,
        }
    }
    answering.abort_all();
    while answering.join_next().await.is_some() {}
    if *connection.end.borrow() != End::Reset {
        // The kernel ends by RST a connection of which something was not read.
        let mut rest = [0; 4096];
        let mut more = || reader.try_read(&mut rest).is_ok_and(|len| len > 0);
        for _ in 0..256 {
            if !more() {
                break;
            }
        }
    }
}

/// One message behind its length.
async fn read(reader: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let len = reader.read_u16().await?;
    let mut packet = vec![0; usize::from(len)];
    reader.read_exact(&mut packet).await?;
    Ok(packet)
}

struct Connection {
    /// `None` once it has ended.
    writer: Mutex<Option<OwnedWriteHalf>>,
    end: watch::Sender<End>,
    peer: SocketAddr,
    server: SocketAddr,
    listener: u16,
    shared: Shared,
}

impl Connection {
    async fn answer(&self, packet: Vec<u8>) {
        if *self.end.borrow() != End::Open {
            return;
        }
        let Shared { engine, clock, counters, .. } = &self.shared;
        let received = clock();
        let snapshot = Arc::clone(&engine.snapshot_at(received.unix));
        let mut event = Event::new(self.peer, Transport::Tcp);
        let mut out = vec![0u8; MAX_MESSAGE];
        let outcome = resolve(engine, &snapshot, &packet, self.client(), received, &mut out, &mut event);
        if let Outcome::Play(play) = outcome {
            // It may play for a minute.
            drop(out);
            return self.play(*play, &packet, received).await;
        }
        let reply = self.finish(outcome, out, &mut event).await;
        self.write(&reply).await;
        event.took = clock().at.saturating_duration_since(received.at);
        engine.observe(&mut &**counters, &snapshot, &event, &packet);
    }

    fn client(&self) -> Client {
        Client { address: self.peer, transport: Transport::Tcp, listener: self.listener }
    }

    /// Plays what was planned for one query.
    async fn play(&self, play: Play, packet: &[u8], received: Moment) {
        let Play { plan, behind, exchange } = play;
        let Shared { engine, clock, counters, passage, .. } = &self.shared;
        if passage.as_ref().is_some_and(|p| p.is_own(self.peer)) {
            return;
        }
        let passage = passage.as_ref().filter(|_| Passage::leads_on(self.server));
        let teller = exchange.map(|(mut exchange, observer)| {
            exchange.server = self.server;
            Teller::new(exchange, observer, *clock, received.at, &plan)
        });
        let going = Going { received: received.at, query: packet.len(), teller: teller.as_ref() };
        let censored = censored(&plan, self.client());
        let forged = async {
            for shot in plan.forged {
                self.send(shot, false, going).await;
            }
        };
        let genuine = async {
            let mut event = Event::new(self.peer, Transport::Tcp);
            if let Some(after) = plan.genuine {
                let octets = if let Some(passage) = passage {
                    let reply = passage.over_tcp(self.server, packet).await;
                    event = passed(reply.as_deref(), self.client(), received, *clock);
                    reply.unwrap_or_default()
                } else {
                    let mut out = vec![0u8; MAX_MESSAGE];
                    let client = self.client();
                    let outcome = resolve(engine, &behind, packet, client, received, &mut out, &mut event);
                    self.finish(outcome, out, &mut event).await
                };
                self.send(Shot { after, octets, ip_ttl: None }, true, going).await;
            }
            event
        };
        // The one that is named first goes first where both are due.
        let ((), event) = tokio::join!(biased; forged, genuine);
        if plan.end != End::Open {
            self.end(plan.end).await;
        }
        let mut event = censored.unwrap_or(event);
        event.took = clock().at.saturating_duration_since(received.at);
        engine.observe(&mut &**counters, &behind, &event, packet);
    }

    async fn send(&self, shot: Shot, genuine: bool, going: Going<'_>) {
        let Going { received, query, teller } = going;
        if shot.octets.is_empty() {
            teller.inspect(|teller| teller.silent());
            return;
        }
        if !shot.after.is_zero() {
            let (sender, time) = oneshot::channel();
            // The query waits too, and a second time in its exchange.
            let octets = shot.octets.len() + 2 * query;
            self.shared.delayer.at(received + shot.after, octets, move || {
                // The connection may have ended meanwhile.
                let _ = sender.send(());
            });
            if time.await.is_err() {
                return;
            }
        }
        if self.write(&shot.octets).await
            && let Some(teller) = teller
        {
            teller.sent(shot, genuine);
        }
    }

    /// The octets that came of an outcome, if need be after waiting for an upstream; none: silence.
    async fn finish(&self, outcome: Outcome, mut out: Vec<u8>, event: &mut Event) -> Vec<u8> {
        // Many may wait, for an upstream or for their time, and none with more room than it needs.
        let clock = self.shared.clock;
        let len = match outcome {
            Outcome::Reply(len) => len,
            Outcome::ReplyAndRefresh(len, pending) => {
                pending.refresh(clock);
                len
            }
            Outcome::Later(pending) => {
                drop(out);
                let (sender, receiver) = oneshot::channel();
                pending.begin(clock, move |pending, answered| {
                    let mut out = vec![0u8; MAX_MESSAGE];
                    let (len, event) = pending.write(answered, &mut out);
                    out.truncate(len);
                    out.shrink_to_fit();
                    // The connection may have ended meanwhile.
                    let _ = sender.send((out, event));
                });
                let Ok((out, told)) = receiver.await else { return Vec::new() };
                *event = told;
                return out;
            }
            // Behind the censor there is no other.
            Outcome::Drop | Outcome::Play(_) => 0,
        };
        out.truncate(len);
        out.shrink_to_fit();
        out
    }

    /// One message behind its length, nothing for an empty one; says whether it left.
    async fn write(&self, octets: &[u8]) -> bool {
        let Some(len) = u16::try_from(octets.len()).ok().filter(|len| *len > 0) else { return false };
        let framed = [&len.to_be_bytes(), octets].concat();
        let mut place = self.writer.lock().await;
        let Some(writer) = &mut *place else { return false };
        // A client that does not read what it asked for is not waited for for ever.
        let left = matches!(timeout(IDLE, writer.write_all(&framed)).await, Ok(Ok(())));
        if !left {
            // Half a message may have left: nothing goes behind it.
            *place = None;
            let _ = self.end.send(End::Close);
        }
        left
    }

    /// Ends the connection the way the censor does.
    async fn end(&self, end: End) {
        if let Some(writer) = self.writer.lock().await.take()
            && end == End::Reset
        {
            let stream: &TcpStream = writer.as_ref();
            // What lingers for no time at all is ended by RST (tcp(7), SO_LINGER).
            if let Err(reason) = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)) {
                tracing::debug!(%reason, "the connection can't be reset and is closed");
            }
            // Dropped, it would send FIN ahead of RST.
            writer.forget();
        }
        let _ = self.end.send(end);
    }
}

/// What all packets of one query have in common.
#[derive(Clone, Copy)]
struct Going<'t> {
    received: Instant,
    /// The octets of the query.
    query: usize,
    teller: Option<&'t Teller>,
}
