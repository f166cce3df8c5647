//! `[[zone]]`: zones that the server is authoritative for.

use super::check::{Check, Names};
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::{Settings, ZoneSettings};

const ORIGIN: Key = Key::required("origin", Kind::TextOf("a domain name"))
    .like(r#""school.test""#)
    .means("The name of the zone's apex.");
const FILE: Key = Key::required("file", Kind::TextOf("a path"))
    .like(r#""zones/school.test.zone""#)
    .means("Its master file (RFC 1035 §5).");

pub(super) static FORM: Form = Form {
    header: "[[zone]]",
    meaning: "A zone that the server is authoritative for. It takes precedence over the cache and the upstreams.",
    keys: &[ORIGIN, FILE],
    also: &[("name", "origin"), ("zone", "origin"), ("source", "file"), ("path", "file")],
};

impl Check<'_> {
    pub(super) fn zones(&mut self, tables: Vec<Table<'_>>, settings: &mut Settings) {
        let mut origins = Names::new();
        for mut table in tables {
            let text = table.text(self, ORIGIN);
            let origin = text.as_ref().and_then(|text| self.host(&table.key(ORIGIN), text));
            if let (Some(text), Some(origin)) = (&text, &origin) {
                let line = self.line(&text.span());
                if let Some(first) = origins.insert(origin.to_string(), line) {
                    let problem = format!("zone {origin} is already given in line {first}");
                    self.wrong(&table.key(ORIGIN), &text.span(), problem, "keep one of the two");
                }
            }
            let source = table.text(self, FILE).and_then(|text| self.source(&table.key(FILE), &text));
            table.done(self, "", &[]);
            let zone = origin.zip(source);
            settings.zones.extend(zone.map(|(origin, source)| ZoneSettings { origin, source }));
        }
    }
}
