//! Networks and their values: all that contain an address, the longest first.
//!
//! Nested networks become disjoint ranges of addresses when the table is built, each with the number of its
//! set of values. A lookup is then one search, however deep the nesting.

use std::cmp::Reverse;
use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use ipnet::IpNet;
use rustc_hash::{FxHashMap, FxHashSet};

/// Up to this many ranges are searched directly; more are first divided by the next octet of the address.
/// For fewer, a table of 2 KiB would not be worth its memory.
const SEARCHED: u32 = 64;
/// Entries of a table: one for each octet value, and one for the end of the last.
const TABLE: usize = 257;
/// Sets up to this length are searched linearly rather than hashed.
const SHORT: usize = 16;

/// Networks with a value each, IPv4 and IPv6; frozen once built.
///
/// An IPv4-mapped address (`::ffff:192.0.2.1`) is treated as the IPv4 address, and a network of such
/// addresses as the IPv4 network. A wider IPv6 network contains no IPv4 address: `::/0` covers IPv6 only.
#[derive(Clone)]
pub struct Prefixes<T> {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    /// The distinct sets; the empty one is number 0.
    sets: Vec<Box<[T]>>,
}

impl<T: Copy + Eq + Hash> Prefixes<T> {
    /// Builds from networks and their values. A network may occur several times with different values; bits
    /// of an address after the prefix are ignored.
    pub fn new(entries: impl IntoIterator<Item = (IpNet, T)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (network, value) in entries {
            let (first, last) = (network.network(), network.broadcast());
            match (first.to_canonical(), last.to_canonical()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    v4.push(Network { first: first.into(), last: last.into(), value });
                }
                // A network wider than all mapped addresses has at most one end among them.
                _ => {
                    if let (IpAddr::V6(first), IpAddr::V6(last)) = (first, last) {
                        v6.push(Network { first: first.into(), last: last.into(), value });
                    }
                }
            }
        }
        let mut sets = Sets::new();
        Self { v4: Ranges::new(v4, &mut sets), v6: Ranges::new(v6, &mut sets), sets: sets.sets }
    }

    /// The values of all networks that contain the address, the longest network first, and those of one
    /// network in the order given. A duplicate value counts once, with its longest network. Allocates
    /// nothing.
    #[must_use]
    pub fn around(&self, address: IpAddr) -> &[T] {
        self.sets.get(self.set_of(address) as usize).map_or(&[], |set| set)
    }

    /// Number of the set that [`Self::around`] returns, for callers that precompute something for each set.
    /// The sets are numbered from 0, and 0 is the empty one.
    #[must_use]
    pub fn set_of(&self, address: IpAddr) -> u32 {
        match address.to_canonical() {
            IpAddr::V4(address) => self.v4.set_of(address.into()),
            IpAddr::V6(address) => self.v6.set_of(address.into()),
        }
    }

    /// The sets in the order of their numbers, including any that longer networks cover completely.
    pub fn sets(&self) -> impl Iterator<Item = &[T]> {
        self.sets.iter().map(|set| &**set)
    }

    /// True if there are no networks.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sets.len() <= 1
    }
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { v4: Ranges::default(), v6: Ranges::default(), sets: vec![Box::default()] }
    }
}

impl<T> fmt::Debug for Prefixes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = self.v4.firsts.len() + self.v6.firsts.len();
        write!(f, "Prefixes({ranges} ranges, {} sets)", self.sets.len())
    }
}

/// One network as its first and last address.
struct Network<A, T> {
    first: A,
    last: A,
    value: T,
}

/// An address as a number.
trait Address: Copy + Ord {
    const ZERO: Self;
    const OCTETS: u32;

    /// The next address, unless this is the last.
    fn next(self) -> Option<Self>;
    /// The octet at this index, from 0; 0 beyond the last.
    fn octet(self, at: u32) -> u8;
}

impl Address for u32 {
    const ZERO: Self = 0;
    const OCTETS: u32 = 4;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn octet(self, at: u32) -> u8 {
        let [octet, ..] = self.checked_shl(8 * at).unwrap_or(0).to_be_bytes();
        octet
    }
}

impl Address for u128 {
    const ZERO: Self = 0;
    const OCTETS: u32 = 16;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }

    fn octet(self, at: u32) -> u8 {
        let [octet, ..] = self.checked_shl(8 * at).unwrap_or(0).to_be_bytes();
        octet
    }
}

/// The addresses of one family as contiguous ranges, starting at address zero. Without networks there are
/// no ranges.
#[derive(Clone)]
struct Ranges<A> {
    /// The first address of each range, ascending.
    firsts: Vec<A>,
    /// The set of each range.
    sets: Vec<u32>,
    /// Tables of [`TABLE`] entries over an octet of the address, the first one over the first octet.
    places: Vec<Place>,
}

/// A table's entry for the addresses with one value of its octet.
#[derive(Clone, Copy)]
struct Place {
    /// How many ranges begin before these addresses.
    before: u32,
    /// Index of the table over their next octet; 0 if there is none.
    table: u32,
}

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Self { firsts: Vec::new(), sets: Vec::new(), places: Vec::new() }
    }
}

impl<A: Address> Ranges<A> {
    fn new<T: Copy + Eq + Hash>(mut networks: Vec<Network<A, T>>, sets: &mut Sets<T>) -> Self {
        let mut ranges = Self::default();
        if networks.is_empty() {
            return ranges;
        }
        // A network sorts after those that contain it; the sort is stable, which keeps the given order.
        networks.sort_by_key(|n| (n.first, Reverse(n.last)));
        ranges.push(A::ZERO, 0);
        let mut open = Vec::new();
        for same in networks.chunk_by(|a, b| (a.first, a.last) == (b.first, b.last)) {
            let Some(network) = same.first() else { continue };
            ranges.close(&mut open, Some(network.first));
            let around = open.last().map_or(0, |(_, set)| *set);
            let set = sets.number(same.iter().map(|n| n.value), around);
            ranges.push(network.first, set);
            open.push((network.last, set));
        }
        ranges.close(&mut open, None);
        let all = number(ranges.firsts.len());
        if all > SEARCHED {
            ranges.add_table(0, all, 0);
        }
        ranges
    }

    /// Closes the open networks that end before an address, or all; after each, the enclosing one
    /// continues.
    fn close(&mut self, open: &mut Vec<(A, u32)>, before: Option<A>) {
        while let Some((last, _)) = open.pop_if(|(last, _)| before.is_none_or(|before| *last < before)) {
            if let Some(next) = last.next() {
                self.push(next, open.last().map_or(0, |(_, set)| *set));
            }
        }
    }

    /// Starts this set at this address. The addresses never decrease.
    fn push(&mut self, first: A, set: u32) {
        if self.firsts.last() == Some(&first) {
            self.firsts.pop();
            self.sets.pop();
        }
        if self.sets.last() != Some(&set) {
            self.firsts.push(first);
            self.sets.push(set);
        }
    }

    /// Adds a table over an octet for the ranges from one number up to another, whose preceding octets are
    /// all the same, and the tables below it. Returns its index.
    fn add_table(&mut self, from: u32, to: u32, octet: u32) -> u32 {
        let begin = self.places.len();
        let mut range = from;
        for value in 0..=u8::MAX {
            self.places.push(Place { before: range, table: 0 });
            let same = |first: &A| first.octet(octet) == value;
            while range < to && self.firsts.get(range as usize).is_some_and(same) {
                range += 1;
            }
        }
        self.places.push(Place { before: to, table: 0 });
        for at in begin..begin + TABLE - 1 {
            let place = |at: usize| self.places.get(at).map_or(to, |place| place.before);
            let (from, to) = (place(at), place(at + 1));
            if to - from > SEARCHED && octet + 1 < A::OCTETS {
                let table = self.add_table(from, to, octet + 1);
                if let Some(place) = self.places.get_mut(at) {
                    place.table = table;
                }
            }
        }
        number(begin)
    }

    fn set_of(&self, address: A) -> u32 {
        let (mut from, mut to) = (0, self.firsts.len());
        let (mut table, mut octet) = (0, 0);
        while let Some([place, next, ..]) = self.places.get(table + usize::from(address.octet(octet))..) {
            (from, to) = (place.before as usize, next.before as usize);
            (table, octet) = (place.table as usize, octet + 1);
            if table == 0 {
                break;
            }
        }
        let inside = self.firsts.get(from..to).unwrap_or_default();
        let begun = from + inside.partition_point(|first| *first <= address);
        begun.checked_sub(1).and_then(|at| self.sets.get(at)).copied().unwrap_or(0)
    }
}

/// There can't be 4 billion of these in memory.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The distinct sets while the ranges are built.
struct Sets<T> {
    sets: Vec<Box<[T]>>,
    numbers: FxHashMap<Box<[T]>, u32>,
}

impl<T: Copy + Eq + Hash> Sets<T> {
    fn new() -> Self {
        Self { sets: vec![Box::default()], numbers: FxHashMap::from_iter([(Box::default(), 0)]) }
    }

    /// Number of the set of these values, followed by those of the enclosing set.
    fn number(&mut self, own: impl Iterator<Item = T>, around: u32) -> u32 {
        let around = self.sets.get(around as usize).map_or(&[][..], |set| set);
        let set = each_once(own.chain(around.iter().copied()));
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let number = number(self.sets.len());
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }
}

fn each_once<T: Copy + Eq + Hash>(values: impl Iterator<Item = T>) -> Box<[T]> {
    let mut set = Vec::new();
    let mut seen = FxHashSet::default();
    for value in values {
        if set.len() == SHORT && seen.is_empty() {
            seen.extend(set.iter().copied());
        }
        let new = if set.len() < SHORT { !set.contains(&value) } else { seen.insert(value) };
        if new {
            set.push(value);
        }
    }
    set.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn prefixes(entries: &[(&str, u16)]) -> Prefixes<u16> {
        Prefixes::new(entries.iter().map(|(network, value)| (network.parse().unwrap(), *value)))
    }

    #[test]
    fn the_longest_network_comes_first() {
        let prefixes = prefixes(&[
            ("0.0.0.0/0", 1),
            ("10.0.0.0/8", 2),
            ("10.1.0.0/16", 3),
            ("10.1.255.255/32", 4),
            ("10.1.0.0/16", 5),
            ("10.2.3.4/16", 6),
            ("10.2.0.0/17", 2),
            ("255.255.255.255/32", 7),
            ("::ffff:192.0.2.0/120", 8),
            ("::/0", 9),
            ("2001:db8::/32", 10),
            ("ffff::/16", 11),
        ]);
        for (address, values) in [
            ("9.255.255.255", &[1][..]),
            ("10.0.0.0", &[2, 1]),
            ("10.1.0.0", &[3, 5, 2, 1]),
            ("10.1.255.255", &[4, 3, 5, 2, 1]),
            // The value 2 counts with its longer network, before that of the network in between.
            ("10.2.0.1", &[2, 6, 1]),
            ("10.2.128.0", &[6, 2, 1]),
            ("10.255.255.255", &[2, 1]),
            ("11.0.0.0", &[1]),
            ("255.255.255.254", &[1]),
            ("255.255.255.255", &[7, 1]),
            ("192.0.2.1", &[8, 1]),
            ("::ffff:192.0.2.1", &[8, 1]),
            ("::ffff:10.1.0.0", &[3, 5, 2, 1]),
            ("::", &[9]),
            ("::192.0.2.1", &[9]),
            ("2001:db8::1", &[10, 9]),
            ("2001:db9::", &[9]),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &[11, 9]),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(prefixes.around(address), values, "{address}");
            let set = usize::try_from(prefixes.set_of(address)).unwrap();
            assert_eq!(prefixes.sets().nth(set).unwrap(), values, "{address}");
        }
    }

    #[test]
    fn without_networks_every_set_is_the_empty_one() {
        for prefixes in [Prefixes::default(), prefixes(&[])] {
            assert!(prefixes.is_empty());
            assert_eq!(prefixes.sets().collect::<Vec<_>>(), [&[0u16; 0]]);
            for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
                assert_eq!((prefixes.around(address), prefixes.set_of(address)), (&[][..], 0));
            }
        }
        assert!(!prefixes(&[("192.0.2.1/32", 0)]).is_empty());
    }

    #[test]
    fn equal_sets_are_one_set_and_equal_neighbours_one_range() {
        let networks = (0..=255u8).flat_map(|i| {
            let v4 = IpNet::new(Ipv4Addr::new(10, 0, i, 0).into(), 24).unwrap();
            let v6 = IpNet::new(Ipv6Addr::new(0xfd00, 0, 0, i.into(), 0, 0, 0, 0).into(), 64).unwrap();
            [(v4, 7u16), (v6, 7)]
        });
        let prefixes = Prefixes::new(networks);
        assert_eq!(prefixes.sets().collect::<Vec<_>>(), [&[][..], &[7]]);
        assert_eq!(format!("{prefixes:?}"), "Prefixes(6 ranges, 2 sets)");
    }

    #[test]
    fn a_network_may_have_very_many_values() {
        let all: IpNet = "0.0.0.0/0".parse().unwrap();
        let some: IpNet = "10.0.0.0/8".parse().unwrap();
        let values = (0..50_000u16).chain(0..50_000).map(|i| (all, i));
        let prefixes = Prefixes::new(values.chain([(some, 49_999), (some, 60_000)]));
        assert!(prefixes.around("192.0.2.1".parse().unwrap()).iter().copied().eq(0..50_000));
        let inner = prefixes.around("10.0.0.1".parse().unwrap());
        assert!(inner.iter().copied().eq([49_999, 60_000].into_iter().chain(0..49_999)));
    }

    /// With few distinct octets, so that the networks nest; after some common leading octets, so that
    /// tables follow tables.
    fn any_address(same: usize) -> impl Strategy<Value = IpAddr> {
        let octet = || prop::sample::select(vec![0u8, 1, 2, 127, 128, 254, 255]);
        let octets = prop::array::uniform4(octet()).prop_map(move |mut octets| {
            octets[..same].fill(10);
            octets
        });
        (octets, 0..4u8).prop_map(|(octets, kind)| match kind {
            0 => IpAddr::V4(octets.into()),
            1 => IpAddr::V6(Ipv4Addr::from(octets).to_ipv6_mapped()),
            _ => {
                let mut long = [if kind == 2 { 0 } else { 255 }; 16];
                long[..3].copy_from_slice(&octets[..3]);
                long[15] = octets[3];
                IpAddr::V6(long.into())
            }
        })
    }

    fn any_network(same: usize) -> impl Strategy<Value = IpNet> {
        let len = prop_oneof![0..=128u8, 8..=32u8, 104..=128u8];
        (any_address(same), len).prop_map(|(address, len)| match address {
            IpAddr::V4(address) => IpNet::V4(Ipv4Net::new(address, len % 33).unwrap()),
            IpAddr::V6(address) => IpNet::V6(Ipv6Net::new(address, len).unwrap()),
        })
    }

    fn any_networks() -> impl Strategy<Value = (Vec<(IpNet, u16)>, Vec<IpAddr>)> {
        (0..3usize, prop_oneof![4 => 0..8usize, 1 => 100..300usize]).prop_flat_map(|(same, count)| {
            let entry = (any_network(same), 0..99u16);
            (prop::collection::vec(entry, count), prop::collection::vec(any_address(same), 1..20))
        })
    }

    /// Checks every network, and counts the bits that it shares with the address.
    fn model(entries: &[(IpNet, u16)], address: IpAddr) -> Vec<u16> {
        let bits = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(address) => (4, u128::from(u32::from(address)) << 96),
            IpAddr::V6(address) => (6, u128::from(address)),
        };
        let asked = bits(address);
        let mut found = Vec::new();
        for (network, value) in entries {
            let len = u32::from(network.prefix_len());
            let (of, len) = match (network, network.addr().to_canonical()) {
                (IpNet::V6(network), IpAddr::V4(_)) if len < 96 => ((6, u128::from(network.addr())), len),
                (IpNet::V6(_), IpAddr::V4(mapped)) => (bits(IpAddr::V4(mapped)), len - 96),
                _ => (bits(network.addr()), len),
            };
            if of.0 == asked.0 && (of.1 ^ asked.1).leading_zeros() >= len {
                found.push((len, *value));
            }
        }
        found.sort_by_key(|(len, _)| Reverse(*len));
        let mut values = Vec::new();
        for (_, value) in found {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        values
    }

    fn neighbours(network: IpNet) -> Vec<IpAddr> {
        let step = |address: IpAddr, up: bool| match address {
            IpAddr::V4(a) => {
                let a = u32::from(a);
                IpAddr::V4(Ipv4Addr::from(if up { a.wrapping_add(1) } else { a.wrapping_sub(1) }))
            }
            IpAddr::V6(a) => {
                let a = u128::from(a);
                IpAddr::V6(Ipv6Addr::from(if up { a.wrapping_add(1) } else { a.wrapping_sub(1) }))
            }
        };
        let (first, last) = (network.network(), network.broadcast());
        vec![first, last, step(first, false), step(last, true)]
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_network((entries, addresses) in any_networks()) {
            let prefixes = Prefixes::new(entries.iter().copied());
            let sets: Vec<&[u16]> = prefixes.sets().collect();
            prop_assert!(sets[0].is_empty());
            prop_assert_eq!(sets.iter().collect::<FxHashSet<_>>().len(), sets.len());
            prop_assert_eq!(prefixes.is_empty(), entries.is_empty());
            let edges = entries.iter().flat_map(|(network, _)| neighbours(*network));
            for address in addresses.into_iter().chain(edges) {
                let values = model(&entries, address);
                prop_assert_eq!(prefixes.around(address), &*values, "{}", address);
                prop_assert_eq!(sets[prefixes.set_of(address) as usize], &*values);
            }
        }
    }
}
