//! The socket for orders, and the orders that were kept.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::error::StartError;
#[cfg(unix)]
use crate::orders::Operator;
#[cfg(unix)]
use crate::orders::kept::Kept;
use crate::orders::kept::{self, Damaged};
use crate::policy::Orders;
use crate::policy::Whom;
use crate::resolver::live::Engine;
use crate::server;
use crate::settings::ControlSettings;
use crate::settings::Settings;

#[cfg(unix)]
pub(super) type Listener = tokio::net::UnixListener;

/// Binds the socket, if one is configured.
#[cfg(unix)]
pub(super) fn bind(settings: &Settings) -> Result<Option<Listener>, StartError> {
    let control = settings.control.as_ref();
    Ok(control.map(|control| server::control::bind(&control.socket)).transpose()?)
}

/// Restores the kept orders, and serves the socket. Returns its path.
#[cfg(unix)]
pub(super) fn serve(
    listener: Option<Listener>,
    settings: &Settings,
    engine: &Arc<Engine>,
    tasks: &mut JoinSet<()>,
) -> Option<PathBuf> {
    let ControlSettings { socket, state } = settings.control.as_ref()?;
    // The owner of the socket owns the file as well.
    let listener = listener?;
    let orders = kept_orders(settings).unwrap_or_else(|damaged| {
        // The server must start, whatever is in the file.
        match damaged.set_aside() {
            Ok(bad) => {
                tracing::error!("{damaged}; starting without kept orders, the file is now {}", bad.display());
            }
            Err(error) => {
                tracing::error!("{damaged}; starting without kept orders, the file cannot be moved: {error}");
            }
        }
        Orders::default()
    });
    for order in orders.all() {
        if let Whom::Group(name) = &order.whom
            && !settings.groups.iter().any(|g| g.name == *name)
        {
            tracing::warn!("kept order {} is for the group `{name}`, which does not exist", order.id);
        }
    }
    engine.order(crate::net::now().unix, |_| (Some(orders), ()));
    let kept = state.clone().map(|path| Arc::new(Kept::new(path)));
    let operator = Operator { engine: Arc::clone(engine), clock: crate::net::now, kept };
    tasks.spawn(server::control::serve(listener, operator));
    Some(socket.clone())
}

/// The orders that a server with these settings kept; none if it never kept any.
///
/// # Errors
/// The file is damaged: a server starts without them.
pub fn kept_orders(settings: &Settings) -> Result<Orders, Damaged> {
    kept::read(settings.control.as_ref().and_then(|control| control.state.as_deref()))
}

#[cfg(not(unix))]
pub(super) enum Listener {}

/// This system has no Unix sockets.
#[cfg(not(unix))]
pub(super) fn bind(settings: &Settings) -> Result<Option<Listener>, StartError> {
    if settings.control.is_some() { Err(StartError::Control) } else { Ok(None) }
}

/// This system has no Unix sockets.
#[cfg(not(unix))]
pub(super) fn serve(
    _: Option<Listener>,
    _: &Settings,
    _: &Arc<Engine>,
    _: &mut JoinSet<()>,
) -> Option<PathBuf> {
    None
}
