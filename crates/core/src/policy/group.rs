//! Groups: which lists apply to which clients.
//!
//! A group selects its clients by network, by listener, or by both. The longest network wins; of two groups
//! with the same network, one that requires a listener wins, then one with a schedule. A group with a
//! schedule selects clients only while that is in force; otherwise they belong to whichever group would
//! match without it.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::prefix::Prefixes;
use super::schedule::Schedule;
use crate::rule::Action;

/// A group of clients, and what applies to them.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name in the configuration.
    pub name: String,
    /// The networks of its clients; empty: any.
    pub networks: Vec<IpNet>,
    /// The listeners that its clients use, by number; empty: any.
    pub listeners: Vec<u16>,
    /// The numbers of the lists that apply to them; `None`: all.
    pub lists: Option<Vec<u16>>,
    /// What they get for a blocked name if its list does not say.
    pub action: Option<Action>,
    /// Block every name that no rule lets pass.
    pub closed: bool,
    /// When clients belong to it; `None`: always.
    pub schedule: Option<Schedule>,
    /// The route of their forwarded queries, as a number that the engine defines.
    pub route: u16,
}

/// All groups, prepared for looking up the group of an address. Group `n` of the configuration has the
/// number `n`, from 0.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    groups: Vec<Group>,
    /// The networks of the groups at each listener; a single table if no group requires a listener.
    tables: Vec<Prefixes<u16>>,
}

impl Groups {
    /// Groups in the order of the configuration, for a server with this many listeners.
    #[must_use]
    pub fn new(groups: Vec<Group>, listeners: usize) -> Self {
        if groups.is_empty() {
            return Self::default();
        }
        let by_listener = groups.iter().any(|g| !g.listeners.is_empty());
        let count = if by_listener { listeners.max(1) } else { 1 };
        let tables = (0u16..).take(count).map(|listener| table(&groups, listener)).collect();
        Self { groups, tables }
    }

    /// The groups in order.
    #[must_use]
    pub fn all(&self) -> &[Group] {
        &self.groups
    }

    /// The tables of networks; [`Groups::place`] returns indexes into them.
    #[must_use]
    pub fn tables(&self) -> &[Prefixes<u16>] {
        &self.tables
    }

    /// Locates a client: the number of its listener's table, and of the set of groups in it whose networks
    /// contain the address, the closest first. `None` without groups.
    #[must_use]
    pub fn place(&self, address: IpAddr, listener: u16) -> Option<(usize, u32)> {
        let number = usize::from(listener).min(self.tables.len().checked_sub(1)?);
        Some((number, self.tables.get(number)?.set_of(address)))
    }
}

/// The networks of the groups at one listener. Groups that require this listener come first, so that of two
/// with the same network they win; then, within each part, those with a schedule.
fn table(groups: &[Group], listener: u16) -> Prefixes<u16> {
    let numbered = || {
        let all = || groups.iter().zip(0u16..);
        let timed = all().filter(|(g, _)| g.schedule.is_some());
        timed.chain(all().filter(|(g, _)| g.schedule.is_none()))
    };
    let here = numbered().filter(|(g, _)| g.listeners.contains(&listener));
    let anywhere = numbered().filter(|(g, _)| g.listeners.is_empty());
    Prefixes::new(here.chain(anywhere).flat_map(|(group, number)| {
        let everyone = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let networks = if group.networks.is_empty() { &everyone[..] } else { &group.networks };
        networks.iter().map(|network| (*network, number)).collect::<Vec<_>>()
    }))
}
