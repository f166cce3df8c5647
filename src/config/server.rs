//! `[server]`: listening addresses, permitted clients, and threads.

use ipnet::IpNet;

use super::check::Check;
use super::error::expected;
use super::key::{Form, Key, Kind};
use super::listener::Listener;
use super::table::Table;
use crate::dns::{CookieSecret, SECRET_LEN};
use crate::settings::{Settings, is_everybody, private_networks};

const LISTEN: Key = Key::with("listen", Kind::Texts("addresses with a port"), r#"["127.0.0.1:5300"]"#)
    .like(r#"["127.0.0.1:5300", "[::1]:5300"]"#)
    .means("Where the server listens, over UDP and TCP. Port 0 picks a free port.");
const THREADS: Key =
    Key::with("threads", Kind::Number(0, 256), "0").means("UDP threads on each address; 0: one per core.");
const PIN: Key = Key::with("pin", Kind::Flag, "false")
    .means("The nth UDP thread stays on the nth processor (Linux only).");
const UDP_BATCH: Key = Key::with("udp-batch", Kind::Number(1, 1024), "64")
    .means("The most datagrams per system call; 1: portable calls.");
const ALLOW: Key =
    Key::optional("allow", Kind::Texts("networks"), "loopback, private and link-local networks")
        .like(r#"["127.0.0.0/8", "::1/128", "10.20.0.0/16"]"#)
        .means("The clients that may ask. Others get REFUSED over UDP, and are disconnected over TCP.");
const ALLOW_RECURSION: Key = Key::optional(
    "allow-recursion",
    Kind::Texts("networks"),
    "those of `allow`; of a network wider than /8 (IPv6: /16), only the private part",
)
.like(r#"["127.0.0.0/8", "::1/128", "10.20.0.0/16"]"#)
.means(
    "The clients that get what other servers know, by the cache, upstreams and forwards. Others that may ask get own zones, \
     special names and what rules answer, and REFUSED for the rest; so a public server is not an open forwarder.",
);
const ANSWER_COOKIE: Key = Key::with("answer-cookie", Kind::Flag, "true").means(
    "Replies to clients that send a DNS cookie have the server's cookie (RFC 7873), with which they show who they are.",
);
const COOKIE_SECRETS: Key =
    Key::optional("cookie-secrets", Kind::Texts("secrets of 32 hexadecimal digits"), "a random one for each start")
        .like(r#"["e5e973e5a6b2a43f48e7dc849e37bfcf"]"#)
        .means(
            "The secrets behind the server's cookies (RFC 9018). The first makes cookies, all are accepted: servers at one \
             address share them, and a new secret replaces an old one in steps.",
        );
const REQUIRE_COOKIE: Key = Key::with("require-cookie", Kind::Flag, "false").means(
    "A client that sends cookies must return the server's over UDP, or gets BADCOOKIE and a new one. Clients without \
     cookies are answered.",
);
const USER: Key = Key::optional("user", Kind::Text, "the user who starts the program").like(r#""portcullis""#).means(
    "The user that the program becomes once its sockets are bound (Linux; started as root). It must be able to read \
     lists and zones, for reloads.",
);
const VERSION: Key = Key::optional("version", Kind::Text, "such queries are refused")
    .like(r#""a resolver""#)
    .means("The answer to `version.bind` and `version.server` in the class CH, at most 255 octets.");
const IDENTITY: Key = Key::optional("identity", Kind::Text, "such queries are refused")
    .like(r#""school-1""#)
    .means("The answer to `id.server` and `hostname.bind` in the class CH, at most 255 octets.");

pub(super) static FORM: Form = Form {
    header: "[server]",
    meaning: "Where the server listens, who may ask, and how many threads answer.",
    keys: &[
        LISTEN,
        THREADS,
        PIN,
        UDP_BATCH,
        ALLOW,
        ALLOW_RECURSION,
        ANSWER_COOKIE,
        COOKIE_SECRETS,
        REQUIRE_COOKIE,
        USER,
        VERSION,
        IDENTITY,
    ],
    also: &[
        ("address", "listen"),
        ("addresses", "listen"),
        ("bind", "listen"),
        ("port", "listen"),
        ("clients", "allow"),
        ("networks", "allow"),
        ("workers", "threads"),
        ("recursion", "allow-recursion"),
        ("allow-query-cache", "allow-recursion"),
        ("cookie-secret", "cookie-secrets"),
        ("require-server-cookie", "require-cookie"),
    ],
};

impl Check<'_> {
    pub(super) fn server(&mut self, table: Option<Table<'_>>, settings: &mut Settings) {
        let given = table.as_ref().is_some_and(|table| table.has(LISTEN.name));
        if !given {
            self.listeners.extend(settings.server.listen.iter().map(|a| Listener::default_at(*a)));
        }
        let Some(mut table) = table else { return };
        if let Some(listen) = table.texts(self, LISTEN) {
            settings.server.listen = self.listen_all(&table.key(LISTEN), &listen);
        }
        if let Some(threads) = table.bounded(self, THREADS) {
            settings.server.threads = usize::try_from(threads).unwrap_or(settings.server.threads);
        }
        settings.server.pin = table.flag(self, PIN).unwrap_or(settings.server.pin);
        if let Some(batch) = table.bounded(self, UDP_BATCH) {
            settings.server.udp_batch = usize::try_from(batch).unwrap_or(settings.server.udp_batch);
        }
        if let Some(allow) = self.allowed(&mut table, ALLOW) {
            settings.server.allow = allow;
        }
        let recursion = self.allowed(&mut table, ALLOW_RECURSION);
        settings.server.allow_recursion = recursion.or_else(|| not_everybody(&settings.server.allow));
        self.cookies(&mut table, settings);
        if let Some(user) = table.text(self, USER) {
            if user.get_ref().is_empty() {
                self.wrong(
                    &table.key(USER),
                    &user.span(),
                    "the name is empty".into(),
                    "name a user, or remove the key",
                );
            }
            settings.server.user = Some(user.into_inner());
        }
        let mut text = |key: Key| {
            let text = table.text(self, key)?;
            if text.get_ref().len() > 255 {
                let problem = format!("the string has {} octets", text.get_ref().len());
                // A TXT record holds no more in one string (RFC 1035 §3.3).
                self.wrong(&table.key(key), &text.span(), problem, expected("at most 255"));
            }
            Some(text.into_inner())
        };
        settings.server.version = text(VERSION);
        settings.server.identity = text(IDENTITY);
        table.done(self, "", &[]);
    }

    /// The keys about DNS cookies.
    fn cookies(&mut self, table: &mut Table<'_>, settings: &mut Settings) {
        let server = &mut settings.server;
        server.answer_cookie = table.flag(self, ANSWER_COOKIE).unwrap_or(server.answer_cookie);
        server.require_cookie = table.flag(self, REQUIRE_COOKIE).unwrap_or(server.require_cookie);
        if let Some(secrets) = table.texts(self, COOKIE_SECRETS) {
            let key = table.key(COOKIE_SECRETS);
            self.not_empty(&key, &secrets, "give a secret, or remove the key for a random one");
            for secret in secrets.get_ref() {
                match secret_of(secret.get_ref()) {
                    Some(secret) => server.cookie_secrets.push(secret),
                    None => {
                        let problem = "this is not a secret of 32 hexadecimal digits".to_owned();
                        let remedy = "take the output of `openssl rand -hex 16`";
                        self.wrong(&key, &secret.span(), problem, remedy);
                    }
                }
            }
        }
    }

    /// The networks of a key that says who may connect.
    pub(super) fn allowed(&mut self, table: &mut Table<'_>, key: Key) -> Option<Vec<IpNet>> {
        let networks = table.texts(self, key)?;
        let key = table.key(key);
        Some(networks.get_ref().iter().filter_map(|network| self.network(&key, network)).collect())
    }
}

/// Where `allow` takes in strangers, the networks whose clients get recursion: the others, and the private ones
/// that it takes in. `None`: it does not.
fn not_everybody(allow: &[IpNet]) -> Option<Vec<IpNet>> {
    let (wide, mut own): (Vec<IpNet>, Vec<IpNet>) = allow.iter().copied().partition(is_everybody);
    let private = private_networks();
    own.extend(private.iter().filter(|private| wide.iter().any(|wide| wide.contains(*private))));
    (!wide.is_empty()).then_some(own)
}

/// A secret in hexadecimal.
fn secret_of(text: &str) -> Option<CookieSecret> {
    let digits = text.len() == 2 * SECRET_LEN && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    Some(CookieSecret::new(number.to_be_bytes()))
}
