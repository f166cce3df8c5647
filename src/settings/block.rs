//! `[block]`: what blocked clients are told.

/// What blocked clients are told. The other keys of the table apply to lists and are merged into their
/// settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockSettings {
    /// Whom users can contact.
    pub contact: Contact,
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
