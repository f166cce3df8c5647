//! What is in force at one time: which lists apply to which group, and the orders given at run time.
//!
//! Schedules and orders are evaluated when an [`Active`] is made, not for each query: it records how long
//! it is valid, and is then replaced.

use std::collections::HashMap;
use std::net::IpAddr;

use rustc_hash::FxBuildHasher;

use super::overrides::Ordered;
use super::overrides::{Order, Orders, What};
use super::policy::Policy;
use super::view::View;
use crate::dns::{Folded, Name};

/// What is in force during a span of seconds.
#[derive(Clone, Debug, Default)]
pub struct Active {
    from: i64,
    until: i64,
    views: Vec<View>,
    /// For each table of networks and each set in it, the view.
    view_of: Vec<Vec<u16>>,
    orders: Vec<Order>,
    /// Orders about names, by the name in lower case.
    names: HashMap<Box<[u8]>, Vec<usize>, FxBuildHasher>,
    paused: bool,
}

impl Active {
    /// What is in force at `now`, in seconds since 1970 (UTC).
    #[must_use]
    pub fn new(policy: &Policy, given: &Orders, now: i64) -> Self {
        let mut until = i64::MAX;
        let mut is_on = |schedule: Option<&super::schedule::Schedule>| {
            schedule.is_none_or(|schedule| {
                until = until.min(schedule.steady_until(now));
                schedule.is_active(now)
            })
        };
        let lists: Vec<bool> = policy.lists.iter().map(|list| is_on(list.schedule.as_ref())).collect();
        let groups = policy.groups.all();
        let group_is_on: Vec<bool> = groups.iter().map(|group| is_on(group.schedule.as_ref())).collect();
        let speaking = |group: Option<u16>, wanted: Option<&[u16]>| {
            let is_for = |only: &[u16]| only.is_empty() || group.is_some_and(|group| only.contains(&group));
            let (mut first, mut others) = (0u64, vec![0u64; lists.len().div_ceil(64).saturating_sub(1)]);
            for (number, (on, list)) in (0u16..).zip(lists.iter().zip(&policy.lists)) {
                let word = match usize::from(number / 64) {
                    0 => Some(&mut first),
                    n => others.get_mut(n - 1),
                };
                let speaks = *on && is_for(&list.only_groups) && wanted.is_none_or(|w| w.contains(&number));
                if let Some(word) = word.filter(|_| speaks) {
                    *word |= 1 << (number % 64);
                }
            }
            View { first, others: others.into(), ..View::default() }
        };
        let mut views = vec![View { closed: policy.closed, ..speaking(None, None) }];
        views.extend((0u16..).zip(groups).map(|(number, group)| View {
            group: Some(number),
            action: group.action.clone(),
            closed: group.closed,
            route: group.route,
            ..speaking(Some(number), group.lists.as_deref())
        }));
        let view_of_set = |set: &[u16]| {
            let mut on = set.iter().filter(|g| group_is_on.get(usize::from(**g)).copied().unwrap_or(false));
            on.next().map_or(0, |group| group.saturating_add(1))
        };
        let tables = policy.groups.tables().iter();
        let view_of = tables.map(|table| table.sets().map(view_of_set).collect()).collect();
        let orders: Vec<Order> = given.all().iter().filter(|o| o.is_in_force(now)).cloned().collect();
        let mut names: HashMap<Box<[u8]>, Vec<usize>, FxBuildHasher> = HashMap::default();
        for (at, order) in orders.iter().enumerate() {
            until = until.min(order.until.unwrap_or(i64::MAX));
            if let What::Allow(name) | What::Block(name) = &order.what {
                names.entry(name.as_name().to_folded().as_bytes().into()).or_default().push(at);
            }
        }
        let paused = orders.iter().any(|o| o.what == What::Pause);
        Self { from: now, until, views, view_of, orders, names, paused }
    }

    /// True if nothing has changed at `now` since this was made. A clock that was set back invalidates it
    /// too.
    #[must_use]
    pub const fn holds_at(&self, now: i64) -> bool {
        self.from <= now && now < self.until
    }

    /// The view that applies to a client at a listener.
    #[must_use]
    pub fn view(&self, policy: &Policy, client: IpAddr, listener: u16) -> Option<&View> {
        let number = match policy.groups.place(client, listener) {
            None => 0,
            Some((table, set)) => *self.view_of.get(table)?.get(set as usize)?,
        };
        self.views.get(usize::from(number))
    }

    /// The views by their numbers.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// True if any order is in force.
    #[must_use]
    pub fn has_orders(&self) -> bool {
        !self.orders.is_empty()
    }

    /// The order on a name for a client of a group. An order for the name takes precedence over a pause; of
    /// two for the name, the one for the longer name wins, then the one that fits the client more closely,
    /// then the later one. Returned with the order's number.
    #[must_use]
    pub fn ordered(&self, name: Name<'_>, client: IpAddr, group: Option<&str>) -> Option<(Ordered, u32)> {
        if !self.has_orders() {
            return None;
        }
        let closest = |places: &[usize]| {
            let orders = places.iter().filter_map(|at| self.orders.get(*at));
            orders.filter_map(|o| Some((o.fits(client, group)?, o))).max_by_key(|(fit, o)| (*fit, o.id))
        };
        if !self.names.is_empty() {
            let folded = Folded::new(name);
            let mut at = 0;
            while let Some(len) = folded.from(at).first() {
                if let Some((_, order)) = self.names.get(folded.from(at)).and_then(|p| closest(p)) {
                    let what = match order.what {
                        What::Allow(_) => Ordered::Allowed,
                        What::Block(_) | What::Pause => Ordered::Blocked,
                    };
                    return Some((what, order.id));
                }
                at += 1 + usize::from(*len);
            }
        }
        if !self.paused {
            return None;
        }
        let pauses = self.orders.iter().filter(|o| o.what == What::Pause);
        let mut fitting = pauses.filter(|o| o.fits(client, group).is_some());
        fitting.next().map(|order| (Ordered::Paused, order.id))
    }
}
