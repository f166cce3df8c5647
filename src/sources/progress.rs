//! How far a long load has come, and how to load.

/// How to build.
#[derive(Clone, Copy)]
pub struct Build<'p> {
    /// Who is told how far it has come.
    pub progress: &'p dyn Progress,
    /// Tell of each rule that was left out, not just how many.
    pub left_out: bool,
}

impl Default for Build<'_> {
    fn default() -> Self {
        Self { progress: &Silent, left_out: false }
    }
}

/// Told how far a long load has come.
pub trait Progress {
    /// Something of `size` octets is being read.
    fn begin(&self, what: &str, size: u64);
    /// So many of them have been read.
    fn at(&self, done: u64);
    /// All is read; this is being done now.
    fn stage(&self, what: &str);
}

/// Nobody is told.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _size: u64) {}
    fn at(&self, _done: u64) {}
    fn stage(&self, _what: &str) {}
}
