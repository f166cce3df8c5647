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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A record: section (0 answer, 1 authority, 2 additional), owner, type, RDATA.
    type R<'a> = (usize, &'a str, u16, &'a [u8]);

    fn wire(name: &str) -> Vec<u8> {
        NameBuf::from_text(name).unwrap().as_bytes().to_vec()
    }

    fn message(qname: &str, qtype: u16, records: &[R<'_>]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(wire(qname));
        bytes.extend(qtype.to_be_bytes());
        bytes.extend([0, 1]);
        for (section, owner, rtype, rdata) in records {
            bytes[7 + 2 * section] += 1;
            // An owner in hexadecimal digits stands as it is.
            match owner.strip_prefix("hex:") {
                Some(hex) => bytes.extend(octets(hex)),
                None => bytes.extend(wire(owner)),
            }
            bytes.extend(rtype.to_be_bytes());
            bytes.extend([0, 1, 0, 0, 0, 60]);
            bytes.extend((rdata.len() as u16).to_be_bytes());
            bytes.extend(*rdata);
        }
        bytes
    }

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    /// What is left of a reply: `section owner type` for each record, or why it is refused.
    fn left(bytes: &[u8]) -> Result<Vec<String>, Unsound> {
        let whole = Message::parse(bytes).expect("its structure is sound");
        let screened = screen(&whole)?;
        let bytes = match &screened {
            Screened::Whole => bytes,
            Screened::Part(bytes) => bytes,
        };
        let message = Message::parse(bytes).expect("what is left can be read");
        let show = |r: Record<'_>| format!("{} {} {}", r.section as u8, message.owner_text(&r), r.rtype);
        Ok(message.records().map(show).collect())
    }

    const ADDRESS: &[u8] = &[192, 0, 2, 1];
    const V6: &[u8] = &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    fn soa() -> Vec<u8> {
        [wire("ns.test"), wire("host.test"), vec![0; 20]].concat()
    }

    fn rrsig(covered: u8, signer: &str) -> Vec<u8> {
        [vec![0, covered], vec![0; 16], wire(signer), vec![7; 8]].concat()
    }

    #[test]
    fn what_belongs_to_the_question_is_kept() {
        let (cname, dname) = (wire("b.other.org"), wire("new.net"));
        let substituted = wire("a.new.net");
        let (mx, ns) = ([&[0, 10][..], &wire("mx.other.org")].concat(), wire("ns.a.test"));
        let (srv, nsec) =
            ([&[0; 6][..], &wire("mx.other.org")].concat(), [&wire("z.a.test")[..], &[0, 1, 0x40]].concat());
        let (soa, sig_a, sig_nsec) = (soa(), rrsig(1, "a.test"), rrsig(47, "a.test"));
        let foreign_sig = rrsig(1, "evil.org");
        let opt: R<'_> = (2, ".", 41, b"");
        for (what, qtype, records, dropped) in [
            ("an address", 1u16, vec![(0, "a.test", 1, ADDRESS), opt], vec![]),
            ("another case", 1, vec![(0, "A.TEST", 1, ADDRESS)], vec![]),
            ("a signature", 1, vec![(0, "a.test", 1, ADDRESS), (0, "a.test", 46, &sig_a)], vec![]),
            ("a chain", 1, vec![(0, "a.test", 5, &cname), (0, "b.other.org", 1, ADDRESS)], vec![]),
            ("a chain backwards", 1, vec![(0, "b.other.org", 1, ADDRESS), (0, "a.test", 5, &cname)], vec![]),
            (
                "a chain of DNAME",
                1,
                vec![(0, "test", 39, &dname), (0, "a.test", 5, &substituted), (0, "a.new.net", 1, ADDRESS)],
                vec![],
            ),
            ("a DNAME alone", 1, vec![(0, "test", 39, &dname), (0, "a.new.net", 1, ADDRESS)], vec![]),
            ("no such name", 1, vec![(1, "test", 6, &soa), opt], vec![]),
            (
                "proofs",
                1,
                vec![(1, "a.test", 6, &soa), (1, "q.a.test", 47, &nsec), (1, "q.a.test", 46, &sig_nsec)],
                vec![],
            ),
            (
                "a proof of a wildcard",
                1,
                vec![(0, "a.test", 1, ADDRESS), (1, "q.a.test", 47, &nsec), (1, "q.a.test", 46, &sig_nsec)],
                vec![],
            ),
            (
                "additional addresses",
                15,
                vec![
                    (0, "a.test", 15, &mx),
                    (2, "mx.other.org", 1, ADDRESS),
                    (2, "MX.other.org", 28, V6),
                    opt,
                ],
                vec![],
            ),
            ("glue", 1, vec![(1, "test", 2, &ns), (2, "ns.a.test", 1, ADDRESS)], vec![]),
            ("of a service", 33, vec![(0, "a.test", 33, &srv), (2, "mx.other.org", 1, ADDRESS)], vec![]),
            // What does not.
            ("another owner", 1, vec![(0, "a.test", 1, ADDRESS), (0, "evil.org", 1, ADDRESS)], vec![1]),
            ("an alias of another", 1, vec![(0, "a.test", 1, ADDRESS), (0, "evil.org", 5, &cname)], vec![1]),
            (
                "a foreign zone",
                1,
                vec![(0, "a.test", 1, ADDRESS), (1, "evil.org", 2, &ns), (1, "evil.org", 6, &soa)],
                vec![1, 2],
            ),
            (
                "a foreign proof",
                1,
                vec![
                    (0, "a.test", 1, ADDRESS),
                    (1, "evil.org", 47, &nsec),
                    (1, "evil.org", 46, &foreign_sig),
                ],
                vec![1, 2],
            ),
            ("a zone below", 1, vec![(0, "a.test", 1, ADDRESS), (1, "x.a.test", 2, &ns)], vec![1]),
            (
                "an address in authority",
                1,
                vec![(0, "a.test", 1, ADDRESS), (1, "a.test", 1, ADDRESS)],
                vec![1],
            ),
            (
                "an unasked address",
                1,
                vec![(0, "a.test", 1, ADDRESS), (2, "www.bank.example", 1, ADDRESS), opt],
                vec![1],
            ),
            ("unasked data", 15, vec![(0, "a.test", 15, &mx), (2, "mx.other.org", 16, b"x")], vec![1]),
        ] {
            let all: Vec<String> = left(&message("a.test", qtype, &records)).unwrap();
            let expected: Vec<R<'_>> =
                records.iter().enumerate().filter(|(i, _)| !dropped.contains(i)).map(|(_, r)| *r).collect();
            let wanted = message("a.test", qtype, &expected);
            let wanted = Message::parse(&wanted).unwrap();
            let wanted: Vec<String> = wanted
                .records()
                .map(|r| format!("{} {} {}", r.section as u8, wanted.owner_text(&r), r.rtype))
                .collect();
            assert_eq!(all, wanted, "{what}");
        }
    }

    #[test]
    fn answers_to_another_question_are_refused() {
        for records in [
            vec![(0usize, "evil.org", 1u16, ADDRESS)],
            vec![(0, "b.a.test", 1, ADDRESS), (0, "test", 1, ADDRESS)],
        ] {
            assert_eq!(left(&message("a.test", 1, &records)), Err(Unsound::Foreign), "{records:?}");
        }
        // Another class.
        let mut bytes = message("a.test", 1, &[(0, "a.test", 1, ADDRESS)]);
        let class = bytes.len() - 11;
        bytes[class] = 3;
        assert_eq!(left(&bytes), Err(Unsound::Foreign));
    }

    #[test]
    fn data_that_its_type_does_not_allow_is_refused() {
        let name = wire("b.test");
        let cut = &name[..4];
        let long = [vec![3, b'a', b'b'], vec![]].concat();
        for (rtype, rdata) in [
            (1u16, &[192u8, 0, 2][..]),
            (1, &[192, 0, 2, 1, 0]),
            (28, ADDRESS),
            (5, cut),
            (5, &[]),
            (5, &[0xc0, 0xff]),
            (5, &[0x80, 1, 0]),
            (2, &[1, b'a', 0, 0]),
            (15, &[0, 10]),
            (15, &[0, 10, 0xc0, 0xf0]),
            (6, &[0, 0, 1]),
            (33, &[0, 0, 0, 0, 0, 53]),
            (35, &[0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff]),
            (16, &[]),
            (16, &long),
            (13, &[1, b'a']),
            (43, &[0, 1, 8, 2]),
            (46, &[0; 18]),
            (47, &[0, 0, 0]),
            (50, &[1, 0, 0, 1, 4, 1]),
            (64, &[0, 1]),
            (65, &[0, 1, 0, 0, 1, 0, 9]),
            (257, &[0, 0]),
            (257, &[0, 9, b'i']),
            (108, &[0; 5]),
        ] {
            for section in [0, 1, 2] {
                let bytes = message("a.test", 1, &[(section, "a.test", rtype, rdata)]);
                assert_eq!(left(&bytes), Err(Unsound::Rdata(Qtype(rtype))), "{rtype} {rdata:?} in {section}");
            }
        }
        // The type's form is not known, or allows empty data.
        for (rtype, rdata) in [
            (42u16, &b""[..]),
            (10, b""),
            (65_281, b""),
            (62, b"\x01"),
            (65_305, b"x"),
            (35, b"\0\0\0\0\xff"),
        ] {
            let bytes = message("a.test", rtype, &[(0, "a.test", rtype, rdata)]);
            assert_eq!(left(&bytes).map(|kept| kept.len()), Ok(1), "{rtype}");
        }
    }

    #[test]
    fn pointers_lead_backwards_or_the_reply_is_refused() {
        // 24 is where the first record begins: itself, forwards, into each other, cut off.
        let q = 12 + 8 + 4;
        for owner in ["hex:c018", "hex:c019", "hex:c0ff", "hex:0161c018", "hex:016ac01a"] {
            for section in [0, 1, 2] {
                let bytes = message("a.test", 1, &[(section, owner, 1, ADDRESS)]);
                assert_eq!(bytes[q] & 0xc0 == 0xc0, !owner.starts_with("hex:01"), "{owner}");
                if Message::parse(&bytes).is_some() {
                    assert_eq!(left(&bytes), Err(Unsound::Name), "{owner} in {section}");
                }
            }
        }
        let bytes = message("a.test", 1, &[(0, "hex:c00c", 1, ADDRESS), (2, "hex:c00e", 1, ADDRESS)]);
        assert_eq!(left(&bytes), Ok(vec!["0 a.test. A".to_owned()]));
    }

    #[test]
    fn addresses_that_nothing_leads_to_are_dropped() {
        let of = |section, owner| vec![(section, owner, 1, ADDRESS); 200];
        let records = [of(0, "a.test"), of(2, "x.test")].concat();
        let kept = left(&message("a.test", 1, &records)).unwrap();
        assert_eq!(kept.len(), 200);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(
            picks in proptest::collection::vec((0usize..3, 0usize..6, 0usize..8), 0..10),
            damage: Vec<(u16, u8)>,
        ) {
            let names = ["a.test", "b.other.org", "test", ".", "evil.org", "mx.other.org"];
            let (cname, mx, soa) = (wire("b.other.org"), [&[0, 1][..], &wire("mx.other.org")].concat(), soa());
            let (sig, dname) = (rrsig(1, "a.test"), wire("org"));
            let kinds: [(u16, &[u8]); 8] =
                [(1, ADDRESS), (28, V6), (5, &cname), (15, &mx), (6, &soa), (46, &sig), (39, &dname), (41, b"")];
            let mut records: Vec<R<'_>> =
                picks.iter().map(|(s, n, k)| (*s, names[*n], kinds[*k].0, kinds[*k].1)).collect();
            records.sort_by_key(|r| r.0);
            let mut bytes = message("a.test", 1, &records);
            for (at, octet) in damage {
                let len = bytes.len();
                bytes[usize::from(at) % len] = octet;
            }
            if let Some(message) = Message::parse(&bytes)
                && let Ok(Screened::Part(part)) = screen(&message)
            {
                // What is left is sound, and nothing more is dropped from it.
                let again = Message::parse(&part).unwrap();
                prop_assert_eq!(screen(&again), Ok(Screened::Whole));
            }
        }
    }
}
