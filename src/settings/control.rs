//! `[control]`: the socket for orders.

use std::path::PathBuf;

/// The socket for orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// Where it is.
    pub socket: PathBuf,
    /// Where orders that are to be kept are written.
    pub state: Option<PathBuf>,
}
