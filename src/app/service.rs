//! A server with all its parts: it binds everything first, then starts.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::control;
use super::error::StartError;
use super::refusal::refusal;
use crate::cache::store::Cache;
use crate::observe::counters::CounterSet;
use crate::observe::event::Line;
use crate::observe::sink::Sink;
use crate::resolver::live::Engine;
use crate::server::{self, Running};
use crate::settings::Settings;
use crate::sources::{self, Build, Progress, Report};
use crate::web::{self, block_page};

/// A running server.
pub struct Service {
    /// The engine.
    pub engine: Arc<Engine>,
    /// Where it listens.
    pub addresses: Addresses,
    pub(super) counters: Arc<CounterSet>,
    /// The settings of the start, which sockets and threads still have.
    pub(super) started: Settings,
    pub(super) serving: Mutex<Serving>,
    running: Running,
    /// Listeners beside DNS.
    tasks: JoinSet<()>,
    /// The socket for orders, to be removed at the end.
    control: Option<PathBuf>,
}

/// The settings in force, for the next reload to compare with.
pub(super) struct Serving {
    pub(super) settings: Settings,
    pub(super) report: Arc<Report>,
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
        let (cache, counters) = (Arc::new(Cache::new(settings.cache.size)), Arc::new(CounterSet::default()));
        let how = Build { progress, left_out: false };
        let (snapshot, report) = sources::build(settings, &cache, &counters, how, crate::net::now().unix)?;

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
        let addresses =
            Addresses { dns: dns.addresses.clone(), web: local(&metrics), block_page: local(&pages) };

        let engine = Arc::new(Engine::new(snapshot, Arc::clone(&counters), sink));
        let mut tasks = JoinSet::new();
        let control = control::serve(control, settings, &engine, &mut tasks);
        serve_metrics(metrics, &engine, &mut tasks);
        serve_block_page(pages, refuse_tls, settings, &engine, &mut tasks);
        let how = server::UdpThreads { batch: settings.server.udp_batch, pin: settings.server.pin };
        let running = server::start(dns, &engine, crate::net::now, how).map_err(StartError::Thread)?;

        let (started, report) = (settings.clone(), Arc::new(report));
        let serving = Mutex::new(Serving { settings: started.clone(), report });
        Ok(Self { engine, addresses, counters, started, serving, running, tasks, control })
    }

    /// The report on the lists and zones that are served.
    #[must_use]
    pub fn report(&self) -> Arc<Report> {
        Arc::clone(&self.serving.lock().unwrap_or_else(PoisonError::into_inner).report)
    }

    /// Finishes the queries in progress and ends.
    pub async fn stop(mut self) {
        self.running.stop().await;
        self.tasks.shutdown().await;
        if let Some(socket) = self.control {
            // If it stays, it does no harm.
            let _ = std::fs::remove_file(socket);
        }
    }
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
fn serve_metrics(listeners: Vec<TcpListener>, engine: &Arc<Engine>, tasks: &mut JoinSet<()>) {
    for listener in listeners {
        let routes = web::metrics::routes(engine);
        tasks.spawn(web::listener::serve(listener, "the metrics page", routes));
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
    let limits = block_page::Limits::default();
    let (asked, contact) = (Arc::clone(engine), settings.block.contact.clone());
    let operator = contact.organization.clone();
    let why: block_page::Why = Arc::new(move |client, name| refusal(&asked, &contact, client, name));
    for listener in pages {
        let site = block_page::Site { why: Arc::clone(&why), operator: operator.clone(), limits };
        tasks.spawn(block_page::serve(listener, site));
    }
    for listener in refuse_tls {
        tasks.spawn(block_page::refuse_tls(listener, limits));
    }
}
