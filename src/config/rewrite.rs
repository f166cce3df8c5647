//! `[[rewrite]]`: names with answers of the operator's own.

use std::ops::Range;

use toml::Spanned;

use super::check::Check;
use super::error::{KeyPath, expected, like};
use super::key::{Form, Key, Kind};
use super::table::Table;
use crate::dns::{Name, NameBuf, Qtype, rdata};
use crate::rule::{Action, Data, Match};
use crate::settings::{GroupSettings, RewriteSettings};

const NAME: Key = Key::required("name", Kind::TextOf("a domain name"))
    .like(r#""nas.home.test""#)
    .means("This name; `\"*.home.test\"`: the names below it.");
const ADDRESS: Key = Key::optional("address", Kind::Texts("IP addresses"), "no address")
    .like(r#"["192.168.1.5"]"#)
    .means("Its addresses. A rewrite has either `address`, `cname`, `records` or `pass`.");
const CNAME: Key = Key::optional("cname", Kind::TextOf("a domain name"), "no alias")
    .like(r#""other.test""#)
    .means("The target of the alias. The reply includes the addresses of the target.");
const RECORDS: Key = Key::optional("records", Kind::Texts("records"), "no records")
    .like(r#"["MX 10 mail.test.", "TXT \"some text\""]"#)
    .means("Records of any type: the type and the data.");

const PASS: Key = Key::optional("pass", Kind::Flag, "the name is rewritten").like("true").means(
    "The name is not rewritten, neither by a broader rewrite nor by a list; the lists still decide whether it is blocked. \
    A `cname` with the name itself means the same.",
);
const TYPES: Key = Key::optional("types", Kind::Texts("record types"), "all types")
    .like(r#"["A"]"#)
    .means("The rewrite applies only to queries for these types; the others are not rewritten.");
const GROUPS: Key = Key::optional("groups", Kind::Texts("names of groups"), "all clients")
    .like(r#"["classroom"]"#)
    .means(
        "The rewrite applies only to clients of these groups. It takes precedence over one for all clients with the same name.",
    );

pub(super) static FORM: Form = Form {
    header: "[[rewrite]]",
    meaning: "A name with an answer of your own. It takes precedence over all lists.",
    keys: &[NAME, ADDRESS, CNAME, RECORDS, PASS, TYPES, GROUPS],
    also: &[
        ("group", "groups"),
        ("type", "types"),
        ("passthru", "pass"),
        ("passthrough", "pass"),
        ("except", "pass"),
        ("exclude", "pass"),
        ("as-is", "pass"),
        ("keep", "pass"),
        ("transparent", "pass"),
        ("domain", "name"),
        ("addresses", "address"),
        ("ip", "address"),
        ("answer", "address"),
        ("target", "cname"),
        ("alias", "cname"),
        ("record", "records"),
    ],
};

/// What is read before the groups are known.
#[derive(Default)]
pub(super) struct Rewrites {
    pub(super) all: Vec<RewriteSettings>,
    /// The groups that they name.
    named: Vec<Spanned<String>>,
}

impl Check<'_> {
    pub(super) fn rewrites(&mut self, tables: Vec<Table<'_>>) -> Rewrites {
        let mut all: Vec<(RewriteSettings, Range<usize>)> = Vec::new();
        let mut named = Vec::new();
        for mut table in tables {
            let text = table.text(self, NAME);
            let name = text.as_ref().and_then(|text| self.rewritten(&table, text));
            let action = self.rewrite_action(&mut table, text.as_ref(), name.as_ref());
            let span = table.place(CNAME.name);
            let types = table.texts(self, TYPES).map(Spanned::into_inner).unwrap_or_default();
            let key = table.key(TYPES);
            let types = types.iter().filter_map(|text| self.qtype(&key, text)).collect();
            let groups = table.texts(self, GROUPS);
            if let Some(groups) = &groups {
                self.not_empty(
                    &table.key(GROUPS),
                    groups,
                    "name a group, or leave `groups` out for all clients",
                );
            }
            let groups = groups.map(Spanned::into_inner).unwrap_or_default();
            let mut of_groups: Vec<String> = groups.iter().map(|g| g.get_ref().clone()).collect();
            of_groups.sort();
            of_groups.dedup();
            named.extend(groups);
            let key = table.key(NAME);
            table.done(self, "", &[]);
            let (Some(text), Some((name, below))) = (text, name) else { continue };
            let matching = if below { Match::Subdomains } else { Match::Exact };
            let line = u32::try_from(self.line(&text.span())).unwrap_or(u32::MAX);
            let rewrite = RewriteSettings { name, matching, action: None, types, groups: of_groups, line };
            if all.iter().any(|(earlier, _)| rivals(earlier, &rewrite)) {
                let problem = format!("`{}` is already rewritten", text.get_ref());
                self.wrong(&key, &text.span(), problem, "give all its answers in one [[rewrite]]");
            }
            let Some(action) = action else { continue };
            all.push((RewriteSettings { action, ..rewrite }, span));
        }
        for (rewrite, span) in &all {
            if let Some(way) = round(rewrite, &all) {
                let problem = format!("the aliases form a loop: {way}");
                let key = KeyPath::table(FORM.header).key(CNAME.name);
                self.wrong(&key, span, problem, "give one of them an address");
            }
        }
        Rewrites { all: all.into_iter().map(|(rewrite, _)| rewrite).collect(), named }
    }

    /// The groups that rewrites name must exist.
    pub(super) fn rewrite_groups(&mut self, rewrites: &Rewrites, groups: &[GroupSettings]) {
        let known: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        for name in rewrites.named.iter().filter(|name| !known.contains(&name.get_ref().as_str())) {
            self.unknown_word(&KeyPath::table(FORM.header).key(GROUPS.name), name, &known);
        }
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

    /// The answer; `Some(None)`: the name is left as it is.
    #[expect(clippy::option_option, reason = "no answer of its own is not the same as a wrong one")]
    fn rewrite_action(
        &mut self,
        table: &mut Table<'_>,
        text: Option<&Spanned<String>>,
        name: Option<&(NameBuf, bool)>,
    ) -> Option<Option<Action>> {
        let (addresses, target, records) =
            (table.texts(self, ADDRESS), table.text(self, CNAME), table.texts(self, RECORDS));
        // `pass = false` is what holds without it.
        let pass = table.flag(self, PASS) == Some(true);
        let given = [ADDRESS, CNAME, RECORDS].map(|key| table.has(key.name));
        match (given, pass) {
            ([true, false, false], false) => {
                let (v4, v6) = self.both_families(&table.key(ADDRESS), &addresses?);
                Some(Some(Action::Address(v4, v6)))
            }
            ([false, true, false], false) => {
                let target = target?;
                // An alias of itself, also `*.name` for `*.name`, leaves the name as it is.
                let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
                if text.is_some_and(|text| plain(text.get_ref()) == plain(target.get_ref())) {
                    return Some(None);
                }
                let found = self.name(&table.key(CNAME), &target)?;
                let itself = name.is_some_and(|(name, below)| !below && found.as_name() == name.as_name());
                Some((!itself).then_some(Action::Cname(found)))
            }
            ([false, false, true], false) => {
                let (records, key) = (records?, table.key(RECORDS));
                self.not_empty(&key, &records, "give at least one record");
                let records = records.get_ref().iter();
                Some(Some(Action::Records(records.filter_map(|text| self.record_data(&key, text)).collect())))
            }
            ([false, false, false], true) => Some(None),
            _ => {
                let problem =
                    "none or several of `address`, `cname`, `records` and `pass` are given".to_owned();
                self.wrong(&table.path, &table.span, problem, "give exactly one of them");
                None
            }
        }
    }

    /// A record's type and data.
    fn record_data(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<Data> {
        let (rtype, value) = text.get_ref().trim().split_once(' ').unwrap_or((text.get_ref(), ""));
        let rtype = self.qtype(key, &Spanned::new(text.span(), rtype.to_owned()))?;
        if rtype == Qtype::CNAME {
            let problem = "an alias cannot stand next to other records".to_owned();
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

/// True if both would answer the same question of some client, and neither goes before the other.
fn rivals(one: &RewriteSettings, other: &RewriteSettings) -> bool {
    let meet = |one: &[Qtype], other: &[Qtype]| {
        one.is_empty() || other.is_empty() || one.iter().any(|qtype| other.contains(qtype))
    };
    let alike = one.name.as_name() == other.name.as_name() && one.matching == other.matching;
    // A rewrite for groups goes before one for all clients.
    let for_all = (one.groups.is_empty(), other.groups.is_empty());
    let same_clients = for_all == (true, true) || share(&one.groups, &other.groups);
    alike && same_clients && meet(&one.types, &other.types)
}

fn share(one: &[String], other: &[String]) -> bool {
    one.iter().any(|name| other.contains(name))
}

/// The loop, if the aliases from this rewrite on lead back to it.
fn round(from: &RewriteSettings, all: &[(RewriteSettings, Range<usize>)]) -> Option<String> {
    let mut way = vec![from.name.to_string()];
    let mut at = from;
    for _ in 0..all.len() {
        let Some(Action::Cname(target)) = &at.action else { return None };
        way.push(target.to_string());
        let meet = |r: &RewriteSettings| {
            from.groups.is_empty() || r.groups.is_empty() || share(&from.groups, &r.groups)
        };
        let of = |r: &RewriteSettings| match r.matching {
            _ if !meet(r) => false,
            Match::Exact => r.name.as_name() == target.as_name(),
            // A rewrite of a name to itself is not an alias.
            _ => {
                target.as_name().is_within(r.name.as_name())
                    && target.as_name() != r.name.as_name()
                    && r.action.as_ref() != Some(&Action::Cname(target.clone()))
            }
        };
        // The closer one wins.
        let closer = |r: &&(RewriteSettings, _)| {
            (r.0.matching == Match::Exact, r.0.name.as_bytes().len(), !r.0.groups.is_empty())
        };
        at = &all.iter().filter(|(r, _)| of(r)).max_by_key(closer)?.0;
        if at.name == from.name && at.matching == from.matching && at.groups == from.groups {
            return Some(way.join(" → "));
        }
    }
    None
}
