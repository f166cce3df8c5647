//! What `check` reports apart from lists and zones: listeners, permitted clients, and upstreams.

use serde_json::{Value, json};

use crate::settings::{Settings, private_networks};
use crate::sources;
use crate::upstream::Server;

/// Networks and addresses that are shown of a long list.
const SHOWN: usize = 10;

/// Lines for people.
pub(super) fn text(settings: &Settings) -> Vec<String> {
    let mut out = vec![format!("listens on {} (UDP and TCP)", some(&settings.server.listen))];
    let private = settings.server.allow == private_networks();
    out.push(match settings.server.allow.as_slice() {
        [] => "no client may ask: [server] allow is empty".to_owned(),
        allow if private => format!("loopback, private and link-local networks may ask: {}", some(allow)),
        allow => format!("may ask: {}", some(allow)),
    });
    if let Some(recursion) = &settings.server.allow_recursion {
        out.push(match recursion.as_slice() {
            [] => "no client gets what other servers know: [server] allow-recursion is empty".to_owned(),
            networks => format!("get what other servers know: {}", some(networks)),
        });
    }
    out.push(match (&settings.upstream.servers, servers(settings)) {
        (Some(servers), _) if servers.is_empty() => {
            "asks no upstream: [upstream] servers is empty".to_owned()
        }
        (Some(servers), _) => format!("asks {}", some(&names(servers))),
        (None, Ok(servers)) => format!("asks the system's resolvers: {}", some(&names(&servers))),
        (None, Err(problem)) => format!("warning: {problem}"),
    });
    out.extend(left_out(settings).into_iter().map(|why| format!("warning: the system's resolvers: {why}")));
    if let Some(metrics) = &settings.metrics {
        out.push(format!("metrics: http://{}/metrics", metrics.listen));
    }
    out
}

/// The same for programs, to be added to the report.
pub(super) fn json(settings: &Settings) -> Value {
    let servers = servers(settings);
    json!({
        "listen": settings.server.listen,
        "allow": settings.server.allow,
        "allow_recursion": settings.server.allow_recursion,
        "upstreams": servers.as_ref().map(|servers| names(servers)).unwrap_or_default(),
        "upstreams_of_the_system": settings.upstream.servers.is_none(),
        "upstreams_problem": servers.err(),
        "upstreams_left_out": left_out(settings),
        "metrics": settings.metrics.as_ref().map(|metrics| metrics.listen),
    })
}

/// The servers of `[upstream]`, or the system's.
pub(super) fn servers(settings: &Settings) -> Result<Vec<Server>, String> {
    if let Some(servers) = &settings.upstream.servers {
        return Ok(servers.clone());
    }
    Ok(sources::system_upstreams(settings).map_err(|e| e.to_string())?.servers)
}

/// Why some of the system's resolvers are not asked.
fn left_out(settings: &Settings) -> Vec<String> {
    let asks_system = settings.upstream.servers.is_none();
    let system = asks_system.then(|| sources::system_upstreams(settings).ok()).flatten();
    system.map(|system| system.left_out).unwrap_or_default()
}

/// A server as the configuration writes it.
pub(super) fn name(server: &Server) -> String {
    let scheme = if server.tcp_only { "tcp" } else { "udp" };
    format!("{scheme}://{}", server.at)
}

fn names(servers: &[Server]) -> Vec<String> {
    servers.iter().map(name).collect()
}

/// The first of many, and how many more there are.
fn some<T: ToString>(all: &[T]) -> String {
    let shown: Vec<String> = all.iter().take(SHOWN).map(ToString::to_string).collect();
    match all.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        Some(more) => format!("{} and {more} more", shown.join(", ")),
        None => shown.join(", "),
    }
}
