//! `[server]`: listening addresses, permitted clients, and threads.

use ipnet::IpNet;

use super::check::Check;
use super::error::expected;
use super::key::{Form, Key, Kind};
use super::listener::Listener;
use super::table::Table;
use crate::settings::Settings;

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
    keys: &[LISTEN, THREADS, PIN, UDP_BATCH, ALLOW, USER, VERSION, IDENTITY],
    also: &[
        ("address", "listen"),
        ("addresses", "listen"),
        ("bind", "listen"),
        ("port", "listen"),
        ("clients", "allow"),
        ("networks", "allow"),
        ("workers", "threads"),
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

    /// The networks of a key that says who may connect.
    pub(super) fn allowed(&mut self, table: &mut Table<'_>, key: Key) -> Option<Vec<IpNet>> {
        let networks = table.texts(self, key)?;
        let key = table.key(key);
        Some(networks.get_ref().iter().filter_map(|network| self.network(&key, network)).collect())
    }
}
