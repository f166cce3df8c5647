//! Orders, which take precedence over all rules: pause, allow a name, block a name, given at run time.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::dns::NameBuf;

/// The clients that an order applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All clients.
    Everyone,
    /// A group, by its name.
    Group(String),
    /// Clients with addresses in a network.
    Client(IpNet),
}

/// What an order does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Nothing is blocked.
    Pause,
    /// This name and its subdomains pass.
    Allow(NameBuf),
    /// This name and its subdomains are blocked.
    Block(NameBuf),
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its number, for revoking it.
    pub id: u32,
    /// What it does.
    pub what: What,
    /// The clients that it applies to.
    pub whom: Whom,
    /// When it was given, in seconds since 1970 (UTC).
    pub since: i64,
    /// When it ends, in seconds since 1970 (UTC); `None`: when it is revoked.
    pub until: Option<i64>,
    /// Survives a restart.
    pub keep: bool,
}

/// The effect of an order on a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordered {
    /// Blocking is paused.
    Paused,
    /// The name passes.
    Allowed,
    /// The name is blocked.
    Blocked,
}

/// The most orders at a time.
pub const MAX_ORDERS: usize = 10_000;

/// The orders that were given, oldest first. Immutable: a change makes a new value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    all: Vec<Order>,
    last: u32,
}

impl Orders {
    /// Orders restored from a file, in order.
    #[must_use]
    pub fn kept(all: Vec<Order>) -> Self {
        let last = all.iter().map(|o| o.id).max().unwrap_or(0);
        Self { all, last }
    }

    /// The orders, including those that have ended since the last change.
    #[must_use]
    pub fn all(&self) -> &[Order] {
        &self.all
    }

    /// Adds an order. It replaces earlier ones for the same name and clients, but not one that outlasts it,
    /// which is in force again when this one has ended. Returns its number; `None` if there are too many.
    #[must_use]
    pub fn with(&self, order: Order, now: i64) -> Option<(Self, u32)> {
        let mut next = self.without_ended(now);
        let subject = |o: &Order| match &o.what {
            What::Pause => None,
            What::Allow(name) | What::Block(name) => Some(name.clone()),
        };
        let same = |o: &Order| subject(o) == subject(&order) && o.whom == order.whom;
        let forever = |o: &Order| o.until.unwrap_or(i64::MAX);
        // Across a restart, an order that is not kept ends.
        let outlasts = |o: &Order| forever(o) > forever(&order) || o.keep && !order.keep;
        next.all.retain(|o| !same(o) || outlasts(o));
        if next.all.len() >= MAX_ORDERS {
            return None;
        }
        next.last = next.last.wrapping_add(1).max(1);
        let id = next.last;
        next.all.push(Order { id, ..order });
        Some((next, id))
    }

    /// Removes those that `gone` selects; returns how many.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&Order) -> bool, now: i64) -> (Self, usize) {
        let mut next = self.without_ended(now);
        let before = next.all.len();
        next.all.retain(|o| !gone(o));
        let taken = before - next.all.len();
        (next, taken)
    }

    fn without_ended(&self, now: i64) -> Self {
        let all = self.all.iter().filter(|o| o.is_in_force(now)).cloned().collect();
        Self { all, last: self.last }
    }
}

impl Order {
    /// True until it ends.
    #[must_use]
    pub fn is_in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// How closely it fits a client: 3 by its address, 2 by its group, 1 because it is for all; `None`: not
    /// at all.
    #[must_use]
    pub fn fits(&self, client: IpAddr, group: Option<&str>) -> Option<u8> {
        match &self.whom {
            Whom::Everyone => Some(1),
            Whom::Group(name) => (group == Some(name.as_str())).then_some(2),
            Whom::Client(network) => network.contains(&client.to_canonical()).then_some(3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Policy;
    use super::super::active::Active;
    use super::*;

    fn name(text: &str) -> NameBuf {
        NameBuf::from_text(text).unwrap()
    }

    /// `WHAT [NAME] [for WHOM] [until SECOND] [kept]`; `WHOM` is a network or a group.
    fn order(text: &str) -> Order {
        let words: Vec<&str> = text.split(' ').collect();
        let after = |word| words.iter().position(|w| *w == word).map(|at| words[at + 1]);
        let what = match words[0] {
            "pause" => What::Pause,
            "allow" => What::Allow(name(words[1])),
            "block" => What::Block(name(words[1])),
            other => panic!("{other}"),
        };
        let whom = after("for").map_or(Whom::Everyone, |whom| match whom.parse() {
            Ok(network) => Whom::Client(network),
            Err(_) => Whom::Group(whom.to_owned()),
        });
        let until = after("until").map(|second| second.parse().unwrap());
        Order { id: 0, what, whom, since: 0, until, keep: words.contains(&"kept") }
    }

    /// The orders after each of these was given at second 0.
    fn given(orders: &[&str]) -> Orders {
        orders.iter().fold(Orders::default(), |all, text| all.with(order(text), 0).unwrap().0)
    }

    #[test]
    fn an_order_does_not_replace_one_that_outlasts_it() {
        for (orders, standing) in [
            (&["allow a.test", "block a.test"][..], &[2][..]),
            (&["allow a.test", "block b.test"], &[1, 2]),
            (&["allow a.test", "block A.test."], &[2]),
            (&["allow a.test", "allow a.test for kids"], &[1, 2]),
            (&["allow a.test for 10.0.0.0/8", "block a.test for 10.0.0.0/8"], &[2]),
            (&["allow a.test for 10.0.0.0/8", "block a.test for 10.0.0.0/9"], &[1, 2]),
            (&["pause", "pause for kids"], &[1, 2]),
            (&["pause", "allow a.test"], &[1, 2]),
            // The longer one is in force again when the shorter one has ended.
            (&["allow a.test", "block a.test until 60"], &[1, 2]),
            (&["allow a.test until 60", "block a.test"], &[2]),
            (&["allow a.test until 60", "block a.test until 60"], &[2]),
            (&["allow a.test until 61", "block a.test until 60"], &[1, 2]),
            (&["pause until 60", "pause until 90"], &[2]),
            (&["pause until 90", "pause until 60", "pause until 90"], &[3]),
            // A kept order is replaced only by another kept one.
            (&["pause kept", "pause"], &[1, 2]),
            (&["pause kept", "pause kept"], &[2]),
            (&["pause kept", "pause kept until 60"], &[1, 2]),
            (&["pause", "pause kept"], &[2]),
            (&["block a.test kept until 60", "allow a.test"], &[1, 2]),
            (&["block a.test kept until 60", "allow a.test", "allow a.test kept"], &[3]),
        ] {
            let ids: Vec<u32> = given(orders).all().iter().map(|o| o.id).collect();
            assert_eq!(ids, standing, "{orders:?}");
        }
    }

    #[test]
    fn orders_end_are_revoked_and_keep_their_numbers() {
        let all = given(&["pause until 60", "allow a.test", "block b.test kept"]);
        let (next, id) = all.with(order("allow c.test"), 60).unwrap();
        assert_eq!((id, next.all().iter().map(|o| o.id).collect::<Vec<_>>()), (4, vec![2, 3, 4]));
        let (next, count) = next.without(|o| o.id == 4 || o.id == 1, 60);
        assert_eq!(count, 1, "one has ended already");
        assert_eq!(next.with(order("pause"), 60).unwrap().1, 5, "no number is used twice");
        let kept: Vec<Order> = next.all().iter().filter(|o| o.keep).cloned().collect();
        assert_eq!(Orders::kept(kept).with(order("pause"), 0).unwrap().1, 4);
    }

    #[test]
    fn the_number_of_orders_is_limited() {
        let many = |id| Order { id, ..order(&format!("allow n{id}.test until 60")) };
        let full = Orders::kept((1..).take(MAX_ORDERS).map(many).collect());
        assert_eq!(full.with(order("pause"), 0), None);
        assert!(full.with(order("block n7.test"), 0).is_some(), "replaces another");
        assert!(full.with(order("pause"), 60).is_some(), "all have ended");
    }

    #[test]
    fn what_is_ordered_about_a_name() {
        use Ordered::{Allowed, Blocked, Paused};
        // At the second that the row gives, for a.b.test and 10.0.0.7 in the group `kids`.
        for (orders, now, expected) in [
            (&[][..], 0, None),
            (&["allow a.b.test"][..], 0, Some((Allowed, 1))),
            (&["block b.test"], 0, Some((Blocked, 1))),
            (&["block B.TEST"], 0, Some((Blocked, 1))),
            (&["block ."], 0, Some((Blocked, 1))),
            (&["block x.a.b.test", "allow other.test", "block aa.b.test"], 0, None),
            // The longer name.
            (&["allow b.test", "block a.b.test"], 0, Some((Blocked, 2))),
            (&["block a.b.test", "allow b.test"], 0, Some((Blocked, 1))),
            (&["block a.b.test", "allow b.test for 10.0.0.7/32"], 0, Some((Blocked, 1))),
            // The closer fit: the client, then its group, then all.
            (&["allow b.test for kids", "block b.test"], 0, Some((Allowed, 1))),
            (&["allow b.test for 10.0.0.0/8", "block b.test for kids"], 0, Some((Allowed, 1))),
            (&["allow b.test for 10.0.0.0/8", "block b.test"], 0, Some((Allowed, 1))),
            (&["allow b.test for 10.0.0.8/32", "block b.test for staff"], 0, None),
            // The later one.
            (&["allow b.test for 10.0.0.0/8", "block b.test for 10.0.0.0/9"], 0, Some((Blocked, 2))),
            (&["allow b.test", "block b.test until 60"], 59, Some((Blocked, 2))),
            // It ends at its second, and the order that it preceded is in force again.
            (&["allow b.test", "block b.test until 60"], 60, Some((Allowed, 1))),
            (&["block b.test until 60"], 60, None),
            (&["pause until 60"], 59, Some((Paused, 1))),
            (&["pause until 60"], 60, None),
            // An order for a name takes precedence over a pause.
            (&["pause", "block b.test"], 0, Some((Blocked, 2))),
            (&["block b.test", "pause for 10.0.0.7/32"], 0, Some((Blocked, 1))),
            (&["block other.test", "pause for kids"], 0, Some((Paused, 2))),
            (&["pause for staff", "pause for 10.1.0.0/16"], 0, None),
            // The clock was set back to before all orders.
            (&["block b.test until 60"], -100, Some((Blocked, 1))),
        ] {
            let active = Active::new(&Policy::default(), &given(orders), now);
            let client = "::ffff:10.0.0.7".parse().unwrap();
            let ordered = active.ordered(name("a.B.test").as_name(), client, Some("kids"));
            assert_eq!(ordered, expected, "{orders:?} at {now}");
        }
    }

    #[test]
    fn what_is_in_force_holds_until_the_next_order_ends() {
        let orders = given(&["pause until 60", "block b.test until 90", "allow c.test"]);
        for (now, holds, ends) in [(0, 59, 60), (60, 89, 90), (90, i64::MAX - 1, i64::MAX)] {
            let active = Active::new(&Policy::default(), &orders, now);
            assert!(active.holds_at(now) && active.holds_at(holds) && !active.holds_at(ends), "{now}");
            assert!(!active.holds_at(now - 1), "a clock that was set back, at {now}");
        }
    }
}
