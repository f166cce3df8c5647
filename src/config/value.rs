//! Values that many keys have: durations, sizes, names, types, files, and actions for blocked names.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::check::Check;
use super::error::{KeyPath, Part, expected, like};
use super::key::{Form, Key, Kind};
use super::table::{Table, not_a};
use super::user;
use crate::dns::{HostError, NameBuf, Qtype, host_in};
use crate::resolver::builtin;
use crate::rule::Action;
use crate::settings::TextSource;

/// The actions that are one word.
const ACTIONS: [(&str, Action); 8] = [
    ("nxdomain", Action::NxDomain),
    ("nodata", Action::NoData),
    ("refused", Action::Refused),
    ("servfail", Action::ServFail),
    ("null", Action::Null),
    ("drop", Action::Drop),
    ("truncate", Action::Truncate),
    ("log", Action::Log),
];

const ADDRESS: Key = Key::optional("address", Kind::Texts("IP addresses"), "").like(r#"["192.0.2.1"]"#);
const CNAME: Key = Key::optional("cname", Kind::TextOf("a domain name"), "").like(r#""blocked.example""#);

/// An action that is more than a word.
static ACTION: Form = Form { header: "", meaning: "", keys: &[ADDRESS, CNAME], also: &[] };

/// True for what would have to be fetched.
pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

impl Check<'_> {
    /// The answer for a blocked name.
    pub(super) fn action(&mut self, table: &mut Table<'_>, key: Key) -> Option<Action> {
        let value = table.value(key)?;
        let path = table.key(key);
        match value.get_ref() {
            DeValue::String(text) => {
                let word = Spanned::new(value.span(), text.clone().into_owned());
                let known = ACTIONS.iter().any(|(word, _)| *word == &**text);
                if let Ok(address) = text.parse::<IpAddr>() {
                    let problem = format!("`{text}` is an address, not an action");
                    let help = format!(r#"write {} = {{ address = ["{address}"] }}"#, key.name);
                    self.wrong(&path, &value.span(), problem, help);
                    return None;
                }
                if !known && text.contains('.') && NameBuf::from_text(text).is_ok() {
                    let problem = format!("`{text}` is a name, not an action");
                    let help = format!(r#"write {} = {{ cname = "{text}" }}"#, key.name);
                    self.wrong(&path, &value.span(), problem, help);
                    return None;
                }
                self.word(&path, &word, &ACTIONS)
            }
            DeValue::Table(_) => {
                let mut given = Table::of(self, path.clone(), value)?.declared(&ACTION);
                let addresses = given.texts(self, ADDRESS);
                let target = given.text(self, CNAME);
                let (has_addresses, has_target) = (given.has(ADDRESS.name), given.has(CNAME.name));
                given.done(self, "", &[]);
                match (has_addresses, has_target) {
                    (true, false) => {
                        let (v4, v6) = self.both_families(&path.key(ADDRESS.name), &addresses?);
                        Some(Action::Address(v4, v6))
                    }
                    (false, true) => Some(Action::Cname(self.name(&path.key(CNAME.name), &target?)?)),
                    (both, _) => {
                        let problem = if both {
                            "both `address` and `cname` are given"
                        } else {
                            "neither `address` nor `cname` is given"
                        };
                        self.wrong(&path, &value.span(), problem.into(), key.remedy(""));
                        None
                    }
                }
            }
            DeValue::Array(_) => {
                let problem = "found a list".to_owned();
                let right = key.line(&format!("{{ address = {} }}", self.written(&value.span())));
                self.wrong(&path, &value.span(), problem, key.remedy("").such_as(right));
                None
            }
            _ => {
                not_a(self, &path, value, &key, "");
                None
            }
        }
    }

    /// Addresses of either family, at least one.
    pub(super) fn both_families(
        &mut self,
        key: &KeyPath,
        texts: &Spanned<Vec<Spanned<String>>>,
    ) -> (Vec<Ipv4Addr>, Vec<Ipv6Addr>) {
        self.not_empty(key, texts, "give at least one address");
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for text in texts.get_ref() {
            match self.address(key, text) {
                Some(IpAddr::V4(address)) => v4.push(address),
                Some(IpAddr::V6(address)) => v6.push(address),
                None => {}
            }
        }
        (v4, v6)
    }

    pub(super) fn address(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<IpAddr> {
        let address = text.get_ref().parse().ok();
        if address.is_none() {
            let problem = format!("`{}` is not an IP address", text.get_ref());
            self.wrong(key, &text.span(), problem, like(r#""192.0.2.1" or "2001:db8::1""#));
        }
        address
    }

    /// A duration at a key; `None` if there is none, or a mistake.
    pub(super) fn span_of(&mut self, table: &mut Table<'_>, key: Key) -> Option<Duration> {
        let text = table.text(self, key)?;
        self.duration(&table.key(key), &text)
    }

    /// A duration at a key in whole seconds.
    pub(super) fn seconds(&mut self, table: &mut Table<'_>, key: Key) -> Option<u32> {
        self.span_of(table, key).and_then(|span| u32::try_from(span.as_secs()).ok())
    }

    pub(super) fn duration(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<Duration> {
        let parsed = duration_of(text.get_ref());
        if parsed.is_none() {
            let problem = format!("`{}` is not a duration", text.get_ref());
            let remedy = expected("a number with ms, s, m, h or d").such_as(r#""60s""#);
            self.wrong(key, &text.span(), problem, remedy);
        }
        parsed
    }

    /// A number of octets at a key.
    pub(super) fn size(&mut self, table: &mut Table<'_>, key: Key) -> Option<u64> {
        let text = table.text(self, key)?;
        let parsed = split_number(text.get_ref()).and_then(|(number, unit)| {
            let factor = match unit {
                "" | "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                "GiB" => 1 << 30,
                _ => return None,
            };
            number.checked_mul(factor)
        });
        if parsed.is_none() {
            let problem = format!("`{}` is not a size", text.get_ref());
            let remedy = expected("a number with KiB, MiB or GiB").such_as(r#""64MiB""#);
            self.wrong(&table.key(key), &text.span(), problem, remedy);
        }
        parsed
    }

    pub(super) fn name(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<NameBuf> {
        match NameBuf::from_text(text.get_ref()) {
            Ok(name) => Some(name),
            Err(reason) => {
                let problem = format!("`{}` is not a domain name: {reason}", text.get_ref());
                self.wrong(key, &text.span(), problem, like(r#""school.test""#));
                None
            }
        }
    }

    /// A name that clients can ask for.
    pub(super) fn host(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<NameBuf> {
        let written = text.get_ref();
        let problem = match NameBuf::from_host(written) {
            Ok(name) => return Some(name),
            Err(problem) => problem,
        };
        let remedy = match (problem, host_in(written)) {
            (HostError::Pattern, Some(host)) => {
                format!("write {host}, which covers the names below it").into()
            }
            (HostError::Url, Some(host)) => format!("write its host, {host}").into(),
            (HostError::Character(_), Some(host)) => format!("write {host}").into(),
            _ => like(r#""school.test""#),
        };
        self.wrong(key, &text.span(), format!("`{written}` is {problem}"), remedy);
        None
    }

    pub(super) fn qtype(&mut self, key: &KeyPath, text: &Spanned<String>) -> Option<Qtype> {
        // A type that only queries may have is not a type of records (RFC 6895 §3.1).
        let found = text.get_ref().parse().ok().filter(|t: &Qtype| !t.is_meta() && t.0 != 0);
        if found.is_none() {
            let problem = format!("`{}` is not a record type", text.get_ref());
            self.wrong(key, &text.span(), problem, like(r#""AAAA", "HTTPS" or "TYPE65""#));
        }
        found
    }

    /// A built-in text, or a readable file.
    pub(super) fn source(&mut self, key: &KeyPath, source: &Spanned<String>) -> Option<TextSource> {
        let text = source.get_ref();
        if let Some(name) = text.strip_prefix("builtin:") {
            let known = builtin::LISTS.iter().find(|(n, _, _)| *n == name);
            if known.is_none() {
                let word = Spanned::new(source.span(), name.to_owned());
                let words: Vec<&str> = builtin::LISTS.iter().map(|(n, _, _)| *n).collect();
                self.unknown_word(key, &word, &words);
            }
            return known.map(|(_, file, text)| TextSource::Embedded(file, text));
        }
        if is_url(text) {
            let problem = "this version does not fetch lists from URLs".into();
            let word = match key.parts().last() {
                Some(Part::Key(word)) => word,
                _ => "source",
            };
            let help = format!("download it to a file, and name that in `{word}`");
            self.wrong(key, &source.span(), problem, help);
            return None;
        }
        let path = self.folder().join(text);
        let found = fs::metadata(&path).and_then(|found| match found.is_file() {
            // An unreadable file exists as well.
            true => fs::File::open(&path).map(|_| true),
            false => Ok(false),
        });
        let (problem, help) = match found {
            Ok(true) => return Some(TextSource::File(path)),
            Ok(false) => (format!("`{}` is not a file", path.display()), "name a file".to_owned()),
            Err(error) => match user::permission(&error) {
                Some(help) => (format!("`{}` cannot be read: {error}", path.display()), help),
                None => (
                    format!("there is no file `{}`", path.display()),
                    "paths are relative to the configuration file".to_owned(),
                ),
            },
        };
        self.wrong(key, &source.span(), problem, help);
        None
    }

    /// The directory that paths are relative to.
    pub(super) fn folder(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).to_path_buf()
    }
}

/// A duration such as `60s` or `12h`: a number with ms, s, m, h or d, at most 68 years.
#[must_use]
pub fn duration_of(text: &str) -> Option<Duration> {
    let (number, unit) = split_number(text)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // A TTL has 31 bits (RFC 2181 §8).
    number.checked_mul(millis).map(Duration::from_millis).filter(|d| d.as_secs() <= i32::MAX as u64)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim()))
}
