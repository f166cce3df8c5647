//! Raw configuration → settings, or every mistake with file, line, key and what was expected.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use super::addresses::Listener;
use super::groups::{SUBERRORS, Schedules};
use super::raw;
use crate::dns::name::NameBuf;
use crate::policy::decide::Precedence;
use crate::policy::list::{KnownClient, Notes};
use crate::policy::schedule::Schedule;
use crate::resolver::builtin;
use crate::resolver::settings::{
    Addresses, BlockPageSettings, ControlSettings, ListSettings, Settings, TextSource, ZoneSettings,
};
use crate::rule::{Action, Effect, Format, Match};

/// One mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// The table and key, such as `[server] listen`; may be empty.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What was expected, or what to do.
    pub remedy: String,
    /// The line of the file.
    pub source: Option<String>,
}

/// All mistakes found, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(pub Vec<Mistake>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        f.write_str(": ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        if let (Some(source), Some(line)) = (&self.source, self.line) {
            write!(f, "\n  {line} | {source}")?;
        }
        Ok(())
    }
}

/// Reads and checks a file. Paths in it are relative to it.
///
/// # Errors
/// Every mistake that could be found.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    parse(&read(path, "configuration", "name an existing file with --config")?, path)
}

/// The text of a file; `what` it is and the remedy are for the message.
pub(super) fn read(path: &Path, what: &str, remedy: &str) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|e| {
        ConfigError(vec![Mistake {
            file: path.into(),
            line: None,
            key: String::new(),
            problem: format!("cannot read the {what}: {e}"),
            remedy: remedy.into(),
            source: None,
        }])
    })
}

/// Checks the text of a file; `path` is for messages and relative paths.
///
/// # Errors
/// Every mistake that could be found.
pub fn parse(text: &str, path: &Path) -> Result<Settings, ConfigError> {
    let mut check = Check::new(text, path);
    let file: raw::File = match toml::from_str(text) {
        Ok(file) => file,
        Err(error) => {
            check.syntax(&error);
            return Err(ConfigError(check.mistakes));
        }
    };
    let settings = check.file(file);
    check.finish(settings)
}

/// What is told of the server's own doing is told under these names, beside those of lists.
const RESERVED: [&str; 4] = ["rewrite", "canaries", "order", "rebinding"];

pub(super) struct Check<'t> {
    text: &'t str,
    path: &'t Path,
    pub(super) mistakes: Vec<Mistake>,
    /// The addresses that are taken so far.
    pub(super) listeners: Vec<Listener>,
}

impl<'t> Check<'t> {
    pub(super) const fn new(text: &'t str, path: &'t Path) -> Self {
        Self { text, path, mistakes: Vec::new(), listeners: Vec::new() }
    }

    /// What was read, unless there were mistakes.
    pub(super) fn finish<T>(self, value: T) -> Result<T, ConfigError> {
        if self.mistakes.is_empty() { Ok(value) } else { Err(ConfigError(self.mistakes)) }
    }
}

impl Check<'_> {
    fn file(&mut self, file: raw::File) -> Settings {
        let mut settings = Settings::default();
        self.server(file.server, &mut settings);
        if let Some(upstream) = file.upstream {
            let key = "[upstream] servers";
            settings.upstreams = upstream
                .servers
                .map(|servers| servers.iter().filter_map(|s| self.upstream(key, s)).collect());
            if let Some(timeout) = upstream.timeout {
                settings.upstream_timeout = self
                    .duration("[upstream] timeout", &timeout)
                    .filter(|t| !t.is_zero())
                    .unwrap_or(settings.upstream_timeout);
            }
            if let Some(limit) = upstream.max_waiting {
                if !(1..=1_000_000).contains(limit.get_ref()) {
                    let problem = format!("{} queries", limit.get_ref());
                    self.wrong("[upstream] max-waiting", &limit.span(), problem, "expected 1 to 1000000");
                }
                settings.queue.limit = usize::try_from(*limit.get_ref()).unwrap_or(usize::MAX);
            }
            let words = [("servfail", false), ("drop", true)];
            let silent = self.word("[upstream] when-full", upstream.when_full, &words);
            settings.queue.silent = silent.unwrap_or(settings.queue.silent);
        }
        let block_action = file.block.action.and_then(|a| self.action("[block] action", &a));
        let block_ttl = file.block.ttl.and_then(|t| self.seconds("[block] ttl", &t));
        self.cache(file.cache, &mut settings);
        let precedence = self.word("[policy] precedence", file.policy.precedence, &Precedence::WORDS);
        settings.precedence = precedence.unwrap_or_default();
        self.inspect(file.inspect, &mut settings);
        settings.contact = self.contact(file.block.contact);
        let mut schedules = Schedules::new();
        for schedule in file.schedule {
            self.named_schedule(schedule, &mut schedules);
        }
        let mut names: HashMap<String, usize> = HashMap::new();
        for list in file.list {
            let defaults = (block_action.clone().unwrap_or(Action::NxDomain), block_ttl.unwrap_or(60));
            let line = self.line(&list.name.span());
            if let Some(first) = names.insert(list.name.get_ref().clone(), line) {
                let problem =
                    format!("two lists are named `{}`, the first in line {first}", list.name.get_ref());
                self.wrong("[[list]] name", &list.name.span(), problem, "give each list a name of its own");
            }
            if RESERVED.contains(&list.name.get_ref().as_str()) {
                let problem = format!("the name `{}` is reserved", list.name.get_ref());
                let remedy = "choose another: the server calls something of its own so in what it tells";
                self.wrong("[[list]] name", &list.name.span(), problem, remedy);
            }
            settings.lists.extend(self.list(list, defaults, &schedules));
        }
        let named = settings.lists.len();
        let defaults = || ListSettings { ttl: block_ttl.unwrap_or(60), ..ListSettings::default() };
        if file.block.canaries == Some(true) {
            let source = TextSource::Embedded("blocklists/canaries.txt", builtin::CANARIES);
            let notes = Notes { reason: Some(builtin::CANARIES_REASON.into()), ..Notes::default() };
            let format = Format::Domains;
            let list = ListSettings { name: "canaries".into(), source, format, notes, ..defaults() };
            settings.lists.push(list);
        }
        let rewrites = self.rewrites(file.rewrite);
        if !rewrites.is_empty() {
            let source = TextSource::Rewrites(rewrites);
            settings.lists.push(ListSettings { name: "rewrite".into(), source, ..defaults() });
        }
        for group in file.group {
            self.group(group, named, &schedules, &mut settings);
        }
        for forward in file.forward {
            self.forward(&forward, &mut settings);
        }
        settings.block_page = file.blockpage.map(|page| BlockPageSettings {
            listen: self.listen_all("[blockpage] listen", &page.listen),
            refuse_tls: page
                .refuse_tls
                .iter()
                .filter_map(|a| self.listen("[blockpage] refuse-tls", a))
                .collect(),
        });
        settings.control = file.control.and_then(|control| self.control(&control));
        let mut known: HashMap<String, usize> = HashMap::new();
        for client in file.client {
            let networks = client.addresses.iter().filter_map(|n| self.network("[[client]] addresses", n));
            let networks: Vec<IpNet> = networks.collect();
            let span = client.name.span();
            let name = client.name.into_inner();
            let line = self.line(&span);
            if let Some(first) = known.insert(name.clone(), line) {
                let problem = format!("two clients are named `{name}`, the first in line {first}");
                self.wrong("[[client]] name", &span, problem, "give all addresses in one place");
            }
            settings.clients.push(KnownClient { name, networks, tags: client.tags });
        }
        let mut origins: HashMap<NameBuf, usize> = HashMap::new();
        for zone in file.zone {
            let span = zone.origin.span();
            let Some(zone) = self.zone(&zone) else { continue };
            let line = self.line(&span);
            if let Some(first) = origins.insert(zone.origin.clone(), line) {
                let problem = format!("zone {} is already given in line {first}", zone.origin);
                self.wrong("[[zone]] origin", &span, problem, "keep one of the two");
            }
            settings.zones.push(zone);
        }
        settings.metrics = file.metrics.and_then(|m| self.listen("[metrics] listen", &m.listen));
        settings
    }

    fn server(&mut self, server: raw::Server, settings: &mut Settings) {
        match server.listen {
            Some(listen) => settings.listen = self.listen_all(Listener::DNS, &listen),
            None => self.listeners.extend(settings.listen.iter().map(|a| Listener::default_at(*a))),
        }
        if let Some(threads) = server.threads {
            if *threads.get_ref() > 256 {
                let problem = format!("{} threads are too many", threads.get_ref());
                self.wrong("[server] threads", &threads.span(), problem, "expected 0 (one a core) to 256");
            }
            settings.threads = usize::from(*threads.get_ref());
        }
        settings.pin = server.pin.unwrap_or(settings.pin);
        if let Some(batch) = server.udp_batch {
            if !(1..=1024).contains(batch.get_ref()) {
                let problem = format!("{} datagrams a call", batch.get_ref());
                self.wrong("[server] udp-batch", &batch.span(), problem, "expected 1 to 1024");
            }
            settings.udp_batch = usize::from(*batch.get_ref());
        }
        if let Some(allow) = server.allow {
            settings.allow = allow.iter().filter_map(|n| self.network("[server] allow", n)).collect();
        }
        for (key, text) in [("[server] version", &server.version), ("[server] identity", &server.identity)] {
            if text.as_ref().is_some_and(|t| t.len() > 255) {
                self.mistake(None, key, "longer than 255 octets".into(), "a TXT record holds no more");
            }
        }
        settings.version = server.version;
        settings.identity = server.identity;
    }

    fn cache(&mut self, cache: raw::Cache, settings: &mut Settings) {
        if let Some(size) = cache.size {
            settings.cache_bytes = self.size("[cache] size", &size).unwrap_or(0);
        }
        let aging = &mut settings.aging;
        for (key, given, seconds) in [
            ("[cache] max-ttl", cache.max_ttl, &mut settings.max_ttl),
            ("[cache] max-stale", cache.max_stale, &mut aging.max_stale),
            ("[cache] stale-recheck", cache.stale_recheck, &mut aging.recheck),
        ] {
            if let Some(given) = given {
                *seconds = self.seconds(key, &given).unwrap_or(0);
            }
        }
        if let Some(patience) = cache.stale_after {
            aging.patience = self.duration("[cache] stale-after", &patience).unwrap_or(aging.patience);
        }
        aging.prefetch = cache.prefetch.unwrap_or(aging.prefetch);
    }

    /// The list, and beside it one of the same name for each time at which some of its rules alone apply.
    fn list(
        &mut self,
        list: raw::List,
        (action, ttl): (Action, u32),
        schedules: &Schedules,
    ) -> Vec<ListSettings> {
        let schedule = self.schedule("[[list]]", list.schedule, list.from, list.until, schedules);
        let types = list.types.iter().filter_map(|t| self.qtype("[[list]] types", t)).collect();
        let suberror = self.word("[[list]] sub-error", list.sub_error, &SUBERRORS);
        let notes = Notes { reason: list.reason, since: list.since, suberror };
        let format = list.format.and_then(|word| {
            let found = Format::WORDS.iter().find(|(w, _)| w == word.get_ref()).map(|(_, f)| *f);
            if found.is_none() {
                let words = Format::WORDS.map(|(w, _)| w);
                self.unknown_word("[[list]] format", &word, &words);
            }
            found
        });
        let kinds = [
            ("block", (Effect::Block, Addresses::AsRules)),
            ("allow", (Effect::Allow, Addresses::AsRules)),
            ("addresses", (Effect::Block, Addresses::Only)),
            ("resolvers", (Effect::Block, Addresses::Beside)),
        ];
        let kind = self.word("[[list]] kind", list.kind, &kinds);
        let (effect, addresses) = (kind.map(|k| k.0), kind.map_or(Addresses::AsRules, |k| k.1));
        let plain =
            self.word("[[list]] match", list.matching, &[("exact", Match::Exact), ("suffix", Match::Suffix)]);
        if format == Some(Format::Index) && (effect.is_some() || plain.is_some()) {
            let problem = "`kind` and `match` are part of a compiled index".to_owned();
            self.wrong("[[list]]", &list.name.span(), problem, "give them to `compile` instead");
        }
        let own_action = list.action.and_then(|a| self.action("[[list]] action", &a));
        let mut timed: Vec<(Option<Schedule>, Vec<String>)> = Vec::new();
        let (source, format) = match (list.source, list.rules) {
            (Some(source), None) => match self.source("[[list]] source", &source) {
                Some(source) => (source, format.unwrap_or(Format::Auto)),
                None => return Vec::new(),
            },
            (None, Some(rules)) => {
                timed = self.timed(rules, schedule.as_ref(), schedules);
                (TextSource::Inline(Vec::new()), Format::AdGuard)
            }
            (given, _) => {
                let problem = if given.is_some() {
                    "both `source` and `rules` are given"
                } else {
                    "neither `source` nor `rules` is given"
                };
                let remedy = "a list has either a file (`source`) or lines of its own (`rules`)";
                self.wrong("[[list]]", &list.name.span(), problem.into(), remedy);
                return Vec::new();
            }
        };
        let list = ListSettings {
            name: list.name.into_inner(),
            source,
            format,
            effect: effect.unwrap_or(Effect::Block),
            plain,
            inherits: own_action.is_none(),
            action: own_action.unwrap_or(action),
            ttl,
            authority: list.authority,
            notes,
            types,
            schedule,
            addresses,
        };
        if timed.is_empty() {
            return vec![list];
        }
        let part =
            |(schedule, lines)| ListSettings { source: TextSource::Inline(lines), schedule, ..list.clone() };
        timed.into_iter().map(part).collect()
    }

    /// Rules by when they apply. Each keeps its place, the others' being empty lines.
    fn timed(
        &mut self,
        rules: Vec<Spanned<raw::Rule>>,
        of_list: Option<&Schedule>,
        schedules: &Schedules,
    ) -> Vec<(Option<Schedule>, Vec<String>)> {
        let count = rules.len();
        let mut parts: Vec<(Option<Schedule>, Vec<String>)> =
            vec![(of_list.cloned(), vec![String::new(); count])];
        for (at, rule) in rules.into_iter().enumerate() {
            let span = rule.span();
            let here = |text: Option<String>| text.map(|t| Spanned::new(span.clone(), t));
            let (line, schedule) = match rule.into_inner() {
                raw::Rule::Line(line) => (line, of_list.cloned()),
                raw::Rule::Timed(raw::TimedRule { rule, schedule, from, until }) => {
                    let (schedule, from, until) = (here(schedule), here(from), here(until));
                    let own = self.schedule("[[list]] rules", schedule, from, until, schedules);
                    (rule, self.narrowed(of_list, own, &span))
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
        parts
    }

    fn control(&mut self, control: &raw::Control) -> Option<ControlSettings> {
        let folder = self.path.parent().unwrap_or(Path::new("")).to_path_buf();
        let mut path = |key: &str, text: &Spanned<String>| {
            if text.get_ref().is_empty() {
                self.wrong(key, &text.span(), "the path is empty".into(), "name a file");
                return None;
            }
            let path = folder.join(text.get_ref());
            let within = path.parent().filter(|p| !p.as_os_str().is_empty());
            if let Some(missing) = within.filter(|folder| !folder.is_dir()) {
                let problem = format!("there is no folder `{}`", missing.display());
                self.wrong(
                    key,
                    &text.span(),
                    problem,
                    "make it; paths are relative to the configuration file",
                );
                return None;
            }
            Some(path)
        };
        let socket = path("[control] socket", &control.socket);
        let state = control.state.as_ref().and_then(|s| path("[control] state", s));
        if let Some(span) = control.state.as_ref().map(Spanned::span).filter(|_| socket == state) {
            let problem = "it is the path of the socket too".to_owned();
            self.wrong("[control] state", &span, problem, "name a file of its own");
        }
        Some(ControlSettings { socket: socket?, state })
    }

    fn zone(&mut self, zone: &raw::Zone) -> Option<ZoneSettings> {
        let origin = NameBuf::from_text(zone.origin.get_ref());
        let source = self.source("[[zone]] file", &zone.file);
        match origin {
            Ok(origin) => Some(ZoneSettings { origin, source: source? }),
            Err(reason) => {
                let problem = format!("`{}` is no domain name: {reason}", zone.origin.get_ref());
                self.wrong(
                    "[[zone]] origin",
                    &zone.origin.span(),
                    problem,
                    "expected a name such as \"school.test\"",
                );
                None
            }
        }
    }

    fn source(&mut self, key: &str, source: &Spanned<String>) -> Option<TextSource> {
        let text = source.get_ref();
        if let Some(name) = text.strip_prefix("builtin:") {
            let known = builtin::LISTS.iter().find(|(n, _, _)| *n == name);
            if known.is_none() {
                let word = Spanned::new(source.span(), name.to_owned());
                let words: Vec<&str> = builtin::LISTS.iter().map(|(n, _, _)| *n).collect();
                self.unknown_word(key, &word, &words);
            }
            return known.map(|(_, file, text)| TextSource::Embedded(file, text));
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            let problem = "lists from URLs are not supported by this version".into();
            self.wrong(key, &source.span(), problem, "fetch it to a file and name the file");
            return None;
        }
        let path = self.path.parent().unwrap_or(Path::new("")).join(text);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => Some(TextSource::File(path)),
            Ok(_) => {
                self.wrong(key, &source.span(), format!("`{}` is not a file", path.display()), "name a file");
                None
            }
            Err(_) => {
                let problem = format!("there is no file `{}`", path.display());
                self.wrong(key, &source.span(), problem, "paths are relative to the configuration file");
                None
            }
        }
    }

    pub(super) fn action(&mut self, key: &str, action: &Spanned<raw::Action>) -> Option<Action> {
        match action.get_ref() {
            raw::Action::Word(word) => {
                let words = [
                    ("nxdomain", Action::NxDomain),
                    ("nodata", Action::NoData),
                    ("refused", Action::Refused),
                    ("servfail", Action::ServFail),
                    ("null", Action::Null),
                    ("drop", Action::Drop),
                    ("truncate", Action::Truncate),
                    ("log", Action::Log),
                ];
                let word = Spanned::new(action.span(), word.clone());
                self.word(key, Some(word), &words)
            }
            raw::Action::Address(table) => {
                let (mut v4, mut v6) = (Vec::new(), Vec::new());
                for text in &table.address {
                    match text.parse() {
                        Ok(IpAddr::V4(a)) => v4.push(a),
                        Ok(IpAddr::V6(a)) => v6.push(a),
                        Err(_) => {
                            let problem = format!("`{text}` is no IP address");
                            self.wrong(
                                key,
                                &action.span(),
                                problem,
                                "expected one such as \"192.0.2.1\" or \"2001:db8::1\"",
                            );
                        }
                    }
                }
                if table.address.is_empty() {
                    self.wrong(key, &action.span(), "no address is given".into(), "expected at least one");
                }
                Some(Action::Address(v4, v6))
            }
            raw::Action::Cname(table) => match NameBuf::from_text(&table.cname) {
                Ok(name) => Some(Action::Cname(name)),
                Err(reason) => {
                    let problem = format!("`{}` is no domain name: {reason}", table.cname);
                    self.wrong(key, &action.span(), problem, "expected a name such as \"blocked.example\"");
                    None
                }
            },
        }
    }

    fn seconds(&mut self, key: &str, text: &Spanned<String>) -> Option<u32> {
        self.duration(key, text).and_then(|d| u32::try_from(d.as_secs()).ok())
    }

    pub(super) fn duration(&mut self, key: &str, text: &Spanned<String>) -> Option<Duration> {
        let parsed = duration_of(text.get_ref());
        if parsed.is_none() {
            let problem = format!("`{}` is no duration", text.get_ref());
            self.wrong(
                key,
                &text.span(),
                problem,
                "expected a number with ms, s, m, h or d, such as \"60s\"",
            );
        }
        parsed
    }

    fn size(&mut self, key: &str, text: &Spanned<String>) -> Option<u64> {
        let parsed = split_number(text.get_ref()).and_then(|(number, unit)| {
            let factor = match unit {
                "" | "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(factor)
        });
        if parsed.is_none() {
            let problem = format!("`{}` is no size", text.get_ref());
            self.wrong(
                key,
                &text.span(),
                problem,
                "expected a number with KiB, MiB or GiB, such as \"64MiB\", or \"0\"",
            );
        }
        parsed
    }

    pub(super) fn word<T: Clone>(
        &mut self,
        key: &str,
        word: Option<Spanned<String>>,
        known: &[(&str, T)],
    ) -> Option<T> {
        let word = word?;
        let found = known.iter().find(|(w, _)| w == word.get_ref()).map(|(_, value)| value.clone());
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(w, _)| *w).collect();
            self.unknown_word(key, &word, &words);
        }
        found
    }

    pub(super) fn unknown_word(&mut self, key: &str, word: &Spanned<String>, known: &[&str]) {
        let remedy = match known {
            [] => "there is none to name".to_owned(),
            _ => format!("expected one of {}{}", known.join(", "), did_you_mean(word.get_ref(), known)),
        };
        self.wrong(key, &word.span(), format!("`{}` is not known", word.get_ref()), &remedy);
    }

    pub(super) fn wrong(&mut self, key: &str, span: &Range<usize>, problem: String, remedy: &str) {
        self.mistake(Some(span), key, problem, remedy);
    }

    pub(super) fn mistake(&mut self, span: Option<&Range<usize>>, key: &str, problem: String, remedy: &str) {
        let line = span.map(|s| self.line(s));
        let source = line.and_then(|l| self.text.lines().nth(l - 1)).map(|l| l.trim_end().to_owned());
        let (file, key, remedy) = (self.path.into(), key.to_owned(), remedy.to_owned());
        self.mistakes.push(Mistake { file, line, key, problem, remedy, source });
    }

    pub(super) fn line(&self, span: &Range<usize>) -> usize {
        1 + self.text.bytes().take(span.start).filter(|b| *b == b'\n').count()
    }

    /// The section header above a place, and the key before `=` on its line.
    fn key_at(&self, line: usize) -> String {
        let header = self.text.lines().take(line).filter(|l| l.trim_start().starts_with('[')).last();
        let own = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let key = own.split_once('=').map_or("", |(key, _)| key.trim());
        let header = header.map_or("", |h| h.split('#').next().unwrap_or_default().trim());
        if own.trim_start().starts_with('[') {
            own.trim().to_owned()
        } else {
            format!("{header} {key}").trim().to_owned()
        }
    }

    /// A file that is no TOML, or not of this shape.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span();
        let key = span.as_ref().map_or_else(String::new, |s| self.key_at(self.line(s)));
        let message = error.message().trim().replace('\n', "; ");
        let (problem, remedy) = match unknown_field(&message) {
            Some((word, known)) => {
                let remedy = format!("expected one of {}{}", known.join(", "), did_you_mean(word, &known));
                (format!("unknown key `{word}`"), remedy)
            }
            None => (message, String::new()),
        };
        self.mistake(span.as_ref(), &key, problem, &remedy);
    }
}

/// Serde's message about an unknown field: the field, and those that are known.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (word, rest) = rest.split_once('`')?;
    Some((word, rest.split('`').skip(1).step_by(2).collect()))
}

pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let nearest = known.iter().map(|k| (strsim::damerau_levenshtein(word, k), k)).min();
    match nearest.filter(|(distance, _)| *distance <= 1 + word.len() / 3) {
        Some((_, nearest)) => format!(" (did you mean `{nearest}`?)"),
        None => String::new(),
    }
}

/// A duration such as `60s` or `12h`: a number with ms, s, m, h or d, at most 68 years.
#[must_use]
pub fn duration_of(text: &str) -> Option<Duration> {
    let (number, unit) = split_number(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // A TTL has 31 bits (RFC 2181 §8).
    number.checked_mul(millis).map(Duration::from_millis).filter(|d| d.as_secs() <= i32::MAX as u64)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim()))
}
