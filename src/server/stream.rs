//! DNS messages on a stream (RFC 1035 §4.2.2, RFC 7766): reads queries, answers each when its answer is
//! there, and passes replies on octet for octet.
//!
//! What a client may take is bounded: queries under way, replies that it does not read, and time.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use super::intercept::{Interceptor, ReplyPath};
use crate::net::accept::Seat;
use crate::observe::counters::Counters;
use crate::observe::event::Event;
use crate::resolver::live::Engine;
use crate::resolver::moment::{Clock, Moment};
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::{Client, Snapshot};

/// A connection on which nothing happens for this long is closed (RFC 7766 §6.2.3), and so is one whose client
/// needs longer for a whole query.
const IDLE: Duration = Duration::from_secs(10);
/// In this time a client reads all replies, or [`STEP`] octets of them.
const STALL: Duration = Duration::from_secs(10);
/// So many octets of replies are progress.
const STEP: usize = 4096;
/// The longest message that a stream carries, in octets.
const MAX_MESSAGE: usize = 65_535;
/// Queries of one connection that are answered at once; the next is read when one is done.
const QUERIES: usize = 64;
/// While so many octets of replies are unread, no more queries are read.
const UNREAD: usize = 65_536;
/// So many octets of replies unread are too many: the client does not read.
const TOO_MUCH: usize = 1 << 20;
/// Room for a read, in octets; most queries are shorter.
const READ: usize = 512;
/// A buffer that has become longer than this, in octets, is given up when it is empty.
const KEEP: usize = 16_384;
/// The longest that the end of a connection takes.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections share.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    /// Stands before the resolver.
    pub(super) interceptor: Option<Arc<dyn Interceptor>>,
}

/// How far the server has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Serves,
    /// It takes nothing more, and answers what it has taken.
    Drains,
    /// It ends.
    Ends,
}

/// How a connection ends before its client wants it to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As at the end of any other.
    Close,
    /// As by somebody on the way who wants it broken.
    Reset,
}

/// Serves a connection, until the client or the server ends it, or nothing happens on it. If it is to be
/// reset it is given back for that; else it is closed.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    client: Client,
    server: Option<SocketAddr>,
    seat: Seat,
    shared: Arc<Shared>,
    mut phase: watch::Receiver<Phase>,
) -> Option<S> {
    let now = (shared.clock)().at;
    let mut connection = Connection::new(stream, client, server, seat, shared, now);
    let mut timer = pin!(sleep_until((now + IDLE).into()));
    loop {
        match *phase.borrow_and_update() {
            Phase::Serves => {}
            Phase::Drains => connection.drains = true,
            Phase::Ends => return None,
        }
        tokio::select! {
            biased;
            // The sender is gone only when the server is.
            changed = phase.changed() => if changed.is_err() { return None },
            done = std::future::poll_fn(|cx| connection.poll(cx)) => match done {
                Ok(Some(Ending::Reset)) => return Some(connection.stream),
                Ok(_) => break,
                Err(reason) => {
                    tracing::trace!(%reason, "a connection broke");
                    return None;
                }
            },
            () = &mut timer => {
                let now = (connection.shared.clock)().at;
                let until = connection.until(now);
                if until <= now {
                    break;
                }
                timer.as_mut().reset(until.into());
            }
        }
    }
    // With octets unread, closing would reset the connection and might destroy replies on their way.
    let mut stream = connection.stream;
    let mut rest = vec![0; 4096];
    let farewell = async {
        let _ = stream.shutdown().await;
        for _ in 0..256 {
            let read = std::future::poll_fn(|cx| match pin!(stream.read(&mut rest)).poll(cx) {
                Poll::Ready(Ok(len)) => Poll::Ready(len),
                Poll::Ready(Err(_)) | Poll::Pending => Poll::Ready(0),
            });
            if read.await == 0 {
                break;
            }
        }
    };
    let _ = timeout(FAREWELL, farewell).await;
    None
}

/// Where the answer to one query goes, from any thread. The query is under way until this is dropped.
pub struct Reply {
    items: UnboundedSender<Item>,
    open: Arc<AtomicUsize>,
    server: Option<SocketAddr>,
}

impl Reply {
    /// The address and port that were asked.
    pub(super) const fn server(&self) -> Option<SocketAddr> {
        self.server
    }

    /// Sends a message; nothing for an empty one.
    fn send(&self, message: Vec<u8>) {
        // The connection may have ended meanwhile.
        let _ = self.items.send(Item::Message(message, None));
    }

    /// Sends a message, and gives it to `left` when it has left; nothing for an empty one.
    pub(super) fn send_then(&self, message: Vec<u8>, left: impl FnOnce(Vec<u8>) + Send + 'static) {
        let _ = self.items.send(Item::Message(message, Some(Box::new(left))));
    }

    pub(super) fn close(&self) {
        let _ = self.items.send(Item::End(Ending::Close));
    }

    pub(super) fn reset(&self) {
        let _ = self.items.send(Item::End(Ending::Reset));
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Release);
        let _ = self.items.send(Item::Done);
    }
}

/// Called with a message that has left.
type Left = Box<dyn FnOnce(Vec<u8>) + Send>;

/// What comes to a connection from those who answer.
enum Item {
    Message(Vec<u8>, Option<Left>),
    End(Ending),
    /// A query is done.
    Done,
}

struct Connection<S> {
    stream: S,
    client: Client,
    server: Option<SocketAddr>,
    seat: Seat,
    shared: Arc<Shared>,
    inbox: Inbox,
    outbox: Outbox,
    /// Queries that were answered at once and are yet to be observed, and the generation that they saw.
    answered: Vec<Answered>,
    snapshot: Option<Arc<Snapshot>>,
    items: UnboundedReceiver<Item>,
    sender: UnboundedSender<Item>,
    /// Queries under way.
    open: Arc<AtomicUsize>,
    /// No more is read: the client has closed its side.
    closed: bool,
    /// No more is read: the server stops.
    drains: bool,
    ended: Option<Ending>,
    /// Something is under way, as its seat knows.
    busy: bool,
    /// When a query came last, or a reply left.
    moved: Instant,
}

struct Answered {
    event: Event,
    packet: Range<usize>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    fn new(
        stream: S,
        client: Client,
        server: Option<SocketAddr>,
        seat: Seat,
        shared: Arc<Shared>,
        now: Instant,
    ) -> Self {
        let (sender, items) = unbounded_channel();
        Self {
            stream,
            client,
            server,
            seat,
            shared,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            answered: Vec::new(),
            snapshot: None,
            items,
            sender,
            open: Arc::default(),
            closed: false,
            drains: false,
            ended: None,
            busy: false,
            moved: now,
        }
    }

    /// Does what can be done now. Ready when the connection is done with, with the end that it is to have.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Ending>>> {
        let mut active = false;
        loop {
            let mut moved = self.gather(cx);
            let now = self.inbox.has_message().then(|| (self.shared.clock)());
            if let Some(now) = now
                && self.answer(now)
            {
                (moved, active) = (true, true);
            }
            let written = self.outbox.write(Pin::new(&mut self.stream), cx);
            self.observe(now);
            let written = written?;
            if written {
                self.moved = (self.shared.clock)().at;
            }
            self.inbox.tidy();
            self.outbox.tidy();
            if self.outbox.unwritten() > TOO_MUCH {
                return Poll::Ready(Err(io::Error::other("the client does not read its replies")));
            }
            if self.is_done() {
                return Poll::Ready(Ok(self.ended));
            }
            if self.takes_queries() && !moved {
                match pin!(self.stream.read_buf(self.inbox.room())).poll(cx) {
                    Poll::Ready(read) => {
                        self.closed |= read? == 0;
                        moved = true;
                    }
                    Poll::Pending => {}
                }
            }
            if !moved && !written {
                let busy = self.open.load(Ordering::Acquire) > 0 || !self.outbox.is_empty();
                if busy != self.busy || active {
                    self.busy = busy;
                    self.seat.busy(busy);
                }
                return Poll::Pending;
            }
        }
    }

    /// Takes what has come from those who answer.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some(item)) = self.items.poll_recv(cx) {
            moved = true;
            self.take(item);
        }
        if moved {
            self.moved = (self.shared.clock)().at;
        }
        moved
    }

    fn take(&mut self, item: Item) {
        match item {
            // Nothing goes behind the end.
            _ if self.ended.is_some() => {}
            Item::Message(message, left) => self.outbox.message(message, left),
            Item::End(ending) => self.ended = Some(ending),
            Item::Done => {}
        }
    }

    /// True while one more query may be taken.
    fn takes_queries(&self) -> bool {
        !self.closed
            && self.may_answer()
            // What is there already goes first.
            && !self.inbox.has_message()
    }

    fn may_answer(&self) -> bool {
        !self.drains
            && self.ended.is_none()
            && self.outbox.unwritten() < UNREAD
            && self.open.load(Ordering::Acquire) < QUERIES
    }

    /// Answers the queries that have come, as far as there is room for their answers.
    fn answer(&mut self, now: Moment) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut any = false;
        while self.may_answer()
            && let Some(packet) = self.inbox.next()
        {
            any = true;
            self.moved = now.at;
            let snapshot =
                self.snapshot.get_or_insert_with(|| Arc::clone(&shared.engine.snapshot_at(now.unix)));
            let snapshot = Arc::clone(snapshot);
            let octets = self.inbox.octets.get(packet.clone()).unwrap_or_default();
            if let Some(interceptor) = &shared.interceptor {
                let path = ReplyPath::Stream(self.reply());
                if interceptor.intercept(octets, self.client, now, path).is_ok() {
                    // What it has sent already, and above all the end, comes before the next query.
                    while let Ok(item) = self.items.try_recv() {
                        self.take(item);
                    }
                    continue;
                }
            }
            let mut event = Event::new(self.client.address, self.client.transport);
            let outcome = with_room(|room| {
                let outcome = resolve(&shared.engine, &snapshot, octets, self.client, now, room, &mut event);
                if let Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) = &outcome {
                    self.outbox.push(room.get(..*len).unwrap_or_default());
                }
                outcome
            });
            match outcome {
                Outcome::Reply(_) | Outcome::Drop => {}
                Outcome::ReplyAndRefresh(_, pending) => pending.refresh(shared.clock),
                Outcome::Later(pending) => {
                    let (reply, shared) = (self.reply(), Arc::clone(&shared));
                    pending.begin(shared.clock, move |pending, answered| {
                        let event = with_room(|room| {
                            let (len, event) = pending.write(answered, room);
                            reply.send(room.get(..len).unwrap_or_default().to_vec());
                            event
                        });
                        let snapshot = pending.snapshot();
                        shared.engine.observe(&mut &*shared.counters, snapshot, &event, pending.packet());
                    });
                    continue;
                }
            }
            self.answered.push(Answered { event, packet });
        }
        any
    }

    /// Observes what was answered at once, after it has left as far as the client reads.
    fn observe(&mut self, received: Option<Moment>) {
        let (Some(snapshot), Some(received)) = (self.snapshot.take(), received) else { return };
        let Shared { engine, counters, clock, .. } = &*self.shared;
        let took = clock().at.saturating_duration_since(received.at);
        for Answered { mut event, packet } in self.answered.drain(..) {
            event.took = took;
            let packet = self.inbox.octets.get(packet).unwrap_or_default();
            engine.observe(&mut &**counters, &snapshot, &event, packet);
        }
    }

    fn reply(&self) -> Reply {
        self.open.fetch_add(1, Ordering::Relaxed);
        Reply { items: self.sender.clone(), open: Arc::clone(&self.open), server: self.server }
    }

    /// True when nothing more is to be sent. Who has sent all questions and closed its side still gets its
    /// answers (RFC 7766 §6.2.4).
    fn is_done(&self) -> bool {
        if !self.outbox.is_empty() {
            return false;
        }
        if self.ended.is_some() {
            return true;
        }
        let no_more = self.drains || (self.closed && !self.inbox.has_message());
        // In this order: who is done has sent before.
        no_more && self.open.load(Ordering::Acquire) == 0 && self.items.is_empty()
    }

    /// When the client's patience with the server, or the other way round, is over.
    fn until(&self, now: Instant) -> Instant {
        if !self.outbox.is_empty() {
            self.moved + STALL
        } else if self.open.load(Ordering::Acquire) > 0 {
            now + IDLE
        } else {
            self.moved + self.seat.patience(IDLE)
        }
    }
}

/// Lends room for the longest message. A thread has one, because most messages are far shorter, and connections
/// many.
fn with_room<T>(write: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    let mut room = ROOM.take();
    room.resize(MAX_MESSAGE, 0);
    let written = write(&mut room);
    ROOM.set(room);
    written
}

/// Octets that came and are not dealt with. It grows with what comes, whatever lengths are announced.
#[derive(Default)]
struct Inbox {
    octets: Vec<u8>,
    /// Where the next message begins.
    at: usize,
}

impl Inbox {
    /// The message behind the next length, if it has come whole.
    fn peek(&self) -> Option<Range<usize>> {
        let start = self.at + 2;
        let [high, low] = *self.octets.get(self.at..start)? else { return None };
        let end = start + usize::from(u16::from_be_bytes([high, low]));
        (end <= self.octets.len()).then_some(start..end)
    }

    fn has_message(&self) -> bool {
        self.peek().is_some()
    }

    fn next(&mut self) -> Option<Range<usize>> {
        let message = self.peek()?;
        self.at = message.end;
        Some(message)
    }

    /// Where the next octets go.
    fn room(&mut self) -> &mut Vec<u8> {
        self.octets.reserve(READ);
        &mut self.octets
    }

    /// Forgets what was dealt with.
    fn tidy(&mut self) {
        self.octets.drain(..self.at);
        self.at = 0;
        if self.octets.is_empty() && self.octets.capacity() > KEEP {
            self.octets = Vec::new();
        }
    }
}

/// Replies that have not left, each behind its length.
#[derive(Default)]
struct Outbox {
    octets: Vec<u8>,
    /// How many of them have left.
    at: usize,
    /// Those of which somebody wants to know: where they end, and whom to tell.
    leaving: VecDeque<(usize, Vec<u8>, Left)>,
    /// The stream may hold some back.
    unflushed: bool,
    /// Octets that have left since the last progress.
    step: usize,
}

impl Outbox {
    /// Puts a reply behind the others; nothing for an empty one, or one that no stream can carry.
    fn push(&mut self, message: &[u8]) -> bool {
        let Some(len) = u16::try_from(message.len()).ok().filter(|len| *len > 0) else { return false };
        self.octets.extend_from_slice(&len.to_be_bytes());
        self.octets.extend_from_slice(message);
        true
    }

    fn message(&mut self, message: Vec<u8>, left: Option<Left>) {
        if self.push(&message)
            && let Some(left) = left
        {
            self.leaving.push_back((self.octets.len(), message, left));
        }
    }

    /// How many octets have not left.
    fn unwritten(&self) -> usize {
        self.octets.len() - self.at
    }

    fn is_empty(&self) -> bool {
        self.unwritten() == 0 && !self.unflushed
    }

    /// Writes what the stream takes now; says whether that is progress.
    fn write(&mut self, mut stream: Pin<&mut impl AsyncWrite>, cx: &mut Context<'_>) -> io::Result<bool> {
        let mut progress = false;
        while let Some(rest) = self.octets.get(self.at..).filter(|rest| !rest.is_empty()) {
            let Poll::Ready(written) = stream.as_mut().poll_write(cx, rest)? else { return Ok(progress) };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.at += written;
            self.step += written;
            self.unflushed = true;
            if self.step >= STEP || self.unwritten() == 0 {
                self.step = 0;
                progress = true;
            }
            while self.leaving.front().is_some_and(|(end, ..)| *end <= self.at)
                && let Some((_, message, left)) = self.leaving.pop_front()
            {
                left(message);
            }
        }
        if self.unflushed {
            self.unflushed = stream.poll_flush(cx)?.is_pending();
        }
        Ok(progress)
    }

    /// Forgets what has left.
    fn tidy(&mut self) {
        if self.unwritten() == 0 {
            self.octets.clear();
            self.at = 0;
            if self.octets.capacity() > KEEP {
                self.octets = Vec::new();
            }
        }
    }
}
