//! The same ladder for what came back: names that the answer leads to, and addresses that it gives.
//!
//! A blocked name behind an alias (cloaking) is blocked like the name itself, and so is a name that an
//! HTTPS or SVCB record points to; an allow at any hop ends the inspection. Addresses, those in the
//! hints of HTTPS and SVCB too, are looked up in the lists of addresses; a private one given to a
//! public name can be refused (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use super::Policy;
use super::decide::{Asker, Rung, Verdict, decide};
use crate::dns::found::{Item, Via, found};
use crate::dns::message::Message;
use crate::dns::name::{Name, NameBuf};

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Names that aliases and service bindings lead to.
    pub names: bool,
    /// Refuse private addresses of public names.
    pub rebinding: bool,
    /// Names, with those below them, that may have private addresses.
    pub private: Vec<NameBuf>,
    /// Take the keys for Encrypted Client Hello out of HTTPS and SVCB records.
    pub strip_ech: bool,
}

impl Default for Inspection {
    fn default() -> Self {
        Self { names: true, rebinding: false, private: Vec::new(), strip_ech: false }
    }
}

impl Inspection {
    /// True if there is anything to look for.
    #[must_use]
    pub fn looks(&self, policy: &Policy) -> bool {
        self.names && policy.rule_count() > 0 || self.rebinding || !policy.addresses.is_empty()
    }
}

/// Judges a reply to the question `qname`, which itself may pass. [`Verdict::NoRule`]: so may the reply;
/// [`Verdict::Behind`] says by its rung whether it is blocked, allowed or only noted. Allocates nothing.
#[must_use]
pub fn inspect(
    policy: &Policy,
    inspection: &Inspection,
    qname: Name<'_>,
    asker: Asker<'_>,
    reply: &Message<'_>,
) -> Verdict {
    let mut noted = Verdict::NoRule;
    let stopped = found(reply, |item| match item {
        Item::Name(..) if !inspection.names => ControlFlow::Continue(()),
        Item::Name(name, _) => match decide(policy, name, asker) {
            // A rewrite is the answer to a question, not a judgement on a name met on the way.
            Verdict::Blocked(d) if d.rung != Rung::Rewrite => ControlFlow::Break(Verdict::Behind(d)),
            Verdict::Allowed(d) => ControlFlow::Break(Verdict::Behind(d)),
            Verdict::Logged(d) => {
                noted = Verdict::Behind(d);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        },
        Item::Address(address, _) => {
            let speaks = |list: &&u16| {
                let types = policy.list(**list).map_or(&[][..], |l| &l.types);
                asker.view.is_none_or(|v| v.has(**list)) && (types.is_empty() || types.contains(&asker.qtype))
            };
            if let Some(list) = policy.addresses.around(address).iter().find(speaks) {
                ControlFlow::Break(Verdict::Address(*list))
            } else if inspection.rebinding && is_private(address) && !inspection.may_be_private(qname) {
                ControlFlow::Break(Verdict::Rebinding)
            } else {
                ControlFlow::Continue(())
            }
        }
    });
    stopped.unwrap_or(noted)
}

/// The name or address in a reply that [`inspect`] stops at, in words.
#[must_use]
pub fn because(
    policy: &Policy,
    inspection: &Inspection,
    qname: Name<'_>,
    asker: Asker<'_>,
    reply: &Message<'_>,
) -> Option<String> {
    let way = |via| match via {
        Via::Cname => "CNAME",
        Via::Dname => "DNAME",
        Via::Svcb => "target of a service binding",
        Via::Record => "address",
        Via::Hint => "address hint of a service binding",
    };
    found(reply, |item| match item {
        Item::Name(name, via) => match decide(policy, name, asker) {
            Verdict::Blocked(d) | Verdict::Allowed(d) if inspection.names && d.rung != Rung::Rewrite => {
                ControlFlow::Break(format!("{} {}", way(via), name.to_folded()))
            }
            _ => ControlFlow::Continue(()),
        },
        Item::Address(address, via) => {
            let listed =
                policy.addresses.around(address).iter().any(|l| asker.view.is_none_or(|v| v.has(*l)));
            let private = inspection.rebinding && is_private(address) && !inspection.may_be_private(qname);
            if listed || private {
                ControlFlow::Break(format!("{} {address}", way(via)))
            } else {
                ControlFlow::Continue(())
            }
        }
    })
}

impl Inspection {
    fn may_be_private(&self, name: Name<'_>) -> bool {
        self.private.iter().any(|suffix| name.is_within(suffix.as_name()))
    }
}

/// True for addresses that mean something in one network only: those of RFC 1918, RFC 4193 and RFC 3927,
/// loopback, link-local and unspecified ones, shared ones (RFC 6598), and IPv4 ones within IPv6.
#[must_use]
pub fn is_private(address: IpAddr) -> bool {
    const SHARED: u32 = u32::from_be_bytes([100, 64, 0, 0]);
    let v4 = |a: Ipv4Addr| {
        a.is_private()
            || a.is_loopback()
            || a.is_link_local()
            || a.octets().first() == Some(&0)
            || u32::from(a) & 0xffc0_0000 == SHARED
    };
    let v6 = |a: Ipv6Addr| {
        let [first, ..] = a.segments();
        a.is_loopback()
            || a.is_unspecified()
            || first & 0xfe00 == 0xfc00
            || first & 0xffc0 == 0xfe80
            || a.to_ipv4().is_some_and(v4)
    };
    match address.to_canonical() {
        IpAddr::V4(a) => v4(a),
        IpAddr::V6(a) => v6(a),
    }
}
