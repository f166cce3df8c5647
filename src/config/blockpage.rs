//! `[blockpage]`: the page that explains why a name is refused.

use toml::Spanned;

use super::check::Check;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::settings::BlockPageSettings;

const LISTEN: Key = Key::required("listen", Kind::Texts("addresses with a port"))
    .like(r#"["192.0.2.1:80"]"#)
    .means("Where the page is served over HTTP. A list with this address as its action sends browsers here.");
const REFUSE_TLS: Key = Key::with("refuse-tls", Kind::Texts("addresses with a port"), "[]")
    .like(r#"["192.0.2.1:443"]"#)
    .means("Where TLS is refused at once, so that a browser shows an error instead of hanging.");
const ALLOW: Key = Key::optional("allow", Kind::Texts("networks"), "all")
    .like(r#"["10.20.0.0/16", "2001:db8::/32"]"#)
    .means("The clients that may connect. Others are disconnected at once.");

pub(super) static FORM: Form = Form {
    header: "[blockpage]",
    meaning: "A page that explains why a name is refused (see [policy](policy.md#saying-why)). Without this table: none.",
    keys: &[LISTEN, REFUSE_TLS, ALLOW],
    also: &[("address", "listen"), ("http", "listen"), ("tls", "refuse-tls")],
};

impl Check<'_> {
    pub(super) fn block_page(&mut self, mut table: Table<'_>) -> Option<BlockPageSettings> {
        let listen = table.texts(self, LISTEN).map(|all| self.listen_all(&table.key(LISTEN), &all));
        let key = table.key(REFUSE_TLS);
        let refuse = table.texts(self, REFUSE_TLS).map(Spanned::into_inner).unwrap_or_default();
        let refuse_tls = refuse.iter().filter_map(|address| self.listen(&key, address)).collect();
        let allow = self.allowed(&mut table, ALLOW);
        table.done(self, "", &[]);
        Some(BlockPageSettings { listen: listen?, refuse_tls, allow })
    }
}
