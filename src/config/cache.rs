//! `[cache]`: how many replies are kept, and for how long.

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::Settings;

const SIZE: Key = Key::with("size", Kind::Size, r#""64MiB""#)
    .means("How much memory the replies may take; `\"0\"`: nothing is cached.");
const MAX_TTL: Key =
    Key::with("max-ttl", Kind::Duration, r#""1d""#).means("The longest time for which a reply is kept.");
const MAX_STALE: Key = Key::with("max-stale", Kind::Duration, r#""1d""#).means(
    "How long past its TTL a reply may be served while the upstreams fail (RFC 8767); `\"0s\"`: never.",
);
const STALE_AFTER: Key = Key::with("stale-after", Kind::Duration, r#""1800ms""#)
    .means("How long a client waits before it gets the stale reply.");
const STALE_RECHECK: Key = Key::with("stale-recheck", Kind::Duration, r#""30s""#)
    .means("How long after a failure the upstreams are not asked again.");
const MAX_FAILURE: Key = Key::with("max-failure", Kind::Duration, r#""5m""#).means(
    "The longest time for which a question is not sent again after the upstreams failed to answer it (SERVFAIL, REFUSED \
        or no reply). It is 1 s at first and doubles with each failure (RFC 9520); `\"0s\"`: the question is sent each \
        time. A stale reply takes precedence, and a server that answers again ends the wait.",
);
const PREFETCH: Key = Key::with("prefetch", Kind::Flag, "true")
    .means("Refresh a reply that is requested in the last tenth of its TTL.");

pub(super) static FORM: Form = Form {
    header: "[cache]",
    meaning: "How many replies of the upstreams are kept, and for how long.",
    keys: &[SIZE, MAX_TTL, MAX_STALE, STALE_AFTER, STALE_RECHECK, MAX_FAILURE, PREFETCH],
    also: &[("memory", "size"), ("max-size", "size"), ("ttl", "max-ttl")],
};

impl Check<'_> {
    pub(super) fn cache(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        if let Some(size) = self.size(&mut table, SIZE) {
            settings.cache.size = size;
        }
        let aging = &mut settings.cache.aging;
        for (key, seconds) in [
            (MAX_TTL, &mut settings.cache.max_ttl),
            (MAX_STALE, &mut aging.max_stale),
            (STALE_RECHECK, &mut aging.recheck),
            (MAX_FAILURE, &mut aging.max_failure),
        ] {
            *seconds = self.seconds(&mut table, key).unwrap_or(*seconds);
        }
        aging.patience = self.span_of(&mut table, STALE_AFTER).unwrap_or(aging.patience);
        aging.prefetch = table.flag(self, PREFETCH).unwrap_or(aging.prefetch);
        table.done(self, "", &[]);
    }
}
