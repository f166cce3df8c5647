//! What is built into the program: the shipped lists, and the demo's little internet.

use crate::dns::NameBuf;
use crate::rule::{Action, Effect, Format};
use crate::settings::{ListSettings, Settings, TextSource, ZoneSettings};

const LINKEDIN: &str = include_str!("../../blocklists/ru-2016-linkedin.txt");

macro_rules! zones {
    ($($origin:literal),+ $(,)?) => {
        &[$(($origin, include_str!(concat!("demo/internet/", $origin, ".zone")))),+]
    };
}

/// The demo's zones: origin and master file.
const INTERNET: &[(&str, &str)] = zones![
    "linkedin.com",
    "licdn.com",
    "lnkd.in",
    "wikipedia.org",
    "wikimedia.org",
    "example.org",
    "example.net",
    "example.com",
    "school.test",
];

/// The shipped lists: the ban on LinkedIn of November 2016.
pub(super) fn lists() -> Vec<ListSettings> {
    vec![ListSettings {
        name: "ru-2016-linkedin".into(),
        source: TextSource::Embedded("blocklists/ru-2016-linkedin.txt", LINKEDIN),
        format: Format::Domains,
        effect: Effect::Block,
        plain: None,
        action: Action::NxDomain,
        ttl: 60,
        authority: Some("Roskomnadzor".into()),
        ..ListSettings::default()
    }]
}

/// The settings of `serve` without a file.
pub(super) fn settings() -> Settings {
    Settings { lists: lists(), ..Settings::default() }
}

/// The demo's zones.
pub(super) fn internet() -> Vec<ZoneSettings> {
    let zone = |(origin, text): &(&'static str, &'static str)| {
        let name = NameBuf::from_text(origin).ok()?;
        Some(ZoneSettings { origin: name, source: TextSource::Embedded(origin, text) })
    };
    INTERNET.iter().filter_map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources;

    #[test]
    fn what_is_shipped_can_be_served() {
        let settings = Settings { zones: internet(), ..settings() };
        let (policy, report) = sources::compile(&settings, sources::Build::default()).unwrap();
        assert!(policy.rule_count() > 0);
        assert!(report.lists.iter().all(|l| l.skipped.is_empty()), "{report:?}");
        let (zones, reports) = sources::zones(&settings).unwrap();
        assert_eq!(zones.len(), INTERNET.len());
        assert!(reports.iter().map(|z| z.names).sum::<usize>() >= 36, "{reports:?}");
    }

    #[test]
    fn the_little_internet_has_documentation_addresses_only() {
        for (origin, text) in INTERNET {
            for word in text.split(|c: char| c.is_whitespace() || c == ',' || c == '=') {
                if let Ok(address) = word.parse::<std::net::Ipv4Addr>() {
                    assert!(address.is_documentation(), "{origin}: {address}");
                }
                if word.parse::<std::net::Ipv6Addr>().is_ok() {
                    assert!(word.starts_with("2001:db8:"), "{origin}: {word}");
                }
            }
        }
    }
}
