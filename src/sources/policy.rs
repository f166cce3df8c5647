//! The policy: all lists compiled, the settings of each list, and the groups.

use std::fmt;

use super::lists::{ListText, read_list};
use super::progress::Build;
use super::report::{BuildError, ListReport, Reading, Report, error};
use super::routes::{number_of, route_numbers};
use super::store;
use crate::dns::sde::Structured;
use crate::lists::{Format, SkipReason};
use crate::policy::{
    self, Account, Compiled, Group, Groups, ListPolicy, Options, Policy, schedule::Schedule,
};
use crate::rule::Action;
use crate::settings::{Contact, GroupSettings, ListSettings, Settings, TextSource};
use crate::upstream::route;

/// Compiles a policy and its report, without the rest of a snapshot: for `check` and `explain`.
///
/// # Errors
/// Every list that can't be read or is not a list.
pub fn compile(settings: &Settings, build: Build<'_>) -> Result<(Policy, Report), BuildError> {
    let mut report = Report::default();
    let mut policies = Vec::with_capacity(settings.lists.len());
    // All text lists are compiled together, so that one lookup serves them all; each compiled index is a
    // layer of its own.
    let (mut texts, mut text_numbers, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    let mut failures = Vec::new();
    // Rules with times of their own are a list of their own after theirs. For each policy: the number of its
    // list in the settings, and whether it is for such a part.
    let mut owners: Vec<(u16, bool)> = Vec::with_capacity(settings.lists.len());
    let apart = settings.groups.iter().any(|g| g.lists.is_some());
    for (list, of) in settings.lists.iter().zip(0u16..) {
        let number = u16::try_from(policies.len()).unwrap_or(u16::MAX);
        let mut policy = list_policy(list, &settings.block.contact);
        policy.only_groups = only_groups(list, settings);
        policies.push(policy);
        owners.push((of, false));
        let mut line = ListReport {
            name: list.name.clone(),
            source: list.source.describe(),
            in_file: matches!(list.source, TextSource::File(_)),
            format: Format::Index,
            lines: 0,
            rules: 0,
            account: Account::default(),
            skipped: Vec::new(),
            confined: Vec::new(),
            reading: Reading::default(),
        };
        match read_list(list, &settings.schedules, build.progress) {
            Err(failure) => failures.push(failure),
            Ok(ListText::Compiled(compiled, confined)) => {
                // It is part of the index.
                line.reading.match_unused = list.plain.is_some();
                let tables = &compiled.tables;
                line.rules = compiled.index.entry_count() + tables.patterns.len() + tables.addresses.len();
                line.confined = confined;
                let numbers = vec![number; compiled.tables.sources.len()];
                layers.push((*compiled, numbers));
            }
            Ok(ListText::Text(mut text)) => {
                let mut parts = Vec::new();
                for (schedule, part) in std::mem::take(&mut text.timed) {
                    match narrowed(list.schedule.as_ref(), settings.schedules.get(&schedule)) {
                        Some(schedule) => parts.push((schedule, part)),
                        None => text.refuse_all(&part, &two_schedules()),
                    }
                }
                line.reading = Reading::of(&text, list);
                (line.format, line.lines) = (text.format, text.lines);
                line.skipped.clone_from(&text.skipped);
                line.confined.clone_from(&text.confined);
                // If rules of this list apply only to some clients or at some times, its `$badfilter` rules
                // must not cancel rules of other lists.
                text.alone |= apart || list.schedule.is_some() || !list.types.is_empty();
                texts.push((list.name.clone(), *text));
                text_numbers.push(number);
                for (schedule, part) in parts {
                    text_numbers.push(u16::try_from(policies.len()).unwrap_or(u16::MAX));
                    texts.push((list.name.clone(), part));
                    let mut own = list_policy(list, &settings.block.contact);
                    own.schedule = Some(schedule);
                    policies.push(own);
                    owners.push((of, true));
                }
            }
        }
        report.lists.push(line);
    }
    if !failures.is_empty() {
        return Err(BuildError(failures));
    }
    let too_large = |e: &dyn fmt::Display| error("the lists", e, "use fewer or smaller lists");
    if !texts.is_empty() {
        build.progress.stage("compiling");
        let options = Options { lines: true, left_out: build.left_out };
        let (mut compiled, accounts) = policy::compile(&texts, options).map_err(|e| too_large(&e))?;
        drop(texts);
        compiled.index = compiled.index.moved(store::settle);
        for (account, number) in accounts.into_iter().zip(&text_numbers) {
            let (of, part) = owners.get(usize::from(*number)).copied().unwrap_or_default();
            let Some(line) = report.lists.get_mut(usize::from(of)) else { continue };
            if part {
                // Its lines are among those of its list already.
                line.account.left_out.extend(account.left_out);
            } else {
                line.rules = account.used as usize;
                line.account = account;
                // Their line numbers count the lines of the configuration, which are not all rewrites.
                if settings.lists.get(usize::from(of)).is_some_and(ListSettings::is_rewrites) {
                    (line.lines, line.account.blank) = (line.account.used, 0);
                }
            }
        }
        layers.push((compiled, text_numbers));
    }
    let mut policy = Policy::new(policies, settings.clients.clone(), layers)
        .map_err(|e| error("the lists", &e, "remove the line or write it more simply"))?;
    report.rules = policy.rule_count();
    policy.precedence = settings.policy.precedence;
    policy.groups = groups(settings, &owners);
    policy.closed = settings.policy.closed;
    if policy.closed || policy.groups.all().iter().any(|group| group.closed) {
        policy.prepare_garden();
    }
    report.index_bytes = policy.index_len();
    Ok((policy, report))
}

/// The times of a rule within those of its list; `None` if no schedule can say them.
fn narrowed(of_list: Option<&Schedule>, own: Option<&Schedule>) -> Option<Schedule> {
    match (of_list, own?) {
        (Some(list), own) => own.within(list),
        (None, own) => Some(own.clone()),
    }
}

fn two_schedules() -> SkipReason {
    SkipReason::Feature("a rule with a schedule of its own in a list with one".into())
}

/// True if compiling again would give the same: nothing differs, and nothing comes from a file.
pub(super) fn same(one: &Settings, other: &Settings) -> bool {
    let from_file = one.lists.iter().any(|list| matches!(list.source, TextSource::File(_)));
    !from_file
        && one.lists == other.lists
        && one.clients == other.clients
        && one.groups == other.groups
        && one.policy == other.policy
        && one.block.contact == other.block.contact
        && one.server.listen == other.server.listen
        && route_numbers(one) == route_numbers(other)
}

/// The settings that all rules of a list share.
pub(super) fn list_policy(list: &ListSettings, contact: &Contact) -> ListPolicy {
    let language = contact.language.clone().or_else(|| Some("en".into()));
    // Web pages are meant for people and are not contacts in the sense of the draft.
    let contacts = contact.uris.iter().filter(|uri| !uri.starts_with("https:"));
    let structured = Structured {
        contacts: contacts.cloned().collect(),
        justification: list.notes.reason.clone(),
        // A sub-error states whose policy it is; it does not apply to an outside authority.
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

/// The groups of the settings. A listener that the server does not have leaves a group without clients.
/// Each group with upstreams of its own gets a route; see [`routes`]. `owners`: for each policy,
/// the number of its list in the settings.
fn groups(settings: &Settings, owners: &[(u16, bool)]) -> Groups {
    let routes = route_numbers(settings);
    let group = |group: &GroupSettings| Group {
        name: group.name.clone(),
        networks: group.networks.clone(),
        listeners: group
            .listeners
            .iter()
            .map(|a| settings.server.listen.iter().position(|l| l == a).and_then(|p| u16::try_from(p).ok()))
            .map(|number| number.unwrap_or(u16::MAX))
            .collect(),
        lists: group.lists.as_ref().map(|lists| {
            let theirs = owners.iter().zip(0u16..).filter(|((of, _), _)| lists.contains(of));
            theirs.map(|(_, number)| number).collect()
        }),
        action: group.action.clone(),
        closed: group.closed.unwrap_or(settings.policy.closed),
        schedule: group.schedule.clone(),
        route: group.upstreams.as_ref().and_then(|u| number_of(&routes, u)).unwrap_or(route::MAIN),
    };
    Groups::new(settings.groups.iter().map(group).collect(), settings.server.listen.len())
}

/// The groups that the rewrites of a list are for: all of a list are for the same.
fn only_groups(list: &ListSettings, settings: &Settings) -> Vec<u16> {
    let TextSource::Rewrites(rewrites) = &list.source else { return Vec::new() };
    let wanted = rewrites.first().map_or(&[][..], |rewrite| &rewrite.groups);
    let numbered = settings.groups.iter().zip(0u16..);
    numbered.filter(|(group, _)| wanted.contains(&group.name)).map(|(_, number)| number).collect()
}

/// Checks that compiled lists can be served: their patterns must not be too large.
///
/// # Errors
/// The first pattern that is too large.
pub fn serves(compiled: &Compiled) -> Result<(), BuildError> {
    let sources = compiled.tables.sources.iter();
    let policies = sources.map(|name| ListPolicy::new(name.clone(), Action::NxDomain, 0, None));
    let policies: Vec<_> = policies.collect();
    let numbers = (0u16..).take(policies.len()).collect();
    Policy::new(policies, Vec::new(), vec![(compiled.clone(), numbers)])
        .map(|_| ())
        .map_err(|e| error("the lists", &e, "remove the line or write it more simply"))
}
