//! `dnsmasq`: the directives of its configuration that name domains. A domain includes its subdomains.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::comment;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::Qtype;
use crate::rule::{Action, Effect, Match, Pattern, Scope, Start, Traits};

/// One line of a configuration.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    let text = comment::without(text);
    let text = text.strip_prefix("--").unwrap_or(text);
    let (directive, value) = text.split_once('=').unwrap_or((text, ""));
    let (directive, value) = (directive.trim(), value.trim().trim_matches('"'));
    if !matches!(directive, "address" | "local" | "server") {
        return sink.skip(SkipReason::Feature(format!("the directive `{}`", short(directive))));
    }
    let Some(domains) = value.strip_prefix('/') else {
        return sink.skip(match directive {
            "server" => SkipReason::Feature("a server for all names".into()),
            _ => SkipReason::Syntax("expected /name/ after the equals sign".into()),
        });
    };
    let Some((domains, target)) = domains.rsplit_once('/') else {
        return sink.skip(SkipReason::Syntax("expected a slash after the name".into()));
    };
    let traits = match traits(directive, target, sink.traits()) {
        Ok(traits) => traits,
        Err(reason) => return sink.skip(reason),
    };
    if directive == "address" && traits.scope.is_some() {
        sink.one_family();
    }
    for domain in domains.split('/') {
        match (domain, domain.strip_prefix("*."), domain.strip_prefix('*')) {
            ("", ..) => sink.skip(SkipReason::Feature("a rule for names without a dot".into())),
            // The default servers for every name: the line changes nothing.
            ("#" | "*", ..) if traits.effect == Effect::Allow => sink.mark_handled(),
            ("#" | "*", ..) => sink.every_name(&traits),
            (_, Some(below), _) => sink.name(below, Match::Subdomains, &traits),
            (_, _, Some(end)) => match glob(end) {
                Some(pattern) => sink.pattern(pattern, &traits),
                None => sink.skip(SkipReason::NotAHostName),
            },
            _ => sink.name(domain.strip_prefix('.').unwrap_or(domain), Match::Suffix, &traits),
        }
    }
}

/// `*end`: every name with that suffix.
fn glob(end: &str) -> Option<Pattern> {
    let good = !end.is_empty() && end.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    good.then(|| Pattern::Glob { text: end.to_ascii_lowercase(), start: Start::Anywhere, end: true })
}

/// The part after the last slash: empty (the list's own action), an answer, or a server.
fn traits(directive: &str, target: &str, plain: Traits) -> Result<Traits, SkipReason> {
    let answer = |action| Ok(Traits { action: Some(action), ..plain.clone() });
    // From dnsmasq 2.86 on, an address answers only questions for its family; the others are forwarded.
    // HTTPS and SVCB carry addresses of both families, and would give away the blocked one.
    let one_family = |qtype, action| {
        let scope = Scope { types: vec![qtype, Qtype::SVCB, Qtype::HTTPS], ..Scope::default() };
        Ok(Traits { action: Some(action), scope: Some(Box::new(scope)), ..plain.clone() })
    };
    match (directive, target) {
        (_, "") => Ok(plain),
        ("address", "#") => answer(Action::Null),
        ("address", address) => match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) => one_family(Qtype::A, Action::Null),
            Ok(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) => one_family(Qtype::AAAA, Action::Null),
            Ok(IpAddr::V4(v4)) => one_family(Qtype::A, Action::Address(vec![v4], Vec::new())),
            Ok(IpAddr::V6(v6)) => one_family(Qtype::AAAA, Action::Address(Vec::new(), vec![v6])),
            Err(_) => Err(SkipReason::Syntax(format!("`{}` is not an address", short(address)))),
        },
        // The default servers: an exception from a broader rule.
        (_, "#") => Ok(Traits { effect: Effect::Allow, ..plain }),
        (_, server) if leads_nowhere(server) => Ok(plain),
        _ => Err(SkipReason::Feature("a server for some names; that is forwarding, not blocking".into())),
    }
}

/// Local resolvers have these addresses: systemd-resolved, Docker, dnscrypt-proxy, NetworkManager.
const RESOLVERS: [Ipv4Addr; 5] = [
    Ipv4Addr::new(127, 0, 0, 53),
    Ipv4Addr::new(127, 0, 0, 54),
    Ipv4Addr::new(127, 0, 0, 11),
    Ipv4Addr::new(127, 0, 2, 1),
    Ipv4Addr::new(127, 0, 1, 1),
];

/// True for an address that is dnsmasq itself or no server at all, so the name gets no answer: the unspecified
/// address, or loopback on the port of DNS.
fn leads_nowhere(server: &str) -> bool {
    let (address, port) = server.split_once('#').unwrap_or((server, "53"));
    port == "53"
        && match address.parse() {
            Ok(IpAddr::V4(v4)) => v4.is_unspecified() || (v4.is_loopback() && !RESOLVERS.contains(&v4)),
            Ok(IpAddr::V6(v6)) => v6.is_unspecified() || v6.is_loopback(),
            Err(_) => false,
        }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
