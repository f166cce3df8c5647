//! Everything that a server is told.

use std::net::{Ipv4Addr, SocketAddr};

use super::{
    BlockPageSettings, BlockSettings, CacheSettings, ControlSettings, ForwardSettings, GroupSettings,
    ListSettings, MetricsSettings, PolicySettings, ServerSettings, UpstreamSettings, ZoneSettings,
};
use crate::policy::{Inspection, KnownClient};
use crate::upstream::Server;

/// Everything that a server needs to know: a field for each table of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens, who may ask, and its threads.
    pub server: ServerSettings,
    /// The servers that are asked.
    pub upstream: UpstreamSettings,
    /// The reply cache.
    pub cache: CacheSettings,
    /// What blocked clients are told.
    pub block: BlockSettings,
    /// Lists in order.
    pub lists: Vec<ListSettings>,
    /// Which rule wins.
    pub policy: PolicySettings,
    /// What is looked for in replies of the upstreams.
    pub inspect: Inspection,
    /// Clients that rules can name.
    pub clients: Vec<KnownClient>,
    /// Groups of clients in order.
    pub groups: Vec<GroupSettings>,
    /// Names that have upstreams of their own.
    pub forwards: Vec<ForwardSettings>,
    /// Zones answered with authority.
    pub zones: Vec<ZoneSettings>,
    /// The socket for orders.
    pub control: Option<ControlSettings>,
    /// The page that says why a name is refused.
    pub blockpage: Option<BlockPageSettings>,
    /// The page with the counters.
    pub metrics: Option<MetricsSettings>,
    /// False: lists are read but not applied.
    pub blocking: bool,
}

impl Settings {
    /// Has one upstream in the place of the system's, where those are meant. For explaining: nothing is
    /// sent, but whether a question would be depends on there being somebody to ask.
    pub fn imagine_upstream(&mut self) {
        let nobody = Server::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)).into());
        self.upstream.servers.get_or_insert_with(|| vec![nobody]);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server: ServerSettings::default(),
            upstream: UpstreamSettings::default(),
            cache: CacheSettings::default(),
            block: BlockSettings::default(),
            lists: Vec::new(),
            policy: PolicySettings::default(),
            inspect: Inspection::default(),
            clients: Vec::new(),
            groups: Vec::new(),
            forwards: Vec::new(),
            zones: Vec::new(),
            control: None,
            blockpage: None,
            metrics: None,
            blocking: true,
        }
    }
}
