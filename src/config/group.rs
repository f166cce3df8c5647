//! `[[group]]`: which clients get which lists.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::ops::Range;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::Spanned;

use super::check::{Check, Names};
use super::key::{Form, Key, Kind, words};
use super::policy::DEFAULTS;
use super::schedule::{Schedules, TIMES};
use super::table::Table;
use super::upstream::SERVERS_KIND;
use crate::policy::schedule::Schedule;
use crate::settings::{GroupSettings, Settings};

const NAME: Key = Key::required("name", Kind::Text)
    .like(r#""classroom""#)
    .means("The group's name in orders, `explain` and the log.");
const CLIENTS: Key =
    Key::optional("clients", Kind::Texts("addresses or networks"), "all that are in no other group")
        .like(r#"["10.20.0.0/16"]"#)
        .means("The group's clients. Among all groups, the smallest network that contains a client wins.");
const LISTEN: Key = Key::optional("listen", Kind::Texts("addresses with a port"), "any address")
    .like(r#"["127.0.0.1:5300"]"#)
    .means("The group applies only to queries to these addresses of `[server] listen`.");
const LISTS: Key = Key::optional("lists", Kind::Texts("names of lists"), "all lists")
    .like(r#"["ads"]"#)
    .means("The lists that apply to its clients; `[]`: none.");
const ACTION: Key = Key::optional("action", Kind::Action, "that of `[block]`")
    .like(r#""nodata""#)
    .means("The answer for a blocked name where the list sets none.");
const DEFAULT: Key = Key::optional("default", Kind::Word(|| words(&DEFAULTS)), "that of `[policy]`")
    .like(r#""block""#)
    .means(
        "What happens to a name that no rule matches. `\"block\"`: only what an allow rule of its lists lets pass is \
        answered.",
    );
const UPSTREAMS: Key = Key::optional("upstreams", SERVERS_KIND, "those of `[upstream]`")
    .like(r#"["192.0.2.99"]"#)
    .means("Servers of its own, with a cache of its own.");

pub(super) static FORM: Form = Form {
    header: "[[group]]",
    meaning: "Clients with lists of their own. Every list applies to a client that is in no group.",
    keys: &[NAME, CLIENTS, LISTEN, LISTS, ACTION, DEFAULT, UPSTREAMS, TIMES[0], TIMES[1], TIMES[2]],
    also: &[
        ("client", "clients"),
        ("networks", "clients"),
        ("addresses", "clients"),
        ("list", "lists"),
        ("upstream", "upstreams"),
        ("servers", "upstreams"),
    ],
};

impl Check<'_> {
    /// The groups; `named` is how many of the lists a group may name.
    pub(super) fn groups(
        &mut self,
        tables: Vec<Table<'_>>,
        named: usize,
        schedules: &Schedules,
        settings: &mut Settings,
    ) {
        let mut numbers: HashMap<String, Vec<u16>> = HashMap::new();
        for (list, number) in settings.lists.iter().take(named).zip(0u16..) {
            numbers.entry(list.name.clone()).or_default().push(number);
        }
        let mut known = Known { numbers, named, names: Names::new(), claims: Claims::default() };
        for table in tables {
            self.group(table, &mut known, schedules, settings);
        }
    }

    fn group(
        &mut self,
        mut table: Table<'_>,
        known: &mut Known,
        schedules: &Schedules,
        settings: &mut Settings,
    ) {
        let name = table.text(self, NAME);
        if let Some(name) = &name {
            let help = "give each group a name of its own";
            self.name_once(&mut known.names, &table.key(NAME), name, "group", help);
        }
        let mut networks = Vec::new();
        let key = table.key(CLIENTS);
        for text in table.texts(self, CLIENTS).map(Spanned::into_inner).unwrap_or_default() {
            if let Some(network) = self.network(&key, &text) {
                networks.push((network.trunc(), text.span()));
            }
        }
        let mut listeners = Vec::new();
        let key = table.key(LISTEN);
        for text in table.texts(self, LISTEN).map(Spanned::into_inner).unwrap_or_default() {
            match text.get_ref().parse().ok().filter(|a| settings.server.listen.contains(a)) {
                Some(address) => listeners.push(address),
                None => {
                    let problem = format!("the server does not listen on `{}`", text.get_ref());
                    self.wrong(&key, &text.span(), problem, "name an address of [server] listen");
                }
            }
        }
        let lists = table.texts(self, LISTS);
        let lists = lists.map(|lists| self.group_lists(&table, &lists, known, settings));
        let schedule = self.times(&mut table, schedules);
        let action = self.action(&mut table, ACTION);
        let closed = table.word(self, DEFAULT, &DEFAULTS);
        let key = table.key(UPSTREAMS);
        let upstreams = table.texts(self, UPSTREAMS);
        let upstreams =
            upstreams.map(|all| all.get_ref().iter().filter_map(|s| self.upstream(&key, s)).collect());
        // A group whose clients are all invalid must not claim every client.
        if networks.is_empty() != table.filled(CLIENTS.name) {
            let name = name.as_ref().map_or("", |name| name.get_ref().as_str());
            self.claims(&table, name, &networks, &listeners, schedule.as_ref(), &mut known.claims);
        }
        table.done(self, "", &[]);
        settings.groups.push(GroupSettings {
            name: name.map(Spanned::into_inner).unwrap_or_default(),
            networks: networks.into_iter().map(|(network, _)| network).collect(),
            listeners,
            lists,
            action,
            closed,
            schedule,
            upstreams,
        });
    }

    fn group_lists(
        &mut self,
        table: &Table<'_>,
        wanted: &Spanned<Vec<Spanned<String>>>,
        known: &Known,
        settings: &Settings,
    ) -> Vec<u16> {
        let mut lists: Vec<u16> = Vec::new();
        for text in wanted.get_ref() {
            match known.numbers.get(text.get_ref()) {
                Some(found) => lists.extend(found),
                None => {
                    let mut names: Vec<&str> = known.numbers.keys().map(String::as_str).collect();
                    names.sort_unstable();
                    self.unknown_word(&table.key(LISTS), text, &names);
                }
            }
        }
        // Rewrites and the like apply to every group.
        let shared = settings.lists.iter().zip(0u16..).skip(known.named);
        lists.extend(shared.map(|(_, n)| n));
        lists
    }

    /// Reports two groups that claim the same clients.
    fn claims(
        &mut self,
        table: &Table<'_>,
        name: &str,
        networks: &[(IpNet, Range<usize>)],
        listeners: &[SocketAddr],
        schedule: Option<&Schedule>,
        claims: &mut Claims,
    ) {
        let places = claims.places(listeners, schedule);
        let key = table.key(CLIENTS);
        let mut own = HashSet::new();
        for (network, span) in networks {
            if !own.insert(*network) {
                let problem = format!("{network} is given twice");
                self.wrong(&key, span, problem, "give it once");
            } else if let Some(rival) = claims.rival(&places, *network) {
                let problem = format!("{network} is claimed by the group `{rival}` too");
                let help = "give one of the two a smaller network: the smallest that contains a client wins";
                self.wrong(&key, span, problem, help);
            }
        }
        if networks.is_empty() {
            own.extend(EVERYONE);
            if let Some(rival) = EVERYONE.iter().find_map(|network| claims.rival(&places, *network)) {
                let problem = format!("all clients there are claimed by the group `{rival}` too");
                let place = table.place(NAME.name);
                self.wrong(&table.key(NAME), &place, problem, "give `clients` to one of the two");
            }
        }
        claims.add(name, &places, own);
    }
}

/// All clients.
const EVERYONE: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(std::net::Ipv6Addr::UNSPECIFIED, 0)),
];

/// The lists and names that a group may refer to.
struct Known {
    /// The numbers of lists by their names.
    numbers: HashMap<String, Vec<u16>>,
    /// How many lists have a name of their own.
    named: usize,
    names: Names,
    claims: Claims,
}

/// Where and when clients ask: at a listener, or anywhere, and the number of a schedule. Groups in force at
/// different times may share their clients, and one with a schedule goes before one without.
type Place = (Option<SocketAddr>, usize);

/// The networks that groups have taken so far.
#[derive(Default)]
struct Claims {
    schedules: Vec<Option<Schedule>>,
    names: Vec<String>,
    /// The number of the first group that has taken the network there.
    taken: HashMap<(Place, IpNet), usize>,
}

impl Claims {
    fn places(&mut self, listeners: &[SocketAddr], schedule: Option<&Schedule>) -> Vec<Place> {
        let known = self.schedules.iter().position(|s| s.as_ref() == schedule);
        let number = known.unwrap_or_else(|| {
            self.schedules.push(schedule.cloned());
            self.schedules.len() - 1
        });
        match listeners {
            [] => vec![(None, number)],
            _ => listeners.iter().map(|listener| (Some(*listener), number)).collect(),
        }
    }

    /// The first group that has taken the network in one of these places.
    fn rival(&self, places: &[Place], network: IpNet) -> Option<&str> {
        let first = places.iter().filter_map(|place| self.taken.get(&(*place, network))).min()?;
        self.names.get(*first).map(String::as_str)
    }

    fn add(&mut self, name: &str, places: &[Place], networks: HashSet<IpNet>) {
        let number = self.names.len();
        self.names.push(name.to_owned());
        for network in networks {
            for place in places {
                self.taken.entry((*place, network)).or_insert(number);
            }
        }
    }
}
