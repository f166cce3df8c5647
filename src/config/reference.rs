//! `docs/configuration.md`, made from the declarations of the tables.

use super::key::{Form, Without};
use super::{
    answers, block, blockpage, bounds, cache, client, contact, control, data, dnstap, forward, group,
    inspect, list, log, metrics, policy, ratelimit, rewrite, schedule, server, special, upstream, zone,
};

/// All tables, in the order of the page.
pub(super) static FORMS: &[&Form] = &[
    &server::FORM,
    &ratelimit::FORM,
    &upstream::FORM,
    &cache::FORM,
    &block::FORM,
    &contact::FORM,
    &bounds::FORM,
    &list::FORM,
    &policy::FORM,
    &inspect::FORM,
    &schedule::FORM,
    &client::FORM,
    &group::FORM,
    &rewrite::FORM,
    &forward::FORM,
    &zone::FORM,
    &special::FORM,
    &answers::FORM,
    &control::FORM,
    &blockpage::FORM,
    &metrics::FORM,
    &data::FORM,
    &log::FORM,
    &dnstap::FORM,
];

/// The introduction above the tables.
const INTRODUCTION: &str = "\
<!-- Made from the tables in src/config: `UPDATE_DOCS=1 cargo test --lib config::reference` rewrites it. -->
# Configuration

`portcullis serve -c FILE` reads one TOML file. A key that is not listed here is an error, which
suggests the nearest one; `portcullis check -c FILE` reports all errors at once, with their lines and with
values that would be accepted (`--json`: for programs). Paths are relative to the file. SIGHUP reloads the
file; changes to listening addresses, sockets and threads take effect at the next start.

A table in single brackets, such as `[server]`, may occur once; a table in double brackets, such as
`[[list]]`, any number of times. [policy.md](policy.md) explains how lists, groups, schedules and rewrites work together.

## Values

| type | how it is written |
| --- | --- |
| duration | a number with `ms`, `s`, `m`, `h` or `d`, in quotes: `\"60s\"` |
| size | a number with `KiB`, `MiB` or `GiB`, in quotes: `\"64MiB\"` |
| address with a port | `\"127.0.0.1:5300\"`, `\"[::1]:5300\"` |
| network | `\"10.0.0.0/8\"`, `\"2001:db8::/32\"`, or one address |
| server | `\"192.0.2.53\"` (UDP, and TCP where needed; port 53), `\"udp://192.0.2.53:5353\"`, `\"tcp://[2001:db8::53]:53\"`, `\"dns.example\"` |
| time | `\"2026-09-01T08:00:00+02:00\"`; with a schedule's zone also `\"2026-09-01T08:00\"` or `\"2026-09-01\"` |
| window | `\"Mon-Fri 08:00-15:30\"`, `\"Sat,Sun 10:00-12:00\"`, `\"daily 22:00-06:00\"` |

### Actions

| action | the reply |
| --- | --- |
| `\"nxdomain\"`, `\"nodata\"` | the name, or the type, does not exist; with an SOA record |
| `\"refused\"`, `\"servfail\"` | that response code |
| `\"null\"` | 0.0.0.0 and ::, NODATA for other types |
| `{ address = [\"192.0.2.1\"] }` | these addresses, NODATA for other types |
| `{ cname = \"blocked.example\" }` | an alias |
| `\"drop\"` | no reply |
| `\"truncate\"` | TC over UDP; over TCP the query passes, and the hit is counted as with `\"log\"` |
| `\"log\"` | the true answer; the hit is counted |
";

/// The page: every table, every key, its type, default, example and meaning.
#[must_use]
pub fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for form in FORMS {
        page += &format!("\n## `{}`\n\n{}\n\n", form.header, form.meaning);
        page += "| key | type | default | example | meaning |\n| --- | --- | --- | --- | --- |\n";
        for key in form.keys {
            let default = match key.without {
                Without::Required => "required".to_owned(),
                Without::Value(value) => format!("`{value}`"),
                Without::Words(words) => words.to_owned(),
            };
            let example = if key.example.is_empty() { String::new() } else { format!("`{}`", key.example) };
            let cells =
                [format!("`{}`", key.name), key.kind.word(), default, example, key.meaning.to_owned()];
            page += &format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::key::{Key, Kind};
    use super::super::parse;
    use super::*;

    #[test]
    fn the_page_is_that_of_the_tables() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&path, page()).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        for (number, (made, written)) in (1..).zip(page().lines().zip(written.lines())) {
            assert_eq!(
                made, written,
                "line {number}: `UPDATE_DOCS=1 cargo test --lib config::reference` rewrites the page"
            );
        }
        assert_eq!(page().len(), written.len());
    }

    /// A file with one table: its required keys, and one more.
    fn with(form: &Form, key: &Key, value: &str) -> String {
        let mut file = String::new();
        let of_file = key.name == "addresses";
        let either = |key: &Key| match form.name() {
            // A hosts file is a file.
            "list" if of_file => key.name == "source",
            "list" => key.name == "rules",
            "rewrite" => key.name == "address",
            "schedule" => key.name == "windows",
            _ => false,
        };
        let alone = match form.name() {
            "list" => ["source", "rules"].contains(&key.name),
            "rewrite" => ["address", "cname", "records", "pass"].contains(&key.name),
            _ => false,
        };
        for needed in form.keys.iter().filter(|k| k.is_required() || !alone && either(k)) {
            if needed.name != key.name {
                file += &format!("{}\n", needed.line(needed.example));
            }
        }
        format!("{}\n{file}{}\n", form.header, key.line(value))
    }

    const BESIDE: &str = "[[list]]\nname = \"ads\"\nrules = []\n[[schedule]]\nname = \"lessons\"\n\
        zone = \"Europe/Berlin\"\nwindows = [\"daily 08:00-09:00\"]\n";

    #[test]
    fn every_example_and_every_default_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("lists")).unwrap();
        std::fs::create_dir(folder.path().join("zones")).unwrap();
        for file in ["lists/ads.txt", "zones/school.test.zone"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let path = folder.path().join("p.toml");
        for form in FORMS {
            for key in form.keys {
                let default = match key.without {
                    Without::Value(value) => value,
                    _ => key.example,
                };
                for value in [key.example, default] {
                    if matches!(key.kind, Kind::Table) {
                        continue;
                    }
                    assert!(!value.is_empty() && !key.meaning.is_empty(), "{} {}", form.header, key.name);
                    let mut text = with(form, key, value);
                    if matches!(form.name(), "group") || matches!(key.name, "schedule") {
                        let beside = BESIDE.replace("\"ads\"", "\"beside\"");
                        let beside = if form.name() == "group" { BESIDE.to_owned() } else { beside };
                        text = format!("{beside}{text}");
                    }
                    if form.name() == "log" {
                        text = format!("[data]\nfolder = \"data\"\n{text}");
                    }
                    if key.name == "groups" {
                        text += "[[group]]\nname = \"classroom\"\n";
                    }
                    if let Err(got) = parse(&text, &path) {
                        panic!("{got}\n{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_said_of_a_missing_key_is_what_holds_without_it() {
        let path = Path::new("p.toml");
        let mut file = String::new();
        // That there is a table `[log]` is what makes a log.
        for form in FORMS.iter().filter(|form| !form.is_list() && form.name() != "log") {
            let keys: Vec<_> = form
                .keys
                .iter()
                .filter_map(|key| match key.without {
                    Without::Value(value) => Some(key.line(value)),
                    _ => None,
                })
                .collect();
            if !form.keys.iter().any(Key::is_required) {
                file += &format!("{}\n{}\n", form.header, keys.join("\n"));
            }
        }
        let (given, without) = (parse(&file, path).unwrap(), parse("", path).unwrap());
        assert_eq!(format!("{given:#?}"), format!("{without:#?}"));
        // Of lists.
        let list = |more: &str| format!("[[list]]\nname = \"l\"\nsource = \"builtin:resolvers\"\n{more}");
        let keys = list::FORM.keys.iter().filter_map(|key| match key.without {
            Without::Value(value) => Some(key.line(value)),
            _ => None,
        });
        let keys: Vec<_> = keys.collect();
        let (given, without) = (parse(&list(&keys.join("\n")), path), parse(&list(""), path));
        assert_eq!(format!("{:?}", given.unwrap().lists), format!("{:?}", without.unwrap().lists));
    }
}
