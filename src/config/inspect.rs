//! `[inspect]`: checks on the replies of the upstreams.

use super::check::Check;
use super::key::{Form, Key, Kind, words};
use super::table::Table;
use crate::settings::Settings;

/// The words for the keys of Encrypted Client Hello, and whether these are removed.
const ECH_WORDS: [(&str, bool); 2] = [("keep", false), ("strip", true)];

const NAMES: Key = Key::with("names", Kind::Flag, "true").means(
    "Apply the rules to the targets of CNAME, DNAME, HTTPS and SVCB records, as to the name in the query.",
);
const REBINDING: Key = Key::with("rebinding", Kind::Flag, "false")
    .means("Answer NODATA where a public name has a private address.");
const PRIVATE: Key = Key::with("private", Kind::Texts("domain names"), "[]")
    .like(r#"["lan"]"#)
    .means("Names that may have private addresses, including all names below them.");
const ECH: Key = Key::with("ech", Kind::Word(|| words(&ECH_WORDS)), r#""keep""#)
    .means("Keep the keys for Encrypted Client Hello in HTTPS and SVCB records, or remove them.");

pub(super) static FORM: Form = Form {
    header: "[inspect]",
    meaning: "Checks on the replies of the upstreams.",
    keys: &[NAMES, REBINDING, PRIVATE, ECH],
    also: &[],
};

impl Check<'_> {
    pub(super) fn inspect(&mut self, mut table: Table<'_>, settings: &mut Settings) {
        let inspection = &mut settings.inspect;
        inspection.names = table.flag(self, NAMES).unwrap_or(inspection.names);
        inspection.rebinding = table.flag(self, REBINDING).unwrap_or(inspection.rebinding);
        if let Some(private) = table.texts(self, PRIVATE) {
            let key = table.key(PRIVATE);
            inspection.private = private.get_ref().iter().filter_map(|n| self.host(&key, n)).collect();
        }
        inspection.strip_ech = table.word(self, ECH, &ECH_WORDS).unwrap_or_default();
        table.done(self, "", &[]);
    }
}
