//! `[cache]`: the size of the reply cache, and how long replies are cached.

use crate::cache::stale::Aging;

/// The reply cache.
#[derive(Clone, Copy, Debug)]
pub struct CacheSettings {
    /// Its size in octets; 0: no cache.
    pub size: u64,
    /// The longest time that a reply is cached, in seconds.
    pub max_ttl: u32,
    /// How cached replies age.
    pub aging: Aging,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self { size: 64 << 20, max_ttl: 86_400, aging: Aging::default() }
    }
}
