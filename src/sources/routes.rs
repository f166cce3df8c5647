//! The upstreams: the shared ones, and those of groups and suffixes.

use std::sync::Arc;
use std::time::Duration;

use super::report::{BuildError, error};
use crate::settings::Settings;
use crate::upstream::hickory::{Bootstrap, SystemServers, system_servers};
use crate::upstream::route::{Route, Routes};
use crate::upstream::{Forwarder, Overhear, Server};

/// The sets of upstreams that groups and suffixes have of their own; set n has the route n + 1.
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
pub(super) fn routes(
    settings: &Settings,
    overhears: Option<&Arc<dyn Overhear>>,
) -> Result<Routes, BuildError> {
    let sets = route_numbers(settings);
    let bootstrap = Arc::new(bootstrap(settings)?.overheard_by(overhears.cloned()));
    let own = sets.iter().map(|set| route_to(set.to_vec(), settings.upstream.timeout, settings, &bootstrap));
    let upstreams = std::iter::once(upstream(settings, &bootstrap)?).chain(own).collect();
    let suffixes = settings.forwards.iter().filter_map(|forward| {
        let suffix = forward.suffix.as_name().to_folded();
        Some((suffix, number_of(&sets, &forward.servers)?))
    });
    Ok(Routes::new(upstreams, suffixes.collect()))
}

/// Resolves the addresses of upstreams that are given by name.
///
/// # Errors
/// An upstream is given by name, and the system has no resolver that could resolve it.
pub fn bootstrap(settings: &Settings) -> Result<Bootstrap, BuildError> {
    if !settings.upstream.bootstrap.is_empty() {
        return Ok(Bootstrap::new(settings.upstream.bootstrap.clone()));
    }
    let groups = settings.groups.iter().filter_map(|g| g.upstreams.as_ref());
    let forwards = settings.forwards.iter().map(|f| &f.servers);
    if let Some(server) =
        settings.upstream.servers.iter().chain(groups).chain(forwards).flatten().find(|s| s.has_name())
    {
        // Better reported at the start than at the first query.
        system_servers(&settings.server.listen).map_err(|reason| {
            let what = format!("upstream `{}`", server.at);
            error(what, &reason, "name addresses that know it in [upstream] bootstrap")
        })?;
    }
    Ok(Bootstrap::system(settings.server.listen.clone()))
}

/// True if the upstreams are the same, so that they keep their connections, penalties and counters.
pub(super) fn same(one: &Settings, other: &Settings) -> bool {
    // The system's servers may have changed.
    one.upstream.servers.is_some()
        && one.upstream.servers == other.upstream.servers
        && one.upstream.bootstrap == other.upstream.bootstrap
        && one.upstream.timeout == other.upstream.timeout
        && one.upstream.mix_case == other.upstream.mix_case
        && one.forwards == other.forwards
        && route_numbers(one) == route_numbers(other)
}

fn upstream(settings: &Settings, bootstrap: &Arc<Bootstrap>) -> Result<Route, BuildError> {
    let (servers, timeout) = match &settings.upstream.servers {
        Some(servers) => (servers.clone(), settings.upstream.timeout),
        None => {
            let system = system_upstreams(settings)?;
            for why in system.left_out {
                tracing::warn!("the system's DNS configuration: {why}");
            }
            (system.servers, system.timeout)
        }
    };
    Ok(route_to(servers, timeout, settings, bootstrap))
}

/// The system's resolvers, which are used if the settings name no upstreams.
///
/// # Errors
/// None of them can be used.
pub fn system_upstreams(settings: &Settings) -> Result<SystemServers, BuildError> {
    system_servers(&settings.server.listen).map_err(|reason| {
        error("upstream", &reason, "name upstreams in [upstream] servers, or set servers = []")
    })
}

fn route_to(
    servers: Vec<Server>,
    timeout: Duration,
    settings: &Settings,
    bootstrap: &Arc<Bootstrap>,
) -> Route {
    if servers.is_empty() {
        return None;
    }
    let forwarder = Forwarder::with_bootstrap(servers, timeout, bootstrap);
    Some(Arc::new(forwarder.mixing_case(settings.upstream.mix_case)))
}
