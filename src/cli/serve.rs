//! `portcullis serve`: bind, say so, answer until told to stop; reload on SIGHUP.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::progress::Bar;
use super::{FAILED, OK, say, say_error};
use crate::cache::store::Cache;
use crate::dns::name::NameBuf;
use crate::dns::reply::Transport;
use crate::dns::types::Qtype;
use crate::observe::counters::CounterSet;
use crate::observe::querylog::Sink;
use crate::resolver::explain::{self, Question};
use crate::resolver::live::Engine;
use crate::resolver::snapshot::Client;
use crate::server::{self, Running};
use crate::settings::{BlockPageSettings, Contact, ControlSettings, MetricsSettings, Settings};
use crate::sources::refresh::{self, Build, Report};
use crate::sources::store;
use crate::web::{self, block_page};

/// Options of `serve`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis serve --config portcullis.toml\n\n\
    Signals: SIGHUP reads configuration and lists again; SIGTERM and SIGINT finish what is under way and end.")]
pub(super) struct Args {
    /// The configuration file; without one the built-in default is served
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one line of JSON on standard output once every socket is bound
    #[arg(long)]
    ready_json: bool,
    /// Listen here instead of where the configuration says; may be given more than once
    #[arg(short, long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
}

/// A server with all its parts.
pub(super) struct Service {
    /// The engine, for reloads.
    pub(super) engine: Arc<Engine>,
    /// Where it listens.
    pub(super) addresses: Vec<SocketAddr>,
    /// Where the metrics page listens.
    pub(super) metrics: Option<SocketAddr>,
    /// Where the block page listens.
    pub(super) block_page: Vec<SocketAddr>,
    /// What was read.
    pub(super) report: Report,
    running: Running,
    /// What the settings of the start say of where it listens.
    listen: Vec<SocketAddr>,
    /// The socket for orders, to be taken away in the end.
    control: Option<PathBuf>,
    counters: Arc<CounterSet>,
}

impl Service {
    /// Builds, binds and starts. Must run within a runtime.
    pub(super) async fn start(settings: &Settings, log: Option<Sink>) -> Result<Self, String> {
        let cache = Arc::new(Cache::new(settings.cache.size));
        let counters = Arc::new(CounterSet::default());
        let bar = Bar::default();
        let how = Build { progress: &bar, left_out: false };
        let (snapshot, report) =
            refresh::build(settings, &cache, &counters, how, super::now().unix).map_err(|e| e.to_string())?;
        drop(bar);
        let threads = match settings.server.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let bound = server::bind(&settings.server.listen, threads).map_err(|e| e.to_string())?;
        let page = match settings.metrics.clone() {
            Some(MetricsSettings { listen: address }) => {
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
        let block_page = match &settings.blockpage {
            Some(page) => listen_for_people(page, &settings.block.contact, &engine).await?,
            None => Vec::new(),
        };
        let control = control(settings, &engine)?;
        let addresses = bound.addresses.clone();
        let running = server::start(
            bound,
            &engine,
            super::now,
            server::UdpThreads { batch: settings.server.udp_batch, pin: settings.server.pin },
        )
        .map_err(|e| format!("cannot start a thread: {e}"))?;
        let listen = settings.server.listen.clone();
        Ok(Self { engine, addresses, metrics, block_page, report, running, listen, control, counters })
    }

    /// Serves what the settings say from now on, or says why not and goes on as before.
    fn reload(&self, before: &Settings, settings: &Settings) -> Result<Report, String> {
        // The sockets are those of the start, and so are the listeners that groups ask for.
        let mut settings = settings.clone();
        settings.server.listen.clone_from(&self.listen);
        let settings = &settings;
        let same_upstreams = refresh::same_upstreams(before, settings);
        let serving = Arc::clone(&self.engine.snapshot());
        let now = super::now().unix;
        // Other servers may say other things, and what the old ones still say is for the old cache.
        let cache = if same_upstreams && before.cache.size == settings.cache.size {
            Arc::clone(&serving.cache)
        } else {
            Arc::new(Cache::new(settings.cache.size))
        };
        let (mut snapshot, report) = refresh::build(settings, &cache, &self.counters, Build::default(), now)
            .map_err(|e| e.to_string())?;
        if same_upstreams {
            // The same servers keep their connections, penalties and counters.
            snapshot.routes = Arc::clone(&serving.routes);
        }
        self.engine.replace(snapshot, now);
        Ok(report)
    }

    /// Finishes what is under way and ends.
    pub(super) async fn stop(self) {
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
    let now = super::now();
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
    use crate::policy::overrides::{Overrides, Whom};
    use crate::server::control::{self, Control, Keep};
    let Some(ControlSettings { socket, state }) = &settings.control else { return Ok(None) };
    // The socket first: who has it, has the file too.
    let listener = control::bind(socket)?;
    let kept = super::kept_orders(settings).unwrap_or_else(|problem| {
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
    engine.order(super::now().unix, |_| (Some(kept), ()));
    let keep = state.clone().map(|path| -> Keep {
        Arc::new(move |text: &str| {
            let problem = |e| format!("cannot write {}: {e}", path.display());
            store::write_private(&path, &[text.as_bytes()]).map_err(problem)
        })
    });
    tokio::spawn(control::serve(listener, Control { engine: Arc::clone(engine), clock: super::now, keep }));
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
pub(super) fn runtime() -> Result<Runtime, String> {
    // Each connection, and each port that questions go out from, takes a descriptor. Where the limit
    // can't be raised, the one that there is holds.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the runtime: {e}"))
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    super::start_log();
    let settings = read(args)?;
    if args.config.is_none() {
        tracing::info!(
            "no configuration file: serving the shipped lists on loopback, with the system's resolvers as upstream"
        );
    }
    runtime()?.block_on(serve(args, settings))
}

fn read(args: &Args) -> Result<Settings, String> {
    let mut settings = super::settings(args.config.as_ref())?;
    if !args.listen.is_empty() {
        if let Some(group) = settings.groups.iter().find(|g| !g.listeners.is_empty()) {
            return Err(format!(
                "the group `{}` goes by `listen`, which --listen would overrule; change [server] listen instead",
                group.name
            ));
        }
        settings.server.listen.clone_from(&args.listen);
    }
    Ok(settings)
}

async fn serve(args: &Args, mut settings: Settings) -> Result<u8, String> {
    // Before the sockets are bound, so that no signal is lost once the ready line is out.
    let mut signals = Signals::new().map_err(|e| format!("cannot listen to signals: {e}"))?;
    let service = match Service::start(&settings, None).await {
        Ok(service) => service,
        Err(problem) => {
            say_error(&problem);
            return Ok(FAILED);
        }
    };
    tell(&service.report);
    for address in &service.addresses {
        tracing::info!(%address, "listening (UDP and TCP)");
    }
    if let Some(address) = service.metrics {
        tracing::info!(%address, "metrics at /metrics");
    }
    for address in &service.block_page {
        tracing::info!(%address, "block page");
    }
    if args.ready_json {
        let web: Vec<_> = service.metrics.iter().collect();
        let dns = &service.addresses;
        let none: [SocketAddr; 0] = [];
        let ready = serde_json::json!({
            "ready": true, "dns": dns, "tls": none, "https": none, "quic": none, "web": web,
            "blockpage": service.block_page,
        });
        say(&ready.to_string());
    }
    while let Signal::Reload = signals.next().await {
        match read(args).and_then(|next| {
            let fixed = |s: &Settings| {
                let threads = (s.server.threads, s.server.pin, s.server.udp_batch);
                (s.server.listen.clone(), s.metrics.clone(), threads, s.blockpage.clone(), s.control.clone())
            };
            if fixed(&next) != fixed(&settings) {
                tracing::warn!(
                    "changes of listen addresses, sockets and threads take effect at the next start"
                );
            }
            let report = service.reload(&settings, &next)?;
            settings = next;
            Ok(report)
        }) {
            Ok(report) => {
                tracing::info!("reloaded");
                tell(&report);
            }
            Err(problem) => tracing::error!("not reloaded, serving as before: {problem}"),
        }
    }
    service.stop().await;
    Ok(OK)
}

fn tell(report: &Report) {
    for list in &report.lists {
        let account = &list.account;
        let (rules, unsupported, invalid) = (list.rules, account.unsupported, account.invalid);
        tracing::info!(name = list.name, %list.format, rules, unsupported, invalid, source = list.source, "list");
    }
    for zone in &report.zones {
        tracing::info!(origin = %zone.origin, names = zone.names, source = zone.source, "zone");
    }
}

/// What a signal asks for.
pub(super) enum Signal {
    /// SIGHUP.
    Reload,
    /// SIGTERM or SIGINT.
    Stop,
}

/// The signals that a server listens to.
pub(super) struct Signals {
    #[cfg(unix)]
    streams: [tokio::signal::unix::Signal; 3],
}

impl Signals {
    /// Takes the signals over. Must run within a runtime.
    pub(super) fn new() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            let streams = [
                signal(SignalKind::hangup())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::interrupt())?,
            ];
            Ok(Self { streams })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        #[cfg(unix)]
        {
            let [hangup, terminate, interrupt] = &mut self.streams;
            tokio::select! {
                _ = hangup.recv() => Signal::Reload,
                _ = terminate.recv() => Signal::Stop,
                _ = interrupt.recv() => Signal::Stop,
            }
        }
        #[cfg(not(unix))]
        {
            let _ = tokio::signal::ctrl_c().await;
            Signal::Stop
        }
    }
}
