//! The policy: all lists compiled, the settings of each list, and the groups.

use std::borrow::Cow;

use super::last_good::{LastGood, Loaded, accepted, keep};
use super::lists::{ListText, read_list};
use super::progress::Build;
use super::report::{BuildError, Failure, ListReport, Reading, Report, error};
use super::routes::{number_of, route_numbers};
use super::store;
use crate::dns::sde::Structured;
use crate::lists::{Format, List, SkipReason, Unkept};
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
    compile_after(settings, build, None)
}

/// Like [`compile`]; a list that can't be used keeps the rules that `last` has of it.
///
/// # Errors
/// Every list that can't be used and was not served before.
pub(super) fn compile_after(
    settings: &Settings,
    build: Build<'_>,
    last: Option<LastGood<'_>>,
) -> Result<(Policy, Report), BuildError> {
    let (mut lists, mut failures) = (Vec::with_capacity(settings.lists.len()), Vec::new());
    for list in &settings.lists {
        // The rules of a text are counted when it has been compiled.
        let loaded = load(list, settings, build).and_then(|loaded| match loaded.texts.len() {
            0 => accepted(list, loaded.line.clone(), last).map(|line| Loaded { line, ..loaded }),
            _ => Ok(loaded),
        });
        match loaded.or_else(|failure| keep(list, failure, last)) {
            Ok(loaded) => lists.push(loaded),
            Err(failure) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(BuildError(failures));
    }
    let text = compile_texts(&mut lists, settings, build, last)?;
    // Rules with their own times form an extra list after the list that they are in. For each list of the policy:
    // the number of its list in the settings.
    let (mut policies, mut owners) = (Vec::new(), Vec::new());
    let (mut report, mut layers) = (Report::default(), Vec::new());
    let mut text_numbers = Vec::new();
    for ((list, of), loaded) in settings.lists.iter().zip(0u16..).zip(lists) {
        let number = u16::try_from(policies.len()).unwrap_or(u16::MAX);
        let mut policy = list_policy(list, &settings.block.contact);
        policy.only_groups = only_groups(list, settings);
        policies.push(policy);
        owners.push(of);
        if let Some(compiled) = loaded.compiled {
            let sources = compiled.tables.sources.len();
            layers.push((compiled, vec![number; sources]));
        }
        for (schedule, _) in loaded.texts {
            let Some(schedule) = schedule else {
                text_numbers.push(number);
                continue;
            };
            text_numbers.push(u16::try_from(policies.len()).unwrap_or(u16::MAX));
            let mut own = list_policy(list, &settings.block.contact);
            own.schedule = Some(schedule);
            policies.push(own);
            owners.push(of);
        }
        report.lists.push(loaded.line);
    }
    layers.extend(text.map(|compiled| (compiled, text_numbers)));
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

/// All text lists are compiled together, so that one lookup serves them all; each compiled index is a layer
/// of its own. A list whose new rules are refused is replaced by its earlier ones, and all are compiled
/// again. The texts are consumed.
fn compile_texts(
    lists: &mut [Loaded],
    settings: &Settings,
    build: Build<'_>,
    last: Option<LastGood<'_>>,
) -> Result<Option<Compiled>, BuildError> {
    if lists.iter().all(|loaded| loaded.texts.is_empty()) {
        return Ok(None);
    }
    build.progress.stage("compiling");
    let options = Options { lines: true, left_out: build.left_out };
    let compiled = |texts: &[(String, List)]| {
        policy::compile(texts, options).map_err(|e| error("the lists", &e, "use fewer or smaller lists"))
    };
    let mut texts = taken(lists);
    let (mut all, accounts) = compiled(&texts)?;
    let (mut failures, mut refused, mut accounts) = (Vec::new(), Vec::new(), accounts.into_iter());
    for (place, (loaded, list)) in lists.iter_mut().zip(&settings.lists).enumerate() {
        let mut own = accounts.by_ref().take(loaded.texts.len());
        let Some(mut account) = own.next() else { continue };
        // The lines of rules with their own times are counted among those of their list.
        own.for_each(|of_part| account.left_out.extend(of_part.left_out));
        // The report on rules that are kept is that of the text that they were read from.
        if loaded.line.kept.is_some() {
            continue;
        }
        let line = accepted(list, counted(loaded.line.clone(), account, list), last);
        match line.map_err(|failure| keep(list, failure, last)) {
            Ok(line) => loaded.line = line,
            Err(Ok(kept)) => refused.push((place, kept)),
            Err(Err(failure)) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(BuildError(failures));
    }
    if !refused.is_empty() {
        let mut texts_again = texts.into_iter().map(|(_, text)| text);
        for (_, text) in lists.iter_mut().flat_map(|loaded| &mut loaded.texts) {
            *text = texts_again
                .next()
                .unwrap_or_else(|| List::of_rules(Format::Auto, Vec::new(), Vec::new(), Vec::new()));
        }
        for (place, kept) in refused {
            if let Some(loaded) = lists.get_mut(place) {
                *loaded = kept;
            }
        }
        texts = taken(lists);
        (all, _) = compiled(&texts)?;
    }
    drop(texts);
    all.index = all.index.moved(store::settle);
    Ok(Some(all))
}

/// Takes the texts out of the lists, each with its list's name.
fn taken(lists: &mut [Loaded]) -> Vec<(String, List)> {
    let mut texts = Vec::new();
    for loaded in lists {
        for (_, text) in &mut loaded.texts {
            let empty = List::of_rules(Format::Auto, Vec::new(), Vec::new(), Vec::new());
            texts.push((loaded.line.name.clone(), std::mem::replace(text, empty)));
        }
    }
    texts
}

/// Reads a list.
fn load(list: &ListSettings, settings: &Settings, build: Build<'_>) -> Result<Loaded, Failure> {
    let mut line = ListReport {
        name: list.name.clone(),
        source: list.source.describe(),
        in_file: matches!(list.source, TextSource::File(_)),
        format: Format::Index,
        detected: None,
        lines: 0,
        rules: 0,
        account: Account::default(),
        skipped: Vec::new(),
        unkept: Unkept::default(),
        confined: Vec::new(),
        before: None,
        kept: None,
        reading: Reading::default(),
    };
    let mut bounded = Cow::Borrowed(list);
    if build.left_out {
        bounded.to_mut().bounds.budget.kept = usize::MAX;
    }
    match read_list(&bounded, &settings.schedules, build.progress)? {
        ListText::Compiled(compiled, confined) => {
            // It is part of the index.
            line.reading.match_unused = list.plain.is_some();
            let tables = &compiled.tables;
            line.rules = compiled.index.entry_count() + tables.patterns.len() + tables.addresses.len();
            line.confined = confined;
            Ok(Loaded { line, texts: Vec::new(), compiled: Some(*compiled) })
        }
        ListText::Text(mut text) => {
            let mut parts = Vec::new();
            for (schedule, part) in std::mem::take(&mut text.timed) {
                match narrowed(list.schedule.as_ref(), settings.schedules.get(&schedule)) {
                    Some(schedule) => parts.push((Some(schedule), part)),
                    None => text.refuse_all(&part, &two_schedules()),
                }
            }
            line.reading = Reading::of(&text, list);
            (line.format, line.lines, line.detected) = (text.format, text.lines, text.detected);
            line.unkept = text.unkept;
            line.skipped.clone_from(&text.skipped);
            line.confined.clone_from(&text.confined);
            // If rules of this list apply only to some clients or at some times, its `$badfilter` rules
            // must not cancel rules of other lists.
            let apart = settings.groups.iter().any(|g| g.lists.is_some());
            text.alone |= apart || list.schedule.is_some() || !list.types.is_empty();
            parts.insert(0, (None, *text));
            Ok(Loaded { line, texts: parts, compiled: None })
        }
    }
}

/// The times of a rule within those of its list; `None` if no single schedule can express them.
fn narrowed(of_list: Option<&Schedule>, own: Option<&Schedule>) -> Option<Schedule> {
    match (of_list, own?) {
        (Some(list), own) => own.within(list),
        (None, own) => Some(own.clone()),
    }
}

fn two_schedules() -> SkipReason {
    SkipReason::Feature("a rule with its own schedule in a list that has one too".into())
}

/// The report with the outcome of each line.
fn counted(mut line: ListReport, account: Account, list: &ListSettings) -> ListReport {
    let addresses = line.rules;
    line.rules = addresses + account.used as usize;
    line.account = account;
    // The rule reader saw these lines as blank.
    let addresses = u32::try_from(addresses).unwrap_or(u32::MAX);
    line.account.used += addresses;
    line.account.blank = line.account.blank.saturating_sub(addresses);
    // Their line numbers count the lines of the configuration, which are not all rewrites.
    if list.is_rewrites() {
        (line.lines, line.account.blank) = (line.account.used, 0);
    }
    line
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
fn groups(settings: &Settings, owners: &[u16]) -> Groups {
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
            let theirs = owners.iter().zip(0u16..).filter(|(of, _)| lists.contains(of));
            theirs.map(|(_, number)| number).collect()
        }),
        action: group.action.clone(),
        closed: group.closed.unwrap_or(settings.policy.closed),
        schedule: group.schedule.clone(),
        route: group.upstreams.as_ref().and_then(|u| number_of(&routes, u)).unwrap_or(route::MAIN),
    };
    Groups::new(settings.groups.iter().map(group).collect(), settings.server.listen.len())
}

/// The groups that the rewrites of a list are for; all rewrites of one list have the same groups.
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
