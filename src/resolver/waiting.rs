//! The queries that wait for an upstream: limited in number, and one upstream query per question.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use super::moment::Moment;
use crate::cache::store::Stored;
use crate::dns::Name;
use crate::upstream::Failure;

/// Number of counters among which domains, and networks of clients, are divided by hash, to limit the share
/// of each.
const SLOTS: usize = 4096;
/// The octets of two labels and the root, at most.
const MAX_DOMAIN: usize = 129;
/// Fewer places than this are not shared out: nobody would have enough.
const MIN_SHARED: usize = 64;
/// The score of a domain whose questions were all answered.
const BEST: u32 = 1024;

/// The result of a query to the upstreams.
pub(super) type Fetched = Result<Stored, Failure>;

/// Wakes a waiting query, with the result and its time.
pub(super) type Wake = Box<dyn FnOnce(&Fetched, Moment) + Send>;

/// The waiting queries, by question and upstreams.
type Same = HashMap<Box<[u8]>, Vec<Wake>, RandomState>;

/// The waiting queries: how many, for which domains and clients, and which share a question.
///
/// Places are shared out by what is free: a domain or a network of clients that has as many as are left gets
/// no more. So whoever takes many leaves room for the others, however many names and domains are asked for;
/// and a domain that has been answered lately goes before those that nobody answers.
pub struct Waiting {
    count: AtomicUsize,
    /// By the hash of a name's last two labels.
    domains: Box<[Domain]>,
    /// How many wait for clients of one network, by its hash.
    clients: Box<[AtomicUsize]>,
    hasher: RandomState,
    same: Mutex<Same>,
}

#[derive(Default)]
struct Domain {
    waiting: AtomicUsize,
    /// How many of its questions were answered lately: 0 to [`BEST`].
    score: AtomicU32,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            domains: (0..SLOTS).map(|_| Domain::default()).collect(),
            clients: (0..SLOTS).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
            same: Mutex::default(),
        }
    }
}

/// Permission to wait; given back when dropped.
pub struct Permit {
    waiting: Arc<Waiting>,
    domain: usize,
    client: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.waiting.count.fetch_sub(1, Relaxed);
        if let Some(domain) = self.waiting.domains.get(self.domain) {
            domain.waiting.fetch_sub(1, Relaxed);
        }
        if let Some(client) = self.waiting.clients.get(self.client) {
            client.fetch_sub(1, Relaxed);
        }
    }
}

impl Waiting {
    /// A permit for a client to wait for a name, if fewer than `limit` are in use and there are some for
    /// this client and domain.
    #[must_use]
    pub fn permit(self: &Arc<Self>, qname: Name<'_>, client: IpAddr, limit: usize) -> Option<Permit> {
        let (domain, client) = (self.domain_slot(qname), self.client_slot(client));
        let permit = Permit { waiting: Arc::clone(self), domain, client };
        let free = limit.saturating_sub(self.count.fetch_add(1, Relaxed));
        let (same_domain, score) = self
            .domains
            .get(domain)
            .map_or((0, 0), |d| (d.waiting.fetch_add(1, Relaxed), d.score.load(Relaxed)));
        let same_client = self.clients.get(client).map_or(0, |c| c.fetch_add(1, Relaxed));
        let share = match () {
            () if limit < MIN_SHARED => limit,
            () if score >= BEST / 4 => free.saturating_mul(3),
            () => free,
        };
        let granted = free > 0 && same_domain < limit.div_ceil(4).min(share) && same_client < share;
        granted.then_some(permit)
    }

    /// A question for a name was answered, or was not.
    pub(super) fn learn(&self, qname: Name<'_>, answered: bool) {
        let Some(domain) = self.domains.get(self.domain_slot(qname)) else { return };
        let score = domain.score.load(Relaxed);
        // Two at once may lose one; that is no harm.
        let next = if answered {
            (score + (BEST - score).div_ceil(8)).max(BEST / 2)
        } else {
            score - score.div_ceil(8)
        };
        if next != score {
            domain.score.store(next, Relaxed);
        }
    }

    /// How many queries are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// True if no query is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn domain_slot(&self, qname: Name<'_>) -> usize {
        let name = qname.as_bytes();
        // From the last label but one: the name's own octets, in lower case.
        let mut starts = [0; 2];
        let mut at = 0;
        while let Some(len) = name.get(at).filter(|len| **len > 0) {
            starts = [starts[1], at];
            at += usize::from(*len) + 1;
        }
        let domain = name.get(starts[0]..).unwrap_or_default();
        let mut lower = [0; MAX_DOMAIN];
        let lower = lower.get_mut(..domain.len()).unwrap_or_default();
        lower.copy_from_slice(domain.get(..lower.len()).unwrap_or_default());
        lower.make_ascii_lowercase();
        // At once: it costs a lot more octet by octet.
        let mut hasher = self.hasher.build_hasher();
        hasher.write(lower);
        slot(&hasher)
    }

    /// An IPv4 address, or an IPv6 /56: what one client may have.
    fn client_slot(&self, client: IpAddr) -> usize {
        let mut hasher = self.hasher.build_hasher();
        match client.to_canonical() {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()[..7]),
        }
        slot(&hasher)
    }

    /// Joins the queries for the same question; true for the first, which must query the upstreams for all.
    pub(super) fn join(&self, asked: &[u8], wake: Wake) -> bool {
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        match same.entry(asked.into()) {
            Entry::Occupied(mut others) => {
                others.get_mut().push(wake);
                false
            }
            Entry::Vacant(free) => {
                free.insert(vec![wake]);
                true
            }
        }
    }

    /// Removes and returns all that wait for the answer to the question.
    pub(super) fn take(&self, asked: &[u8]) -> Vec<Wake> {
        self.same.lock().unwrap_or_else(PoisonError::into_inner).remove(asked).unwrap_or_default()
    }
}

fn slot(hasher: &impl Hasher) -> usize {
    usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::NameBuf;

    const LIMIT: usize = 400;

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    /// As many permits as a client gets for names of different domains.
    fn flood(waiting: &Arc<Waiting>, from: IpAddr) -> Vec<Permit> {
        (0..LIMIT)
            .map_while(|n| waiting.permit(name(&format!("a.lost{n}.example{n}")).as_name(), from, LIMIT))
            .collect()
    }

    #[test]
    fn a_flood_of_many_domains_leaves_others_their_places() {
        let waiting = Arc::new(Waiting::default());
        let floods: Vec<_> = (1..=3).map(|n| flood(&waiting, client(n))).collect();
        assert_eq!(floods[0].len(), LIMIT / 2);
        assert!(floods.iter().all(|flood| flood.len() >= LIMIT / 8), "each gets a share of what is left");
        // Somebody else, for any domain.
        let other = waiting.permit(name("www.new.example").as_name(), client(9), LIMIT);
        assert!(other.is_some());
    }

    #[test]
    fn a_domain_that_is_answered_goes_before_those_that_are_not() {
        let waiting = Arc::new(Waiting::default());
        let good = name("www.good.example");
        waiting.learn(good.as_name(), true);
        let _flood = flood(&waiting, client(1));
        // The client that floods asks for it.
        assert!(waiting.permit(good.as_name(), client(1), LIMIT).is_some());
        assert!(waiting.permit(name("www.new.example").as_name(), client(1), LIMIT).is_none());
        (0..20).for_each(|_| waiting.learn(good.as_name(), false));
        assert!(waiting.permit(good.as_name(), client(1), LIMIT).is_none());
    }

    #[test]
    fn one_domain_gets_a_quarter() {
        let waiting = Arc::new(Waiting::default());
        let ask = |n: u8| waiting.permit(name(&format!("n{n}.lost.example")).as_name(), client(n), LIMIT);
        let permits: Vec<_> = (0..=255).map_while(ask).collect();
        assert_eq!(permits.len(), LIMIT / 4);
        drop(permits);
        assert!(waiting.is_empty());
    }
}
