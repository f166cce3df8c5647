//! `[[client]]`: clients that rules can name.

use toml::Spanned;

use super::check::{Check, Names};
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::policy::KnownClient;
use crate::settings::Settings;

const NAME: Key =
    Key::required("name", Kind::Text).like(r#""kid""#).means("The client's name in `$client=…`.");
const ADDRESSES: Key = Key::required("addresses", Kind::Texts("addresses or networks"))
    .like(r#"["192.168.1.20", "2001:db8:1::/64"]"#)
    .means("The client's addresses.");
const TAGS: Key = Key::with("tags", Kind::Texts("tags"), "[]")
    .like(r#"["phone"]"#)
    .means("The client's tags, for `$ctag=…`.");

pub(super) static FORM: Form = Form {
    header: "[[client]]",
    meaning: "A client that rules of the adguard format can name, with `$client=kid` or `$ctag=phone`.",
    keys: &[NAME, ADDRESSES, TAGS],
    also: &[
        ("address", "addresses"),
        ("ip", "addresses"),
        ("ips", "addresses"),
        ("networks", "addresses"),
        ("clients", "addresses"),
        ("tag", "tags"),
    ],
};

impl Check<'_> {
    pub(super) fn clients_with_names(&mut self, tables: Vec<Table<'_>>, settings: &mut Settings) {
        let mut names = Names::new();
        for mut table in tables {
            let name = table.text(self, NAME);
            if let Some(name) = &name {
                let help = "give all addresses in one place";
                self.name_once(&mut names, &table.key(NAME), name, "client", help);
            }
            let addresses = table.texts(self, ADDRESSES).map(Spanned::into_inner).unwrap_or_default();
            let key = table.key(ADDRESSES);
            let networks = addresses.iter().filter_map(|text| self.network(&key, text)).collect();
            let tags = table.texts(self, TAGS).map(Spanned::into_inner).unwrap_or_default();
            let tags = tags.into_iter().map(Spanned::into_inner).collect();
            table.done(self, "", &[]);
            let name = name.map(Spanned::into_inner).unwrap_or_default();
            settings.clients.push(KnownClient { name, networks, tags });
        }
    }
}
