//! `[[zone]]`: a zone for which this server is authoritative.

use super::list::TextSource;
use crate::dns::NameBuf;

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// Its origin.
    pub origin: NameBuf,
    /// Its master file.
    pub source: TextSource,
}
