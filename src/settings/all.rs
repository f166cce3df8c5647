//! All settings of a server.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::{
    AnswersSettings, BlockPageSettings, BlockSettings, CacheSettings, ControlSettings, DataSettings,
    DnstapSettings, ForwardSettings, GroupSettings, ListSettings, LogSettings, MetricsSettings,
    PolicySettings, ServerSettings, UpstreamSettings, ZoneSettings,
};
use crate::dns::Specials;
use crate::guard::ratelimit::Rate;
use crate::policy::{Inspection, KnownClient, schedule::Schedule};
use crate::upstream::Server;

/// All settings of a server: a field for each table of the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the configuration file, if there is one. Files that other files name must be within it.
    pub folder: Option<PathBuf>,
    /// Listeners, allowed clients and threads.
    pub server: ServerSettings,
    /// How many replies a client network gets over UDP.
    pub ratelimit: Rate,
    /// The upstream servers.
    pub upstream: UpstreamSettings,
    /// The reply cache.
    pub cache: CacheSettings,
    /// What blocked clients are told.
    pub block: BlockSettings,
    /// Lists in order.
    pub lists: Vec<ListSettings>,
    /// The named schedules, to which lines of lists can refer.
    pub schedules: BTreeMap<String, Schedule>,
    /// Which rule wins.
    pub policy: PolicySettings,
    /// What is inspected in the upstreams' replies.
    pub inspect: Inspection,
    /// Clients that rules can name.
    pub clients: Vec<KnownClient>,
    /// Groups of clients in order.
    pub groups: Vec<GroupSettings>,
    /// Names with upstreams of their own.
    pub forwards: Vec<ForwardSettings>,
    /// Zones answered with authority.
    pub zones: Vec<ZoneSettings>,
    /// The special names that the server answers for.
    pub special: Specials,
    /// How answers are written.
    pub answers: AnswersSettings,
    /// The socket for orders.
    pub control: Option<ControlSettings>,
    /// The page that says why a name is refused.
    pub blockpage: Option<BlockPageSettings>,
    /// The page with the counters.
    pub metrics: Option<MetricsSettings>,
    /// The folder for what is kept.
    pub data: Option<DataSettings>,
    /// The query log.
    pub log: Option<LogSettings>,
    /// Where every message goes.
    pub dnstap: Option<DnstapSettings>,
    /// Whether the lists are applied.
    pub blocking: bool,
}

impl Settings {
    /// Substitutes one upstream for the system's, where those are used. For explaining: nothing is sent,
    /// but the result depends on whether there is an upstream.
    pub fn imagine_upstream(&mut self) {
        let nobody = Server::tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)).into());
        self.upstream.servers.get_or_insert_with(|| vec![nobody]);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            folder: None,
            server: ServerSettings::default(),
            ratelimit: Rate::default(),
            upstream: UpstreamSettings::default(),
            cache: CacheSettings::default(),
            block: BlockSettings::default(),
            lists: Vec::new(),
            schedules: BTreeMap::new(),
            policy: PolicySettings::default(),
            inspect: Inspection::default(),
            clients: Vec::new(),
            groups: Vec::new(),
            forwards: Vec::new(),
            zones: Vec::new(),
            special: Specials::default(),
            answers: AnswersSettings::default(),
            control: None,
            blockpage: None,
            metrics: None,
            data: None,
            log: None,
            dnstap: None,
            blocking: true,
        }
    }
}
