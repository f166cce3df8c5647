//! Builds a snapshot from settings, with a report on every list and zone.

use std::fmt;
use std::fs;
use std::io;
use std::sync::Arc;

use crate::cache::store::Cache;
use crate::dns::name::NameBuf;
use crate::guard::acl::Acl;
use crate::lists::{self, Format, Parsed, Skipped};
use crate::observe::counters::CounterSet;
use crate::policy::compile::{ListPolicy, Policy};
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
    /// Lines in all.
    pub lines: u32,
    /// Rules taken from it, duplicates included.
    pub rules: usize,
    /// Lines that gave no rule and are no comment.
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
    /// Rules that repeated an earlier one of the same list.
    pub duplicates: u64,
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

/// A policy and its report, without the rest of a snapshot: for `check` and `explain`.
///
/// # Errors
/// The first list that can't be read or is none.
pub fn compile(settings: &Settings) -> Result<(Policy, Report), BuildError> {
    let mut report = Report::default();
    let mut compiled = Vec::with_capacity(settings.lists.len());
    for list in &settings.lists {
        let parsed = read_list(list)?;
        report.lists.push(ListReport {
            name: list.name.clone(),
            source: list.source.describe(),
            format: parsed.format,
            lines: parsed.lines,
            rules: parsed.rules.len(),
            skipped: parsed.skipped,
        });
        let policy =
            ListPolicy::new(list.name.clone(), list.action.clone(), list.ttl, list.authority.clone());
        compiled.push((policy, parsed.rules));
    }
    let too_large = |e: &dyn fmt::Display| error("the lists", e, "use fewer or smaller lists");
    let policy = Policy::compile(compiled).map_err(|e| too_large(&e))?;
    report.rules = policy.rule_count();
    report.duplicates = policy.duplicates;
    report.index_bytes = policy.index().as_bytes().len();
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
) -> Result<(Snapshot, Report), BuildError> {
    let (policy, mut report) = compile(settings)?;
    let zones = zones(settings, &mut report)?;
    let snapshot = Snapshot {
        acl: Acl::new(settings.allow.clone()),
        list_slots: policy.lists.iter().map(|l| counters.list_slot(&l.name)).collect(),
        policy,
        blocking: settings.blocking,
        zones,
        upstream: upstream(settings)?,
        cache: Arc::clone(cache),
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

fn read_list(list: &ListSettings) -> Result<Parsed, BuildError> {
    let what = || format!("list `{}` ({})", list.name, list.source.describe());
    let bytes = match &list.source {
        TextSource::File(path) => {
            fs::read(path).map_err(|e| error(what(), &plain(&e), "correct `source`"))?
        }
        TextSource::Embedded(_, text) => text.as_bytes().to_vec(),
        TextSource::Inline(lines) => {
            // Their places in the array serve as line numbers, so none may bring another line in.
            let lines: Vec<String> = lines.iter().map(|l| l.replace('\n', " ")).collect();
            lines.join("\n").into_bytes()
        }
    };
    lists::parse(&bytes, list.format, list.plain, list.effect).map_err(|e| error(what(), &e, ""))
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
