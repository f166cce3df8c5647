//! `adguard`: the DNS filter syntax.
//!
//! Its documented order maps onto the ladder: `$dnsrewrite` first, then `@@…$important`, `$important`,
//! `@@`, and the rest. Its finer distinctions (more modifiers before fewer) are replaced by the longer name
//! and the order of the lists.

use super::comment;
use super::expression;
use super::host::push_host;
use super::hosts;
use super::network::network;
use super::sink::Sink;
use super::skip::SkipReason;
use crate::dns::{Name, NameBuf, Qtype, rdata};
use crate::rule::{Action, Client, Data, Effect, Match, Pattern, Scope, Start, Traits};

/// One line of a filter.
pub(super) fn line(text: &str, sink: &mut Sink<'_>) {
    // Most lines have this form.
    if let Some(name) = text.strip_prefix("||").and_then(|t| t.strip_suffix('^'))
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    {
        return sink.plain_name(name, Match::Suffix);
    }
    let first = text.split_ascii_whitespace().next().unwrap_or_default();
    if first.len() < text.len() && first.parse::<std::net::IpAddr>().is_ok() {
        return hosts::line(text, sink);
    }
    if let Err(reason) = rule(text, sink) {
        sink.skip(reason);
    }
}

/// Markers of cosmetic rules.
const COSMETIC: [&str; 12] =
    ["##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#$?#", "#%#", "#@%#", "$$", "$@$", "#@$?#"];

fn rule(text: &str, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
    if COSMETIC.iter().any(|mark| text.contains(mark)) {
        return Err(SkipReason::Cosmetic);
    }
    let text = comment::without(text);
    let mut traits = sink.traits();
    let text = match text.strip_prefix("@@") {
        Some(rest) => {
            traits.effect = Effect::Allow;
            rest
        }
        None => text,
    };
    let (pattern, modifiers) = split(text);
    let mut scope = Scope::default();
    for modifier in pieces(modifiers, ',') {
        if !modifier.is_empty() {
            self::modifier(&modifier, &mut traits, &mut scope)?;
        }
    }
    if scope != Scope::default() {
        traits.scope = Some(Box::new(scope));
    }
    if let Some(network) = address(pattern) {
        if traits.rewrite {
            return Err(SkipReason::Feature("a rewrite of answers by their address".into()));
        }
        sink.address(network, &traits);
        return Ok(());
    }
    if let Some(expression) = pattern.strip_prefix('/').and_then(|p| p.strip_suffix('/'))
        && !expression.is_empty()
    {
        return expression::push(expression, &traits, sink);
    }
    plain_pattern(pattern, &traits, sink)
}

/// An address or a network, as itself or as a name is written (`||192.0.2.7^`).
fn address(pattern: &str) -> Option<ipnet::IpNet> {
    let body = pattern.strip_prefix("||").or_else(|| pattern.strip_prefix('|')).unwrap_or(pattern);
    let body = ["^|", "^", "|"].iter().find_map(|end| body.strip_suffix(end)).unwrap_or(body);
    network(body)
}

/// Pattern and modifiers, separated by the last unescaped `$`, except in a rule that begins and ends with a
/// slash.
fn split(text: &str) -> (&str, &str) {
    if text.len() > 1 && text.starts_with('/') && text.ends_with('/') {
        return (text, "");
    }
    let mut from = text.len();
    while let Some(at) = text.get(..from).and_then(|t| t.rfind('$')) {
        let escaped = text.get(..at).is_some_and(|t| t.ends_with('\\'));
        let rest = text.get(at + 1..).unwrap_or_default();
        // In an expression a `$` may be the end anchor; then no modifier name follows.
        let word = rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '~');
        if !escaped && (word || !text.starts_with('/')) {
            return (text.get(..at).unwrap_or_default(), rest);
        }
        from = at;
    }
    (text, "")
}

/// Splits at unescaped separators; the escaping backslash is removed.
fn pieces(text: &str, separator: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(last) = out.last_mut() else { break };
        match c {
            '\\' if chars.peek().is_some_and(|n| [',', '|', '$', separator].contains(n)) => {
                // Kept for splitting this piece again.
                if separator == ',' && chars.peek() == Some(&'|') {
                    last.push('\\');
                }
                last.extend(chars.next());
            }
            c if c == separator => out.push(String::new()),
            c => last.push(c),
        }
    }
    out
}

fn modifier(text: &str, traits: &mut Traits, scope: &mut Scope) -> Result<(), SkipReason> {
    let (name, value) = text.split_once('=').map_or((text, None), |(n, v)| (n, Some(v)));
    let lower = name.to_ascii_lowercase();
    let needed =
        || value.filter(|v| !v.is_empty()).ok_or(SkipReason::Syntax(format!("`{lower}` needs a value")));
    match lower.as_str() {
        "important" => traits.important = true,
        "badfilter" => traits.cancels = true,
        "dnstype" => {
            for (yes, word) in signed(needed()?) {
                let unknown = || SkipReason::Syntax(format!("`{word}` is not a record type"));
                let qtype: Qtype = word.parse().map_err(|_| unknown())?;
                if yes { &mut scope.types } else { &mut scope.not_types }.push(qtype);
            }
            tidy(&mut scope.types);
            tidy(&mut scope.not_types);
        }
        "client" => {
            for (yes, word) in signed(needed()?) {
                let client = match (word.parse(), word.parse::<std::net::IpAddr>()) {
                    (Ok(network), _) => {
                        let network: ipnet::IpNet = network;
                        Client::Network(network.trunc())
                    }
                    (_, Ok(address)) => Client::Network(address.into()),
                    _ if unquoted(&word).is_empty() => {
                        return Err(SkipReason::Syntax("`client` has an empty name".into()));
                    }
                    _ => Client::Name(unquoted(&word)),
                };
                if yes { &mut scope.clients } else { &mut scope.not_clients }.push(client);
            }
            tidy(&mut scope.clients);
            tidy(&mut scope.not_clients);
        }
        "ctag" => {
            for (yes, word) in signed(needed()?) {
                let good = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                if word.is_empty() || !good {
                    return Err(SkipReason::Syntax(format!("`{word}` is not a client tag")));
                }
                if yes { &mut scope.tags } else { &mut scope.not_tags }.push(word);
            }
            tidy(&mut scope.tags);
            tidy(&mut scope.not_tags);
        }
        "denyallow" => {
            for (yes, word) in signed(needed()?) {
                if !yes {
                    return Err(SkipReason::Syntax("`denyallow` takes no `~`".into()));
                }
                scope.except.push(NameBuf::from_text(&word).map_err(SkipReason::Name)?);
            }
            tidy(&mut scope.except);
        }
        "dnsrewrite" => {
            traits.rewrite = true;
            traits.action = rewrite(value.unwrap_or_default())?;
            if traits.action.is_none() && traits.effect == Effect::Block {
                return Err(SkipReason::Syntax("`dnsrewrite` needs a value".into()));
            }
        }
        _ => return Err(SkipReason::Modifier(name.chars().take(40).collect())),
    }
    Ok(())
}

/// Words separated by bars; false for those with a `~`.
fn signed(value: &str) -> impl Iterator<Item = (bool, String)> {
    pieces(value, '|').into_iter().map(|word| match word.strip_prefix('~') {
        Some(rest) => (false, rest.to_owned()),
        None => (true, word),
    })
}

/// A client's name without its quotes and the backslashes before inner quotes.
fn unquoted(word: &str) -> String {
    let inner = ['"', '\''].iter().find_map(|q| word.strip_prefix(*q)?.strip_suffix(*q));
    inner.unwrap_or(word).replace("\\'", "'").replace("\\\"", "\"")
}

/// Sorts, so that a rule written in another order is the same rule.
fn tidy<T: Ord>(all: &mut Vec<T>) {
    all.sort();
    all.dedup();
}

/// The value of `dnsrewrite`: an address, a name, a code, or `CODE;TYPE;VALUE`.
fn rewrite(value: &str) -> Result<Option<Action>, SkipReason> {
    let code = |word: &str| match word {
        "NOERROR" => Some(Action::NoData),
        "NXDOMAIN" => Some(Action::NxDomain),
        "SERVFAIL" => Some(Action::ServFail),
        "REFUSED" => Some(Action::Refused),
        _ => None,
    };
    let name = |text: &str| {
        let name = NameBuf::from_text(text).map_err(|e| SkipReason::Syntax(format!("`{text}`: {e}")))?;
        if push_host(text, &mut Vec::new()).is_err() || name.as_name().labels().any(|l| l.starts_with(b"-")) {
            return Err(SkipReason::Syntax(format!("`{text}` is not a host name")));
        }
        Ok(name)
    };
    let host = |text: &str| name(text).map(Action::Cname);
    let record = |rtype: Qtype, text: &str| {
        // The position of the host name in the data.
        let place = match rtype {
            Qtype::PTR => Some(0),
            Qtype::MX | Qtype::HTTPS | Qtype::SVCB => Some(1),
            Qtype::SRV => Some(3),
            _ => None,
        };
        if let Some(text) = place.and_then(|at| text.split_ascii_whitespace().nth(at)).filter(|t| *t != ".") {
            name(text)?;
        }
        let rdata =
            rdata::from_text(rtype, text, Name::ROOT).map_err(|e| SkipReason::Syntax(e.to_string()))?;
        Ok(Some(Action::Records(vec![Data { rtype, rdata }])))
    };
    if value.is_empty() {
        return Ok(None);
    }
    let mut parts = value.splitn(3, ';');
    let (first, rtype, text) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let Some(rtype) = rtype else {
        return match (code(first), first.parse::<std::net::IpAddr>()) {
            (Some(action), _) => Ok(Some(action)),
            (_, Ok(std::net::IpAddr::V4(_))) => record(Qtype::A, first),
            (_, Ok(std::net::IpAddr::V6(_))) => record(Qtype::AAAA, first),
            // A word in capitals is a code.
            _ if first.contains('.') || first.to_uppercase() != first => host(first).map(Some),
            _ => Err(SkipReason::Syntax(format!("`{first}` is not an address, name or response code"))),
        };
    };
    let bad = || SkipReason::Syntax(format!("`{first}` is not a response code"));
    let action = code(&first.to_ascii_uppercase()).ok_or_else(bad)?;
    let text = text.unwrap_or_default();
    if action != Action::NoData || (rtype.is_empty() && text.is_empty()) {
        return Ok(Some(action));
    }
    let unknown = || SkipReason::Syntax(format!("`{rtype}` is not a record type for a rewrite"));
    match rtype.parse::<Qtype>().map_err(|_| unknown())? {
        Qtype::CNAME => host(text).map(Some),
        rtype @ (Qtype::A
        | Qtype::AAAA
        | Qtype::MX
        | Qtype::PTR
        | Qtype::SRV
        | Qtype::HTTPS
        | Qtype::SVCB) => record(rtype, text),
        // The whole value is one string, with or without quotes.
        Qtype::TXT if text.starts_with('"') => record(Qtype::TXT, text),
        Qtype::TXT => record(Qtype::TXT, &format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        _ => Err(unknown()),
    }
}

fn plain_pattern(text: &str, traits: &Traits, sink: &mut Sink<'_>) -> Result<(), SkipReason> {
    let whole = text;
    let (mut start, mut text) = match (text.strip_prefix("||"), text.strip_prefix('|')) {
        (Some(rest), _) => (Some(Start::Label), rest),
        (None, Some(rest)) => (Some(Start::Name), rest),
        _ => (None, text),
    };
    if let Some(rest) = ["http://", "https://", "://"].iter().find_map(|p| text.strip_prefix(p)) {
        start = Some(Start::Name);
        text = rest;
    }
    // A path after the name: only `/` and `/*` mean the same as the end of the name.
    let slashed = text.strip_suffix("/*").or_else(|| text.strip_suffix('/'));
    let ended = slashed.or_else(|| ["^|", "^*", "^", "|"].iter().find_map(|e| text.strip_suffix(e)));
    let (body, end) = ended.map_or((text, false), |body| (body, true));
    let is_name = |t: &str| !t.is_empty() && !t.contains(['*', '^', '|', '/', ':', '=', '?', '&']);
    // The dot at the end of a whole name has no meaning; `ads.` and `||ads.example.` are beginnings of names.
    let is_whole = |t: &str| {
        let name = t.strip_prefix("*.").unwrap_or(t);
        start.is_none() && is_name(name) && name.contains('.') && !name.starts_with(['.', '-'])
    };
    let body = body.strip_suffix('.').filter(|body| end || is_whole(body)).unwrap_or(body);
    match (start, end) {
        (Some(Start::Label), true) => {
            if is_name(body) {
                sink.name(body, Match::Suffix, traits);
                return Ok(());
            }
            if let Some(below) = body.strip_prefix("*.").filter(|b| is_name(b)) {
                sink.name(below, Match::Subdomains, traits);
                return Ok(());
            }
        }
        (Some(Start::Name), true) if is_name(body) => {
            sink.name(body, Match::Exact, traits);
            return Ok(());
        }
        // A plain name is a hosts entry without an address; with `@@` or a modifier it is a substring of a
        // name.
        (None, false)
            if *traits == sink.traits()
                && body.contains('.')
                && is_name(body)
                && !body.starts_with('.')
                && !body.ends_with(['.', '-']) =>
        {
            sink.name(body, sink.plain(), traits);
            return Ok(());
        }
        _ => {}
    }
    // Publishers of lists mean the name too; AdGuard itself writes `||*.name^` for only what is below.
    if let (None, false, Some(below)) = (start, end, body.strip_prefix("*."))
        && is_name(below)
        && !below.starts_with('.')
        && !below.ends_with(['.', '-'])
    {
        sink.star_with(below, traits);
        return Ok(());
    }
    let text = body.to_lowercase();
    let text = match text.strip_prefix('/') {
        // `/ads.` begins a name, as the slash before it would in a URL.
        Some(rest) if start.is_none() => {
            start = Some(Start::Name);
            rest.to_owned()
        }
        _ => text,
    };
    if text.contains(['^', '|', '/', ':', '=', '?', '&', ' ', '#']) {
        return Err(SkipReason::Feature("a pattern that only a whole address could match".into()));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b)) {
        return Err(SkipReason::NotAHostName);
    }
    if text.contains('*') && text.bytes().all(|b| b == b'*') {
        sink.every_name(traits);
        return Ok(());
    }
    let wide = whole.len() < 3 || text.bytes().all(|b| b == b'*' || b == b'.');
    if wide && traits.scope.is_none() {
        return Err(SkipReason::Syntax("would match nearly every name".into()));
    }
    sink.pattern(Pattern::Glob { text, start: start.unwrap_or(Start::Anywhere), end }, traits);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;
    use crate::rule::Format;
    use crate::rule::modifiers;
    use proptest::prelude::*;

    /// The result of a line: rules as this program writes them, or the reason why it gives none.
    fn read(text: &str) -> Vec<String> {
        let list = parse(text.as_bytes(), Format::AdGuard, None, Effect::Block).unwrap();
        let show = |rule: String, traits: u32| {
            let traits = &list.traits[traits as usize];
            let cancels = if traits.cancels { " badfilter" } else { "" };
            let allow = if traits.effect == Effect::Allow { "@@" } else { "" };
            format!("{allow}{rule}{}{cancels}", modifiers(traits))
        };
        let names = list.rules().map(|r| {
            let rule = match r.matching {
                Match::Exact => format!("|{}|", r.name),
                Match::Suffix => format!("||{}^", r.name),
                Match::Subdomains => format!("||*.{}^", r.name),
            };
            show(rule, r.traits)
        });
        let patterns = list.patterns.iter().map(|(_, p, t)| show(format!("pattern {p}"), *t));
        let addresses = list.addresses.iter().map(|(_, n, t)| show(format!("address {n}"), *t));
        names
            .chain(patterns)
            .chain(addresses)
            .chain(list.skipped.iter().map(|s| format!("! {}", s.reason)))
            .collect()
    }

    #[test]
    fn lines_and_what_they_mean() {
        for (line, expected) in [
            // Names.
            ("||a.org^", "||a.org^"),
            ("||A.ORG^", "||a.org^"),
            ("||a.org^|", "||a.org^"),
            ("||a.org|", "||a.org^"),
            ("||a.org^*", "||a.org^"),
            ("||a.org/", "||a.org^"),
            ("||a.org/*", "||a.org^"),
            ("||a.org.^", "||a.org^"),
            ("||*.a.org^", "||*.a.org^"),
            ("|a.org^", "|a.org|"),
            ("|a.org|", "|a.org|"),
            ("|https://a.org^", "|a.org|"),
            ("://a.org^", "|a.org|"),
            ("https://a.org/", "|a.org|"),
            ("a.org", "|a.org|"),
            ("a.org # why", "|a.org|"),
            ("||bücher.example^", "||xn--bcher-kva.example^"),
            ("@@||a.org^", "@@||a.org^"),
            ("*.a.org", "||a.org^"),
            ("*.Org", "||org^"),
            ("@@*.a.org", "@@||a.org^"),
            ("*.a.org$badfilter", "||a.org^ badfilter"),
            ("@@*.a.org$important,dnstype=A", "@@||a.org^$important,dnstype=A"),
            ("*.a.org # why", "||a.org^"),
            // Only a name by itself is a hosts entry.
            ("@@a.org", "@@pattern a.org"),
            ("a.org$important", "pattern a.org$important"),
            ("0.0.0.0 a.org", "|a.org|"),
            ("||com^", "||com^"),
            // Patterns.
            ("||a.org", "pattern ||a.org"),
            ("||ads.", "pattern ||ads."),
            ("|ads.", "pattern |ads."),
            ("||ads*.a.org^", "pattern ||ads*.a.org^"),
            ("-banner-", "pattern -banner-"),
            (".tracker.", "pattern .tracker."),
            ("/ads.", "pattern |ads."),
            ("ads.a.org^", "pattern ads.a.org^"),
            ("a*.org", "pattern a*.org"),
            ("*ads*", "pattern *ads*"),
            ("*.ads.", "pattern *.ads."),
            ("*.a.org^", "pattern *.a.org^"),
            ("||ads*.a.org", "pattern ||ads*.a.org"),
            ("/ads[0-9]+/", "pattern /ads[0-9]+/"),
            ("/ads$/", "pattern /ads$/"),
            ("@@/ads$/", "@@pattern /ads$/"),
            ("/ads[0-9]+/$important", "pattern /ads[0-9]+/$important"),
            ("/ads$/$dnstype=A", "pattern /ads$/$dnstype=A"),
            ("/^a\\.org$/", "|a.org|"),
            ("/^(.+\\.)?a\\.org$/", "||a.org^"),
            ("/(^|\\.)a\\.org$/", "||a.org^"),
            ("/^.+\\.a\\.org$/", "||*.a.org^"),
            ("/^a.org$/", "pattern /^a.org$/"),
            // Modifiers.
            ("||a.org^$important", "||a.org^$important"),
            ("@@||a.org^$important", "@@||a.org^$important"),
            ("||a.org^$badfilter", "||a.org^ badfilter"),
            ("||a.org^$dnstype=AAAA|a", "||a.org^$dnstype=A|AAAA"),
            ("||a.org^$dnstype=~A", "||a.org^$dnstype=~A"),
            ("||a.org^$client=192.0.2.1", "||a.org^$client=192.0.2.1/32"),
            ("||a.org^$client=192.0.2.9/24|~192.0.2.1", "||a.org^$client=192.0.2.0/24|~192.0.2.1/32"),
            ("||a.org^$client=2001:db8::/32", "||a.org^$client=2001:db8::/32"),
            ("||a.org^$client='Kid\\, small\\|tall'", "||a.org^$client='Kid, small|tall'"),
            ("||a.org^$client=\"pc\"", "||a.org^$client='pc'"),
            ("||a.org^$client='Frank\\'s laptop'", "||a.org^$client='Frank's laptop'"),
            ("||a.org^$ctag=pc|~router", "||a.org^$ctag=pc|~router"),
            ("||a.org^$denyallow=b.a.org|c.a.org", "||a.org^$denyallow=b.a.org|c.a.org"),
            ("*$denyallow=com|org", "||.^$denyallow=com|org"),
            // Every name.
            ("*", "||.^"),
            ("||*^", "||.^"),
            ("|*^", "||.^"),
            ("||*", "||.^"),
            ("@@||*^$important", "@@||.^$important"),
            ("/.*/", "||.^"),
            ("/^.+$/", "||.^"),
            ("@@/(.*)/", "@@||.^"),
            // Addresses.
            ("192.0.2.7", "address 192.0.2.7/32"),
            ("||192.0.2.7^", "address 192.0.2.7/32"),
            ("|192.0.2.7|$important", "address 192.0.2.7/32$important"),
            ("192.0.2.0/24", "address 192.0.2.0/24"),
            ("@@||192.0.2.7^", "@@address 192.0.2.7/32"),
            ("[2001:db8::1]", "address 2001:db8::1/128"),
            ("||2001:db8::1^$dnstype=AAAA", "address 2001:db8::1/128$dnstype=AAAA"),
            ("||192.0.2.7^$badfilter", "address 192.0.2.7/32 badfilter"),
            ("||192.0.2.7^$dnsrewrite=b.org", "! not supported: a rewrite of answers by their address"),
            ("||a.org^$important,dnstype=A", "||a.org^$important,dnstype=A"),
            // Rewrites.
            ("||a.org^$dnsrewrite=192.0.2.1", "||a.org^$dnsrewrite=records A"),
            ("||a.org^$dnsrewrite=2001:db8::1", "||a.org^$dnsrewrite=records AAAA"),
            ("||a.org^$dnsrewrite=b.org", "||a.org^$dnsrewrite=cname b.org"),
            ("||a.org^$dnsrewrite=NXDOMAIN", "||a.org^$dnsrewrite=nxdomain"),
            ("||a.org^$dnsrewrite=REFUSED", "||a.org^$dnsrewrite=refused"),
            ("||a.org^$dnsrewrite=SERVFAIL", "||a.org^$dnsrewrite=servfail"),
            ("||a.org^$dnsrewrite=NOERROR", "||a.org^$dnsrewrite=nodata"),
            ("||a.org^$dnsrewrite=NXDOMAIN;;", "||a.org^$dnsrewrite=nxdomain"),
            ("||a.org^$dnsrewrite=NOERROR;;", "||a.org^$dnsrewrite=nodata"),
            ("||a.org^$dnsrewrite=NOERROR;A;192.0.2.1", "||a.org^$dnsrewrite=records A"),
            ("||a.org^$dnsrewrite=NOERROR;CNAME;b.org", "||a.org^$dnsrewrite=cname b.org"),
            ("||a.org^$dnsrewrite=NOERROR;MX;10 mx.b.org", "||a.org^$dnsrewrite=records MX"),
            ("||a.org^$dnsrewrite=NOERROR;TXT;hello world", "||a.org^$dnsrewrite=records TXT"),
            ("||a.org^$dnsrewrite=NOERROR;PTR;b.org.", "||a.org^$dnsrewrite=records PTR"),
            ("||a.org^$dnsrewrite=NOERROR;SRV;1 2 53 b.org", "||a.org^$dnsrewrite=records SRV"),
            ("||a.org^$dnsrewrite=NOERROR;HTTPS;1 . alpn=h3", "||a.org^$dnsrewrite=records HTTPS"),
            ("||a.org^$dnsrewrite=NOERROR;SVCB;1 b.org port=53", "||a.org^$dnsrewrite=records SVCB"),
            ("@@||a.org^$dnsrewrite", "@@||a.org^$dnsrewrite"),
            ("@@||a.org^$dnsrewrite=192.0.2.1", "@@||a.org^$dnsrewrite=records A"),
            ("||a.org^$dnsrewrite", "! `dnsrewrite` needs a value"),
            ("||a.org^$dnsrewrite=nonsense", "||a.org^$dnsrewrite=cname nonsense"),
            ("||a.org^$dnsrewrite=NONSENSE", "! `NONSENSE` is not an address, name or response code"),
            ("||a.org^$dnsrewrite=NOERROR;A;x", "! `x` is not an IPv4 address"),
            // A modifier without meaning for a name server never becomes a full block.
            ("||a.org^$third-party", "! the modifier `third-party` means nothing to a name server"),
            ("||a.org^$script,important", "! the modifier `script` means nothing to a name server"),
            ("||a.org^$domain=b.org", "! the modifier `domain` means nothing to a name server"),
            ("||a.org^$~script", "! the modifier `~script` means nothing to a name server"),
            ("||a.org^$match-case", "! the modifier `match-case` means nothing to a name server"),
            ("a.org##.banner", "! a rule for the contents of pages, not for names"),
            ("##.banner", "! a rule for the contents of pages, not for names"),
            ("#@#.banner", "! a rule for the contents of pages, not for names"),
            ("||a.org/ads/*", "! not supported: a pattern that only a whole address could match"),
            ("||a.org^path", "! not supported: a pattern that only a whole address could match"),
            // A comment begins after any white space.
            ("||a.org^\t# c", "||a.org^"),
            ("@@||a.org^\t#c", "@@||a.org^"),
            ("a.org\t# c", "|a.org|"),
            ("||a.org^$important \t# c", "||a.org^$important"),
            // A name may end with a dot.
            ("a.org.", "|a.org|"),
            ("a.org. # c", "|a.org|"),
            ("||a.org.^", "||a.org^"),
            ("*.a.org.", "||a.org^"),
            ("@@a.org.", "@@pattern a.org"),
            ("||a.org.", "pattern ||a.org."),
            ("-ads.", "pattern -ads."),
            // Broken or too wide.
            ("*.*", "! would match nearly every name"),
            ("ab", "! would match nearly every name"),
            (
                "/(.)?ad.{0,20}track.{0,20}/",
                "! not supported: the expression can't be built: DFA exceeded size limit of 1048576 during determinization",
            ),
            ("/(/", "! not a regular expression: unclosed group"),
            ("/ads(?!x)/", "! not supported: look-around in an expression, such as (?!…)"),
            ("/(?<=ads)x/", "! not supported: look-around in an expression, such as (?!…)"),
            ("/(ads)\\1/", "! not supported: a back-reference in an expression, such as \\1"),
            ("||a..org^", "! a label is empty"),
            ("||a.org^$dnstype=NOPE", "! `NOPE` is not a record type"),
            ("||a.org^$dnstype=", "! `dnstype` needs a value"),
            ("||a.org^$client=", "! `client` needs a value"),
            ("||a.org^$client=a|", "! `client` has an empty name"),
            ("||a.org^$client=~''", "! `client` has an empty name"),
            ("||a.org^$denyallow=~b.org", "! `denyallow` takes no `~`"),
            ("||a.org^$ctag=Big", "! `Big` is not a client tag"),
        ] {
            assert_eq!(read(line), [expected], "{line}");
        }
        assert_eq!(read("0.0.0.0 a.org b.org"), ["|a.org|", "|b.org|"]);
        for blank in ["! comment", "# comment", "", "127.0.0.1 localhost"] {
            assert!(read(blank).is_empty(), "{blank}");
        }
    }

    #[test]
    fn values_of_dnsrewrite_are_read_or_refused() {
        let read = |value: &str| read(&format!("||a.org^$dnsrewrite={value}")).concat();
        for good in [
            "192.0.2.1",
            "2001:db8::1",
            "b.org",
            "b.org.",
            "xn--80ajiqg.xn--90ae",
            "REFUSED",
            "noerror;a;192.0.2.1",
            "noerror;aaaa;2001:db8::1",
            "noerror;cname;b.org",
            "noerror;txt;hello",
            "noerror;mx;30 b.org",
            "noerror;ptr;b.org",
            "noerror;svcb;30 b.org alpn=h3",
            "noerror;svcb;30 . alpn=h3",
            "noerror;svcb;32 b.org alpn=h3 dohpath=/dns-query{?dns}",
            "noerror;https;30 b.org",
            "noerror;srv;30 60 8080 b.org",
            "noerror;srv;30 60 8080 .",
            "nxdomain;;",
            "noerror;;",
        ] {
            let got = read(good);
            assert!(got.starts_with("||a.org^$dnsrewrite="), "{good}: {got}");
        }
        for bad in [
            "BADWORD",
            "bad;syntax",
            "none;none;none",
            "noerror;none;none",
            "noerror;a;bad",
            "noerror;a;2001:db8::1",
            "noerror;aaaa;bad",
            "noerror;aaaa;192.0.2.1",
            "noerror;cname;",
            "noerror;cname;!!bad",
            "noerror;cname;b..org",
            "noerror;cname;b:org",
            "noerror;mx;bad name",
            "noerror;mx;bad",
            "noerror;mx;10 !!bad",
            "noerror;ptr;bad name",
            "noerror;ptr;!!bad",
            "noerror;https;bad name",
            "noerror;svcb;bad",
            "noerror;svcb;bad name",
            "noerror;svcb;42 bad names",
            "noerror;svcb;42 !!bad alpn=h3",
            "noerror;srv;bad name",
            "noerror;srv;bad 0 0 name",
            "noerror;srv;30 bad 0 name",
            "noerror;srv;30 60 bad name",
            "noerror;srv;30 60 8080 !!bad",
            "A:NOERROR:192.0.2.1",
            "www:b",
            "www.-b.org",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ] {
            let got = read(bad);
            assert!(got.starts_with("! "), "{bad}: {got}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[|@$^*/~,=;.a-c0-9\\\\ #\\[\\](){}+?ü-]{0,30}") {
            // Not at the start, where it may look like JSON.
            let _ = read(&format!("a.org\n{text}"));
            let _ = read(&format!("||a.org^$dnsrewrite={text}"));
            let _ = read(&format!("||a.org^${text}"));
        }
    }
}
