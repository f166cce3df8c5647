//! `[[list]]`: the lists of names.

use toml::Spanned;
use toml::de::DeValue;

use super::block::Block;
use super::bounds::OF_LIST;
use super::check::{Check, Names};
use super::error::expected;
use super::key::{Form, Key, Kind, words};
use super::schedule::{Schedules, TIMES};
use super::table::{Table, not_a};
use super::value::is_url;
use crate::policy::{Notes, schedule::Schedule};
use crate::rule::{Effect, Format, Match};
use crate::settings::{Addresses, ListBounds, ListSettings, May, Power, Settings, TextSource};

/// The kinds of lists: the effect, and the treatment of addresses.
const KINDS: [(&str, (Effect, Addresses)); 4] = [
    ("block", (Effect::Block, Addresses::AsRules)),
    ("allow", (Effect::Allow, Addresses::AsRules)),
    ("addresses", (Effect::Block, Addresses::Only)),
    ("resolvers", (Effect::Block, Addresses::AsRules)),
];
const ADDRESSES_READ: [(&str, Addresses); 2] = [("block", Addresses::AsRules), ("answer", Addresses::Answer)];
const MATCHES: [(&str, Match); 3] =
    [("exact", Match::Exact), ("suffix", Match::Suffix), ("below", Match::Subdomains)];
/// Sub-errors of draft-ietf-dnsop-structured-dns-error.
const SUB_ERRORS: [(&str, u8); 6] = [
    ("malware", 1),
    ("phishing", 2),
    ("spam", 3),
    ("spyware", 4),
    ("network-policy", 5),
    ("operator-policy", 6),
];

/// Names under which the server reports decisions of its own.
const RESERVED: [&str; 5] = ["rewrite", "canaries", "order", "rebinding", "default"];

const NAME: Key = Key::required("name", Kind::Text)
    .like(r#""ads""#)
    .means("The list's name in errors, logs and groups; it must be unique.");
const SOURCE: Key = Key::optional("source", Kind::TextOf("a path"), "the list is in `rules`")
    .like(r#""lists/ads.txt""#)
    .means(
        "The file, plain or compressed with gzip or zstd; or `\"builtin:canaries\"`, `\"builtin:resolvers\"`, \
        `\"builtin:safe-search\"`. A list has either `source` or `rules`.",
    );
const RULES: Key = Key::optional("rules", Kind::Other("a list of rules"), "the list is in `source`")
    .like(r#"["||linkedin.com^", "@@||business.linkedin.com^"]"#)
    .means(
        "Lines in the adguard format, given here. A line may be replaced by a table that sets when it is in \
        force: `{ rule = \"||games.test^\", schedule = \"lessons\" }`, also with `from` and `until`.",
    );
const FORMAT: Key = Key::with("format", Kind::Word(|| words(&Format::WORDS)), r#""auto""#)
    .means("The format of the file; `\"auto\"`: detected from its lines.");
const KIND: Key = Key::with("kind", Kind::Word(|| words(&KINDS)), r#""block""#).means(
    "`\"block\"` or `\"allow\"`: block or allow the names. `\"addresses\"`: every line is an address or a network, and answers with one \
    of them are blocked. `\"resolvers\"`: the same as `\"block\"`, for a list of names and addresses.",
);
const ADDRESSES: Key =
    Key::optional("addresses", Kind::Word(|| words(&ADDRESSES_READ)), "`\"block\"`").like(r#""answer""#).means(
        "What the addresses in a hosts file mean. `\"block\"`: nothing, the names are blocked. `\"answer\"`: the names are \
        answered with them, and the addresses with the names; 0.0.0.0, `::` and loopback still block.",
    );
const MAY: Key = Key::optional("may", Kind::Texts("words: `\"block\"`, `\"allow\"`, `\"rewrite\"`, `\"important\"`, `\"every-name\"`"), "everything")
    .like(r#"["block"]"#)
    .means(
        "What the list may do; its other rules have no effect, or a weaker one, and `check` shows them. `\"allow\"`: lift \
        blocks of other lists. `\"rewrite\"`: answer with data of its own. `\"important\"`: go before plain rules of other \
        lists. `\"every-name\"`: rules for every name, or allow rules for a whole top-level domain.",
    );
const MATCH: Key = Key::optional(
    "match",
    Kind::Word(|| words(&MATCHES)),
    "exact for hosts, adguard and rpz, suffix for other formats",
)
.like(r#""suffix""#)
.means(
    "`\"exact\"`, `\"suffix\"`: a plain name matches only itself, or also all names below it. A line `*.name` matches \
    the name and all names below it; with `\"below\"`, only those below it.",
);
const ATTRIBUTES: Key = Key::optional("attributes", Kind::Texts("attributes"), "all rules")
    .like(r#"["ads", "-cn"]"#)
    .means("Of a v2fly list, take only the rules with all of these attributes; `\"-cn\"`: only those without `@cn`.");
const ACTION: Key = Key::optional("action", Kind::Action, "that of the client's group, or of `[block]`")
    .like(r#""nodata""#)
    .means("The answer for a name that the list blocks.");
const AUTHORITY: Key = Key::optional("authority", Kind::Text, "the list is the operator's own")
    .like(r#""Roskomnadzor""#)
    .means("The outside authority that demands the block: Extended DNS Error 16 instead of 15, and status 451 on the block page.");
const REASON: Key = Key::optional("reason", Kind::Text, "not given")
    .like(r#""Personal data kept abroad""#)
    .means("The reason, in a sentence, for people who are refused a name.");
const SINCE: Key = Key::optional("since", Kind::Text, "not given")
    .like(r#""17 November 2016""#)
    .means("Since when the names are blocked, as a text for people.");
const SUB_ERROR: Key = Key::optional("sub-error", Kind::Word(|| words(&SUB_ERRORS)), "not given")
    .like(r#""network-policy""#)
    .means("The kind of danger, for structured errors; a list with an `authority` should have none.");
const TYPES: Key = Key::optional("types", Kind::Texts("record types"), "all types")
    .like(r#"["HTTPS", "AAAA"]"#)
    .means("The list applies only to queries for these types.");

pub(super) static FORM: Form = Form {
    header: "[[list]]",
    meaning: "A list of names to block or to allow. Of two rules of equal rank, the one whose list comes first wins.",
    keys: &[
        NAME,
        SOURCE,
        RULES,
        FORMAT,
        KIND,
        MATCH,
        ATTRIBUTES,
        ADDRESSES,
        MAY,
        ACTION,
        AUTHORITY,
        REASON,
        SINCE,
        SUB_ERROR,
        TYPES,
        TIMES[0],
        TIMES[1],
        TIMES[2],
        OF_LIST[0],
        OF_LIST[1],
        OF_LIST[2],
        OF_LIST[3],
        OF_LIST[4],
        OF_LIST[5],
        OF_LIST[6],
        OF_LIST[7],
        OF_LIST[8],
        OF_LIST[9],
        OF_LIST[10],
        OF_LIST[11],
    ],
    also: &[
        ("url", "source"),
        ("file", "source"),
        ("path", "source"),
        ("id", "name"),
        ("rule", "rules"),
        ("names", "rules"),
        ("domains", "rules"),
        ("type", "kind"),
        ("suberror", "sub-error"),
    ],
};

const RULE: Key = Key::required("rule", Kind::Text).like(r#""||games.test^""#);

/// A rule with times.
static TIMED_RULE: Form =
    Form { header: "", meaning: "", keys: &[RULE, TIMES[0], TIMES[1], TIMES[2]], also: &[] };

/// Lines by when they apply.
type Timed = Vec<(Option<Schedule>, Vec<String>)>;

impl Check<'_> {
    pub(super) fn lists(
        &mut self,
        tables: Vec<Table<'_>>,
        block: &Block,
        bounds: ListBounds,
        schedules: &Schedules,
        settings: &mut Settings,
    ) {
        let mut names = Names::new();
        for table in tables {
            settings.lists.extend(self.list(table, block, bounds, schedules, &mut names));
        }
    }

    /// The list, and one more of the same name for each schedule that only some of its rules have.
    fn list(
        &mut self,
        mut table: Table<'_>,
        block: &Block,
        bounds: ListBounds,
        schedules: &Schedules,
        names: &mut Names,
    ) -> Vec<ListSettings> {
        let name = table.text(self, NAME);
        if let Some(name) = &name {
            let key = table.key(NAME);
            self.name_once(names, &key, name, "list", "give each list a name of its own");
            if RESERVED.contains(&name.get_ref().as_str()) {
                let problem = format!("the name `{}` is reserved", name.get_ref());
                let help = "choose another: the server itself uses this name in explain and the log";
                self.wrong(&key, &name.span(), problem, help);
            }
        }
        let format = table.word(self, FORMAT, &Format::WORDS);
        let kind = table.word(self, KIND, &KINDS);
        let plain = table.word(self, MATCH, &MATCHES);
        if format == Some(Format::Index) && (kind.is_some() || plain.is_some()) {
            let problem = "`kind` and `match` are part of a compiled index".to_owned();
            self.wrong(&table.path, &table.span, problem, "give them to `compile` instead");
        }
        let read = table.word(self, ADDRESSES, &ADDRESSES_READ);
        if read.is_some() && kind.is_some_and(|(_, addresses)| addresses == Addresses::Only) {
            let problem = "`addresses` is for hosts files, and this list has only addresses".to_owned();
            self.wrong(&table.path, &table.span, problem, "remove `addresses`");
        }
        if read == Some(Addresses::Answer)
            && (format.is_some_and(|f| !matches!(f, Format::Hosts | Format::Auto)) || table.has(RULES.name))
        {
            let problem = "`addresses = \"answer\"` is for hosts files".to_owned();
            self.wrong(
                &table.path,
                &table.span,
                problem,
                "give the list as a file with `format = \"hosts\"`",
            );
        }
        let may = self.may(&mut table, kind.map_or(Effect::Block, |(effect, _)| effect), read);
        let attributes = self.attributes(&mut table, format);
        let action = self.action(&mut table, ACTION);
        let mut text = |key| table.text(self, key).map(Spanned::into_inner);
        let (authority, reason, since) = (text(AUTHORITY), text(REASON), text(SINCE));
        let suberror = table.word(self, SUB_ERROR, &SUB_ERRORS);
        let types = table.texts(self, TYPES).map(Spanned::into_inner).unwrap_or_default();
        let key = table.key(TYPES);
        let types = types.iter().filter_map(|text| self.qtype(&key, text)).collect();
        let schedule = self.times(&mut table, schedules);
        let bounds = self.bounds(&mut table, bounds);
        let has = (table.has(SOURCE.name), table.has(RULES.name));
        let source = table.text(self, SOURCE);
        if source.as_ref().is_some_and(|text| is_url(text.get_ref())) {
            table.also_known(SOURCE);
        }
        let source = source.and_then(|text| self.source(&table.key(SOURCE), &text));
        let timed = self.rules(&mut table, schedule.as_ref(), schedules);
        if has.0 == has.1 {
            let problem = match has.0 {
                true => "both `source` and `rules` are given",
                false => "neither `source` nor `rules` is given",
            };
            let help = "a list has either a file (`source`) or lines of its own (`rules`)";
            self.wrong(&table.path, &table.span, problem.into(), help);
        }
        table.done(self, "", &[]);
        let (effect, addresses) = kind.unwrap_or((Effect::Block, Addresses::AsRules));
        let source = source.unwrap_or(TextSource::Inline(Vec::new()));
        let list = ListSettings {
            may: may.unwrap_or_else(|| source.may()),
            name: name.map(Spanned::into_inner).unwrap_or_default(),
            source,
            format: if has.1 { Format::AdGuard } else { format.unwrap_or(Format::Auto) },
            effect,
            plain,
            attributes,
            inherits: action.is_none(),
            action: action.unwrap_or_else(|| block.action.clone()),
            ttl: block.ttl,
            authority,
            notes: Notes { reason, since, suberror },
            types,
            schedule,
            addresses: read.unwrap_or(addresses),
            bounds,
        };
        if !has.1 {
            return vec![list];
        }
        let part =
            |(schedule, lines)| ListSettings { source: TextSource::Inline(lines), schedule, ..list.clone() };
        timed.into_iter().map(part).collect()
    }

    /// What a list may do, if its table says so.
    fn may(&mut self, table: &mut Table<'_>, effect: Effect, read: Option<Addresses>) -> Option<May> {
        let key = table.key(MAY);
        let words = table.texts(self, MAY)?.into_inner();
        let powers: Vec<Power> =
            words.iter().filter_map(|word| self.word(&key, word, &Power::WORDS)).collect();
        if powers.len() < words.len() {
            return None;
        }
        let may = May::of(&powers);
        let (needed, what) = match effect {
            _ if read == Some(Addresses::Answer) => (Power::Rewrite, "`addresses = \"answer\"`"),
            Effect::Allow => (Power::Allow, "`kind = \"allow\"`"),
            _ => return Some(may),
        };
        if !may.has(needed) {
            let problem = format!("`may` lacks \"{}\", which {what} needs", needed.word());
            self.wrong(&table.key(MAY), &table.place(MAY.name), problem, "add it, or leave `may` out");
        }
        Some(may)
    }

    /// The attributes of the rules to take, without the `@` that some write before them.
    fn attributes(&mut self, table: &mut Table<'_>, format: Option<Format>) -> Vec<String> {
        let given = table.has(ATTRIBUTES.name);
        let (key, place) = (table.key(ATTRIBUTES), table.place(ATTRIBUTES.name));
        let all = table.texts(self, ATTRIBUTES).map(Spanned::into_inner).unwrap_or_default();
        if given && !matches!(format, None | Some(Format::Auto | Format::V2fly)) {
            let problem = "only the rules of v2fly lists have attributes".to_owned();
            self.wrong(&key, &place, problem, "set `format = \"v2fly\"`, or remove the key");
        }
        let mut out = Vec::new();
        for text in all {
            let (sign, word) = match text.get_ref().strip_prefix('-') {
                Some(word) => ("-", word),
                None => ("", text.get_ref().as_str()),
            };
            let word = word.strip_prefix('@').unwrap_or(word);
            if word.is_empty() || !word.bytes().all(|b| b.is_ascii_graphic()) {
                let problem = format!("`{}` is not an attribute", text.get_ref());
                self.wrong(&key, &text.span(), problem, expected("a word").such_as(r#"["ads", "-cn"]"#));
                continue;
            }
            out.push(format!("{sign}{word}"));
        }
        out
    }

    /// Rules by when they apply. Each keeps its line number: lines of other times are empty.
    fn rules(&mut self, table: &mut Table<'_>, of_list: Option<&Schedule>, schedules: &Schedules) -> Timed {
        let Some(value) = table.value(RULES) else { return Timed::new() };
        let key = table.key(RULES);
        let DeValue::Array(rules) = value.get_ref() else {
            not_a(self, &key, value, &RULES, "");
            return Timed::new();
        };
        let count = rules.len();
        let mut parts: Timed = vec![(of_list.cloned(), vec![String::new(); count])];
        for (at, rule) in rules.iter().enumerate() {
            let (line, schedule) = match rule.get_ref() {
                DeValue::String(line) => (line.clone().into_owned(), of_list.cloned()),
                DeValue::Table(_) => {
                    let Some(table) = Table::of(self, key.clone().at(at), rule) else { continue };
                    let mut table = table.declared(&TIMED_RULE);
                    let line = table.text(self, RULE).map(Spanned::into_inner).unwrap_or_default();
                    let own = self.times(&mut table, schedules);
                    table.done(self, "", &[]);
                    (line, self.narrowed(of_list, own, &key, &rule.span()))
                }
                _ => {
                    let what = r#"a line such as "||example.org^", or { rule = "||example.org^", schedule = "lessons" }"#;
                    not_a(self, &key, rule, &Key::from(""), what);
                    continue;
                }
            };
            let known = parts.iter().position(|(when, _)| *when == schedule);
            let part = known.unwrap_or_else(|| {
                parts.push((schedule, vec![String::new(); count]));
                parts.len() - 1
            });
            if let Some(slot) = parts.get_mut(part).and_then(|(_, lines)| lines.get_mut(at)) {
                *slot = line;
            }
        }
        // The rules without times of their own, if there are none, are not a list that gives no rules.
        let is_blank = |line: &String| {
            let line = line.trim_start();
            line.is_empty() || line.starts_with('!') || line.starts_with('#') && !line.starts_with("##")
        };
        if parts.len() > 1 && parts.first().is_some_and(|(_, lines)| lines.iter().all(is_blank)) {
            parts.remove(0);
        }
        parts
    }
}
