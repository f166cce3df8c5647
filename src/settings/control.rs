//! `[control]`: the control socket.

use std::path::PathBuf;

/// The control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Its path.
    pub socket: PathBuf,
    /// The file for orders that survive a restart.
    pub state: Option<PathBuf>,
}
