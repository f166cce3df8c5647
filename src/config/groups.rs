//! The parts of the configuration that say who, what and when: schedules, groups, rewrites, forwards.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::Spanned;

use super::check::Check;
use super::raw;
use crate::dns::name::{Name, NameBuf};
use crate::dns::types::Qtype;
use crate::dns::{rdata, sde};
use crate::policy::schedule::{self, Schedule};
use crate::resolver::settings::{Contact, ForwardSettings, GroupSettings, RewriteSettings, Settings};
use crate::rule::{Action, Data, Match};

/// The schedules of the configuration by their names.
pub(super) type Schedules = HashMap<String, Schedule>;

/// Sub-errors of draft-ietf-dnsop-structured-dns-error, by the words of the configuration.
pub(super) const SUBERRORS: [(&str, u8); 6] = [
    ("malware", 1),
    ("phishing", 2),
    ("spam", 3),
    ("spyware", 4),
    ("network-policy", 5),
    ("operator-policy", 6),
];

impl Check<'_> {
    pub(super) fn inspect(&mut self, inspect: raw::Inspect, settings: &mut Settings) {
        let inspection = &mut settings.inspection;
        inspection.names = inspect.names.unwrap_or(inspection.names);
        inspection.rebinding = inspect.rebinding.unwrap_or(inspection.rebinding);
        let private = inspect.private.iter().filter_map(|n| self.name("[inspect] private", n));
        settings.inspection.private = private.collect();
        let ech = self.word("[inspect] ech", inspect.ech, &[("keep", false), ("strip", true)]);
        settings.inspection.strip_ech = ech.unwrap_or(false);
    }

    pub(super) fn contact(&mut self, contact: raw::Contact) -> Contact {
        let mut uri = |key: &str, text: &Spanned<String>| match sde::contact(text.get_ref())
            .map_err(|e| e.to_string())
        {
            Ok(uri) => Some(uri),
            Err(problem) => {
                let remedy = "expected one such as \"mailto:dns@example.org\" or \"https://example.org/why\"";
                self.told(key, text, &problem, remedy);
                None
            }
        };
        let uris = contact.uris.iter().filter_map(|u| uri("[block.contact] uris", u)).collect();
        let blocked_by = contact.blocked_by.and_then(|u| uri("[block.contact] blocked-by", &u));
        let tag = |text: &str| {
            let mut parts = text.split('-');
            let first = parts.next().is_some_and(|p| (2..=8).contains(&p.len()));
            first
                && text
                    .split('-')
                    .all(|p| (1..=8).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_alphanumeric()))
        };
        if let Some(language) = contact.language.as_ref().filter(|l| !tag(l.get_ref())) {
            let problem = format!("`{}` is no language tag", language.get_ref());
            self.wrong("[block.contact] language", &language.span(), problem, "expected one such as \"en\"");
        }
        let language = contact.language.map(Spanned::into_inner);
        Contact { uris, organization: contact.organization, language, blocked_by }
    }

    pub(super) fn named_schedule(&mut self, given: raw::Schedule, schedules: &mut Schedules) {
        let key = "[[schedule]]";
        let zone =
            schedule::zone(given.zone.get_ref()).map_err(|e| e.to_string()).unwrap_or_else(|problem| {
                let remedy = "expected a name of the IANA database such as \"Europe/Berlin\"";
                self.told("[[schedule]] zone", &given.zone, &problem, remedy);
                jiff::tz::TimeZone::UTC
            });
        let mut windows = Vec::new();
        for text in &given.windows {
            match schedule::window(text.get_ref()).map_err(|e| e.to_string()) {
                Ok(window) => windows.push(window),
                Err(problem) => {
                    let remedy = "expected one such as \"Mon-Fri 08:00-15:30\" or \"daily 22:00-06:00\"";
                    self.told("[[schedule]] windows", text, &problem, remedy);
                }
            }
        }
        if given.windows.is_empty() && given.from.is_none() && given.until.is_none() {
            let problem = "the schedule says nothing".to_owned();
            self.wrong(key, &given.name.span(), problem, "give `windows`, `from` or `until`");
        }
        let whole = Schedule { zone, windows, from: None, until: None };
        let whole = self.bounded(key, whole, given.from, given.until, true);
        let line = self.line(&given.name.span());
        let name = given.name.get_ref().clone();
        if schedules.insert(name.clone(), whole).is_some() {
            let problem = format!("two schedules are named `{name}`, the second in line {line}");
            self.wrong("[[schedule]] name", &given.name.span(), problem, "give each a name of its own");
        }
    }

    /// When something applies: by a named schedule, or from and until a time, or both.
    pub(super) fn schedule(
        &mut self,
        table: &str,
        name: Option<Spanned<String>>,
        from: Option<Spanned<String>>,
        until: Option<Spanned<String>>,
        schedules: &Schedules,
    ) -> Option<Schedule> {
        let named = name.is_some();
        let base = match name {
            Some(name) => {
                let found = schedules.get(name.get_ref()).cloned();
                if found.is_none() {
                    let mut known: Vec<&str> = schedules.keys().map(String::as_str).collect();
                    known.sort_unstable();
                    let problem = format!("there is no schedule `{}`", name.get_ref());
                    let remedy = match known.as_slice() {
                        [] => "define it as a [[schedule]]".to_owned(),
                        known => format!("expected one of {}", known.join(", ")),
                    };
                    self.wrong(&format!("{table} schedule"), &name.span(), problem, &remedy);
                }
                found?
            }
            None if from.is_none() && until.is_none() => return None,
            None => Schedule { zone: jiff::tz::TimeZone::UTC, windows: Vec::new(), from: None, until: None },
        };
        Some(self.bounded(table, base, from, until, named))
    }

    /// Within the bounds given. Times without an offset are those of the schedule's zone, if it has one.
    fn bounded(
        &mut self,
        table: &str,
        base: Schedule,
        from: Option<Spanned<String>>,
        until: Option<Spanned<String>>,
        has_zone: bool,
    ) -> Schedule {
        let end = until.as_ref().map(|u| (format!("{table} until"), u.span()));
        let end = end.or_else(|| from.as_ref().map(|f| (format!("{table} from"), f.span())));
        let mut bound = |key: &str, text: Option<Spanned<String>>| {
            let text = text?;
            let (key, value) = (format!("{table} {key}"), text.get_ref().trim());
            let offset = value.ends_with(['Z', 'z'])
                || value.split_once(['T', 't', ' ']).is_some_and(|(_, time)| time.contains(['+', '-']));
            if !has_zone && !offset {
                let problem = format!("`{value}` does not say in which time zone");
                let remedy =
                    "add an offset, as in \"2026-09-01T08:00:00+02:00\", or name a schedule with a zone";
                self.wrong(&key, &text.span(), problem, remedy);
                return None;
            }
            match schedule::instant(value, &base.zone).map_err(|e| e.to_string()) {
                Ok(at) => Some(at),
                Err(problem) => {
                    let remedy = "expected a time such as \"2026-09-01T08:00:00+02:00\"";
                    self.told(&key, &text, &problem, remedy);
                    None
                }
            }
        };
        let (from, until) = (bound("from", from), bound("until", until));
        let whole = Schedule { from: base.from.max(from), until: earlier(base.until, until), ..base };
        // Without bounds of its own it is the schedule that is wrong, and that has been told.
        if let Some((key, span)) = end.filter(|_| is_never(&whole)) {
            self.wrong(&key, &span, "it ends before it starts".into(), "let `until` be later than `from`");
        }
        whole
    }

    /// When a rule applies whose list has a schedule: while both do.
    pub(super) fn narrowed(
        &mut self,
        of_list: Option<&Schedule>,
        own: Option<Schedule>,
        place: &Range<usize>,
    ) -> Option<Schedule> {
        let (list, own) = match (of_list, own) {
            (Some(list), Some(own)) => (list, own),
            (list, own) => return own.or_else(|| list.cloned()),
        };
        let key = "[[list]] rules";
        let windows_of = |s: &Schedule| (s.zone.clone(), s.windows.clone());
        let (zone, windows) = match (list.windows.as_slice(), own.windows.as_slice()) {
            ([], _) => windows_of(&own),
            (_, []) => windows_of(list),
            _ => {
                if windows_of(list) != windows_of(&own) {
                    let problem = "a rule with a schedule of its own in a list with one".to_owned();
                    self.wrong(key, place, problem, "put the rule into a list without a schedule");
                }
                windows_of(list)
            }
        };
        let (from, until) = (list.from.max(own.from), earlier(list.until, own.until));
        let whole = Schedule { zone, windows, from, until };
        if is_never(&whole) && !is_never(list) && !is_never(&own) {
            let problem = "the rule and its list are never in force together".to_owned();
            self.wrong(key, place, problem, "let the times of the rule and of its list overlap");
        }
        Some(whole)
    }

    /// A mistake in a value that its parser described, perhaps with what it expected.
    pub(super) fn told(&mut self, key: &str, text: &Spanned<String>, problem: &str, remedy: &str) {
        let parts = problem.rsplit_once("; expected ").or_else(|| problem.rsplit_once(", expected "));
        match parts {
            Some((problem, expected)) => {
                self.wrong(key, &text.span(), problem.to_owned(), &format!("expected {expected}"));
            }
            None => self.wrong(key, &text.span(), problem.to_owned(), remedy),
        }
    }

    pub(super) fn qtype(&mut self, key: &str, text: &Spanned<String>) -> Option<Qtype> {
        // What only questions may ask for, no record is (RFC 6895 §3.1).
        let found = text.get_ref().parse().ok().filter(|t: &Qtype| !t.is_meta() && t.0 != 0);
        if found.is_none() {
            let problem = format!("`{}` is no record type", text.get_ref());
            self.wrong(key, &text.span(), problem, "expected one such as \"AAAA\", \"HTTPS\" or \"TYPE65\"");
        }
        found
    }

    pub(super) fn name(&mut self, key: &str, text: &Spanned<String>) -> Option<NameBuf> {
        match NameBuf::from_text(text.get_ref()) {
            Ok(name) => Some(name),
            Err(reason) => {
                let problem = format!("`{}` is no domain name: {reason}", text.get_ref());
                self.wrong(key, &text.span(), problem, "expected a name such as \"school.test\"");
                None
            }
        }
    }

    /// A group; `named` is how many of the lists a group may name.
    pub(super) fn group(
        &mut self,
        group: raw::Group,
        named: usize,
        schedules: &Schedules,
        settings: &mut Settings,
    ) {
        let span = group.name.span();
        if settings.groups.iter().any(|g| g.name == *group.name.get_ref()) {
            let problem = format!("two groups are named `{}`", group.name.get_ref());
            self.wrong("[[group]] name", &span, problem, "give each group a name of its own");
        }
        let mut networks = Vec::new();
        for text in &group.clients {
            if let Some(network) = self.network("[[group]] clients", text) {
                networks.push((network.trunc(), text.span()));
            }
        }
        let mut listeners = Vec::new();
        for text in &group.listen {
            let address = text.get_ref().parse().ok().filter(|a| settings.listen.contains(a));
            match address {
                Some(address) => listeners.push(address),
                None => {
                    let problem = format!("the server does not listen on `{}`", text.get_ref());
                    self.wrong(
                        "[[group]] listen",
                        &text.span(),
                        problem,
                        "name an address of [server] listen",
                    );
                }
            }
        }
        let known = settings.lists.get(..named).unwrap_or_default();
        let numbers = |wanted: &str| {
            let all = known.iter().zip(0u16..);
            all.filter(|(list, _)| list.name == wanted).map(|(_, n)| n).collect::<Vec<_>>()
        };
        let names: Vec<String> = known.iter().map(|l| l.name.clone()).collect();
        let lists = group.lists.map(|wanted| {
            let mut lists: Vec<u16> = Vec::new();
            for text in &wanted {
                let found = numbers(text.get_ref());
                if found.is_empty() {
                    let names: Vec<&str> = names.iter().map(String::as_str).collect();
                    self.unknown_word("[[group]] lists", text, &names);
                }
                lists.extend(found);
            }
            // What the configuration has for everybody goes for every group.
            let shared = settings.lists.iter().zip(0u16..).skip(named);
            lists.extend(shared.map(|(_, n)| n));
            lists
        });
        let schedule = self.schedule("[[group]]", group.schedule, group.from, group.until, schedules);
        self.claims(&group.name, &networks, &listeners, schedule.as_ref(), settings);
        let action = group.action.and_then(|a| self.action("[[group]] action", &a));
        let upstreams = group
            .upstreams
            .map(|all| all.iter().filter_map(|s| self.upstream("[[group]] upstreams", s)).collect());
        settings.groups.push(GroupSettings {
            name: group.name.into_inner(),
            networks: networks.into_iter().map(|(network, _)| network).collect(),
            listeners,
            lists,
            action,
            schedule,
            upstreams,
        });
    }

    /// Two groups may not claim the same clients: which one would have them?
    fn claims(
        &mut self,
        name: &Spanned<String>,
        networks: &[(IpNet, Range<usize>)],
        listeners: &[SocketAddr],
        schedule: Option<&Schedule>,
        settings: &Settings,
    ) {
        let meets = |theirs: &[SocketAddr]| {
            theirs.is_empty() && listeners.is_empty() || theirs.iter().any(|l| listeners.contains(l))
        };
        for (at, (network, span)) in networks.iter().enumerate() {
            if networks.iter().take(at).any(|(earlier, _)| earlier == network) {
                let problem = format!("{network} is given twice");
                self.wrong("[[group]] clients", span, problem, "give it once");
            }
        }
        // Groups in force at different times may share their clients, and one with a schedule goes
        // before one without.
        let rivals =
            || settings.groups.iter().filter(|g| meets(&g.listeners) && g.schedule.as_ref() == schedule);
        let everyone = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let all_of =
            |g: &GroupSettings| if g.networks.is_empty() { everyone.to_vec() } else { g.networks.clone() };
        for (network, span) in networks {
            if let Some(rival) = rivals().find(|g| all_of(g).contains(network)) {
                let problem = format!("{network} is claimed by the group `{}` too", rival.name);
                let remedy = "let one of the two have a smaller network: the smallest around a client wins";
                self.wrong("[[group]] clients", span, problem, remedy);
            }
        }
        if networks.is_empty()
            && let Some(rival) = rivals().find(|g| all_of(g).iter().any(|n| everyone.contains(n)))
        {
            let problem = format!("everybody there is claimed by the group `{}` too", rival.name);
            self.wrong("[[group]] name", &name.span(), problem, "give `clients` to one of the two");
        }
    }

    pub(super) fn forward(&mut self, forward: &raw::Forward, settings: &mut Settings) {
        let Some(suffix) = self.name("[[forward]] suffix", &forward.suffix) else { return };
        if settings.forwards.iter().any(|f| f.suffix.as_name() == suffix.as_name()) {
            let problem = format!("{suffix} is forwarded already");
            self.wrong(
                "[[forward]] suffix",
                &forward.suffix.span(),
                problem,
                "give all servers in one place",
            );
        }
        if forward.servers.is_empty() {
            let problem = "no server is given".to_owned();
            self.wrong("[[forward]] servers", &forward.suffix.span(), problem, "give at least one");
        }
        let servers =
            forward.servers.iter().filter_map(|s| self.upstream("[[forward]] servers", s)).collect();
        settings.forwards.push(ForwardSettings { suffix, servers });
    }

    pub(super) fn rewrites(&mut self, rewrites: Vec<raw::Rewrite>) -> Vec<RewriteSettings> {
        let mut all: Vec<(RewriteSettings, Range<usize>)> = Vec::new();
        for rewrite in rewrites {
            let span = rewrite.name.span();
            let (matching, text) = match rewrite.name.get_ref().strip_prefix("*.") {
                Some(below) => (Match::Subdomains, below.to_owned()),
                None => (Match::Exact, rewrite.name.get_ref().clone()),
            };
            if text.contains('*') || matching == Match::Subdomains && matches!(text.as_str(), "" | ".") {
                let problem = format!("`{}` does not say which names", rewrite.name.get_ref());
                let remedy =
                    "expected one such as \"www.school.test\", or \"*.school.test\" for the names below";
                self.wrong("[[rewrite]] name", &span, problem, remedy);
                continue;
            }
            let line = u32::try_from(self.line(&span)).unwrap_or(u32::MAX);
            let Some(name) = self.name("[[rewrite]] name", &Spanned::new(span.clone(), text)) else {
                continue;
            };
            if all.iter().any(|(r, _)| r.name == name && r.matching == matching) {
                let problem = format!("`{}` is rewritten already", rewrite.name.get_ref());
                self.wrong("[[rewrite]] name", &span, problem, "give all that it has in one place");
            }
            if let Some(action) = self.rewrite_action(rewrite, &name, matching) {
                all.push((RewriteSettings { name, matching, action, line }, span));
            }
        }
        for (rewrite, span) in &all {
            if let Some(way) = round(rewrite, &all) {
                let problem = format!("the aliases lead round in a circle: {way}");
                self.wrong("[[rewrite]] cname", span, problem, "let one of them be an address");
            }
        }
        all.into_iter().map(|(rewrite, _)| rewrite).collect()
    }

    fn rewrite_action(&mut self, rewrite: raw::Rewrite, name: &NameBuf, matching: Match) -> Option<Action> {
        let span = rewrite.name.span();
        match (rewrite.address, rewrite.cname, rewrite.records) {
            (Some(addresses), None, None) => {
                self.not_empty("[[rewrite]] address", &addresses, "give at least one address");
                let (mut v4, mut v6) = (Vec::new(), Vec::new());
                for text in addresses.get_ref() {
                    match text.get_ref().parse() {
                        Ok(IpAddr::V4(a)) => v4.push(a),
                        Ok(IpAddr::V6(a)) => v6.push(a),
                        Err(_) => {
                            let problem = format!("`{}` is no IP address", text.get_ref());
                            self.wrong(
                                "[[rewrite]] address",
                                &text.span(),
                                problem,
                                "expected one such as \"192.0.2.1\"",
                            );
                        }
                    }
                }
                Some(Action::Address(v4, v6))
            }
            (None, Some(target), None) => {
                let found = self.name("[[rewrite]] cname", &target)?;
                if matching == Match::Exact && found.as_name() == name.as_name() {
                    let problem = format!("{name} would be an alias of itself");
                    self.wrong("[[rewrite]] cname", &target.span(), problem, "name another target");
                    return None;
                }
                Some(Action::Cname(found))
            }
            (None, None, Some(records)) => {
                self.not_empty("[[rewrite]] records", &records, "give at least one record");
                let mut data = Vec::new();
                for text in records.get_ref() {
                    let (rtype, value) =
                        text.get_ref().trim().split_once(' ').unwrap_or((text.get_ref(), ""));
                    let Some(rtype) =
                        self.qtype("[[rewrite]] records", &Spanned::new(text.span(), rtype.to_owned()))
                    else {
                        continue;
                    };
                    if rtype == Qtype::CNAME {
                        let problem = "an alias is no record beside others".to_owned();
                        self.wrong("[[rewrite]] records", &text.span(), problem, "use `cname`");
                        continue;
                    }
                    match rdata::from_text(rtype, value.trim(), Name::ROOT).map_err(|e| e.to_string()) {
                        Ok(rdata) => data.push(Data { rtype, rdata }),
                        Err(problem) => {
                            let remedy = "expected a type and its data, such as \"MX 10 mail.example.org.\"";
                            self.wrong("[[rewrite]] records", &text.span(), problem, remedy);
                        }
                    }
                }
                Some(Action::Records(data))
            }
            _ => {
                let problem = "not exactly one of `address`, `cname` and `records` is given".to_owned();
                self.wrong("[[rewrite]]", &span, problem, "a rewrite has one kind of answer");
                None
            }
        }
    }
}

fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}

/// True if it ends before it starts.
fn is_never(schedule: &Schedule) -> bool {
    schedule.from.zip(schedule.until).is_some_and(|(from, until)| until <= from)
}

/// The way round, if the aliases from this rewrite on come back to it.
fn round(from: &RewriteSettings, all: &[(RewriteSettings, Range<usize>)]) -> Option<String> {
    let mut way = vec![from.name.to_string()];
    let mut at = from;
    for _ in 0..all.len() {
        let Action::Cname(target) = &at.action else { return None };
        way.push(target.to_string());
        let of = |r: &RewriteSettings| match r.matching {
            Match::Exact => r.name.as_name() == target.as_name(),
            // A rewrite of a name to itself is none.
            _ => {
                target.as_name().is_within(r.name.as_name())
                    && target.as_name() != r.name.as_name()
                    && r.action != Action::Cname(target.clone())
            }
        };
        // The closer one goes first.
        let closer = |r: &&(RewriteSettings, _)| (r.0.matching == Match::Exact, r.0.name.as_bytes().len());
        at = &all.iter().filter(|(r, _)| of(r)).max_by_key(closer)?.0;
        if at.name == from.name && at.matching == from.matching {
            return Some(way.join(" → "));
        }
    }
    None
}
