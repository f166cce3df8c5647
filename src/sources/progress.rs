//! Options for loading, and its progress reports.

use std::sync::Arc;

use crate::upstream::Overhear;

/// Options for building a snapshot.
#[derive(Clone, Copy)]
pub struct Build<'p> {
    /// Receives the progress.
    pub progress: &'p dyn Progress,
    /// Whether to record each rule that was left out, and not just their number.
    pub left_out: bool,
    /// Who hears of every exchange with the upstreams.
    pub overhears: Option<&'p Arc<dyn Overhear>>,
}

impl Default for Build<'_> {
    fn default() -> Self {
        Self { progress: &Silent, left_out: false, overhears: None }
    }
}

/// Receives the progress of a long load.
pub trait Progress {
    /// Starts to read an input of `size` octets.
    fn begin(&self, what: &str, size: u64);
    /// This many octets have been read.
    fn at(&self, done: u64);
    /// Reading is complete; this stage begins.
    fn stage(&self, what: &str);
    /// False once the load is no longer wanted: it then ends as soon as it can, with an error.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Discards the progress.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _size: u64) {}
    fn at(&self, _done: u64) {}
    fn stage(&self, _what: &str) {}
}
