//! What all rules of one list share, and the clients that rules can name.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::schedule::Schedule;
use crate::dns::{Name, Qtype, clean};
use crate::rule::Action;

/// The most octets of [`ListPolicy::ede_text`].
pub const MAX_EDE_TEXT: usize = 200;

/// What all rules of one list share.
#[derive(Clone, Debug)]
pub struct ListPolicy {
    /// The list's name in the configuration.
    pub name: String,
    /// What a client gets for a name that the list blocks.
    pub action: Action,
    /// Whether the action is a default, so that the action of the client's group takes precedence.
    pub inherits: bool,
    /// Whether these are the rewrites of the configuration, which take precedence over those of lists.
    pub rewrites: bool,
    /// TTL of its synthesised answers, in seconds.
    pub ttl: u32,
    /// The outside authority that demands it, if any: EDE 16 instead of 15.
    pub authority: Option<String>,
    /// What else blocked clients are told.
    pub notes: Notes,
    /// The query types it applies to; empty: all.
    pub types: Vec<Qtype>,
    /// When it applies; `None`: always.
    pub schedule: Option<Schedule>,
    /// The numbers of the groups to whose clients it applies, if they take the list; empty: to all clients.
    pub only_groups: Vec<u16>,
    /// EXTRA-TEXT of the Extended DNS Error, prepared once.
    pub ede_text: String,
    /// The same for clients that understand structured errors, prepared once: in full, and without what
    /// does not fit a small reply.
    pub structured: Option<(String, String)>,
    /// A hash of the name, from which references are derived.
    seed: u64,
}

/// Why a list blocks, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The reason in a sentence.
    pub reason: Option<String>,
    /// The date since which it blocks.
    pub since: Option<String>,
    /// The number of a sub-error of draft-ietf-dnsop-structured-dns-error.
    pub suberror: Option<u8>,
}

impl ListPolicy {
    /// A list's policy; the EXTRA-TEXT names the list and, if there is one, the authority.
    #[must_use]
    pub fn new(name: String, action: Action, ttl: u32, authority: Option<String>) -> Self {
        let mut ede_text = match &authority {
            Some(authority) => clean(&format!("{name} ({authority})")).into_owned(),
            None => clean(&name).into_owned(),
        };
        while ede_text.len() > MAX_EDE_TEXT {
            ede_text.pop();
        }
        Self {
            seed: mixed(0, name.as_bytes()),
            name,
            action,
            inherits: false,
            rewrites: false,
            ttl,
            authority,
            notes: Notes::default(),
            types: Vec::new(),
            schedule: None,
            only_groups: Vec::new(),
            ede_text,
            structured: None,
        }
    }

    /// A number by which the refusal of a name by this list can be looked up: the same in the reply, on the
    /// block page and in the output of `explain`. A hash of the list's name and the query name in lower
    /// case; two names may share one.
    #[must_use]
    pub fn reference(&self, qname: Name<'_>) -> Reference {
        let [a, b, c, d, e, f, g, h] = mixed(self.seed, qname.as_bytes()).to_be_bytes();
        Reference(u32::from_be_bytes([a, b, c, d]) ^ u32::from_be_bytes([e, f, g, h]))
    }
}

/// Mixes octets into a hash, eight at a time, with letters in lower case. The same on every machine.
fn mixed(seed: u64, octets: &[u8]) -> u64 {
    octets.chunks(8).fold(seed, |hash, chunk| {
        let mut word = [0; 8];
        for (slot, octet) in word.iter_mut().zip(chunk) {
            *slot = octet.to_ascii_lowercase();
        }
        let hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ hash >> 32
    })
}

/// See [`ListPolicy::reference`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference(pub u32);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// A client that rules refer to by name or by tag (`$client`, `$ctag`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownClient {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub networks: Vec<IpNet>,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The client with the longest network that contains an address.
#[must_use]
pub fn known(clients: &[KnownClient], address: IpAddr) -> Option<&KnownClient> {
    let longest = |client: &KnownClient| {
        client.networks.iter().filter(|n| n.contains(&address)).map(IpNet::prefix_len).max()
    };
    clients.iter().filter_map(|c| Some((longest(c)?, c))).max_by_key(|(len, _)| *len).map(|(_, c)| c)
}
