//! The upstreams: those of all, and those that groups and suffixes have of their own.

use std::sync::Arc;

use super::report::{BuildError, error};
use crate::resolver::settings::Settings;
use crate::upstream::Server;
use crate::upstream::hickory::Forwarder;
use crate::upstream::route::Routes;

/// The sets of upstreams that groups and suffixes have of their own; the nth has the route n + 1.
pub(super) fn route_numbers(settings: &Settings) -> Vec<&[Server]> {
    let mut sets: Vec<&[Server]> = Vec::new();
    let of_groups = settings.groups.iter().filter_map(|g| g.upstreams.as_deref());
    for servers in of_groups.chain(settings.forwards.iter().map(|f| f.servers.as_slice())) {
        if !sets.contains(&servers) {
            sets.push(servers);
        }
    }
    sets
}

pub(super) fn number_of(sets: &[&[Server]], servers: &[Server]) -> Option<u16> {
    let at = sets.iter().position(|set| *set == servers)?;
    u16::try_from(at + 1).ok()
}

/// All upstreams of the settings.
pub(super) fn routes(settings: &Settings) -> Result<Routes, BuildError> {
    let sets = route_numbers(settings);
    let own = sets.iter().map(|servers| match servers {
        [] => None,
        servers => Some(Arc::new(Forwarder::new(servers.to_vec(), settings.upstream_timeout))),
    });
    let forwarders = std::iter::once(upstream(settings)?).chain(own).collect();
    let suffixes = settings.forwards.iter().filter_map(|forward| {
        let suffix = forward.suffix.as_name().to_folded();
        Some((suffix, number_of(&sets, &forward.servers)?))
    });
    Ok(Routes::new(forwarders, suffixes.collect()))
}

/// True if the upstreams stay the same, and so may keep their connections, penalties and counters.
pub(super) fn same(one: &Settings, other: &Settings) -> bool {
    // The system's may have changed meanwhile.
    one.upstreams.is_some()
        && one.upstreams == other.upstreams
        && one.upstream_timeout == other.upstream_timeout
        && one.forwards == other.forwards
        && route_numbers(one) == route_numbers(other)
}

fn upstream(settings: &Settings) -> Result<Option<Arc<Forwarder>>, BuildError> {
    let forwarder = match &settings.upstreams {
        Some(servers) if servers.is_empty() => return Ok(None),
        Some(servers) => Forwarder::new(servers.clone(), settings.upstream_timeout),
        None => Forwarder::system().map_err(|reason| {
            error("upstream", &reason, "name upstreams in [upstream] servers, or set servers = []")
        })?,
    };
    Ok(Some(Arc::new(forwarder)))
}
