//! `[ratelimit]`: how many replies a client network gets over UDP.

use super::private_networks;
use crate::guard::ratelimit::Rate;

impl Default for Rate {
    fn default() -> Self {
        Self { rate: 200, burst: 1000, slip: 2, v4_prefix: 24, v6_prefix: 56, exempt: private_networks() }
    }
}
