//! `[block]`: what blocked clients are told.

/// What blocked clients are told. What else is in the table holds for lists, and has become part of theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockSettings {
    /// Whom people are told to ask.
    pub contact: Contact,
}

/// Whom people are told to ask about a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// URIs.
    pub uris: Vec<String>,
    /// Who runs this server.
    pub organization: Option<String>,
    /// The language of reasons and of the organisation's name (RFC 5646).
    pub language: Option<String>,
    /// The URI of whoever blocks, for the `blocked-by` link (RFC 7725 §4).
    pub blocked_by: Option<String>,
}
