//! Runs jobs at their due time, on a thread of its own: to a fraction of a millisecond, in bounded memory.
//!
//! The timers of the runtime count whole milliseconds, which is too coarse for a forged reply that must
//! arrive a millisecond after its query.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::resolver::moment::Clock;

/// Limits on the jobs that wait.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The most jobs at once.
    pub count: usize,
    /// The most octets of packets in them.
    pub octets: usize,
}

impl Default for Bound {
    fn default() -> Self {
        Self { count: 65_536, octets: 64 << 20 }
    }
}

/// A job to be done.
type Job = Box<dyn FnOnce() + Send>;

/// The jobs that wait, and the thread that runs them.
pub struct Delayer {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Signals a job earlier than all others, or the end.
    sooner: Condvar,
    bound: Bound,
    clock: Clock,
    hurried: AtomicU64,
}

#[derive(Default)]
struct Queue {
    /// The due time, then the order of arrival.
    times: BinaryHeap<Reverse<(Instant, u64)>>,
    jobs: std::collections::HashMap<u64, (usize, Job)>,
    octets: usize,
    next: u64,
    ended: bool,
}

impl Delayer {
    /// Starts the thread.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(clock: Clock, bound: Bound) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            sooner: Condvar::new(),
            bound,
            clock,
            hurried: AtomicU64::new(0),
        });
        let own = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("delay".into()).spawn(move || own.run())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Runs `job` at `due`, or at once if that has passed or too many others wait already; returns whether
    /// it waits.
    pub fn at(&self, due: Instant, octets: usize, job: impl FnOnce() + Send + 'static) -> bool {
        if due <= (self.shared.clock)().at {
            job();
            return false;
        }
        self.in_turn(due, octets, job)
    }

    /// Runs `job` at `due`, and never before others that are due earlier, even if they are late; at once if
    /// too many others wait already. Returns whether it waits.
    pub fn in_turn(&self, due: Instant, octets: usize, job: impl FnOnce() + Send + 'static) -> bool {
        let mut queue = self.shared.lock();
        let full =
            queue.jobs.len() >= self.shared.bound.count || queue.octets + octets > self.shared.bound.octets;
        if full || queue.ended {
            drop(queue);
            if full && self.shared.hurried.fetch_add(1, Relaxed) == 0 {
                tracing::warn!("too many packets are delayed at once; some are sent early");
            }
            job();
            return false;
        }
        let number = queue.next;
        queue.next += 1;
        queue.octets += octets;
        queue.jobs.insert(number, (octets, Box::new(job)));
        let sooner = queue.times.peek().is_none_or(|Reverse((first, _))| due < *first);
        queue.times.push(Reverse((due, number)));
        drop(queue);
        if sooner {
            self.shared.sooner.notify_one();
        }
        true
    }

    /// How many jobs ran early because too many waited.
    #[must_use]
    pub fn hurried(&self) -> u64 {
        self.shared.hurried.load(Relaxed)
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().jobs.len()
    }

    /// Ends the thread; jobs that still wait are dropped.
    pub fn stop(&self) {
        let jobs = {
            let mut queue = self.shared.lock();
            queue.ended = true;
            queue.times.clear();
            std::mem::take(&mut queue.jobs)
        };
        self.shared.sooner.notify_one();
        drop(jobs);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|t| t.join().is_err()) {
            tracing::error!("the thread for delayed packets ended by a panic");
        }
    }
}

impl Drop for Delayer {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut due = Vec::new();
        let mut queue = self.lock();
        while !queue.ended {
            let now = (self.clock)().at;
            while let Some(Reverse((time, number))) = queue.times.peek().copied()
                && time <= now
            {
                queue.times.pop();
                if let Some((octets, job)) = queue.jobs.remove(&number) {
                    queue.octets -= octets;
                    due.push(job);
                }
            }
            if !due.is_empty() {
                // Sending takes time, during which others may queue jobs.
                drop(queue);
                due.drain(..).for_each(|job| job());
                queue = self.lock();
                continue;
            }
            let wait = queue.times.peek().map(|Reverse((time, _))| time.saturating_duration_since(now));
            queue = match wait {
                None => self.sooner.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    // The kernel may wake the thread early; this loop waits for the rest.
                    let waited = self.sooner.wait_timeout(queue, wait.max(Duration::from_micros(1)));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[expect(clippy::disallowed_methods, reason = "the test has no other clock")]
    fn now() -> crate::resolver::moment::Moment {
        crate::resolver::moment::Moment { at: Instant::now(), unix: 0 }
    }

    /// How long a test waits for an expected event.
    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn things_are_done_in_the_order_of_their_times_and_never_early() {
        let delayer = Delayer::start(now, Bound::default()).unwrap();
        let (sender, receiver) = mpsc::channel();
        // No job runs before all are queued, however long this thread is delayed: the delayer's thread is busy
        // until then, and `in_turn` runs nothing on this one.
        let ((began, begun), (go, held)) = (mpsc::channel(), mpsc::channel::<()>());
        let start = now().at;
        delayer.in_turn(start, 1, move || {
            began.send(()).unwrap();
            held.recv_timeout(PATIENCE).unwrap();
        });
        begun.recv_timeout(PATIENCE).unwrap();
        for (name, millis) in [("c", 30u64), ("a", 5), ("b", 20), ("first", 0), ("d", 30)] {
            let sender = sender.clone();
            delayer.in_turn(start + Duration::from_millis(millis), 1, move || {
                sender
                    .send((name, now().at.duration_since(start).as_millis() >= u128::from(millis)))
                    .unwrap();
            });
        }
        go.send(()).unwrap();
        let done: Vec<_> = (0..5).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(done, [("first", true), ("a", true), ("b", true), ("c", true), ("d", true)]);
    }

    #[test]
    fn what_waits_is_not_overtaken_by_what_comes_late() {
        let delayer = Delayer::start(now, Bound::default()).unwrap();
        let (sender, receiver) = mpsc::channel();
        let start = now().at;
        let ((began, begun), (go, held)) = (mpsc::channel(), mpsc::channel::<()>());
        delayer.in_turn(start, 1, move || {
            began.send(()).unwrap();
            held.recv_timeout(PATIENCE).unwrap();
        });
        begun.recv_timeout(PATIENCE).unwrap();
        // All of these are late by now.
        for number in [1, 2] {
            let sender = sender.clone();
            assert!(delayer.in_turn(start, 1, move || sender.send(number).unwrap()));
        }
        assert!(!delayer.at(start, 1, move || sender.send(0).unwrap()));
        go.send(()).unwrap();
        let done: Vec<_> = (0..3).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(done, [0, 1, 2]);
    }

    #[test]
    fn what_is_too_much_is_done_at_once_and_counted() {
        let delayer = Delayer::start(now, Bound { count: 2, octets: 100 }).unwrap();
        let (sender, receiver) = mpsc::channel();
        let later = now().at + Duration::from_secs(3600);
        for (number, octets) in [(0, 60), (1, 60), (2, 40), (3, 0)] {
            let sender = sender.clone();
            delayer.at(later, octets, move || sender.send(number).unwrap());
        }
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), [1, 3]);
        assert_eq!((delayer.hurried(), delayer.waiting()), (2, 2));
        delayer.stop();
        drop(sender);
        let end = receiver.recv_timeout(PATIENCE);
        assert_eq!(end, Err(mpsc::RecvTimeoutError::Disconnected), "jobs that still wait are dropped");
    }
}
