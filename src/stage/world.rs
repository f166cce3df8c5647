//! A scenario set up: the honest network, the censor before it, and queries to both without sockets.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::censor::{Censor, Interception, Observer};
use super::clock::Clock;
use crate::cache::store::Cache;
use crate::censor::{self, Expect, Network, Scenario, Seen, Slack, StubMode};
use crate::dns::{MAX_MESSAGE, Specials};
use crate::observe::counters::CounterSet;
use crate::observe::event::Event;
use crate::resolver::live::Engine;
use crate::resolver::moment::Moment;
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::Client;
use crate::settings::{Settings, TextSource, UpstreamSettings, ZoneSettings};
use crate::sources::{self, Build};

use super::exchange::Exchange;
use crate::upstream::Server;

/// The options for setting up a scenario.
#[derive(Clone, Default)]
pub struct Setting {
    /// The seed of all random draws; `None`: the scenario's.
    pub seed: Option<u64>,
    /// The clock, in seconds since 1970 (UTC); `None`: the scenario's last state.
    pub at: Option<i64>,
    /// The clock's speed as a multiple of real time; 0: it stands still.
    pub speed: f64,
    /// The kind of addresses in forged answers; `None`: as the scenario says.
    pub stubs: Option<StubMode>,
    /// The upstreams for names outside the scenario's zones; empty: such names are refused.
    pub upstreams: Vec<SocketAddr>,
    /// Each listener belongs to a network, in order; otherwise the client's address selects the network.
    pub by_listener: bool,
    /// The censor is on the path between clients and their resolvers.
    pub between: bool,
    /// The clients that may ask; empty: loopback and private networks.
    pub allow: Vec<ipnet::IpNet>,
    /// The receiver of events.
    pub observer: Option<Arc<dyn Observer>>,
}

/// A scenario set up.
pub struct World {
    /// The engine that plays it.
    pub engine: Arc<Engine>,
    /// The censor.
    pub censor: Arc<Censor>,
}

impl World {
    /// Sets a scenario up.
    ///
    /// # Errors
    /// An invalid zone, or an upstream that cannot be used.
    pub fn new(mut scenario: Scenario, setting: &Setting, now: Moment) -> Result<Self, String> {
        let mode = setting.stubs.unwrap_or(scenario.stub_mode);
        censor::apply_stubs(&mut scenario, mode);
        let zones = scenario.zones.iter().map(|zone| ZoneSettings {
            origin: zone.origin.clone(),
            source: TextSource::Inline(zone.text.lines().map(str::to_owned).collect()),
        });
        let mut settings = Settings {
            zones: zones.collect(),
            upstream: UpstreamSettings::of(
                setting.upstreams.iter().map(|addr| Server::udp((*addr).into())).collect(),
            ),
            // The honest network is the scenario's zones and the upstreams, in full.
            special: Specials::NONE,
            ..Settings::default()
        };
        // What the scenarios imitate answered without cookies.
        settings.server.answer_cookie = false;
        if !setting.allow.is_empty() {
            settings.server.allow.clone_from(&setting.allow);
        }
        let counters = Arc::new(CounterSet::default());
        let cache = Arc::new(Cache::new(settings.cache.size));
        let (mut behind, _) = sources::build(&settings, &cache, &counters, Build::default(), now.unix)
            .map_err(|e| e.to_string())?;
        // Clients ask resolvers; the AA bit would reveal the genuine answer.
        behind.authority = false;
        let unix = setting.at.unwrap_or_else(|| scenario.last_state());
        let clock = Arc::new(Clock::new(now.at, unix, setting.speed));
        let seed = setting.seed.unwrap_or(scenario.seed);
        let networks = u16::try_from(scenario.networks.len()).unwrap_or(u16::MAX);
        let mut censor = Censor::new(Arc::new(scenario), seed, clock);
        if setting.by_listener {
            censor.listeners = (0..networks).map(Some).collect();
        }
        censor.between = setting.between;
        censor.observer.clone_from(&setting.observer);
        Ok(Self { engine: Arc::new(Engine::new(behind, counters, None)), censor: Arc::new(censor) })
    }

    /// The replies to one packet, without sending any: each at exactly its planned time. Replies that would
    /// come from an upstream are left out.
    #[must_use]
    pub fn ask(&self, packet: &[u8], client: Client, now: Moment) -> Seen {
        let intercepted = self.censor.intercept(packet, &self.engine.snapshot(), client, now);
        let Some(Interception { plan, .. }) = intercepted else {
            let genuine = self.genuine(packet, client, now).map(|octets| (Duration::ZERO, octets));
            return Seen { replies: genuine.into_iter().collect(), ..Seen::default() };
        };
        let mut replies: Vec<_> = plan.forged.into_iter().map(|shot| (shot.after, shot.octets)).collect();
        if let Some(after) = plan.genuine {
            replies.extend(self.genuine(packet, client, now).map(|octets| (after, octets)));
        }
        replies.sort_by_key(|(after, _)| *after);
        Seen { replies, end: plan.end }
    }

    /// The honest network's reply.
    #[must_use]
    pub fn genuine(&self, packet: &[u8], client: Client, now: Moment) -> Option<Vec<u8>> {
        let mut out = vec![0; MAX_MESSAGE];
        let mut event = Event::new(client.address, client.transport);
        let snapshot = Arc::clone(&self.engine.snapshot());
        match resolve(&self.engine, &snapshot, packet, client, now, &mut out, &mut event) {
            Outcome::Reply(len) | Outcome::ReplyAndRefresh(len, _) => out.get(..len).map(<[u8]>::to_vec),
            Outcome::Drop | Outcome::Later(_) => None,
        }
    }

    /// Verifies the scenario's expectations, each query from a fresh state; needs listeners by network.
    ///
    /// # Errors
    /// The expectations that do not hold: line and difference.
    pub fn check(&self, now: Moment) -> Result<(), Vec<(u32, String)>> {
        let scenario = &self.censor.scenario;
        let mut wrong = Vec::new();
        for expect in &scenario.expects {
            self.censor.rewind();
            self.censor.clock.set(now.at, expect.at.unwrap_or_else(|| scenario.last_state()));
            let (packet, client) = (expect.query(0x5eed), client_of(scenario, expect));
            let seen = self.ask(&packet, client, now);
            let genuine = self.genuine(&packet, client, now);
            let held = expect.holds(&packet, &seen, genuine.as_deref(), Slack { late: Duration::ZERO });
            wrong.extend(held.err().map(|difference| (expect.line, difference.to_string())));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

/// The client of an expectation.
pub(super) fn client_of(scenario: &Scenario, expect: &Expect) -> Client {
    let network = scenario.networks.get(usize::from(expect.network));
    let ip = expect.client.or_else(|| network.and_then(Network::first_client));
    let ip = ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Client { address: SocketAddr::new(ip, 0), transport: expect.transport, listener: expect.network }
}

/// The client of an exchange, for its replay.
#[must_use]
pub fn client_again(scenario: &Scenario, exchange: &Exchange) -> Client {
    let network = scenario.networks.iter().position(|n| n.id == exchange.network).unwrap_or(0);
    let listener = u16::try_from(network).unwrap_or(0);
    Client { address: exchange.client, transport: exchange.transport, listener }
}
