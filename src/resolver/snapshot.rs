//! One frozen generation of everything that a query looks at.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::cache::stale::Aging;
use crate::cache::store::Cache;
use crate::dns::Transport;
use crate::guard::acl::Acl;
use crate::policy::{Active, Inspection, ListPolicy, Orders, Policy, View};
use crate::settings::Queue;
use crate::upstream::route::Routes;
use crate::zones::zone::Zones;

/// What one query sees, whole; it never changes once it serves. The next one shares with it what has
/// not changed.
#[derive(Clone)]
pub struct Snapshot {
    /// Who may ask.
    pub acl: Arc<Acl>,
    /// The compiled lists and groups.
    pub policy: Arc<Policy>,
    /// What of it is in force now.
    pub active: Arc<Active>,
    /// The orders that were given at run time.
    pub orders: Arc<Orders>,
    /// How a name that was ordered to be blocked is answered.
    pub ordered: Arc<ListPolicy>,
    /// What is inspected in replies of the upstreams.
    pub inspection: Arc<Inspection>,
    /// False: nothing is, because no rule could apply.
    pub inspects: bool,
    /// Keys for Encrypted Client Hello are taken out of replies.
    pub strip_ech: bool,
    /// How a reply with a private address for a public name is answered.
    pub rebinding: Arc<ListPolicy>,
    /// False: the lists are compiled but not applied.
    pub blocking: bool,
    /// The counter of each list, by its index.
    pub list_slots: Arc<[u16]>,
    /// Zones answered for this server's names.
    pub zones: Arc<Zones>,
    /// Where everything else is asked.
    pub routes: Arc<Routes>,
    /// Replies of the upstreams; shared by generations that ask the same ones.
    pub cache: Arc<Cache>,
    /// How they age.
    pub aging: Aging,
    /// How many queries may wait for the upstreams.
    pub queue: Queue,
    /// No reply is cached longer, in seconds.
    pub max_ttl: u32,
    /// The answer to `version.bind` and `version.server` CH TXT, if any is to be given.
    pub version: Option<String>,
    /// The answer to `id.server` and `hostname.bind` CH TXT, if any is to be given.
    pub identity: Option<String>,
    /// False: zones are answered without authority, as by a resolver that has asked for them.
    pub authority: bool,
    /// The number of this generation: what was found in order under it need not be looked at again.
    /// 0: nothing is remembered, because two clients of a group may fare differently.
    pub epoch: u64,
}

impl Snapshot {
    /// The counter of a list.
    #[must_use]
    pub fn list_slot(&self, list: u16) -> Option<u16> {
        self.list_slots.get(usize::from(list)).copied()
    }

    /// What goes for a client.
    #[must_use]
    pub fn view(&self, client: &Client) -> Option<&View> {
        self.active.view(&self.policy, client.address.ip(), client.listener)
    }

    /// A mark for a reply that was found in order for a view; `None`: it is looked at each time.
    #[must_use]
    pub(super) fn mark(&self, view: Option<&View>) -> Option<u64> {
        (self.epoch > 0).then(|| self.epoch << 16 | view.map_or(0, |v| u64::from(v.number())))
    }
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where from.
    pub address: SocketAddr,
    /// How the query came.
    pub transport: Transport,
    /// The number of the listener that it came to.
    pub listener: u16,
}
