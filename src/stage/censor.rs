//! A running censor: its decision for each packet, and its counters.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::Clock;
use super::exchange::{Decided, Exchange, Run};
use crate::censor::{Asked, Counter, Draw, Plan, Scenario, Turns, plan};
use crate::dns::Query;
use crate::resolver::moment::Moment;
use crate::resolver::snapshot::{Client, Snapshot};

/// The number of counters for questions. A few questions share a counter; their draws differ, but stay
/// reproducible.
const COUNTERS: usize = 4096;

/// Receives the events of a censor; must not block.
pub trait Observer: Send + Sync {
    /// A query has arrived and is decided; nothing was sent yet, and the address it was sent to is not
    /// known yet.
    fn begun(&self, exchange: &Exchange);

    /// All packets have been sent.
    fn ended(&self, exchange: Exchange);
}

/// A censor on the path of every query.
pub struct Censor {
    /// The scenario that it imitates.
    pub scenario: Arc<Scenario>,
    /// The seed of all random draws.
    pub seed: u64,
    /// The scenario's clock.
    pub clock: Arc<Clock>,
    /// The network of each listener, by its place; a listener without one takes clients of all networks.
    pub listeners: Vec<Option<u16>>,
    /// It is on the path between clients and their resolvers, so it does not answer packets that it cannot
    /// parse.
    pub between: bool,
    /// The receiver of events.
    pub observer: Option<Arc<dyn Observer>>,
    run: Arc<Run>,
    turns: Turned,
    /// The number of observed queries. The lock covers counting a query and drawing for it, so that a replay
    /// in the order of the numbers draws the same.
    queries: Mutex<u64>,
}

/// The censor's decision for one packet.
pub struct Interception {
    /// The packets and their times.
    pub plan: Plan,
    /// The exchange so far, if there is an observer.
    pub exchange: Option<(Exchange, Arc<dyn Observer>)>,
}

impl Censor {
    /// The censor of a scenario.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: u64, clock: Arc<Clock>) -> Self {
        let turns = Turned::new(scenario.pools.len());
        let (listeners, queries) = (Vec::new(), Mutex::default());
        let run = Run { scenario: scenario.name.clone(), seed, stubs: scenario.stub_mode };
        let (run, between, observer) = (Arc::new(run), false, None);
        Self { scenario, seed, clock, listeners, between, observer, run, turns, queries }
    }

    /// Decides one packet; `None`: the honest network answers as if there were no censor, because the client
    /// may not ask, or the packet is not a query. On the path to other resolvers, a packet that is not a
    /// query is let through and not observed.
    #[must_use]
    pub fn intercept(
        &self,
        packet: &[u8],
        behind: &Snapshot,
        client: Client,
        now: Moment,
    ) -> Option<Interception> {
        if !behind.acl.admits(client.address.ip()) {
            return None;
        }
        match Query::parse(packet) {
            Ok(query) => Some(self.query(&query, client, now)),
            Err(fault) if self.between && fault.rcode().is_some() => Some(self.unread(client)),
            Err(_) => None,
        }
    }

    fn query(&self, query: &Query<'_>, client: Client, now: Moment) -> Interception {
        let (unix, uptime) = self.clock.read(now.at);
        let asked = Asked {
            query,
            network: self.network(client),
            client: client.address.ip(),
            transport: client.transport,
            unix,
            uptime,
            seed: self.seed,
        };
        let Some(observer) = &self.observer else {
            return Interception { plan: plan(&self.scenario, asked, &self.turns), exchange: None };
        };
        let mut queries = self.counted();
        *queries += 1;
        let plan = plan(&self.scenario, asked, &self.turns);
        let exchange = self.exchange(*queries, asked, client, &plan);
        observer.begun(&exchange);
        drop(queries);
        Interception { plan, exchange: Some((exchange, Arc::clone(observer))) }
    }

    fn unread(&self, client: Client) -> Interception {
        let network = self.scenario.networks.get(usize::from(self.network(client)));
        let injector_only = network.is_some_and(|n| n.injector_only);
        let plan = Plan { genuine: (!injector_only).then_some(Duration::ZERO), ..Plan::default() };
        Interception { plan, exchange: None }
    }

    fn network(&self, client: Client) -> u16 {
        let listener = self.listeners.get(usize::from(client.listener)).copied().flatten();
        self.scenario.network_of(client.address.ip(), listener)
    }

    fn counted(&self) -> MutexGuard<'_, u64> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn exchange(&self, number: u64, asked: Asked<'_, '_>, client: Client, plan: &Plan) -> Exchange {
        let rule = plan.rule.and_then(|place| self.scenario.rules.get(usize::from(place)));
        let network = self.scenario.networks.get(usize::from(asked.network));
        Exchange {
            run: Arc::clone(&self.run),
            number,
            at: asked.unix,
            uptime: asked.uptime,
            network: network.map_or_else(String::new, |n| n.id.clone()),
            client: client.address,
            // The edge knows where the query arrived.
            server: SocketAddr::from(([0, 0, 0, 0], 0)),
            transport: client.transport,
            query: asked.query.packet().to_vec(),
            rule: rule.map(|rule| Decided {
                id: rule.id.clone(),
                action: rule.kind.clone(),
                intent: rule.intent.clone(),
                evidence: rule.evidence,
            }),
            replies: Vec::new(),
            end: plan.end,
            cut: false,
        }
    }

    /// Resets the counters, so that the same queries draw the same again.
    pub fn rewind(&self) {
        let mut queries = self.counted();
        self.turns.rewind();
        *queries = 0;
    }
}

/// The counters behind [`Turns`].
struct Turned {
    questions: Box<[AtomicU64]>,
    pools: Box<[AtomicU64]>,
}

impl Turned {
    fn new(pools: usize) -> Self {
        let counters = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect();
        // A pool with `per-name` counts for each name, as far as the counters allow.
        Self { questions: counters(COUNTERS), pools: counters(pools.max(1) * COUNTERS) }
    }

    fn rewind(&self) {
        for counter in self.questions.iter().chain(&self.pools) {
            counter.store(0, Relaxed);
        }
    }
}

impl Turns for Turned {
    fn turn(&self, counter: Counter) -> u64 {
        let slot = |hash: u64| usize::try_from(hash % COUNTERS as u64).unwrap_or(0);
        let counter = match counter {
            Counter::Question(hash) => self.questions.get(slot(hash)),
            Counter::Pool(pool, 0) => self.pools.get(usize::from(pool) * COUNTERS),
            Counter::Pool(pool, name) => {
                self.pools.get(usize::from(pool) * COUNTERS + slot(Draw::new(name).finish()))
            }
        };
        counter.map_or(0, |c| c.fetch_add(1, Relaxed))
    }
}
