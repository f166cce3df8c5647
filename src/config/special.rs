//! `[special]`: names that the server answers for itself because they are special.

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::dns::Special;
use crate::settings::Settings;

/// A switch for each special name.
const fn switch(special: Special, meaning: &'static str) -> (Special, Key) {
    (special, Key::with(special.word(), Kind::Flag, "true").means(meaning))
}

const SWITCHES: [(Special, Key); 10] = [
    switch(
        Special::Localhost,
        "`localhost` and all names below it have the addresses 127.0.0.1 and ::1 (RFC 6761).",
    ),
    switch(Special::Invalid, "`invalid` and all names below it do not exist (RFC 6761)."),
    switch(Special::Test, "`test` and all names below it do not exist (RFC 6761)."),
    switch(Special::Onion, "`onion` and all names below it do not exist: they are names of Tor (RFC 7686)."),
    switch(
        Special::Alt,
        "`alt` and all names below it do not exist: they are not names of the DNS (RFC 9476).",
    ),
    switch(
        Special::Local,
        "`local` and all names below it do not exist: they are names of Multicast DNS (RFC 6762).",
    ),
    switch(Special::HomeArpa, "`home.arpa` is an empty zone (RFC 8375)."),
    switch(Special::ServiceArpa, "`service.arpa` is an empty zone (RFC 9665)."),
    switch(
        Special::ResolverArpa,
        "`resolver.arpa` is an empty zone, so that `_dns.resolver.arpa` leads no client to another resolver (RFC 9462).",
    ),
    switch(
        Special::PrivateReverse,
        "The reverse zones of private, local and documentation addresses are empty (RFC 6303, RFC 7793), except for \
         the names of the loopback addresses.",
    ),
];

#[expect(clippy::indexing_slicing, reason = "a mistake would not compile")]
const KEYS: [Key; SWITCHES.len()] = {
    let mut keys = [SWITCHES[0].1; SWITCHES.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = SWITCHES[at].1;
        at += 1;
    }
    keys
};

pub(super) static FORM: Form = Form {
    header: "[special]",
    meaning: "The special names that the server answers for itself instead of asking the upstreams; `false` asks them. \
              A rule, a `[[rewrite]]`, a `[[zone]]` or a `[[forward]]` for such a name takes precedence (see \
              [zones](zones.md)).",
    keys: &KEYS,
    also: &[
        ("home.arpa", "home-arpa"),
        ("service.arpa", "service-arpa"),
        ("resolver.arpa", "resolver-arpa"),
        ("reverse", "private-reverse"),
        ("in-addr.arpa", "private-reverse"),
        ("ip6.arpa", "private-reverse"),
        ("mdns", "local"),
        ("tor", "onion"),
    ],
};

impl Check<'_> {
    pub(super) fn special(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        for (special, key) in SWITCHES {
            if let Some(on) = table.flag(self, key) {
                settings.special = settings.special.with(special, on);
            }
        }
        table.done(self, "", &[]);
    }
}
