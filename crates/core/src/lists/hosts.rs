//! `hosts`: an address, then any number of names, each of which is a rule.

use std::net::{IpAddr, Ipv4Addr};

use super::sink::Sink;
use super::skip::SkipReason;

/// Entries of a hosts file for the local machine; they are not rules.
const OWN: [&str; 13] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];

fn address_of(word: &str) -> Option<IpAddr> {
    if word == "0" {
        return Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    }
    word.split('%').next()?.parse().ok()
}

/// True if a line begins with an address and has a name.
pub(super) fn is_entry(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    words.next().and_then(address_of).is_some() && words.next().is_some_and(|word| !word.starts_with('#'))
}

/// One line of a hosts file.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    let Some(address) = words.next() else { return };
    // A zone index may follow a link-local address: fe80::1%lo0. Some lists write 0.0.0.0 as 0.
    let Some(answer) = address_of(address) else {
        return sink.skip(SkipReason::NotAnAddress(address.chars().take(40).collect()));
    };
    let (mut any, mut rules) = (false, false);
    for name in words {
        any = true;
        let own = OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) || name.parse::<IpAddr>().is_ok();
        match name.strip_prefix("*.") {
            _ if own => continue,
            Some(below) => sink.star(below),
            None => sink.plain_name(name, sink.plain()),
        }
        rules = true;
    }
    if !any {
        sink.skip(SkipReason::NoName);
    }
    if rules && !answer.is_loopback() && !answer.is_unspecified() {
        sink.list.answers = sink.list.answers.saturating_add(1);
    }
}
