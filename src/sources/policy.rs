//! The policy: all lists compiled, the settings of each list, and the groups.

use ipnet::IpNet;

use super::lists::{ListText, failure, read_list, without_addresses};
use super::progress::Build;
use super::report::{BuildError, Failure, ListReport, Report, error};
use super::routes::{number_of, route_numbers};
use super::store;
use crate::dns::sde::Structured;
use crate::lists::{Format, List, Unkept};
use crate::policy::{self, Account, Compiled, Group, Groups, ListPolicy, Options, Policy, Prefixes};
use crate::rule::Action;
use crate::settings::{Addresses, Contact, GroupSettings, ListSettings, Settings, TextSource};
use crate::upstream::route;

/// What was served before, for lists whose new text can't be used.
#[derive(Clone, Copy)]
pub struct LastGood<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// The settings it was built from.
    pub settings: &'p Settings,
    /// The report on it.
    pub report: &'p Report,
}

impl<'p> LastGood<'p> {
    /// The number and the report of a list, if the settings read it as they do now.
    fn of(self, list: &ListSettings) -> Option<(u16, &'p ListReport)> {
        let how = |l: &ListSettings| (l.format, l.effect, l.plain, l.addresses);
        let same = |l: &&ListSettings| l.name == list.name && l.source == list.source && how(l) == how(list);
        let at = self.settings.lists.iter().position(|l| same(&l))?;
        Some((u16::try_from(at).ok()?, self.report.lists.get(at)?))
    }
}

/// Compiles a policy and its report, without the rest of a snapshot: for `check` and `explain`.
///
/// # Errors
/// Every list that can't be read or is not a list.
pub fn compile(settings: &Settings, build: Build<'_>) -> Result<(Policy, Report), BuildError> {
    compile_after(settings, build, None)
}

/// A list that has been read.
struct Loaded {
    number: u16,
    line: ListReport,
    text: Option<List>,
    compiled: Option<Compiled>,
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
    let apart = settings.groups.iter().any(|g| g.lists.is_some());
    let (mut lists, mut failures) = (Vec::with_capacity(settings.lists.len()), Vec::new());
    for (list, number) in settings.lists.iter().zip(0u16..) {
        // The rules of a text are counted once it is compiled.
        let loaded = load(list, number, build, apart).and_then(|loaded| match loaded.text {
            Some(_) => Ok(loaded),
            None => accepted(list, loaded.line.clone(), last).map(|line| Loaded { line, ..loaded }),
        });
        match loaded.or_else(|failure| keep(list, number, failure, last)) {
            Ok(loaded) => lists.push(loaded),
            Err(failure) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(BuildError(failures));
    }
    let text = compile_texts(&mut lists, settings, build, last)?;
    let mut networks: Vec<(IpNet, u16)> = Vec::new();
    let (mut report, mut layers) = (Report::default(), Vec::new());
    for Loaded { number, line, compiled, .. } in lists {
        networks.extend(line.networks.iter().map(|network| (*network, number)));
        layers.extend(compiled.map(|compiled| {
            let sources = compiled.tables.sources.len();
            (compiled, vec![number; sources])
        }));
        report.lists.push(line);
    }
    layers.extend(text);
    let policies = settings.lists.iter().map(|list| list_policy(list, &settings.block.contact)).collect();
    let mut policy = Policy::new(policies, settings.clients.clone(), layers)
        .map_err(|e| error("the lists", &e, "remove the line or write it more simply"))?;
    policy.address_count = networks.len();
    policy.addresses = Prefixes::new(networks);
    report.rules = policy.rule_count();
    policy.precedence = settings.policy.precedence;
    policy.groups = groups(settings);
    report.index_bytes = policy.index_len();
    Ok((policy, report))
}

/// All text lists are compiled together, so that one lookup serves them all; each compiled index is a layer
/// of its own. A list whose new rules are refused is replaced by its earlier ones, and all are compiled
/// again. Returns the layer with the numbers of its lists.
fn compile_texts(
    lists: &mut [Loaded],
    settings: &Settings,
    build: Build<'_>,
    last: Option<LastGood<'_>>,
) -> Result<Option<(Compiled, Vec<u16>)>, BuildError> {
    let mut texts = Vec::new();
    let mut places = Vec::new();
    for (place, loaded) in lists.iter_mut().enumerate() {
        if let Some(text) = loaded.text.take() {
            texts.push((loaded.line.name.clone(), text));
            places.push(place);
        }
    }
    if texts.is_empty() {
        return Ok(None);
    }
    build.progress.stage("compiling");
    let options = Options { lines: true, left_out: build.left_out };
    let compiled = |texts: &[(String, List)]| {
        policy::compile(texts, options).map_err(|e| error("the lists", &e, "use fewer or smaller lists"))
    };
    let (mut all, accounts) = compiled(&texts)?;
    let (mut failures, mut replaced) = (Vec::new(), false);
    for ((account, place), (_, text)) in accounts.into_iter().zip(&places).zip(&mut texts) {
        let Some(loaded) = lists.get_mut(*place) else { continue };
        let Some(list) = settings.lists.get(usize::from(loaded.number)) else { continue };
        // The report on rules that are kept is that of the text that they were read from.
        if loaded.line.kept.is_some() {
            continue;
        }
        let line = accepted(list, counted(loaded.line.clone(), account, list), last);
        match line
            .map(|line| (line, None))
            .or_else(|failure| keep(list, loaded.number, failure, last).map(|kept| (kept.line, kept.text)))
        {
            Ok((line, kept)) => {
                loaded.line = line;
                if let Some(kept) = kept {
                    (*text, replaced) = (kept, true);
                }
            }
            Err(failure) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(BuildError(failures));
    }
    if replaced {
        (all, _) = compiled(&texts)?;
    }
    drop(texts);
    all.index = all.index.moved(store::settle);
    let numbers = places.iter().filter_map(|place| lists.get(*place)).map(|loaded| loaded.number);
    Ok(Some((all, numbers.collect())))
}

/// Reads a list.
fn load(list: &ListSettings, number: u16, build: Build<'_>, apart: bool) -> Result<Loaded, Failure> {
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
        answers: 0,
        networks: Vec::new(),
        before: None,
        kept: None,
    };
    let (rest, addresses) = without_addresses(list)?;
    if let Some(addresses) = addresses {
        let used = addresses.networks.len();
        (line.format, line.lines, line.rules) = (Format::Domains, addresses.lines, used);
        line.account.used = u32::try_from(used).unwrap_or(u32::MAX);
        line.account.invalid = u32::try_from(addresses.skipped.len()).unwrap_or(u32::MAX);
        line.account.blank = line.lines - line.account.used.saturating_add(line.account.invalid);
        line.skipped = addresses.skipped;
        line.networks = addresses.networks.into_iter().map(|(network, _)| network).collect();
    }
    let Some(rest) = rest else { return Ok(Loaded { number, line, text: None, compiled: None }) };
    let mut rest = rest.into_owned();
    if build.left_out {
        rest.bounds.budget.kept = usize::MAX;
    }
    // What is left without addresses is not in a file; the list is.
    let read = read_list(&rest, build.progress).map_err(|of_rest| Failure {
        help: of_rest.help,
        line: of_rest.line,
        ..failure(list, &of_rest.reason)
    })?;
    match read {
        ListText::Compiled(compiled) => {
            line.rules = compiled.index.entry_count() + compiled.tables.patterns.len();
            Ok(Loaded { number, line, text: None, compiled: Some(*compiled) })
        }
        ListText::Text(mut text) => {
            (line.format, line.lines, line.detected) = (text.format, text.lines, text.detected);
            (line.unkept, line.answers) = (text.unkept, text.answers);
            line.skipped.append(&mut text.skipped.clone());
            // If rules of this list apply only to some clients or at some times, its `$badfilter` rules
            // must not cancel rules of other lists.
            text.alone = apart || list.schedule.is_some() || !list.types.is_empty();
            Ok(Loaded { number, line, text: Some(*text), compiled: None })
        }
    }
}

/// The rules that `last` has of a list whose new text can't be used.
fn keep(
    list: &ListSettings,
    number: u16,
    failure: Failure,
    last: Option<LastGood<'_>>,
) -> Result<Loaded, Failure> {
    let Some((last, (old, line))) = last.and_then(|last| Some((last, last.of(list)?))) else {
        return Err(failure);
    };
    let at = failure.line.map_or(String::new(), |line| format!("line {line}: "));
    let line = ListReport { kept: Some(at + &failure.reason), before: None, ..line.clone() };
    let (mut text, mut compiled) = (None, None);
    if line.format == Format::Index {
        compiled = last.policy.kept_index(old);
    } else if list.addresses != Addresses::Only {
        text = Some(last.policy.kept(old, line.format));
    }
    Ok(Loaded { number, line, text, compiled })
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

/// Compares a list with its bounds and with what it was.
///
/// # Errors
/// It may not replace what it was.
fn accepted(
    list: &ListSettings,
    mut line: ListReport,
    last: Option<LastGood<'_>>,
) -> Result<ListReport, Failure> {
    line.before = last.and_then(|last| last.of(list)).map(|(_, was)| was.rules);
    if !line.in_file {
        return Ok(line);
    }
    let (rules, duplicates) = (line.rules, line.account.duplicate);
    let before = line.before.unwrap_or(0);
    let lost = before.saturating_sub(rules).saturating_mul(100);
    let bounds = &list.bounds;
    let reason = if duplicates > bounds.duplicates {
        let most = bounds.duplicates;
        format!("{duplicates} lines repeat an earlier one, and `max-duplicates` is {most}")
    } else if let Some(least) = bounds.min_rules.filter(|least| rules < *least as usize) {
        format!("it gives {}, and `min-rules` is {least}", plural(rules))
    } else if rules == 0 && before > 0 && bounds.min_rules.is_none() {
        "it gives no rules any more; if that is right, set `min-rules = 0`".to_owned()
    } else if let Some(most) = bounds.max_shrink.filter(|most| lost > before.saturating_mul((*most).into())) {
        format!("it gives {} after {before}, and `max-shrink` is {most}%", plural(rules))
    } else {
        return Ok(line);
    };
    Err(failure(list, &reason))
}

fn plural(rules: usize) -> String {
    if rules == 1 { "1 rule".to_owned() } else { format!("{rules} rules") }
}

/// True if compiling again would give the same: nothing differs, and nothing comes from a file.
pub(super) fn same(one: &Settings, other: &Settings) -> bool {
    let from_file = one.lists.iter().any(|list| matches!(list.source, TextSource::File(_)));
    !from_file
        && one.lists == other.lists
        && one.clients == other.clients
        && one.groups == other.groups
        && one.policy.precedence == other.policy.precedence
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
/// Each group with upstreams of its own gets a route; see [`routes`].
fn groups(settings: &Settings) -> Groups {
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
        lists: group.lists.clone(),
        action: group.action.clone(),
        schedule: group.schedule.clone(),
        route: group.upstreams.as_ref().and_then(|u| number_of(&routes, u)).unwrap_or(route::MAIN),
    };
    Groups::new(settings.groups.iter().map(group).collect(), settings.server.listen.len())
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
