//! A server with all its parts: it binds everything first, then starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};

use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::control;
use super::error::StartError;
use super::privileges::{self, User};
use super::refusal::refusal;
use super::reload::Reloader;
use crate::cache::store::Cache;
use crate::guard::acl::Acl;
use crate::net::memory;
use crate::observe::counters::CounterSet;
use crate::observe::event::Line;
use crate::observe::listen::Listen;
use crate::observe::sink::Sink;
use crate::observe::stats::Tallies;
use crate::resolver::live::Engine;
use crate::resolver::snapshot::Snapshot;
use crate::server::{self, Running};
use crate::settings::Settings;
use crate::sinks::start::Sinks;
use crate::sources::{self, Build, BuildError, Progress, Report};
use crate::upstream::{Endpoint, Tally};
use crate::web::{self, block_page};

/// A running server.
pub struct Service {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Where it listens.
    pub addresses: Addresses,
    /// Applies new settings.
    pub reloader: Arc<Reloader>,
    running: Running,
    /// The query log and dnstap.
    sinks: Sinks,
    /// Listeners other than those for DNS.
    tasks: JoinSet<()>,
    /// The socket for orders, to be removed at the end.
    control: Option<PathBuf>,
}

/// The slow half of a start: lists and zones, read and compiled.
pub struct Prepared {
    settings: Settings,
    snapshot: Snapshot,
    counters: Arc<CounterSet>,
    report: Report,
    listeners: Vec<Box<dyn Listen>>,
    sinks: Sinks,
    /// Where the query log looks for the engine.
    asked: Arc<OnceLock<Weak<Engine>>>,
}

impl Prepared {
    /// Reads and compiles everything. It needs no runtime, and may be called on any thread.
    ///
    /// # Errors
    /// Every list and zone that can't be read.
    pub fn new(settings: Settings, progress: &dyn Progress) -> Result<Self, BuildError> {
        let (cache, counters) = (Arc::new(Cache::new(settings.cache.size)), Arc::new(CounterSet::default()));
        let asked = Arc::new(OnceLock::new());
        let (listeners, sinks) = Sinks::new(&settings, &counters.sinks, tallies(Arc::clone(&asked)));
        let how = Build { progress, left_out: false, overhears: sinks.overhears() };
        let (snapshot, report) = sources::build(&settings, &cache, &counters, how, crate::net::now().unix)?;
        memory::give_back();
        Ok(Self { settings, snapshot, counters, report, listeners, sinks, asked })
    }
}

/// Where a server listens, with the ports that the kernel chose for port 0.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// The metrics page.
    pub web: Vec<SocketAddr>,
    /// The block page.
    pub block_page: Vec<SocketAddr>,
}

impl Service {
    /// Builds a server from the settings, binds all addresses, then serves. `sink` receives a line for each
    /// query after its reply. Must run within a multi-threaded runtime.
    ///
    /// # Errors
    /// The first failure; nothing has been answered and nothing stays bound.
    pub fn start(
        settings: &Settings,
        sink: Option<Sink<Line>>,
        progress: &dyn Progress,
    ) -> Result<Self, StartError> {
        Self::open(Prepared::new(settings.clone(), progress)?, sink)
    }

    /// The second half of [`Service::start`]: binds all addresses, then serves.
    ///
    /// # Errors
    /// The first failure; nothing has been answered and nothing stays bound.
    pub fn open(prepared: Prepared, sink: Option<Sink<Line>>) -> Result<Self, StartError> {
        let Prepared { settings, snapshot, counters, report, listeners, mut sinks, asked } = prepared;
        let settings = &settings;
        let user = User::of(settings)?;
        let threads = match settings.server.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let page = settings.blockpage.clone().unwrap_or_default();
        let dns = server::bind(&settings.server.listen, threads)?;
        let metrics: Vec<SocketAddr> = settings.metrics.iter().map(|metrics| metrics.listen).collect();
        let metrics = listen(&metrics, "metrics", "[metrics] listen")?;
        let pages = listen(&page.listen, "the block page", "[blockpage] listen")?;
        let refuse_tls = listen(&page.refuse_tls, "the block page", "[blockpage] refuse-tls")?;
        let control = control::bind(settings)?;
        if let Some(user) = &user {
            if let Some(control) = &settings.control {
                let made = [Some(&control.socket), control.state.as_ref().filter(|state| state.exists())];
                for path in made.into_iter().flatten() {
                    user.owns(path).map_err(|reason| StartError::User {
                        name: settings.server.user.clone().unwrap_or_default(),
                        reason: format!("cannot give it {}: {reason}", path.display()),
                    })?;
                }
            }
            user.enter()?;
            privileges::warn_of_files(settings);
        }
        let addresses =
            Addresses { dns: dns.addresses.clone(), web: local(&metrics), block_page: local(&pages) };

        let engine = Arc::new(Engine::new(snapshot, Arc::clone(&counters), sink).heard_by(listeners));
        // It was empty: this is the only place that fills it.
        let _ = asked.set(Arc::downgrade(&engine));
        sinks.start().map_err(StartError::Thread)?;
        let mut tasks = JoinSet::new();
        let control = control::serve(control, settings, &engine, &mut tasks);
        serve_metrics(metrics, settings, &engine, &mut tasks);
        serve_block_page(pages, refuse_tls, settings, &engine, &mut tasks);
        let how = server::UdpThreads { batch: settings.server.udp_batch, pin: settings.server.pin };
        let running = server::start(dns, &engine, crate::net::now, how).map_err(StartError::Thread)?;

        let reloader = Reloader::new(
            Arc::clone(&engine),
            counters,
            settings.clone(),
            report,
            sinks.overhears().cloned(),
        );
        Ok(Self { engine, addresses, reloader, running, sinks, tasks, control })
    }

    /// Finishes the queries in progress and ends.
    pub async fn stop(mut self) {
        self.running.stop().await;
        self.tasks.shutdown().await;
        let sinks = self.sinks;
        // The disk or a collector may take its time.
        let _ = tokio::task::spawn_blocking(move || sinks.stop()).await;
        if let Some(socket) = self.control {
            // If it stays, it does no harm.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// How often each upstream replied and failed, for the query log.
fn tallies(engine: Arc<OnceLock<Weak<Engine>>>) -> Tallies {
    Box::new(move || {
        let Some(engine) = engine.get().and_then(Weak::upgrade) else { return Vec::new() };
        let snapshot = engine.snapshot();
        let of =
            |(server, tally): (&Endpoint, &Tally)| (server.to_string(), tally.answered(), tally.failed());
        snapshot.routes.all().flat_map(|upstream| upstream.tallies()).map(of).collect()
    })
}

/// The runtime on which TCP lives and queries wait.
///
/// # Errors
/// [`StartError::Thread`]
pub fn runtime() -> Result<Runtime, StartError> {
    // Each connection, and each source port of queries, takes a descriptor. If the limit cannot be
    // raised, the present one holds.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(StartError::Thread)
}

/// Listens on addresses for HTTP.
fn listen(
    addresses: &[SocketAddr],
    what: &'static str,
    key: &'static str,
) -> Result<Vec<TcpListener>, StartError> {
    let listen = |address: &SocketAddr| {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    };
    let error = |address: SocketAddr| move |reason| StartError::Listen { address, what, key, reason };
    addresses.iter().map(|address| listen(address).map_err(error(*address))).collect()
}

fn local(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
}

/// Serves the metrics page.
fn serve_metrics(
    listeners: Vec<TcpListener>,
    settings: &Settings,
    engine: &Arc<Engine>,
    tasks: &mut JoinSet<()>,
) {
    for listener in listeners {
        let routes = web::metrics::routes(engine);
        let admits = admits(settings.metrics.as_ref().and_then(|metrics| metrics.allow.clone()));
        tasks.spawn(web::listener::serve(listener, "the metrics page", routes, move |ip| admits(ip)));
    }
}

/// Admits clients of these networks; without networks, all clients.
fn admits(networks: Option<Vec<IpNet>>) -> block_page::Admits {
    match networks.map(Acl::new) {
        None => Arc::new(|_| true),
        Some(acl) => Arc::new(move |ip| acl.admits(ip)),
    }
}

/// Serves the block page, and refuses TLS where that is configured.
fn serve_block_page(
    pages: Vec<TcpListener>,
    refuse_tls: Vec<TcpListener>,
    settings: &Settings,
    engine: &Arc<Engine>,
    tasks: &mut JoinSet<()>,
) {
    let listeners = pages.len() + refuse_tls.len();
    let limits = block_page::Limits { listeners, ..block_page::Limits::default() };
    let admits = admits(settings.blockpage.as_ref().and_then(|page| page.allow.clone()));
    let (asked, contact) = (Arc::clone(engine), settings.block.contact.clone());
    let operator = contact.organization.clone();
    let why: block_page::Why = Arc::new(move |client, name| refusal(&asked, &contact, client, name));
    for listener in pages {
        let (why, admits) = (Arc::clone(&why), Arc::clone(&admits));
        let site = block_page::Site { why, operator: operator.clone(), limits, admits };
        tasks.spawn(block_page::serve(listener, site));
    }
    for listener in refuse_tls {
        tasks.spawn(block_page::refuse_tls(listener, limits, Arc::clone(&admits)));
    }
}
