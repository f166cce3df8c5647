//! The decision on one name: of the rules that apply to the question, the one that wins by the
//! [ladder](super::ladder).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::ladder::{Decider, Precedence, Rung};
use super::policy::Policy;
use super::types::Types;
use super::verdict::Verdict;
use super::walk::{Asker, Visitor, walk};
use crate::dns::{Name, Qtype};
use crate::rule::Action;

/// Walks the ladder for one question. Allocates nothing.
#[must_use]
pub fn decide(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Verdict {
    let mut found = Strongest::new(policy.precedence);
    walk(policy, name, asker, &mut found);
    match found.best {
        None => unlisted(policy, name, asker),
        Some(d) if found.typed || d.rung.is_rewrite() => reconsidered(policy, name, asker, &found),
        Some(d) => verdict_by(policy, name, asker, d),
    }
}

/// The verdict where rules depend on the type, or the strongest is a rewrite.
#[cold]
fn reconsidered(policy: &Policy, name: Name<'_>, asker: Asker<'_>, found: &Strongest) -> Verdict {
    let Some(mut d) = settled(policy, name, asker, found) else { return unlisted(policy, name, asker) };
    if found.typed && denies_the_name(policy, d, asker) {
        d.others_pass = others_pass(policy, name, asker, &|asker| strongest_again(policy, name, asker));
    }
    verdict_by(policy, name, asker, d)
}

/// The verdict if this rule decides.
#[inline]
fn verdict_by(policy: &Policy, name: Name<'_>, asker: Asker<'_>, d: Decider) -> Verdict {
    match d.rung {
        Rung::Log | Rung::Nothing if is_closed(asker) => unlisted(policy, name, asker),
        Rung::ImportantAllow | Rung::Allow | Rung::RewriteException => Verdict::Allowed(d),
        Rung::ImportantBlock | Rung::Block | Rung::OwnRewrite | Rung::ImportantRewrite | Rung::Rewrite => {
            Verdict::Blocked(d)
        }
        Rung::Log => Verdict::Logged(d),
        Rung::Nothing => Verdict::NoRule,
    }
}

/// Walks the ladder for a name that an answer leads to. Nothing is rewritten: a rewrite that denies the
/// name blocks it, any other is ignored.
#[must_use]
pub fn decide_in_answer(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Verdict {
    let mut offer = InAnswer { policy, name, asker, found: Strongest::new(policy.precedence) };
    walk(policy, name, asker, &mut offer);
    let Some(mut d) = offer.found.best else { return unlisted(policy, name, asker) };
    if offer.found.typed && denies_the_name(policy, d, asker) {
        d.others_pass = others_pass(policy, name, asker, &|asker| {
            let found = Strongest::new(policy.precedence);
            let mut again = Again(InAnswer { policy, name, asker, found });
            walk(policy, name, asker, &mut again);
            again.0.found.best
        });
    }
    match d.rung {
        Rung::Log if is_closed(asker) => unlisted(policy, name, asker),
        Rung::ImportantAllow | Rung::Allow => Verdict::Allowed(d),
        Rung::Log => Verdict::Logged(d),
        _ => Verdict::Blocked(d),
    }
}

fn is_closed(asker: Asker<'_>) -> bool {
    asker.view.is_some_and(|view| view.closed)
}

/// The verdict on a name that no rule lets pass or blocks.
fn unlisted(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Verdict {
    if is_closed(asker) { by_default(policy, name, asker) } else { Verdict::NoRule }
}

/// The verdict on such a name where everything is blocked that no rule lets pass.
#[cold]
fn by_default(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Verdict {
    let mut types = Types::NONE;
    if policy.typed {
        types.add(policy, name, asker);
    }
    let others_pass = types.any(|qtype| {
        let best = strongest_again(policy, name, Asker { qtype, ..asker });
        best.is_some_and(|d| matches!(d.rung, Rung::ImportantAllow | Rung::Allow) || d.rung.is_rewrite())
    });
    Verdict::Default { others_pass }
}

/// The strongest rule for another type.
#[cold]
fn strongest_again(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Option<Decider> {
    let mut again = Again(Strongest::new(policy.precedence));
    walk(policy, name, asker, &mut again);
    settled(policy, name, asker, &again.0)
}

/// True if the strongest rule for another type does not deny the name.
#[cold]
fn others_pass<'v>(
    policy: &Policy,
    name: Name<'_>,
    asker: Asker<'v>,
    strongest: &dyn Fn(Asker<'v>) -> Option<Decider>,
) -> bool {
    let mut types = Types::NONE;
    types.add(policy, name, asker);
    types.any(|qtype| {
        let asker = Asker { qtype, ..asker };
        match strongest(asker) {
            Some(d) => !denies_the_name(policy, d, asker),
            None => !is_closed(asker),
        }
    })
}

/// True if the reply denies that the name exists.
pub(super) fn denies_the_name(policy: &Policy, by: Decider, asker: Asker<'_>) -> bool {
    by.rung.answers() && policy.action(by, asker.view) == Some(&Action::NxDomain)
}

/// The strongest rule for a question.
struct Strongest {
    precedence: Precedence,
    best: Option<Decider>,
    /// Some rules are exceptions from rewrites.
    exceptions: bool,
    /// Some rules depend on the type.
    typed: bool,
}

impl Strongest {
    const fn new(precedence: Precedence) -> Self {
        Self { precedence, best: None, exceptions: false, typed: false }
    }
}

impl Visitor for Strongest {
    fn applies(&mut self, candidate: Decider) {
        if candidate.rung == Rung::RewriteException {
            self.exceptions = true;
        } else if self.best.is_none_or(|best| candidate.beats(best, self.precedence)) {
            self.best = Some(candidate);
        }
    }

    fn depends_on(&mut self, _types: &[Qtype]) {
        self.typed = true;
    }
}

/// Visits only the rules that apply.
struct Each<F>(F);

impl<F: FnMut(Decider)> Visitor for Each<F> {
    fn applies(&mut self, candidate: Decider) {
        self.0(candidate);
    }
}

/// The same visitor for a rare second walk, which leaves the first one a single caller to be inlined into.
struct Again<V>(V);

impl<V: Visitor> Visitor for Again<V> {
    fn applies(&mut self, candidate: Decider) {
        self.0.applies(candidate);
    }

    fn depends_on(&mut self, types: &[Qtype]) {
        self.0.depends_on(types);
    }
}

/// The strongest rule that was found, unless it is a rewrite that is excepted or leaves the name as it is.
fn settled(policy: &Policy, name: Name<'_>, asker: Asker<'_>, found: &Strongest) -> Option<Decider> {
    let best = found.best?;
    if best.rung.is_rewrite() && (found.exceptions || leaves_the_name(policy, best, name)) {
        return rewritten_less(policy, name, asker);
    }
    Some(best)
}

/// The strongest rule for a name that has rewrites, some of which are excepted or leave the name as it is.
#[cold]
fn rewritten_less(policy: &Policy, name: Name<'_>, asker: Asker<'_>) -> Option<Decider> {
    let best_of = |stands: &dyn Fn(Decider) -> bool| {
        let mut found = Strongest::new(policy.precedence);
        let mut offer = Each(|candidate: Decider| {
            if candidate.rung != Rung::RewriteException && stands(candidate) {
                found.applies(candidate);
            }
        });
        walk(policy, name, asker, &mut offer);
        found.best
    };
    let best =
        best_of(&|candidate| !candidate.rung.is_rewrite() || !excepted(policy, name, asker, candidate))?;
    if best.rung.is_rewrite() && leaves_the_name(policy, best, name) {
        return best_of(&|candidate| !candidate.rung.is_rewrite());
    }
    Some(best)
}

/// True for a rewrite that leaves the name as it is: one that says so, or an alias of itself.
pub(super) fn leaves_the_name(policy: &Policy, rewrite: Decider, name: Name<'_>) -> bool {
    match policy.traits(rewrite.rule).map(|t| t.action.as_ref()) {
        Some(Some(Action::Cname(target))) => target.as_name() == name,
        Some(action) => action.is_none(),
        None => false,
    }
}

/// Visits the rules for a name in an answer.
struct InAnswer<'a> {
    policy: &'a Policy,
    name: Name<'a>,
    asker: Asker<'a>,
    found: Strongest,
}

impl Visitor for InAnswer<'_> {
    fn applies(&mut self, candidate: Decider) {
        let rung = match candidate.rung {
            Rung::OwnRewrite | Rung::RewriteException => return,
            Rung::ImportantRewrite | Rung::Rewrite => {
                let action = self.policy.traits(candidate.rule).and_then(|t| t.action.as_ref());
                if !action.is_some_and(denies) || excepted(self.policy, self.name, self.asker, candidate) {
                    return;
                }
                if candidate.rung == Rung::Rewrite { Rung::Block } else { Rung::ImportantBlock }
            }
            rung => rung,
        };
        self.found.applies(Decider { rung, ..candidate });
    }

    fn depends_on(&mut self, types: &[Qtype]) {
        self.found.depends_on(types);
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

/// True if an exception cancels a rewrite.
pub(super) fn excepted(policy: &Policy, name: Name<'_>, asker: Asker<'_>, rewrite: Decider) -> bool {
    cancelling(policy, name, asker, rewrite).is_some()
}

/// The exception that cancels a rewrite of a list: one without a value cancels all rewrites, one with a value
/// those with the same value; it must be important to cancel an important rewrite.
pub(super) fn cancelling(
    policy: &Policy,
    name: Name<'_>,
    asker: Asker<'_>,
    rewrite: Decider,
) -> Option<Decider> {
    let victim = policy.traits(rewrite.rule).filter(|_| rewrite.rung != Rung::OwnRewrite)?;
    let mut found = None;
    let mut offer = Each(|candidate: Decider| {
        if found.is_none()
            && candidate.rung == Rung::RewriteException
            && let Some(exception) = policy.traits(candidate.rule)
            && (exception.important || !victim.important)
            && (exception.action.is_none() || exception.action == victim.action)
        {
            found = Some(candidate);
        }
    });
    walk(policy, name, asker, &mut offer);
    found
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::compile::{Account, Options, compile};
    use super::super::list::{KnownClient, ListPolicy};
    use super::*;
    use crate::dns::NameBuf;
    use crate::lists::parse;
    use crate::rule::{Effect, Format, Match, Traits};
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
