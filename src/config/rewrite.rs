//! `[[rewrite]]`: names with answers of the operator's own.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;

use super::check::Check;
use super::error::{KeyPath, expected, like};
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::dns::{Name, NameBuf, Qtype, rdata};
use crate::rule::{Action, Data, Match};
use crate::settings::RewriteSettings;

const NAME: Key = Key::required("name", Kind::TextOf("a domain name"))
    .like(r#""nas.home.test""#)
    .means("This name; `\"*.home.test\"`: the names below it.");
const ADDRESS: Key = Key::optional("address", Kind::Texts("IP addresses"), "no address")
    .like(r#"["192.168.1.5"]"#)
    .means("Its addresses. A rewrite has either `address`, `cname` or `records`.");
const CNAME: Key = Key::optional("cname", Kind::TextOf("a domain name"), "no alias")
    .like(r#""other.test""#)
    .means("The target of the alias. The reply includes the addresses of the target.");
const RECORDS: Key = Key::optional("records", Kind::Texts("records"), "no records")
    .like(r#"["MX 10 mail.test.", "TXT \"some text\""]"#)
    .means("Records of any type: the type and the data.");

pub(super) static FORM: Form = Form {
    header: "[[rewrite]]",
    meaning: "A name with an answer of your own, for all clients. It takes precedence over all lists.",
    keys: &[NAME, ADDRESS, CNAME, RECORDS],
    also: &[
        ("domain", "name"),
        ("addresses", "address"),
        ("ip", "address"),
        ("answer", "address"),
        ("target", "cname"),
        ("alias", "cname"),
        ("record", "records"),
    ],
};

impl Check<'_> {
    pub(super) fn rewrites(&mut self, tables: Vec<Table<'_>>) -> Vec<RewriteSettings> {
        let mut all: Vec<(RewriteSettings, Range<usize>)> = Vec::new();
        let mut known = HashSet::new();
        for mut table in tables {
            let text = table.text(self, NAME);
            let name = text.as_ref().and_then(|text| self.rewritten(&table, text));
            if let (Some(text), Some((name, below))) = (&text, &name)
                && !known.insert((name.clone(), *below))
            {
                let problem = format!("`{}` is rewritten already", text.get_ref());
                self.wrong(&table.key(NAME), &text.span(), problem, "give all its answers in one place");
            }
            let action = self.rewrite_action(&mut table, name.as_ref());
            let span = table.place(CNAME.name);
            table.done(self, "", &[]);
            let (Some(text), Some((name, below)), Some(action)) = (text, name, action) else { continue };
            let matching = if below { Match::Subdomains } else { Match::Exact };
            let line = u32::try_from(self.line(&text.span())).unwrap_or(u32::MAX);
            all.push((RewriteSettings { name, matching, action, line }, span));
        }
        for (rewrite, span) in &all {
            if let Some(way) = round(rewrite, &all) {
                let problem = format!("the aliases form a loop: {way}");
                let key = KeyPath::table(FORM.header).key(CNAME.name);
                self.wrong(&key, span, problem, "give one of them an address");
            }
        }
        all.into_iter().map(|(rewrite, _)| rewrite).collect()
    }

    /// The name, and whether those below it are meant.
    fn rewritten(&mut self, table: &Table<'_>, text: &Spanned<String>) -> Option<(NameBuf, bool)> {
        let (below, name) = match text.get_ref().strip_prefix("*.") {
            Some(name) => (true, name.to_owned()),
            None => (false, text.get_ref().clone()),
        };
        let key = table.key(NAME);
        if name.contains('*') || below && matches!(name.as_str(), "" | ".") {
            let problem = format!("`{}` does not say which names", text.get_ref());
            let remedy = like(r#""www.school.test", or "*.school.test" for the names below"#);
            self.wrong(&key, &text.span(), problem, remedy);
            return None;
        }
        Some((self.host(&key, &Spanned::new(text.span(), name))?, below))
    }

    fn rewrite_action(&mut self, table: &mut Table<'_>, name: Option<&(NameBuf, bool)>) -> Option<Action> {
        let (addresses, target, records) =
            (table.texts(self, ADDRESS), table.text(self, CNAME), table.texts(self, RECORDS));
        match [ADDRESS, CNAME, RECORDS].map(|key| table.has(key.name)) {
            [true, false, false] => {
                let (v4, v6) = self.both_families(&table.key(ADDRESS), &addresses?);
                Some(Action::Address(v4, v6))
            }
            [false, true, false] => {
                let (target, key) = (target?, table.key(CNAME));
                let found = self.name(&key, &target)?;
                if name.is_some_and(|(name, below)| !below && found.as_name() == name.as_name()) {
                    let problem = format!("{found} would be an alias of itself");
                    self.wrong(&key, &target.span(), problem, "name another target");
                    return None;
                }
                Some(Action::Cname(found))
            }
            [false, false, true] => {
                let (records, key) = (records?, table.key(RECORDS));
                self.not_empty(&key, &records, "give at least one record");
                let records = records.get_ref().iter();
                Some(Action::Records(records.filter_map(|text| self.record_data(&key, text)).collect()))
            }
            _ => {
                let problem = "not exactly one of `address`, `cname` and `records` is given".to_owned();
                self.wrong(&table.path, &table.span, problem, "a rewrite has one kind of answer");
                None
            }
        }
    }

    /// A record's type and data.
    fn record_data(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<Data> {
        let (rtype, value) = text.get_ref().trim().split_once(' ').unwrap_or((text.get_ref(), ""));
        let rtype = self.qtype(key, &Spanned::new(text.span(), rtype.to_owned()))?;
        if rtype == Qtype::CNAME {
            let problem = "an alias cannot stand beside other records".to_owned();
            self.wrong(key, &text.span(), problem, "use `cname`");
            return None;
        }
        match rdata::from_text(rtype, value.trim(), Name::ROOT) {
            Ok(rdata) => Some(Data { rtype, rdata }),
            Err(problem) => {
                let remedy = expected("a type and its data").such_as(r#""MX 10 mail.example.org.""#);
                self.wrong(key, &text.span(), problem.to_string(), remedy);
                None
            }
        }
    }
}

/// The loop, if the aliases from this rewrite on lead back to it.
fn round(from: &RewriteSettings, all: &[(RewriteSettings, Range<usize>)]) -> Option<String> {
    let mut way = vec![from.name.to_string()];
    let mut at = from;
    for _ in 0..all.len() {
        let Action::Cname(target) = &at.action else { return None };
        way.push(target.to_string());
        let of = |r: &RewriteSettings| match r.matching {
            Match::Exact => r.name.as_name() == target.as_name(),
            // A rewrite of a name to itself is not an alias.
            _ => {
                target.as_name().is_within(r.name.as_name())
                    && target.as_name() != r.name.as_name()
                    && r.action != Action::Cname(target.clone())
            }
        };
        // The closer one wins.
        let closer = |r: &&(RewriteSettings, _)| (r.0.matching == Match::Exact, r.0.name.as_bytes().len());
        at = &all.iter().filter(|(r, _)| of(r)).max_by_key(closer)?.0;
        if at.name == from.name && at.matching == from.matching {
            return Some(way.join(" → "));
        }
    }
    None
}
