//! How one server is reached: the transports to its address, or to an address of its name.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::deadline::clock;
use super::flights::lock;
use super::hickory::Bootstrap;
use super::overhear::Overhear;
use super::server::Endpoint;
use super::stream::{Streams, Tcp};
use super::udp::Ports;
use crate::dns::NameBuf;

/// The shortest time that the addresses of a name are used, whatever their TTL.
const MIN_LIFE: Duration = Duration::from_secs(10);
/// How long until a name that could not be resolved is looked up again.
const RETRY: Duration = Duration::from_secs(2);
/// Least interval between lookups of addresses that have expired or do not reply.
const REFRESH: Duration = Duration::from_secs(10);

/// The transports to one address.
pub(super) struct Transports {
    pub(super) udp: Ports,
    pub(super) tcp: Streams<Tcp>,
    /// Where they lead to.
    pub(super) address: SocketAddr,
    /// Who hears of all that is exchanged over them.
    pub(super) overhears: Option<Arc<dyn Overhear>>,
}

impl Transports {
    fn new(
        address: SocketAddr,
        tick: Duration,
        unwanted: &Arc<AtomicU64>,
        bootstrap: &Bootstrap,
    ) -> Arc<Self> {
        let udp = Ports::new(address, tick, Arc::clone(unwanted));
        let overhears = bootstrap.overhears.clone();
        Arc::new(Self { udp, tcp: Streams::new(Tcp(address), tick), address, overhears })
    }
}

/// The location of a server.
pub(super) enum Location {
    /// At a configured address.
    Address(Arc<Transports>),
    /// At an address of its name.
    Host(Arc<Host>),
}

impl Location {
    pub(super) fn new(
        at: &Endpoint,
        tick: Duration,
        bootstrap: &Arc<Bootstrap>,
        unwanted: &Arc<AtomicU64>,
    ) -> Self {
        match at {
            Endpoint::Address(address) => Self::Address(Transports::new(*address, tick, unwanted, bootstrap)),
            Endpoint::Host { name, port } => Self::Host(Arc::new(Host {
                name: name.clone(),
                port: *port,
                tick,
                unwanted: Arc::clone(unwanted),
                bootstrap: Arc::clone(bootstrap),
                found: Mutex::new(Found::Nothing { why: String::new(), until: None }),
                lookup: tokio::sync::Mutex::new(()),
            })),
        }
    }

    /// The transports, if the server's address is known. Within a runtime, an expired address is refreshed
    /// in the background.
    pub(super) fn known(&self, now: Instant) -> Option<Arc<Transports>> {
        match self {
            Self::Address(transports) => Some(Arc::clone(transports)),
            Self::Host(host) => host.known(now),
        }
    }

    /// The transports, once the server's address is known.
    ///
    /// # Errors
    /// Why the name has no address.
    pub(super) async fn find(&self) -> Result<Arc<Transports>, String> {
        match self {
            Self::Address(transports) => Ok(Arc::clone(transports)),
            Self::Host(host) => host.find().await,
        }
    }

    /// The server did not reply over these transports: another address of its name may.
    pub(super) fn failed(&self, over: &Arc<Transports>, now: Instant) {
        if let Self::Host(host) = self {
            host.next(over, now);
        }
    }
}

/// A server that is given by name.
pub(super) struct Host {
    name: NameBuf,
    port: u16,
    tick: Duration,
    /// Counts messages that answer nothing.
    unwanted: Arc<AtomicU64>,
    bootstrap: Arc<Bootstrap>,
    found: Mutex<Found>,
    /// Held during a lookup.
    lookup: tokio::sync::Mutex<()>,
}

enum Found {
    /// No address, and the time before which no lookup is retried.
    Nothing { why: String, until: Option<Instant> },
    Addresses {
        all: Vec<IpAddr>,
        /// The index of the one in use.
        at: usize,
        transports: Arc<Transports>,
        /// When they are to be looked up again.
        until: Instant,
    },
}

impl Host {
    fn known(self: &Arc<Self>, now: Instant) -> Option<Arc<Transports>> {
        let mut found = lock(&self.found);
        let Found::Addresses { transports, until, .. } = &mut *found else { return None };
        if now >= *until {
            // Concurrent callers need not look it up too.
            *until = now + REFRESH;
            let this = Arc::clone(self);
            tokio::spawn(async move { this.look().await });
        }
        Some(Arc::clone(transports))
    }

    async fn find(self: &Arc<Self>) -> Result<Arc<Transports>, String> {
        let _lookup = self.lookup.lock().await;
        if let Some(transports) = self.known(clock()) {
            return Ok(transports);
        }
        if let Found::Nothing { why, until: Some(until) } = &*lock(&self.found)
            && clock() < *until
        {
            return Err(why.clone());
        }
        self.look().await;
        match &*lock(&self.found) {
            Found::Addresses { transports, .. } => Ok(Arc::clone(transports)),
            Found::Nothing { why, .. } => Err(why.clone()),
        }
    }

    /// Looks up the addresses. Known ones stay in use if none are found.
    async fn look(&self) {
        let looked = self.bootstrap.resolve(&self.name).await;
        let now = clock();
        let mut found = lock(&self.found);
        match (looked, &mut *found) {
            (Ok(host), Found::Addresses { all, until, .. }) if host.addresses == *all => {
                *until = now + host.valid_for.max(MIN_LIFE);
            }
            (Ok(host), found) => {
                let Some(first) = host.addresses.first() else { return };
                let transports = Transports::new(
                    SocketAddr::new(*first, self.port),
                    self.tick,
                    &self.unwanted,
                    &self.bootstrap,
                );
                let until = now + host.valid_for.max(MIN_LIFE);
                *found = Found::Addresses { all: host.addresses, at: 0, transports, until };
            }
            (Err(error), Found::Addresses { .. }) => {
                tracing::warn!(upstream = %self.name, %error, "its addresses could not be looked up again");
            }
            (Err(error), Found::Nothing { why, until }) => {
                tracing::warn!(upstream = %self.name, %error, "its addresses could not be found");
                (*why, *until) = (error.to_string(), Some(now + RETRY));
            }
        }
    }

    /// Switches to the next address, unless another query has done so already; once all have been tried,
    /// they are looked up again.
    fn next(&self, failed: &Arc<Transports>, now: Instant) {
        let mut found = lock(&self.found);
        let Found::Addresses { all, at, transports, until } = &mut *found else { return };
        if !Arc::ptr_eq(transports, failed) {
            return;
        }
        *at = (*at + 1) % all.len().max(1);
        if *at == 0 {
            *until = (*until).min(now + RETRY);
        }
        if let Some(address) = all.get(*at).filter(|_| all.len() > 1) {
            *transports = Transports::new(
                SocketAddr::new(*address, self.port),
                self.tick,
                &self.unwanted,
                &self.bootstrap,
            );
        }
    }
}
