//! `[[forward]]`: names with upstreams of their own.

use crate::dns::NameBuf;
use crate::upstream::Server;

/// Names with upstreams of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSettings {
    /// This name and its subdomains.
    pub suffix: NameBuf,
    /// The upstreams.
    pub servers: Vec<Server>,
}
