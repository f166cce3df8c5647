//! Queries one server over persistent connections: many queries share one, and replies may arrive in any
//! order (RFC 7766 §6.2.1.1).
//!
//! Normally there is one connection, opened for the first query and closed after it has been idle. Queries
//! without a reply on a closed connection are retried on another (RFC 7766 §6.2.4) until their time limit.
//! After a server closed a connection, each new connection carries no more queries at once than the server
//! answered on the closed one, and several connections are used in parallel; the limit grows again as soon
//! as a connection lasts longer. So a server that answers one query per connection gets one at a time on
//! each, and a query that makes the server close the connection affects no others.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Interval, MissedTickBehavior};

use super::Question;
use super::flights::{Flight, Flights, Missed, OnReply, lock, random_ids, with_question};

/// Most connections to one server at a time.
const MAX_CONNECTIONS: usize = 8;
/// Most queries in flight on one connection.
const MAX_IN_FLIGHT: usize = 1024;
/// Most queries that wait for a connection.
const MAX_WAITING: usize = 4096;
/// A connection without a query is closed after this time (RFC 7766 §6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// A query fails after this many connections were closed without any reply.
const MAX_CLOSED: u8 = 2;
/// Free octets in the buffer before each read; the buffer grows with the input.
const READ: usize = 4096;
/// A buffer larger than this is not kept for the next message.
const KEEP: usize = 16 * 1024;

/// How a connection to a server is made.
pub(super) trait Connect: Send + Sync + 'static {
    /// The type of a connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens a connection. It may take any time; callers have their own time limits.
    fn connect(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Plain TCP to an address.
pub(super) struct Tcp(pub(super) SocketAddr);

impl Connect for Tcp {
    type Stream = TcpStream;

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The connections to one server. When dropped, it closes them as soon as their queries are finished.
pub(super) struct Streams<C: Connect> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    connect: C,
    tick: Duration,
    state: Mutex<State>,
}

struct State {
    connections: Vec<Connection>,
    /// The number of the next connection.
    next: u64,
    /// Queries that no connection has taken yet, the oldest first.
    waiting: VecDeque<Waiting>,
    /// How many queries one connection takes at once.
    depth: usize,
    /// Random ids for the next queries.
    ids: Vec<u16>,
    /// No more queries will be sent.
    ending: bool,
}

/// A query that waits for a connection.
struct Waiting {
    flight: Flight,
    /// How many connections were closed under it without any reply.
    closed: u8,
}

/// A query in flight on a connection.
struct Sent {
    closed: u8,
    /// The connection's number of replies when it was sent.
    before: usize,
}

struct Connection {
    number: u64,
    flights: Flights<Sent>,
    /// What its task still has to write.
    output: Vec<u8>,
    /// Wakes its task when there is something to write.
    wake: Arc<Notify>,
    /// Replies received on it.
    answered: usize,
    idle_since: Option<Instant>,
    /// It takes no more queries.
    retired: bool,
}

impl<C: Connect> Streams<C> {
    /// No connection is opened before the first query. An expired query is noticed at most `tick` after its
    /// deadline.
    #[must_use]
    pub(super) fn new(connect: C, tick: Duration) -> Self {
        let state = State {
            connections: Vec::new(),
            next: 0,
            waiting: VecDeque::new(),
            depth: MAX_IN_FLIGHT,
            ids: Vec::new(),
            ending: false,
        };
        Self { shared: Arc::new(Shared { connect, tick, state: Mutex::new(state) }) }
    }

    /// Sends a query, with or without EDNS, and returns; `done` is called with the reply or, after about
    /// `wait`, with the failure. Must run within a runtime.
    pub(super) fn ask(
        &self,
        question: &Question,
        edns: bool,
        now: Instant,
        wait: Duration,
        mut done: OnReply,
    ) {
        let mut state = lock(&self.shared.state);
        if state.waiting.len() >= MAX_WAITING {
            drop(state);
            return done(Err(Missed::Local(io::Error::other(
                "too many queries are waiting for a connection",
            ))));
        }
        let flight = Flight {
            packet: Box::new(question.packet(edns)),
            slow: None,
            deadline: now + wait,
            exact: false,
            on_reply: done,
        };
        state.waiting.push_back(Waiting { flight, closed: 0 });
        let failed = self.shared.place(&mut state);
        drop(state);
        notify(failed);
    }
}

impl<C: Connect> Drop for Streams<C> {
    fn drop(&mut self) {
        lock(&self.shared.state).ending = true;
    }
}

/// Failed queries, and the reasons. Their callbacks run when no lock is held, because they may send the
/// next query at once.
type Failed = Vec<(Flight, Missed)>;

fn notify(failed: Failed) {
    for (mut flight, missed) in failed {
        (flight.on_reply)(Err(missed));
    }
}

impl State {
    fn connection(&mut self, number: u64) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|c| c.number == number)
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let at = self.connections.iter().position(|c| c.number == number)?;
        Some(self.connections.remove(at))
    }

    /// A random id that is not in use on this connection.
    fn id(&mut self, at: usize) -> io::Result<u16> {
        loop {
            if self.ids.is_empty() {
                self.ids = random_ids()?;
            }
            let free = |id: &u16| self.connections.get(at).is_some_and(|c| !c.flights.has(*id));
            if let Some(id) = self.ids.pop().filter(free) {
                return Ok(id);
            }
        }
    }
}

impl<C: Connect> Shared<C> {
    /// Assigns waiting queries to connections that have room, the first connection first, and opens new
    /// ones if none has.
    fn place(self: &Arc<Self>, state: &mut State) -> Failed {
        let mut failed = Vec::new();
        while !state.waiting.is_empty() {
            let depth = state.depth;
            let with_room = |c: &Connection| !c.retired && c.flights.len() < depth;
            let at = match state.connections.iter().position(with_room) {
                Some(at) => at,
                None if state.connections.len() < MAX_CONNECTIONS => {
                    self.open(state);
                    state.connections.len() - 1
                }
                None => break,
            };
            let id = state.id(at);
            let Some(Waiting { mut flight, closed }) = state.waiting.pop_front() else { break };
            let (id, connection) = match (id, state.connections.get_mut(at)) {
                (Ok(id), Some(connection)) => (id, connection),
                (Err(error), _) => {
                    failed.push((flight, Missed::Local(error)));
                    continue;
                }
                (Ok(_), None) => break,
            };
            flight.packet.set_id(id);
            let message = flight.packet.octets();
            // A query is far shorter than the 65,535 octets that the prefix can express.
            let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
            connection.output.extend_from_slice(&len.to_be_bytes());
            connection.output.extend_from_slice(message);
            connection.flights.insert(id, flight, Sent { closed, before: connection.answered });
            connection.idle_since = None;
            connection.wake.notify_one();
        }
        failed
    }

    fn open(self: &Arc<Self>, state: &mut State) {
        let (number, wake) = (state.next, Arc::new(Notify::new()));
        state.next += 1;
        state.connections.push(Connection {
            number,
            flights: Flights::new(),
            output: Vec::new(),
            wake: Arc::clone(&wake),
            answered: 0,
            idle_since: None,
            retired: false,
        });
        tokio::spawn(run(Arc::clone(self), number, wake));
    }

    /// Passes a message to the query that it answers; ignores one that answers none.
    fn deliver(self: &Arc<Self>, number: u64, reply: &[u8]) {
        let mut state = lock(&self.state);
        let Some(connection) = state.connection(number) else { return };
        let Some((mut flight, header)) = connection.flights.answered_by(reply) else { return };
        connection.answered += 1;
        // The connection lasts longer than assumed.
        if connection.answered > state.depth {
            state.depth = (state.depth * 2).min(MAX_IN_FLIGHT);
        }
        let failed = self.place(&mut state);
        drop(state);
        let checked = with_question(&flight, header, reply);
        (flight.on_reply)(checked);
        notify(failed);
    }

    /// Fails the queries that are overdue at `now`. False if the connection is to be closed.
    fn expire(self: &Arc<Self>, number: u64, now: Instant) -> bool {
        let mut state = lock(&self.state);
        let mut failed = Vec::new();
        state.waiting = std::mem::take(&mut state.waiting)
            .into_iter()
            .filter_map(|waiting| {
                if waiting.flight.deadline > now {
                    return Some(waiting);
                }
                failed.push((waiting.flight, Missed::Silence));
                None
            })
            .collect();
        let ending = state.ending;
        let mut stays = false;
        if let Some(connection) = state.connection(number) {
            while let Some((late, sent)) = connection.flights.overdue(now) {
                failed.push((late, Missed::Silence));
                // Nothing was received since the query was sent: the connection may be dead.
                connection.retired |= sent.before == connection.answered;
            }
            if connection.flights.is_empty() {
                let since = *connection.idle_since.get_or_insert(now);
                let idle = now.saturating_duration_since(since) >= IDLE;
                stays = !(idle || ending || connection.retired);
            } else {
                stays = true;
            }
        }
        if !stays {
            state.remove(number);
            failed.extend(self.place(&mut state));
        }
        drop(state);
        notify(failed);
        stays
    }

    /// Handles a connection that is closed or could not be opened. Its queries are retried, unless that is
    /// pointless.
    fn closed(self: &Arc<Self>, number: u64, made: bool, error: &io::Error) {
        let mut state = lock(&self.state);
        let Some(mut gone) = state.remove(number) else { return };
        let left = gone.flights.take_all();
        // While another connection works, a failure to open this one says nothing about the server.
        let alone = !made && !state.connections.iter().any(|c| c.answered > 0);
        if made && !left.is_empty() {
            state.depth = gone.answered.clamp(1, state.depth);
        }
        let mut failed = Vec::new();
        for (flight, sent) in left.into_iter().rev() {
            let closed = sent.closed + u8::from(gone.answered == 0);
            if alone || closed >= MAX_CLOSED {
                failed.push((flight, Missed::again(error)));
            } else {
                state.waiting.push_front(Waiting { flight, closed });
            }
        }
        if alone {
            let waiting = std::mem::take(&mut state.waiting);
            failed.extend(waiting.into_iter().map(|w| (w.flight, Missed::again(error))));
        }
        failed.extend(self.place(&mut state));
        drop(state);
        notify(failed);
    }

    /// The connection takes no more queries; replies may still arrive.
    fn retire(&self, number: u64) {
        if let Some(connection) = lock(&self.state).connection(number) {
            connection.retired = true;
        }
    }

    /// What the connection's task has to write.
    fn take_output(&self, number: u64) -> Vec<u8> {
        lock(&self.state).connection(number).map(|c| std::mem::take(&mut c.output)).unwrap_or_default()
    }
}

/// Runs one connection from beginning to end.
async fn run<C: Connect>(shared: Arc<Shared<C>>, number: u64, wake: Arc<Notify>) {
    let mut ticks = tokio::time::interval(shared.tick);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let connected = {
        let mut connecting = std::pin::pin!(shared.connect.connect());
        loop {
            tokio::select! {
                connected = &mut connecting => break connected,
                now = ticks.tick() => {
                    if !shared.expire(number, now.into_std()) {
                        return;
                    }
                }
            }
        }
    };
    let made = connected.is_ok();
    let end = match connected {
        Ok(stream) => converse(&shared, number, &wake, stream, &mut ticks).await,
        Err(error) => Err(error),
    };
    if let Err(error) = end {
        shared.closed(number, made, &error);
    }
}

/// Writes queries and reads replies until this side closes the connection.
///
/// # Errors
/// The server closed the connection, or it failed.
async fn converse<C: Connect>(
    shared: &Arc<Shared<C>>,
    number: u64,
    wake: &Notify,
    stream: C::Stream,
    ticks: &mut Interval,
) -> io::Result<()> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let (mut input, mut output) = (BytesMut::new(), io::Cursor::new(Vec::new()));
    // Written octets may still be in a buffer of the stream itself.
    let mut unflushed = false;
    // The server accepts no more queries, but earlier replies may not have been read yet.
    let mut write_closed = false;
    loop {
        if !output.has_remaining() && !write_closed {
            output = io::Cursor::new(shared.take_output(number));
        }
        if input.is_empty() && input.capacity() > KEEP {
            input = BytesMut::new();
        }
        // Twice as much as received, so that a length that is announced but never sent takes no memory.
        input.reserve(READ.max(input.len()));
        let writing = output.has_remaining();
        tokio::select! {
            read = reader.read_buf(&mut input) => {
                if read? == 0 {
                    let text = "the server closed the connection without a reply";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                while let Some(message) = split_message(&mut input) {
                    shared.deliver(number, &message);
                }
            }
            moved = async {
                if writing { writer.write_buf(&mut output).await.map(drop) } else { writer.flush().await }
            }, if writing || unflushed => {
                write_closed = moved.is_err();
                unflushed = writing;
            }
            () = wake.notified(), if !writing => {}
            now = ticks.tick() => {
                if !shared.expire(number, now.into_std()) {
                    return Ok(());
                }
            }
        }
        if write_closed {
            output = io::Cursor::new(Vec::new());
            unflushed = false;
            shared.retire(number);
        }
    }
}

/// Splits off the first complete message of the input, without its length prefix (RFC 1035 §4.2.2).
fn split_message(input: &mut BytesMut) -> Option<BytesMut> {
    let len = usize::from(u16::from_be_bytes(*input.first_chunk()?));
    if input.len() < 2 + len {
        return None;
    }
    input.advance(2);
    Some(input.split_to(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_where_their_lengths_say() {
        let mut input = BytesMut::new();
        let mut whole = Vec::new();
        for octet in b"\0\x03abc\0\0\0\x02de\0" {
            input.extend_from_slice(&[*octet]);
            while let Some(message) = split_message(&mut input) {
                whole.push(message.to_vec());
            }
        }
        assert_eq!(whole, [&b"abc"[..], b"", b"de"]);
        assert_eq!(input[..], *b"\0");
    }
}
