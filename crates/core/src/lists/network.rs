//! An address or a network as the word of a list.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

/// An address, a network in CIDR notation, or leading octets before `.*`; an address of IPv6 may be in
/// brackets. IPv4 addresses within IPv6 (RFC 4291 §2.5.5.2) are the IPv4 addresses, as in answers.
pub(super) fn network(text: &str) -> Option<IpNet> {
    // Most lines are names, and few names begin like an address: a cheap test comes first.
    if !text.starts_with(|c: char| c.is_ascii_hexdigit() || c == '[' || c == ':') {
        return None;
    }
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    if let Ok(address) = inner.unwrap_or(text).parse::<IpAddr>() {
        return (inner.is_none() || address.is_ipv6()).then(|| address.to_canonical().into());
    }
    if let Some((_, _)) = text.split_once('/') {
        let network = text.parse::<IpNet>().ok()?.trunc();
        return Some(match network {
            IpNet::V6(v6) => match v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)) {
                Some((address, len)) => Ipv4Net::new(address, len).ok().map(IpNet::V4)?,
                None => network,
            },
            IpNet::V4(_) => network,
        });
    }
    octets(text.strip_suffix(".*")?)
}

/// True if a line, without its comment, is an address or a network, or an exception for one.
pub(super) fn is_alone(line: &str) -> bool {
    let text = line.split(['#', ';', '!']).next().unwrap_or_default().trim();
    network(text.strip_prefix("@@").unwrap_or(text)).is_some()
}

/// The network of the addresses that begin with these octets.
fn octets(text: &str) -> Option<IpNet> {
    let text = text.trim_end_matches(".*");
    let mut octets = [0; 4];
    let mut count = 0u8;
    for (slot, word) in octets.iter_mut().zip(text.split('.')) {
        *slot = word.parse().ok()?;
        count += 1;
    }
    let whole = text.split('.').count() == usize::from(count);
    Ipv4Net::new(Ipv4Addr::from(octets), count.checked_mul(8)?)
        .ok()
        .filter(|_| whole && count < 4)
        .map(IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks() {
        for (text, expected) in [
            ("192.0.2.7", Some("192.0.2.7/32")),
            ("192.0.2.7/24", Some("192.0.2.0/24")),
            ("192.0.2.*", Some("192.0.2.0/24")),
            ("10.*.*.*", Some("10.0.0.0/8")),
            ("2001:db8::1", Some("2001:db8::1/128")),
            ("[2001:db8::1]", Some("2001:db8::1/128")),
            ("2001:db8::/32", Some("2001:db8::/32")),
            ("::ffff:192.0.2.7", Some("192.0.2.7/32")),
            ("::ffff:192.0.2.0/120", Some("192.0.2.0/24")),
            ("[192.0.2.7]", None),
            ("192.0.2.7/33", None),
            ("192.0.2", None),
            ("1.2.3.4.*", None),
            ("300.*", None),
            ("abc.example", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(network(text).map(|n| n.to_string()).as_deref(), expected, "{text}");
        }
    }
}
