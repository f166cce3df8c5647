//! `[ratelimit]`: how many replies a client network gets over UDP.

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::Settings;

const RATE: Key = Key::with("rate", Kind::Number(0, 1_000_000), "200")
    .means("Replies a second that one client network gets, on average; `0`: there is no limit.");
const BURST: Key = Key::with("burst", Kind::Number(1, 10_000_000), "1000")
    .means("Replies that it may get at once after a quiet time.");
const SLIP: Key = Key::with("slip", Kind::Number(0, 1000), "2").means(
    "Of so many queries beyond the limit, one gets a truncated reply, and the others none: a client that is who it says \
     comes back over TCP. `1`: all get one; `0`: none does.",
);
const V4_PREFIX: Key = Key::with("ipv4-prefix", Kind::Number(0, 32), "24")
    .means("IPv4 clients with the same first bits, so many, share a limit.");
const V6_PREFIX: Key =
    Key::with("ipv6-prefix", Kind::Number(0, 128), "56").means("The same for IPv6 clients.");
const EXEMPT: Key =
    Key::optional("exempt", Kind::Texts("networks"), "loopback, private and link-local networks")
        .like(r#"["127.0.0.0/8", "::1/128", "198.51.100.0/24"]"#)
        .means("Networks without a limit.");

pub(super) static FORM: Form = Form {
    header: "[ratelimit]",
    meaning: "How many replies a client network gets over UDP, whose senders can be forged: without a limit, others could \
              direct this server's replies at a victim. TCP and clients with a valid DNS cookie have no limit.",
    keys: &[RATE, BURST, SLIP, V4_PREFIX, V6_PREFIX, EXEMPT],
    also: &[
        ("limit", "rate"),
        ("responses-per-second", "rate"),
        ("queries-per-second", "rate"),
        ("qps", "rate"),
        ("ipv4-prefix-length", "ipv4-prefix"),
        ("ipv6-prefix-length", "ipv6-prefix"),
        ("exempt-clients", "exempt"),
        ("allow", "exempt"),
        ("whitelist", "exempt"),
    ],
};

impl Check<'_> {
    pub(super) fn ratelimit(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        let rate = &mut settings.ratelimit;
        for (key, value) in [(RATE, &mut rate.rate), (BURST, &mut rate.burst), (SLIP, &mut rate.slip)] {
            *value = table.bounded(self, key).and_then(|n| u32::try_from(n).ok()).unwrap_or(*value);
        }
        for (key, value) in [(V4_PREFIX, &mut rate.v4_prefix), (V6_PREFIX, &mut rate.v6_prefix)] {
            *value = table.bounded(self, key).and_then(|n| u8::try_from(n).ok()).unwrap_or(*value);
        }
        if let Some(exempt) = self.allowed(&mut table, EXEMPT) {
            rate.exempt = exempt;
        }
        table.done(self, "", &[]);
    }
}
