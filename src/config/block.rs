//! `[block]`: defaults for lists, and rules for all clients in addition to the lists.

use std::collections::BTreeMap;

use super::check::Check;
use super::contact;
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::policy::Notes;
use crate::resolver::builtin;
use crate::rule::{Action, Format};
use crate::settings::{ListSettings, RewriteSettings, Settings, TextSource};

const ACTION: Key = Key::with("action", Kind::Action, r#""nxdomain""#)
    .means("The answer for a blocked name where neither the list nor the client's group sets one.");
const TTL: Key =
    Key::with("ttl", Kind::Duration, r#""60s""#).means("The TTL of answers that the server makes up.");
const CANARIES: Key = Key::with("canaries", Kind::Flag, "false").means(
    "NXDOMAIN for the names that browsers and phones look up to learn whether the network filters (`use-application-dns.net`, \
    iCloud Private Relay), whatever `action` is.",
);
const CONTACT: Key = Key::optional("contact", Kind::Table, "not given")
    .means("The contact for questions about a refusal: the table `[block.contact]`.");

pub(super) static FORM: Form = Form {
    header: "[block]",
    meaning: "Defaults for all lists.",
    keys: &[ACTION, TTL, CANARIES, CONTACT],
    also: &[],
};

/// Defaults for all lists.
pub(super) struct Block {
    pub(super) action: Action,
    pub(super) ttl: u32,
    canaries: bool,
}

impl Check<'_> {
    pub(super) fn block(&mut self, table: Option<Table<'_>>, settings: &mut Settings) -> Block {
        let mut block = Block { action: Action::NxDomain, ttl: 60, canaries: false };
        let Some(mut table) = table else { return block };
        block.action = self.action(&mut table, ACTION).unwrap_or(block.action);
        block.ttl = self.seconds(&mut table, TTL).unwrap_or(block.ttl);
        block.canaries = table.flag(self, CANARIES).unwrap_or(block.canaries);
        if let Some(contact) = table.section(self, &contact::FORM) {
            settings.block.contact = self.contact(contact);
        }
        table.done(self, "", &[]);
        (settings.block.action, settings.block.ttl) = (block.action.clone(), block.ttl);
        block
    }
}

impl Block {
    fn list(&self, name: &str, source: TextSource) -> ListSettings {
        ListSettings { name: name.into(), source, ttl: self.ttl, ..ListSettings::default() }
    }

    /// The list of canaries, if it is enabled.
    pub(super) fn canaries(&self) -> Option<ListSettings> {
        let source = TextSource::Embedded("blocklists/canaries.txt", builtin::CANARIES);
        let notes = Notes { reason: Some(builtin::CANARIES_REASON.into()), ..Notes::default() };
        let list = ListSettings { format: Format::Domains, notes, ..self.list("canaries", source) };
        self.canaries.then_some(list)
    }

    /// The rewrites as lists, one for all that are for the same groups. Those for some groups come first, so
    /// that of two for one name they win.
    pub(super) fn rewrites(&self, rewrites: &[RewriteSettings]) -> Vec<ListSettings> {
        let mut lists: BTreeMap<_, Vec<RewriteSettings>> = BTreeMap::new();
        for rewrite in rewrites {
            let order = (rewrite.groups.is_empty(), &rewrite.groups);
            lists.entry(order).or_default().push(rewrite.clone());
        }
        lists.into_values().map(|all| self.list("rewrite", TextSource::Rewrites(all))).collect()
    }
}
