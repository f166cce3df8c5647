//! `portcullis scenario run`: answers as the censor did, until a signal stops it; or replays a record.

use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;

use super::show::wrapped;
use super::{commands, judge, replay};
use crate::app::{self, Signals};
use crate::censor::{Draw, Expect, Network, Scenario, StubMode, Wanted, WantedReply, describe};
use crate::cli::{FAILED, OK, say, say_coloured, say_error, say_json};
use crate::dns::clean;
use crate::observe::sink::{Capacity, Drain, Wait};
use crate::server::{self, Bound};
use crate::stage::censor::Observer;
use crate::stage::clock::Clock;
use crate::stage::exchange::Exchange;
use crate::stage::harness::{time_text, unix};
use crate::stage::passthrough::Passthrough;
use crate::stage::play::Player;
use crate::stage::recorder::{Recorder, Sink};
use crate::stage::worksheet::{changes, in_shell, letter};
use crate::stage::world::{Setting, World};
use crate::stage::{record, shipped};

/// How long a slow terminal may take at the end.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// Options of `scenario run`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  portcullis scenario run ru-2016-linkedin --port-per-network\n  \
    dig @127.0.0.1 -p 5301 linkedin.com      (in a second terminal)\n  \
    portcullis scenario run ru-2016-linkedin --at 2016-11-17T09:00:00+03:00 --speed 3600\n  \
    portcullis scenario run cn-gfw-injection --record run.jsonl\n  \
    portcullis scenario run cn-gfw-injection --replay run.jsonl\n\n\
    As a middlebox, on the router of a laboratory (Linux). Clients are behind lab0; these routes deliver their \
    packets for port 53 of any address:\n  \
    ip rule add iif lab0 ipproto udp dport 53 lookup 100\n  \
    ip rule add iif lab0 ipproto tcp dport 53 lookup 100\n  \
    ip route add local default dev lo table 100\n  \
    portcullis scenario run cn-gfw-injection --transparent\n\n\
    Exit codes: 0 success; 1 a replay differs; 2 an error.")]
pub(in crate::cli) struct Args {
    /// A scenario that comes with the program, or a file; may be omitted with --blind
    #[arg(required_unless_present = "blind")]
    name: Option<String>,
    /// Set the scenario's clock, as in 2016-11-17T12:00:00+03:00; by default it shows the last state
    #[arg(long, value_name = "TIME", value_parser = unix)]
    at: Option<i64>,
    /// Run the clock this many times as fast as real time; by default it stands still
    #[arg(long, value_name = "TIMES", default_value_t = 0.0, value_parser = commands::speed)]
    speed: f64,
    /// The seed of all random draws, instead of the scenario's own; with --blind and no name it picks the
    /// scenario
    #[arg(long, value_name = "N", value_parser = crate::cli::seed)]
    seed: Option<u64>,
    /// Where forged answers lead: `doc` to addresses for documentation, `loopback` to 127.0.0.1 and ::1,
    /// `historical` to the real addresses of the time; by default as the scenario says, mostly doc
    #[arg(long, alias = "stub_mode", value_name = "MODE", value_parser = stub_mode)]
    stub_mode: Option<StubMode>,
    /// The address to listen on, UDP and TCP; port 0 picks a free one [default: 127.0.0.1:5300; with
    /// --transparent 0.0.0.0:53 and, where there is IPv6, [::]:53]
    #[arg(short, long, value_name = "ADDRESS:PORT", value_parser = crate::cli::socket)]
    listen: Option<SocketAddr>,
    /// Answer in place of any resolver that is queried, from its address, as an on-path censor does, and
    /// forward to it the queries that are let through; packets must be routed here, as below. Linux only;
    /// needs root, or CAP_NET_ADMIN and CAP_NET_BIND_SERVICE. Only for your own networks: never use it on
    /// other people's traffic
    #[arg(long, conflicts_with_all = ["port_per_network", "replay"])]
    transparent: bool,
    /// Give each network its own port, starting after that of --listen; by default the client's address
    /// selects the network
    #[arg(long)]
    port_per_network: bool,
    /// The id of the network for clients that are in no other; by default the first
    #[arg(long, value_name = "ID", conflicts_with_all = ["port_per_network", "replay", "blind"])]
    network: Option<String>,
    /// Clients that may ask, besides loopback and private networks
    #[arg(long, value_name = "NETWORK", value_parser = crate::cli::network)]
    allow: Vec<IpNet>,
    /// Forward names outside the scenario's zones to this resolver, instead of refusing them; the default
    /// port is 53
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = judge::server)]
    forward: Vec<SocketAddr>,
    /// Write each query, its replies and the reason to this file as JSON lines, and a packet capture beside
    /// it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Replay the queries of a record, without sockets, and show which replies differ
    #[arg(long, value_name = "FILE", conflicts_with_all = ["record", "blind", "ready_json", "port_per_network"])]
    replay: Option<PathBuf>,
    /// Hide the names of the scenario and its networks until the end; without a name the seed picks a
    /// scenario
    #[arg(long)]
    blind: bool,
    /// Take commands on standard input, one a line: `at TIME` and `speed TIMES` for the clock, `rewind` to
    /// restart draws and pools, `now` to show the clock
    #[arg(long, conflicts_with = "replay")]
    commands: bool,
    /// Print one line of JSON on standard output once every socket is bound
    #[arg(long)]
    ready_json: bool,
    /// Print each query as a line of JSON, as --record writes it; with --blind only what the wire shows
    #[arg(long)]
    json: bool,
}

fn stub_mode(text: &str) -> Result<StubMode, String> {
    let known = StubMode::WORDS.iter().find(|(word, _)| *word == text);
    known.map(|(_, mode)| *mode).ok_or_else(|| "expected doc, loopback or historical".into())
}

/// Runs the command.
pub(super) fn run(args: &Args) -> Result<u8, String> {
    app::log::start();
    let name = match &args.name {
        Some(name) => name.clone(),
        None => picked(args.seed.unwrap_or_else(|| crate::cli::now().unix.cast_unsigned())),
    };
    let mut scenario = shipped::load(&name)?;
    if let Some(id) = &args.network {
        settle(&mut scenario, id)?;
    }
    if let Some(file) = &args.replay {
        return replay::run(scenario, setting(args), file, args.json);
    }
    app::runtime().map_err(|e| e.to_string())?.block_on(play(args, scenario))
}

/// Makes a network the one for all clients that are in no other.
fn settle(scenario: &mut Scenario, id: &str) -> Result<(), String> {
    let known: Vec<_> = scenario.networks.iter().map(|n| n.id.clone()).collect();
    let network = scenario.networks.iter_mut().find(|n| n.id == id);
    let network = network
        .ok_or_else(|| format!("there is no network `{id}`; the networks are {}", known.join(", ")))?;
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    network.clients.extend(all.into_iter().filter_map(|any| IpNet::new(any, 0).ok()));
    Ok(())
}

/// The scenario that a seed picks.
fn picked(seed: u64) -> String {
    let at = usize::try_from(Draw::new(seed).below(shipped::ALL.len() as u64)).unwrap_or(0);
    shipped::ALL.get(at).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

fn setting(args: &Args) -> Setting {
    let mut allow = Vec::new();
    if !args.allow.is_empty() {
        allow = crate::settings::private_networks();
        allow.extend(&args.allow);
    }
    Setting {
        seed: args.seed.filter(|_| args.name.is_some()),
        at: args.at,
        speed: args.speed,
        stubs: args.stub_mode,
        upstreams: args.forward.clone(),
        by_listener: args.port_per_network,
        between: args.transparent,
        allow,
        observer: None,
    }
}

async fn play(args: &Args, scenario: Scenario) -> Result<u8, String> {
    // Before the sockets are bound, so that no signal is lost once the ready line is out.
    let mut signals = Signals::new().map_err(|e| format!("cannot install signal handlers: {e}"))?;
    let now = crate::cli::now();
    let (lines, exchanges) = Sink::new(Capacity::default());
    let missed = lines.drops();
    let outputs = Arc::new(Outputs { recorder: OnceLock::new(), lines });
    let setting = Setting { observer: Some(Arc::<Outputs>::clone(&outputs)), ..setting(args) };
    let mode = setting.stubs.unwrap_or(scenario.stub_mode);
    if mode == StubMode::Historical {
        tracing::warn!(
            "forged answers contain the real addresses of the time: connections to them leave this machine"
        );
    }
    let (from, until) = (scenario.from.unwrap_or(i64::MIN), scenario.until.unwrap_or(i64::MAX));
    if args.at.is_some_and(|at| !(from..=until).contains(&at)) {
        tracing::warn!("--at is outside the scenario's period; rules without a time still apply");
    }
    let world = World::new(scenario, &setting, now)?;
    drop(setting);
    let scenario = &*Arc::clone(&world.censor.scenario);
    let bound = bind(args, scenario)?;
    let passthrough = args.transparent.then(Passthrough::open).transpose();
    let passthrough = passthrough.map_err(|e| format!("--transparent: {e}"))?;
    // Only after everything else has succeeded: this truncates the files.
    let started = now.unix.saturating_mul(1_000_000);
    let recorder = args.record.as_deref().map(|path| Recorder::create(path, &scenario.networks, started));
    let recorder = recorder.transpose()?;
    recorder.as_ref().map(|recorder| outputs.recorder.set(recorder.sink()));
    drop(outputs);
    let addresses = bound.addresses.clone();
    let (player, running) = Player::start(&world, bound, crate::net::now, passthrough)
        .map_err(|e| format!("cannot start a thread: {e}"))?;
    let announcement = Announcement { args, scenario, addresses: &addresses };
    if args.ready_json {
        say_json(&announcement.ready(&world));
    } else if !args.json {
        announcement.introduce(&world);
    }
    let style = Style {
        json: args.json,
        silent: args.ready_json && !args.json,
        blind: args.blind,
        offset: scenario.offset,
        began: world.censor.clock.read(now.at).0,
    };
    if args.commands {
        // A weak reference: the scenario can end before the commands do.
        let (censor, json) = (Arc::downgrade(&world.censor), args.ready_json || args.json);
        std::thread::spawn(move || commands::take(std::io::stdin().lock(), &censor, json));
    }
    let (shown, clock) = (Arc::clone(&world.censor.scenario), Arc::clone(&world.censor.clock));
    let printer = std::thread::spawn(move || print(exchanges, style, &shown, &clock));
    signals.stop().await;
    let (hurried, held_up) = (player.hurried(), player.held_up());
    running.stop().await;
    // The printer ends when the last sender is dropped.
    drop((world, player));
    let patience = crate::cli::now().at + FAREWELL;
    while !printer.is_finished() && crate::cli::now().at < patience {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let missed = missed.count();
    if args.json && (missed > 0 || !printer.is_finished()) {
        tracing::warn!(missed, "queries were not printed, because the reader of the output is too slow");
    }
    let mut code = OK;
    if hurried > 0 {
        tracing::warn!(packets = hurried, "sent early, because too many packets were delayed");
    }
    if held_up > 0 {
        tracing::warn!(queries = held_up, "not forwarded, because too many were in flight");
    }
    if let Some(recorder) = recorder {
        let (record, capture) = recorder.files();
        let files = format!("{} and {}", record.display(), capture.display());
        let summary = recorder.finish()?;
        if let Some(problem) = summary.problem {
            say_error(&format!("the record is incomplete: {problem}"));
            code = FAILED;
        }
        if !args.json && !args.ready_json {
            let (queries, dropped) = (crate::cli::count_u64(summary.written, "question"), summary.dropped);
            say(&format!("{queries} recorded in {files}."));
            if dropped > 0 {
                say_error(&format!("{dropped} more were dropped, because the disk was too slow"));
            }
        }
    }
    if args.blind && !args.json && !args.ready_json {
        say(&format!("It was {}: {}.", scenario.name, scenario.title));
    }
    Ok(code)
}

/// Where to listen.
fn wanted(args: &Args, scenario: &Scenario) -> Result<Vec<SocketAddr>, String> {
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 5300)));
    if !args.port_per_network {
        return Ok(vec![listen]);
    }
    let port = |place: u16| match listen.port() {
        0 => Some(0),
        first => first.checked_add(1)?.checked_add(place),
    };
    let places = scenario.networks.iter().zip(0u16..);
    let addresses: Option<Vec<_>> =
        places.map(|(_, place)| Some(SocketAddr::new(listen.ip(), port(place)?))).collect();
    addresses.ok_or_else(|| {
        let networks = crate::cli::count(scenario.networks.len(), "network");
        format!(
            "--listen {listen}: no ports are left after {} for {networks}; choose a lower one",
            listen.port()
        )
    })
}

fn bind(args: &Args, scenario: &Scenario) -> Result<Bound, String> {
    if !args.transparent {
        return server::bind(&wanted(args, scenario)?, 1).map_err(|e| e.to_string());
    }
    if let Some(listen) = args.listen {
        if !listen.ip().is_unspecified() {
            return Err(format!(
                "--transparent answers for all addresses: --listen 0.0.0.0:{}",
                listen.port()
            ));
        }
        return server::bind_transparent(&[listen]).map_err(|e| e.to_string());
    }
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 53));
    server::bind_transparent(&[v4, v6]).or_else(|both| {
        let bound = server::bind_transparent(&[v4]).map_err(|e| e.to_string())?;
        tracing::warn!("not listening on IPv6: {both}");
        Ok(bound)
    })
}

/// Where exchanges go: the record, and the terminal.
struct Outputs {
    recorder: OnceLock<Sink>,
    /// A terminal that is too slow misses lines; the record does not.
    lines: Sink,
}

impl Observer for Outputs {
    fn begun(&self, _: &Exchange) {}

    fn ended(&self, exchange: Exchange) {
        self.lines.push(exchange.clone());
        if let Some(recorder) = self.recorder.get() {
            recorder.push(exchange);
        }
    }
}

/// What is printed when the sockets are bound.
struct Announcement<'a> {
    args: &'a Args,
    scenario: &'a Scenario,
    addresses: &'a [SocketAddr],
}

impl Announcement<'_> {
    /// The network for all clients that are in no other.
    fn own(&self) -> u16 {
        let place = |id: &String| self.scenario.networks.iter().position(|n| n.id == *id);
        self.args.network.as_ref().and_then(place).and_then(|place| u16::try_from(place).ok()).unwrap_or(0)
    }

    /// The clients of a network.
    fn clients(&self, network: &Network, place: usize) -> String {
        let given = network.clients.iter().filter(|net| net.prefix_len() > 0).map(ToString::to_string);
        let others = (place == usize::from(self.own())).then(|| "all others".to_owned());
        given.chain(others).collect::<Vec<_>>().join(", ")
    }

    fn name(&self, place: usize) -> String {
        match self.scenario.networks.get(place) {
            Some(network) if !self.args.blind => network.id.clone(),
            _ => letter(place),
        }
    }

    fn ready(&self, world: &World) -> serde_json::Value {
        let places = 0..self.scenario.networks.len();
        let address = |place: usize| {
            let own =
                if self.args.port_per_network { self.addresses.get(place) } else { self.addresses.first() };
            own.map(SocketAddr::to_string)
        };
        let networks: serde_json::Map<_, _> =
            places.map(|place| (self.name(place), address(place).into())).collect();
        let (unix, _) = world.censor.clock.read(crate::cli::now().at);
        if self.args.blind {
            // The clock's offset would reveal the place, and the seed the scenario.
            let at = time_text(unix, 0);
            return serde_json::json!({
                "ready": true, "dns": self.addresses, "at": at, "networks": networks,
            });
        }
        serde_json::json!({
            "ready": true, "dns": self.addresses, "scenario": self.scenario.name,
            "at": time_text(unix, self.scenario.offset), "seed": world.censor.seed, "networks": networks,
        })
    }

    fn introduce(&self, world: &World) {
        let (args, scenario) = (self.args, self.scenario);
        if args.blind {
            say("A censored network. Which one? Ask, compare, and guess from what is on the wire.\n");
        } else {
            say(&format!("{} ({})\n\n{}\n", scenario.title, scenario.name, wrapped(&scenario.summary, "")));
        }
        let (unix, _) = world.censor.clock.read(crate::cli::now().at);
        // The offset would reveal the place.
        let clock = time_text(unix, if args.blind { 0 } else { scenario.offset });
        let runs = match args.speed {
            0.0 => "stands at".to_owned(),
            speed => format!("runs {speed} times as fast as the real one from"),
        };
        if !args.blind || args.at.is_some() {
            say(&format!("The scenario's clock {runs} {clock}."));
        }
        say(if args.transparent {
            "Answers in place of any resolver that is queried through this machine, UDP and TCP. Networks, by their clients:"
        } else {
            "Networks, UDP and TCP:"
        });
        let wide =
            (0..scenario.networks.len()).map(|place| self.name(place).len()).max().unwrap_or(0).max(14);
        for (place, network) in scenario.networks.iter().enumerate() {
            let title = if args.blind { "" } else { &network.title };
            let asked_at = match (args.port_per_network, self.addresses.first()) {
                (true, _) => self.addresses.get(place).map(SocketAddr::to_string).unwrap_or_default(),
                (false, Some(_)) if args.transparent => self.clients(network, place),
                (false, Some(address)) if place == usize::from(self.own()) => format!("{address}"),
                (false, Some(address)) => {
                    let from = network.first_client().map_or_else(|| "-".into(), |c| c.to_string());
                    format!("{address}, asked from {from}")
                }
                (false, None) => String::new(),
            };
            say(format!("  {:<wide$} {asked_at}  {title}", self.name(place)).trim_end());
        }
        say(if args.transparent {
            "\nTry, on a machine whose port 53 is routed here (see --help):"
        } else {
            "\nTry, in a second terminal:"
        });
        for (name, qtype, place) in samples(scenario) {
            let at = if args.port_per_network {
                self.addresses.get(usize::from(place))
            } else {
                self.addresses.first()
            };
            let Some(mut at) = at.copied() else { continue };
            // A client is in one network only.
            if args.transparent && place != self.own() {
                continue;
            }
            if args.transparent {
                let (v4, v6) =
                    (Ipv4Addr::new(8, 8, 8, 8), Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888));
                at.set_ip(if at.is_ipv4() { v4.into() } else { v6.into() });
            }
            let client = scenario.networks.get(usize::from(place)).and_then(Network::first_client);
            let from = match client {
                _ if args.port_per_network || place == self.own() => String::new(),
                Some(client) => format!(" -b {client}"),
                None => continue,
            };
            say(&format!("  dig @{} -p {}{from} {} {qtype}", at.ip(), at.port(), in_shell(&name)));
        }
        if let Some(at) = self.another_time(unix) {
            let at = time_text(at, scenario.offset);
            say(&format!(
                "\nNone of these answers is forged at this time; start it with --at {at} to see more."
            ));
        }
        say("\nCtrl-C ends it.\n");
    }

    /// A time at which something is forged, if nothing is expected to be now and the user chose no time.
    fn another_time(&self, now: i64) -> Option<i64> {
        let scenario = self.scenario;
        if self.args.blind || self.args.at.is_some() || self.args.speed > 0.0 {
            return None;
        }
        let forges = |e: &&Expect| {
            let genuine = matches!(e.replies[..], [Wanted { what: WantedReply::Genuine, .. }]);
            !genuine
        };
        let at = |e: &Expect| e.at.unwrap_or_else(|| scenario.last_state());
        if scenario.expects.iter().filter(forges).any(|e| at(e) == now) {
            return None;
        }
        scenario.expects.iter().filter(forges).map(at).max()
    }
}

/// A few questions that show something: the first that is expected for each network.
fn samples(scenario: &Scenario) -> Vec<(String, String, u16)> {
    let mut found: Vec<(String, String, u16)> = Vec::new();
    for expect in scenario.expects.iter().filter(|e| e.at.is_none()) {
        if found.len() < 6 && !found.iter().any(|(_, _, network)| *network == expect.network) {
            found.push((expect.qname.to_string(), expect.qtype.to_string(), expect.network));
        }
    }
    found
}

#[derive(Clone, Copy)]
struct Style {
    json: bool,
    silent: bool,
    blind: bool,
    offset: i32,
    /// What the scenario's clock showed at the start.
    began: i64,
}

/// Prints queries, and the scenario's events as the clock reaches them.
fn print(mut exchanges: Drain<Exchange>, style: Style, scenario: &Scenario, clock: &Clock) {
    let dim = std::io::stdout().is_terminal() && !style.json;
    let mut passed = style.began;
    loop {
        let exchange = match exchanges.next_within(std::time::Duration::from_millis(100)) {
            Wait::Item(exchange) => Some(exchange),
            Wait::Idle => None,
            Wait::End => return,
        };
        if style.silent {
            continue;
        }
        let (now, _) = clock.read(crate::cli::now().at);
        if !style.json && !style.blind {
            let events = scenario.events.iter().map(|e| (e.at, e.text.clone()));
            let mut news: Vec<_> =
                events.chain(changes(scenario)).filter(|(at, _)| (passed + 1..=now).contains(at)).collect();
            news.sort();
            for (at, text) in news {
                say(&format!("{}  ** {text}", time_text(at, style.offset)));
            }
        }
        passed = now.max(passed);
        let Some(exchange) = exchange else { continue };
        match style {
            Style { json: true, blind: true, .. } => say_json(&blind_json(&exchange, scenario)),
            Style { json: true, .. } => say_json(&record::to_json(&exchange)),
            _ if dim => say_coloured(&line(&exchange, scenario, style, true)),
            _ => say(&line(&exchange, scenario, style, false)),
        }
    }
}

/// The letter that stands for a network whose name is hidden.
fn blind_network(exchange: &Exchange, scenario: &Scenario) -> String {
    scenario.networks.iter().position(|n| n.id == exchange.network).map_or_else(String::new, letter)
}

/// Only what an observer of the wire could see.
fn blind_json(exchange: &Exchange, scenario: &Scenario) -> serde_json::Value {
    let mut all = record::to_json(exchange);
    if let Some(fields) = all.as_object_mut() {
        for hidden in ["rule", "action", "intent", "evidence", "scenario", "seed", "stub_mode"] {
            fields.remove(hidden);
        }
        fields.insert("network".into(), blind_network(exchange, scenario).into());
        for reply in fields.get_mut("replies").and_then(|r| r.as_array_mut()).into_iter().flatten() {
            for hidden in ["genuine", "planned_us"] {
                reply.as_object_mut().map(|reply| reply.remove(hidden));
            }
        }
    }
    all
}

fn line(exchange: &Exchange, scenario: &Scenario, style: Style, colour: bool) -> String {
    let question = exchange.question();
    let time = time_text(exchange.at, style.offset);
    let transport = exchange.transport.word();
    if style.blind {
        let packets = crate::cli::count(exchange.replies.len(), "packet");
        // The offset of the time would reveal the country.
        let network = blind_network(exchange, scenario);
        return format!("{network:<3} {transport} {question:<34} {packets}");
    }
    let (red, off) = if colour { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    let what = match &exchange.rule {
        None if exchange.is_elsewhere() => "outside the zones of this scenario".to_owned(),
        None => "let through".to_owned(),
        Some(rule) => format!("{red}{}{off} ({})", clean(&rule.id), clean(&rule.action)),
    };
    let network = clean(&exchange.network);
    let mut text = format!("{time}  {network:<12} {transport} {question:<34} {what}");
    for reply in &exchange.replies {
        let kind = if reply.genuine { "genuine" } else { "forged" };
        let after = reply.after.as_secs_f64() * 1000.0;
        text.push_str(&format!("\n    {kind:<8} {after:>8.1} ms  {}", clean(&describe(&reply.octets))));
    }
    if exchange.end != crate::censor::End::Open {
        text.push_str(&format!("\n    then the connection ends: {:?}", exchange.end));
    } else if exchange.replies.is_empty() {
        text.push_str("\n    no answer");
    }
    text
}
