//! `portcullis serve`: bind, say so, answer until told to stop; reload on SIGHUP.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::progress::Bar;
use super::{FAILED, OK, say, say_error};
use crate::app::{self, Service, Signal, Signals};
use crate::resolver::settings::Settings;
use crate::sources::Report;

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

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    app::log::start();
    let settings = read(args)?;
    if args.config.is_none() {
        tracing::info!(
            "no configuration file: serving the shipped lists on loopback, with the system's resolvers as upstream"
        );
    }
    app::runtime()?.block_on(serve(args, settings))
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
        settings.listen.clone_from(&args.listen);
    }
    Ok(settings)
}

async fn serve(args: &Args, mut settings: Settings) -> Result<u8, String> {
    // Before the sockets are bound, so that no signal is lost once the ready line is out.
    let mut signals = Signals::new().map_err(|e| format!("cannot listen to signals: {e}"))?;
    let service = match Service::start(&settings, None, &Bar::default()).await {
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
                let threads = (s.threads, s.pin, s.udp_batch);
                (s.listen.clone(), s.metrics, threads, s.block_page.clone(), s.control.clone())
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
