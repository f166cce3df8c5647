//! Builds a snapshot from settings, with a report on every list and zone.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::store::{self, ReadError};
use super::{Progress, Silent};
use crate::cache::store::Cache;
use crate::dns::name::NameBuf;
use crate::dns::sde::Structured;
use crate::guard::acl::Acl;
use crate::lists::addresses::{self, AddressList};
use crate::lists::{Format, List, Reader, Skipped};
use crate::observe::counters::CounterSet;
use crate::policy::active::Active;
use crate::policy::compile::{self, Account, Compiled, Options};
use crate::policy::group::{Group, Groups};
use crate::policy::list::ListPolicy;
use crate::policy::overrides::Overrides;
use crate::policy::prefix::Prefixes;
use crate::policy::{Policy, file};
use crate::resolver::settings::{
    Addresses, Contact, GroupSettings, ListSettings, Settings, TextSource, ZoneSettings,
};
use crate::resolver::snapshot::Snapshot;
use crate::rule::Action;
use crate::upstream::hickory::{Bootstrap, SystemServers, system_servers};
use crate::upstream::route::{self, Route, Routes};
use crate::upstream::{Forwarder, Server};
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
    let mut networks: Vec<(IpNet, u16)> = Vec::new();
    let apart = settings.groups.iter().any(|g| g.lists.is_some());
    for (list, number) in settings.lists.iter().zip(0u16..) {
        policies.push(list_policy(list, &settings.contact));
        let mut line = ListReport {
            name: list.name.clone(),
            source: list.source.describe(),
            format: Format::Index,
            lines: 0,
            rules: 0,
            account: Account::default(),
            skipped: Vec::new(),
        };
        let (list, addresses) = without_addresses(list)?;
        if let Some(addresses) = addresses {
            let used = addresses.networks.len();
            (line.format, line.lines, line.rules) = (Format::Domains, addresses.lines, used);
            line.account.used = u32::try_from(used).unwrap_or(u32::MAX);
            line.account.invalid = u32::try_from(addresses.skipped.len()).unwrap_or(u32::MAX);
            line.account.quiet = line.lines - line.account.used.saturating_add(line.account.invalid);
            line.skipped = addresses.skipped;
            networks.extend(addresses.networks.into_iter().map(|(network, _)| (network, number)));
        }
        let Some(list) = list else {
            report.lists.push(line);
            continue;
        };
        match read_list(&list, build.progress)? {
            ListText::Compiled(compiled) => {
                line.rules = compiled.index.entry_count() + compiled.tables.patterns.len();
                let numbers = vec![number; compiled.tables.sources.len()];
                layers.push((*compiled, numbers));
            }
            ListText::Text(mut text) => {
                (line.format, line.lines) = (text.format, text.lines);
                line.skipped.extend(text.skipped.iter().cloned());
                // Where some rules go for some clients or at some times, taking back must not go further.
                text.alone = apart || list.schedule.is_some() || !list.types.is_empty();
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
                let addresses = line.rules;
                line.rules = addresses + account.used as usize;
                line.account = account;
                // Their lines were empty ones for the rules.
                let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
                line.account.used += addresses;
                line.account.quiet = line.account.quiet.saturating_sub(addresses);
                // Their lines are those of the configuration, which has others too.
                if settings.lists.get(usize::from(*number)).is_some_and(ListSettings::is_rewrites) {
                    (line.lines, line.account.quiet) = (line.account.used, 0);
                }
            }
        }
        layers.push((compiled, text_numbers));
    }
    let mut policy = Policy::new(policies, settings.clients.clone(), layers)
        .map_err(|e| error("the lists", &e, "remove the line or write it more simply"))?;
    policy.address_count = networks.len();
    policy.addresses = Prefixes::new(networks);
    report.rules = policy.rule_count();
    policy.precedence = settings.precedence;
    policy.groups = groups(settings);
    report.index_bytes = policy.index_len();
    Ok((policy, report))
}

/// What every rule of a list shares, as the settings have it.
fn list_policy(list: &ListSettings, contact: &Contact) -> ListPolicy {
    let language = contact.language.clone().or_else(|| Some("en".into()));
    // Web pages are for people, and no contacts in the sense of the draft.
    let contacts = contact.uris.iter().filter(|uri| !uri.starts_with("https:"));
    let structured = Structured {
        contacts: contacts.cloned().collect(),
        justification: list.notes.reason.clone(),
        // A sub-error says whose policy it is, which an authority's is not.
        suberror: list.notes.suberror.filter(|_| list.authority.is_none()),
        organization: list.authority.clone().or_else(|| contact.organization.clone()),
        language,
    };
    let json = structured.json();
    let mut policy =
        ListPolicy::new(list.name.clone(), list.action.clone(), list.ttl, list.authority.clone());
    policy.inherits = list.inherits;
    policy.rewrites = list.is_rewrites();
    policy.notes = list.notes.clone();
    policy.types.clone_from(&list.types);
    policy.schedule.clone_from(&list.schedule);
    policy.structured = (!json.is_empty()).then(|| (json, structured.brief()));
    policy
}

/// Takes the addresses out of a list that has some; what is left of it is read as text.
fn without_addresses(
    list: &ListSettings,
) -> Result<(Option<Cow<'_, ListSettings>>, Option<AddressList>), BuildError> {
    if list.addresses == Addresses::AsRules {
        return Ok((Some(Cow::Borrowed(list)), None));
    }
    let what = || format!("list `{}` ({})", list.name, list.source.describe());
    let text = match &list.source {
        TextSource::File(path) => {
            store::text(path).map_err(|e| error(what(), &plain(&e), "correct `source`"))?
        }
        TextSource::Embedded(_, text) => (*text).to_owned(),
        TextSource::Rewrites(_) => String::new(),
        TextSource::Inline(lines) => {
            lines.iter().map(|l| l.replace('\n', " ")).collect::<Vec<_>>().join("\n")
        }
    };
    if list.addresses == Addresses::Only {
        return Ok((None, Some(addresses::read(&text))));
    }
    let (found, rest) = addresses::split(&text);
    let source = TextSource::Inline(rest.lines().map(str::to_owned).collect());
    let format = if list.format == Format::Auto { Format::Domains } else { list.format };
    Ok((Some(Cow::Owned(ListSettings { source, format, ..list.clone() })), Some(found)))
}

/// The groups of the settings. A listener that the server has not got leaves a group without clients.
/// Each that has upstreams of its own gets a route; see [`routes`].
fn groups(settings: &Settings) -> Groups {
    let routes = route_numbers(settings);
    let group = |group: &GroupSettings| Group {
        name: group.name.clone(),
        networks: group.networks.clone(),
        listeners: group
            .listeners
            .iter()
            .map(|a| settings.listen.iter().position(|l| l == a).and_then(|p| u16::try_from(p).ok()))
            .map(|number| number.unwrap_or(u16::MAX))
            .collect(),
        lists: group.lists.clone(),
        action: group.action.clone(),
        schedule: group.schedule.clone(),
        route: group.upstreams.as_ref().and_then(|u| number_of(&routes, u)).unwrap_or(route::MAIN),
    };
    Groups::new(settings.groups.iter().map(group).collect(), settings.listen.len())
}

/// The sets of upstreams that groups and suffixes have of their own; the nth has the route n + 1.
fn route_numbers(settings: &Settings) -> Vec<&[Server]> {
    let mut sets: Vec<&[Server]> = Vec::new();
    let of_groups = settings.groups.iter().filter_map(|g| g.upstreams.as_deref());
    for servers in of_groups.chain(settings.forwards.iter().map(|f| f.servers.as_slice())) {
        if !sets.contains(&servers) {
            sets.push(servers);
        }
    }
    sets
}

fn number_of(sets: &[&[Server]], servers: &[Server]) -> Option<u16> {
    let at = sets.iter().position(|set| *set == servers)?;
    u16::try_from(at + 1).ok()
}

/// All upstreams of the settings.
fn routes(settings: &Settings) -> Result<Routes, BuildError> {
    let sets = route_numbers(settings);
    let bootstrap = Arc::new(bootstrap(settings)?);
    let own = sets.iter().map(|set| route_to(set.to_vec(), settings.upstream_timeout, &bootstrap));
    let upstreams = std::iter::once(upstream(settings, &bootstrap)?).chain(own).collect();
    let suffixes = settings.forwards.iter().filter_map(|forward| {
        let suffix = forward.suffix.as_name().to_folded();
        Some((suffix, number_of(&sets, &forward.servers)?))
    });
    Ok(Routes::new(upstreams, suffixes.collect()))
}

/// Who finds the addresses of upstreams that are given by name.
///
/// # Errors
/// Some are, the settings do not say who knows their addresses, and the system has no resolver.
pub fn bootstrap(settings: &Settings) -> Result<Bootstrap, BuildError> {
    if !settings.bootstrap.is_empty() {
        return Ok(Bootstrap::new(settings.bootstrap.clone()));
    }
    let groups = settings.groups.iter().filter_map(|g| g.upstreams.as_ref());
    let forwards = settings.forwards.iter().map(|f| &f.servers);
    if let Some(server) =
        settings.upstreams.iter().chain(groups).chain(forwards).flatten().find(|s| s.has_name())
    {
        // Known at the start rather than at the first question.
        system_servers(&settings.listen).map_err(|reason| {
            let what = format!("upstream `{}`", server.at);
            error(what, &reason, "name addresses that know it in [upstream] bootstrap")
        })?;
    }
    Ok(Bootstrap::system(settings.listen.clone()))
}

/// What must be the same for a cached reply to be of use after a reload.
#[must_use]
pub fn same_upstreams(one: &Settings, other: &Settings) -> bool {
    let of = |s: &Settings| {
        (
            s.upstreams.clone(),
            s.bootstrap.clone(),
            s.upstream_timeout,
            s.inspection.strip_ech,
            s.forwards.clone(),
        )
    };
    let groups = |s: &Settings| s.groups.iter().map(|g| g.upstreams.clone()).collect::<Vec<_>>();
    // The system's may have changed meanwhile.
    one.upstreams.is_some() && of(one) == of(other) && groups(one) == groups(other)
}

/// A whole snapshot, as things are at `now` in seconds since 1970 (UTC). `cache` and `counters` go on
/// from the generation before.
///
/// # Errors
/// The first thing that can't be built.
pub fn build(
    settings: &Settings,
    cache: &Arc<Cache>,
    counters: &CounterSet,
    how: Build<'_>,
    now: i64,
) -> Result<(Snapshot, Report), BuildError> {
    let (policy, mut report) = compile(settings, how)?;
    let zones = zones(settings, &mut report)?;
    let overrides = Overrides::default();
    let own = |name: &str, action| {
        let list = ListSettings { name: name.to_owned(), action, ttl: 10, ..ListSettings::default() };
        Arc::new(list_policy(&list, &settings.contact))
    };
    let snapshot = Snapshot {
        acl: Arc::new(Acl::new(settings.allow.clone())),
        list_slots: policy.lists.iter().map(|l| counters.list_slot(&l.name)).collect(),
        active: Arc::new(Active::new(&policy, &overrides, now)),
        overrides: Arc::new(overrides),
        ordered: own("override", Action::NxDomain),
        rebinding: own("rebinding", Action::NoData),
        looks: settings.inspection.looks(&policy),
        inspection: Arc::new(settings.inspection.clone()),
        strip_ech: settings.inspection.strip_ech,
        policy: Arc::new(policy),
        blocking: settings.blocking,
        zones: Arc::new(zones),
        routes: Arc::new(routes(settings)?),
        authority: true,
        censor: None,
        epoch: 0,
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

fn upstream(settings: &Settings, bootstrap: &Arc<Bootstrap>) -> Result<Route, BuildError> {
    let (servers, timeout) = match &settings.upstreams {
        Some(servers) => (servers.clone(), settings.upstream_timeout),
        None => {
            let system = system_upstreams(settings)?;
            for why in system.left_out {
                tracing::warn!("the system's DNS configuration: {why}");
            }
            (system.servers, system.timeout)
        }
    };
    Ok(route_to(servers, timeout, bootstrap))
}

/// The system's resolvers, which are asked where the settings name no upstreams.
///
/// # Errors
/// There is none that can be asked.
pub fn system_upstreams(settings: &Settings) -> Result<SystemServers, BuildError> {
    system_servers(&settings.listen).map_err(|reason| {
        error("upstream", &reason, "name upstreams in [upstream] servers, or set servers = []")
    })
}

fn route_to(servers: Vec<Server>, timeout: Duration, bootstrap: &Arc<Bootstrap>) -> Route {
    if servers.is_empty() {
        return None;
    }
    Some(Arc::new(Forwarder::with_bootstrap(servers, timeout, bootstrap)))
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
    let policies = sources.map(|name| ListPolicy::new(name.clone(), Action::NxDomain, 0, None));
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
        TextSource::Rewrites(rewrites) => List::of_rewrites(
            rewrites.iter().map(|r| (r.line, r.name.as_name(), r.matching, r.action.clone())),
        ),
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
        TextSource::Rewrites(_) => (String::new(), None),
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
