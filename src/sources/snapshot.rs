//! All that a query looks at, built from settings.

use std::sync::Arc;

use super::policy::{compile, list_policy};
use super::progress::Build;
use super::report::{BuildError, Report};
use super::routes::routes;
use super::zones::zones;
use crate::cache::store::Cache;
use crate::guard::acl::Acl;
use crate::observe::counters::CounterSet;
use crate::policy::active::Active;
use crate::policy::overrides::Overrides;
use crate::resolver::settings::{ListSettings, Settings};
use crate::resolver::snapshot::Snapshot;
use crate::rule::Action;

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
