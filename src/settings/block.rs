//! `[block]`: what blocked clients are told.

use crate::rule::Action;

/// What blocked clients are told. The other keys of the table apply to lists and are merged into their
/// settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockSettings {
    /// What clients get for a name that no rule lets pass, where nothing else passes.
    pub action: Action,
    /// The TTL of that answer, in seconds.
    pub ttl: u32,
    /// Whom users can contact.
    pub contact: Contact,
}

impl Default for BlockSettings {
    fn default() -> Self {
        Self { action: Action::NxDomain, ttl: 60, contact: Contact::default() }
    }
}

/// Whom users can contact about a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// URIs.
    pub uris: Vec<String>,
    /// The organisation that runs this server.
    pub organization: Option<String>,
    /// The language of reasons and of the organisation's name (RFC 5646).
    pub language: Option<String>,
    /// The URI of the blocking organisation, for the `blocked-by` link (RFC 7725 §4).
    pub blocked_by: Option<String>,
}
