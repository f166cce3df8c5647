//! The dependency direction and the invariants that can be read off the source.
//!
//! Each row of [`MAY_NAME`] is a room and the rooms that it names: those, no others, and none that stands
//! below it in the table. Within a room no files depend on each other in a circle.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use graph::Graph;

const CORE: [&str; 7] = ["dns", "rule", "lists", "trie", "policy", "answer", "censor"];

const MAY_NAME: &[(&str, &[&str])] = &[
    ("dns", &[]),
    ("rule", &["dns"]),
    ("trie", &["dns"]),
    ("lists", &["dns", "rule", "trie"]),
    ("policy", &["dns", "rule", "trie", "lists"]),
    ("answer", &["dns", "rule", "policy"]),
    ("censor", &["dns"]),
    ("guard", &["dns"]),
    ("cache", &["dns"]),
    ("zones", &["dns"]),
    ("upstream", &["dns"]),
    ("observe", &["dns", "policy"]),
    ("settings", &["dns", "rule", "lists", "policy", "guard", "cache", "upstream"]),
    (
        "resolver",
        &["dns", "rule", "policy", "answer", "guard", "cache", "zones", "upstream", "observe", "settings"],
    ),
    (
        "sources",
        &[
            "dns", "rule", "lists", "policy", "guard", "cache", "zones", "upstream", "observe", "settings",
            "resolver",
        ],
    ),
    ("net", &["observe", "resolver"]),
    ("orders", &["dns", "policy", "observe", "resolver", "sources"]),
    ("sinks", &["dns", "policy", "upstream", "observe", "settings", "resolver", "net"]),
    ("server", &["dns", "observe", "resolver", "net", "orders"]),
    ("hickory", &["dns", "rule", "policy", "answer", "net"]),
    ("web", &["dns", "observe", "resolver", "net"]),
    ("config", &["dns", "rule", "lists", "policy", "censor", "upstream", "settings", "resolver"]),
    (
        "stage",
        &[
            "dns", "censor", "cache", "zones", "upstream", "observe", "settings", "resolver", "sources",
            "net", "server", "config",
        ],
    ),
    (
        "app",
        &[
            "dns", "policy", "guard", "cache", "upstream", "observe", "settings", "resolver", "sources",
            "net", "orders", "sinks", "server", "web",
        ],
    ),
    (
        "cli",
        &[
            "dns", "rule", "lists", "policy", "censor", "cache", "upstream", "observe", "settings",
            "resolver", "sources", "net", "orders", "sinks", "server", "config", "stage", "app",
        ],
    ),
    ("main", &[]),
    ("lib", &[]),
];

/// Where sources are, and what stands before their names here.
const ROOTS: [(&str, &str); 3] = [("src", ""), ("crates/core/src", ""), ("crates/censor/src", "censor/")];

/// Words that only some places may hold, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("hickory_resolver::", &["upstream/hickory.rs"], "hickory stays behind one file an edge"),
    ("hickory_server::", &["hickory.rs"], "the same"),
    ("toml::", &["config/"], "the engine knows no TOML"),
    (
        "serde::",
        &["config/", "dns/", "rule.rs", "policy/compile.rs"],
        "only configuration, and the tables of a compiled list, have a file format",
    ),
    (
        "unsafe ",
        &["net/memory.rs", "server/udp/mmsg.rs", "trie/ahead.rs"],
        "giving memory back, moving datagrams in batches, and a hint to the processor are what needs it",
    ),
    (
        "Instant::now",
        &["net/clock.rs", "upstream/deadline.rs", "stage/collect.rs"],
        "the time is an argument",
    ),
    ("rusqlite::", &["sinks/sqlite/"], "the database stays behind the query log"),
    ("axum::", &["web/"], "HTTP is an edge"),
    ("metrics::", &["web/", "config/", "settings/"], "observe counts by itself; the facade is fed on read"),
    (".store(Arc::new", &["resolver/live.rs"], "only one place stores the pointer"),
];

/// What no file of the core may name: sockets, files, clocks, threads, logs.
const NOT_IN_CORE: &[&str] = &[
    "std::fs",
    "std::io",
    "std::thread",
    "std::env",
    "Instant::",
    "time::Instant",
    "Instant}",
    "SystemTime",
    "UdpSocket",
    "TcpStream",
    "tokio",
    "tracing",
    "async ",
    "static mut",
    "Mutex",
    "Atomic",
];

/// The code of each file: without unit tests, which may use what they like, and without comments, which
/// name what they explain.
fn sources() -> BTreeMap<String, String> {
    let code = |text: String| {
        let code = text.split("#[cfg(test)]").next().unwrap();
        code.lines().filter(|l| !l.trim_start().starts_with("//")).flat_map(|l| [l, "\n"]).collect()
    };
    texts().into_iter().map(|(file, text)| (file, code(text))).collect()
}

fn texts() -> BTreeMap<String, String> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    for (root, room) in ROOTS {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
        let mut files = BTreeMap::new();
        walk(&root, &root, &mut files);
        found.extend(files.into_iter().map(|(file, text)| (format!("{room}{file}"), text)));
    }
    assert!(found.len() > 40, "the sources were not found");
    found
}

fn module(file: &str) -> &str {
    file.split('/').next().unwrap().trim_end_matches(".rs")
}

#[test]
fn rooms_name_what_their_rows_say_and_no_more() {
    let graph = Graph::new(&sources());
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in graph.modules() {
        let Some(room) = module.first() else { continue };
        let used = graph.used_by(module).into_iter().filter_map(|m| m.into_iter().next());
        named.entry(room.clone()).or_default().extend(used.filter(|other| other != room));
    }
    let rows: BTreeMap<_, BTreeSet<_>> = MAY_NAME
        .iter()
        .map(|(room, may)| ((*room).to_owned(), may.iter().map(|m| (*m).to_owned()).collect()))
        .collect();
    let mut wrong = Vec::new();
    for (room, named) in &named {
        let Some(row) = rows.get(room) else {
            wrong.push(format!("{room} has no row; it names {named:?}"));
            continue;
        };
        wrong.extend(named.difference(row).map(|more| format!("{room} names {more}: its row lacks it")));
        wrong
            .extend(row.difference(named).map(|less| format!("{room} does not name {less}: its row has it")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_room_names_only_those_above_it() {
    let place = |room: &str| MAY_NAME.iter().position(|(name, _)| *name == room);
    for (room, may) in MAY_NAME {
        for named in *may {
            assert!(place(named) < place(room), "{room} names {named}, which stands below it");
        }
    }
}

#[test]
fn no_circles_within_a_room() {
    let circles = Graph::new(&sources()).circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn reserved_words_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (file, code) in sources() {
        for (word, places, why) in RESERVED {
            let free = code.match_indices(word).any(|(at, _)| {
                let before = code[..at].chars().next_back();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if free && !places.iter().any(|p| file.starts_with(p)) {
                wrong.push(format!("{file}: `{word}` ({why})"));
            }
        }
        if CORE.contains(&module(&file)) {
            for word in NOT_IN_CORE {
                if code.contains(word) {
                    wrong.push(format!("{file}: `{word}` (core is values and pure functions)"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for (file, text) in texts() {
        assert!(text.starts_with("//! "), "{file}");
    }
}
