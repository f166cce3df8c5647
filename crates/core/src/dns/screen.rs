//! Checks what an upstream sent before it is relayed: that every name and every RDATA can be read, and that
//! every record belongs to the question.
//!
//! A resolver that relays everything passes on other servers' faults and forgeries: a three-octet
//! address, a name whose pointers run in a circle, an address for a name that was not in question
//! (RFC 2181 §5.4.1, RFC 5452 §6).

use std::fmt;

use super::header::{HEADER_LEN, MAX_MESSAGE};
use super::message::{Message, Record};
use super::name::{MAX_LABELS, MAX_NAME, NameBuf};
use super::relay::{Part, expanded_rdata, layout};
use super::reply::Section;
use super::types::Qtype;

/// The most names in the chain of a reply: the question's, and the targets of its aliases.
const MAX_CHAIN: usize = 17;
/// The most records in the additional section, and the most names that they may belong to. A reply needs a
/// few; the product of both bounds the work.
const MAX_EXTRA: usize = 64;
/// The most zones that prove something in one reply.
const MAX_ZONES: usize = 4;

/// A reply after the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Screened {
    /// It is relayed as it came.
    Whole,
    /// It had records that do not belong to the question; this is the message without them.
    Part(Vec<u8>),
}

/// Why a reply is not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// A name runs past the message, is too long, or has a pointer that does not lead backwards
    /// (RFC 1035 §4.1.4).
    Name,
    /// The RDATA does not have the form that its type prescribes.
    Rdata(Qtype),
    /// It has answers, and none of them is for the question.
    Foreign,
    /// Without what does not belong to it, it would be longer than a message may be.
    TooLong,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("a malformed name"),
            Self::Rdata(rtype) => write!(f, "malformed data of type {rtype}"),
            Self::Foreign => f.write_str("answers to another question"),
            Self::TooLong => f.write_str("it is too long"),
        }
    }
}

/// Checks a reply and removes what does not belong to its question:
///
/// * answers whose owner is not the question's name, the target of its aliases, or that of a DNAME above,
/// * in the authority section, everything but SOA, NS and DS of the zones above those names, and the proofs
///   (NSEC, NSEC3, RRSIG) of those zones,
/// * in the additional section, everything but OPT and the addresses and service bindings of names that the
///   other records lead to,
/// * records of another class.
///
/// # Errors
/// The reply is not to be relayed at all.
pub fn screen(message: &Message<'_>) -> Result<Screened, Unsound> {
    let Some(&[t0, t1, c0, c1]) = message.question().last_chunk::<4>() else { return Err(Unsound::Name) };
    let asked = Asked { qtype: Qtype(u16::from_be_bytes([t0, t1])), class: u16::from_be_bytes([c0, c1]) };
    let (mut aliases, mut plain) = (false, true);
    for record in message.records() {
        if !is_name(message.bytes(), record.start) {
            return Err(Unsound::Name);
        }
        if !is_sound(message, &record) {
            return Err(Unsound::Rdata(record.rtype));
        }
        match record.section {
            Section::Answer => {
                aliases |= matches!(record.rtype, Qtype::CNAME | Qtype::DNAME);
                plain &= asked.is_plain(message, &record);
            }
            Section::Authority => plain = false,
            Section::Additional => plain &= record.rtype == Qtype::OPT,
        }
    }
    // The usual reply: records of the question's name and type, and OPT.
    if plain {
        return Ok(Screened::Whole);
    }
    let chain = Chain::of(message, asked, aliases);
    let mut keep = Keep { message, asked, chain, zones: Offsets::new(), targets: Offsets::new(), extra: 0 };
    keep.find_zones();
    let (mut all, mut answers, mut given) = (true, 0usize, 0usize);
    let kept: Vec<Record<'_>> = message
        .records()
        .filter(|record| {
            let keeps = keep.keeps(record);
            all &= keeps;
            given += usize::from(record.section == Section::Answer);
            answers += usize::from(keeps && record.section == Section::Answer);
            keeps
        })
        .collect();
    if given > 0 && answers == 0 {
        return Err(Unsound::Foreign);
    }
    if all { Ok(Screened::Whole) } else { rebuilt(message, &kept).map(Screened::Part) }
}

/// The type and class of the question.
#[derive(Clone, Copy)]
struct Asked {
    qtype: Qtype,
    class: u16,
}

impl Asked {
    /// True for a record of the question's own name, type and class.
    fn is_plain(self, message: &Message<'_>, record: &Record<'_>) -> bool {
        record.rtype == self.qtype && record.class == self.class && points_to_question(message, record.start)
    }
}

/// The type that a signature covers (RFC 4034 §3.1.1).
fn covered(record: &Record<'_>) -> Option<Qtype> {
    record.rdata.first_chunk::<2>().map(|rtype| Qtype(u16::from_be_bytes(*rtype)))
}

/// A few offsets of names.
struct Offsets<const N: usize> {
    all: [u16; N],
    len: usize,
}

impl<const N: usize> Offsets<N> {
    const fn new() -> Self {
        Self { all: [0; N], len: 0 }
    }

    fn push(&mut self, at: usize) {
        if let (Some(slot), Ok(at)) = (self.all.get_mut(self.len), u16::try_from(at)) {
            *slot = at;
            self.len += 1;
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.all.iter().take(self.len).map(|at| usize::from(*at))
    }
}

/// The question's name and the names that its aliases lead to, in any order of records.
struct Chain {
    names: Offsets<MAX_CHAIN>,
    /// What a DNAME substitutes where no CNAME says it (RFC 6672 §3.1).
    substituted: Vec<NameBuf>,
}

impl Chain {
    fn of(message: &Message<'_>, asked: Asked, aliases: bool) -> Self {
        let bytes = message.bytes();
        let mut chain = Self { names: Offsets::new(), substituted: Vec::new() };
        chain.names.push(HEADER_LEN);
        if !aliases {
            return chain;
        }
        let answers = || message.records().filter(|r| r.section == Section::Answer && r.class == asked.class);
        let mut done = 0;
        while done < chain.names.len {
            let name = chain.names.iter().nth(done);
            let Some(name) = name else { break };
            done += 1;
            for record in answers() {
                if record.rtype == Qtype::CNAME
                    && same(bytes, record.start, name)
                    && !chain.has(bytes, record.rdata_at())
                {
                    chain.names.push(record.rdata_at());
                }
            }
            if done == chain.names.len {
                chain.substitute(message, name, answers());
            }
        }
        chain
    }

    /// Adds the name that a DNAME makes of the last one.
    fn substitute<'m>(
        &mut self,
        message: &Message<'m>,
        last: usize,
        answers: impl Iterator<Item = Record<'m>>,
    ) {
        let bytes = message.bytes();
        for record in answers.filter(|r| r.rtype == Qtype::DNAME) {
            if self.substituted.len() >= MAX_ZONES || !below(bytes, last, record.start) {
                continue;
            }
            let (Some(name), Some(owner), Some(target)) =
                (message.name_at(last), message.name_at(record.start), message.name_at(record.rdata_at()))
            else {
                continue;
            };
            let (name, owner) = (name.as_bytes(), owner.as_bytes().len());
            let head = name.get(..name.len().saturating_sub(owner)).unwrap_or_default();
            let whole = [head, target.as_bytes()].concat();
            if let Ok(whole) = super::name::Name::parse(&whole) {
                self.substituted.push(whole.to_buf());
            }
        }
    }

    /// True if the name at an offset is one of them.
    fn has(&self, bytes: &[u8], at: usize) -> bool {
        self.names.iter().any(|name| same(bytes, name, at))
            || self.substituted.iter().any(|name| same_as(bytes, at, name.as_bytes()))
    }

    /// True if the name at an offset is one of them or above one.
    fn is_below(&self, bytes: &[u8], at: usize) -> bool {
        self.names.iter().any(|name| same(bytes, name, at) || below(bytes, name, at))
            || self.substituted.iter().any(|name| ends_in(bytes, name.as_bytes(), at))
    }
}

/// Which records of a message are kept.
struct Keep<'c, 'm> {
    message: &'c Message<'m>,
    asked: Asked,
    chain: Chain,
    /// The zones whose proofs are kept.
    zones: Offsets<MAX_ZONES>,
    /// The names that kept records lead to.
    targets: Offsets<MAX_EXTRA>,
    /// Records of the additional section so far.
    extra: usize,
}

impl Keep<'_, '_> {
    /// Finds the zones that speak about the names of the chain: the owners of SOA and the signers.
    fn find_zones(&mut self) {
        for record in self.message.records().filter(|r| r.section == Section::Authority) {
            let zone = match record.rtype {
                Qtype::SOA => record.start,
                Qtype::RRSIG => record.rdata_at() + 18,
                _ => continue,
            };
            let bytes = self.message.bytes();
            if self.chain.is_below(bytes, zone) && !self.zones.iter().any(|known| same(bytes, known, zone)) {
                self.zones.push(zone);
            }
        }
    }

    fn keeps(&mut self, record: &Record<'_>) -> bool {
        let (bytes, owner) = (self.message.bytes(), record.start);
        if record.rtype == Qtype::OPT {
            return record.section == Section::Additional;
        }
        if record.class != self.asked.class {
            return false;
        }
        let keeps = match record.section {
            Section::Answer => {
                let dname = record.rtype == Qtype::DNAME
                    || record.rtype == Qtype::RRSIG && covered(record) == Some(Qtype::DNAME);
                self.chain.has(bytes, owner) || dname && self.chain.is_below(bytes, owner)
            }
            Section::Authority => match record.rtype {
                Qtype::SOA | Qtype::NS | Qtype::DS => self.chain.is_below(bytes, owner),
                Qtype::NSEC | Qtype::NSEC3 | Qtype::RRSIG => {
                    self.zones.iter().any(|zone| same(bytes, zone, owner) || below(bytes, owner, zone))
                }
                _ => false,
            },
            Section::Additional => {
                self.extra += 1;
                let wanted = |rtype| {
                    matches!(rtype, Qtype::A | Qtype::AAAA | Qtype::SVCB | Qtype::HTTPS | Qtype::TLSA)
                };
                self.extra <= MAX_EXTRA
                    && (wanted(record.rtype)
                        || record.rtype == Qtype::RRSIG && covered(record).is_some_and(wanted))
                    && self.targets.iter().any(|target| same(bytes, target, owner))
            }
        };
        if keeps && let Some(target) = target(record) {
            // The root as a target means the owner itself, or nothing (RFC 9460 §2.5).
            let root = bytes.get(target) == Some(&0);
            self.targets.push(if root { owner } else { target });
        }
        keeps
    }
}

/// The offset of the name that a record leads to and that additional records may be for (RFC 1035 §3.3,
/// RFC 2782, RFC 9460 §4.1).
fn target(record: &Record<'_>) -> Option<usize> {
    let skip = match record.rtype {
        Qtype::NS | Qtype::MB | Qtype::MD | Qtype::MF => 0,
        Qtype::MX | Qtype::KX | Qtype::AFSDB | Qtype::RT | Qtype::SVCB | Qtype::HTTPS => 2,
        Qtype::SRV => 6,
        Qtype::NAPTR => {
            let mut at = 4;
            for _ in 0..3 {
                at += 1 + usize::from(*record.rdata.get(at)?);
            }
            at
        }
        _ => return None,
    };
    Some(record.rdata_at() + skip)
}

/// The message with these records alone. Names are written out, because what they were compressed against
/// may be gone.
fn rebuilt(message: &Message<'_>, records: &[Record<'_>]) -> Result<Vec<u8>, Unsound> {
    let mut header = message.header;
    [header.ancount, header.nscount, header.arcount] = [0; 3];
    let mut out = message.bytes().get(..message.question_end()).unwrap_or_default().to_vec();
    let mut name = [0; MAX_NAME];
    for record in records {
        let owner = message.name_into(record.start, &mut name).ok_or(Unsound::Name)?;
        let rdata = expanded_rdata(message, record).ok_or(Unsound::Rdata(record.rtype))?;
        let rdlen = u16::try_from(rdata.len()).map_err(|_| Unsound::TooLong)?;
        if !owner.is_root() && Some(owner) == message.qname() {
            out.extend_from_slice(&[0xc0, 12]);
        } else {
            out.extend_from_slice(owner.as_bytes());
        }
        out.extend_from_slice(&record.rtype.0.to_be_bytes());
        out.extend_from_slice(&record.class.to_be_bytes());
        out.extend_from_slice(&record.ttl.to_be_bytes());
        out.extend_from_slice(&rdlen.to_be_bytes());
        out.extend_from_slice(&rdata);
        let count = match record.section {
            Section::Answer => &mut header.ancount,
            Section::Authority => &mut header.nscount,
            Section::Additional => &mut header.arcount,
        };
        *count = count.saturating_add(1);
    }
    if out.len() > MAX_MESSAGE {
        return Err(Unsound::TooLong);
    }
    if let Some(head) = out.get_mut(..HEADER_LEN) {
        head.copy_from_slice(&header.to_bytes());
    }
    Ok(out)
}

//--- RDATA

/// True if the RDATA has the form of its type; for unknown types any RDATA is sound (RFC 3597 §3).
fn is_sound(message: &Message<'_>, record: &Record<'_>) -> bool {
    let data = record.rdata;
    let sound = match record.rtype.0 {
        1 => Some(data.len() == 4 || record.class != 1),
        28 => Some(data.len() == 16 || record.class != 1),
        // HINFO has two character strings; TXT, SPF, NINFO, AVC and RESINFO have one or more.
        13 => Some(strings(data) == Some(2)),
        16 | 56 | 99 | 258 | 261 => Some(strings(data).is_some_and(|count| count > 0)),
        19 => Some(strings(data) == Some(1)),
        20 => Some(matches!(strings(data), Some(1 | 2))),
        // LOC of version 0 (RFC 1876 §2).
        29 => Some(data.first().is_some_and(|version| *version != 0 || data.len() == 16)),
        // The fixed part, and something after it: CERT, DS, CDS, TA, DLV; SSHFP; TLSA, SMIMEA. Only keys may
        // be empty: KEY, DNSKEY, CDNSKEY. URI.
        37 | 43 | 59 | 32_768 | 32_769 => Some(data.len() >= 5),
        44 => Some(data.len() >= 3),
        25 | 48 | 52 | 53 | 60 | 256 => Some(data.len() >= 4),
        // Some NAPTR records in use break their form; if this one can be read up to its name, the name counts.
        35 => Some(naptr(message.bytes(), record)),
        47 => Some(nsec(message.bytes(), record)),
        50 => Some(nsec3(data)),
        51 => Some(data.get(4).is_some_and(|salt| data.len() == 5 + usize::from(*salt))),
        64 | 65 => Some(binding(data)),
        104 | 106 => Some(data.len() == 10),
        105 | 108 => Some(data.len() == 6),
        107 => Some(data.get(2..).and_then(own_name) == data.len().checked_sub(2)),
        109 => Some(data.len() == 8),
        // The tag has at least one octet (RFC 8659 §4.1).
        257 => Some(data.get(1).is_some_and(|tag| *tag > 0 && data.len() >= 2 + usize::from(*tag))),
        _ => None,
    };
    match (sound, layout(record.rtype)) {
        (Some(sound), _) => sound,
        (None, Some(parts)) => fits(message.bytes(), record, parts),
        (None, None) => true,
    }
}

/// True if the RDATA consists of these parts and nothing more.
fn fits(bytes: &[u8], record: &Record<'_>, parts: &[Part]) -> bool {
    let mut rest = record.rdata;
    for part in parts {
        let len = match part {
            Part::Octets(len) => Some(*len),
            Part::Text => rest.first().map(|len| 1 + usize::from(*len)),
            Part::Name => {
                let at = record.rdata_at() + (record.rdata.len() - rest.len());
                super::message::skip_name(rest).filter(|_| is_name(bytes, at))
            }
            Part::Rest => Some(rest.len()),
        };
        match len.and_then(|len| rest.get(len..)) {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
    rest.is_empty()
}

/// How many character strings the data consists of (RFC 1035 §3.3).
fn strings(mut data: &[u8]) -> Option<usize> {
    let mut count = 0;
    while let Some((&len, rest)) = data.split_first() {
        data = rest.get(usize::from(len)..)?;
        count += 1;
    }
    Some(count)
}

/// The length of an uncompressed name at the start of the data.
fn own_name(data: &[u8]) -> Option<usize> {
    super::name::Name::parse(data).ok().map(|name| name.as_bytes().len())
}

fn nsec(bytes: &[u8], record: &Record<'_>) -> bool {
    // Some servers compress the name, though they must not (RFC 4034 §6.2).
    super::message::skip_name(record.rdata)
        .filter(|_| is_name(bytes, record.rdata_at()))
        .and_then(|len| record.rdata.get(len..))
        .is_some_and(bitmaps)
}

fn naptr(bytes: &[u8], record: &Record<'_>) -> bool {
    target(record)
        .filter(|at| *at < record.rdata_at() + record.rdata.len())
        .is_none_or(|at| is_name(bytes, at))
}

fn nsec3(data: &[u8]) -> bool {
    let after = |data: &[u8], at: usize| Some(at + 1 + usize::from(*data.get(at)?));
    after(data, 4).and_then(|at| after(data, at)).and_then(|at| data.get(at..)).is_some_and(bitmaps)
}

/// True for windows of types (RFC 4034 §4.1.2).
fn bitmaps(mut data: &[u8]) -> bool {
    while let Some((&[_, len], rest)) = data.split_first_chunk::<2>() {
        match rest.get(usize::from(len)..) {
            Some(tail) if (1..=32).contains(&len) => data = tail,
            _ => return false,
        }
    }
    data.is_empty()
}

/// True for a priority, a target and whole parameters (RFC 9460 §2.2).
fn binding(data: &[u8]) -> bool {
    let Some(mut rest) = data.get(2..).and_then(|target| target.get(own_name(target)?..)) else {
        return false;
    };
    while let Some((&[_, _, l0, l1], tail)) = rest.split_first_chunk::<4>() {
        match tail.get(usize::from(u16::from_be_bytes([l0, l1]))..) {
            Some(tail) => rest = tail,
            None => return false,
        }
    }
    rest.is_empty()
}

//--- Names in a message

/// The labels of a name at an offset, with pointers followed backwards; ends early if it is malformed.
struct Labels<'m> {
    bytes: &'m [u8],
    at: usize,
    /// Pointers lead to before this offset.
    barrier: usize,
    pointers: usize,
    /// Octets of the name so far.
    len: usize,
    /// The root has been reached.
    whole: bool,
}

impl<'m> Labels<'m> {
    const fn at(bytes: &'m [u8], at: usize) -> Self {
        Self { bytes, at, barrier: at, pointers: 0, len: 0, whole: false }
    }
}

impl<'m> Iterator for Labels<'m> {
    type Item = &'m [u8];

    fn next(&mut self) -> Option<&'m [u8]> {
        if self.whole {
            return None;
        }
        loop {
            let first = *self.bytes.get(self.at)?;
            match first {
                0 => {
                    self.whole = self.len < MAX_NAME;
                    return None;
                }
                1..=63 => {
                    let label = self.bytes.get(self.at + 1..=self.at + usize::from(first))?;
                    self.at += 1 + label.len();
                    self.len += 1 + label.len();
                    return Some(label);
                }
                0xc0.. => {
                    let target =
                        usize::from(u16::from_be_bytes([first & 0x3f, *self.bytes.get(self.at + 1)?]));
                    self.pointers += 1;
                    if target >= self.barrier || self.pointers > MAX_LABELS || self.len >= MAX_NAME {
                        return None;
                    }
                    (self.barrier, self.at) = (target, target);
                }
                _ => return None,
            }
        }
    }
}

/// True if the name at an offset is a pointer to the question's.
fn points_to_question(message: &Message<'_>, at: usize) -> bool {
    message.bytes().get(at..).is_some_and(|name| name.starts_with(&[0xc0, 12]))
}

fn is_name(bytes: &[u8], at: usize) -> bool {
    // The most common ones: the question's name and the root.
    match bytes.get(at..) {
        Some([0xc0, 12, ..]) => at > 12,
        Some([0, ..]) => true,
        _ => {
            let mut labels = Labels::at(bytes, at);
            labels.by_ref().for_each(drop);
            labels.whole
        }
    }
}

/// True if two offsets have the same name, in any case.
fn same(bytes: &[u8], a: usize, b: usize) -> bool {
    let target = |at: usize| match bytes.get(at..) {
        Some([0xc0, low, ..]) => usize::from(*low),
        _ => at,
    };
    target(a) == target(b) || equal(Labels::at(bytes, a), Labels::at(bytes, b))
}

fn equal(mut a: Labels<'_>, mut b: Labels<'_>) -> bool {
    loop {
        match (a.next(), b.next()) {
            (Some(one), Some(other)) if one.eq_ignore_ascii_case(other) => {}
            (None, None) => return a.whole && b.whole,
            _ => return false,
        }
    }
}

/// True if the name at an offset is this uncompressed one.
fn same_as(bytes: &[u8], at: usize, name: &[u8]) -> bool {
    equal(Labels::at(bytes, at), Labels::at(name, 0))
}

/// True if the name at `a` is below that at `b`.
fn below(bytes: &[u8], a: usize, b: usize) -> bool {
    let (mut one, other) = (Labels::at(bytes, a), Labels::at(bytes, b));
    let (long, short) = (Labels::at(bytes, a).count(), Labels::at(bytes, b).count());
    if long <= short {
        return false;
    }
    skip(&mut one, long - short);
    equal(one, other)
}

fn skip(labels: &mut Labels<'_>, count: usize) {
    for _ in 0..count {
        labels.next();
    }
}

/// True if an uncompressed name is, or is below, the name at an offset.
fn ends_in(bytes: &[u8], name: &[u8], at: usize) -> bool {
    let mut one = Labels::at(name, 0);
    let (long, short) = (Labels::at(name, 0).count(), Labels::at(bytes, at).count());
    if long < short {
        return false;
    }
    skip(&mut one, long - short);
    equal(one, Labels::at(bytes, at))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests make small numbers")]
mod tests;
