//! Builds a snapshot from settings: as a whole at the start, and later in parts.

use std::sync::Arc;

use super::last_good::LastGood;
use super::policy::{self, compile, compile_after, list_policy};
use super::progress::Build;
use super::report::{BuildError, ListReport, Report};
use super::routes::{self, routes};
use super::zones::{self, zones};
use crate::cache::store::Cache;
use crate::guard::acl::Acl;
use crate::guard::cookie::Cookies;
use crate::guard::ratelimit::RateLimit;
use crate::observe::counters::CounterSet;
use crate::observe::lists::ListState;
use crate::policy::{Active, Orders, Policy};
use crate::resolver::snapshot::Snapshot;
use crate::rule::Action;
use crate::settings::{ListSettings, Order, Settings};
use crate::upstream::route::Routes;
use crate::zones::zone::Zones;

/// Builds a whole snapshot for `now`, in seconds since 1970 (UTC). `counters` continue those of the
/// previous generation.
///
/// # Errors
/// Everything that can't be read.
pub fn build(
    settings: &Settings,
    cache: &Arc<Cache>,
    counters: &CounterSet,
    how: Build<'_>,
    now: i64,
) -> Result<(Snapshot, Report), BuildError> {
    let ((policy, report), (zones, of_zones)) = BuildError::both(compile(settings, how), zones(settings))?;
    let report = Report { zones: of_zones, ..report };
    let snapshot = with_routes(empty(settings, now), routes(settings, how.overhears)?, cache);
    let mut snapshot = with_policy(with_zones(snapshot, zones), policy, counters);
    snapshot.lists = states(&report);
    snapshot.active = Arc::new(Active::new(&snapshot.policy, &snapshot.orders, now));
    Ok((snapshot, report))
}

/// The parts that a change of settings replaces; the others stay in service.
#[derive(Default)]
pub struct Parts {
    policy: Option<(Policy, Arc<[ListState]>)>,
    zones: Option<Zones>,
    routes: Option<Routes>,
    /// A new cache, if the replies in the current one are not valid for the next settings.
    cache: Option<Arc<Cache>>,
}

impl Parts {
    /// Builds the parts that differ between the current and the next settings, and those that come from
    /// files, which may have changed. A list that can't be used keeps the rules of `last`. The report of the
    /// next snapshot is returned with the parts.
    ///
    /// # Errors
    /// Everything that can't be read.
    pub fn build(
        last: LastGood<'_>,
        settings: &Settings,
        how: Build<'_>,
    ) -> Result<(Self, Report), BuildError> {
        let serving = last.settings;
        let mut parts = Self::default();
        let mut next = last.report.clone();
        let lists = (!policy::same(serving, settings)).then(|| compile_after(settings, how, Some(last)));
        let lists = lists.transpose();
        let zones = (!zones::same(serving, settings)).then(|| zones(settings)).transpose();
        // If anything else fails, nothing is reloaded, and all reasons are reported.
        let zones = zones.map_err(|error| match &lists {
            Ok(Some((_, report))) => BuildError(report.not_reloaded().into_iter().chain(error.0).collect()),
            _ => error,
        });
        let (lists, zones) = BuildError::both(lists, zones)?;
        if let Some((policy, lists_report)) = lists {
            parts.policy = Some((policy, states(&lists_report)));
            next = Report { zones: next.zones, ..lists_report };
        }
        if let Some((zones, of_zones)) = zones {
            (parts.zones, next.zones) = (Some(zones), of_zones);
        }
        let same_routes = routes::same(serving, settings);
        if !same_routes {
            parts.routes = Some(routes(settings, how.overhears)?);
        }
        // Other servers may answer differently; late replies of the old ones go to the old cache.
        let stored = |s: &Settings| (s.cache.size, s.inspect.strip_ech);
        if !same_routes || stored(serving) != stored(settings) {
            parts.cache = Some(Arc::new(Cache::new(settings.cache.size)));
        }
        Ok((parts, next))
    }

    /// The next generation: `serving` with these parts and the rest of the settings.
    #[must_use]
    pub fn put_into(self, serving: &Snapshot, settings: &Settings, counters: &CounterSet) -> Snapshot {
        let mut next = with_settings(serving.clone(), settings);
        let cache = self.cache.unwrap_or_else(|| Arc::clone(&next.cache));
        if let Some(routes) = self.routes {
            next = with_routes(next, routes, &cache);
        }
        next.cache = cache;
        if let Some(zones) = self.zones {
            next = with_zones(next, zones);
        }
        match self.policy {
            Some((policy, lists)) => Snapshot { lists, ..with_policy(next, policy, counters) },
            None => next,
        }
    }
}

/// The state of each list.
fn states(report: &Report) -> Arc<[ListState]> {
    let state = |list: &ListReport| ListState {
        name: list.name.clone(),
        rules: list.rules,
        invalid: list.account.invalid,
        alarms: list.warnings().iter().map(|warning| (warning.kind(), warning.to_string())).collect(),
    };
    report.lists.iter().map(state).collect()
}

/// A snapshot with other lists and groups.
fn with_policy(snapshot: Snapshot, policy: Policy, counters: &CounterSet) -> Snapshot {
    Snapshot {
        list_slots: policy.lists.iter().map(|list| counters.list_slot(&list.name)).collect(),
        inspects: snapshot.inspection.inspects(&policy),
        policy: Arc::new(policy),
        ..snapshot
    }
}

/// A snapshot with other zones.
fn with_zones(snapshot: Snapshot, zones: Zones) -> Snapshot {
    Snapshot { zones: Arc::new(zones), ..snapshot }
}

/// A snapshot with other upstreams, whose replies go to `cache`.
fn with_routes(snapshot: Snapshot, routes: Routes, cache: &Arc<Cache>) -> Snapshot {
    Snapshot { routes: Arc::new(routes), cache: Arc::clone(cache), ..snapshot }
}

/// A snapshot with the settings that need no building.
fn with_settings(snapshot: Snapshot, settings: &Settings) -> Snapshot {
    let own = |name: &str, action| {
        let list = ListSettings { name: name.to_owned(), action, ttl: 10, ..ListSettings::default() };
        Arc::new(list_policy(&list, &settings.block.contact))
    };
    let server = &settings.server;
    // Buckets of the same settings go on as they are.
    let ratelimit = match snapshot.ratelimit.as_ref().filter(|limit| *limit.rate() == settings.ratelimit) {
        Some(limit) => Some(Arc::clone(limit)),
        None => RateLimit::new(settings.ratelimit.clone()).map(Arc::new),
    };
    let before = snapshot.cookies.as_deref();
    let cookies = Some(()).filter(|()| server.answer_cookie);
    let cookies = cookies.and_then(|()| Cookies::next(before, &server.cookie_secrets, server.require_cookie));
    Snapshot {
        acl: Arc::new(Acl::new(server.allow.clone())),
        recursion: server.allow_recursion.clone().map(|networks| Arc::new(Acl::new(networks))),
        limits: ratelimit.as_ref().is_some_and(|limit| limit.concerns(&server.allow))
            || cookies.as_ref().is_some_and(|cookies| cookies.required),
        ratelimit,
        cookies: cookies.map(Arc::new),
        ordered: own("order", Action::NxDomain),
        rebinding: own("rebinding", Action::NoData),
        unlisted: {
            let block = &settings.block;
            let list = ListSettings {
                name: "default".to_owned(),
                action: block.action.clone(),
                inherits: true,
                ttl: block.ttl,
                ..ListSettings::default()
            };
            Arc::new(list_policy(&list, &block.contact))
        },
        inspects: settings.inspect.inspects(&snapshot.policy),
        inspection: Arc::new(settings.inspect.clone()),
        strip_ech: settings.inspect.strip_ech,
        special: settings.special,
        rotate: settings.answers.order == Order::Rotate,
        blocking: settings.blocking,
        aging: settings.cache.aging,
        queue: settings.upstream.queue,
        max_ttl: settings.cache.max_ttl,
        version: settings.server.version.clone(),
        identity: settings.server.identity.clone(),
        ..snapshot
    }
}

/// A snapshot with the settings alone: no rules, zones or upstreams.
fn empty(settings: &Settings, now: i64) -> Snapshot {
    let (policy, orders) = (Policy::empty(), Orders::default());
    let default = Arc::new(list_policy(&ListSettings::default(), &settings.block.contact));
    let snapshot = Snapshot {
        acl: Arc::new(Acl::new(Vec::new())),
        recursion: None,
        ratelimit: None,
        cookies: None,
        limits: false,
        active: Arc::new(Active::new(&policy, &orders, now)),
        policy: Arc::new(policy),
        orders: Arc::new(orders),
        ordered: Arc::clone(&default),
        rebinding: Arc::clone(&default),
        unlisted: default,
        inspection: Arc::new(settings.inspect.clone()),
        inspects: false,
        strip_ech: false,
        blocking: true,
        lists: Arc::default(),
        list_slots: Arc::default(),
        zones: Arc::default(),
        special: settings.special,
        rotate: false,
        routes: Arc::default(),
        cache: Arc::new(Cache::new(0)),
        authority: true,
        epoch: 0,
        aging: settings.cache.aging,
        queue: settings.upstream.queue,
        max_ttl: settings.cache.max_ttl,
        version: None,
        identity: None,
    };
    with_settings(snapshot, settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::NameBuf;
    use crate::settings::{ForwardSettings, GroupSettings, TextSource, UpstreamSettings, ZoneSettings};
    use crate::upstream::Server;

    fn settings() -> Settings {
        let server = Server::udp("192.0.2.53:53".parse::<std::net::SocketAddr>().unwrap().into());
        let name = |text| NameBuf::from_text(text).unwrap();
        Settings {
            lists: vec![ListSettings {
                name: "l".into(),
                source: TextSource::Inline(vec!["||a.test^".into()]),
                ..ListSettings::default()
            }],
            zones: vec![ZoneSettings {
                origin: name("z.test"),
                source: TextSource::Inline(vec!["@ 60 SOA ns h 1 2 3 4 5".into(), "@ 60 NS ns".into()]),
            }],
            forwards: vec![ForwardSettings { suffix: name("f.test"), servers: vec![server.clone()] }],
            upstream: UpstreamSettings::of(vec![server]),
            ..Settings::default()
        }
    }

    type Change<'c> = &'c dyn Fn(&mut Settings);

    /// The parts of the snapshot that a reload with changed settings replaces.
    fn built_anew(change: Change<'_>) -> Vec<&'static str> {
        let (before, counters, cache) = (settings(), CounterSet::default(), Arc::new(Cache::new(1 << 20)));
        let (serving, report) = build(&before, &cache, &counters, Build::default(), 0).unwrap();
        let mut after = before.clone();
        change(&mut after);
        let last = LastGood { policy: &serving.policy, settings: &before, report: &report };
        let (parts, report) = Parts::build(last, &after, Build::default()).unwrap();
        let next = parts.put_into(&serving, &after, &counters);
        assert_eq!((report.lists.len(), report.zones.len()), (after.lists.len(), after.zones.len()));
        assert_eq!((report.rules, next.max_ttl), (next.policy.rule_count(), after.cache.max_ttl));
        [
            ("policy", Arc::ptr_eq(&serving.policy, &next.policy)),
            ("zones", Arc::ptr_eq(&serving.zones, &next.zones)),
            ("routes", Arc::ptr_eq(&serving.routes, &next.routes)),
            ("cache", Arc::ptr_eq(&serving.cache, &next.cache)),
        ]
        .into_iter()
        .filter_map(|(part, same)| (!same).then_some(part))
        .collect()
    }

    #[test]
    fn a_reload_builds_what_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        std::fs::write(&file, "b.test\n").unwrap();
        let other = Server::udp("192.0.2.54:53".parse::<std::net::SocketAddr>().unwrap().into());
        let group = |upstreams| GroupSettings {
            name: "g".into(),
            networks: Vec::new(),
            listeners: Vec::new(),
            lists: None,
            action: None,
            closed: None,
            schedule: None,
            upstreams,
        };
        let changes: [(&str, Change<'_>, &[&str]); 12] = [
            ("nothing", &|_| (), &[]),
            ("a bound", &|s| s.cache.max_ttl = 7, &[]),
            ("who may ask", &|s| s.server.allow.clear(), &[]),
            ("an action", &|s| s.lists[0].action = Action::NoData, &["policy"]),
            ("a list from a file", &|s| s.lists[0].source = TextSource::File(file.clone()), &["policy"]),
            ("no list", &|s| s.lists.clear(), &["policy"]),
            ("a group", &|s| s.groups.push(group(None)), &["policy"]),
            (
                "a group's upstreams",
                &|s| s.groups.push(group(Some(vec![other.clone()]))),
                &["policy", "routes", "cache"],
            ),
            ("a zone", &|s| s.zones.clear(), &["zones"]),
            ("the upstreams", &|s| s.upstream.servers = Some(vec![other.clone()]), &["routes", "cache"]),
            ("the size of the cache", &|s| s.cache.size = 1 << 21, &["cache"]),
            ("ECH", &|s| s.inspect.strip_ech = true, &["cache"]),
        ];
        for (what, change, expected) in changes {
            assert_eq!(built_anew(change), expected, "{what}");
        }
    }

    #[test]
    fn files_are_read_at_each_reload() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        std::fs::write(&file, "a.test\n").unwrap();
        let mut settings = settings();
        settings.lists[0].source = TextSource::File(file.clone());
        let (counters, cache) = (CounterSet::default(), Arc::new(Cache::new(0)));
        let (serving, report) = build(&settings, &cache, &counters, Build::default(), 0).unwrap();
        std::fs::write(&file, "a.test\nb.test\n").unwrap();
        let last = LastGood { policy: &serving.policy, settings: &settings, report: &report };
        let (parts, report) = Parts::build(last, &settings, Build::default()).unwrap();
        assert_eq!((report.rules, report.lists[0].before), (2, Some(1)));
        let serving = parts.put_into(&serving, &settings, &counters);
        assert_eq!(serving.policy.rule_count(), 2);
        std::fs::remove_file(&file).unwrap();
        let last = LastGood { policy: &serving.policy, settings: &settings, report: &report };
        let (parts, report) = Parts::build(last, &settings, Build::default()).unwrap();
        assert_eq!(report.lists[0].kept.as_deref(), Some("no such file"));
        assert_eq!(parts.put_into(&serving, &settings, &counters).policy.rule_count(), 2);
        // With a different reading it is a different list.
        let mut allow = settings.clone();
        allow.lists[0].effect = crate::rule::Effect::Allow;
        let gone = Parts::build(last, &allow, Build::default()).err();
        assert!(gone.unwrap().to_string().contains("no such file"));
    }
}
