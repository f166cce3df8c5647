//! `portcullis demo`: a little internet on loopback, the LinkedIn ban, and each query as it is answered.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};

use super::{OK, say, say_coloured, say_json, shipped};
use crate::app::{self, Service, Signals};
use crate::dns::{Query, clean};
use crate::observe::event::Line;
use crate::observe::sink::{Capacity, Drain, Sink};
use crate::policy::Class;
use crate::settings::{ServerSettings, Settings, UpstreamSettings};
use crate::sources::Silent;

/// Options of `demo`.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  portcullis demo\n  dig @127.0.0.1 -p 5300 linkedin.com      (in a second terminal)"
)]
pub(super) struct Args {
    /// Whether the ban is in force; off serves the same names without it
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = ["on", "off"])]
    block: String,
    /// The port on 127.0.0.1; if it is taken, a free one is used
    #[arg(short, long, default_value_t = 5300)]
    port: u16,
    /// Print each query as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    app::log::start();
    let wanted = SocketAddr::from(([127, 0, 0, 1], args.port));
    let mut settings = Settings {
        server: ServerSettings { listen: vec![wanted], ..ServerSettings::default() },
        upstream: UpstreamSettings::of(Vec::new()),
        lists: shipped::lists(),
        zones: shipped::internet(),
        blocking: args.block == "on",
        ..Settings::default()
    };
    app::runtime().map_err(|e| e.to_string())?.block_on(async {
        let mut signals = Signals::new().map_err(|e| format!("cannot install signal handlers: {e}"))?;
        let (sink, lines) = Sink::new(Capacity::default());
        match Service::start(&settings, Some(sink), &Silent) {
            Err(error) if error.is_address_in_use() => {
                settings.server.listen = vec![SocketAddr::new(wanted.ip(), 0)];
                let (sink, lines) = Sink::new(Capacity::default());
                let service = Service::start(&settings, Some(sink), &Silent).map_err(|e| e.to_string())?;
                demo(args, service, lines, Some(wanted), &mut signals).await
            }
            Err(error) => Err(error.to_string()),
            Ok(service) => demo(args, service, lines, None, &mut signals).await,
        }
    })
}

async fn demo(
    args: &Args,
    service: Service,
    lines: Drain<Line>,
    taken: Option<SocketAddr>,
    signals: &mut Signals,
) -> Result<u8, String> {
    let style = Style { json: args.json, colour: std::io::stdout().is_terminal() };
    if let (false, Some(address)) = (args.json, service.addresses.dns.first()) {
        introduce(args, &service, *address, taken);
    }
    // The thread ends with the program: it holds nothing that could be lost.
    std::thread::spawn(move || lines.for_each(|line| print(&line, style)));
    signals.stop().await;
    service.stop().await;
    Ok(OK)
}

fn introduce(args: &Args, service: &Service, address: SocketAddr, taken: Option<SocketAddr>) {
    let (ip, port) = (address.ip(), address.port());
    if let Some(taken) = taken {
        say(&format!("Port {} is taken by another program; using {port}.", taken.port()));
    }
    let report = service.reloader.report();
    let names: usize = report.zones.iter().map(|z| z.names).sum();
    let zones = report.zones.len();
    say(&format!("A little internet of {names} names in {zones} zones answers on {address}, UDP and TCP."));
    let on = args.block == "on";
    if on {
        let rules = report.rules;
        say(&format!(
            "The ban on LinkedIn (Russia, 17 November 2016) is in force: {}, NXDOMAIN.",
            super::count(rules, "rule")
        ));
    } else {
        say("The ban is off: the same names are served without it.");
    }
    say("\nTry, in a second terminal:");
    for (command, remark) in [
        (
            "linkedin.com",
            if on { "blocked: NXDOMAIN, with the reason as an Extended DNS Error" } else { "its address" },
        ),
        ("www.linkedin.com AAAA", if on { "so is every name below it" } else { "that of a name below it" }),
        (
            "notlinkedin.example.com",
            if on { "but not a name that only ends in the same letters" } else { "another name" },
        ),
        ("www.wikipedia.org", "an alias and its address"),
        ("example.org MX", "mail, with the address of the host"),
        ("+tcp example.org TXT", "the same over TCP"),
    ] {
        say(&format!("  {:<52} # {remark}", format!("dig @{ip} -p {port} {command}")));
    }
    say("\nNames outside the little internet are refused. Ctrl-C ends it.\n");
}

#[derive(Clone, Copy)]
struct Style {
    json: bool,
    colour: bool,
}

fn print(line: &Line, style: Style) {
    match (style.json, style.colour) {
        (true, _) => say_json(&json(line)),
        (_, true) => say_coloured(&plain(line, true)),
        (_, false) => say(&plain(line, false)),
    }
}

fn plain(line: &Line, colour: bool) -> String {
    let event = &line.event;
    let question = Query::parse(&line.query)
        .map_or_else(|_| "(no question)".into(), |query| format!("{} {}", query.qname, query.qtype));
    let rcode = event.rcode.map_or_else(|| "no reply".into(), |r| r.to_string());
    let rule = line
        .rule
        .as_ref()
        .map_or_else(String::new, |r| clean(&format!("  {} ({})", r.rule, r.place())).into_owned());
    let transport = event.transport.word();
    let verdict = event.verdict.word();
    let (on, off) = match (colour, event.verdict.class()) {
        (false, _) => ("", ""),
        (true, Class::Blocked) => ("\x1b[31m", "\x1b[0m"),
        (true, Class::Allowed) => ("\x1b[32m", "\x1b[0m"),
        (true, _) => ("\x1b[2m", "\x1b[0m"),
    };
    let (client, time, took) = (client(event.client), time(), event.took.as_micros());
    format!("{time} {client} {transport} {question:<30} {on}{verdict:<7}{off} {rcode:<8} {took:>5} µs{rule}")
}

fn json(line: &Line) -> serde_json::Value {
    let event = &line.event;
    let query = Query::parse(&line.query).ok();
    serde_json::json!({
        "time": jiff::Timestamp::now().to_string(),
        "client": event.client.ip(),
        "name": query.as_ref().map(|q| q.qname.to_string()),
        "type": query.as_ref().map(|q| q.qtype.to_string()),
        "verdict": event.verdict.word(),
        "answered_by": event.source.word(),
        "rcode": event.rcode.map(|r| r.to_string()),
        "rule": line.rule.as_ref().map(|r| &r.rule),
        "list": line.rule.as_ref().map(|r| &r.list),
        "line": line.rule.as_ref().map(|r| r.line),
        "microseconds": u64::try_from(event.took.as_micros()).unwrap_or(u64::MAX),
    })
}

fn client(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

fn time() -> String {
    jiff::Timestamp::now().strftime("%H:%M:%S").to_string()
}
