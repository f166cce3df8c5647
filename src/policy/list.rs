//! What every rule of one list shares, and who is who among the clients.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::rule::Action;

/// What every rule of one list shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPolicy {
    /// The list's name in the configuration.
    pub name: String,
    /// What a client gets for a name that the list blocks.
    pub action: Action,
    /// TTL of the answers made up for it, in seconds.
    pub ttl: u32,
    /// The outside authority that demands it, if any: EDE 16 instead of 15.
    pub authority: Option<String>,
    /// EXTRA-TEXT of the Extended DNS Error, made once.
    pub ede_text: String,
}

impl ListPolicy {
    /// A list's policy; the EXTRA-TEXT names the list and, if there is one, the authority.
    #[must_use]
    pub fn new(name: String, action: Action, ttl: u32, authority: Option<String>) -> Self {
        let ede_text = match &authority {
            Some(authority) => format!("{name} ({authority})"),
            None => name.clone(),
        };
        Self { name, action, ttl, authority, ede_text }
    }
}

/// A client that rules speak of by name or by tag (`$client`, `$ctag`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// Its name.
    pub name: String,
    /// Where it asks from.
    pub networks: Vec<IpNet>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The client with the longest network around an address.
#[must_use]
pub fn known(clients: &[KnownClient], address: IpAddr) -> Option<&KnownClient> {
    let longest = |client: &KnownClient| {
        client.networks.iter().filter(|n| n.contains(&address)).map(IpNet::prefix_len).max()
    };
    clients.iter().filter_map(|c| Some((longest(c)?, c))).max_by_key(|(len, _)| *len).map(|(_, c)| c)
}
