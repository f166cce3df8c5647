//! `[metrics]`: the page with the counters.

use std::net::SocketAddr;

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;

const LISTEN: Key = Key::required("listen", Kind::TextOf("an address with a port"))
    .like(r#""127.0.0.1:9153""#)
    .means("Where the counters are served over HTTP, as Prometheus text at `/metrics`.");

pub(super) static FORM: Form = Form {
    header: "[metrics]",
    meaning: "The page with the counters. Without this table: none.",
    keys: &[LISTEN],
    also: &[("address", "listen"), ("port", "listen")],
};

impl Check<'_> {
    pub(super) fn metrics(&mut self, mut table: Table<'_>) -> Option<SocketAddr> {
        let text = table.text(self, LISTEN);
        let address = text.and_then(|text| self.listen(&table.key(LISTEN), &text));
        table.done(self, "", &[]);
        address
    }
}
