//! How one server is reached: the transports to its address, or to an address that its name has.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::deadline::clock;
use super::flights::lock;
use super::hickory::Bootstrap;
use super::server::Endpoint;
use super::stream::{Streams, Tcp};
use super::udp::Ports;
use crate::dns::NameBuf;

/// How long the addresses of a name are used at least, whatever their TTL.
const MIN_LIFE: Duration = Duration::from_secs(10);
/// A name that could not be found is looked for again after this.
const RETRY: Duration = Duration::from_secs(2);
/// Known addresses whose time is up, or that do not answer, are looked for again at most this often.
const REFRESH: Duration = Duration::from_secs(10);

/// The transports to one address.
pub(super) struct Transports {
    pub(super) udp: Ports,
    pub(super) tcp: Streams<Tcp>,
}

impl Transports {
    fn new(address: SocketAddr, tick: Duration) -> Arc<Self> {
        Arc::new(Self { udp: Ports::new(address, tick), tcp: Streams::new(Tcp(address), tick) })
    }
}

/// Where a server is.
pub(super) enum Location {
    /// At the address of the configuration.
    Address(Arc<Transports>),
    /// Where its name points.
    Host(Arc<Host>),
}

impl Location {
    pub(super) fn new(at: &Endpoint, tick: Duration, bootstrap: &Arc<Bootstrap>) -> Self {
        match at {
            Endpoint::Address(address) => Self::Address(Transports::new(*address, tick)),
            Endpoint::Host { name, port } => Self::Host(Arc::new(Host {
                name: name.clone(),
                port: *port,
                tick,
                bootstrap: Arc::clone(bootstrap),
                found: Mutex::new(Found::Nothing { why: String::new(), until: None }),
                looking: tokio::sync::Mutex::new(()),
            })),
        }
    }

    /// The transports, if the server's address is known. Within a runtime, one whose time is up is
    /// looked for again behind the scenes.
    pub(super) fn known(&self, now: Instant) -> Option<Arc<Transports>> {
        match self {
            Self::Address(transports) => Some(Arc::clone(transports)),
            Self::Host(host) => host.known(now),
        }
    }

    /// The transports, once the server's address is found.
    ///
    /// # Errors
    /// Why the name has no address.
    pub(super) async fn find(&self) -> Result<Arc<Transports>, String> {
        match self {
            Self::Address(transports) => Ok(Arc::clone(transports)),
            Self::Host(host) => host.find().await,
        }
    }

    /// The server did not answer over these transports: another address of its name may.
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
    bootstrap: Arc<Bootstrap>,
    found: Mutex<Found>,
    /// Held by whoever looks for the addresses.
    looking: tokio::sync::Mutex<()>,
}

enum Found {
    /// No address, and until when nobody need look again.
    Nothing { why: String, until: Option<Instant> },
    Addresses {
        all: Vec<IpAddr>,
        /// The one in use.
        at: usize,
        transports: Arc<Transports>,
        /// When they are to be looked for again.
        until: Instant,
    },
}

impl Host {
    fn known(self: &Arc<Self>, now: Instant) -> Option<Arc<Transports>> {
        let mut found = lock(&self.found);
        let Found::Addresses { transports, until, .. } = &mut *found else { return None };
        if now >= *until {
            // Those who ask meanwhile need not look too.
            *until = now + REFRESH;
            let this = Arc::clone(self);
            tokio::spawn(async move { this.look().await });
        }
        Some(Arc::clone(transports))
    }

    async fn find(self: &Arc<Self>) -> Result<Arc<Transports>, String> {
        let _looking = self.looking.lock().await;
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

    /// Looks for the addresses. What is known stays if none are found.
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
                let transports = Transports::new(SocketAddr::new(*first, self.port), self.tick);
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

    /// Goes on to the next address, unless another question has done so already; once all were in use,
    /// they are looked for again.
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
            *transports = Transports::new(SocketAddr::new(*address, self.port), self.tick);
        }
    }
}
