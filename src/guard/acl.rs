//! The access list: which clients may send queries.

use std::net::IpAddr;

use ipnet::IpNet;

/// The networks whose clients are answered.
#[derive(Clone, Debug, Default)]
pub struct Acl(Vec<IpNet>);

impl Acl {
    /// Admits clients of these networks, and no others.
    #[must_use]
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// True if the client is allowed. An IPv4 address that arrived on an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn admits(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        self.0.iter().any(|network| network.contains(&client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_networks_may_ask() {
        let acl = Acl::new(vec!["127.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        for (client, yes) in [
            ("127.9.9.9", true),
            ("::ffff:127.0.0.1", true),
            ("2001:db8::7", true),
            ("192.0.2.1", false),
            ("::1", false),
        ] {
            assert_eq!(acl.admits(client.parse().unwrap()), yes, "{client}");
        }
        assert!(!Acl::default().admits("127.0.0.1".parse().unwrap()));
    }
}
