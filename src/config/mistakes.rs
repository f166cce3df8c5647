//! Common mistakes in a first configuration, and the errors that they get.

use std::path::Path;

use super::parse;
use super::tests::refused;

/// Files that are TOML, but not a configuration.
#[test]
fn tables_and_values() {
    refused(&[
        (
            r#"[list]
name = "ads"
source = "ads.txt"
"#,
            &[
                r#"1: [list]: one bracket is missing on each side; write `[[list]]`: there can be several"#,
                r#"3: [[list]] source: there is no file `ads.txt`; paths are relative to the configuration file"#,
            ],
        ),
        (
            r#"[[server]]
listen = ["127.0.0.1:53"]
"#,
            &[
                r#"1: [server]: `[[server]]` has one bracket too many on each side; write `[server]`: there is only one"#,
            ],
        ),
        (
            r#"[server]
listen = "127.0.0.1:5300"
[upstream]
timeout = 2
[cache]
size = 64
"#,
            &[
                r#"2: [server] listen: found a string; expected a list of addresses with a port, in brackets, such as listen = ["127.0.0.1:5300"]"#,
                r#"4: [upstream] timeout: found a whole number; expected a duration, in quotes: a number with ms, s, m, h or d, such as timeout = "2s""#,
                r#"6: [cache] size: found a whole number; expected a size, in quotes: a number with KiB, MiB or GiB, such as size = "64MiB""#,
            ],
        ),
        (
            r#"[[list]]
name = "x"
rules = []
action = "192.0.2.1"
"#,
            &[
                r#"4: [[list]] action: `192.0.2.1` is an address, not an action; write action = { address = ["192.0.2.1"] }"#,
            ],
        ),
        (
            r#"[[list]]
name = "x"
rules = []
action = ["192.0.2.1"]
"#,
            &[
                r#"4: [[list]] action: found a list; expected a word such as "nxdomain", { address = ["192.0.2.1"] } or { cname = "blocked.example" }, such as action = { address = ["192.0.2.1"] }"#,
            ],
        ),
        (
            r#"[[list]]
name = "x"
rules = []
action = { address = "192.0.2.1" }
"#,
            &[
                r#"4: [[list]] action.address: found a string; expected a list of IP addresses, in brackets, such as address = ["192.0.2.1"]"#,
            ],
        ),
        (
            r#"[block]
action = { cname = "a.b", address = [] }
"#,
            &[
                r#"2: [block] action: both `address` and `cname` are given; expected a word such as "nxdomain", { address = ["192.0.2.1"] } or { cname = "blocked.example" }"#,
            ],
        ),
        (
            r#"[block]
action = "block.example"
"#,
            &[
                r#"2: [block] action: `block.example` is a name, not an action; write action = { cname = "block.example" }"#,
            ],
        ),
        (
            r#"[[list]]
name = "ads"
url = "https://example.org/ads.txt"
"#,
            &[
                r#"3: [[list]] source: this version does not fetch lists from URLs; download it to a file, and name that in `source`"#,
            ],
        ),
        (
            r#"listen = ["127.0.0.1:53"]
[sever]
x=1
[server]
timeout = "2s"
"#,
            &[
                r#"1: listen: unknown key `listen`; expected one of answers, block, blockpage, cache, client, control, data, dnstap, forward, group, inspect, list, lists, log, metrics, policy, ratelimit, rewrite, schedule, server, special, upstream, zone (`listen` is a key of [server])"#,
                r#"2: sever: unknown table `sever`; expected one of answers, block, blockpage, cache, client, control, data, dnstap, forward, group, inspect, list, lists, log, metrics, policy, ratelimit, rewrite, schedule, server, special, upstream, zone (did you mean `server`?)"#,
                r#"5: [server] timeout: unknown key `timeout`; expected one of listen, threads, pin, udp-batch, allow, allow-recursion, answer-cookie, cookie-secrets, require-cookie, user, version, identity (`timeout` is a key of [upstream])"#,
            ],
        ),
        (
            r#"[metrics]
[blockpage]
[[zone]]
[control]
[[group]]
lists = ["a"]
"#,
            &[
                r#"1: [metrics]: `listen` is missing; expected an address with a port, in quotes, such as listen = "127.0.0.1:9153""#,
                r#"2: [blockpage]: `listen` is missing; expected a list of addresses with a port, in brackets, such as listen = ["192.0.2.1:80"]"#,
                r#"3: [[zone]]: `origin` is missing; expected a domain name, in quotes, such as origin = "school.test""#,
                r#"3: [[zone]]: `file` is missing; expected a path, in quotes, such as file = "zones/school.test.zone""#,
                r#"4: [control]: `socket` is missing; expected a path, in quotes, such as socket = "ctl.sock""#,
                r#"5: [[group]]: `name` is missing; expected a string in quotes, such as name = "classroom""#,
                r#"6: [[group]] lists: `a` is not known; none is defined"#,
            ],
        ),
        (
            r#"[server]
threads = -1
pin = "true"
allow = "10.0.0.0/8"
version = 5
[upstream]
servers = ["tls://1.2.3.4", "dns_example"]
timeout = "2"
[cache]
prefetch=1
[block]
ttl = 60
"#,
            &[
                r#"2: [server] threads: -1 is out of bounds; expected a whole number from 0 to 256"#,
                r#"3: [server] pin: found a string; expected true or false, such as pin = true"#,
                r#"4: [server] allow: found a string; expected a list of networks, in brackets, such as allow = ["10.0.0.0/8"]"#,
                r#"5: [server] version: found a whole number; expected a string in quotes, such as version = "a resolver""#,
                r#"7: [upstream] servers: this build does not speak tls:// to upstreams yet; use udp:// or tcp://"#,
                r#"7: [upstream] servers: `dns_example` is not an upstream; expected one such as "192.0.2.53", "udp://dns.example:53" or "tcp://[2001:db8::53]:53""#,
                r#"8: [upstream] timeout: `2` is not a duration; expected a number with ms, s, m, h or d, such as "60s""#,
                r#"10: [cache] prefetch: found a whole number; expected true or false, such as prefetch = true"#,
                r#"12: [block] ttl: found a whole number; expected a duration, in quotes: a number with ms, s, m, h or d, such as ttl = "60s""#,
            ],
        ),
        (
            r#"[[list]]
name="l"
rules = ["a", 5, { rul = "x", schedule = "y" }]
types = "A"
from = 2026-09-01T00:00:00Z
"#,
            &[
                r#"3: [[list]] rules: found a whole number; expected a line such as "||example.org^", or { rule = "||example.org^", schedule = "lessons" }"#,
                r#"3: [[list]] rules: `rule` is missing; expected a string in quotes, such as rule = "||games.test^""#,
                r#"3: [[list]] rules.schedule: there is no schedule `y`; define it as a [[schedule]]"#,
                r#"3: [[list]] rules.rul: unknown key `rul`; expected one of rule, schedule, from, until (did you mean `rule`?)"#,
                r#"4: [[list]] types: found a string; expected a list of record types, in brackets, such as types = ["A"]"#,
                r#"5: [[list]] from: found a time without quotes; expected a time, in quotes, such as from = "2026-09-01T00:00:00Z""#,
            ],
        ),
    ]);
}

/// Brackets and quotes that are not closed, and the syntax of other formats.
#[test]
fn logs() {
    refused(&[
        (
            "[log]\nstore = \"sqlite3\"\ndays = 0\nsize = \"1MiB\"\ncommit-every = \"1ms\"\nclient = \"some\"\nnames = 1\nlines = \"no/such\"\n",
            &[
                "1: [log]: the database needs a folder, and there is no `[data]`; add [data] with folder = \"/var/lib/portcullis\", or write store = \"none\"",
                "2: [log] store: `sqlite3` is not known; expected one of sqlite, none (did you mean `sqlite`?)",
                "3: [log] days: 0 is out of bounds; expected a whole number from 1 to 36500",
                "4: [log] size: it is less than 16MiB; expected a size, in quotes: a number with KiB, MiB or GiB, such as size = \"1GiB\"",
                "5: [log] commit-every: it must be from 100ms to 1h; expected a duration, in quotes: a number with ms, s, m, h or d, such as commit-every = \"1s\"",
                "6: [log] client: `some` is not known; expected one of full, network, none (did you mean `none`?)",
                "7: [log] names: found a whole number; expected true or false, such as names = true",
                "8: [log] lines: there is no folder `no`; create it; paths are relative to the configuration file",
            ],
        ),
        (
            "[dnstap]\nto = \"udp:127.0.0.1:6000\"\n",
            &[
                "2: [dnstap] to: `udp:127.0.0.1:6000` is neither a socket nor an address nor a file; expected a socket, an address or a file, in quotes, such as to = \"unix:/run/dnstap.sock\"",
            ],
        ),
        (
            "[dnstap]\nto = \"tcp:localhost\"\n",
            &[
                "2: [dnstap] to: `localhost` is not an address with a port; expected one such as \"tcp:127.0.0.1:6000\"",
            ],
        ),
    ]);
}

#[test]
fn files_that_are_not_toml() {
    refused(&[
        (
            r#"[list]
name = "ads"
rules = []
[list]
name = "b"
rules = []
"#,
            &[
                r#"4: [list]: `list` has a table in line 1 already; write `[[list]]` each time: there can be several"#,
            ],
        ),
        (
            r#"[server]
listen = ["127.0.0.1:53",

[upstream]
servers=[]
"#,
            &[r#"2: [server]: the bracket `[` that opens here is not closed; add `]` before line 4"#],
        ),
        (
            r#"[server]
listen = ["127.0.0.1:53"
threads = 1
"#,
            &[r#"2: [server]: the bracket `[` that opens here is not closed; add `]` before line 3"#],
        ),
        (
            r#"[server]
listen = ["127.0.0.1:53", "b"
"#,
            &[r#"2: [server]: the bracket `[` that opens here is not closed; add `]` where it ends"#],
        ),
        (
            r#"[server
listen = []
"#,
            &[r#"1: the bracket of `[server` is not closed; write `[server]`"#],
        ),
        (
            r#"[[list]
name="x"
"#,
            &[r#"1: the bracket of `[[list]` is not closed; write `[[list]]`"#],
        ),
        (
            r#"[[list
name="x"
"#,
            &[r#"1: the bracket of `[[list` is not closed; write `[[list]]`"#],
        ),
        (
            r#"[server]
listen = 127.0.0.1:53
"#,
            &[r#"2: [server]: `127.0.0.1:53` is not in quotes; write "127.0.0.1:53""#],
        ),
        (
            r#"[server]
version = "abc
threads=1
"#,
            &[r#"2: [server]: the string is not closed; end it with the quote that opens it: ""#],
        ),
        (
            r#"[server]
version = abc
"#,
            &[r#"2: [server]: `abc` is not in quotes; write "abc""#],
        ),
        (
            r#"[server]
version =
"#,
            &[r#"2: [server]: `version` has no value; write one such as `version = "…"`"#],
        ),
        (
            r#"[server]
version
"#,
            &[r#"2: [server]: `version` has no value; write `version = …`"#],
        ),
        (
            r#"[server]
version: "x"
"#,
            &[
                r#"2: [server]: TOML does not assign values with a colon; write `version = "x"`, with strings in quotes"#,
            ],
        ),
        (
            r#"[server]
threads = 1
threads = 2
"#,
            &[r#"3: [server]: `threads` is given already in line 2; keep one of the two"#],
        ),
        (
            r#"[[list]]
name="a"
[list]
name="b"
"#,
            &[
                r#"3: [[list]]: `list` has a table in line 1 already; write `[[list]]` each time: there can be several"#,
            ],
        ),
        (
            r#"[list]
name="a"
[[list]]
name="b"
"#,
            &[
                r#"3: [list]: `list` has a table in line 1 already; write `[[list]]` each time: there can be several"#,
            ],
        ),
        (
            r#"[server]
listen = ["a" "b"]
"#,
            &[r#"2: [server]: a comma is missing before "b"; add one"#],
        ),
        (
            r#"[[list]]
action = { address = ["192.0.2.1"]
name = "x"
"#,
            &[r#"2: [[list]]: the bracket `{` that opens here is not closed; add `}` where it ends"#],
        ),
        (
            r#"[[list]]
action = { address = ["192.0.2.1" }
name = "x"
"#,
            &[r#"2: [[list]]: the bracket `[` that opens here is not closed; add `]` where it ends"#],
        ),
        (
            r#"[server]
version = "a\qb"
"#,
            &[
                r#"2: [server]: a backslash in "a\qb" starts an unknown escape sequence; write two backslashes, or put the string in single quotes"#,
            ],
        ),
        (
            r#"[server]
pin = True
"#,
            &[r#"2: [server]: `True` is not a value; write pin = true"#],
        ),
        (
            r#"[server]
threads = 01
"#,
            &[r#"2: [server]: `01` is not a number; write threads = 1"#],
        ),
        (
            r#"[server] listen = []
"#,
            &[
                r#"1: [server]: `listen = []` is on the line of a table's header; put it on a line of its own"#,
            ],
        ),
        (
            r#"[server]
listen = [] threads = 1
"#,
            &[r#"2: [server]: `threads = 1` does not belong after the value; put it on a line of its own"#],
        ),
        (
            r#"[server]
listen = "127.0.0.1:53", "b"
"#,
            &[
                r#"2: [server]: `, "b"` does not belong after the value; put several values in brackets: listen = ["127.0.0.1:53", "b"]"#,
            ],
        ),
        (
            r#"[server]
listen = [a, b]
"#,
            &[r#"2: [server]: `a` is not in quotes; write "a""#],
        ),
        (
            r#"[cache]
size = 64MiB
"#,
            &[r#"2: [cache]: `64MiB` is not in quotes; write "64MiB""#],
        ),
        (
            r#"[block]
ttl = 60s
"#,
            &[r#"2: [block]: `60s` is not in quotes; write "60s""#],
        ),
        (
            r#"server:
  listen: x
"#,
            &[
                r#"1: TOML does not assign values with a colon; write `[server]` for a table"#,
                r#"2: TOML does not assign values with a colon; write `listen = x`, with strings in quotes"#,
            ],
        ),
        (
            r#"{"server": 1}
"#,
            &[
                r#"1: a file in TOML does not begin with a bracket `{`; write tables such as `[server]`, with lines of `key = value` below"#,
            ],
        ),
        (
            r#"[server]
version = """abc
"#,
            &[r#"2: [server]: the string that begins here with """ is not closed; add """ where it ends"#],
        ),
        (
            r#"[]
"#,
            &[r#"1: the table has no name; write one such as `[server]`"#],
        ),
        (
            r#"[server]]
"#,
            &[r#"1: [server]: `]` is on the line of a table's header; put it on a line of its own"#],
        ),
        (
            r#"x = [[[[1,
"#,
            &[r#"1: the bracket `[` that opens here is not closed; add `]` where it ends"#],
        ),
        (
            r#"[server]
 listen = ]
"#,
            &[r#"2: [server]: a value is missing before `]`; add one, or remove `]`"#],
        ),
        (
            r#"[[rewrite]]
name='a'
address = [
 "a",
 "b",
[[rewrite]]
name='b'
"#,
            &[r#"3: [[rewrite]]: the bracket `[` that opens here is not closed; add `]` before line 6"#],
        ),
        (
            r#"a = 'x
[server]
listen = ['127.0.0.1:53']
"#,
            &[r#"1: the string is not closed; end it with the quote that opens it: '"#],
        ),
        (
            r#"[server]
listen = [
  # first
  "127.0.0.1:53" # second
  "127.0.0.1:54"
]
"#,
            &[r#"5: [server]: a comma is missing before "127.0.0.1:54"; add one"#],
        ),
    ]);
}

/// What is not a name, where a name is to match the names that clients ask for.
#[test]
fn names_that_can_match_nothing() {
    let like = r#"expected one such as "school.test""#;
    for (header, key, more) in [
        ("[[forward]]", "suffix", "servers = [\"192.0.2.1\"]"),
        ("[[zone]]", "origin", "file = \"Cargo.toml\""),
        ("[[rewrite]]", "name", "address = [\"192.0.2.1\"]"),
    ] {
        for (name, told) in [
            (
                "*.corp.test",
                "is a pattern, not a name; write corp.test, which covers the names below it".to_owned(),
            ),
            ("https://nas.test/", "is a URL, not a name; write its host, nas.test".to_owned()),
            ("http://192.0.2.1/", format!("is a URL, not a name; {like}")),
            ("nas.test:80", "is not a name: no host name has `:`; write nas.test".to_owned()),
            ("||nas.test^", "is not a name: no host name has `|`; write nas.test".to_owned()),
            ("192.0.2.1", format!("is an address, not a name; {like}")),
            ("a..b", format!("is not a domain name: a label is empty; {like}")),
        ] {
            // Of a rewrite it says that the names below are meant.
            if key == "name" && name.starts_with('*') {
                continue;
            }
            let told = format!("2: {header} {key}: `{name}` {told}");
            refused(&[(&format!("{header}\n{key} = \"{name}\"\n{more}\n"), &[&told])]);
        }
    }
}

/// A file that is cut off anywhere, as an editor may save it, is accepted or gets errors in existing lines.
#[test]
fn files_that_are_cut_off() {
    let text = "[server]\nlisten = [\"127.0.0.1:53\", # ü\n  \"[::1]:53\"]\n[[list]]\nname = 'x'\n\
        rules = [\"\"\"\n||é^\"\"\", { rule = \"a\", from = \"2026-09-01\" }]\naction = { address = [\"192.0.2.1\"] }\n";
    for (at, _) in text.char_indices() {
        let (head, tail) = text.split_at(at);
        for part in [head, tail] {
            let Err(error) = parse(part, Path::new("p.toml")) else { continue };
            let lines = 1..=part.split('\n').count();
            assert!(error.0.iter().all(|m| m.line.is_some_and(|l| lines.contains(&l))), "{error}\n{part}");
        }
    }
}

#[test]
fn a_file_that_is_not_utf_8_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.toml");
    for (octets, expected) in [
        (
            &b"[server]\nversion = \"\xfcber\"\n"[..],
            ":2: the octet 0xfc is not UTF-8; save the file as UTF-8",
        ),
        (b"\xff\xfe[\0", ":1: the octet 0xff is not UTF-8; save the file as UTF-8"),
    ] {
        std::fs::write(&path, octets).unwrap();
        let error = super::load(&path).unwrap_err().to_string();
        assert_eq!(error.strip_prefix(&path.display().to_string()), Some(expected));
    }
}

#[cfg(unix)]
#[test]
fn a_file_without_end_takes_no_memory() {
    let error = super::load(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_eq!(
        error,
        "/dev/zero: the configuration is longer than 64 MiB; name an existing file with --config"
    );
}

#[test]
fn what_a_terminal_would_obey_or_nobody_would_read_is_not_printed() {
    let long = format!("[server]\n{} = 1\n", "x".repeat(100_000));
    for text in ["[server]\n\"\\u001b[31m\" = 1\n", "[server]\nthreads = 1\0\n", "x\u{1b}[2J = 1\n", &long] {
        let error = parse(text, Path::new("p")).unwrap_err().to_string();
        assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
        assert!(error.len() < 5000, "{} octets", error.len());
    }
}
