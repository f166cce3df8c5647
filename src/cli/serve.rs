//! `portcullis serve`: bind, say so, answer until told to stop; reload on SIGHUP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use super::progress::Bar;
use super::{FAILED, OK, say, say_error};
use crate::cache::store::Cache;
use crate::observe::counters::CounterSet;
use crate::observe::querylog::Sink;
use crate::resolver::live::Engine;
use crate::resolver::settings::Settings;
use crate::server::{self, Running};
use crate::sources::refresh::{self, Build, Report};
use crate::web;

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
    /// What was read.
    pub(super) report: Report,
    running: Running,
    counters: Arc<CounterSet>,
}

impl Service {
    /// Builds, binds and starts. Must run within a runtime.
    pub(super) async fn start(settings: &Settings, log: Option<Sink>) -> Result<Self, String> {
        let cache = Arc::new(Cache::new(settings.cache_bytes));
        let counters = Arc::new(CounterSet::default());
        let bar = Bar::default();
        let how = Build { progress: &bar, left_out: false };
        let (snapshot, report) =
            refresh::build(settings, &cache, &counters, how).map_err(|e| e.to_string())?;
        drop(bar);
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
        let addresses = bound.addresses.clone();
        let running = server::start(
            bound,
            &engine,
            super::now,
            server::UdpThreads { batch: settings.udp_batch, pin: settings.pin },
        )
        .map_err(|e| format!("cannot start a thread: {e}"))?;
        Ok(Self { engine, addresses, metrics, report, running, counters })
    }

    /// Serves what the settings say from now on, or says why not and goes on as before.
    fn reload(&self, before: &Settings, settings: &Settings) -> Result<Report, String> {
        let upstreams = |s: &Settings| (s.upstreams.clone(), s.upstream_timeout);
        let same_upstreams = settings.upstreams.is_some() && upstreams(before) == upstreams(settings);
        let now = Arc::clone(&self.engine.snapshot());
        // Other servers may say other things, and what the old ones still say is for the old cache.
        let cache = if same_upstreams && before.cache_bytes == settings.cache_bytes {
            Arc::clone(&now.cache)
        } else {
            Arc::new(Cache::new(settings.cache_bytes))
        };
        let (mut snapshot, report) =
            refresh::build(settings, &cache, &self.counters, Build::default()).map_err(|e| e.to_string())?;
        if same_upstreams {
            // The same servers keep their connections, penalties and counters.
            snapshot.upstream.clone_from(&now.upstream);
        }
        self.engine.replace(snapshot);
        Ok(report)
    }

    /// Finishes what is under way and ends.
    pub(super) async fn stop(self) {
        self.running.stop().await;
    }
}

/// The runtime on which TCP lives and queries wait. Its threads yield to those of UDP: what must wait
/// for the network should not hold up what need not.
pub(super) fn runtime() -> Result<Runtime, String> {
    // Each connection, and each port that questions go out from, takes a descriptor. Where the limit
    // can't be raised, the one that there is holds.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(server::udp::yield_to_others)
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
        settings.listen.clone_from(&args.listen);
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
    if args.ready_json {
        let web: Vec<_> = service.metrics.iter().collect();
        let dns = &service.addresses;
        let none: [SocketAddr; 0] = [];
        let ready = serde_json::json!({
            "ready": true, "dns": dns, "tls": none, "https": none, "quic": none, "web": web, "blockpage": none
        });
        say(&ready.to_string());
    }
    while let Signal::Reload = signals.next().await {
        match read(args).and_then(|next| {
            let fixed = |s: &Settings| (s.listen.clone(), s.metrics, s.threads, s.pin, s.udp_batch);
            if fixed(&next) != fixed(&settings) {
                tracing::warn!(
                    "changes of listen addresses and of threads and how they work take effect at the next start"
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
