//! Addresses that no public name should have, as defined by OONI.
//!
//! The list is that of `netxlite/bogon.go` in ooni/probe-cli, which took it from ipinfo.io: private and
//! reserved networks, including those for documentation, and for IPv6 also 6to4 and Teredo addresses with
//! such an IPv4 address inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4, as the address and the length of the prefix.
const V4: &[([u8; 4], u8)] = &[
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Networks of IPv6, as the first 64 bits of the address and the length of the prefix.
const V6: &[(u64, u8)] = &[
    (0x0100_0000_0000_0000, 64),
    (0x2001_0010_0000_0000, 28),
    (0x2001_0db8_0000_0000, 32),
    (0xfc00_0000_0000_0000, 7),
    (0xfe80_0000_0000_0000, 10),
    (0xfec0_0000_0000_0000, 10),
    (0xff00_0000_0000_0000, 8),
];

/// Whether OONI considers the address a bogon.
#[must_use]
pub fn is_bogon(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => V4.iter().any(|net| within(v4, *net)),
        IpAddr::V6(v6) => is_bogon_v6(v6),
    }
}

fn is_bogon_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    // `::/96`, `::ffff:0:0/96`: embedded IPv4 addresses, including `::` and `::1`.
    if matches!(bits >> 32, 0 | 0xffff) {
        return true;
    }
    let [a, b, c, d, e, f, g, h, ..] = address.octets();
    let embedded = match [a, b] {
        [0x20, 0x02] => Some(Ipv4Addr::new(c, d, e, f)),
        [0x20, 0x01] if [c, d] == [0, 0] => Some(Ipv4Addr::new(e, f, g, h)),
        _ => None,
    };
    embedded.is_some_and(is_embedded_bogon)
        || V6.iter().any(|(net, len)| {
            let shift = 128 - u32::from(*len);
            bits >> shift == (u128::from(*net) << 64) >> shift
        })
}

/// The list has no 6to4 or Teredo form of the network that carriers share (RFC 6598).
fn is_embedded_bogon(address: Ipv4Addr) -> bool {
    V4.iter().any(|net| net.0 != [100, 64, 0, 0] && within(address, *net))
}

fn within(address: Ipv4Addr, (net, len): ([u8; 4], u8)) -> bool {
    let shift = 32 - u32::from(len);
    address.to_bits() >> shift == u32::from_be_bytes(net) >> shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_the_list() {
        for (address, bogon) in [
            ("0.0.0.0", true),
            ("0.255.255.255", true),
            ("1.0.0.0", false),
            ("9.255.255.255", false),
            ("10.10.34.36", true),
            ("11.0.0.0", false),
            ("100.63.255.255", false),
            ("100.64.0.0", true),
            ("100.127.255.255", true),
            ("100.128.0.0", false),
            ("127.0.53.53", true),
            ("128.0.0.0", false),
            ("169.253.255.255", false),
            ("169.254.0.1", true),
            ("172.15.255.255", false),
            ("172.16.0.0", true),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.0.0.255", true),
            ("192.0.1.0", false),
            ("192.0.2.1", true),
            ("192.0.3.0", false),
            ("192.88.99.1", false),
            ("192.168.255.255", true),
            ("192.169.0.0", false),
            ("198.17.255.255", false),
            ("198.18.0.0", true),
            ("198.19.255.255", true),
            ("198.20.0.0", false),
            ("198.51.99.255", false),
            ("198.51.100.0", true),
            ("198.51.101.0", false),
            ("203.0.112.255", false),
            ("203.0.113.255", true),
            ("203.0.114.0", false),
            ("223.255.255.255", false),
            ("224.0.0.0", true),
            ("243.185.187.39", true),
            ("255.255.255.255", true),
            ("5.3.3.17", false),
            ("::", true),
            ("::1", true),
            ("::ffff:8.8.8.8", true),
            ("::8.8.8.8", true),
            ("::1:0:0:0", false),
            ("100::1", true),
            ("100:0:0:1::", false),
            ("2001:10::", true),
            ("2001:1f:ffff::", true),
            ("2001:20::", false),
            ("2001:db7:ffff::", false),
            ("2001:db8::", true),
            ("2001:db8:ffff:ffff::1", true),
            ("2001:db9::", false),
            ("fbff::1", false),
            ("fc00::1", true),
            ("fdff::1", true),
            ("fe00::1", false),
            ("fe80::1", true),
            ("fec0::1", true),
            ("ff02::1", true),
            // The answers of Iran and of the newer Chinese injectors.
            ("d0::11", false),
            ("2a03:2880:f12c:83:face:b00c:0:25de", false),
            // Teredo: the server's address follows 2001:0.
            ("2001::1234:5678", true),
            ("2001:0:ff:ffff::", true),
            ("2001:0:100::", false),
            ("2001:0:a0a:2224::1", true),
            ("2001:0:ac1f::1", true),
            ("2001:0:ac20::1", false),
            ("2001:0:c000:201::1", true),
            ("2001:0:c612::1", true),
            ("2001:0:e000::1", true),
            ("2001:0:6440::1", false),
            ("2001:0:808:808::1", false),
            // 6to4: the address follows 2002.
            ("2002:a0a:2224::1", true),
            ("2002:c0a8:1::1", true),
            ("2002:c0a9:1::1", false),
            ("2002:cb00:7101::", true),
            ("2002:f000::", true),
            ("2002:6440::1", false),
            ("2002:808:808::1", false),
            ("2001:1::1", false),
            ("2606:4700:4700::1111", false),
        ] {
            assert_eq!(is_bogon(address.parse().unwrap()), bogon, "{address}");
        }
    }
}
