//! A server with all its parts: start, reload, stop.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::cache::store::Cache;
use crate::dns::name::NameBuf;
use crate::dns::reply::Transport;
use crate::dns::types::Qtype;
use crate::observe::counters::CounterSet;
use crate::observe::querylog::Sink;
use crate::policy::overrides::Overrides;
use crate::resolver::explain::{self, Question};
use crate::resolver::live::Engine;
use crate::resolver::settings::{BlockPageSettings, Contact, ControlSettings, Settings};
use crate::resolver::snapshot::Client;
use crate::server::{self, Running};

use crate::sources::store;
use crate::sources::{self, Build, Progress, Report};
use crate::web::{self, block_page};

/// A server with all its parts.
pub struct Service {
    /// The engine, for reloads.
    pub engine: Arc<Engine>,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
    /// Where the metrics page listens.
    pub metrics: Option<SocketAddr>,
    /// Where the block page listens.
    pub block_page: Vec<SocketAddr>,
    /// What was read.
    pub report: Report,
    running: Running,
    /// What the settings of the start say of where it listens.
    listen: Vec<SocketAddr>,
    /// The socket for orders, to be taken away in the end.
    control: Option<PathBuf>,
    counters: Arc<CounterSet>,
}

impl Service {
    /// Builds, binds and starts. Must run within a runtime.
    pub async fn start(
        settings: &Settings,
        log: Option<Sink>,
        progress: &dyn Progress,
    ) -> Result<Self, String> {
        let cache = Arc::new(Cache::new(settings.cache_bytes));
        let counters = Arc::new(CounterSet::default());
        let how = Build { progress, left_out: false };
        let (snapshot, report) = sources::build(settings, &cache, &counters, how, server::now().unix)
            .map_err(|e| e.to_string())?;
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let bound = server::bind(&settings.listen, threads).map_err(|e| e.to_string())?;
        let page = match settings.metrics {
            Some(address) => {
                let reason = |e| {
                    format!(
                        "cannot listen on {address} for metrics: {e}; choose another address in [metrics] listen"
                    )
                };
                Some(TcpListener::bind(address).await.map_err(reason)?)
            }
            None => None,
        };
        let metrics = page.as_ref().and_then(|l| l.local_addr().ok());
        let engine = Arc::new(Engine::new(snapshot, Arc::clone(&counters), log));
        if let Some(listener) = page {
            let routes = web::metrics::routes(&engine);
            tokio::spawn(async move { axum::serve(listener, routes).await });
        }
        let block_page = match &settings.block_page {
            Some(page) => listen_for_people(page, &settings.contact, &engine).await?,
            None => Vec::new(),
        };
        let control = control(settings, &engine)?;
        let addresses = bound.addresses.clone();
        let running = server::start(
            bound,
            &engine,
            server::now,
            server::UdpThreads { batch: settings.udp_batch, pin: settings.pin },
        )
        .map_err(|e| format!("cannot start a thread: {e}"))?;
        let listen = settings.listen.clone();
        Ok(Self { engine, addresses, metrics, block_page, report, running, listen, control, counters })
    }

    /// Serves what the settings say from now on, or says why not and goes on as before.
    pub fn reload(&self, before: &Settings, settings: &Settings) -> Result<Report, String> {
        // The sockets are those of the start, and so are the listeners that groups ask for.
        let settings = &Settings { listen: self.listen.clone(), ..settings.clone() };
        let same_upstreams = sources::same_upstreams(before, settings);
        let serving = Arc::clone(&self.engine.snapshot());
        let now = server::now().unix;
        // Other servers may say other things, and what the old ones still say is for the old cache.
        let cache = if same_upstreams && before.cache_bytes == settings.cache_bytes {
            Arc::clone(&serving.cache)
        } else {
            Arc::new(Cache::new(settings.cache_bytes))
        };
        let (mut snapshot, report) = sources::build(settings, &cache, &self.counters, Build::default(), now)
            .map_err(|e| e.to_string())?;
        if same_upstreams {
            // The same servers keep their connections, penalties and counters.
            snapshot.routes = Arc::clone(&serving.routes);
        }
        self.engine.replace(snapshot, now);
        Ok(report)
    }

    /// Finishes what is under way and ends.
    pub async fn stop(self) {
        self.running.stop().await;
        if let Some(socket) = self.control {
            // Left behind, it is in nobody's way.
            let _ = std::fs::remove_file(socket);
        }
    }
}

/// Serves the block page, and refuses TLS where that is asked for. Gives the addresses for HTTP.
async fn listen_for_people(
    page: &BlockPageSettings,
    contact: &Contact,
    engine: &Arc<Engine>,
) -> Result<Vec<SocketAddr>, String> {
    let limits = block_page::Limits::default();
    let (asked, contact, operator) = (Arc::clone(engine), contact.clone(), contact.organization.clone());
    let why: block_page::Why = Arc::new(move |client, name| why(&asked, &contact, client, name));
    let mut addresses = Vec::new();
    for address in &page.listen {
        let listener = listen(*address, "listen").await?;
        addresses.extend(listener.local_addr());
        let site = block_page::Site { why: Arc::clone(&why), operator: operator.clone(), limits };
        tokio::spawn(block_page::serve(listener, site));
    }
    for address in &page.refuse_tls {
        let listener = listen(*address, "refuse-tls").await?;
        tokio::spawn(block_page::refuse_tls(listener, limits));
    }
    Ok(addresses)
}

async fn listen(address: SocketAddr, key: &str) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|e| {
        format!(
            "cannot listen on {address} for the block page: {e}; choose another address in [blockpage] {key}"
        )
    })
}

/// What the block page says of a name: what `explain` says, as things are now. Which listener and which
/// type brought the client there is not known, so the first that is refused counts.
fn why(
    engine: &Arc<Engine>,
    contact: &Contact,
    client: IpAddr,
    name: &NameBuf,
) -> Option<block_page::Refusal> {
    let now = server::now();
    let snapshot = engine.snapshot_at(now.unix);
    let listeners = u16::try_from(snapshot.policy.groups.tables().len()).unwrap_or(u16::MAX).max(1);
    let asks = (0..listeners).flat_map(|l| [Qtype::A, Qtype::AAAA, Qtype::HTTPS].map(|t| (l, t)));
    let mut records = asks.map(|(listener, qtype)| {
        let client = Client { address: SocketAddr::new(client, 0), transport: Transport::Udp, listener };
        let question = Question { name: name.clone(), qtype, client, answer: Vec::new() };
        explain::explain(engine, &snapshot, &question, now)
    });
    let record = records.find(|record| record.refusal.is_some())?;
    let refusal = record.refusal?;
    Some(block_page::Refusal {
        name: name.to_string(),
        list: refusal.list,
        reason: refusal.reason,
        authority: refusal.authority,
        blocked_by: contact.blocked_by.clone(),
        since: refusal.since,
        contact: contact.uris.clone(),
        organization: contact.organization.clone(),
        id: record.id?,
    })
}

/// Listens for orders, and brings back those that were kept.
#[cfg(unix)]
fn control(settings: &Settings, engine: &Arc<Engine>) -> Result<Option<PathBuf>, String> {
    use crate::policy::overrides::Whom;
    use crate::server::control::{self, Control, Keep};
    let Some(ControlSettings { socket, state }) = &settings.control else { return Ok(None) };
    // The socket first: who has it, has the file too.
    let listener = control::bind(socket)?;
    let kept = kept_orders(settings).unwrap_or_else(|problem| {
        set_aside(&problem, state.as_deref());
        Overrides::default()
    });
    for order in kept.all() {
        if let Whom::Group(name) = &order.whom
            && !settings.groups.iter().any(|g| g.name == *name)
        {
            tracing::warn!("kept order {} is for the group `{name}`, which there is not", order.id);
        }
    }
    engine.order(server::now().unix, |_| (Some(kept), ()));
    let keep = state.clone().map(|path| -> Keep {
        Arc::new(move |text: &str| {
            let problem = |e| format!("cannot write {}: {e}", path.display());
            store::write_private(&path, &[text.as_bytes()]).map_err(problem)
        })
    });
    tokio::spawn(control::serve(listener, Control { engine: Arc::clone(engine), clock: server::now, keep }));
    Ok(Some(socket.clone()))
}

/// Moves a damaged file of kept orders out of the way of the next one: names must be answered, and
/// somebody may want to read it.
#[cfg(unix)]
fn set_aside(problem: &str, state: Option<&std::path::Path>) {
    let Some(state) = state else { return };
    let mut bad = state.as_os_str().to_owned();
    bad.push(".bad");
    let bad = PathBuf::from(bad);
    match std::fs::rename(state, &bad) {
        Ok(()) => {
            tracing::error!("{problem}; starting without kept orders, the file is {} now", bad.display());
        }
        Err(error) => {
            tracing::error!("{problem}; starting without kept orders, the file can't be moved: {error}");
        }
    }
}

/// There are no Unix sockets here.
#[cfg(not(unix))]
fn control(settings: &Settings, _: &Arc<Engine>) -> Result<Option<PathBuf>, String> {
    match settings.control {
        Some(_) => Err("[control] needs a Unix socket, which this system has not".into()),
        None => Ok(None),
    }
}

/// The runtime on which TCP lives and queries wait.
pub fn runtime() -> Result<Runtime, String> {
    // Each connection, and each port that questions go out from, takes a descriptor. Where the limit
    // can't be raised, the one that there is holds.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))
}

/// The orders that a server with these settings kept; none if it never kept any.
#[cfg(unix)]
pub fn kept_orders(settings: &Settings) -> Result<Overrides, String> {
    let Some(state) = settings.control.as_ref().and_then(|c| c.state.as_deref()) else {
        return Ok(Overrides::default());
    };
    let text = match std::fs::read_to_string(state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Overrides::default()),
        text => text.map_err(|e| e.to_string()),
    };
    let kept = text.and_then(|text| crate::server::control::kept(&text));
    kept.map_err(|problem| format!("{}: the file of kept orders is damaged: {problem}", state.display()))
}

/// There is nobody to take orders here.
#[cfg(not(unix))]
pub fn kept_orders(_: &Settings) -> Result<Overrides, String> {
    Ok(Overrides::default())
}
