//! `portcullis serve`: bind, announce the addresses, answer until a signal stops it; reload on SIGHUP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::progress::Bar;
use super::{OK, say_json};
use crate::app::{self, Addresses, Prepared, Reloader, Service, Signal, Signals, Turn, Worker};
use crate::orders::Status;
use crate::resolver::live::Engine;
use crate::settings::{LogLines, LogSettings, Privacy, Settings};
use crate::sources::{Progress, Report, pattern_time, slow_patterns};

/// Options of `serve`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  portcullis serve --config portcullis.toml\n\n\
    Signals: SIGHUP reloads configuration, lists and zones; SIGUSR1 logs a line with the server's status; \
    SIGUSR2 is ignored; SIGTERM and SIGINT finish the queries in progress and exit.")]
pub(super) struct Args {
    /// The configuration file; by default the built-in configuration is served
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one line of JSON on standard output once every socket is bound
    #[arg(long)]
    ready_json: bool,
    /// Write each query as a line of JSON to FILE, or to standard output
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    log_queries: Option<PathBuf>,
    /// Listen here instead of on the addresses of the configuration; may be given more than once
    #[arg(short, long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> Result<u8, String> {
    app::log::start();
    let settings = read(&args)?;
    if args.config.is_none() {
        tracing::info!(
            "no configuration file: serving the shipped lists on loopback, with the system's resolvers as upstream"
        );
        if let Some(warning) = super::tips::unread() {
            tracing::warn!("{warning}");
        }
    }
    // This must happen before other threads start.
    app::privileges::give_up();
    app::privileges::warn_of_root(&settings);
    for exposed in super::exposed::all(&settings) {
        tracing::warn!("{}", exposed.text);
    }
    app::runtime().map_err(|e| e.to_string())?.block_on(serve(args, settings))
}

fn read(args: &Args) -> Result<Settings, String> {
    let mut settings = super::settings(args.config.as_ref())?;
    if !args.listen.is_empty() {
        if let Some(group) = settings.groups.iter().find(|g| !g.listeners.is_empty()) {
            return Err(format!(
                "the group `{}` is chosen by `listen`, which --listen would override; change [server] listen instead",
                group.name
            ));
        }
        settings.server.listen.clone_from(&args.listen);
    }
    if let Some(path) = &args.log_queries {
        let none = LogSettings { store: None, lines: None, privacy: Privacy::default() };
        let output = path.as_os_str() == "-";
        let lines = if output { LogLines::Output } else { LogLines::File(path.clone()) };
        settings.log.get_or_insert(none).lines = Some(lines);
    }
    Ok(settings)
}

async fn serve(args: Args, settings: Settings) -> Result<u8, String> {
    // Before the sockets are bound, so that no signal is lost once the ready line is out.
    let mut signals = Signals::new().map_err(|e| format!("cannot install signal handlers: {e}"))?;
    let Some((prepared, reload)) = prepared(settings, &mut signals).await? else { return Ok(OK) };
    let service = Service::open(prepared, None).map_err(|e| e.to_string())?;
    log_report(&service.reloader.report(), &service.engine);
    let Addresses { dns, web, block_page } = &service.addresses;
    for address in dns {
        tracing::info!(%address, "listening (UDP and TCP)");
    }
    for address in web {
        tracing::info!(%address, "metrics at /metrics");
    }
    for address in block_page {
        tracing::info!(%address, "block page");
    }
    let log = tokio::spawn(app::log::sum_up());
    if args.ready_json {
        let ready = serde_json::json!({ "ready": true, "dns": dns, "web": web, "blockpage": block_page });
        say_json(&ready);
    }
    let reloader = Arc::clone(&service.reloader);
    let reloads = Worker::start("reload", move |turn| self::reload(&args, &reloader, turn))
        .map_err(|e| format!("cannot start a thread: {e}"))?;
    if reload {
        reloads.ask();
    }
    loop {
        match signals.next().await {
            Signal::Reload => reloads.ask(),
            Signal::Status => status(&service),
            Signal::Stop => break,
        }
    }
    service.stop().await;
    log.abort();
    Ok(OK)
}

/// Reads lists and zones on a separate thread while signals are handled. Also returns whether a reload was
/// requested meanwhile. `None`: the program is to end.
async fn prepared(settings: Settings, signals: &mut Signals) -> Result<Option<(Prepared, bool)>, String> {
    let (done, mut prepared) = tokio::sync::oneshot::channel();
    let prepare = move || {
        // Sending fails only if nothing waits for the result any more.
        let _ = done.send(Prepared::new(settings, &Bar::default()));
    };
    let thread = std::thread::Builder::new().name("start".to_owned()).spawn(prepare);
    thread.map_err(|e| format!("cannot start a thread: {e}"))?;
    let mut reload = false;
    loop {
        tokio::select! {
            prepared = &mut prepared => {
                let prepared = prepared.map_err(|_| "the lists could not be read")?;
                return Ok(Some((prepared.map_err(|e| e.to_string())?, reload)));
            }
            signal = signals.next() => match signal {
                Signal::Reload => reload = true,
                Signal::Status => tracing::info!("status: starting, lists and zones are being read"),
                Signal::Stop => return Ok(None),
            }
        }
    }
}

/// Ends a reload that a newer one supersedes.
struct Wanted<'t>(&'t Turn);

impl Progress for Wanted<'_> {
    fn begin(&self, _what: &str, _size: u64) {}
    fn at(&self, _done: u64) {}
    fn stage(&self, _what: &str) {}

    fn goes_on(&self) -> bool {
        !self.0.is_superseded()
    }
}

/// Reloads; returns true if it gave up because of a newer request.
fn reload(args: &Args, reloader: &Reloader, turn: &Turn) -> bool {
    let settings = match read(args) {
        Ok(settings) => settings,
        Err(problem) => {
            reloader.engine().counters.failed_reloads.fetch_add(1, Relaxed);
            tracing::error!("not reloaded, serving as before: {problem}");
            return false;
        }
    };
    match reloader.reload(&settings, &Wanted(turn)) {
        Ok(reloaded) => {
            tracing::info!("reloaded");
            if !reloaded.at_next_start.is_empty() {
                let keys = reloaded.at_next_start.join(", ");
                tracing::warn!("these changes take effect at the next start: {keys}");
            }
            log_report(&reloaded.report, reloader.engine());
        }
        Err(_) if turn.is_superseded() => {
            tracing::info!("another reload was asked for: beginning again");
            return true;
        }
        Err(error) => {
            reloader.engine().counters.failed_reloads.fetch_add(1, Relaxed);
            for failure in error.0 {
                tracing::error!("not reloaded, serving as before: {failure}");
            }
        }
    }
    false
}

/// SIGUSR1: logs the server's status in one line.
fn status(service: &Service) {
    let Status { rules, queries, waiting, orders, blocking, paused } =
        Status::of(&service.engine, super::now().unix);
    tracing::info!(rules, queries, waiting, orders, blocking, paused, "status");
}

fn log_report(report: &Report, engine: &Engine) {
    for list in &report.lists {
        let account = &list.account;
        let (rules, unsupported, invalid) = (list.rules, account.unsupported, account.invalid);
        tracing::info!(name = list.name, %list.format, rules, unsupported, invalid, source = list.source, "list");
        for warning in list.warnings() {
            tracing::warn!("{warning}");
        }
    }
    let policy = Arc::clone(&engine.snapshot().policy);
    if let Some(time) = pattern_time(&policy, super::now) {
        let (patterns, micros) = (policy.pattern_count(), time.as_secs_f64() * 1e6);
        tracing::info!("{patterns} patterns cost up to {micros:.1} µs per query");
        if let Some(warning) = slow_patterns(time) {
            tracing::warn!("{warning}");
        }
    }
    for zone in &report.zones {
        tracing::info!(origin = %zone.origin, names = zone.names, source = zone.source, "zone");
    }
}
