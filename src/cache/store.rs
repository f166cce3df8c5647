//! The store: replies without question and OPT; their TTLs are patched as they are written out.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use ahash::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache as Map, DefaultLifecycle};
use triomphe::ThinArc;

use super::failure::Failures;
use super::key::Key;
use crate::dns::{
    Ede, EdeCode, HEADER_LEN, Header, MAX_EDE, Message, Qtype, Query, Rcode, ReplyWriter, Section, flag,
};

/// The TTL of a stale record, in seconds (RFC 8767 §5).
const STALE_TTL: u32 = 30;
/// A negative answer is cached no longer than this, whatever its SOA says (RFC 2308 §5).
const MAX_NEGATIVE_TTL: u32 = 3 * 3600;
/// The approximate overhead of a cached reply: its fixed part, map slot and bookkeeping.
const OVERHEAD: usize = 160;

/// A reply of an upstream, ready to be sent to any client that asks the same question. It is one
/// allocation, so that a lookup that misses the processor's cache waits for memory only once or twice.
#[derive(Clone, Debug)]
pub struct Stored(
    /// The octets: the key (a header and the question); the sections without question and OPT; then the
    /// offsets of the TTLs in them, two octets each.
    ThinArc<Fixed, u8>,
);

#[derive(Debug)]
struct Fixed {
    at: Instant,
    lifetime: u32,
    /// The upper bound of any TTL sent: the configured one or, for a negative answer, its lifetime.
    cap: u32,
    /// The age in seconds from which it may be refreshed.
    next_fetch: AtomicU32,
    /// The generation of the policy under which it last passed inspection.
    mark: AtomicU64,
    key_len: u16,
    sections_len: u16,
    /// Where the answer and the authority section end, within the sections.
    ends: [u16; 2],
    /// The reply is whole without its authority section: it has an answer, and no proof.
    extra_authority: bool,
    counts: [u16; 3],
    rcode: Rcode,
    authentic: bool,
    truncated: bool,
    edes: Option<Edes>,
}

/// The Extended DNS Errors that came with a reply.
type Edes = Box<[(EdeCode, Box<str>)]>;

impl Stored {
    /// Splits a reply: drops OPT and what follows it, and limits TTLs to `max_ttl`. `None` if it is longer
    /// than a message may be, or its question differs from that of the key.
    #[must_use]
    pub fn new(key: &Key, message: &Message<'_>, now: Instant, max_ttl: u32) -> Option<Self> {
        let (key, begin) = (key.as_bytes(), message.question_end());
        if !key.get(HEADER_LEN..)?.eq_ignore_ascii_case(message.question()) {
            return None;
        }
        let (mut end, mut counts) = (begin, [0u16; 3]);
        let mut ttls = Vec::new();
        let (mut answers, mut negative) = (None::<u32>, None::<u32>);
        let (mut ends, mut proves) = ([begin; 2], false);
        for record in message.records() {
            // No compression pointer leads into an OPT, so the records before it are complete without it.
            if record.rtype == Qtype::OPT {
                break;
            }
            let [an, ns, ar] = &mut counts;
            let ttl = sane(record.ttl);
            match record.section {
                Section::Answer => {
                    *an += 1;
                    answers = Some(answers.map_or(ttl, |t| t.min(ttl)));
                    ends = [record.rdata_at() + record.rdata.len(); 2];
                }
                Section::Authority => {
                    *ns += 1;
                    ends[1] = record.rdata_at() + record.rdata.len();
                    proves |= record.rtype != Qtype::NS;
                    if record.rtype == Qtype::SOA {
                        let minimum = record.rdata.last_chunk::<4>().map_or(0, |b| u32::from_be_bytes(*b));
                        negative = Some(sane(minimum).min(ttl).min(MAX_NEGATIVE_TTL));
                    }
                }
                Section::Additional => *ar += 1,
            }
            ttls.extend(u16::try_from(record.ttl_at - begin).ok()?.to_ne_bytes());
            end = record.ttl_at + 6 + record.rdata.len();
        }
        let rcode = message.rcode();
        let lifetime = match rcode {
            _ if message.header.has(flag::TC) => 0,
            Rcode::NOERROR if answers_the_question(message) => answers.unwrap_or(0),
            // A CNAME without a target is cached for the shorter of its TTL and the negative answer's.
            Rcode::NOERROR | Rcode::NXDOMAIN => negative.map_or(0, |n| answers.map_or(n, |a| a.min(n))),
            _ => 0,
        };
        let lifetime = lifetime.min(max_ttl);
        let sections = message.bytes().get(begin..end)?;
        let [answer_end, authority_end] = ends.map(|end| u16::try_from(end - begin).ok());
        let edes: Edes = message
            .edes()
            .take(MAX_EDE)
            .map(|(code, text)| (code, text.chars().take(200).collect::<String>().into()))
            .collect();
        let fixed = Fixed {
            at: now,
            lifetime,
            cap: if answers.is_none() && lifetime > 0 { lifetime } else { max_ttl },
            next_fetch: AtomicU32::new(0),
            mark: AtomicU64::new(0),
            key_len: u16::try_from(key.len()).ok()?,
            sections_len: u16::try_from(sections.len()).ok()?,
            ends: [answer_end?, authority_end?],
            extra_authority: !proves && answers_the_question(message),
            counts,
            rcode,
            authentic: message.header.has(flag::AD),
            truncated: message.header.has(flag::TC),
            edes: (!edes.is_empty()).then_some(edes),
        };
        Some(Self(ThinArc::from_header_and_slice(fixed, &[key, sections, &ttls].concat())))
    }

    fn fixed(&self) -> &Fixed {
        &self.0.header.header
    }

    /// The key, the sections, and the offsets of the TTLs.
    fn parts(&self) -> Option<(&[u8], &[u8], &[u8])> {
        let (key, rest) = self.0.slice.split_at_checked(usize::from(self.fixed().key_len))?;
        let (sections, ttls) = rest.split_at_checked(usize::from(self.fixed().sections_len))?;
        Some((key, sections, ttls))
    }

    /// The reply as received, without OPT and with its original TTLs; its header has TC and the low bits of
    /// the response code. It can be inspected without being written first.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        let Fixed { key_len, sections_len, counts: [ancount, nscount, arcount], .. } = *self.fixed();
        let tc = if self.is_truncated() { flag::TC } else { 0 };
        let flags = flag::QR | tc | self.rcode().0 & 0xf;
        let header = Header { id: 0, flags, qdcount: 1, ancount, nscount, arcount };
        let question_end = usize::from(key_len);
        let bytes = self.0.slice.get(..question_end + usize::from(sections_len)).unwrap_or_default();
        Message::kept(bytes, header, question_end)
    }

    /// The TTL at `now` of a record whose TTL was `given` on receipt.
    #[must_use]
    pub fn ttl(&self, given: u32, now: Instant) -> u32 {
        let age = self.age(now);
        if self.is_stale_at(age) { STALE_TTL } else { self.counted_down(given, age) }
    }

    fn is_stale_at(&self, age: u32) -> bool {
        let lifetime = self.fixed().lifetime;
        lifetime > 0 && age >= lifetime
    }

    fn counted_down(&self, given: u32, age: u32) -> u32 {
        sane(given).min(self.fixed().cap).saturating_sub(age)
    }

    /// How many seconds it may be cached; 0: not at all.
    #[must_use]
    pub fn lifetime(&self) -> u32 {
        self.fixed().lifetime
    }

    /// Whole seconds since it was received.
    #[must_use]
    pub fn age(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.fixed().at).as_secs()).unwrap_or(u32::MAX)
    }

    /// True if the upstream truncated it.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.fixed().truncated
    }

    /// True if it is the reply to the question of this query.
    #[must_use]
    pub fn is_for(&self, query: &Query<'_>) -> bool {
        let question = self.parts().and_then(|(key, _, _)| key.get(HEADER_LEN..)).unwrap_or_default();
        question.eq_ignore_ascii_case(query.question())
    }

    /// The response code.
    #[must_use]
    pub fn rcode(&self) -> Rcode {
        self.fixed().rcode
    }

    /// True if its last mark is this one.
    #[must_use]
    pub fn has_mark(&self, mark: u64) -> bool {
        self.fixed().mark.load(Relaxed) == mark
    }

    /// Marks it as having passed inspection; the caller defines what `mark` means.
    pub fn mark(&self, mark: u64) {
        self.fixed().mark.store(mark, Relaxed);
    }

    /// True for exactly one caller, if it may be refreshed at this age; then not again before `next`.
    pub(super) fn claim(&self, age: u32, next: u32) -> bool {
        let next_fetch = &self.fixed().next_fetch;
        let due = next_fetch.load(Relaxed);
        age >= due && next_fetch.compare_exchange(due, next, Relaxed, Relaxed).is_ok()
    }

    pub(super) fn is_paused(&self, age: u32) -> bool {
        age < self.fixed().next_fetch.load(Relaxed)
    }

    pub(super) fn pause(&self, until: u32) {
        self.fixed().next_fetch.store(until, Relaxed);
    }

    /// Writes it as the reply to a question with the same key, `age` seconds old. TTLs have counted down; past its lifetime
    /// the reply is marked stale (RFC 8767 §4, RFC 8914 §4.4 and §4.20). AD is set only for clients that
    /// requested it by DO or AD (RFC 6840 §5.8).
    pub fn write<'t>(&'t self, reply: &mut ReplyWriter<'_, 't>, wants_ad: bool, age: u32) {
        let fixed = self.fixed();
        let stale = self.is_stale_at(age);
        if stale {
            let nxdomain = fixed.rcode == Rcode::NXDOMAIN;
            reply.ede(Ede::new(if nxdomain { EdeCode::STALE_NXDOMAIN } else { EdeCode::STALE_ANSWER }, ""));
        }
        reply.rcode(fixed.rcode);
        reply.flags(flag::AD, fixed.authentic && wants_ad);
        for (code, text) in fixed.edes.iter().flatten() {
            reply.ede(Ede::new(*code, text));
        }
        // Truncated by the upstream even over TCP: the client must not take it for complete.
        if fixed.truncated {
            return reply.truncate();
        }
        let Some((_, sections, ttls)) = self.parts() else { return };
        let (sections, counts) = fixed.fitting(sections, reply.room());
        let Ok(sections) = reply.sections(sections, counts) else { return };
        for at in ttls.as_chunks::<2>().0 {
            let at = usize::from(u16::from_ne_bytes(*at));
            let Some(slot) = sections.get_mut(at..).and_then(|s| s.first_chunk_mut::<4>()) else { continue };
            let ttl = if stale { STALE_TTL } else { self.counted_down(u32::from_be_bytes(*slot), age) };
            *slot = ttl.to_be_bytes();
        }
    }

    fn weight(&self) -> usize {
        self.0.slice.len() + OVERHEAD
    }
}

impl Fixed {
    /// As many of the sections as fit into so many octets, but always the necessary ones: to leave out what
    /// is not is not truncation (RFC 2181 §9).
    fn fitting<'s>(&self, sections: &'s [u8], room: usize) -> (&'s [u8], [u16; 3]) {
        let [an, ns, _] = self.counts;
        let [answer, authority] = self.ends.map(usize::from);
        let (end, counts) = match () {
            () if sections.len() <= room => return (sections, self.counts),
            () if authority > room && self.extra_authority => (answer, [an, 0, 0]),
            () => (authority, [an, ns, 0]),
        };
        sections.get(..end).map_or((sections, self.counts), |sections| (sections, counts))
    }
}

/// A TTL with the top bit set is treated as zero (RFC 2181 §8).
const fn sane(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

/// True if the answer section holds the requested type, or anything at all for ANY.
fn answers_the_question(message: &Message<'_>) -> bool {
    let Some(&[t0, t1, _, _]) = message.question().last_chunk::<4>() else { return false };
    let qtype = Qtype(u16::from_be_bytes([t0, t1]));
    message.records().any(|r| r.section == Section::Answer && (r.rtype == qtype || qtype == Qtype::ANY))
}

/// What the upstreams said to a question that they could not answer.
#[derive(Clone, Debug)]
pub enum Failed {
    /// An error, such as SERVFAIL or REFUSED.
    Reply(Stored),
    /// Nothing that can be used, and why.
    Silence(EdeCode, Box<str>),
}

#[derive(Clone)]
struct Octets;

impl Weighter<u64, Stored> for Octets {
    fn weight(&self, _: &u64, value: &Stored) -> u64 {
        value.weight() as u64
    }
}

/// The key is already a hash, so it is not hashed again.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.0 = self.0.rotate_left(8) ^ u64::from(*octet);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The cache: sharded, bounded in octets, shared by all threads. The map is keyed by a keyed hash of the
/// question; the stored reply holds the question for comparison. Questions whose hashes collide evict each
/// other.
pub struct Cache {
    /// What the upstreams could not answer.
    pub failures: Failures<Failed>,
    map: Option<Map<u64, Stored, Octets, BuildHasherDefault<Hashed>>>,
    hasher: RandomState,
}

impl Cache {
    /// A cache of about `bytes` octets; 0 disables it.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        let items = usize::try_from(bytes / 400).unwrap_or(usize::MAX).max(16);
        let map =
            || Map::with(items, bytes, Octets, BuildHasherDefault::default(), DefaultLifecycle::default());
        Self { failures: Failures::default(), map: (bytes > 0).then(map), hasher: RandomState::new() }
    }

    /// The reply to a question, whatever its age, if one is cached. Allocates nothing.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Stored> {
        let key = key.as_bytes();
        let stored = self.map.as_ref()?.get(&self.hasher.hash_one(key))?;
        stored.parts().is_some_and(|(own, _, _)| own == key).then_some(stored)
    }

    /// Caches a reply, if it may be cached at all.
    pub fn put(&self, stored: &Stored) {
        if let Some(map) = self.map.as_ref().filter(|_| stored.lifetime() > 0)
            && let Some((key, _, _)) = stored.parts()
        {
            map.insert(self.hasher.hash_one(key), stored.clone());
        }
    }

    /// Removes the reply to a question.
    pub fn remove(&self, key: &Key) {
        if let Some(map) = &self.map {
            map.remove(&self.hasher.hash_one(key.as_bytes()));
        }
    }

    /// Octets in use, approximately.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.map.as_ref().map_or(0, Map::weight)
    }
}

#[cfg(test)]
#[allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "tests make small numbers and read the clock"
)]
mod tests {
    use super::*;
    use crate::cache::stale::{Age, Aging};
    use std::time::Duration;

    const ASK: &[u8] = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";

    fn key(route: u16) -> Key {
        Key::of(&Query::parse(ASK).unwrap(), route)
    }

    fn reply(rcode: u8, answers: &[(u16, u32)], soa: Option<(u32, u32)>) -> Vec<u8> {
        let mut bytes = b"\0\x01\x81\x80\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01".to_vec();
        bytes[3] |= rcode;
        bytes[7] = answers.len() as u8;
        bytes[9] = u8::from(soa.is_some());
        for (rtype, ttl) in answers {
            bytes.extend(b"\xc0\x0c");
            bytes.extend(rtype.to_be_bytes());
            bytes.extend(b"\0\x01");
            bytes.extend(ttl.to_be_bytes());
            bytes.extend(b"\0\x04\xc0\0\x02\x01");
        }
        if let Some((ttl, minimum)) = soa {
            bytes.extend(b"\0\0\x06\0\x01");
            bytes.extend(ttl.to_be_bytes());
            bytes.extend(b"\0\x16\0\0");
            bytes.extend([0; 16]);
            bytes.extend(minimum.to_be_bytes());
        }
        bytes
    }

    fn stored(bytes: &[u8], now: Instant) -> Stored {
        Stored::new(&key(0), &Message::parse(bytes).unwrap(), now, 86_400).unwrap()
    }

    #[test]
    fn how_long_a_reply_is_cached() {
        let now = Instant::now();
        for (bytes, lifetime) in [
            (reply(0, &[(1, 300), (1, 100)], None), 100),
            (reply(0, &[(1, 999_999)], None), 86_400),
            (reply(0, &[(1, u32::MAX)], None), 0),
            (reply(3, &[], Some((900, 60))), 60),
            (reply(0, &[], Some((30, 60))), 30),
            (reply(3, &[], Some((999_999, 999_999))), 10_800),
            (reply(3, &[], None), 0),
            (reply(0, &[(5, 20)], Some((900, 60))), 20),
            (reply(2, &[], Some((900, 60))), 0),
        ] {
            assert_eq!(stored(&bytes, now).lifetime(), lifetime);
        }
    }

    #[test]
    fn ttls_count_down_until_it_expires() {
        let now = Instant::now();
        let cache = Cache::new(1 << 20);
        cache.put(&stored(&reply(0, &[(1, 100)], None), now));
        let query = Query::parse(ASK).unwrap();
        let kept = cache.get(&key(0)).unwrap();
        let ttl = |after| {
            let mut out = [0; 512];
            let mut writer = ReplyWriter::new(&query, &mut out, 512);
            kept.write(&mut writer, false, kept.age(now + Duration::from_secs(after)));
            let len = writer.finish();
            Message::parse(&out[..len]).unwrap().records().next().unwrap().ttl
        };
        assert_eq!([0, 40, 99, 100, 5000].map(ttl), [100, 60, 1, STALE_TTL, STALE_TTL]);
        assert!(Cache::new(0).get(&key(0)).is_none());
    }

    #[test]
    fn a_cached_reply_reads_as_received() {
        let now = Instant::now();
        let mut bytes = reply(0, &[(1, 100), (1, 50)], Some((900, 60)));
        // The question in different case, and an OPT record, which is not cached.
        bytes[13] = b'A';
        bytes[11] = 1;
        bytes.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0\0");
        let kept = stored(&bytes, now);
        let shown =
            |message: Message<'_>| message.to_string().to_lowercase().replace(" rd", "").replace(" ra", "");
        assert_eq!(shown(kept.message()), shown(Message::parse(&bytes).unwrap()));
        assert_eq!(
            [0, 40, 50].map(|after| kept.ttl(100, now + Duration::from_secs(after))),
            [100, 60, STALE_TTL]
        );
        let other = Key::of(&Query::parse(b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x01b\0\0\x01\0\x01").unwrap(), 0);
        assert!(Stored::new(&other, &Message::parse(&bytes).unwrap(), now, 60).is_none(), "another question");
    }

    #[test]
    fn what_each_age_means() {
        let aging = Aging { max_stale: 1000, recheck: 30, ..Aging::default() };
        let kept = stored(&reply(0, &[(1, 100)], None), Instant::now());
        for (age, meaning) in [(0, Age::Fresh), (89, Age::Fresh), (90, Age::Ending), (91, Age::Fresh)] {
            assert_eq!(aging.judge(&kept, age), meaning, "{age}");
        }
        // Ending is returned again after a while, if the first refresh failed.
        assert_eq!([95, 96, 99].map(|age| aging.judge(&kept, age)), [Age::Ending, Age::Fresh, Age::Fresh]);
        assert_eq!([100, 1099, 1100].map(|age| aging.judge(&kept, age)), [Age::Stale, Age::Stale, Age::Dead]);
        aging.failed(&kept, 200);
        assert_eq!(
            [200, 229, 230].map(|age| aging.judge(&kept, age)),
            [Age::StaleNow, Age::StaleNow, Age::Stale]
        );
        let neither = Aging { max_stale: 0, prefetch: false, ..aging };
        assert_eq!([95, 100].map(|age| neither.judge(&kept, age)), [Age::Fresh, Age::Dead]);
    }

    #[test]
    fn what_is_not_needed_is_left_out_first() {
        let now = Instant::now();
        let query = Query::parse(ASK).unwrap();
        let ns = |bytes: &mut Vec<u8>, section: usize, rtype: u8| {
            bytes[7 + 2 * section] += 1;
            bytes.extend([0, 0, rtype, 0, 1, 0, 0, 0, 9, 0, 4]);
            bytes.extend(if rtype == 1 { [192, 0, 2, 1] } else { *b"\x02ns\0" });
        };
        // The answer takes 16 octets, each other record 15, the header and the question 19.
        for (answers, authority, room, counts) in [
            (1, 2, 65, Some([1, 1, 1])),
            (1, 2, 64, Some([1, 1, 0])),
            (1, 2, 49, Some([1, 0, 0])),
            (1, 2, 34, None),
            // A proof belongs to the answer, and SOA to its absence.
            (1, 47, 49, None),
            (0, 6, 48, Some([0, 1, 0])),
            (0, 6, 33, None),
        ] {
            let mut bytes = reply(0, &vec![(1, 60); answers], None);
            ns(&mut bytes, 1, authority);
            ns(&mut bytes, 2, 1);
            let kept = stored(&bytes, now);
            let mut out = [0; 512];
            let mut writer = ReplyWriter::new(&query, &mut out, room);
            kept.write(&mut writer, false, kept.age(now));
            let len = writer.finish();
            let header = Message::parse(&out[..len]).unwrap().header;
            let truncated = header.has(flag::TC);
            assert_eq!(
                (!truncated).then_some([header.ancount, header.nscount, header.arcount]),
                counts,
                "{answers} {authority} {room}"
            );
        }
    }

    #[test]
    fn the_bound_in_octets_holds() {
        let cache = Cache::new(100_000);
        let now = Instant::now();
        let reply = reply(0, &[(1, 100)], None);
        let message = Message::parse(&reply).unwrap();
        for i in 0..10_000 {
            cache.put(&Stored::new(&key(i), &message, now, 86_400).unwrap());
        }
        assert!(cache.bytes() <= 100_000, "{}", cache.bytes());
        assert!(cache.bytes() > 50_000, "{}", cache.bytes());
    }
}
