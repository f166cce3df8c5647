//! The names and addresses in a reply beyond the question, so that a policy can inspect them too: the alias
//! chain, the targets and hints of service bindings, the address records.
//!
//! Only the answer section and class IN are inspected. Nothing is allocated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use super::edns::split_option;
use super::message::{Message, Record};
use super::name::{Folded, MAX_NAME, Name};
use super::reply::Section;
use super::types::{Class, Qtype};

/// The most aliases that are followed from a question's name: in a reply, in zones, and by rules.
pub const MAX_ALIASES: usize = 16;

/// The parameter `ipv4hint` (RFC 9460 §7.3).
const IPV4HINT: u16 = 4;
/// The parameter `ipv6hint` (RFC 9460 §7.3).
const IPV6HINT: u16 = 6;

/// How a reply leads to a name or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Via {
    /// The target of a CNAME (RFC 1035 §3.3.1).
    Cname,
    /// A name below a DNAME's owner, redirected below its target (RFC 6672 §2.2).
    Dname,
    /// The `TargetName` of an HTTPS or SVCB record (RFC 9460 §2.2).
    Svcb,
    /// An A or AAAA record (RFC 1035 §3.4.1, RFC 3596 §2.1).
    Record,
    /// An address in `ipv4hint` or `ipv6hint` of an HTTPS or SVCB record (RFC 9460 §7.3).
    Hint,
}

/// One item that a reply leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found<'n> {
    /// A name.
    Name(Name<'n>, Via),
    /// An address.
    Address(IpAddr, Via),
}

impl Found<'_> {
    /// How the reply leads to it.
    #[must_use]
    pub const fn via(&self) -> Via {
        match self {
            Self::Name(_, via) | Self::Address(_, via) => *via,
        }
    }
}

/// Calls `each` for every item that a reply leads to, until it breaks; returns the value of the break.
///
/// The names of the alias chain come first, in chain order whatever the order of the records
/// (RFC 1034 §3.6.2): from the question's name, at most [`MAX_ALIASES`], until the chain ends or loops.
/// Aliases outside the chain follow, then targets, hints and addresses in record order. Owner names are
/// ignored, because some clients ignore them too.
pub fn found<B>(message: &Message<'_>, mut each: impl FnMut(Found<'_>) -> ControlFlow<B>) -> Option<B> {
    match chain(message, &mut each) {
        ControlFlow::Continue(()) => data(message, &mut each).break_value(),
        ControlFlow::Break(value) => Some(value),
    }
}

fn chain<B>(message: &Message<'_>, each: &mut impl FnMut(Found<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
    let Some(qname) = message.qname() else { return ControlFlow::Continue(()) };
    let mut current = Folded::new(qname);
    let mut followed = [None; MAX_ALIASES];
    let (mut cname_buf, mut dname_buf) = ([0; MAX_NAME], [0; MAX_NAME]);
    for hop in 0..MAX_ALIASES {
        let mut owner = [0; MAX_NAME];
        let alias = answers(message, Qtype::CNAME)
            .find(|record| message.name_into(record.start, &mut owner) == Some(current.as_name()));
        if let Some(alias) = alias {
            if followed.contains(&Some(alias.start)) {
                break;
            }
            if let Some(slot) = followed.get_mut(hop) {
                *slot = Some(alias.start);
            }
        }
        let cname = alias.and_then(|record| message.name_into(record.rdata_at(), &mut cname_buf));
        let dname = substituted(message, current.as_name(), &mut dname_buf);
        if let Some(name) = dname {
            each(Found::Name(name, Via::Dname))?;
        }
        // The CNAME that accompanies a DNAME agrees with it (RFC 6672 §3.1). If it does not, a client
        // without DNAME support follows the CNAME.
        if let Some(name) = cname.filter(|_| cname != dname) {
            each(Found::Name(name, Via::Cname))?;
        }
        let Some(next) = cname.or(dname) else { break };
        current = Folded::new(next);
    }
    for alias in answers(message, Qtype::CNAME) {
        if !followed.contains(&Some(alias.start))
            && let Some(name) = message.name_into(alias.rdata_at(), &mut cname_buf)
        {
            each(Found::Name(name, Via::Cname))?;
        }
    }
    ControlFlow::Continue(())
}

/// The name after substitution by the first DNAME above `name`: the labels before the DNAME's owner, then
/// its target. `None` also if the result is too long for a name (RFC 6672 §2.2).
fn substituted<'b>(message: &Message<'_>, name: Name<'_>, buf: &'b mut [u8; MAX_NAME]) -> Option<Name<'b>> {
    let mut scratch = [0; MAX_NAME];
    let (record, prefix) = answers(message, Qtype::DNAME).find_map(|record| {
        let owner = message.name_into(record.start, &mut scratch)?;
        // A DNAME does not redirect its own owner (RFC 6672 §2.3).
        let prefix = name.as_bytes().len().checked_sub(owner.as_bytes().len())?;
        (prefix > 0 && name.is_within(owner)).then_some((record, prefix))
    })?;
    let target = message.name_into(record.rdata_at(), &mut scratch)?.as_bytes();
    let whole = buf.get_mut(..prefix + target.len())?;
    let (head, tail) = whole.split_at_mut_checked(prefix)?;
    head.copy_from_slice(name.as_bytes().get(..prefix)?);
    tail.copy_from_slice(target);
    Name::parse(whole).ok()
}

fn data<B>(message: &Message<'_>, each: &mut impl FnMut(Found<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
    let answers = message.records().take_while(|r| r.section == Section::Answer);
    for record in answers.filter(|r| r.class == Class::IN.0) {
        match record.rtype {
            Qtype::A => addresses::<4, Ipv4Addr, B>(record.rdata, Via::Record, each)?,
            Qtype::AAAA => addresses::<16, Ipv6Addr, B>(record.rdata, Via::Record, each)?,
            Qtype::SVCB | Qtype::HTTPS => binding(record.rdata, each)?,
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

/// The target of a service binding, then its hints. A compressed target makes the record malformed
/// (RFC 9460 §2.2). Keys out of order do so too, but they are read, because some clients accept them.
fn binding<B>(rdata: &[u8], each: &mut impl FnMut(Found<'_>) -> ControlFlow<B>) -> ControlFlow<B> {
    let Some((priority, rest)) = rdata.split_first_chunk::<2>() else { return ControlFlow::Continue(()) };
    let Ok(target) = Name::parse(rest) else { return ControlFlow::Continue(()) };
    // "." means the owner itself, or that the service does not exist (RFC 9460 §2.5).
    if !target.is_root() {
        each(Found::Name(target, Via::Svcb))?;
    }
    // Parameters of an AliasMode record have no meaning (RFC 9460 §2.4.2).
    if *priority == [0, 0] {
        return ControlFlow::Continue(());
    }
    let mut rest = rest.get(target.as_bytes().len()..).unwrap_or_default();
    while let Some((key, value, tail)) = split_option(rest) {
        match key {
            IPV4HINT => addresses::<4, Ipv4Addr, B>(value, Via::Hint, each)?,
            IPV6HINT => addresses::<16, Ipv6Addr, B>(value, Via::Hint, each)?,
            _ => {}
        }
        rest = tail;
    }
    ControlFlow::Continue(())
}

/// All complete addresses of `N` octets; a remainder is ignored.
fn addresses<const N: usize, A: From<[u8; N]> + Into<IpAddr>, B>(
    octets: &[u8],
    via: Via,
    each: &mut impl FnMut(Found<'_>) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let (whole, _) = octets.as_chunks::<N>();
    whole.iter().try_for_each(|address| each(Found::Address(A::from(*address).into(), via)))
}

fn answers<'m>(message: &Message<'m>, rtype: Qtype) -> impl Iterator<Item = Record<'m>> + use<'m> {
    let answers = message.records().take_while(|r| r.section == Section::Answer);
    answers.filter(move |r| r.class == Class::IN.0 && r.rtype == rtype)
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests make small numbers")]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::rdata;
    use super::*;

    /// A name's octets, its case kept.
    fn wire(text: &str) -> Vec<u8> {
        let labels = text.split('.').filter(|label| !label.is_empty());
        labels.flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).chain([0]).collect()
    }

    /// A reply to `qname A IN`, its names uncompressed; `nth` records are answers, the rest authority.
    fn reply(qname: &str, records: &[(&str, &str, Vec<u8>)], nth: usize) -> Vec<u8> {
        let (answers, authority) = (nth as u16, (records.len() - nth) as u16);
        let mut out = b"\0\0\x81\x80\0\x01".to_vec();
        out.extend([answers.to_be_bytes(), authority.to_be_bytes(), [0, 0]].concat());
        out.extend([&wire(qname)[..], &[0, 1, 0, 1]].concat());
        for (owner, rtype, rdata) in records {
            out.extend(wire(owner));
            out.extend(rtype.parse::<Qtype>().unwrap().0.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend((rdata.len() as u16).to_be_bytes());
            out.extend(rdata);
        }
        out
    }

    /// Records from text.
    fn records<'t>(lines: &[Line<'t>]) -> Vec<(&'t str, &'t str, Vec<u8>)> {
        lines
            .iter()
            .map(|&(owner, rtype, text)| {
                let rdata = rdata::from_text(rtype.parse().unwrap(), text, Name::ROOT).unwrap();
                (owner, rtype, rdata)
            })
            .collect()
    }

    fn show(item: Found<'_>) -> String {
        match item {
            Found::Name(name, via) => format!("{via:?} {name}"),
            Found::Address(address, via) => format!("{via:?} {address}"),
        }
    }

    fn all(bytes: &[u8]) -> Vec<String> {
        let mut items = Vec::new();
        let message = Message::parse(bytes).unwrap();
        let none: Option<()> = found(&message, |item| {
            items.push(show(item));
            ControlFlow::Continue(())
        });
        assert_eq!(none, None);
        items
    }

    /// Owner, type, RDATA as text.
    type Line<'t> = (&'t str, &'t str, &'t str);

    #[test]
    fn everything_is_reported_in_chain_order() {
        let table: &[(&str, &[Line<'_>], &[&str])] = &[
            ("nothing", &[], &[]),
            (
                "addresses",
                &[("a", "A", "192.0.2.1"), ("a", "AAAA", "2001:db8::1")],
                &["Record 192.0.2.1", "Record 2001:db8::1"],
            ),
            (
                "a chain",
                &[("a", "CNAME", "b."), ("b", "CNAME", "c."), ("c", "A", "192.0.2.1")],
                &["Cname b", "Cname c", "Record 192.0.2.1"],
            ),
            (
                "out of order, in another case",
                &[("c", "A", "192.0.2.1"), ("B", "CNAME", "c."), ("A", "CNAME", "b.")],
                &["Cname b", "Cname c", "Record 192.0.2.1"],
            ),
            ("a loop", &[("b", "CNAME", "a."), ("a", "CNAME", "b.")], &["Cname b", "Cname a"]),
            ("a loop of one", &[("a", "CNAME", "a.")], &["Cname a"]),
            (
                "owners that nothing leads to",
                &[("x", "A", "192.0.2.1"), ("y", "CNAME", "z.")],
                &["Cname z", "Record 192.0.2.1"],
            ),
            (
                "two aliases of one name",
                &[("a", "CNAME", "b."), ("a", "CNAME", "c."), ("b", "CNAME", "d.")],
                &["Cname b", "Cname d", "Cname c"],
            ),
            (
                "a service",
                &[("a", "HTTPS", "1 t.x. ipv6hint=2001:db8::1 ipv4hint=192.0.2.1,192.0.2.2")],
                &["Svcb t.x", "Hint 192.0.2.1", "Hint 192.0.2.2", "Hint 2001:db8::1"],
            ),
            (
                "a service at its owner",
                &[("a", "SVCB", "1 . alpn=h2 ipv4hint=192.0.2.1")],
                &["Hint 192.0.2.1"],
            ),
            ("an alias of a service", &[("a", "HTTPS", "0 t.x. ipv4hint=192.0.2.1")], &["Svcb t.x"]),
            ("other types", &[("a", "MX", "1 m."), ("a", "NS", "n."), ("a", "PTR", "p.")], &[]),
        ];
        for (what, lines, items) in table {
            let records = records(lines);
            assert_eq!(all(&reply("a", &records, records.len())), *items, "{what}");
        }
    }

    #[test]
    fn a_dname_redirects_the_names_below_it() {
        let long = format!("{0}.{0}.{0}.", "y".repeat(63));
        let prefix = "x".repeat(63);
        let qname = format!("{prefix}.d.o");
        let own = format!("{prefix}.n.o");
        let table: &[(&str, &[Line<'_>], &[&str])] = &[
            (&qname, &[("d.o", "DNAME", "n.o.")], &[&format!("Dname {own}")]),
            // With the synthesised CNAME, in either order.
            (
                &qname,
                &[("D.O", "DNAME", "n.o."), (&qname, "CNAME", &format!("{own}."))],
                &[&format!("Dname {own}")],
            ),
            (
                &qname,
                &[(&qname, "CNAME", &format!("{own}.")), ("d.o", "DNAME", "n.o.")],
                &[&format!("Dname {own}")],
            ),
            // With a CNAME that differs: both are reported, and the CNAME is followed.
            (
                "w.d.o",
                &[("w.d.o", "CNAME", "v."), ("d.o", "DNAME", "n.o."), ("v", "CNAME", "u.")],
                &["Dname w.n.o", "Cname v", "Cname u"],
            ),
            // Two in a row, and one after an alias.
            ("w.d.o", &[("n.o", "DNAME", "m."), ("d.o", "DNAME", "n.o.")], &["Dname w.n.o", "Dname w.m"]),
            ("a", &[("a", "CNAME", "w.d.o."), ("d.o", "DNAME", ".")], &["Cname w.d.o", "Dname w"]),
            // The owner itself, a name with the same final octets, an unrelated name: nothing.
            ("d.o", &[("d.o", "DNAME", "n.o.")], &[]),
            ("wd.o", &[("d.o", "DNAME", "n.o.")], &[]),
            ("w.d.o", &[("w.w.d.o", "DNAME", "n.o.")], &[]),
            // Too long.
            (&qname, &[("d.o", "DNAME", &long)], &[]),
            ("w.d.o", &[(".", "DNAME", "n.")], &["Dname w.d.o.n"]),
        ];
        for (qname, lines, items) in table {
            let records = records(lines);
            let found = all(&reply(qname, &records, records.len()));
            let first: Vec<_> = found.iter().take(items.len()).collect();
            assert_eq!(first, *items, "{qname} {lines:?}");
            // Only the root's DNAME applies to its own result.
            assert_eq!(found.len(), if lines[0].0 == "." { MAX_ALIASES } else { items.len() }, "{qname}");
        }
    }

    #[test]
    fn a_chain_has_an_end() {
        let names: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
        let records: Vec<_> =
            names.windows(2).rev().map(|pair| (&*pair[0], "CNAME", wire(&pair[1]))).collect();
        let items = all(&reply("n0", &records, records.len()));
        let in_order: Vec<_> = (1..=MAX_ALIASES).map(|i| format!("Cname n{i}")).collect();
        assert_eq!(items[..MAX_ALIASES], in_order);
        // Aliases beyond the limit are still reported, in record order.
        assert_eq!(items[MAX_ALIASES..], ["Cname n19", "Cname n18", "Cname n17"]);
    }

    #[test]
    fn only_answers_of_class_in_count() {
        let records = records(&[("a", "CNAME", "b."), ("b", "CNAME", "c."), ("c", "A", "192.0.2.1")]);
        assert_eq!(all(&reply("a", &records, 1)), ["Cname b"]);
        assert_eq!(all(&reply("a", &records, 0)), [""; 0]);
        let mut chaos = reply("a", &records, 3);
        let class = chaos.len() - 4 - 2 - 4 - 1;
        chaos[class] = 3;
        assert_eq!(all(&chaos), ["Cname b", "Cname c"]);
    }

    #[test]
    fn compressed_names_are_followed() {
        let mut bytes = b"\0\0\x81\x80\0\x01\0\x02\0\0\0\0\x03www\x01x\x03org\0\0\x01\0\x01".to_vec();
        bytes.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x06\x03cdn\xc0\x10");
        bytes.extend(b"\xc0\x28\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01");
        assert_eq!(all(&bytes), ["Cname cdn.x.org", "Record 192.0.2.1"]);
    }

    #[test]
    fn broken_service_bindings_give_what_is_whole() {
        for (rdata, items) in [
            (&b""[..], &[][..]),
            (b"\0", &[]),
            (b"\0\x01", &[]),
            (b"\0\x01\x05ab", &[]),
            // Compressed.
            (b"\0\x01\xc0\x0c\0\x04\0\x04\xc0\0\x02\x01", &[]),
            (b"\0\x01\x01t\0", &["Svcb t"]),
            (b"\0\x01\x01t\0\0\x04\0", &["Svcb t"]),
            // A value that ends beyond the record, one of five octets, keys out of order.
            (b"\0\x01\x01t\0\0\x04\0\x04\xc0\0\x02\x01\0\x06\0\x10\0", &["Svcb t", "Hint 192.0.2.1"]),
            (b"\0\x01\0\0\x04\0\x05\xc0\0\x02\x01\0", &["Hint 192.0.2.1"]),
            (b"\0\x01\0\0\x05\0\0\0\x04\0\x04\xc0\0\x02\x01", &["Hint 192.0.2.1"]),
        ] {
            let mut records = vec![("a", "HTTPS", rdata.to_vec())];
            records.push(("a", "A", vec![192, 0, 2, 9]));
            let items: Vec<_> = items.iter().copied().chain(["Record 192.0.2.9"]).collect();
            assert_eq!(all(&reply("a", &records, 2)), items, "{rdata:?}");
        }
    }

    #[test]
    fn a_break_ends_it_anywhere() {
        let records = records(&[
            ("w.d", "CNAME", "v.e."),
            ("d", "DNAME", "e."),
            ("y", "CNAME", "z."),
            ("y", "HTTPS", "1 t. ipv4hint=192.0.2.1"),
            ("y", "A", "192.0.2.2"),
        ]);
        let bytes = reply("w.d", &records, records.len());
        let items = all(&bytes);
        assert_eq!(items.len(), 6);
        for (stop, at) in items.iter().zip(1..) {
            let mut calls = 0;
            let value = found(&Message::parse(&bytes).unwrap(), |item| {
                calls += 1;
                if show(item) == *stop { ControlFlow::Break(calls) } else { ControlFlow::Continue(()) }
            });
            assert_eq!((value, calls), (Some(at), at), "{stop}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(records in vec((0..6usize, 0..6usize, vec(any::<u8>(), 0..40)), 0..8), damage: Vec<(u16, u8)>) {
            let records: Vec<_> = records
                .into_iter()
                .map(|(owner, rtype, rdata)| (["a", "b", "a.b", "b.a", "a.b.a", "."][owner], ["A", "AAAA", "CNAME", "DNAME", "SVCB", "HTTPS"][rtype], rdata))
                .collect();
            let mut bytes = reply("a.b", &records, records.len());
            for (at, octet) in damage {
                let len = bytes.len();
                bytes[usize::from(at) % len] = octet;
            }
            if let Some(message) = Message::parse(&bytes) {
                let mut names = 0;
                let _: Option<()> = found(&message, |item| {
                    names += usize::from(matches!(item, Found::Name(..)));
                    ControlFlow::Continue(())
                });
                prop_assert!(names <= 2 * MAX_ALIASES + usize::from(message.header.ancount));
            }
        }

        /// Records that lead from name to name at random: the chain is the same in any order.
        #[test]
        fn the_order_of_records_does_not_matter(
            steps in vec(0..12usize, 12),
            order in Just((0..12usize).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let names: Vec<String> = (0..12).map(|i| format!("n{i}")).collect();
            let record = |i: usize| (&*names[i], "CNAME", wire(&names[steps[i]]));
            let records: Vec<_> = order.into_iter().map(record).collect();
            let mut chain = Vec::new();
            let mut at = 0;
            let mut seen = [false; 12];
            while !std::mem::replace(&mut seen[at], true) {
                at = steps[at];
                chain.push(format!("Cname n{at}"));
            }
            let items = all(&reply("n0", &records, 12));
            prop_assert_eq!(&items[..chain.len()], &chain[..]);
            prop_assert_eq!(items.len(), 12);
        }
    }
}
