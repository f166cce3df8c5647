//! `[[forward]]`: names that are forwarded to servers of their own.

use std::collections::HashSet;

use toml::Spanned;

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use super::upstream::SERVERS_KIND;
use crate::settings::{ForwardSettings, Settings};

const SUFFIX: Key = Key::required("suffix", Kind::TextOf("a domain name"))
    .like(r#""corp.test""#)
    .means("This name and those below it. The longest suffix wins among zones and forwards.");
const SERVERS: Key = Key::required("servers", SERVERS_KIND)
    .like(r#"["10.0.0.53"]"#)
    .means("The servers to ask, in order of preference, written as in `[upstream]`.");

pub(super) static FORM: Form = Form {
    header: "[[forward]]",
    meaning: "Names that are forwarded to servers of their own, such as the names of a company's network.",
    keys: &[SUFFIX, SERVERS],
    also: &[
        ("name", "suffix"),
        ("zone", "suffix"),
        ("domain", "suffix"),
        ("server", "servers"),
        ("to", "servers"),
    ],
};

impl Check<'_> {
    pub(super) fn forwards(&mut self, tables: Vec<Table<'_>>, settings: &mut Settings) {
        let mut known = HashSet::new();
        for mut table in tables {
            let text = table.text(self, SUFFIX);
            let suffix = text.as_ref().and_then(|text| self.host(&table.key(SUFFIX), text));
            if let (Some(text), Some(suffix)) = (&text, &suffix)
                && !known.insert(suffix.clone())
            {
                let problem = format!("{suffix} is forwarded already");
                self.wrong(&table.key(SUFFIX), &text.span(), problem, "give all servers in one place");
            }
            let servers = table.texts(self, SERVERS);
            if let Some(servers) = &servers {
                self.not_empty(&table.key(SERVERS), servers, "give at least one server");
            }
            let key = table.key(SERVERS);
            let servers = servers.iter().flat_map(Spanned::get_ref);
            let servers = servers.filter_map(|text| self.upstream(&key, text)).collect();
            table.done(self, "", &[]);
            settings.forwards.extend(suffix.map(|suffix| ForwardSettings { suffix, servers }));
        }
    }
}
