//! One frozen generation of everything that a query looks at.

use std::sync::Arc;

use super::settings::Queue;
use crate::cache::stale::Aging;
use crate::cache::store::Cache;
use crate::guard::acl::Acl;
use crate::policy::Policy;
use crate::upstream::hickory::Forwarder;
use crate::zones::zone::Zones;

/// What one query sees, whole; it never changes once it serves.
pub struct Snapshot {
    /// Who may ask.
    pub acl: Acl,
    /// The compiled lists.
    pub policy: Policy,
    /// False: the lists are compiled but not applied.
    pub blocking: bool,
    /// The counter of each list, by its index.
    pub list_slots: Vec<u16>,
    /// Zones answered with authority.
    pub zones: Zones,
    /// Where everything else is asked; `None`: nowhere.
    pub upstream: Option<Arc<Forwarder>>,
    /// Replies of the upstreams; shared by all generations.
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
}

impl Snapshot {
    /// The counter of a list.
    #[must_use]
    pub fn list_slot(&self, list: u16) -> Option<u16> {
        self.list_slots.get(usize::from(list)).copied()
    }
}
