//! Parses networks.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// An address or a network. A network of IPv4 addresses within IPv6 (`::ffff:0:0/96`, RFC 4291 §2.5.5.2)
/// becomes the IPv4 network, as clients' addresses do.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network = text.parse::<IpNet>().ok()?;
    let mapped = match network {
        IpNet::V6(v6) => v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    match mapped {
        Some((address, len)) => Ipv4Net::new(address, len).ok().map(IpNet::V4),
        None => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_within_ipv6_is_ipv4() {
        for (text, expected) in [
            ("10.0.0.1", Some("10.0.0.1/32")),
            ("10.1.2.3/8", Some("10.1.2.3/8")),
            ("::ffff:10.0.0.1", Some("10.0.0.1/32")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::ffff:0:0/95", Some("::ffff:0.0.0.0/95")),
            ("::/0", Some("::/0")),
            ("2001:db8::1", Some("2001:db8::1/128")),
            ("10.0.0.0/33", None),
            ("example.org", None),
        ] {
            assert_eq!(parse_network(text).map(|n| n.to_string()).as_deref(), expected, "{text}");
        }
    }
}
