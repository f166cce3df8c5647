//! One query as the log keeps it: privacy is applied before it leaves the thread that answered.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::dns::{NameBuf, Qtype, Rcode, Transport};
use crate::observe::event::Source;
use crate::observe::listen::{Heard, Listen};
use crate::observe::sink::{Item, Sink};
use crate::policy::{Class, RuleText};
use crate::settings::{ClientPrivacy, Privacy};

/// One query as the log keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When it was answered, in microseconds since 1970 (UTC).
    pub at: i64,
    /// The client, or its network; `None`: it is not kept.
    pub client: Option<IpNet>,
    /// How the query came.
    pub transport: Transport,
    /// The name in lower case; `None`: it is not kept, or the packet was no query.
    pub name: Option<NameBuf>,
    /// The type; `None`: the packet was no query.
    pub qtype: Option<Qtype>,
    /// The response code; `None`: nothing was sent.
    pub rcode: Option<Rcode>,
    /// The verdict.
    pub verdict: Class,
    /// The step that answered.
    pub source: Source,
    /// The rule that decided. Without names only its list: the rest tells the name.
    pub rule: Option<RuleText>,
    /// The reference of a refusal.
    pub reference: Option<u32>,
    /// From receipt to reply, in microseconds.
    pub micros: u32,
}

impl Entry {
    /// What is kept of one query that was answered at `at`, in microseconds since 1970.
    #[must_use]
    pub fn of(heard: &Heard<'_>, at: i64, privacy: Privacy) -> Self {
        let event = heard.event;
        let mut rule = heard.rule.cloned();
        if !privacy.names
            && let Some(rule) = &mut rule
        {
            rule.rule.clear();
            rule.line = 0;
        }
        Self {
            at,
            client: client(event.client.ip(), privacy.client),
            transport: event.transport,
            name: heard.query.filter(|_| privacy.names).map(|query| query.qname.to_folded()),
            qtype: heard.query.map(|query| query.qtype),
            rcode: event.rcode,
            verdict: event.verdict.class(),
            source: event.source,
            rule,
            reference: heard.reference.filter(|_| privacy.names).map(|reference| reference.0),
            micros: u32::try_from(event.took.as_micros()).unwrap_or(u32::MAX),
        }
    }
}

/// What is kept of a client's address.
fn client(address: IpAddr, privacy: ClientPrivacy) -> Option<IpNet> {
    let address = address.to_canonical();
    match (privacy, address) {
        (ClientPrivacy::None, _) => None,
        (ClientPrivacy::Full, address) => Some(IpNet::from(address)),
        (ClientPrivacy::Network, IpAddr::V4(v4)) => {
            let network = Ipv4Addr::from_bits(v4.to_bits() & !0xff);
            Some(IpNet::V4(Ipv4Net::new_assert(network, 24)))
        }
        (ClientPrivacy::Network, IpAddr::V6(v6)) => {
            let network = Ipv6Addr::from_bits(v6.to_bits() >> 72 << 72);
            Some(IpNet::V6(Ipv6Net::new_assert(network, 56)))
        }
    }
}

/// A client as text: its address, or the network that is kept of it.
#[must_use]
pub fn client_text(client: IpNet) -> String {
    if client.prefix_len() == client.max_prefix_len() {
        client.addr().to_string()
    } else {
        client.to_string()
    }
}

impl Item for Entry {
    fn octets(&self) -> usize {
        let rule = self.rule.as_ref().map_or(0, |rule| rule.rule.len() + rule.list.len());
        self.name.as_ref().map_or(0, |name| name.as_bytes().len()) + rule
    }
}

/// Makes an entry of each query and puts it into a queue.
pub struct LogTap {
    /// The queue.
    pub sink: Sink<Entry>,
    /// What is kept.
    pub privacy: Privacy,
    /// Microseconds since 1970.
    pub clock: fn() -> i64,
}

impl Listen for LogTap {
    fn hear(&self, heard: &Heard<'_>) {
        self.sink.push(Entry::of(heard, (self.clock)(), self.privacy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_kept_as_far_as_configured() {
        for (address, full, network) in [
            ("192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:1:2ff:3::4", "2001:db8:1:2ff:3::4", "2001:db8:1:200::/56"),
        ] {
            let kept = |privacy| client(address.parse().unwrap(), privacy).map(client_text);
            assert_eq!(kept(ClientPrivacy::Full).unwrap(), full);
            assert_eq!(kept(ClientPrivacy::Network).unwrap(), network);
            assert_eq!(kept(ClientPrivacy::None), None);
        }
    }
}
