//! Parts of the configuration and the lists that can never have an effect.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use crate::dns::{Name, NameBuf};
use crate::policy::{Policy, ScopedRule, schedule::Schedule};
use crate::rule::{Client, Scope};
use crate::settings::Settings;
use crate::upstream::{Endpoint, Server};

/// Something without an effect.
pub(super) struct Dead {
    /// Its kind, in a word for programs.
    kind: &'static str,
    pub(super) text: String,
}

impl Dead {
    pub(super) fn json(&self) -> Value {
        json!({ "kind": self.kind, "text": self.text })
    }
}

/// How many rules of a kind are reported.
const SHOWN: usize = 20;

/// The tags that the syntax of adguard's filters defines.
const TAGS: [&str; 21] = [
    "device_audio",
    "device_camera",
    "device_gameconsole",
    "device_laptop",
    "device_nas",
    "device_other",
    "device_pc",
    "device_phone",
    "device_printer",
    "device_securityalarm",
    "device_tablet",
    "device_tv",
    "os_android",
    "os_ios",
    "os_linux",
    "os_macos",
    "os_other",
    "os_windows",
    "user_admin",
    "user_child",
    "user_regular",
];

/// Everything without an effect at `now`, in seconds since 1970 (UTC), or later.
pub(super) fn all(settings: &Settings, policy: &Policy, now: i64) -> Vec<Dead> {
    let mut found = Vec::new();
    rules(settings, policy, &mut found);
    clients(settings, &mut found);
    forwards(settings, &mut found);
    schedules(settings, now, &mut found);
    found
}

//--- Rules ---------------------------------------------------------------------------------------

fn rules(settings: &Settings, policy: &Policy, found: &mut Vec<Dead>) {
    let problems = |scope: &Scope| problems(settings, scope);
    let scoped = policy.scoped_rules(|scope| !problems(scope).is_empty());
    let more = scoped.len().saturating_sub(SHOWN);
    for rule in scoped.iter().take(SHOWN) {
        let ScopedRule { list, line, rule, scope } = rule;
        let list = policy.list(*list).map_or("", |list| &list.name);
        for problem in problems(scope) {
            found.push(Dead { kind: "rule", text: format!("list {list}, line {line}: {rule}: {problem}") });
        }
    }
    if more > 0 {
        let text = format!("{more} more rules name clients or tags that no client has");
        found.push(Dead { kind: "rule", text });
    }
}

/// The conditions of a rule that no client meets.
fn problems(settings: &Settings, scope: &Scope) -> Vec<String> {
    let mut out = Vec::new();
    let mut client = |client: &Client, sign: &str, effect: &str| match client {
        Client::Network(network) if !is_admitted(settings, network) => {
            out.push(format!("`$client={sign}{network}` {effect}: [server] allow admits no such client"));
        }
        Client::Network(_) => {}
        Client::Name(name) if settings.clients.iter().any(|known| known.name == *name) => {}
        Client::Name(name) if is_mac(name) => {
            out.push(format!(
                "`$client={sign}{name}` {effect}: clients are not known by MAC addresses; give its IP addresses in a [[client]]"
            ));
        }
        Client::Name(name) => {
            let names = settings.clients.iter().map(|known| known.name.as_str());
            let near = nearest(name, names);
            out.push(format!("`$client={sign}{name}` {effect}: no [[client]] has this name{near}"));
        }
    };
    scope.clients.iter().for_each(|c| client(c, "", "matches nobody"));
    scope.not_clients.iter().for_each(|c| client(c, "~", "excepts nobody"));
    let mut tag = |tag: &String, sign: &str, effect: &str| {
        let given = || settings.clients.iter().flat_map(|client| &client.tags);
        if given().any(|known| known == tag) {
            return;
        }
        let why = if TAGS.contains(&tag.as_str()) {
            "no [[client]] has this tag".to_owned()
        } else {
            let known = given().map(String::as_str).chain(TAGS);
            format!("this tag is not known, and no [[client]] has it{}", nearest(tag, known))
        };
        out.push(format!("`$ctag={sign}{tag}` {effect}: {why}"));
    };
    scope.tags.iter().for_each(|t| tag(t, "", "matches nobody"));
    scope.not_tags.iter().for_each(|t| tag(t, "~", "excepts nobody"));
    out
}

/// The closest of the known words, as a question.
fn nearest<'w>(word: &str, known: impl Iterator<Item = &'w str>) -> String {
    let lower = word.to_lowercase();
    let near = known.map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k)).min();
    let near = near.filter(|(distance, _)| *distance <= 1 + word.chars().count() / 3);
    near.map_or(String::new(), |(_, word)| format!("; did you mean `{word}`?"))
}

/// Six or eight octets in hexadecimal, with colons, hyphens or dots between them.
fn is_mac(text: &str) -> bool {
    let pairs = |separator| {
        let octets: Vec<&str> = text.split(separator).collect();
        let octet = |o: &&str| o.len() == 2 && o.bytes().all(|b| b.is_ascii_hexdigit());
        matches!(octets.len(), 6 | 8 | 20) && octets.iter().all(octet)
    };
    let cisco: Vec<&str> = text.split('.').collect();
    let four = |o: &&str| o.len() == 4 && o.bytes().all(|b| b.is_ascii_hexdigit());
    pairs(':') || pairs('-') || (matches!(cisco.len(), 3 | 4) && cisco.iter().all(four))
}

//--- Clients -------------------------------------------------------------------------------------

fn is_admitted(settings: &Settings, network: &IpNet) -> bool {
    let meet = |one: &IpNet| one.contains(&network.network()) || network.contains(&one.network());
    settings.server.allow.iter().any(meet)
}

fn clients(settings: &Settings, found: &mut Vec<Dead>) {
    let refused = |networks: &[IpNet]| -> Vec<String> {
        networks.iter().filter(|n| !is_admitted(settings, n)).map(ToString::to_string).collect()
    };
    let groups = settings.groups.iter().map(|g| ("group", &g.name, &g.networks));
    let named = settings.clients.iter().map(|c| ("client", &c.name, &c.networks));
    for (kind, name, networks) in groups.chain(named) {
        let refused = refused(networks);
        if !refused.is_empty() {
            let text = format!("{kind} {name}: [server] allow admits no client of {}", refused.join(", "));
            found.push(Dead { kind, text });
        }
    }
}

//--- Forwards ------------------------------------------------------------------------------------

fn forwards(settings: &Settings, found: &mut Vec<Dead>) {
    if !settings.inspect.rebinding {
        return;
    }
    for forward in &settings.forwards {
        let suffix = &forward.suffix;
        let exempt = |name: &NameBuf| suffix.as_name().is_within(name.as_name());
        if settings.inspect.private.iter().any(exempt) || is_reverse(suffix.as_name()) {
            continue;
        }
        if let Some(server) = forward.servers.iter().find(|server| is_private(server)) {
            let text = format!(
                "forward {suffix}: its server {} is in a private network, and [inspect] rebinding removes private \
                addresses from its answers; add \"{suffix}\" to [inspect] private",
                server.at
            );
            found.push(Dead { kind: "forward", text });
        }
    }
}

/// Reverse names have no addresses.
fn is_reverse(name: Name<'_>) -> bool {
    name.labels().last().is_some_and(|label| label.eq_ignore_ascii_case(b"arpa")) && name.labels().count() > 1
}

fn is_private(server: &Server) -> bool {
    match &server.at {
        Endpoint::Address(at) => match at.ip().to_canonical() {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
        },
        Endpoint::Host { .. } => false,
    }
}

//--- Schedules -----------------------------------------------------------------------------------

fn schedules(settings: &Settings, now: i64, found: &mut Vec<Dead>) {
    let over = |schedule: &Schedule| schedule.until.is_some_and(|until| until <= now);
    let never = |schedule: &Schedule| {
        over(schedule) || (!schedule.is_active(now) && schedule.steady_until(now) == i64::MAX)
    };
    let lists = settings.lists.iter().filter_map(|l| Some(("list", &l.name, l.schedule.as_ref()?)));
    let groups = settings.groups.iter().filter_map(|g| Some(("group", &g.name, g.schedule.as_ref()?)));
    let named = settings.schedules.iter().map(|(name, schedule)| ("schedule", name, schedule));
    for (kind, name, schedule) in lists.chain(groups).chain(named) {
        if never(schedule) {
            let why = if over(schedule) { "is over" } else { "never holds" };
            let text = format!("{kind} {name}: its time {why}, so it has no effect");
            if found.iter().all(|dead| dead.text != text) {
                found.push(Dead { kind: "schedule", text });
            }
        }
    }
}
