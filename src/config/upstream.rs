//! `[upstream]`: the servers to which queries are forwarded.

use super::check::Check;
use super::error::like;
use super::key::{Form, Key, Kind, words};
use super::table::Table;
use crate::settings::Settings;

/// The responses to queries beyond the limit, and whether that is silence.
const WHEN_FULL_WORDS: [(&str, bool); 2] = [("servfail", false), ("drop", true)];

/// The kind of the servers of an upstream.
pub(super) const SERVERS_KIND: Kind = Kind::Texts("servers");

const SERVERS: Key = Key::optional("servers", SERVERS_KIND, "the system's resolvers")
    .like(r#"["192.0.2.53", "tcp://192.0.2.54:53"]"#)
    .means(
        "The servers in order of preference: `\"192.0.2.53\"`, `\"udp://dns.example:53\"` or \
        `\"tcp://[2001:db8::53]:53\"`. `[]`: never forward; a name that is neither blocked nor in a zone gets REFUSED.",
    );
const BOOTSTRAP: Key = Key::optional("bootstrap", Kind::Texts("addresses"), "the system's resolvers")
    .like(r#"["192.0.2.1"]"#)
    .means(
        "The servers that resolve upstreams given by name, in groups and forwards too: addresses, with a port if it is \
        not 53. They are asked again when the TTL expires and when an upstream does not answer.",
    );
const TIMEOUT: Key =
    Key::with("timeout", Kind::Duration, r#""2s""#).means("The time limit of one attempt at one server.");
const MIX_CASE: Key = Key::with("mix-case", Kind::Flag, "false").means(
    "Send names over UDP in random letter case. Replies must repeat it, which makes them harder to forge. For servers \
        that preserve the case; each question to any other server is asked over TCP.",
);
const MAX_WAITING: Key = Key::with("max-waiting", Kind::Number(1, 1_000_000), "20000").means(
    "The most queries that may wait for servers at once. One domain gets at most a quarter of the places, and a domain \
        or client that holds as many places as are free gets no more.",
);
const WHEN_FULL: Key = Key::with("when-full", Kind::Word(|| words(&WHEN_FULL_WORDS)), r#""servfail""#)
    .means("The response to a query beyond that limit: SERVFAIL, or none.");

pub(super) static FORM: Form = Form {
    header: "[upstream]",
    meaning: "The servers for queries that no list, zone or cached reply answers. Without this table: the system's \
        resolvers.",
    keys: &[SERVERS, BOOTSTRAP, TIMEOUT, MIX_CASE, MAX_WAITING, WHEN_FULL],
    also: &[
        ("server", "servers"),
        ("upstreams", "servers"),
        ("nameservers", "servers"),
        ("forwarders", "servers"),
        ("address", "servers"),
        ("addresses", "servers"),
        ("0x20", "mix-case"),
        ("use-caps-for-id", "mix-case"),
    ],
};

impl Check<'_> {
    pub(super) fn upstreams(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        if let Some(servers) = table.texts(self, SERVERS) {
            let key = table.key(SERVERS);
            settings.upstream.servers =
                Some(servers.get_ref().iter().filter_map(|s| self.upstream(&key, s)).collect());
        }
        if let Some(servers) = table.texts(self, BOOTSTRAP) {
            let key = table.key(BOOTSTRAP);
            settings.upstream.bootstrap =
                servers.get_ref().iter().filter_map(|s| self.bootstrap(&key, s)).collect();
        }
        if let Some(timeout) = self.span_of(&mut table, TIMEOUT) {
            if timeout.is_zero() {
                let problem = "the timeout is zero".to_owned();
                self.wrong(&table.key(TIMEOUT), &table.place(TIMEOUT.name), problem, like(TIMEOUT.example));
            }
            settings.upstream.timeout = timeout;
        }
        settings.upstream.mix_case = table.flag(self, MIX_CASE).unwrap_or_default();
        if let Some(limit) = table.bounded(self, MAX_WAITING) {
            settings.upstream.queue.limit = usize::try_from(limit).unwrap_or(usize::MAX);
        }
        settings.upstream.queue.silent = table.word(self, WHEN_FULL, &WHEN_FULL_WORDS).unwrap_or_default();
        table.done(self, "", &[]);
    }
}
