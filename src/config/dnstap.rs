//! `[dnstap]`: where every message goes.

use toml::Spanned;

use super::check::Check;
use super::error::KeyPath;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::{DnstapSettings, DnstapTo};

const TO: Key = Key::required("to", Kind::TextOf("a socket, an address or a file"))
    .like(r#""unix:/run/dnstap.sock""#)
    .means(
        "Where the messages go: `\"unix:/run/dnstap.sock\"`, `\"tcp:127.0.0.1:6000\"` or `\"file:queries.fstrm\"`. \
        The collector listens; the server connects, and again when the connection ends.",
    );
const IDENTITY: Key = Key::optional("identity", Kind::Text, "none")
    .like(r#""ns1.school.test""#)
    .means("The server's name in each message.");
const VERSION: Key = Key::optional("version", Kind::Text, "the program's name and version")
    .like(r#""Portcullis""#)
    .means("The version in each message; `\"\"`: none.");

pub(super) static FORM: Form = Form {
    header: "[dnstap]",
    meaning: "Where every message from and to clients and upstreams goes, as dnstap, with the rule that decided: \
        [log.md](log.md#dnstap). Without this table: nowhere.",
    keys: &[TO, IDENTITY, VERSION],
    also: &[("socket", "to"), ("address", "to"), ("file", "to"), ("output", "to")],
};

impl Check<'_> {
    pub(super) fn dnstap(&mut self, mut table: Table<'_>) -> Option<DnstapSettings> {
        let to = table.text(self, TO).and_then(|text| self.dnstap_to(&table.key(TO), &text));
        let identity = self.short_text(&mut table, IDENTITY);
        let own = concat!("portcullis ", env!("CARGO_PKG_VERSION")).to_owned();
        let version = self.short_text(&mut table, VERSION).unwrap_or(own);
        table.done(self, "", &[]);
        let given = |text: &String| !text.is_empty();
        Some(DnstapSettings {
            to: to?,
            identity: identity.filter(given),
            version: Some(version).filter(given),
        })
    }

    fn dnstap_to(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<DnstapTo> {
        let path = |path: &str| Spanned::new(text.span(), path.trim_start_matches("//").to_owned());
        match text.get_ref().split_once(':') {
            Some(("unix", socket)) if cfg!(unix) => self.new_file(key, &path(socket)).map(DnstapTo::Unix),
            Some(("file", file)) => self.new_file(key, &path(file)).map(DnstapTo::File),
            Some(("tcp", address)) => match address.trim_start_matches("//").parse() {
                Ok(address) => Some(DnstapTo::Tcp(address)),
                Err(_) => {
                    let problem = format!("`{address}` is not an address with a port");
                    self.wrong(key, &text.span(), problem, super::error::like(r#""tcp:127.0.0.1:6000""#));
                    None
                }
            },
            _ => {
                let problem = format!("`{}` is neither a socket nor an address nor a file", text.get_ref());
                self.wrong(key, &text.span(), problem, TO.remedy(""));
                None
            }
        }
    }

    /// A text that stands in every message.
    fn short_text(&mut self, table: &mut Table<'_>, key: Key) -> Option<String> {
        let text = table.text(self, key)?;
        if text.get_ref().len() > 255 {
            let problem = "it is longer than 255 octets".to_owned();
            self.wrong(&table.key(key), &text.span(), problem, key.remedy(""));
            return None;
        }
        Some(text.into_inner())
    }
}
