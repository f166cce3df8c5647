//! The socket for orders, and the orders that were kept.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::error::StartError;
use crate::policy::overrides::{Overrides, Whom};
use crate::resolver::live::Engine;
use crate::resolver::settings::{ControlSettings, Settings};
use crate::server;
use crate::sources::store;

#[cfg(unix)]
pub(super) type Listener = tokio::net::UnixListener;

/// Binds the socket, if there is to be one.
#[cfg(unix)]
pub(super) fn bind(settings: &Settings) -> Result<Option<Listener>, StartError> {
    let control = settings.control.as_ref();
    Ok(control.map(|control| server::control::bind(&control.socket)).transpose()?)
}

/// Brings back the orders that were kept, and takes more. Gives the path of the socket.
#[cfg(unix)]
pub(super) fn serve(
    listener: Option<Listener>,
    settings: &Settings,
    engine: &Arc<Engine>,
    tasks: &mut JoinSet<()>,
) -> Option<PathBuf> {
    use crate::server::control::{self, Control, Keep};
    let ControlSettings { socket, state } = settings.control.as_ref()?;
    // With the socket comes the file: who has the one, has the other.
    let listener = listener?;
    let kept = kept_orders(settings).unwrap_or_else(|problem| {
        set_aside(&problem, state.as_deref());
        Overrides::default()
    });
    for order in kept.all() {
        if let Whom::Group(name) = &order.whom
            && !settings.groups.iter().any(|g| g.name == *name)
        {
            tracing::warn!("kept order {} is for the group `{name}`, which does not exist", order.id);
        }
    }
    engine.order(server::now().unix, |_| (Some(kept), ()));
    let keep = state.clone().map(|path| -> Keep {
        Arc::new(move |text: &str| {
            let problem = |e| format!("cannot write {}: {e}", path.display());
            store::write_private(&path, &[text.as_bytes()]).map_err(problem)
        })
    });
    tasks.spawn(control::serve(listener, Control { engine: Arc::clone(engine), clock: server::now, keep }));
    Some(socket.clone())
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

/// The orders that a server with these settings kept; none if it never kept any.
#[cfg(unix)]
pub fn kept_orders(settings: &Settings) -> Result<Overrides, String> {
    let Some(state) = settings.control.as_ref().and_then(|c| c.state.as_deref()) else {
        return Ok(Overrides::default());
    };
    let text = match std::fs::read_to_string(state) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Overrides::default()),
        text => text.map_err(|e| e.to_string()),
    };
    let kept = text.and_then(|text| crate::server::control::kept(&text));
    kept.map_err(|problem| format!("{}: the file of kept orders is damaged: {problem}", state.display()))
}

/// There is nobody to take orders here.
#[cfg(not(unix))]
pub fn kept_orders(_: &Settings) -> Result<Overrides, String> {
    Ok(Overrides::default())
}

#[cfg(not(unix))]
pub(super) enum Listener {}

/// There are no Unix sockets here.
#[cfg(not(unix))]
pub(super) fn bind(settings: &Settings) -> Result<Option<Listener>, StartError> {
    if settings.control.is_some() { Err(StartError::Control) } else { Ok(None) }
}

/// There are no Unix sockets here.
#[cfg(not(unix))]
pub(super) fn serve(
    _: Option<Listener>,
    _: &Settings,
    _: &Arc<Engine>,
    _: &mut JoinSet<()>,
) -> Option<PathBuf> {
    None
}
