//! A censor in force: what it makes of each packet, and its counters.

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

/// Questions are counted by so many counters; the few that share one only fall another way, and always
/// the same.
const COUNTERS: usize = 4096;

/// Who wants to know what happens; must not block.
pub trait Observer: Send + Sync {
    /// A query has come, and it is decided what is done with it; nothing was sent yet, and at which
    /// address it came is not told yet.
    fn begun(&self, exchange: &Exchange);

    /// All packets have left.
    fn ended(&self, exchange: Exchange);
}

/// A censor on the way of every query.
pub struct Censor {
    /// What is imitated.
    pub scenario: Arc<Scenario>,
    /// What all draws start from.
    pub seed: u64,
    /// The scenario's clock.
    pub clock: Arc<Clock>,
    /// The network of each listener, by its place; a listener without one takes clients of all networks.
    pub listeners: Vec<Option<u16>>,
    /// It stands between clients and the resolvers that they ask, so that what it can't read is not for it
    /// to answer.
    pub between: bool,
    /// Who wants to know what happens.
    pub observer: Option<Arc<dyn Observer>>,
    run: Arc<Run>,
    turns: Turned,
    /// The queries that were told of. Whoever holds it counts its query and draws for it, so that who asks
    /// again in the order of the numbers draws the same.
    queries: Mutex<u64>,
}

/// What the censor makes of one packet.
pub struct Interception {
    /// The packets and their times.
    pub plan: Plan,
    /// What is known of the exchange so far, if somebody wants to know it.
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

    /// What becomes of one packet; `None`: the network behind answers as if there were no censor, because the
    /// client may not ask, or the packet is no query. Between clients and other resolvers, what is no query is
    /// let through, and nothing is told of it.
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
        let nobody = network.is_some_and(|n| n.injector_only);
        let plan = Plan { genuine: (!nobody).then_some(Duration::ZERO), ..Plan::default() };
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

    /// Counts from the start again, so that what comes falls as it fell at the first time.
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
        // A pool whose names see different parts of it counts for each name, as far as the counters go.
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
