//! The decision on one name: every rule that matches, and the one that wins by the [ladder](super::ladder()).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ladder::{Decider, Rung};
use super::layer::{Entry, Layer};
use super::list::known;
use super::origin::RuleId;
use super::policy::Policy;
use super::verdict::Verdict;
use super::view::View;
use crate::dns::{MAX_NAME, Name, Qtype};
use crate::rule::{Action, Client, Effect, Match, Scope, Traits};
use crate::trie::text_of;

/// A query's context beside the name: the client and the type.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'v> {
    /// The client's address.
    pub client: IpAddr,
    /// The type in question.
    pub qtype: Qtype,
    /// The lists that apply to the client; `None`: all of them.
    pub view: Option<&'v View>,
}

/// Walks the ladder for one question. Allocates nothing.
#[must_use]
pub fn decide(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Verdict {
    let mut best: Option<Decider> = None;
    let mut exceptions = false;
    candidates(policy, name, asker, |candidate| {
        if candidate.rung == Rung::RewriteException {
            exceptions = true;
        } else if best.is_none_or(|b| candidate.beats(b, policy.precedence)) {
            best = Some(candidate);
        }
    });
    if exceptions && best.is_some_and(|b| b.rung == Rung::Rewrite) {
        best = without_excepted(policy, name, asker);
    }
    match best {
        None => by_default(asker, Verdict::NoRule),
        Some(d) => match d.rung {
            Rung::ImportantAllow | Rung::Allow | Rung::RewriteException => Verdict::Allowed(d),
            Rung::ImportantBlock | Rung::Block | Rung::Rewrite | Rung::OwnRewrite => Verdict::Blocked(d),
            Rung::Log => by_default(asker, Verdict::Logged(d)),
            Rung::Nothing => by_default(asker, Verdict::NoRule),
        },
    }
}

/// What becomes of a name that no rule lets pass or blocks.
fn by_default(asker: Asker<'_>, otherwise: Verdict) -> Verdict {
    if asker.view.is_some_and(|view| view.closed) { Verdict::Default } else { otherwise }
}

/// Walks the ladder for a name that an answer leads to. Nothing is rewritten: a rewrite that denies the
/// name blocks it, any other is ignored.
#[must_use]
pub fn decide_in_answer(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Verdict {
    let mut best: Option<Decider> = None;
    candidates(policy, name, asker, |candidate| {
        let candidate = match candidate.rung {
            Rung::OwnRewrite | Rung::RewriteException => return,
            Rung::Rewrite => {
                let denies =
                    policy.traits(candidate.rule).and_then(|t| t.action.as_ref()).is_some_and(denies);
                if !denies || excepted(policy, name, asker, candidate) {
                    return;
                }
                Decider { rung: Rung::Block, ..candidate }
            }
            _ => candidate,
        };
        if best.is_none_or(|b| candidate.beats(b, policy.precedence)) {
            best = Some(candidate);
        }
    });
    match best {
        None => by_default(asker, Verdict::NoRule),
        Some(d) => match d.rung {
            Rung::ImportantAllow | Rung::Allow => Verdict::Allowed(d),
            Rung::Log => by_default(asker, Verdict::Logged(d)),
            _ => Verdict::Blocked(d),
        },
    }
}

/// The list that decides on an address in the answer to a question, and on which rung: an `important` exception,
/// an `important` block, an exception, a block; within a rung, the smallest network. `None`: no rule has it.
#[must_use]
pub fn decide_address(
    policy: &Policy,
    address: IpAddr,
    name: Name<'_>,
    asker: Asker<'_>,
) -> Option<(u16, Rung)> {
    let mut best: Option<(u16, Rung)> = None;
    let kinds =
        || policy.addresses.around(address).iter().filter_map(|n| policy.address_kinds.get(*n as usize));
    let speaks = |layer: u16, entry: Entry| {
        asker.view.is_none_or(|view| view.has(entry.list))
            && (!entry.scoped
                || policy
                    .layers
                    .get(usize::from(layer))
                    .is_some_and(|layer| rule_applies(policy, layer, entry, name, asker)))
    };
    for (layer, entry) in kinds() {
        let rung = rung_for(*entry, asker);
        let better = best.is_none_or(|(_, known)| rung < known);
        if rung == Rung::Nothing || !better || !speaks(*layer, *entry) {
            continue;
        }
        let excepted = |(of, other): &(u16, Entry)| {
            other.excepts && (*of, other.source) == (*layer, entry.source) && speaks(*of, *other)
        };
        if !kinds().any(excepted) {
            best = Some((entry.list, rung));
        }
    }
    best
}

/// The rung of a rule for this client: one without an action of its own takes that of the client's group.
fn rung_for(entry: Entry, asker: Asker<'_>) -> Rung {
    match asker.view.and_then(|v| v.action.as_ref()).filter(|_| entry.inherits) {
        Some(action) if *action == Action::Log => Rung::Log,
        Some(_) => entry.blocks,
        None => entry.rung,
    }
}

/// True for an answer that keeps the client from reaching its destination.
fn denies(action: &Action) -> bool {
    match action {
        Action::NxDomain
        | Action::NoData
        | Action::Refused
        | Action::ServFail
        | Action::Null
        | Action::Drop => true,
        Action::Address(v4, v6) => {
            v4.iter().all(Ipv4Addr::is_unspecified) && v6.iter().all(Ipv6Addr::is_unspecified)
        }
        Action::Records(data) => {
            data.iter().all(|d| matches!(d.rtype, Qtype::A | Qtype::AAAA) && d.rdata.iter().all(|o| *o == 0))
        }
        Action::Cname(_) | Action::Truncate | Action::Log => false,
    }
}

/// Walks the ladder again, for the rare name that has both rewrites and exceptions from them.
#[cold]
fn without_excepted(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Option<Decider> {
    let mut best: Option<Decider> = None;
    candidates(policy, name, asker, |candidate| {
        let stands = match candidate.rung {
            Rung::RewriteException => false,
            Rung::Rewrite => !excepted(policy, name, asker, candidate),
            _ => true,
        };
        if stands && best.is_none_or(|b| candidate.beats(b, policy.precedence)) {
            best = Some(candidate);
        }
    });
    best
}

/// True if an exception cancels a rewrite: one without a value cancels all rewrites, one with a value those
/// with the same value; it must be important to cancel an important rewrite.
fn excepted(policy: &Policy, name: Name<'_>, asker: Asker<'_>, rewrite: Decider) -> bool {
    let Some(victim) = policy.traits(rewrite.rule) else { return false };
    let mut found = false;
    candidates(policy, name, asker, |candidate| {
        if candidate.rung == Rung::RewriteException
            && let Some(exception) = policy.traits(candidate.rule)
        {
            found |= (exception.important || !victim.important)
                && (exception.action.is_none() || exception.action == victim.action);
        }
    });
    found
}

/// Every rule that matches and applies to this question, each with its rung, in no particular order.
pub fn candidates(policy: &Policy, name: Name<'_>, asker: Asker<'_>, mut found: impl FnMut(Decider)) {
    for (layer, number) in policy.layers.iter().zip(0u16..) {
        let mut offer = |entry: Entry, at: u32, nth: usize, matching: Option<Match>, depth: u8| {
            if entry.rung == Rung::Nothing || asker.view.is_some_and(|view| !view.has(entry.list)) {
                return;
            }
            if entry.scoped && !rule_applies(policy, layer, entry, name, asker) {
                return;
            }
            if entry.closest && is_overridden(policy, layer, name, asker, (entry, depth, matching)) {
                return;
            }
            if matches!(entry.rung, Rung::OwnRewrite | Rung::Rewrite)
                && is_itself(layer.traits(entry.traits), name)
            {
                return;
            }
            let rung = rung_for(entry, asker);
            let nth = u16::try_from(nth).unwrap_or(u16::MAX);
            let (traits, source) = (entry.traits, entry.source);
            let rule = RuleId { layer: number, at, nth, matching, traits, source };
            found(Decider { rule, list: entry.list, depth, rung });
        };
        layer.compiled.index.lookup(name, |hit| {
            for (nth, entry) in layer.class(hit.id).iter().enumerate() {
                offer(*entry, hit.place, nth, Some(hit.matching), hit.depth);
            }
        });
        if !layer.patterns.is_empty() {
            let mut room = [0; MAX_NAME];
            layer.patterns.matches(text_of(name, &mut room), |id| {
                if let Some(entry) = layer.pattern_entries.get(id as usize) {
                    offer(*entry, id, 0, None, 0);
                }
            });
        }
    }
}

/// True if a closer rule of the same list applies to the question, or an exception of the list.
#[cold]
fn is_overridden(
    policy: &Policy,
    layer: &Layer,
    name: Name<'_>,
    asker: Asker<'_>,
    (entry, depth, matching): (Entry, u8, Option<Match>),
) -> bool {
    if layer.traits(entry.traits).is_none_or(|traits| !traits.closest) {
        return is_excepted(policy, layer, name, asker, entry);
    }
    let closeness = |depth: u8, matching: Option<Match>| (depth, matching == Some(Match::Exact));
    let mut found = false;
    layer.compiled.index.lookup(name, |hit| {
        if closeness(hit.depth, Some(hit.matching)) > closeness(depth, matching) {
            let speaks = |other: &&Entry| {
                other.source == entry.source
                    && other.closest
                    && (!other.scoped || rule_applies(policy, layer, **other, name, asker))
            };
            let mut others = layer.class(hit.id).iter().filter(speaks);
            // What ends a wildcard does not end a rule for every name.
            found |= if depth == 0 && matching.is_some() {
                let of = |other: &Entry| (*other, hit.depth, Some(hit.matching));
                let decides = |rung| rung != Rung::Nothing;
                others.any(|o| {
                    decides(o.rung) && !is_overridden(policy, layer, name, asker, of(o))
                        || layer.traits(o.traits).is_some_and(|t| t.effect == Effect::Except)
                })
            } else {
                others.next().is_some()
            };
        }
    });
    found
}

/// True if an exception of the rule's own list lifts it; an important rule only yields to an important one.
fn is_excepted(policy: &Policy, layer: &Layer, name: Name<'_>, asker: Asker<'_>, entry: Entry) -> bool {
    let important = |entry: Entry| layer.traits(entry.traits).is_some_and(|traits| traits.important);
    let lifts = |other: &Entry| {
        other.excepts
            && other.source == entry.source
            && (important(*other) || !important(entry))
            && (!other.scoped || rule_applies(policy, layer, *other, name, asker))
    };
    let mut found = false;
    layer.compiled.index.lookup(name, |hit| found |= layer.class(hit.id).iter().any(lifts));
    if !found && !layer.patterns.is_empty() {
        let mut room = [0; MAX_NAME];
        layer.patterns.matches(text_of(name, &mut room), |id| {
            found |= layer.pattern_entries.get(id as usize).is_some_and(lifts);
        });
    }
    found
}

/// True for a rewrite to the name itself, which would only loop.
fn is_itself(traits: Option<&Traits>, name: Name<'_>) -> bool {
    match traits.and_then(|t| t.action.as_ref()) {
        Some(Action::Cname(target)) => target.as_name() == name,
        _ => false,
    }
}

/// True if a rule applies to the question, according to its list's types and its own scope.
#[cold]
pub(super) fn rule_applies(
    policy: &Policy,
    layer: &Layer,
    entry: Entry,
    name: Name<'_>,
    asker: Asker<'_>,
) -> bool {
    let types = policy.list(entry.list).map_or(&[][..], |list| &list.types);
    (types.is_empty() || types.contains(&asker.qtype))
        && layer.scope(entry).is_none_or(|scope| applies(scope, policy, name, asker))
}

/// True if a rule with this scope applies to the question.
fn applies(scope: &Scope, policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> bool {
    let client = known(&policy.clients, asker.client);
    let is = |wanted: &Client| match wanted {
        Client::Network(network) => network.contains(&asker.client),
        Client::Name(wanted) => client.is_some_and(|c| c.name == *wanted),
    };
    let has = |tag: &String| client.is_some_and(|c| c.tags.contains(tag));
    (scope.types.is_empty() || scope.types.contains(&asker.qtype))
        && !scope.not_types.contains(&asker.qtype)
        && (scope.clients.is_empty() || scope.clients.iter().any(is))
        && !scope.not_clients.iter().any(is)
        && (scope.tags.is_empty() || scope.tags.iter().any(has))
        && !scope.not_tags.iter().any(has)
        && !scope.except.iter().any(|except| name.is_within(except.as_name()))
}

/// The rules that match, the deciding one first, as far as the ladder orders them: for `explain`.
#[must_use]
pub fn ladder(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Vec<Decider> {
    let mut all = Vec::new();
    candidates(policy, name, asker, |c| all.push(c));
    // The sort is stable, so that of two on the same name in the same list the earlier line stays first.
    let precedence = policy.precedence;
    all.sort_by(|a, b| match (a.beats(*b, precedence), b.beats(*a, precedence)) {
        (true, _) => std::cmp::Ordering::Less,
        (_, true) => std::cmp::Ordering::Greater,
        _ => std::cmp::Ordering::Equal,
    });
    all
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::compile::{Account, Options, compile};
    use super::super::list::{KnownClient, ListPolicy};
    use super::*;
    use crate::dns::NameBuf;
    use crate::lists::parse;
    use crate::rule::Format;
    use proptest::prelude::*;

    const HERE: Asker = Asker { client: IpAddr::V4(Ipv4Addr::LOCALHOST), qtype: Qtype::A, view: None };

    fn compiled(lists: &[(&str, Action, Vec<String>)]) -> (Policy, Vec<Account>) {
        let parsed: Vec<_> = lists
            .iter()
            .map(|(name, _, rules)| {
                let list = parse(rules.join("\n").as_bytes(), Format::AdGuard, None, Effect::Block).unwrap();
                assert_eq!(list.skipped, []);
                ((*name).to_owned(), list)
            })
            .collect();
        let (compiled, accounts) = compile(&parsed, Options { lines: true, left_out: true }).unwrap();
        let clients = vec![KnownClient {
            name: "kid".into(),
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            tags: vec!["pc".into()],
        }];
        let policies = lists.iter().map(|(n, a, _)| ListPolicy::new((*n).into(), a.clone(), 60, None));
        let numbers = (0u16..).take(lists.len()).collect();
        (Policy::new(policies.collect(), clients, vec![(compiled, numbers)]).unwrap(), accounts)
    }

    fn policy(lists: &[(&str, Action, &[&str])]) -> Policy {
        let lists: Vec<_> = lists
            .iter()
            .map(|(n, a, rules)| (*n, a.clone(), rules.iter().map(|r| (*r).to_owned()).collect()))
            .collect();
        compiled(&lists).0
    }

    /// Verdict, list name and line.
    fn ask_as(policy: &Policy, name: &str, asker: Asker) -> String {
        let verdict = decide(policy, NameBuf::from_text(name).unwrap().as_name(), asker);
        match verdict.decider() {
            None => verdict.word().to_owned(),
            Some(d) => {
                let line = policy.origin(d.rule).unwrap().line;
                format!("{} {}:{line}", verdict.word(), policy.lists[usize::from(d.list)].name)
            }
        }
    }

    fn ask(policy: &Policy, name: &str) -> String {
        ask_as(policy, name, HERE)
    }

    #[test]
    fn the_ladder() {
        let p = policy(&[
            ("watch", Action::Log, &["||noted.org^", "||linkedin.com^"]),
            (
                "ads",
                Action::NxDomain,
                &[
                    "||linkedin.com^",
                    "||*.sub.org^",
                    "|only.org^",
                    "||shared.net^",
                    "||x.hard.org^$important",
                ],
            ),
            (
                "own",
                Action::NoData,
                &["@@||business.linkedin.com^", "||shared.net^", "@@||hard.org^", "||a.shared.net^"],
            ),
            ("must", Action::Refused, &["@@||y.x.hard.org^$important", "||linkedin.com^"]),
        ]);
        for (name, expected) in [
            ("linkedin.com", "blocked ads:1"),
            ("LinkedIn.com", "blocked ads:1"),
            ("www.linkedin.com", "blocked ads:1"),
            ("notlinkedin.com", "pass"),
            ("business.linkedin.com", "allowed own:1"),
            ("x.business.linkedin.com", "allowed own:1"),
            ("noted.org", "logged watch:1"),
            ("sub.org", "pass"),
            ("a.sub.org", "blocked ads:2"),
            ("only.org", "blocked ads:3"),
            ("a.only.org", "pass"),
            ("shared.net", "blocked ads:4"),
            // The list's own broader rule has the same effect, so this one was dropped.
            ("b.a.shared.net", "blocked own:4"),
            ("hard.org", "allowed own:3"),
            ("x.hard.org", "blocked ads:5"),
            ("y.x.hard.org", "allowed must:1"),
        ] {
            assert_eq!(ask(&p, name), expected, "{name}");
        }
    }

    #[test]
    fn modifiers_narrow_a_rule() {
        let p = policy(&[(
            "l",
            Action::NxDomain,
            &[
                "||typed.org^$dnstype=AAAA|HTTPS",
                "||not.org^$dnstype=~A",
                "||kids.org^$client=10.0.0.0/8",
                "||named.org^$client=kid",
                "||grown.org^$client=~kid",
                "||tag.org^$ctag=pc",
                "||zone.org^$denyallow=good.zone.org",
                "ads.*.cdn.org",
                "/^track[0-9]+\\./",
                "||taken.org^",
                "||taken.org^$badfilter",
            ],
        )]);
        let kid = Asker { client: [10, 1, 1, 1].into(), qtype: Qtype::A, view: None };
        let six = Asker { qtype: Qtype::AAAA, ..HERE };
        for (name, asker, expected) in [
            ("typed.org", HERE, "pass"),
            ("a.typed.org", six, "blocked l:1"),
            ("not.org", HERE, "pass"),
            ("not.org", six, "blocked l:2"),
            ("kids.org", HERE, "pass"),
            ("kids.org", kid, "blocked l:3"),
            ("named.org", HERE, "pass"),
            ("named.org", kid, "blocked l:4"),
            ("grown.org", HERE, "blocked l:5"),
            ("grown.org", kid, "pass"),
            ("tag.org", HERE, "pass"),
            ("tag.org", kid, "blocked l:6"),
            ("bad.zone.org", HERE, "blocked l:7"),
            ("x.good.zone.org", HERE, "pass"),
            ("ads.eu.cdn.org", HERE, "blocked l:8"),
            ("track12.example.net", HERE, "blocked l:9"),
            ("tracks.example.net", HERE, "pass"),
            ("taken.org", HERE, "pass"),
        ] {
            assert_eq!(ask_as(&p, name, asker), expected, "{name} {asker:?}");
        }
    }

    #[test]
    fn rewrites_precede_the_ladder_and_exceptions_cancel_them() {
        let p = policy(&[(
            "l",
            Action::NxDomain,
            &[
                "||a.org^$dnsrewrite=192.0.2.1",
                "@@||a.org^",
                "||b.org^$dnsrewrite=192.0.2.1",
                "@@||b.org^$dnsrewrite",
                "||c.org^$dnsrewrite=192.0.2.1",
                "@@||c.org^$dnsrewrite=192.0.2.2",
                "||d.org^",
                "||d.org^$dnsrewrite=192.0.2.1",
                "@@||d.org^$dnsrewrite=192.0.2.1",
            ],
        )]);
        for (name, expected) in [
            ("a.org", "rewritten l:1"),
            ("b.org", "pass"),
            ("c.org", "rewritten l:5"),
            ("d.org", "blocked l:7"),
        ] {
            assert_eq!(ask(&p, name), expected, "{name}");
        }
    }

    #[test]
    fn a_rewrite_to_the_name_itself_is_ignored_and_exceptions_match_one_answer_of_several() {
        let p = policy(&[(
            "l",
            Action::NxDomain,
            &[
                "||a.org^$dnsrewrite=safe.a.org",
                "||b.org^$dnsrewrite=192.0.2.1",
                "||b.org^$dnsrewrite=192.0.2.2",
                "@@||b.org^$dnsrewrite=192.0.2.1",
            ],
        )]);
        for (name, expected) in
            [("a.org", "rewritten l:1"), ("safe.a.org", "pass"), ("b.org", "rewritten l:3")]
        {
            assert_eq!(ask(&p, name), expected, "{name}");
        }
    }

    #[test]
    fn many_answers_for_one_name_are_one_compact_answer() {
        let lines: Vec<String> =
            (0..2000).map(|i| format!("address=/a.org/10.0.{}.{}", i / 250, i % 250)).collect();
        let list = parse(lines.join("\n").as_bytes(), Format::Dnsmasq, None, Effect::Block).unwrap();
        let options = Options { lines: true, left_out: false };
        let (compiled, accounts) = compile(&[("l".into(), list)], options).unwrap();
        assert_eq!((accounts[0].used, compiled.index.entry_count()), (2000, 1));
        let all = |t: &&Traits| matches!(&t.action, Some(Action::Address(v4, _)) if v4.len() == 2000);
        assert_eq!(compiled.tables.traits.iter().filter(all).count(), 1);
        assert!(compiled.tables.traits.len() <= 2001);
    }

    #[test]
    fn every_line_is_accounted_for() {
        let rules = [
            "||a.org^",
            "||a.org^",
            "||x.a.org^",
            "@@||y.a.org^",
            "||z.y.a.org^",
            "|a.org^",
            "||q.org^$badfilter",
            "||q.org^",
        ];
        let (_, accounts) = compiled(&[("l", Action::NxDomain, rules.map(str::to_owned).to_vec())]);
        let account = &accounts[0];
        let counts = (account.used, account.duplicate, account.covered, account.cancelled);
        // The block of z.y.a.org stays: there is an allow between it and the broader block.
        assert_eq!(counts, (4, 1, 2, 1), "{account:?}");
        let left_out: Vec<_> = account.left_out.iter().map(|l| (l.line, l.rule.as_str())).collect();
        assert_eq!(left_out, [(2, "a.org"), (3, "x.a.org"), (6, "a.org"), (8, "q.org")]);
    }

    type Parsed = (NameBuf, Match, Effect, bool);

    /// The rule as text for the parser, and as the model represents it.
    fn rule((allow, kind, labels, important): (bool, u8, Vec<&'static str>, bool)) -> (String, Parsed) {
        let name = labels.join(".");
        let (pattern, matching) = match kind {
            0 => (format!("|{name}^"), Match::Exact),
            1 => (format!("||{name}^"), Match::Suffix),
            _ => (format!("||*.{name}^"), Match::Subdomains),
        };
        let mark = if important { "$important" } else { "" };
        let text = format!("{}{pattern}{mark}", if allow { "@@" } else { "" });
        let effect = if allow { Effect::Allow } else { Effect::Block };
        (text, (NameBuf::from_text(&name).unwrap(), matching, effect, important))
    }

    fn any_rule() -> impl Strategy<Value = (String, Parsed)> {
        let labels = prop::collection::vec(prop::sample::select(vec!["aa", "bb"]), 1..4);
        (any::<bool>(), 0u8..3, labels, any::<bool>()).prop_map(rule)
    }

    fn policy_of(lines: &[String], format: Format) -> Policy {
        let list = parse(lines.join("\n").as_bytes(), format, None, Effect::Block).unwrap();
        let options = Options { lines: true, left_out: false };
        let (compiled, _) = compile(&[("l".into(), list)], options).unwrap();
        let lists = vec![ListPolicy::new("l".into(), Action::NxDomain, 60, None)];
        Policy::new(lists, Vec::new(), vec![(compiled, vec![0])]).unwrap()
    }

    /// The expected verdict, from whether the deciding rule blocks.
    const fn word(rule: Option<&bool>) -> &'static str {
        match rule {
            None => "pass",
            Some(true) => "blocked",
            Some(false) => "allowed",
        }
    }

    proptest! {
        /// A wildcard of a policy zone matches where nothing closer exists (in the terms of
        /// RFC 4592 section 4.3.1).
        #[test]
        fn a_policy_zone_matches_as_a_zone(
            owners in prop::collection::btree_map(r"(\*\.)?(aa|bb)(\.(aa|bb)){0,3}", any::<bool>(), 1..10),
            question in r"(aa|bb)(\.(aa|bb)){0,4}",
        ) {
            let kind = |block: bool| if block { "." } else { "rpz-passthru." };
            let text: Vec<String> = owners.iter().map(|(n, b)| format!("{n} CNAME {}", kind(*b))).collect();
            let p = policy_of(&text, Format::Rpz);
            // A name exists if it is an owner or has an owner below it.
            let exists = |name: &str| owners.keys().any(|o| o == name || o.ends_with(&format!(".{name}")));
            let rule = if exists(&question) {
                owners.get(&question)
            } else {
                let mut above = question.split_once('.').map(|(_, above)| above);
                while let Some(name) = above && !exists(name) {
                    above = name.split_once('.').map(|(_, above)| above);
                }
                above.and_then(|encloser| owners.get(&format!("*.{encloser}")))
            };
            let got = ask(&p, &question);
            prop_assert_eq!(got.split(' ').next(), Some(word(rule)));
        }

        /// In a list whose format says so, the zone closest to the name decides.
        #[test]
        fn the_closest_zone_decides(
            zones in prop::collection::btree_map("(aa|bb)(\\.(aa|bb)){0,3}", any::<bool>(), 1..10),
            question in "(aa|bb)(\\.(aa|bb)){0,4}",
        ) {
            let kind = |block: bool| if block { "always_nxdomain" } else { "always_transparent" };
            let text: Vec<String> = zones.iter().map(|(n, b)| format!("local-zone: {n} {}", kind(*b))).collect();
            let p = policy_of(&text, Format::Unbound);
            let mut around = Some(&*question);
            let closest = std::iter::from_fn(|| {
                let name = around?;
                around = name.split_once('.').map(|(_, above)| above);
                Some(zones.get(name))
            });
            let rule = closest.flatten().next();
            let got = ask(&p, &question);
            prop_assert_eq!(got.split(' ').next(), Some(word(rule)));
        }

        /// The naive model: keep all rules in a vector, apply the ladder by definition.
        #[test]
        fn agrees_with_the_ladder_by_definition(
            lists in prop::collection::vec(prop::collection::vec(any_rule(), 0..12), 1..4),
            question in "(aa|bb)(\\.(aa|bb)){0,4}",
        ) {
            let named: Vec<String> = (0..lists.len()).map(|i| i.to_string()).collect();
            let input: Vec<_> = named.iter().zip(&lists)
                .map(|(n, l)| (n.as_str(), Action::NxDomain, l.iter().map(|r| r.0.clone()).collect()))
                .collect();
            let (p, _) = compiled(&input);
            let q = NameBuf::from_text(&question).unwrap();
            let mut matching: Vec<(u8, i32, Match, usize)> = Vec::new();
            for (l, list) in lists.iter().enumerate() {
                for (_, (name, kind, effect, important)) in list {
                    let within = q.as_name().is_within(name.as_name());
                    let yes = match kind {
                        Match::Exact => q == *name,
                        Match::Suffix => within,
                        Match::Subdomains => within && q != *name,
                    };
                    let rung = match (effect, important) {
                        (Effect::Allow, true) => 1,
                        (Effect::Block, true) => 2,
                        (Effect::Allow, false) => 3,
                        (Effect::Block, false) => 4,
                        (Effect::Nothing | Effect::Except, _) => unreachable!("no rule of these lists"),
                    };
                    if yes {
                        let labels = name.as_name().labels().map(|_| 1).sum::<i32>();
                        matching.push((rung, -labels, *kind, l));
                    }
                }
            }
            matching.sort_unstable();
            let got = ask(&p, &question);
            match matching.first() {
                None => prop_assert_eq!(got, "pass"),
                Some((rung, _, _, list)) => {
                    let word = if rung % 2 == 1 { "allowed" } else { "blocked" };
                    let (head, line) = got.split_once(':').unwrap();
                    prop_assert_eq!(head, format!("{word} {list}"));
                    // A covered rule is reported as the broader one of the same list and kind.
                    let (_, (name, _, effect, important)) = &lists[*list][line.parse::<usize>().unwrap() - 1];
                    prop_assert!(q.as_name().is_within(name.as_name()));
                    let same = (*effect == Effect::Allow) == (rung % 2 == 1) && *important == (*rung < 3);
                    prop_assert!(same);
                }
            }
        }
    }
}
