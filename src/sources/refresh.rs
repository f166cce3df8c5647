//! Builds a snapshot from settings, with a report on every list and zone.

use std::fmt;
use std::fs;
use std::io;
use std::sync::Arc;

use super::store::{self, ReadError};
use super::{Progress, Silent};
use crate::cache::store::Cache;
use crate::dns::name::NameBuf;
use crate::guard::acl::Acl;
use crate::lists::{Format, List, Reader, Skipped};
use crate::observe::counters::CounterSet;
use crate::policy::compile::{self, Account, Compiled, Options};
use crate::policy::list::ListPolicy;
use crate::policy::{Policy, file};
use crate::resolver::settings::{ListSettings, Settings, TextSource, ZoneSettings};
use crate::resolver::snapshot::Snapshot;

use crate::upstream::hickory::Forwarder;
use crate::zones::load;
use crate::zones::zone::{Zone, Zones};

/// What one list gave.
#[derive(Clone, Debug)]
pub struct ListReport {
    /// The list's name.
    pub name: String,
    /// Where its text came from.
    pub source: String,
    /// The format it was read as.
    pub format: Format,
    /// Lines in all; 0 for a compiled index.
    pub lines: u32,
    /// Rules of it in the index, patterns included.
    pub rules: usize,
    /// What became of every line.
    pub account: Account,
    /// Lines, or names on them, that gave no rule though they were meant to.
    pub skipped: Vec<Skipped>,
}

/// What one zone holds.
#[derive(Clone, Debug)]
pub struct ZoneReport {
    /// The zone's origin.
    pub origin: NameBuf,
    /// Where its text came from.
    pub source: String,
    /// Names that bear records.
    pub names: usize,
}

/// What a build saw.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The lists in order.
    pub lists: Vec<ListReport>,
    /// The zones in order.
    pub zones: Vec<ZoneReport>,
    /// Rules in the index.
    pub rules: usize,
    /// Octets of the index.
    pub index_bytes: usize,
}

/// Why there is no next snapshot; the one that serves goes on serving.
#[derive(Debug)]
pub struct BuildError {
    /// What failed: a list, a zone, the upstreams.
    pub what: String,
    /// Why.
    pub reason: String,
    /// What to do about it.
    pub help: &'static str,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, "; {}", self.help) }
    }
}

impl std::error::Error for BuildError {}

/// How to build.
#[derive(Clone, Copy)]
pub struct Build<'p> {
    /// Who is told how far it has come.
    pub progress: &'p dyn Progress,
    /// Tell of each rule that was left out, not just how many.
    pub left_out: bool,
}

impl Default for Build<'_> {
    fn default() -> Self {
        Self { progress: &Silent, left_out: false }
    }
}

/// A policy and its report, without the rest of a snapshot: for `check` and `explain`.
///
/// # Errors
/// The first list that can't be read or is none.
pub fn compile(settings: &Settings, build: Build<'_>) -> Result<(Policy, Report), BuildError> {
    let mut report = Report::default();
    let mut policies = Vec::with_capacity(settings.lists.len());
    // All that is text is compiled together, so that one lookup does for it; a compiled index is a
    // layer by itself.
    let (mut texts, mut text_numbers, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for (list, number) in settings.lists.iter().zip(0u16..) {
        policies.push(ListPolicy::new(
            list.name.clone(),
            list.action.clone(),
            list.ttl,
            list.authority.clone(),
        ));
        let mut line = ListReport {
            name: list.name.clone(),
            source: list.source.describe(),
            format: Format::Index,
            lines: 0,
            rules: 0,
            account: Account::default(),
            skipped: Vec::new(),
        };
        match read_list(list, build.progress)? {
            ListText::Compiled(compiled) => {
                line.rules = compiled.index.entry_count() + compiled.tables.patterns.len();
                let numbers = vec![number; compiled.tables.sources.len()];
                layers.push((*compiled, numbers));
            }
            ListText::Text(text) => {
                (line.format, line.lines) = (text.format, text.lines);
                line.skipped.clone_from(&text.skipped);
                texts.push((list.name.clone(), *text));
                text_numbers.push(number);
            }
        }
        report.lists.push(line);
    }
    let too_large = |e: &dyn fmt::Display| error("the lists", e, "use fewer or smaller lists");
    if !texts.is_empty() {
        build.progress.stage("compiling");
        let options = Options { lines: true, left_out: build.left_out };
        let (mut compiled, accounts) = compile::compile(&texts, options).map_err(|e| too_large(&e))?;
        drop(texts);
        compiled.index = compiled.index.moved(store::settle);
        for (account, number) in accounts.into_iter().zip(&text_numbers) {
            if let Some(line) = report.lists.get_mut(usize::from(*number)) {
                line.rules = account.used as usize;
                line.account = account;
            }
        }
        layers.push((compiled, text_numbers));
    }
    let policy = Policy::new(policies, settings.clients.clone(), layers)
        .map_err(|e| error("the lists", &e, "remove the line or write it more simply"))?;
    report.rules = policy.rule_count();
    report.index_bytes = policy.index_len();
    Ok((policy, report))
}

/// A whole snapshot. `cache` and `counters` go on from the generation before.
///
/// # Errors
/// The first thing that can't be built.
pub fn build(
    settings: &Settings,
    cache: &Arc<Cache>,
    counters: &CounterSet,
    how: Build<'_>,
) -> Result<(Snapshot, Report), BuildError> {
    let (policy, mut report) = compile(settings, how)?;
    let zones = zones(settings, &mut report)?;
    let snapshot = Snapshot {
        acl: Acl::new(settings.allow.clone()),
        list_slots: policy.lists.iter().map(|l| counters.list_slot(&l.name)).collect(),
        policy,
        blocking: settings.blocking,
        zones,
        upstream: upstream(settings)?,
        cache: Arc::clone(cache),
        aging: settings.aging,
        queue: settings.queue,
        max_ttl: settings.max_ttl,
        version: settings.version.clone(),
        identity: settings.identity.clone(),
    };
    Ok((snapshot, report))
}

/// The zones of the settings, told of in the report.
///
/// # Errors
/// The first zone that can't be read.
pub fn zones(settings: &Settings, report: &mut Report) -> Result<Zones, BuildError> {
    let mut zones = Vec::with_capacity(settings.zones.len());
    for wanted in &settings.zones {
        let zone = read_zone(wanted)?;
        report.zones.push(ZoneReport {
            origin: wanted.origin.clone(),
            source: wanted.source.describe(),
            names: zone.name_count(),
        });
        zones.push(zone);
    }
    Ok(Zones::new(zones))
}

fn upstream(settings: &Settings) -> Result<Option<Arc<Forwarder>>, BuildError> {
    let forwarder = match &settings.upstreams {
        Some(servers) if servers.is_empty() => return Ok(None),
        Some(servers) => Forwarder::new(servers.clone(), settings.upstream_timeout),
        None => Forwarder::system().map_err(|reason| {
            error("upstream", &reason, "name upstreams in [upstream] servers, or set servers = []")
        })?,
    };
    Ok(Some(Arc::new(forwarder)))
}

/// A list of text, for `compile`.
///
/// # Errors
/// It can't be read, is no list, or is compiled already.
pub fn read_text(list: &ListSettings, progress: &dyn Progress) -> Result<List, BuildError> {
    match read_list(list, progress)? {
        ListText::Text(text) => Ok(*text),
        ListText::Compiled(_) => {
            let what = format!("list `{}`", list.name);
            Err(error(what, &"it is a compiled index already", "compile the lists that it was made from"))
        }
    }
}

/// Checks that compiled lists can be served: their patterns must not be too large.
///
/// # Errors
/// The first pattern that can't.
pub fn serves(compiled: &Compiled) -> Result<(), BuildError> {
    let sources = compiled.tables.sources.iter();
    let policies = sources.map(|name| ListPolicy::new(name.clone(), crate::rule::Action::NxDomain, 0, None));
    let policies: Vec<_> = policies.collect();
    let numbers = (0u16..).take(policies.len()).collect();
    Policy::new(policies, Vec::new(), vec![(compiled.clone(), numbers)])
        .map(|_| ())
        .map_err(|e| error("the lists", &e, "remove the line or write it more simply"))
}

enum ListText {
    Text(Box<List>),
    Compiled(Box<Compiled>),
}

fn read_list(list: &ListSettings, progress: &dyn Progress) -> Result<ListText, BuildError> {
    let what = || format!("list `{}` ({})", list.name, list.source.describe());
    let reader = || Reader::new(list.format, list.plain, list.effect);
    let whole = |text: &[u8]| {
        let mut reader = reader();
        reader.feed(text)?;
        reader.finish()
    };
    let parsed = match &list.source {
        TextSource::File(path) => {
            let unread = |e: io::Error| error(what(), &plain(&e), "correct `source`");
            let compiled = file::is_compiled(&store::head(path).map_err(unread)?);
            match (compiled, list.format) {
                (true, Format::Auto | Format::Index) | (false, Format::Index) => {
                    let map = store::map(path).map_err(unread)?;
                    return match file::open(&map) {
                        Ok(compiled) => Ok(ListText::Compiled(Box::new(compiled))),
                        Err(e) => Err(error(what(), &e, "")),
                    };
                }
                _ => store::read(path, reader(), progress).map_err(|e| match e {
                    ReadError::Io(e) => unread(e),
                    ReadError::NotAList(e) => error(what(), &e, ""),
                })?,
            }
        }
        TextSource::Embedded(_, text) => whole(text.as_bytes()).map_err(|e| error(what(), &e, ""))?,
        TextSource::Inline(lines) => {
            // Their places in the array serve as line numbers, so none may bring another line in.
            let lines: Vec<String> = lines.iter().map(|l| l.replace('\n', " ")).collect();
            whole(lines.join("\n").as_bytes()).map_err(|e| error(what(), &e, ""))?
        }
    };
    Ok(ListText::Text(Box::new(parsed)))
}

fn read_zone(zone: &ZoneSettings) -> Result<Zone, BuildError> {
    let what = || format!("zone `{}` ({})", zone.origin, zone.source.describe());
    let (text, path) = match &zone.source {
        TextSource::File(path) => {
            let text = fs::read_to_string(path).map_err(|e| error(what(), &plain(&e), "correct `file`"))?;
            (text, Some(path))
        }
        TextSource::Embedded(_, text) => ((*text).to_owned(), None),
        TextSource::Inline(lines) => (lines.join("\n"), None),
    };
    load::parse(&text, &zone.origin, path).map_err(|e| error(what(), &e, ""))
}

fn error(what: impl Into<String>, reason: &dyn fmt::Display, help: &'static str) -> BuildError {
    BuildError { what: what.into(), reason: reason.to_string(), help }
}

/// The kernel's reason without its number.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "is a directory".into(),
        _ => error.to_string(),
    }
}
