//! `[metrics]`: the page with the counters.

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::MetricsSettings;

const LISTEN: Key = Key::required("listen", Kind::TextOf("an address with a port"))
    .like(r#""127.0.0.1:9153""#)
    .means("Where the counters are served over HTTP, as Prometheus text at `/metrics`.");
const ALLOW: Key = Key::optional("allow", Kind::Texts("networks"), "all")
    .like(r#"["127.0.0.0/8", "10.20.0.0/16"]"#)
    .means("The clients that may connect. Others are disconnected at once.");

pub(super) static FORM: Form = Form {
    header: "[metrics]",
    meaning: "The page with the counters. Without this table: none.",
    keys: &[LISTEN, ALLOW],
    also: &[("address", "listen"), ("port", "listen")],
};

impl Check<'_> {
    pub(super) fn metrics(&mut self, mut table: Table<'_>) -> Option<MetricsSettings> {
        let text = table.text(self, LISTEN);
        let address = text.and_then(|text| self.listen(&table.key(LISTEN), &text));
        let allow = self.allowed(&mut table, ALLOW);
        table.done(self, "", &[]);
        Some(MetricsSettings { listen: address?, allow })
    }
}
