//! `[[forward]]`: names that go to servers of their own.

use crate::dns::NameBuf;
use crate::upstream::Server;

/// Names that go to upstreams of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardSettings {
    /// This name and those below it.
    pub suffix: NameBuf,
    /// The upstreams.
    pub servers: Vec<Server>,
}
