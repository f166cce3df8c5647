//! The observations of a probe for one name, its other data, and the control's combined result.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::known::{AsnMap, Fingerprint};
use super::lookup::{Failure, Lookup};

/// Both lookups for one name.
#[derive(Clone, Debug)]
pub struct Pair {
    /// For A.
    pub a: Lookup,
    /// For AAAA.
    pub aaaa: Lookup,
}

impl Pair {
    /// Both, A first.
    #[must_use]
    pub const fn both(&self) -> [&Lookup; 2] {
        [&self.a, &self.aaaa]
    }

    /// All addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.both().into_iter().flat_map(Lookup::addresses).copied()
    }

    /// Why there are no addresses: the failure for A, unless that for AAAA is more specific.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match (&self.a.result, &self.aaaa.result) {
            (Ok(_), _) | (_, Ok(_)) => None,
            (Err(Failure::NoAnswer), Err(other)) => Some(*other),
            (Err(failure), _) => Some(*failure),
        }
    }
}

/// The observations of a probe for one name.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The resolver under test.
    pub resolver: Pair,
    /// The control, queried once or more.
    pub control: Vec<Pair>,
    /// Whether the queries went over UDP.
    pub udp: bool,
    /// Whether the queries had an OPT record.
    pub edns: bool,
}

/// The data of a probe beside the answers.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    /// The network that announces an address.
    pub asns: &'k AsnMap,
    /// Known answers of censors.
    pub fingerprints: &'k [Fingerprint],
    /// The country of the probe, as a two-letter code.
    pub country: Option<&'k str>,
}

impl<'k> Known<'k> {
    /// The known answers of censors that a lookup returned.
    pub fn fingerprints_of<'l>(
        &self,
        lookup: &'l Lookup,
    ) -> impl Iterator<Item = &'k Fingerprint> + use<'k, 'l> {
        let aliases = lookup.first().into_iter().flat_map(|said| &said.aliases).map(ToString::to_string);
        let answers: Vec<String> =
            lookup.addresses().iter().map(ToString::to_string).chain(aliases).collect();
        self.fingerprints.iter().filter(move |f| answers.iter().any(|a| f.fits(a)))
    }
}

/// The combined result of all attempts at the control.
#[derive(Clone, Debug)]
pub struct Control {
    /// Every address that it returned.
    pub addresses: BTreeSet<IpAddr>,
    /// Why there is none, from the last attempt.
    pub failure: Option<Failure>,
    /// How many attempts returned one.
    pub successes: usize,
    /// The number of attempts.
    pub tries: usize,
}

impl Control {
    /// Combines the attempts; `None` if the control never replied, so that nothing can be compared.
    #[must_use]
    pub fn join(tries: &[Pair]) -> Option<Self> {
        tries.iter().flat_map(Pair::both).flat_map(Lookup::ours).next()?;
        let addresses: BTreeSet<IpAddr> = tries.iter().flat_map(Pair::addresses).collect();
        let failure = tries.last().and_then(Pair::failure).filter(|_| addresses.is_empty());
        let successes = tries.iter().filter(|pair| pair.failure().is_none()).count();
        Some(Self { addresses, failure, successes, tries: tries.len() })
    }

    pub(super) fn shares_address(&self, addresses: &[IpAddr]) -> bool {
        addresses.iter().any(|a| self.addresses.contains(a))
    }

    pub(super) fn shares_asn(&self, addresses: &[IpAddr], asns: &AsnMap) -> bool {
        let own: Vec<u32> = self.addresses.iter().filter_map(|a| asns.asn(*a)).collect();
        addresses.iter().filter_map(|a| asns.asn(*a)).any(|asn| own.contains(&asn))
    }

    pub(super) fn has_v4(&self) -> bool {
        self.addresses.iter().any(IpAddr::is_ipv4)
    }

    pub(super) fn has_v6(&self) -> bool {
        self.addresses.iter().any(IpAddr::is_ipv6)
    }

    pub(super) const fn mostly_succeeds(&self) -> bool {
        self.successes * 2 > self.tries
    }
}
