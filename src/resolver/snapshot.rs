//! One frozen generation of everything that a query depends on.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::cache::stale::Aging;
use crate::cache::store::Cache;
use crate::dns::{Specials, Transport};
use crate::guard::acl::Acl;
use crate::guard::cookie::Cookies;
use crate::guard::ratelimit::RateLimit;
use crate::observe::lists::ListState;
use crate::policy::{Active, Inspection, ListPolicy, Orders, Policy, View};
use crate::settings::Queue;
use crate::upstream::route::Routes;
use crate::zones::zone::Zones;

/// Everything that one query depends on; it never changes once it is in service. The next one shares with
/// it all parts that have not changed.
#[derive(Clone)]
pub struct Snapshot {
    /// Which clients may send queries.
    pub acl: Arc<Acl>,
    /// Which of them get what other servers know; `None`: all of them.
    pub recursion: Option<Arc<Acl>>,
    /// How many replies a client network gets over UDP, if there is a limit.
    pub ratelimit: Option<Arc<RateLimit>>,
    /// The secrets behind the cookies that replies have, if they have any.
    pub cookies: Option<Arc<Cookies>>,
    /// Whether a client that may ask can have a limit, or must send a cookie.
    pub limits: bool,
    /// The compiled lists and groups.
    pub policy: Arc<Policy>,
    /// The part of the policy that is in force now.
    pub active: Arc<Active>,
    /// The orders given at run time.
    pub orders: Arc<Orders>,
    /// The answer to a name that an order blocks.
    pub ordered: Arc<ListPolicy>,
    /// What is inspected in the upstreams' replies.
    pub inspection: Arc<Inspection>,
    /// Whether replies are inspected; false if no rule could apply.
    pub inspects: bool,
    /// Whether keys for Encrypted Client Hello are removed from replies.
    pub strip_ech: bool,
    /// The answer that replaces a private address for a public name.
    pub rebinding: Arc<ListPolicy>,
    /// The answer to a name that no rule lets pass, for clients to whom nothing else passes.
    pub unlisted: Arc<ListPolicy>,
    /// Whether the compiled lists are applied.
    pub blocking: bool,
    /// The state of each list of the configuration.
    pub lists: Arc<[ListState]>,
    /// The counter of each list, by its index.
    pub list_slots: Arc<[u16]>,
    /// The zones that this server answers from.
    pub zones: Arc<Zones>,
    /// The special names that this server answers for.
    pub special: Specials,
    /// Whether several addresses of a name are rotated.
    pub rotate: bool,
    /// The upstreams of all other names.
    pub routes: Arc<Routes>,
    /// Replies of the upstreams; shared by generations that query the same ones.
    pub cache: Arc<Cache>,
    /// How they age.
    pub aging: Aging,
    /// How many queries may wait for the upstreams.
    pub queue: Queue,
    /// The longest time that a reply is cached, in seconds.
    pub max_ttl: u32,
    /// The answer to `version.bind` and `version.server` CH TXT, if configured.
    pub version: Option<String>,
    /// The answer to `id.server` and `hostname.bind` CH TXT, if configured.
    pub identity: Option<String>,
    /// False: zones are answered without AA, as by a resolver that has queried for them.
    pub authority: bool,
    /// The number of this generation: a reply that passed inspection under it is not inspected again. 0:
    /// nothing is remembered, because the result may differ between two clients of a group.
    pub epoch: u64,
}

impl Snapshot {
    /// The counter of a list.
    #[must_use]
    pub fn list_slot(&self, list: u16) -> Option<u16> {
        self.list_slots.get(usize::from(list)).copied()
    }

    /// The policy as it applies to a client.
    #[must_use]
    pub fn view(&self, client: &Client) -> Option<&View> {
        self.active.view(&self.policy, client.address.ip(), client.listener)
    }

    /// True if a client gets what other servers know.
    #[must_use]
    pub fn recurses_for(&self, client: IpAddr) -> bool {
        self.recursion.as_ref().is_none_or(|acl| acl.admits(client))
    }

    /// The mark for a reply that passed inspection for a view; `None`: it is inspected each time.
    #[must_use]
    pub(super) fn mark(&self, view: Option<&View>) -> Option<u64> {
        (self.epoch > 0).then(|| self.epoch << 16 | view.map_or(0, |v| u64::from(v.number())))
    }
}

/// The source of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address and port.
    pub address: SocketAddr,
    /// How the query came.
    pub transport: Transport,
    /// The number of the listener that received it.
    pub listener: u16,
}
