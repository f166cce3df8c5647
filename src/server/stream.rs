//! DNS messages on a stream (RFC 1035 §4.2.2, RFC 7766): reads queries, answers each as soon as its answer
//! is available, and relays replies octet for octet.
//!
//! Each client's share is bounded: queries in progress, unread replies, and time.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

use super::frames::{Inbox, Outbox};
use super::intercept::{Interceptor, ReplyPath};
use super::reply::{Ending, Item, Progress, Reply};
use crate::dns::MAX_MESSAGE;
use crate::net::accept::Seat;
use crate::net::budget::{Budget, Held, Holder};
use crate::observe::counters::Counters;
use crate::observe::event::Event;
use crate::resolver::live::Engine;
use crate::resolver::moment::{Clock, Moment};
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::{Client, Snapshot};

/// Queries of one connection that are in progress at the same time; the next is read when one is done.
const QUERIES: usize = 64;
/// Queries that one connection may have answered in a turn. Other connections share the thread, and so do the
/// replies of upstreams.
const TURN: usize = 64;
/// While this many octets of replies are unread, no more queries are read, and replies that are ready wait.
const UNREAD: usize = 65_536;
/// The octets of a query that may always be read; of a longer one, the rest is read when there is memory for it.
const SHORT: usize = 2048;
/// How long a connection waits until it asks again for memory.
const PAUSE: Duration = Duration::from_millis(50);
/// The longest time that closing a connection takes.
const FAREWELL: Duration = Duration::from_secs(1);

/// How long the server waits for a client.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// A connection that is idle for this long is closed (RFC 7766 §6.2.3), and so is one whose client needs
    /// longer to send a whole query.
    pub(super) idle: Duration,
    /// In this time a client must read all replies, or 4,096 octets of them.
    pub(super) stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { idle: Duration::from_secs(10), stall: Duration::from_secs(10) }
    }
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) counters: Arc<Counters>,
    pub(super) clock: Clock,
    pub(super) patience: Patience,
    /// The memory that all connections may hold together.
    pub(super) budget: Arc<Budget>,
    /// The interceptor before the resolver.
    pub(super) interceptor: Option<Arc<dyn Interceptor>>,
}

/// The phase of the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It serves.
    Serves,
    /// It takes no more queries, and answers those it has.
    Drains,
    /// It ends.
    Ends,
}

/// Serves a connection until the client or the server ends it, or it is idle for too long. A connection to be
/// reset is returned for that; any other is closed.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    client: Client,
    server: Option<SocketAddr>,
    seat: Seat,
    shared: Arc<Shared>,
    mut phase: watch::Receiver<Phase>,
) -> Option<S> {
    let now = (shared.clock)().at;
    let tick = shared.patience.idle.min(shared.patience.stall);
    let mut timer = pin!(sleep_until((now + tick).into()));
    let mut connection = Connection::new(stream, client, server, seat, shared, now);
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
                timer.as_mut().reset(until.min(now + tick).into());
            }
            () = sleep(PAUSE), if connection.waits_for_memory => {}
        }
    }
    // With octets unread, closing would reset the connection and might destroy replies in flight.
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

struct Connection<S> {
    stream: S,
    client: Client,
    server: Option<SocketAddr>,
    seat: Seat,
    shared: Arc<Shared>,
    inbox: Inbox,
    outbox: Outbox,
    /// Queries that were answered at once and are not observed yet, and the generation that they used.
    answered: Vec<Answered>,
    snapshot: Option<Arc<Snapshot>>,
    items: UnboundedReceiver<Item>,
    sender: UnboundedSender<Item>,
    progress: Arc<Progress>,
    /// The memory of the inbox and the outbox.
    held: Held,
    /// The next query is long, and there is no memory for it.
    waits_for_memory: bool,
    /// No more is read: the client has closed its side.
    closed: bool,
    /// No more is read: the server stops.
    drains: bool,
    ended: Option<Ending>,
    /// The connection is busy, as recorded in its seat.
    busy: bool,
    /// When the last query arrived or the last reply was sent.
    moved: Instant,
}

struct Answered {
    event: Event,
    /// Where the query is in the inbox.
    packet: Range<usize>,
    /// Where the reply is in the outbox.
    reply: Option<Range<usize>>,
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
        let progress = Progress::new(Holder::new(&shared.budget));
        Self {
            held: progress.holder.hold(0),
            progress,
            waits_for_memory: false,
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
            closed: false,
            drains: false,
            ended: None,
            busy: false,
            moved: now,
        }
    }

    /// Makes progress. Ready when the connection is finished, with the way it is to end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Ending>>> {
        let mut active = false;
        let mut turn = TURN;
        loop {
            let mut moved = self.gather(cx);
            let now = self.inbox.has_message().then(|| (self.shared.clock)());
            if let Some(now) = now
                && self.answer(now, &mut turn)
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
            if self.progress.lost.load(Ordering::Relaxed) {
                self.shared.engine.counters.connections.over_budget.fetch_add(1, Ordering::Relaxed);
                return Poll::Ready(Err(io::Error::other("the client does not read its replies")));
            }
            if self.is_done() {
                return Poll::Ready(Ok(self.ended));
            }
            if !moved && self.takes_queries() && self.may_read() {
                match pin!(self.stream.read_buf(self.inbox.room())).poll(cx) {
                    Poll::Ready(read) => {
                        self.closed |= read? == 0;
                        moved = true;
                    }
                    Poll::Pending => {}
                }
            }
            self.held.set(self.inbox.held() + self.outbox.held());
            let goes_on = turn == 0;
            if goes_on {
                cx.waker().wake_by_ref();
            }
            if goes_on || (!moved && !written) {
                let busy =
                    goes_on || self.progress.open.load(Ordering::Acquire) > 0 || !self.outbox.is_empty();
                if busy != self.busy || active {
                    self.busy = busy;
                    self.seat.busy(busy);
                }
                return Poll::Pending;
            }
        }
    }

    /// Handles the events from the answering side.
    fn gather(&mut self, cx: &mut Context<'_>) -> bool {
        let mut moved = false;
        while self.outbox.unwritten() < UNREAD
            && let Poll::Ready(Some(item)) = self.items.poll_recv(cx)
        {
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
            // Nothing is sent after the end.
            _ if self.ended.is_some() => {}
            Item::Message(message, left, held) => {
                self.outbox.message(message, left);
                drop(held);
            }
            Item::End(ending) => self.ended = Some(ending),
            Item::Done => {}
        }
    }

    /// True while one more query may be taken.
    fn takes_queries(&self) -> bool {
        !self.closed
            && self.may_answer()
            // Buffered queries go first.
            && !self.inbox.has_message()
    }

    /// Whether there is memory for more of the next query.
    fn may_read(&mut self) -> bool {
        let may = self.inbox.octets.len() < SHORT || self.progress.holder.may_hold_more();
        if !may && !self.waits_for_memory {
            self.shared.engine.counters.connections.over_budget.fetch_add(1, Ordering::Relaxed);
        }
        self.waits_for_memory = !may;
        may
    }

    fn may_answer(&self) -> bool {
        !self.drains
            && self.ended.is_none()
            && self.outbox.unwritten() < UNREAD
            && match self.progress.open.load(Ordering::Acquire) {
                0 => true,
                open => open < QUERIES && self.progress.holder.may_hold_more(),
            }
    }

    /// Answers the received queries, as far as there is room for their replies, and no more than are left in
    /// this `turn`.
    fn answer(&mut self, now: Moment, turn: &mut usize) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut any = false;
        while *turn > 0
            && self.may_answer()
            && let Some(packet) = self.inbox.next()
        {
            any = true;
            *turn -= 1;
            self.moved = now.at;
            let snapshot =
                self.snapshot.get_or_insert_with(|| Arc::clone(&shared.engine.snapshot_at(now.unix)));
            let snapshot = Arc::clone(snapshot);
            let octets = self.inbox.octets.get(packet.clone()).unwrap_or_default();
            if let Some(interceptor) = &shared.interceptor {
                let path = ReplyPath::Stream(self.reply(octets.len()));
                if interceptor.intercept(octets, self.client, now, path).is_ok() {
                    // The events it has sent, above all the end, are handled before the next query.
                    while let Ok(item) = self.items.try_recv() {
                        self.take(item);
                    }
                    continue;
                }
            }
            let mut event = Event::new(self.client.address, self.client.transport);
            let (outcome, reply) = with_room(|room| {
                let outcome = resolve(&shared.engine, &snapshot, octets, self.client, now, room, &mut event);
                let reply = match &outcome {
                    Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) => {
                        self.outbox.push(room.get(..*len).unwrap_or_default())
                    }
                    Outcome::Drop | Outcome::Later(_) => None,
                };
                (outcome, reply)
            });
            match outcome {
                Outcome::Reply(_) | Outcome::Drop => {}
                Outcome::ReplyAndRefresh(_, pending) => pending.refresh(shared.clock),
                Outcome::Later(pending) => {
                    let (way, shared) = (self.reply(octets.len()), Arc::clone(&shared));
                    pending.begin(shared.clock, move |pending, answered| {
                        with_room(|room| {
                            let (len, event) = pending.write(answered, room);
                            let reply = room.get(..len).unwrap_or_default();
                            way.send(reply.to_vec());
                            let (snapshot, query) = (pending.snapshot(), pending.packet());
                            shared.engine.observe(&mut &*shared.counters, snapshot, &event, query, reply);
                        });
                    });
                    continue;
                }
            }
            self.answered.push(Answered { event, packet, reply });
        }
        any
    }

    /// Observes the queries answered at once, after their replies were sent as far as the client reads.
    fn observe(&mut self, received: Option<Moment>) {
        let (Some(snapshot), Some(received)) = (self.snapshot.take(), received) else { return };
        let Shared { engine, counters, clock, .. } = &*self.shared;
        let took = clock().at.saturating_duration_since(received.at);
        for Answered { mut event, packet, reply } in self.answered.drain(..) {
            event.took = took;
            let packet = self.inbox.octets.get(packet).unwrap_or_default();
            let reply = reply.map_or(&[][..], |reply| self.outbox.get(reply));
            engine.observe(&mut &**counters, &snapshot, &event, packet, reply);
        }
    }

    fn reply(&self, len: usize) -> Reply {
        Reply::new(self.sender.clone(), Arc::clone(&self.progress), self.server, len)
    }

    /// True when nothing more is to be sent. A client that closes its side after its queries still gets the
    /// replies (RFC 7766 §6.2.4).
    fn is_done(&self) -> bool {
        if !self.outbox.is_empty() {
            return false;
        }
        if self.ended.is_some() {
            return true;
        }
        let no_more = self.drains || (self.closed && !self.inbox.has_message());
        // In this order: a finished query has sent its replies already.
        no_more && self.progress.open.load(Ordering::Acquire) == 0 && self.items.is_empty()
    }

    /// When the connection times out, idle or unread.
    fn until(&self, now: Instant) -> Instant {
        let Patience { idle, stall } = self.shared.patience;
        if !self.outbox.is_empty() {
            self.moved + stall
        } else if self.progress.open.load(Ordering::Acquire) > 0 {
            now + idle
        } else {
            self.moved + self.seat.patience(idle)
        }
    }
}

/// Lends a buffer for the longest message. There is one for each thread, because most messages are far
/// shorter and connections are many.
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::cache::store::Cache;
    use crate::dns::{NameBuf, Qtype, Transport, encode};
    use crate::net::accept::{Bounds, Connections};
    use crate::net::now;
    use crate::observe::counters::CounterSet;
    use crate::settings::{Settings, UpstreamSettings};
    use crate::sources::{self, Build};

    /// How long a test waits for an expected event.
    const PATIENT: Duration = Duration::from_secs(10);
    const NEVER: Duration = Duration::from_secs(3600);

    /// Keeps every query until the test answers it.
    #[derive(Default)]
    struct Keeper(Mutex<Vec<(Vec<u8>, ReplyPath)>>);

    impl Keeper {
        fn kept(&self) -> usize {
            self.0.lock().unwrap().len()
        }

        async fn wait(&self, count: usize) {
            let wait = async {
                while self.kept() < count {
                    tokio::task::yield_now().await;
                }
            };
            let message = format!("{count} queries, {} have come", self.kept());
            timeout(PATIENT, wait).await.expect(&message);
        }

        /// Answers a query with its own octets.
        fn answer(&self, at: usize) {
            let (packet, path) = self.0.lock().unwrap().remove(at);
            path.send(packet, None, drop);
        }
    }

    impl Interceptor for Keeper {
        fn intercept(&self, packet: &[u8], _: Client, _: Moment, path: ReplyPath) -> Result<(), ReplyPath> {
            self.0.lock().unwrap().push((packet.to_vec(), path));
            Ok(())
        }

        fn under_way(&self) -> usize {
            self.kept()
        }

        fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async {})
        }
    }

    /// A connection in memory to a server that refuses every name, with access to its state.
    struct Tried {
        client: DuplexStream,
        done: JoinHandle<Option<DuplexStream>>,
        phase: watch::Sender<Phase>,
        counters: Arc<CounterSet>,
    }

    fn connect(patience: Patience, pipe: usize, keeper: Option<Arc<Keeper>>) -> Tried {
        let settings = Settings { upstream: UpstreamSettings::of(Vec::new()), ..Settings::default() };
        let (counters, cache) = (Arc::new(CounterSet::default()), Arc::new(Cache::new(1 << 20)));
        let (snapshot, _) = sources::build(&settings, &cache, &counters, Build::default(), 0).unwrap();
        let shared = Arc::new(Shared {
            engine: Arc::new(Engine::new(snapshot, Arc::clone(&counters), None)),
            counters: counters.shared(),
            clock: now,
            patience,
            budget: Budget::new(1 << 20),
            interceptor: keeper.map(|k| -> Arc<dyn Interceptor> { k }),
        });
        let (client, server) = tokio::io::duplex(pipe);
        let (phase, at) = watch::channel(Phase::Serves);
        let from =
            Client { address: "127.0.0.1:4000".parse().unwrap(), transport: Transport::Tcp, listener: 0 };
        let seat = Connections::new(Bounds::of(100), Arc::default()).seat(None).unwrap();
        let done = tokio::spawn(serve(server, from, None, seat, shared, at));
        Tried { client, done, phase, counters }
    }

    fn patience(idle: Duration, stall: Duration) -> Patience {
        Patience { idle, stall }
    }

    /// A query with this id, after its length.
    fn query(id: u16) -> Vec<u8> {
        let mut packet = encode(NameBuf::from_text("a.test").unwrap().as_name(), Qtype::A);
        packet[..2].copy_from_slice(&id.to_be_bytes());
        [&u16::try_from(packet.len()).unwrap().to_be_bytes(), &*packet].concat()
    }

    /// The id of the next reply; `None` at the end of the stream.
    async fn reply(client: &mut DuplexStream) -> Option<u16> {
        let read = async {
            let len = client.read_u16().await.ok()?;
            let mut message = vec![0; usize::from(len)];
            client.read_exact(&mut message).await.ok()?;
            Some(u16::from_be_bytes([message[0], message[1]]))
        };
        timeout(PATIENT, read).await.expect("a reply or the end")
    }

    #[tokio::test]
    async fn queries_come_in_any_pieces() {
        let octets: Vec<u8> = (0..3).flat_map(query).collect();
        for piece in [1, 2, 3, 7, octets.len()] {
            let mut tried = connect(patience(NEVER, NEVER), 1 << 16, None);
            for part in octets.chunks(piece) {
                tried.client.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            tried.client.shutdown().await.unwrap();
            for id in 0..3 {
                assert_eq!(reply(&mut tried.client).await, Some(id), "in pieces of {piece}");
            }
            assert_eq!(
                reply(&mut tried.client).await,
                None,
                "a client that has closed its side sees the end"
            );
        }
    }

    #[tokio::test]
    async fn answers_overtake_and_only_so_many_queries_are_under_way() {
        let keeper = Arc::<Keeper>::default();
        let mut tried = connect(patience(NEVER, NEVER), 1 << 16, Some(Arc::clone(&keeper)));
        let octets: Vec<u8> = (0..100).flat_map(query).collect();
        tried.client.write_all(&octets).await.unwrap();
        keeper.wait(QUERIES).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(keeper.kept(), QUERIES);
        keeper.answer(5);
        assert_eq!(reply(&mut tried.client).await, Some(5));
        keeper.wait(QUERIES).await;
        // The server answers the queries it has taken before it stops, and no others.
        tried.phase.send(Phase::Drains).unwrap();
        for _ in 0..QUERIES {
            keeper.answer(0);
        }
        let mut got = Vec::new();
        while let Some(id) = reply(&mut tried.client).await {
            got.push(id);
        }
        assert_eq!(got, (0..5).chain(6..65).collect::<Vec<_>>());
        assert!(timeout(PATIENT, tried.done).await.expect("the end").unwrap().is_none());
    }

    #[tokio::test]
    async fn it_ends_as_the_interceptor_wants() {
        for (reset, ids) in [(false, vec![0, 1]), (true, vec![0, 1])] {
            let keeper = Arc::<Keeper>::default();
            let mut tried = connect(patience(NEVER, NEVER), 1 << 16, Some(Arc::clone(&keeper)));
            tried.client.write_all(&[query(0), query(1), query(2)].concat()).await.unwrap();
            keeper.wait(3).await;
            keeper.answer(0);
            {
                let kept = keeper.0.lock().unwrap();
                let (packet, path) = &kept[0];
                path.send(packet.clone(), None, drop);
                if reset {
                    path.reset();
                } else {
                    path.close();
                }
                // Too late.
                path.send(packet.clone(), None, drop);
            }
            for id in ids {
                assert_eq!(reply(&mut tried.client).await, Some(id));
            }
            let given_back = timeout(PATIENT, tried.done).await.expect("the end").unwrap();
            assert_eq!(given_back.is_some(), reset);
            drop(given_back);
            assert_eq!(reply(&mut tried.client).await, None);
        }
    }

    #[tokio::test]
    async fn who_sends_nothing_whole_is_hung_up_on_and_who_waits_is_not() {
        let short = patience(Duration::from_millis(50), NEVER);
        let half = &query(0)[..9];
        for begin in [&[][..], &[0xff], half, &[0xff, 0xff, 1]] {
            let mut tried = connect(short, 1 << 16, None);
            tried.client.write_all(begin).await.unwrap();
            assert_eq!(reply(&mut tried.client).await, None, "{begin:?}");
        }
        let keeper = Arc::<Keeper>::default();
        let mut tried = connect(short, 1 << 16, Some(Arc::clone(&keeper)));
        tried.client.write_all(&query(7)).await.unwrap();
        keeper.wait(1).await;
        let early = timeout(Duration::from_millis(200), tried.client.read_u8()).await;
        assert!(early.is_err(), "{early:?} while the answer was awaited");
        keeper.answer(0);
        assert_eq!(reply(&mut tried.client).await, Some(7));
    }

    #[tokio::test]
    async fn who_asks_without_end_lets_others_have_their_turn() {
        let count = 10_000;
        let mut tried = connect(patience(NEVER, NEVER), 1 << 20, None);
        let octets: Vec<u8> = (0..count).flat_map(query).collect();
        tried.client.write_all(&octets).await.unwrap();
        let counters = Arc::clone(&tried.counters);
        let (mut before, mut most) = (0, 0);
        // A task that always has something to do, like those of other connections.
        let other = tokio::spawn(std::future::poll_fn(move |cx| {
            let now = counters.totals().queries.iter().map(|(_, n)| *n).sum::<u64>();
            (before, most) = (now, most.max(now - before));
            if now == u64::from(count) {
                return Poll::Ready(most);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        let mut replies = vec![0; 1 << 16];
        let reads = async { while tried.client.read(&mut replies).await.unwrap() > 0 {} };
        let most = tokio::select! {
            most = timeout(PATIENT, other) => most.expect("answers to all queries").unwrap(),
            () = reads => panic!("the connection was closed"),
        };
        assert!(most <= TURN as u64, "{most} queries of one client were answered before anybody else's turn");
    }

    #[tokio::test]
    async fn who_does_not_read_is_answered_only_so_far_and_hung_up_on() {
        let mut tried = connect(patience(NEVER, Duration::from_millis(300)), 4096, None);
        let octets: Vec<u8> = (0..20_000).flat_map(query).collect();
        let written = timeout(PATIENT, tried.client.write_all(&octets)).await.expect("an end, or room");
        assert!(written.is_err(), "20,000 queries were taken from a client that reads nothing");
        let answered: u64 = tried.counters.totals().queries.iter().map(|(_, n)| n).sum();
        let reply = 40;
        assert!(answered > 100 && answered < (UNREAD + 8192) as u64 / reply, "{answered}");
    }
}
