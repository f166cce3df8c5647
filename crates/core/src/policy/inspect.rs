//! The ladder applied to replies: the names that an answer leads to, and the addresses in it.
//!
//! A blocked name behind an alias (CNAME cloaking) is blocked like the name itself, and so is the target of
//! an HTTPS or SVCB record; an allow at any alias ends the inspection. Addresses, including those in the
//! hints of HTTPS and SVCB, are looked up in the lists of addresses. A private address for a public name
//! can be refused (DNS rebinding). An allow for an alias does not lift this: the owner of the name could
//! point it to any allowed name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use super::active::Active;
use super::address::decide_address;
use super::decide::{decide, decide_in_answer, denies_the_name};
use super::ladder::{Decider, Rung};
use super::overrides::Ordered;
use super::policy::Policy;
use super::types::Types;
use super::verdict::{Class, Verdict};
use super::walk::Asker;
use crate::dns::{Found, Message, Name, NameBuf, Via, found};

/// What is inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Names that aliases and service bindings lead to.
    pub names: bool,
    /// Refuse private addresses for public names.
    pub rebinding: bool,
    /// Names that may have private addresses, including their subdomains.
    pub private: Vec<NameBuf>,
    /// Remove the keys for Encrypted Client Hello from HTTPS and SVCB records.
    pub strip_ech: bool,
}

impl Default for Inspection {
    fn default() -> Self {
        Self { names: true, rebinding: false, private: Vec::new(), strip_ech: false }
    }
}

impl Inspection {
    /// True if any rule could apply.
    #[must_use]
    pub fn inspects(&self, policy: &Policy) -> bool {
        self.names && policy.rule_count() > 0 || self.rebinding || !policy.addresses.is_empty()
    }
}

/// The context of an inspection: the client, and what is inspected.
#[derive(Clone, Copy)]
pub struct Inspector<'i> {
    /// What is inspected.
    pub inspection: &'i Inspection,
    /// The client.
    pub asker: Asker<'i>,
    /// The orders given at run time.
    pub active: &'i Active,
    /// The name of the client's group.
    pub group: Option<&'i str>,
    /// Blocking is paused: rebinding is still refused.
    pub paused: bool,
}

/// Inspects a reply to the question `qname`, which itself may pass. [`Verdict::NoRule`]: the reply passes;
/// the rung of [`Verdict::InAnswer`] tells whether it is blocked, allowed or only logged. Allocates
/// nothing.
#[must_use]
pub fn inspect(policy: &Policy, by: Inspector<'_>, qname: Name<'_>, reply: &Message<'_>) -> Verdict {
    match examine(policy, by, qname, reply) {
        (Verdict::InAnswer(d), via) if denies_the_name(policy, d, by.asker) => {
            let others_pass = d.others_pass
                || via == Some(Via::Svcb)
                || policy.typed && another_type_passes(policy, by, qname, reply);
            Verdict::InAnswer(Decider { others_pass, ..d })
        }
        (verdict, _) => verdict,
    }
}

/// The verdict, and where the name or address that is blocked was found.
fn examine(
    policy: &Policy,
    by: Inspector<'_>,
    qname: Name<'_>,
    reply: &Message<'_>,
) -> (Verdict, Option<Via>) {
    // An allow or a log rule for an earlier name in the chain.
    let mut passing = Verdict::NoRule;
    let stopped = found(reply, |item| match by.judge(policy, qname, item, &mut passing) {
        Verdict::NoRule => ControlFlow::Continue(()),
        verdict => ControlFlow::Break((verdict, item.via())),
    });
    stopped.map_or((passing, None), |(verdict, via)| (verdict, Some(via)))
}

/// True if a query for another type, whose answer would follow the same aliases, would not get NXDOMAIN.
#[cold]
fn another_type_passes(policy: &Policy, by: Inspector<'_>, qname: Name<'_>, reply: &Message<'_>) -> bool {
    let mut types = Types::NONE;
    types.add(policy, qname, by.asker);
    let _ = found(reply, |item| {
        if let Found::Name(name, _) = item {
            types.add(policy, name, by.asker);
        }
        ControlFlow::<()>::Continue(())
    });
    types.any(|qtype| {
        let asker = Asker { qtype, ..by.asker };
        match decide(policy, qname, asker) {
            // What a rule allows is not inspected.
            Verdict::Allowed(_) => return true,
            Verdict::Blocked(d) => return !denies_the_name(policy, d, asker),
            _ => {}
        }
        match examine(policy, Inspector { asker, ..by }, qname, reply).0 {
            Verdict::InAnswer(d) => !denies_the_name(policy, d, asker),
            verdict => verdict.class() != Class::Blocked,
        }
    })
}

/// The name or address in a reply that causes the block, or lets the rest pass, in words.
#[must_use]
pub fn because(policy: &Policy, by: Inspector<'_>, qname: Name<'_>, reply: &Message<'_>) -> Option<String> {
    let way = |via| match via {
        Via::Cname => "CNAME",
        Via::Dname => "DNAME",
        Via::Svcb => "target of a service binding",
        Via::Record => "address",
        Via::Hint => "address hint of a service binding",
    };
    let tell = |item: Found<'_>| match item {
        Found::Name(name, via) => format!("{} {}", way(via), name.to_folded()),
        Found::Address(address, via) => format!("{} {address}", way(via)),
    };
    let (mut passing, mut first) = (Verdict::NoRule, None);
    let stopped = found(reply, |item| {
        let before = passing;
        match by.judge(policy, qname, item, &mut passing) {
            Verdict::NoRule => {
                if passing != before {
                    first = Some(tell(item));
                }
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(tell(item)),
        }
    });
    stopped.or(first)
}

impl Inspector<'_> {
    /// The verdict on one name or address; [`Verdict::NoRule`]: continue. `passing` records a rule that lets it
    /// pass.
    fn judge(&self, policy: &Policy, qname: Name<'_>, item: Found<'_>, passing: &mut Verdict) -> Verdict {
        let allowed = matches!(passing.class(), Class::Allowed);
        match item {
            // An allow at one alias ends the inspection of what follows, except for rebinding.
            Found::Name(..) if self.paused || allowed => Verdict::NoRule,
            Found::Name(name, via) => {
                let verdict = match self.active.ordered(name, self.asker.client, self.group) {
                    Some((what, number)) if what != Ordered::Paused => Verdict::Ordered(what, number),
                    _ if !self.inspection.names => Verdict::NoRule,
                    _ => match decide_in_answer(policy, name, self.asker) {
                        Verdict::Blocked(d) | Verdict::Allowed(d) | Verdict::Logged(d) => {
                            Verdict::InAnswer(d)
                        }
                        other => other,
                    },
                };
                match verdict.class() {
                    Class::Blocked => verdict,
                    // A service has several records; an allowed target does not vouch for the others.
                    Class::Allowed if via == Via::Svcb => Verdict::NoRule,
                    Class::Allowed | Class::Logged => {
                        *passing = verdict;
                        Verdict::NoRule
                    }
                    _ => Verdict::NoRule,
                }
            }
            Found::Address(address, _) => {
                let address = embedded(address);
                let listed = match self.paused || allowed {
                    true => None,
                    false => decide_address(policy, address, qname, self.asker),
                };
                match listed {
                    Some((list, Rung::Block | Rung::ImportantBlock)) => return Verdict::Address(list),
                    Some((list, Rung::Log)) => *passing = Verdict::NotedAddress(list),
                    _ => {}
                }
                // A list's exception lifts blocks of lists, not the protection against rebinding.
                let refused = !matches!(listed, Some((_, Rung::Log)))
                    && self.inspection.rebinding
                    && is_private(address)
                    && !self.inspection.may_be_private(qname);
                if refused { Verdict::Rebinding } else { Verdict::NoRule }
            }
        }
    }
}

impl Inspection {
    fn may_be_private(&self, name: Name<'_>) -> bool {
        self.private.iter().any(|suffix| name.is_within(suffix.as_name()))
    }
}

/// True for addresses with meaning in one network only: those of RFC 1918, RFC 4193 and RFC 3927, loopback,
/// link-local and unspecified ones, shared ones (RFC 6598), and such IPv4 addresses embedded in IPv6.
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
    match embedded(address) {
        IpAddr::V4(a) => v4(a),
        IpAddr::V6(a) => v6(a),
    }
}

/// The IPv4 address embedded in an IPv6 one: mapped (RFC 4291 §2.5.5.2), by NAT64 (RFC 6052 §2.1), or by
/// 6to4 (RFC 3056 §2); otherwise the address itself.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => v4(high, low),
        _ => address.to_canonical(),
    }
}
