//! Asking one server over connections that are kept: many questions share one, and the replies come in
//! any order (RFC 7766 §6.2.1.1).
//!
//! Normally there is one connection, opened for the first question and closed when it has been idle for
//! a while. The questions that a closed connection leaves without a reply are asked again on another
//! (RFC 7766 §6.2.4), until their time is up. A server that closes connections after some replies gets
//! no more questions at once on the next ones than it answered, on several connections at once; the
//! number grows again as soon as a connection lasts longer. So a server that answers one question a
//! connection is asked at its own pace, and a question that makes the server close the connection takes
//! no others with it.

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
use super::flights::{Flight, Flights, Heard, Missed, heard, lock, random_ids};

/// Connections to one server at once.
const MAX_CONNECTIONS: usize = 8;
/// Questions on one connection at once.
const MAX_IN_FLIGHT: usize = 1024;
/// Questions that wait until a connection takes them.
const MAX_WAITING: usize = 4096;
/// A connection without a question is closed after this (RFC 7766 §6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// A question is given up once so many connections were closed before they brought any reply.
const MAX_CLOSED: u8 = 2;
/// Octets for which there is room in front of each read; the buffer grows with what came.
const READ: usize = 4096;
/// A buffer larger than this is not kept for the next message.
const KEEP: usize = 16 * 1024;

/// How a connection to a server is made.
pub(super) trait Connect: Send + Sync + 'static {
    /// What a connection is.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Makes one. May take as long as it likes; whoever waits for it has a time limit.
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

/// The connections to one server. Dropped, it closes them as soon as their questions are done with.
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
    /// Questions that no connection has taken yet, the oldest first.
    waiting: VecDeque<Waiting>,
    /// Questions that one connection takes at once.
    depth: usize,
    /// Random ids for the next questions.
    ids: Vec<u16>,
    /// Nobody will ask any more.
    ending: bool,
}

/// A question that waits for a connection.
struct Waiting {
    flight: Flight,
    /// Connections that were closed under it and had brought no reply at all.
    closed: u8,
}

/// A question that is out on a connection.
struct Sent {
    closed: u8,
    /// Replies that the connection had brought before.
    before: usize,
}

struct Connection {
    number: u64,
    flights: Flights<Sent>,
    /// What its task has yet to write.
    output: Vec<u8>,
    /// Wakes its task when there is something to write.
    wake: Arc<Notify>,
    /// Replies that it brought.
    answered: usize,
    idle_since: Option<Instant>,
    /// It takes no more questions.
    retired: bool,
}

impl<C: Connect> Streams<C> {
    /// No connection is made before the first question. That a question's time is up is noticed at most
    /// `tick` later.
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

    /// Asks, with EDNS or without, and returns; `done` hears of the reply, or after about `wait` that
    /// there is none. Must run within a runtime.
    pub(super) fn ask(&self, question: &Question, edns: bool, now: Instant, wait: Duration, done: Heard) {
        let mut state = lock(&self.shared.state);
        if state.waiting.len() >= MAX_WAITING {
            drop(state);
            return done(Err(Missed::Local(io::Error::other("too many questions wait for a connection"))));
        }
        let flight = Flight { packet: Box::new(question.packet(edns)), deadline: now + wait, heard: done };
        state.waiting.push_back(Waiting { flight, closed: 0 });
        let failed = self.shared.place(&mut state);
        drop(state);
        tell(failed);
    }
}

impl<C: Connect> Drop for Streams<C> {
    fn drop(&mut self) {
        lock(&self.shared.state).ending = true;
    }
}

/// Questions that are done with, and why. They are told when no lock is held: whoever hears of it may
/// ask the next question at once.
type Failed = Vec<(Flight, Missed)>;

fn tell(failed: Failed) {
    for (flight, missed) in failed {
        (flight.heard)(Err(missed));
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
    /// Gives the waiting questions to connections that have room, the first one first, and makes new
    /// ones where none has.
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
            // A question is far shorter than the 65,535 octets that the prefix can tell.
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

    /// Hands a message to whoever waits for it; what answers no open question is passed over.
    fn deliver(self: &Arc<Self>, number: u64, reply: &[u8]) {
        let mut state = lock(&self.state);
        let Some(connection) = state.connection(number) else { return };
        let Some((flight, header)) = connection.flights.answered_by(reply) else { return };
        connection.answered += 1;
        // It has lasted longer than was thought.
        if connection.answered > state.depth {
            state.depth = (state.depth * 2).min(MAX_IN_FLIGHT);
        }
        let failed = self.place(&mut state);
        drop(state);
        (flight.heard)(heard(header, reply));
        tell(failed);
    }

    /// Gives up what is overdue at `now`. False when the connection is to be closed.
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
                // Not a word since the question went out: the connection may be dead.
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
        tell(failed);
        stays
    }

    /// The connection is closed, or could not be made. What it leaves is asked again, unless that is of
    /// no use.
    fn closed(self: &Arc<Self>, number: u64, made: bool, error: &io::Error) {
        let mut state = lock(&self.state);
        let Some(mut gone) = state.remove(number) else { return };
        let left = gone.flights.take_all();
        // While another connection works, that this one can't be made says nothing about the server.
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
        tell(failed);
    }

    /// The connection takes no more questions; what is out on it may yet be answered.
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

/// One connection from beginning to end.
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

/// Writes what is to be asked and reads the replies until this side is done with the connection.
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
    // What was written may still be in a buffer of the stream's own.
    let mut unflushed = false;
    // The server takes no more, but what it said before may not have been read yet.
    let mut deaf = false;
    loop {
        if !output.has_remaining() && !deaf {
            output = io::Cursor::new(shared.take_output(number));
        }
        if input.is_empty() && input.capacity() > KEEP {
            input = BytesMut::new();
        }
        // Twice as much as came, so that what is announced but never sent takes no memory.
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
                deaf = moved.is_err();
                unflushed = writing;
            }
            () = wake.notified(), if !writing => {}
            now = ticks.tick() => {
                if !shared.expire(number, now.into_std()) {
                    return Ok(());
                }
            }
        }
        if deaf {
            output = io::Cursor::new(Vec::new());
            unflushed = false;
            shared.retire(number);
        }
    }
}

/// The first message of the input, without its length, once it is whole (RFC 1035 §4.2.2).
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
