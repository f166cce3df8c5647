//! Orders at run time over a Unix socket: one JSON object a line in, one out.
//!
//! ```text
//! {"do":"pause","seconds":600,"group":"classroom"}      {"ok":true,"id":3}
//! {"do":"allow","name":"example.org","seconds":60}      {"ok":true,"id":4}
//! {"do":"explain","name":"example.org","type":"AAAA"}   {"ok":true,"record":{…}}
//! ```
//!
//! Who may connect is who may read and write the socket's file: its owner (mode 0600).

use std::collections::HashSet;
use std::fs;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::dns::name::NameBuf;
use crate::dns::reply::Transport;
use crate::dns::types::Qtype;
use crate::net::accept::{Bounds, Connections, accept};
use crate::policy::network;
use crate::policy::overrides::{MAX_OVERRIDES, Order, Override, Overrides, Whom};
use crate::resolver::explain::{self, Given, Question};
use crate::resolver::live::Engine;
use crate::resolver::moment::Clock;
use crate::resolver::snapshot::Client;

/// The longest request, in octets.
const MAX_REQUEST: u64 = 64 << 10;
/// Connections at once; one more closes the oldest.
const MAX_CONNECTIONS: usize = 64;
/// A connection on which nothing happens for this long is closed.
const IDLE: Duration = Duration::from_secs(60);
/// The longest that an order may last: a hundred years.
const MAX_SECONDS: i64 = 100 * 366 * 86_400;

/// Writes down the orders that are to be kept, or says why it can't.
pub type Keep = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// What orders need.
#[derive(Clone)]
pub struct Control {
    /// The engine that they are for.
    pub engine: Arc<Engine>,
    /// Reads the time.
    pub clock: Clock,
    /// Where kept orders are written; `None`: none can be kept.
    pub keep: Option<Keep>,
}

/// A socket at `path` that its owner alone may use. One that a server which has ended left there is
/// replaced. Must run within a runtime.
///
/// # Errors
/// The reason as a sentence.
pub fn bind(path: &Path) -> Result<UnixListener, String> {
    let name = path.display();
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(format!("{name} exists and is no socket; name another path in [control] socket"));
        }
        Ok(_) if std::os::unix::net::UnixStream::connect(path).is_ok() => {
            return Err(format!("another server listens on {name}; name another path in [control] socket"));
        }
        _ => {}
    }
    listen(path).map_err(|e| format!("cannot listen on {name}: {e}"))
}

/// Binds within a folder that nobody else may enter, and moves the socket out when its mode is set.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let mut folder = path.as_os_str().to_owned();
    folder.push(format!(".{}", std::process::id()));
    let folder = Path::new(&folder);
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    let made = (|| {
        let inside = folder.join("s");
        let listener = UnixListener::bind(&inside)?;
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o600))?;
        fs::rename(&inside, path)?;
        Ok(listener)
    })();
    // If it can't be removed it is in nobody's way.
    let _ = fs::remove_dir_all(folder);
    made
}

/// Serves orders for ever.
pub async fn serve(listener: UnixListener, control: Control) {
    let connections = Connections::new(Bounds::of(MAX_CONNECTIONS), Arc::default());
    accept(
        listener,
        "the control socket",
        &connections,
        pending(),
        |_| true,
        |stream, _, seat| {
            let control = control.clone();
            async move {
                // A client that has gone away needs nothing more.
                let _ = connection(stream, &control).await;
                drop(seat);
            }
        },
    )
    .await;
}

async fn connection(stream: UnixStream, control: &Control) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(MAX_REQUEST);
        let read = tokio::time::timeout(IDLE, bounded.read_until(b'\n', &mut line)).await;
        let Ok(read) = read else { return Ok(()) };
        if read? == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n') || line.len() < usize::try_from(MAX_REQUEST).unwrap_or(0);
        let answer = match serde_json::from_slice(&line) {
            _ if !whole => Err(format!("the request is longer than {MAX_REQUEST} octets")),
            Ok(Value::Object(request)) => answer(control, &request),
            Ok(_) => Err("expected a JSON object on one line".to_owned()),
            Err(error) => Err(format!("this is no JSON: {error}")),
        };
        let answer = answer.unwrap_or_else(|problem| json!({ "ok": false, "error": problem }));
        let answer = format!("{answer}\n");
        match tokio::time::timeout(IDLE, writer.write_all(answer.as_bytes())).await {
            Ok(written) => written?,
            // Whoever asks and does not read is not waited for.
            Err(_) => return Ok(()),
        }
        if !whole {
            return Ok(());
        }
    }
}

/// Carries out one request.
fn answer(control: &Control, request: &Map<String, Value>) -> Result<Value, String> {
    let known: &[&str] = match text(request, "do")? {
        Some("pause") => &["do", "seconds", "group", "client", "keep"],
        Some("allow" | "block") => &["do", "name", "seconds", "group", "client", "keep"],
        Some("resume") => &["do", "group", "client"],
        Some("revoke") => &["do", "id", "name"],
        Some("list" | "status") => &["do"],
        Some("explain") => &["do", "name", "type", "client", "listener", "tcp", "answer"],
        _ => {
            return Err(
                "expected `do` to be one of pause, resume, allow, block, revoke, list, status, explain"
                    .into(),
            );
        }
    };
    if let Some(key) = request.keys().find(|k| !known.contains(&k.as_str())) {
        return Err(format!("unknown key `{key}`, expected one of {}", known.join(", ")));
    }
    match text(request, "do")? {
        Some("pause") => order(control, request, Order::Pause),
        Some("allow") => order(control, request, Order::Allow(name(request)?)),
        Some("block") => order(control, request, Order::Block(name(request)?)),
        Some("resume") => {
            let whom = if request.contains_key("group") || request.contains_key("client") {
                Some(whom(control, request)?)
            } else {
                None
            };
            // That nothing is paused any more is what was asked for.
            let gone = |o: &Override| o.order == Order::Pause && whom.as_ref().is_none_or(|w| *w == o.whom);
            revoke(control, gone).map(|count| json!({ "ok": true, "revoked": count }))
        }
        Some("revoke") => {
            let (count, what) = match (request.get("id"), text(request, "name")?) {
                (Some(id), None) => {
                    let id = id.as_u64().ok_or("expected `id` to be a number")?;
                    (revoke(control, |o| u64::from(o.id) == id)?, format!("number {id}"))
                }
                (None, Some(_)) => {
                    let named = name(request)?;
                    let is_about = |o: &Override| match &o.order {
                        Order::Allow(name) | Order::Block(name) => *name == named,
                        Order::Pause => false,
                    };
                    (revoke(control, is_about)?, format!("about {named}"))
                }
                _ => return Err("expected either an `id` or a `name`".to_owned()),
            };
            if count == 0 {
                return Err(format!("no such order: there is none {what}; `list` shows those in force"));
            }
            Ok(json!({ "ok": true, "revoked": count }))
        }
        Some("list") => {
            let now = (control.clock)().unix;
            let snapshot = control.engine.snapshot_at(now);
            let all = snapshot.overrides.all().iter().filter(|o| o.is_in_force(now));
            Ok(json!({ "ok": true, "overrides": all.map(to_json).collect::<Vec<_>>() }))
        }
        Some("status") => {
            let now = (control.clock)().unix;
            let snapshot = control.engine.snapshot_at(now);
            let totals = control.engine.counters.totals();
            let in_force = snapshot.overrides.all().iter().filter(|o| o.is_in_force(now)).count();
            let queries: u64 = totals.queries.iter().map(|(_, n)| n).sum();
            Ok(json!({
                "ok": true, "version": env!("CARGO_PKG_VERSION"), "rules": snapshot.policy.rule_count(),
                "queries": queries, "waiting": control.engine.waiting.len(), "overrides": in_force,
                "blocking": snapshot.blocking,
                "paused": snapshot.overrides.all().iter().any(|o| o.order == Order::Pause && o.is_in_force(now)),
            }))
        }
        _ => explained(control, request),
    }
}

fn order(control: &Control, request: &Map<String, Value>, order: Order) -> Result<Value, String> {
    let seconds = match request.get("seconds") {
        None | Some(Value::Null) => None,
        Some(value) => Some(
            value
                .as_i64()
                .filter(|s| (1..=MAX_SECONDS).contains(s))
                .ok_or("expected `seconds` to be a positive number")?,
        ),
    };
    let keep = match request.get("keep") {
        None => false,
        Some(value) => value.as_bool().ok_or("expected `keep` to be true or false")?,
    };
    if keep && control.keep.is_none() {
        return Err("orders can't be kept: name a file in [control] state".into());
    }
    let whom = whom(control, request)?;
    let now = (control.clock)().unix;
    let until = seconds.map(|s| now.saturating_add(s));
    let order = Override { id: 0, order, whom, since: now, until, keep };
    let id = control.engine.order(now, |overrides| match overrides.with(order, now) {
        Some((next, id)) => match written(control, overrides, &next) {
            Ok(()) => (Some(next), Ok(id)),
            Err(problem) => (None, Err(problem)),
        },
        None => (None, Err("there are too many orders already; revoke some".to_owned())),
    })?;
    Ok(json!({ "ok": true, "id": id, "until": until }))
}

/// Takes orders back; gives how many they were.
fn revoke(control: &Control, gone: impl Fn(&Override) -> bool) -> Result<usize, String> {
    let now = (control.clock)().unix;
    control.engine.order(now, |overrides| {
        let (next, count) = overrides.without(gone, now);
        match written(control, overrides, &next) {
            Ok(()) => (Some(next), Ok(count)),
            Err(problem) => (None, Err(problem)),
        }
    })
}

/// Writes down what is to be kept, if that has changed.
fn written(control: &Control, before: &Overrides, next: &Overrides) -> Result<(), String> {
    let kept = |overrides: &Overrides| -> Vec<Value> {
        overrides.all().iter().filter(|o| o.keep).map(to_json).collect()
    };
    let (old, new) = (kept(before), kept(next));
    match &control.keep {
        Some(keep) if old != new => keep(&format!("{}\n", json!({ "overrides": new }))),
        _ => Ok(()),
    }
}

fn explained(control: &Control, request: &Map<String, Value>) -> Result<Value, String> {
    let word = text(request, "type")?.unwrap_or("A");
    let qtype: Qtype = word.parse().map_err(|_| format!("`{word}` is no record type"))?;
    let address: IpAddr = match text(request, "client")? {
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Some(text) => text.parse().map_err(|_| format!("`{text}` is no IP address"))?,
    };
    let listener = request.get("listener").map_or(Some(0), Value::as_u64);
    let listener =
        listener.and_then(|l| u16::try_from(l).ok()).ok_or("expected `listener` to be a number")?;
    let tcp = request.get("tcp").and_then(Value::as_bool).unwrap_or(false);
    let transport = if tcp { Transport::Tcp } else { Transport::Udp };
    let mut answer = Vec::new();
    for part in request.get("answer").and_then(Value::as_array).into_iter().flatten() {
        let part = part.as_str().ok_or("expected `answer` to be a list of addresses and names")?;
        answer.push(match part.parse() {
            Ok(address) => Given::Address(address),
            Err(_) => Given::Name(NameBuf::from_text(part).map_err(|e| format!("`{part}`: {e}"))?),
        });
    }
    let client = Client { address: SocketAddr::new(address, 0), transport, listener };
    let question = Question { name: name(request)?, qtype, client, answer };
    let now = (control.clock)();
    let snapshot = Arc::clone(&control.engine.snapshot_at(now.unix));
    let record = explain::explain(&control.engine, &snapshot, &question, now);
    Ok(json!({ "ok": true, "record": record.json() }))
}

fn text<'r>(request: &'r Map<String, Value>, key: &str) -> Result<Option<&'r str>, String> {
    match request.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("expected `{key}` to be a text")),
    }
}

fn name(request: &Map<String, Value>) -> Result<NameBuf, String> {
    let name = text(request, "name")?.ok_or("expected a `name`")?;
    NameBuf::from_text(name).map_err(|e| format!("`{name}` is no domain name: {e}"))
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = network::network(text).map(|n| n.trunc());
    network.ok_or_else(|| format!("`{text}` is no address or network"))
}

fn whom(control: &Control, request: &Map<String, Value>) -> Result<Whom, String> {
    match (text(request, "group")?, text(request, "client")?) {
        (None, None) => Ok(Whom::Everyone),
        (Some(group), None) => {
            let snapshot = control.engine.snapshot();
            let groups = snapshot.policy.groups.all();
            if groups.iter().any(|g| g.name == group) {
                return Ok(Whom::Group(group.to_owned()));
            }
            let names: Vec<&str> = groups.iter().map(|g| g.name.as_str()).collect();
            Err(match names.as_slice() {
                [] => format!("there is no group `{group}`: the configuration has none"),
                names => format!("there is no group `{group}`, expected one of {}", names.join(", ")),
            })
        }
        (None, Some(client)) => network(client).map(Whom::Client),
        (Some(_), Some(_)) => Err("both `group` and `client` are given; an order is for one of them".into()),
    }
}

fn to_json(order: &Override) -> Value {
    let (what, name) = match &order.order {
        Order::Pause => ("pause", None),
        Order::Allow(name) => ("allow", Some(name.to_string())),
        Order::Block(name) => ("block", Some(name.to_string())),
    };
    let (group, client) = match &order.whom {
        Whom::Everyone => (None, None),
        Whom::Group(group) => (Some(group), None),
        Whom::Client(network) => (None, Some(network.to_string())),
    };
    json!({
        "id": order.id, "order": what, "name": name, "group": group, "client": client,
        "since": order.since, "until": order.until, "keep": order.keep,
    })
}

/// The orders that [`Keep`] wrote down.
///
/// # Errors
/// What is wrong with the text, as a sentence.
pub fn kept(state: &str) -> Result<Overrides, String> {
    let value: Value = serde_json::from_str(state).map_err(|e| format!("this is no JSON: {e}"))?;
    let all = value.get("overrides").and_then(Value::as_array).ok_or("there is no list of `overrides`")?;
    if all.len() > MAX_OVERRIDES {
        return Err(format!("there are {} orders, more than {MAX_OVERRIDES}", all.len()));
    }
    let mut orders: Vec<Override> = Vec::with_capacity(all.len());
    let mut ids = HashSet::new();
    for (n, value) in (1..).zip(all) {
        let order = value.as_object().and_then(from_json).ok_or_else(|| format!("order {n} is damaged"))?;
        if !ids.insert(order.id) {
            return Err(format!("order {n} has the number {}, as an earlier one has", order.id));
        }
        orders.push(order);
    }
    Ok(Overrides::kept(orders))
}

/// What [`to_json`] made; `None` if it made no such thing.
fn from_json(object: &Map<String, Value>) -> Option<Override> {
    let text = |key| text(object, key).ok();
    let name = || text("name").flatten().and_then(|n| NameBuf::from_text(n).ok());
    let order = match text("order")?? {
        "pause" => Order::Pause,
        "allow" => Order::Allow(name()?),
        "block" => Order::Block(name()?),
        _ => return None,
    };
    let whom = match (text("group")?, text("client")?) {
        (Some(group), None) => Whom::Group(group.to_owned()),
        (None, Some(client)) => Whom::Client(network(client).ok()?),
        (None, None) => Whom::Everyone,
        (Some(_), Some(_)) => return None,
    };
    // Higher ones would leave no numbers for the orders to come.
    let id = u32::try_from(object.get("id")?.as_u64()?).ok().filter(|id| (1..=u32::MAX / 2).contains(id))?;
    let until = match object.get("until") {
        None | Some(Value::Null) => None,
        Some(until) => Some(until.as_i64()?),
    };
    Some(Override { id, order, whom, since: object.get("since")?.as_i64()?, until, keep: true })
}
