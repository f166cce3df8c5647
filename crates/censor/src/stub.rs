//! Replaces the addresses that censors used by stub addresses.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::action::{Action, Addresses, Body};
use super::expect::{WantedRecord, WantedReply};
use super::scenario::Scenario;
use super::scenario::{StubMode, Stubs};
use super::shape::Extra;
use portcullis_core::dns::Qtype;

/// Replaces all addresses of the scenario that may belong to real hosts: in forged answers, in pools, and
/// in expected replies.
pub fn apply_stubs(scenario: &mut Scenario, mode: StubMode) {
    scenario.stub_mode = mode;
    let mut stubs = Stubs::default();
    let taken = taken(scenario);
    let mut given = Given { mode, stubs: &mut stubs, taken, v4_given: 0, v6_given: 0 };
    for pool in &mut scenario.pools {
        pool.v4.iter_mut().for_each(|a| given.v4(a));
        pool.v6.iter_mut().for_each(|a| given.v6(a));
    }
    for rule in &mut scenario.rules {
        match &mut rule.action {
            Action::Forge { forged, .. } => {
                for forged in forged {
                    for extra in &mut forged.shape.extra {
                        given.record(extra);
                    }
                    if let Body::Addresses { a, aaaa, .. } | Body::Cname { a, aaaa, .. } = &mut forged.body {
                        if let Addresses::These(all) = a {
                            all.iter_mut().for_each(|a| given.v4(a));
                        }
                        if let Addresses::These(all) = aaaa {
                            all.iter_mut().for_each(|a| given.v6(a));
                        }
                    }
                }
            }
            Action::Redirect(identity) => match &mut identity.whoami {
                Some(IpAddr::V4(a)) => given.v4(a),
                Some(IpAddr::V6(a)) => given.v6(a),
                None => {}
            },
            Action::Pass(_) | Action::Drop | Action::End(_) => {}
        }
    }
    for wanted in scenario.expects.iter_mut().flat_map(|e| &mut e.replies) {
        let WantedReply::Message(message) = &mut wanted.what else { continue };
        for record in message.answer.iter_mut().chain(&mut message.authority).chain(&mut message.additional) {
            stubs.translate(record);
        }
    }
    scenario.stubs = stubs;
}

impl Stubs {
    /// Translates an address in the data of a record; also one in a quoted string, as in names that report
    /// the resolver's address.
    fn translate(&self, record: &mut WantedRecord) {
        let quoted = record.rtype == Qtype::TXT;
        let Ok(address) = record.data.trim_matches('"').parse() else { return };
        let address = self.given_for(address);
        record.data = if quoted { format!("\"{address}\"") } else { address.to_string() };
    }
}

/// The documentation addresses that the file itself uses in its honest zones and in forged answers: no
/// other address may be replaced by one of them.
fn taken(scenario: &Scenario) -> HashSet<IpAddr> {
    let mut taken: HashSet<IpAddr> = scenario
        .zones
        .iter()
        .flat_map(|zone| zone.text.split_whitespace())
        .filter_map(|w| w.parse().ok())
        .collect();
    for pool in &scenario.pools {
        taken.extend(pool.v4.iter().copied().map(IpAddr::from));
        taken.extend(pool.v6.iter().copied().map(IpAddr::from));
    }
    for rule in &scenario.rules {
        let Action::Forge { forged, .. } = &rule.action else { continue };
        for forged in forged {
            let (Body::Addresses { a, aaaa, .. } | Body::Cname { a, aaaa, .. }) = &forged.body else {
                continue;
            };
            if let Addresses::These(all) = a {
                taken.extend(all.iter().copied().map(IpAddr::from));
            }
            if let Addresses::These(all) = aaaa {
                taken.extend(all.iter().copied().map(IpAddr::from));
            }
        }
    }
    taken
}

struct Given<'s> {
    mode: StubMode,
    stubs: &'s mut Stubs,
    taken: HashSet<IpAddr>,
    /// How many numbers have been used.
    v4_given: u8,
    v6_given: u16,
}

impl Given<'_> {
    /// 192.0.2.1 to 254, starting over if there are more.
    fn next_v4(&mut self) -> Ipv4Addr {
        for _ in 0..254 {
            self.v4_given = self.v4_given % 254 + 1;
            let next = Ipv4Addr::new(192, 0, 2, self.v4_given);
            if !self.taken.contains(&next.into()) {
                return next;
            }
        }
        Ipv4Addr::new(192, 0, 2, 1)
    }

    /// 2001:db8:53::1 and so on.
    fn next_v6(&mut self) -> Ipv6Addr {
        loop {
            self.v6_given = self.v6_given % 0xffff + 1;
            let next = Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, self.v6_given);
            // No file uses all of them.
            if !self.taken.contains(&next.into()) || self.v6_given == 0xffff {
                return next;
            }
        }
    }

    /// Replaces the address in an additional record.
    fn record(&mut self, extra: &mut Extra) {
        match extra.rtype {
            Qtype::A => {
                if let Ok(octets) = <[u8; 4]>::try_from(&extra.rdata[..]) {
                    let mut address = Ipv4Addr::from(octets);
                    self.v4(&mut address);
                    extra.rdata = address.octets().to_vec();
                }
            }
            Qtype::AAAA => {
                if let Ok(octets) = <[u8; 16]>::try_from(&extra.rdata[..]) {
                    let mut address = Ipv6Addr::from(octets);
                    self.v6(&mut address);
                    extra.rdata = address.octets().to_vec();
                }
            }
            _ => {}
        }
    }

    fn v4(&mut self, address: &mut Ipv4Addr) {
        if !is_somewhere_v4(*address) {
            return;
        }
        let known = self.stubs.v4.iter().find(|(old, _)| old == address).map(|(_, new)| *new);
        let new = known.unwrap_or_else(|| match self.mode {
            StubMode::Doc => self.next_v4(),
            StubMode::Loopback => Ipv4Addr::LOCALHOST,
            StubMode::Historical => *address,
        });
        if known.is_none() {
            self.stubs.v4.push((*address, new));
        }
        *address = new;
    }

    fn v6(&mut self, address: &mut Ipv6Addr) {
        if !is_somewhere_v6(*address) {
            return;
        }
        let known = self.stubs.v6.iter().find(|(old, _)| old == address).map(|(_, new)| *new);
        let new = known.unwrap_or_else(|| match self.mode {
            StubMode::Doc => self.next_v6(),
            StubMode::Loopback => Ipv6Addr::LOCALHOST,
            StubMode::Historical => *address,
        });
        if known.is_none() {
            self.stubs.v6.push((*address, new));
        }
        *address = new;
    }
}

/// An address that may belong to a host in the internet.
fn is_somewhere_v4(a: Ipv4Addr) -> bool {
    let [first, second, ..] = a.octets();
    let shared = first == 100 && second & 0xc0 == 64;
    let benchmark = first == 198 && second & 0xfe == 18;
    let nowhere = a.is_private() || a.is_loopback() || a.is_link_local() || a.is_documentation();
    !(nowhere || shared || benchmark || first == 0 || first >= 224)
}

/// The same for IPv6: global unicast (RFC 4291 §2.4, 2000::/3) without the documentation block, and the
/// forms that embed an IPv4 address, `::ffff:0:0/96` and `64:ff9b::/96`.
fn is_somewhere_v6(a: Ipv6Addr) -> bool {
    let [first, second, third, fourth, fifth, sixth, ..] = a.segments();
    if matches!(
        [first, second, third, fourth, fifth, sixth],
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0]
    ) {
        let [.., p, q, r, s] = a.octets();
        return is_somewhere_v4(Ipv4Addr::new(p, q, r, s));
    }
    first & 0xe000 == 0x2000 && (first, second) != (0x2001, 0xdb8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Forged, Pool, Rule, ZoneText};
    use portcullis_core::dns::NameBuf;

    fn rule(a: &[&str]) -> Rule {
        let a = Addresses::These(a.iter().map(|a| a.parse().unwrap()).collect());
        let aaaa = Addresses::These(vec!["d0::11".parse().unwrap(), "2a02:2698::17".parse().unwrap()]);
        let body = Body::Addresses { a, aaaa, other: crate::Other::NoData };
        Rule {
            id: "r".into(),
            line: 1,
            names: crate::names::Names::default(),
            when: crate::When::default(),
            kind: "stub".into(),
            action: Action::Forge { forged: vec![Forged { body, ..Forged::default() }], genuine: None },
            evidence: crate::Evidence::Modelled,
            intent: String::new(),
        }
    }

    #[test]
    fn addresses_of_others_are_not_given_out_unless_asked_for() {
        for (mode, v4, v6) in [
            (StubMode::Doc, ["192.0.2.2", "10.10.34.36", "192.0.2.1"], ["d0::11", "2001:db8:53::1"]),
            (StubMode::Loopback, ["127.0.0.1", "10.10.34.36", "127.0.0.1"], ["d0::11", "::1"]),
            (StubMode::Historical, ["5.3.3.17", "10.10.34.36", "8.7.198.45"], ["d0::11", "2a02:2698::17"]),
        ] {
            let pool = Pool { v4: vec!["8.7.198.45".parse().unwrap()], ..Pool::default() };
            let rules = vec![rule(&["5.3.3.17", "10.10.34.36", "8.7.198.45"])];
            let mut scenario = Scenario { pools: vec![pool], rules, ..Scenario::default() };
            apply_stubs(&mut scenario, mode);
            let Action::Forge { forged, .. } = &scenario.rules[0].action else { panic!() };
            let Body::Addresses { a, aaaa, .. } = &forged[0].body else { panic!() };
            assert_eq!(*a, Addresses::These(v4.iter().map(|a| a.parse().unwrap()).collect()), "{mode:?}");
            assert_eq!(*aaaa, Addresses::These(v6.iter().map(|a| a.parse().unwrap()).collect()), "{mode:?}");
        }
    }

    #[test]
    fn different_addresses_stay_different() {
        let mut scenario =
            Scenario { rules: vec![rule(&["5.3.3.17", "192.0.2.1", "8.7.198.45"])], ..Scenario::default() };
        let text = "@ 300 A 192.0.2.2\n@ 300 AAAA 2001:db8:53::1\n".into();
        scenario.zones.push(ZoneText { origin: NameBuf::from_text("test").unwrap(), text, line: 1 });
        let Action::Forge { forged, .. } = &mut scenario.rules[0].action else { panic!() };
        for (rtype, rdata) in
            [(Qtype::A, vec![5, 3, 3, 17]), (Qtype::A, vec![10, 0, 0, 1]), (Qtype::TXT, vec![1, 65])]
        {
            forged[0].shape.extra.push(Extra { owner: None, rtype, ttl: 0, rdata });
        }
        apply_stubs(&mut scenario, StubMode::Doc);
        let Action::Forge { forged, .. } = &scenario.rules[0].action else { panic!() };
        let Body::Addresses { a: Addresses::These(a), aaaa: Addresses::These(aaaa), .. } = &forged[0].body
        else {
            panic!()
        };
        assert_eq!(
            a.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["192.0.2.3", "192.0.2.1", "192.0.2.4"]
        );
        assert_eq!(aaaa[1].to_string(), "2001:db8:53::2");
        // Records beside the answer lead nowhere either.
        let extra: Vec<&[u8]> = forged[0].shape.extra.iter().map(|e| &e.rdata[..]).collect();
        assert_eq!(extra, [&[192, 0, 2, 3][..], &[10, 0, 0, 1], &[1, 65]]);
    }

    #[test]
    fn embedded_addresses_are_replaced_too() {
        for (address, somewhere) in [
            ("2a02:2698::17", true),
            ("2001:db8::1", false),
            ("d0::11", false),
            ("::1", false),
            ("::ffff:5.3.3.17", true),
            ("::ffff:10.10.34.36", false),
            ("64:ff9b::503:311", true),
            ("64:ff9b::a0a:2224", false),
        ] {
            assert_eq!(is_somewhere_v6(address.parse().unwrap()), somewhere, "{address}");
        }
    }
}
