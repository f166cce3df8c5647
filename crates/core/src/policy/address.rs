//! The decision on an address in an answer.

use std::net::IpAddr;

use super::ladder::Rung;
use super::layer::Entry;
use super::policy::Policy;
use super::walk::{Asker, misfit, rung_for};
use crate::dns::Name;

/// The list that decides on an address in the answer to a question, and on which rung: an `important` exception,
/// an `important` block, an exception, a block; within a rung, the smallest network. `None`: no rule has it.
#[must_use]
#[inline]
pub fn decide_address(
    policy: &Policy,
    address: IpAddr,
    name: Name<'_>,
    asker: Asker<'_>,
) -> Option<(u16, Rung)> {
    if policy.addresses.is_empty() { None } else { strongest(policy, address, name, asker) }
}

#[inline(never)]
fn strongest(policy: &Policy, address: IpAddr, name: Name<'_>, asker: Asker<'_>) -> Option<(u16, Rung)> {
    let mut best: Option<(u16, Rung)> = None;
    let kinds =
        || policy.addresses.around(address).iter().filter_map(|n| policy.address_kinds.get(*n as usize));
    let speaks = |layer: u16, entry: Entry| {
        asker.view.is_none_or(|view| view.has(entry.list))
            && (!entry.scoped
                || policy
                    .layers
                    .get(usize::from(layer))
                    .is_some_and(|layer| misfit(policy, layer, entry, name, asker).is_none()))
    };
    for (layer, entry) in kinds() {
        let rung = rung_for(*entry, asker);
        let better = best.is_none_or(|(_, known)| rung < known);
        if rung == Rung::Nothing || !better || !speaks(*layer, *entry) {
            continue;
        }
        let excepted = |(of, other): &(u16, Entry)| {
            other.excepts && (*of, other.source) == (*layer, entry.source) && speaks(*of, *other)
        };
        if !kinds().any(excepted) {
            best = Some((entry.list, rung));
        }
    }
    best
}
