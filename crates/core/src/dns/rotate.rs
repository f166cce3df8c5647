//! Rotates the addresses in a reply, in place, to spread the clients that take the first one over all of them.

use super::message::{Message, Record};
use super::name::MAX_NAME;
use super::reply::Section;
use super::types::{Class, Qtype};

/// The most RRsets of addresses in one reply that are rotated.
const MOST: usize = 4;
/// Octets of TTL and RDLENGTH, which move with the data.
const HEAD: usize = 6;

/// Consecutive address records of one RRset that lie at equal distances.
#[derive(Clone, Copy)]
struct Run {
    /// Offset of the first record's TTL.
    at: usize,
    /// Octets from one TTL to the next.
    stride: usize,
    /// Octets of TTL, length and address.
    len: usize,
    count: usize,
}

/// A number for the question in a reply with several addresses; turns are counted by it. It depends on the name
/// and type, not on letter case. `None`: there is nothing to rotate.
#[must_use]
pub fn turns_of(reply: &[u8]) -> Option<u32> {
    let message = Message::parse(reply)?;
    runs(&message).first().copied().flatten()?;
    // FNV-1a.
    let octets = message.question().iter().map(u8::to_ascii_lowercase);
    Some(octets.fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193)))
}

/// Moves the first `turn` addresses of each RRset behind the others. Only TTLs and addresses move, so that
/// owners, and all pointers to them, stay as they are.
pub fn rotate(reply: &mut [u8], turn: u32) {
    let Some(message) = Message::parse(reply) else { return };
    for Run { at, stride, len, count } in runs(&message).into_iter().flatten() {
        let first = usize::try_from(turn).unwrap_or_default() % count;
        // Three reversals are a rotation.
        for (from, to) in [(0, first), (first, count), (0, count)] {
            for step in 0..(to - from) / 2 {
                swap(reply, at + (from + step) * stride, at + (to - 1 - step) * stride, len);
            }
        }
    }
}

fn swap(reply: &mut [u8], one: usize, other: usize, len: usize) {
    if let Some((before, after)) = reply.split_at_mut_checked(other)
        && let (Some(one), Some(other)) = (before.get_mut(one..one + len), after.get_mut(..len))
    {
        one.swap_with_slice(other);
    }
}

fn runs(message: &Message<'_>) -> [Option<Run>; MOST] {
    let mut runs = [None; MOST];
    let mut found = 0;
    let mut last: Option<Record<'_>> = None;
    let mut run: Option<Run> = None;
    for record in message.records().take_while(|record| record.section == Section::Answer) {
        let joined = run.zip(last).and_then(|(run, last)| join(message, run, &last, &record));
        if joined.is_none()
            && let Some(slot) = runs.get_mut(found).filter(|_| run.is_some_and(|run| run.count > 1))
        {
            *slot = run;
            found += 1;
        }
        run = joined.or_else(|| begin(&record));
        last = Some(record);
    }
    if let Some(slot) = runs.get_mut(found).filter(|_| run.is_some_and(|run| run.count > 1)) {
        *slot = run;
    }
    runs
}

fn begin(record: &Record<'_>) -> Option<Run> {
    let length = match record.rtype {
        Qtype::A => 4,
        Qtype::AAAA => 16,
        _ => return None,
    };
    let is_address = record.class == Class::IN.0 && record.rdata.len() == length;
    is_address.then_some(Run { at: record.ttl_at, stride: 0, len: HEAD + length, count: 1 })
}

fn join(message: &Message<'_>, run: Run, last: &Record<'_>, record: &Record<'_>) -> Option<Run> {
    let stride = record.ttl_at - last.ttl_at;
    let (mut one, mut other) = ([0; MAX_NAME], [0; MAX_NAME]);
    let same = record.rtype == last.rtype
        && begin(record).is_some()
        && (run.count == 1 || run.stride == stride)
        && message.name_into(last.start, &mut one)? == message.name_into(record.start, &mut other)?;
    same.then_some(Run { stride, count: run.count + 1, ..run })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{NameBuf, Query, ReplyWriter, encode};

    /// Records: owner (`None`: the question's name), type, last octet of the data.
    fn reply(records: &[(Option<&str>, Qtype, u8)]) -> Vec<u8> {
        let packet = encode(NameBuf::from_text("x.org").unwrap().as_name(), Qtype::A);
        let mut out = [0; 1232];
        let mut writer = ReplyWriter::new(&Query::parse(&packet).unwrap(), &mut out, 1232);
        for (owner, rtype, last) in records {
            let owner = owner.map(|text| NameBuf::from_text(text).unwrap());
            let owner = owner.as_ref().map(NameBuf::as_name);
            let rdata: &[u8] = match *rtype {
                Qtype::A => &[192, 0, 2, *last],
                Qtype::AAAA => &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, *last],
                _ => &[1, b'a', 0],
            };
            writer.record(Section::Answer, owner, *rtype, u32::from(*last), &[rdata]).unwrap();
        }
        let len = writer.finish();
        out[..len].to_vec()
    }

    fn data(octets: &[u8]) -> Vec<u8> {
        let message = Message::parse(octets).unwrap();
        let answers = message.records().filter(|r| r.section == Section::Answer);
        // The TTL moves with the address.
        answers
            .inspect(|r| assert!(r.rdata.len() == 3 || r.ttl == u32::from(*r.rdata.last().unwrap())))
            .map(|r| *r.rdata.last().unwrap())
            .collect()
    }

    #[test]
    fn addresses_of_one_rrset_rotate() {
        use Qtype as T;
        let (n, a) = (None, Some("a"));
        for (records, turn, expected) in [
            (&[(n, T::A, 1), (n, T::A, 2), (n, T::A, 3)][..], 0, &[1, 2, 3][..]),
            (&[(n, T::A, 1), (n, T::A, 2), (n, T::A, 3)], 1, &[2, 3, 1]),
            (&[(n, T::A, 1), (n, T::A, 2), (n, T::A, 3)], 5, &[3, 1, 2]),
            (&[(n, T::A, 1), (n, T::A, 2), (n, T::A, 3), (n, T::A, 4)], 2, &[3, 4, 1, 2]),
            // Behind an alias, and the first with its name, the others compressed.
            (&[(n, T::CNAME, 0), (a, T::A, 1), (a, T::A, 2)], 1, &[0, 2, 1]),
            (&[(Some("x.org"), T::A, 1), (n, T::A, 2), (n, T::A, 3)], 1, &[2, 3, 1]),
            // Each RRset for itself.
            (&[(n, T::A, 1), (n, T::A, 2), (n, T::AAAA, 3), (n, T::AAAA, 4)], 1, &[2, 1, 4, 3]),
            (&[(n, T::A, 1), (a, T::A, 2)], 1, &[1, 2]),
            (&[(n, T::MX, 0), (n, T::MX, 0)], 1, &[0, 0]),
            // Not all at equal distances: only those that are.
            (&[(n, T::A, 1), (n, T::A, 2), (Some("x.org"), T::A, 3)], 1, &[2, 1, 3]),
            (&[], 1, &[]),
        ] {
            let mut octets = reply(records);
            assert_eq!(
                turns_of(&octets).is_some(),
                data(&{
                    let mut o = octets.clone();
                    rotate(&mut o, 1);
                    o
                }) != data(&octets)
            );
            rotate(&mut octets, turn);
            assert_eq!(data(&octets), expected, "{records:?} {turn}");
        }
    }

    #[test]
    fn no_octets_make_it_panic() {
        let whole = reply(&[(None, Qtype::A, 1), (None, Qtype::A, 2)]);
        for end in 0..whole.len() {
            for octet in [0, 0xc0, 0xff] {
                let mut cut = whole[..end].to_vec();
                cut.extend([octet; 8]);
                rotate(&mut cut, 1);
            }
        }
    }
}
