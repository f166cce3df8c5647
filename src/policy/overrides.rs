//! What an operator orders at run time, for a while: pause, allow a name, block a name.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::dns::name::NameBuf;

/// Whom an order is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All clients.
    Everyone,
    /// A group, by its name.
    Group(String),
    /// Clients with addresses in a network.
    Client(IpNet),
}

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Nothing is blocked.
    Pause,
    /// This name and those below it pass.
    Allow(NameBuf),
    /// This name and those below it are blocked.
    Block(NameBuf),
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Its number, for whoever takes it back.
    pub id: u32,
    /// What.
    pub order: Order,
    /// For whom.
    pub whom: Whom,
    /// When it was given, in seconds since 1970 (UTC).
    pub since: i64,
    /// When it ends, in seconds since 1970 (UTC); `None`: when it is taken back.
    pub until: Option<i64>,
    /// Survives a restart.
    pub keep: bool,
}

/// The most orders at once.
pub const MAX_OVERRIDES: usize = 10_000;

/// The orders that were given, in order. A value: a change makes the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    all: Vec<Override>,
    last: u32,
}

impl Overrides {
    /// Those that were kept, in order.
    #[must_use]
    pub fn kept(all: Vec<Override>) -> Self {
        let last = all.iter().map(|o| o.id).max().unwrap_or(0);
        Self { all, last }
    }

    /// The orders, those that have ended among them until the next change.
    #[must_use]
    pub fn all(&self) -> &[Override] {
        &self.all
    }

    /// With one more, which takes the place of an earlier one for the same name and clients. Gives its
    /// number; `None` if there are too many.
    #[must_use]
    pub fn with(&self, order: Override, now: i64) -> Option<(Self, u32)> {
        let mut next = self.without_ended(now);
        let subject = |o: &Override| match &o.order {
            Order::Pause => None,
            Order::Allow(name) | Order::Block(name) => Some(name.clone()),
        };
        let same = |o: &Override| subject(o) == subject(&order) && o.whom == order.whom;
        next.all.retain(|o| !same(o));
        if next.all.len() >= MAX_OVERRIDES {
            return None;
        }
        next.last = next.last.wrapping_add(1).max(1);
        let id = next.last;
        next.all.push(Override { id, ..order });
        Some((next, id))
    }

    /// Without those that `gone` picks; gives how many they were.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&Override) -> bool, now: i64) -> (Self, usize) {
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

impl Override {
    /// True until it ends.
    #[must_use]
    pub fn is_in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// How closely it fits a client: 3 by its address, 2 by its group, 1 as one of all; `None`: not at all.
    #[must_use]
    pub fn fits(&self, client: IpAddr, group: Option<&str>) -> Option<u8> {
        match &self.whom {
            Whom::Everyone => Some(1),
            Whom::Group(name) => (group == Some(name.as_str())).then_some(2),
            Whom::Client(network) => network.contains(&client.to_canonical()).then_some(3),
        }
    }
}
