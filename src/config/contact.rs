//! `[block.contact]`: the contact for questions about a refusal.

use toml::Spanned;

use super::check::Check;
use super::error::{KeyPath, like};
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::dns::sde;
use crate::settings::Contact;

const URIS: Key = Key::with("uris", Kind::Texts("URIs"), "[]")
    .like(r#"["mailto:dns@school.test"]"#)
    .means("The contact's `mailto:`, `tel:` and `sips:` URIs; `https:` URIs appear only on the block page.");
const ORGANIZATION: Key = Key::optional("organization", Kind::Text, "not given")
    .like(r#""School of Tests""#)
    .means("The operator of this server.");
const LANGUAGE: Key = Key::optional("language", Kind::TextOf("a language tag"), "not given")
    .like(r#""en""#)
    .means("The language of the organisation's name and of the reasons of lists (RFC 5646).");
const BLOCKED_BY: Key = Key::optional("blocked-by", Kind::TextOf("a URI"), "no link is sent")
    .like(r#""https://school.test/dns""#)
    .means("The URI of the party that blocks, for the `blocked-by` link of the block page (RFC 7725).");

pub(super) static FORM: Form = Form {
    header: "[block.contact]",
    meaning: "The contact for questions about a refusal, in structured errors and on the block page.",
    keys: &[URIS, ORGANIZATION, LANGUAGE, BLOCKED_BY],
    also: &[("uri", "uris"), ("organisation", "organization")],
};

impl Check<'_> {
    pub(super) fn contact(&mut self, mut table: Table<'_>) -> Contact {
        let uris = table.texts(self, URIS).map(Spanned::into_inner).unwrap_or_default();
        let key = table.key(URIS);
        let uris = uris.iter().filter_map(|text| self.contact_uri(&key, text)).collect();
        let organization = table.text(self, ORGANIZATION).map(Spanned::into_inner);
        let language = table.text(self, LANGUAGE);
        if let Some(language) = language.as_ref().filter(|text| !is_language(text.get_ref())) {
            let problem = format!("`{}` is not a language tag", language.get_ref());
            self.wrong(&table.key(LANGUAGE), &language.span(), problem, like(LANGUAGE.example));
        }
        let blocked_by = table.text(self, BLOCKED_BY);
        let blocked_by = blocked_by.and_then(|text| self.contact_uri(&table.key(BLOCKED_BY), &text));
        table.done(self, "", &[]);
        Contact { uris, organization, language: language.map(Spanned::into_inner), blocked_by }
    }

    fn contact_uri(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<String> {
        match sde::contact(text.get_ref()) {
            Ok(uri) => Some(uri),
            Err(problem) => {
                self.parser_mistake(
                    key,
                    text,
                    &problem.to_string(),
                    r#""mailto:dns@example.org" or "https://example.org/why""#,
                );
                None
            }
        }
    }
}

/// True if the text has the form of a language tag (RFC 5646 §2.1).
fn is_language(text: &str) -> bool {
    let first = text.split('-').next().is_some_and(|part| (2..=8).contains(&part.len()));
    let is_part =
        |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    first && text.split('-').all(is_part)
}
