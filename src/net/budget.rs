//! The memory that all connections may hold together, in octets: queries without an answer, and answers that the
//! client has not read. It is shared fairly: the connections that hold least are served longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Less than this, in octets, is not worth giving back.
const MUCH: usize = 1 << 20;

/// What all connections hold together, and the bound on it.
pub struct Budget {
    /// Beyond this many octets, only connections below a fair share may take more; beyond twice as many, none.
    limit: usize,
    used: AtomicUsize,
    /// The most that was held since [`Budget::has_fallen`] last said so.
    most: AtomicUsize,
    holders: AtomicUsize,
}

impl Budget {
    /// A budget of this many octets.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        let (used, most, holders) = Default::default();
        Arc::new(Self { limit, used, most, holders })
    }

    /// The octets that are held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// True once after the amount held has fallen a lot: time to give memory back.
    #[must_use]
    pub fn has_fallen(&self) -> bool {
        let used = self.used();
        let fallen = self.most.load(Relaxed) > 2 * used + MUCH;
        if fallen {
            self.most.store(used, Relaxed);
        }
        fallen
    }
}

/// One connection and what it holds.
pub struct Holder {
    budget: Arc<Budget>,
    held: AtomicUsize,
}

impl Holder {
    /// A new holder, which holds nothing yet.
    #[must_use]
    pub fn new(budget: &Arc<Budget>) -> Arc<Self> {
        budget.holders.fetch_add(1, Relaxed);
        Arc::new(Self { budget: Arc::clone(budget), held: AtomicUsize::new(0) })
    }

    /// Whether it may hold more: while there is room for all, or while it holds less than a fair share.
    #[must_use]
    pub fn may_hold_more(&self) -> bool {
        let Budget { limit, used, holders, .. } = &*self.budget;
        let used = used.load(Relaxed);
        used < *limit || (used < 2 * limit && self.held.load(Relaxed) < limit / holders.load(Relaxed).max(1))
    }

    /// Counts octets as held until the result is dropped.
    #[must_use]
    pub fn hold(self: &Arc<Self>, octets: usize) -> Held {
        let mut held = Held { holder: Arc::clone(self), octets: 0 };
        held.set(octets);
        held
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.budget.holders.fetch_sub(1, Relaxed);
    }
}

/// Octets that a connection holds.
pub struct Held {
    holder: Arc<Holder>,
    octets: usize,
}

impl Held {
    /// Changes the number of octets.
    pub fn set(&mut self, octets: usize) {
        let Budget { used, most, .. } = &*self.holder.budget;
        if octets > self.octets {
            let more = octets - self.octets;
            self.holder.held.fetch_add(more, Relaxed);
            most.fetch_max(used.fetch_add(more, Relaxed) + more, Relaxed);
        } else {
            self.holder.held.fetch_sub(self.octets - octets, Relaxed);
            used.fetch_sub(self.octets - octets, Relaxed);
        }
        self.octets = octets;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_limit_only_a_fair_share_is_left_and_beyond_twice_the_limit_nothing() {
        let budget = Budget::new(100);
        let (greedy, modest) = (Holder::new(&budget), Holder::new(&budget));
        let mut all = greedy.hold(99);
        assert!(greedy.may_hold_more() && modest.may_hold_more());
        all.set(100);
        assert!(!greedy.may_hold_more() && modest.may_hold_more());
        let some = modest.hold(50);
        assert!(!modest.may_hold_more(), "half of it is the share of one of two");
        drop(some);
        all.set(200);
        assert!(!modest.may_hold_more());
        drop((all, greedy));
        assert_eq!(budget.used(), 0);
        let _all = modest.hold(150);
        assert!(!modest.may_hold_more());
    }
}
