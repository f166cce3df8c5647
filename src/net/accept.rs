//! Accepts connections for all listeners: bounded in total and for each client network, without spinning when
//! the kernel has none, and with descriptors left for everything else.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use crate::observe::counters::ConnectionCounters;

/// The pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);
/// After this many connections without a failure, the next failure is logged again.
const CALM: u32 = 1000;
/// The connections that any client network may have while there is room.
const FEW: usize = 16;
/// How many busy connections are passed over, at most, in the search for an idle one.
const LOOKS: usize = 64;
/// The most descriptors kept for UDP sockets, upstreams and files.
const RESERVE: usize = 1024;

/// Accepts from `listener` until `until` is ready, then waits for the connections to end. Dropping it ends
/// them. `admits` decides by address who may connect; other connections are closed at once. `what` names the
/// listener in the log.
pub async fn accept<L: Listener, C: Future<Output = ()> + Send + 'static>(
    listener: L,
    what: &str,
    connections: &Arc<Connections>,
    until: impl Future<Output = ()>,
    admits: impl Fn(IpAddr) -> bool,
    serve: impl Fn(L::Stream, Option<SocketAddr>, Seat) -> C,
) {
    let mut until = pin!(until);
    // Dropping the set ends its tasks.
    let mut tasks = JoinSet::new();
    let mut calm = CALM;
    loop {
        while tasks.try_join_next().is_some() {}
        let accepted = tokio::select! {
            biased;
            () = &mut until => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                calm = calm.saturating_add(1);
                let ip = client.map(|c| c.ip().to_canonical());
                let seat = match ip {
                    Some(ip) if !admits(ip) => None,
                    _ => connections.seat(ip),
                };
                let Some(seat) = seat else {
                    connections.counters.refused.fetch_add(1, Relaxed);
                    continue;
                };
                let number = seat.number;
                let task = tasks.spawn(serve(stream, client, seat));
                connections.begun(number, task);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Usually all descriptors are taken, and the next attempt would fail as well.
                connections.counters.failed.fetch_add(1, Relaxed);
                if calm >= CALM {
                    tracing::warn!(%error, "cannot accept a connection to {what}; closing the one that has been idle longest");
                }
                calm = 0;
                connections.close_oldest();
                tokio::select! {
                    () = &mut until => break,
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// A source of connections.
pub trait Listener {
    /// A connection.
    type Stream: Send + 'static;

    /// The next connection and its client; `None` for clients without an address. Dropping the future loses
    /// nothing.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<SocketAddr>)>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<SocketAddr>)> {
        Self::accept(self).await.map(|(stream, client)| (stream, Some(client)))
    }
}

#[cfg(unix)]
impl Listener for tokio::net::UnixListener {
    type Stream = tokio::net::UnixStream;

    async fn accept(&self) -> io::Result<(tokio::net::UnixStream, Option<SocketAddr>)> {
        Self::accept(self).await.map(|(stream, _)| (stream, None))
    }
}

/// How many connections may be open at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// For all clients together.
    pub open: usize,
    /// For one client network, so that no client takes all places: an IPv4 address, which already is one
    /// site, or an IPv6 /56, the least that one site is given (RFC 6177 §2), in which a client may use any
    /// address.
    pub each: usize,
}

impl Bounds {
    /// This many in total; a quarter of them, but at least 16, for one client network.
    #[must_use]
    pub fn of(open: usize) -> Self {
        Self { open, each: open.div_ceil(4).max(FEW).min(open) }
    }

    /// The same for one `part`th of the connections that the limit on open files allows, at most `most`.
    #[must_use]
    pub fn part(part: usize, most: usize) -> Self {
        Self::of((room() / part.max(1)).clamp(1, most.max(1)))
    }
}

/// The most descriptors for connections: the limit on open files less half of it, or less [`RESERVE`] if
/// that is smaller, for UDP sockets, upstreams and files.
fn room() -> usize {
    #[cfg(unix)]
    let limit = rlimit::Resource::NOFILE.get_soft().ok().and_then(|soft| usize::try_from(soft).ok());
    #[cfg(not(unix))]
    let limit = None;
    let limit = limit.unwrap_or(usize::MAX);
    limit - (limit / 2).min(RESERVE)
}

/// The connections of one kind of listener.
pub struct Connections {
    bounds: Bounds,
    counters: Arc<ConnectionCounters>,
    table: Mutex<Table>,
    /// How many there are.
    open: AtomicUsize,
    /// Grows whenever a connection becomes idle: the one that has been idle longest has the lowest number.
    turns: AtomicU64,
}

/// Connections by the turn at which each became idle. An outdated turn is noticed only when its connection
/// reaches the front, so a query costs nothing here.
type Queue = BTreeMap<u64, u64>;

#[derive(Default)]
struct Table {
    open: HashMap<u64, Entry>,
    queue: Queue,
    networks: HashMap<IpAddr, Queue>,
    next: u64,
}

struct Entry {
    network: Option<IpAddr>,
    /// `None`: it has only just been accepted.
    task: Option<AbortHandle>,
    state: Arc<State>,
    /// Its turn in the queues.
    turn: u64,
}

struct State {
    busy: AtomicBool,
    /// The turn at which it became idle.
    idle: AtomicU64,
}

impl Connections {
    /// None yet.
    #[must_use]
    pub fn new(bounds: Bounds, counters: Arc<ConnectionCounters>) -> Arc<Self> {
        let (table, open, turns) = (Mutex::default(), AtomicUsize::new(0), AtomicU64::new(0));
        Arc::new(Self { bounds, counters, table, open, turns })
    }

    /// A place for one more connection. If there is none, the connection that has been idle longest is
    /// closed: one of the same network if that has too many, else any. `None`: all are busy.
    pub(crate) fn seat(self: &Arc<Self>, client: Option<IpAddr>) -> Option<Seat> {
        let network = client.map(network_of);
        let mut table = self.lock();
        if let Some(network) = network
            && table.networks.get(&network).is_some_and(|queue| queue.len() >= self.bounds.each)
            && !self.close(&mut table, Some(network))
        {
            return None;
        }
        if table.open.len() >= self.bounds.open && !self.close(&mut table, None) {
            return None;
        }
        let number = table.next;
        table.next += 1;
        let turn = self.turns.fetch_add(1, Relaxed);
        let state = Arc::new(State { busy: AtomicBool::new(false), idle: AtomicU64::new(turn) });
        table.insert(number, Entry { network, task: None, state: Arc::clone(&state), turn });
        self.count(&table);
        Some(Seat { connections: Arc::clone(self), number, state })
    }

    fn begun(&self, number: u64, task: AbortHandle) {
        match self.lock().open.get_mut(&number) {
            Some(entry) => entry.task = Some(task),
            // It has ended, or has been closed for another.
            None => task.abort(),
        }
    }

    /// Closes the connection that has been idle longest.
    fn close_oldest(&self) {
        self.close(&mut self.lock(), None);
    }

    /// Closes the connection that has been idle longest, among all or those of a network; returns whether
    /// there was one. If very many are busy, it checks only some of them, and others the next time.
    fn close(&self, table: &mut Table, network: Option<IpAddr>) -> bool {
        for _ in 0..LOOKS {
            let queue = network.map_or(Some(&table.queue), |network| table.networks.get(&network));
            let Some((_, &number)) = queue.and_then(Queue::first_key_value) else { return false };
            let Some(mut entry) = table.remove(number) else { return false };
            let idle = entry.state.idle.load(Relaxed);
            if entry.state.busy.load(Relaxed) {
                entry.turn = self.turns.fetch_add(1, Relaxed);
            } else if idle != entry.turn {
                entry.turn = idle;
            } else {
                if let Some(task) = entry.task {
                    task.abort();
                }
                self.counters.closed.fetch_add(1, Relaxed);
                self.count(table);
                return true;
            }
            table.insert(number, entry);
        }
        false
    }

    fn count(&self, table: &Table) {
        let (before, now) = (self.open.swap(table.open.len(), Relaxed), table.open.len());
        self.counters.open.fetch_add(now as u64, Relaxed);
        self.counters.open.fetch_sub(before as u64, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, number: u64, entry: Entry) {
        self.queue.insert(entry.turn, number);
        if let Some(network) = entry.network {
            self.networks.entry(network).or_default().insert(entry.turn, number);
        }
        self.open.insert(number, entry);
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.open.remove(&number)?;
        self.queue.remove(&entry.turn);
        if let Some(network) = entry.network
            && let Some(queue) = self.networks.get_mut(&network)
        {
            queue.remove(&entry.turn);
            if queue.is_empty() {
                self.networks.remove(&network);
            }
        }
        Some(entry)
    }
}

/// The place of one connection among all; given back when dropped. It begins idle.
pub struct Seat {
    connections: Arc<Connections>,
    number: u64,
    state: Arc<State>,
}

impl Seat {
    /// Sets whether the connection is busy; a busy one is not closed to make room.
    pub fn busy(&self, busy: bool) {
        if !busy {
            self.state.idle.store(self.connections.turns.fetch_add(1, Relaxed), Relaxed);
        }
        self.state.busy.store(busy, Relaxed);
    }

    /// How long the connection may be idle: `most`, but less when more than half of all places are taken,
    /// down to a tenth (RFC 7766 §6.2.3).
    #[must_use]
    pub fn patience(&self, most: Duration) -> Duration {
        let all = self.connections.bounds.open.max(1);
        let free = all.saturating_sub(self.connections.open.load(Relaxed));
        let tenths = (20 * free / all).clamp(1, 10);
        most / 10 * u32::try_from(tenths).unwrap_or(10)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut table = self.connections.lock();
        table.remove(self.number);
        self.connections.count(&table);
    }
}

/// The network that a client's address stands for; see [`Bounds::each`].
fn network_of(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 72 << 72)),
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    fn connections(open: usize, each: usize) -> (Arc<Connections>, Arc<ConnectionCounters>) {
        let counters = Arc::<ConnectionCounters>::default();
        (Connections::new(Bounds { open, each }, Arc::clone(&counters)), counters)
    }

    fn is_open(connections: &Connections, seat: &Seat) -> bool {
        connections.lock().open.contains_key(&seat.number)
    }

    #[test]
    fn the_one_that_is_idle_for_longest_makes_room() {
        let (all, counters) = connections(3, 3);
        let seats: Vec<Seat> =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|a| all.seat(ip(a)).unwrap()).into();
        seats[0].busy(true);
        seats[1].busy(true);
        seats[1].busy(false);
        // The first is busy, the second has just become idle.
        let fourth = all.seat(ip("192.0.2.4")).unwrap();
        let open: Vec<bool> = seats.iter().map(|s| is_open(&all, s)).collect();
        assert_eq!(open, [true, true, false]);
        fourth.busy(true);
        seats[1].busy(true);
        assert!(all.seat(ip("192.0.2.5")).is_none(), "all are busy");
        assert_eq!((counters.open.load(Relaxed), counters.closed.load(Relaxed)), (3, 1));
        drop((seats, fourth));
        assert_eq!(counters.open.load(Relaxed), 0);
        assert!(all.lock().networks.is_empty());
    }

    #[test]
    fn a_network_closes_its_own_connections_first() {
        let (all, _) = connections(10, 2);
        let cases = [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("2001:db8:0:aa00::1", "2001:db8:0:aaff:ffff::2", true),
            ("2001:db8:0:aa00::1", "2001:db8:0:ab00::1", false),
        ];
        for (a, b, same) in cases {
            let other = all.seat(ip("198.51.100.1")).unwrap();
            let seats = [all.seat(ip(a)).unwrap(), all.seat(ip(a)).unwrap()];
            let third = all.seat(ip(b)).unwrap();
            assert_eq!(is_open(&all, &seats[0]), !same, "{a} {b}");
            assert!(is_open(&all, &other) && is_open(&all, &seats[1]) && is_open(&all, &third));
            seats[1].busy(true);
            third.busy(true);
            assert_eq!(all.seat(ip(b)).is_none(), same, "{a} {b}");
        }
    }

    #[test]
    fn patience_shrinks_as_places_are_taken() {
        let (all, _) = connections(10, 10);
        let mut seats = Vec::new();
        let mut patience = Vec::new();
        for _ in 0..10 {
            seats.push(all.seat(None).unwrap());
            patience.push(seats[0].patience(Duration::from_secs(10)).as_secs());
        }
        assert_eq!(patience, [10, 10, 10, 10, 10, 8, 6, 4, 2, 1]);
    }

    #[test]
    fn bounds_are_parts_of_what_there_is() {
        for (open, each) in [(1, 1), (3, 3), (16, 16), (40, 16), (100, 25), (4096, 1024)] {
            assert_eq!(Bounds::of(open), Bounds { open, each });
        }
        assert_eq!(Bounds::part(1, usize::MAX).open, room());
        assert_eq!(Bounds::part(usize::MAX, usize::MAX).open, 1);
        assert_eq!(Bounds::part(1, 2).open, 2);
    }

    /// Fails to accept, and counts the attempts.
    struct Exhausted(Arc<AtomicUsize>);

    impl Listener for Exhausted {
        type Stream = ();

        async fn accept(&self) -> io::Result<((), Option<SocketAddr>)> {
            self.0.fetch_add(1, Relaxed);
            Err(io::Error::other("too many open files"))
        }
    }

    #[tokio::test]
    async fn without_descriptors_it_waits_and_closes_idle_connections() {
        let (all, counters) = connections(10, 10);
        let seats = [all.seat(None).unwrap(), all.seat(None).unwrap()];
        seats[1].busy(true);
        let tries = Arc::<AtomicUsize>::default();
        let until = async {
            while counters.failed.load(Relaxed) < 3 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let listener = Exhausted(Arc::clone(&tries));
        let accepting = accept(listener, "a test", &all, until, |_| true, |(), _, _| async {});
        tokio::time::timeout(Duration::from_secs(10), accepting).await.expect("three failed attempts");
        assert_eq!(tries.load(Relaxed), 3, "each attempt is counted, and followed by a pause");
        assert_eq!([is_open(&all, &seats[0]), is_open(&all, &seats[1])], [false, true]);
    }
}
