//! `hosts`: an address, then any number of names, each of which is a rule.

use std::net::{IpAddr, Ipv4Addr};

use super::network::network;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::{Name, NameBuf, Qtype};
use crate::rule::{Action, Data, Effect, Match, Traits};

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

/// A zone index may follow a link-local address: fe80::1%lo0. Some lists write 0.0.0.0 as 0.
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
    let Some(first) = words.next() else { return };
    let Some(address) = address_of(first) else {
        let network = first.strip_prefix("@@").map_or_else(|| network(first), network);
        match network.filter(|_| words.next().is_none()) {
            Some(_) => return sink.plain_name(first, sink.plain()),
            None => return sink.skip(SkipReason::NotAnAddress(first.chars().take(40).collect())),
        }
    };
    let sinkhole = address.is_unspecified() || address.is_loopback();
    let data = sink.answers() && !sinkhole;
    if data && first.contains('%') {
        return sink.skip(SkipReason::Feature("an answer with an address that has a zone index".into()));
    }
    let traits = if data { answering(address, &sink.traits()) } else { sink.traits() };
    let (mut any, mut canonical) = (false, None);
    for name in words {
        any = true;
        let own = OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) || name.parse::<IpAddr>().is_ok();
        if own {
            continue;
        }
        match name.strip_prefix("*.") {
            Some(_) if data => sink.skip(SkipReason::Feature("an answer for names with `*`".into())),
            None if data => {
                sink.name(name, Match::Exact, &traits);
                canonical = canonical.or_else(|| NameBuf::from_text(name).ok());
            }
            Some(below) => sink.star(below),
            None => sink.plain_name(name, sink.plain()),
        }
    }
    match (any, sinkhole) {
        (true, false) if !data => sink.note_addressed(),
        (true, _) => {}
        // A lone address is a rule for answers, except these, after which a name is missing.
        (false, true) => sink.skip(SkipReason::NoName),
        (false, false) => sink.plain_name(first, sink.plain()),
    }
    if let Some(canonical) = canonical {
        let records = Action::Records(vec![Data { rtype: Qtype::PTR, rdata: canonical.as_bytes().to_vec() }]);
        let traits = Traits { action: Some(records), ..traits };
        sink.wire_name(reverse(address).as_name(), Match::Exact, &traits);
    }
}

/// The traits of a name that is answered with an address, as those of a rewrite.
fn answering(address: IpAddr, plain: &Traits) -> Traits {
    let action = match address {
        IpAddr::V4(v4) => Action::Address(vec![v4], Vec::new()),
        IpAddr::V6(v6) => Action::Address(Vec::new(), vec![v6]),
    };
    Traits { effect: Effect::Block, rewrite: true, action: Some(action), ..plain.clone() }
}

/// The name of an address in the reverse tree (RFC 1035 §3.5, RFC 3596 §2.5).
fn reverse(address: IpAddr) -> NameBuf {
    let text = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().map(|o| format!("{:x}.{:x}.", o & 15, o >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    };
    NameBuf::from_text(&text).unwrap_or_else(|_| Name::ROOT.to_buf())
}
