//! From settings to the next snapshot: reads lists and zones, compiles, keeps count.

pub mod refresh;
pub mod store;

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
