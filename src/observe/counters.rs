//! Counters, one set per thread, summed on read. Names from queries are never labels.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::event::{Event, Source};
use super::stats::SinkStats;
use crate::dns::Transport;
use crate::policy::Class;

/// Lists with a counter of their own; the rules of all further lists are counted together.
pub const MAX_LISTS: usize = 256;
/// Response codes above this are counted as this.
const MAX_RCODE: usize = 24;

/// The counters of one thread. Alignment keeps two threads' counters off one cache line.
#[repr(align(128))]
pub struct Counters {
    udp: AtomicU64,
    tcp: AtomicU64,
    unanswered: AtomicU64,
    verdicts: [AtomicU64; Class::ALL.len()],
    sources: [AtomicU64; Source::ALL.len()],
    rcodes: [AtomicU64; MAX_RCODE + 1],
    lists: [AtomicU64; MAX_LISTS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            udp: AtomicU64::new(0),
            tcp: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            verdicts: std::array::from_fn(|_| AtomicU64::new(0)),
            sources: std::array::from_fn(|_| AtomicU64::new(0)),
            rcodes: std::array::from_fn(|_| AtomicU64::new(0)),
            lists: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// A place to count queries.
pub trait Count {
    /// Counts one query. `list_slot` is the counter of the list that blocked, allowed or logged it.
    fn count(&mut self, event: &Event, list_slot: Option<u16>);
}

/// Counters that one thread writes and all may read: a plain store is enough.
pub struct OwnCounters(Arc<Counters>);

impl Count for OwnCounters {
    fn count(&mut self, event: &Event, list_slot: Option<u16>) {
        self.0.each(event, list_slot, |counter| {
            counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
        });
    }
}

/// Counters that several threads write.
impl Count for &Counters {
    fn count(&mut self, event: &Event, list_slot: Option<u16>) {
        self.each(event, list_slot, |counter| {
            counter.fetch_add(1, Relaxed);
        });
    }
}

impl Counters {
    /// Calls `count` on each counter that the query belongs to.
    fn each(&self, event: &Event, list_slot: Option<u16>, count: impl Fn(&AtomicU64)) {
        let add = |counter: Option<&AtomicU64>| {
            if let Some(counter) = counter {
                count(counter);
            }
        };
        add(Some(match event.transport {
            Transport::Udp => &self.udp,
            Transport::Tcp => &self.tcp,
        }));
        if !matches!(event.source, Source::Malformed | Source::Guard) {
            add(self.verdicts.get(event.verdict.class() as usize));
        }
        add(self.sources.get(event.source as usize));
        match event.rcode {
            Some(rcode) => add(self.rcodes.get(usize::from(rcode.0).min(MAX_RCODE))),
            None => add(Some(&self.unanswered)),
        }
        if let Some(slot) = list_slot {
            add(self.lists.get(usize::from(slot).min(MAX_LISTS - 1)));
        }
    }
}

/// What happened to TCP connections, including those of protocols on top of TCP.
#[derive(Debug, Default)]
pub struct ConnectionCounters {
    /// Those open now.
    pub open: AtomicU64,
    /// Those closed at once: the client is not allowed, or every connection was in use.
    pub refused: AtomicU64,
    /// Those closed while idle, to make room for another.
    pub closed: AtomicU64,
    /// How often accepting failed, usually because all file descriptors were in use.
    pub failed: AtomicU64,
    /// How often one was not read from, or was closed, because all together held too much memory.
    pub over_budget: AtomicU64,
}

/// What became of queries beyond the limit on replies.
#[derive(Debug, Default)]
pub struct RateLimitCounters {
    /// Those that got no reply.
    pub dropped: AtomicU64,
    /// Those that got a truncated reply, or BADCOOKIE.
    pub slipped: AtomicU64,
}

/// All threads' counters.
#[derive(Default)]
pub struct CounterSet {
    /// The connections that carry queries.
    pub connections: Arc<ConnectionCounters>,
    /// What became of the lines for the query log and dnstap.
    pub sinks: Arc<SinkStats>,
    /// The queries beyond the limit on replies.
    pub ratelimit: RateLimitCounters,
    /// Reloads that changed nothing, because something could not be read.
    pub failed_reloads: AtomicU64,
    threads: Mutex<Vec<Arc<Counters>>>,
    lists: Mutex<Vec<String>>,
}

/// The sums at one point in time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Queries received, by transport.
    pub queries: Vec<(&'static str, u64)>,
    /// Queries that the policy decided, by verdict.
    pub verdicts: Vec<(&'static str, u64)>,
    /// Queries, by the step that produced the reply.
    pub sources: Vec<(&'static str, u64)>,
    /// Replies sent, by response code (its number).
    pub rcodes: Vec<(u16, u64)>,
    /// Queries left without a reply.
    pub unanswered: u64,
    /// Queries that a rule of a list decided, by name of the list.
    pub lists: Vec<(String, u64)>,
}

impl CounterSet {
    /// A new set that only one thread writes.
    #[must_use]
    pub fn own(&self) -> OwnCounters {
        OwnCounters(self.shared())
    }

    /// A new set that several threads write.
    #[must_use]
    pub fn shared(&self) -> Arc<Counters> {
        let counters = Arc::new(Counters::default());
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The counter that a list keeps across reloads, by name of the list.
    #[must_use]
    pub fn list_slot(&self, name: &str) -> u16 {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lists.iter().position(|l| l == name).unwrap_or_else(|| {
            if lists.len() == MAX_LISTS - 1 {
                lists.push("(other lists)".to_owned());
            } else if lists.len() < MAX_LISTS {
                lists.push(name.to_owned());
            }
            lists.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    /// Sums all threads.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |get: &dyn Fn(&Counters) -> Option<&AtomicU64>| -> u64 {
            threads.iter().filter_map(|t| get(t)).map(|c| c.load(Relaxed)).sum()
        };
        let lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        Totals {
            queries: vec![("udp", sum(&|t| Some(&t.udp))), ("tcp", sum(&|t| Some(&t.tcp)))],
            verdicts: Class::ALL.iter().map(|c| (c.word(), sum(&|t| t.verdicts.get(*c as usize)))).collect(),
            sources: Source::ALL.iter().map(|s| (s.word(), sum(&|t| t.sources.get(*s as usize)))).collect(),
            rcodes: (0u16..)
                .take(MAX_RCODE + 1)
                .map(|code| (code, sum(&|t| t.rcodes.get(usize::from(code)))))
                .filter(|(_, n)| *n > 0)
                .collect(),
            unanswered: sum(&|t| Some(&t.unanswered)),
            lists: lists.iter().enumerate().map(|(i, n)| (n.clone(), sum(&|t| t.lists.get(i)))).collect(),
        }
    }
}
