//! A bounded queue from the answering threads to one that writes or sends what they pass on: it drops and counts
//! items, and never blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// What a sink holds.
pub trait Item {
    /// The octets of the packets and texts in it. The memory that it takes beside them is bounded by the number
    /// of items.
    fn octets(&self) -> usize;
}

/// How much a sink holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// The most items.
    pub items: usize,
    /// The most octets in them.
    pub octets: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { items: 10_000, octets: 64 << 20 }
    }
}

/// The sending end, which the answering threads hold. It can be cloned, and may outlive the [`Drain`].
pub struct Sink<T> {
    sender: SyncSender<Queued<T>>,
    tally: Arc<Tally>,
}

impl<T> Clone for Sink<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), tally: Arc::clone(&self.tally) }
    }
}

/// The receiving end, which gives the items in the order in which they came.
pub struct Drain<T: Item> {
    receiver: Receiver<Queued<T>>,
    tally: Arc<Tally>,
}

/// What [`Drain::next_within`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Wait<T> {
    /// An item.
    Item(T),
    /// None in time.
    Idle,
    /// There will be no more: after [`Sink::end`], or when no sink is left.
    End,
}

/// The count of what a sink dropped; see [`Sink::drops`].
#[derive(Clone)]
pub struct Drops(Arc<Tally>);

impl Drops {
    /// Items dropped so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

struct Tally {
    dropped: AtomicU64,
    /// Octets in the queue.
    waiting: AtomicUsize,
    /// The most of them.
    octets: usize,
}

enum Queued<T> {
    Item(T),
    End,
}

impl<T: Item> Sink<T> {
    /// An empty sink and its receiving end.
    #[must_use]
    pub fn new(Capacity { items, octets }: Capacity) -> (Self, Drain<T>) {
        let (sender, receiver) = sync_channel(items);
        let tally = Arc::new(Tally { dropped: AtomicU64::new(0), waiting: AtomicUsize::new(0), octets });
        (Self { sender, tally: Arc::clone(&tally) }, Drain { receiver, tally })
    }

    /// Passes an item on; drops and counts it if there is no room, or if the [`Drain`] is gone.
    pub fn push(&self, item: T) {
        let octets = item.octets();
        let before = self.tally.waiting.fetch_add(octets, Relaxed);
        let fits = before.saturating_add(octets) <= self.tally.octets;
        if !fits || self.sender.try_send(Queued::Item(item)).is_err() {
            self.tally.waiting.fetch_sub(octets, Relaxed);
            self.tally.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Items dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.tally.dropped.load(Relaxed)
    }

    /// A count of what is dropped that does not keep the [`Drain`] from ending.
    #[must_use]
    pub fn drops(&self) -> Drops {
        Drops(Arc::clone(&self.tally))
    }

    /// Ends the [`Drain`] after the items that are in the queue now. Blocks while the queue is full.
    pub fn end(&self) {
        // If the drain is gone there is nothing to end.
        let _ = self.sender.send(Queued::End);
    }
}

impl<T: Item> Drain<T> {
    /// The next item; if the queue is empty, calls `idle`, then waits for one. `None` at the end: after
    /// [`Sink::end`], or when no sink is left.
    pub fn next_or(&mut self, idle: impl FnOnce()) -> Option<T> {
        let queued = match self.receiver.try_recv() {
            Err(TryRecvError::Empty) => {
                idle();
                self.receiver.recv().ok()
            }
            queued => queued.ok(),
        };
        self.taken(queued?)
    }

    /// The next item, or [`Wait::Idle`] if none comes in time.
    pub fn next_within(&mut self, limit: Duration) -> Wait<T> {
        match self.receiver.recv_timeout(limit) {
            Ok(queued) => self.taken(queued).map_or(Wait::End, Wait::Item),
            Err(RecvTimeoutError::Timeout) => Wait::Idle,
            Err(RecvTimeoutError::Disconnected) => Wait::End,
        }
    }

    fn taken(&self, queued: Queued<T>) -> Option<T> {
        match queued {
            Queued::Item(item) => {
                self.tally.waiting.fetch_sub(item.octets(), Relaxed);
                Some(item)
            }
            Queued::End => None,
        }
    }
}

impl<T: Item> Iterator for Drain<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.next_or(|| {})
    }
}

/// Counts the items that are left as dropped.
impl<T: Item> Drop for Drain<T> {
    fn drop(&mut self) {
        while let Ok(queued) = self.receiver.try_recv() {
            if matches!(queued, Queued::Item(_)) {
                self.tally.dropped.fetch_add(1, Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An item of so many octets.
    #[derive(Debug, PartialEq)]
    struct Octets(usize);

    impl Item for Octets {
        fn octets(&self) -> usize {
            self.0
        }
    }

    fn filled(items: usize, octets: usize, pushed: &[usize]) -> (Sink<Octets>, Drain<Octets>) {
        let (sink, drain) = Sink::new(Capacity { items, octets });
        pushed.iter().for_each(|octets| sink.clone().push(Octets(*octets)));
        (sink, drain)
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        for (items, octets, pushed, taken) in [
            (3, 100, &[1, 2, 3, 4, 5][..], &[1, 2, 3][..]),
            (9, 100, &[60, 41, 40, 1, 0], &[60, 40, 0]),
            (9, 100, &[101, 100], &[100]),
            (9, 100, &[usize::MAX, 100], &[100]),
            (9, 0, &[1, 0], &[0]),
        ] {
            let (sink, drain) = filled(items, octets, pushed);
            let dropped = pushed.len() - taken.len();
            assert_eq!(sink.dropped(), dropped as u64, "{pushed:?}");
            drop(sink);
            assert_eq!(drain.map(|item| item.0).collect::<Vec<_>>(), taken, "{pushed:?}");
        }
    }

    #[test]
    fn what_was_taken_makes_room() {
        let (sink, mut drain) = filled(2, 100, &[50, 50]);
        for octets in [50, 30, 20, 50] {
            assert!(drain.next().is_some());
            sink.push(Octets(octets));
        }
        assert_eq!(sink.dropped(), 0);
        sink.push(Octets(31));
        assert_eq!(sink.dropped(), 1);
    }

    #[test]
    fn what_waits_comes_before_the_end_and_the_rest_is_dropped() {
        let (sink, mut drain) = filled(5, 100, &[1, 2]);
        sink.end();
        sink.push(Octets(3));
        assert_eq!(drain.by_ref().collect::<Vec<_>>(), [Octets(1), Octets(2)]);
        drop(drain);
        sink.push(Octets(4));
        sink.end();
        assert_eq!(sink.dropped(), 2, "behind the end, and when nobody listened any more");
    }

    #[test]
    fn who_takes_items_hears_when_there_is_none() {
        let (sink, mut drain) = filled(5, 100, &[1]);
        assert_eq!(drain.next_or(|| panic!("there is one")), Some(Octets(1)));
        assert_eq!(drain.next_or(|| sink.push(Octets(2))), Some(Octets(2)));
        assert_eq!(drain.next_or(|| sink.end()), None);
    }

    #[test]
    fn who_waits_a_while_hears_an_item_nothing_or_the_end() {
        let (sink, mut drain) = filled(5, 100, &[1]);
        assert_eq!(drain.next_within(Duration::MAX), Wait::Item(Octets(1)));
        assert_eq!(drain.next_within(Duration::ZERO), Wait::Idle);
        sink.end();
        assert_eq!(drain.next_within(Duration::MAX), Wait::End);
        drop(sink);
        assert_eq!(drain.next_within(Duration::MAX), Wait::End);
    }
}
