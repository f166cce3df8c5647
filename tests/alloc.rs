//! The lookup path allocates nothing: one counting allocator around the one function.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]
#![expect(unsafe_code, reason = "a global allocator can be replaced in no other way")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use portcullis::cache::key::Key;
use portcullis::cache::store::{Cache, Stored};
use portcullis::dns::{
    Message, NameBuf, Qtype, Query, QueryBuilder, ReplyWriter, Section, Special, Specials, Transport, encode,
};
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::policy::{Inspection, schedule, schedule::Schedule, schedule::window};
use portcullis::resolver::ahead::read_ahead;
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::outcome::Outcome;
use portcullis::resolver::resolve::resolve;
use portcullis::resolver::snapshot::Client;
use portcullis::rule::{Action, Effect, Format};
use portcullis::settings::{
    Addresses, AnswersSettings, GroupSettings, ListSettings, Order, Settings, TextSource, UpstreamSettings,
    ZoneSettings,
};
use portcullis::sources;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed on unchanged to the system's allocator; the count is a plain cell
// of the thread, whose access neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's own promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's own promise.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.with(|c| c.set(c.get() + 1));
        // SAFETY: the caller's own promise.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn settings() -> Settings {
    let list = |name: &str, rule: &str, action| ListSettings {
        name: name.into(),
        source: TextSource::Inline(rule.lines().map(str::to_owned).collect()),
        format: Format::AdGuard,
        effect: Effect::Block,
        plain: None,
        action,
        authority: Some("a court".into()),
        ..ListSettings::default()
    };
    let zone = "@ 60 IN SOA ns host 1 2 3 4 5\nwww 60 IN CNAME a\na 60 IN A 192.0.2.1\n*.w 60 IN A 192.0.2.1\n\
         a 60 IN A 192.0.2.2\nold 60 DNAME w\n@ 60 NSEC a SOA\nold 60 NSEC www DNAME\nwww 60 NSEC @ CNAME\n";
    let hashed = "@ 60 IN SOA ns host 1 2 3 4 5\n@ 60 NSEC3PARAM 1 0 5 abcd\n*.w 60 A 192.0.2.1\n\
         2t7b4g4vsa5smi47k61mv5bv1a22bojr 60 NSEC3 1 0 5 abcd 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n\
         @ 60 RRSIG SOA 13 2 60 20300101000000 20200101000000 1 @ AQID\n";
    let workdays = Schedule {
        zone: schedule::zone("Europe/Berlin").unwrap(),
        windows: vec![window("daily 00:00-24:00").unwrap()],
        from: None,
        until: None,
    };
    let group = |name: &str, network: &str| GroupSettings {
        name: name.into(),
        networks: vec![network.parse().unwrap()],
        listeners: Vec::new(),
        lists: None,
        action: None,
        closed: None,
        schedule: Some(workdays.clone()),
        upstreams: None,
    };
    Settings {
        upstream: UpstreamSettings::of(Vec::new()),
        groups: vec![group("all", "127.0.0.0/8"), group("others", "10.0.0.0/8")],
        inspect: Inspection { rebinding: true, ..Inspection::default() },
        lists: vec![
            ListSettings {
                schedule: Some(workdays.clone()),
                ..list("times", "||timed.test^", Action::NxDomain)
            },
            ListSettings { types: vec![Qtype::A], ..list("types", "||typed.test^", Action::NoData) },
            ListSettings { addresses: Addresses::Only, ..list("nets", "203.0.113.0/24", Action::NxDomain) },
            list("nx", "||linkedin.com^", Action::NxDomain),
            list("stub", "||stub.test^", Action::Address(vec![[192, 0, 2, 1].into()], Vec::new())),
            list("drop", "||drop.test^", Action::Drop),
            list("pattern", "/^(ad|track)[0-9]+[.-]/", Action::NxDomain),
            list("loose", "/^[a-z]-[0-9]\\./", Action::NxDomain),
            list("glob", "banner*.ads", Action::NxDomain),
            list("scoped", "||six.test^$dnstype=AAAA,client=127.0.0.0/8,denyallow=x.test", Action::NxDomain),
            list("mail", "||mail.test^$dnsrewrite=NOERROR;MX;10 mx.test", Action::NxDomain),
            list("text", "||text.test^$dnsrewrite=NOERROR;TXT;hello", Action::NxDomain),
            list(
                "many",
                "||many.test^$dnsrewrite=192.0.2.1\n||many.test^$client=127.0.0.1,dnsrewrite=192.0.2.2\n\
                ||many.test^$dnsrewrite=192.0.2.3\n@@||many.test^$dnsrewrite=192.0.2.3\n\
                ||left.test^$dnsrewrite=left.test\n||left.test^",
                Action::NxDomain,
            ),
        ],
        zones: [("z.test", zone), ("h.test", hashed)]
            .map(|(origin, text)| ZoneSettings {
                origin: NameBuf::from_text(origin).unwrap(),
                source: TextSource::Embedded("z", text),
            })
            .into(),
        special: Specials::default().with(Special::Test, false),
        answers: AnswersSettings { order: Order::Rotate },
        ..Settings::default()
    }
}

/// Puts a reply to `packet` with one address into the cache.
fn keep(engine: &Engine, packet: &[u8]) {
    let query = Query::parse(packet).unwrap();
    let mut out = [0; 512];
    let mut reply = ReplyWriter::new(&query, &mut out, 512);
    reply.record(Section::Answer, None, Qtype::A, 300, &[&[192, 0, 2, 1]]).unwrap();
    let len = reply.finish();
    let message = Message::parse(&out[..len]).unwrap();
    let stored = Stored::new(&Key::of(&query, 0), &message, Instant::now(), 300).unwrap();
    engine.snapshot().cache.put(&stored);
}

#[test]
fn from_receipt_to_reply_nothing_is_allocated() {
    let counters = Arc::new(CounterSet::default());
    let (snapshot, _) =
        sources::build(&settings(), &Arc::new(Cache::new(1 << 20)), &counters, sources::Build::default(), 0)
            .unwrap();
    let engine = Arc::new(Engine::new(snapshot, Arc::clone(&counters), None));
    let mut thread = counters.own();
    let client = "127.0.0.1:5353".parse().unwrap();
    let mut out = [0u8; 1232];
    let mut answer = |packet: &[u8]| {
        let before = COUNT.with(Cell::get);
        let snapshot = engine.snapshot();
        let mut event = Event::new(client, Transport::Udp);
        let outcome = resolve(
            &engine,
            &snapshot,
            packet,
            Client { address: client, transport: Transport::Udp, listener: 0 },
            Moment { at: Instant::now(), unix: 0 },
            &mut out,
            &mut event,
        );
        let reply = if let Outcome::Reply(len) = outcome { &out[..len] } else { &[] };
        engine.observe(&mut thread, &snapshot, &event, packet, reply);
        (COUNT.with(Cell::get) - before, matches!(outcome, Outcome::Reply(_)))
    };
    // The first use of the pointer sets up what the thread keeps.
    answer(&encode(NameBuf::from_text("linkedin.com").unwrap().as_name(), Qtype::A));
    for (name, qtype, replied) in [
        ("linkedin.com", Qtype::A, true),
        ("a.very.deep.name.below.www.linkedin.com", Qtype::HTTPS, true),
        ("stub.test", Qtype::A, true),
        ("stub.test", Qtype::MX, true),
        ("drop.test", Qtype::A, false),
        ("www.z.test", Qtype::A, true),
        ("x.w.z.test", Qtype::A, true),
        ("nope.z.test", Qtype::A, true),
        ("track12.test", Qtype::A, true),
        ("x-1.test", Qtype::A, true),
        ("my-banners.2.ads", Qtype::A, true),
        ("six.test", Qtype::AAAA, true),
        ("six.test", Qtype::A, true),
        ("mail.test", Qtype::MX, true),
        ("text.test", Qtype::TXT, true),
        ("many.test", Qtype::A, true),
        ("left.test", Qtype::A, true),
        ("timed.test", Qtype::A, true),
        ("typed.test", Qtype::A, true),
        ("typed.test", Qtype::MX, true),
        ("elsewhere.test", Qtype::A, true),
        ("a.z.test", Qtype::A, true),
        ("x.old.z.test", Qtype::A, true),
        ("x.w.h.test", Qtype::A, true),
        ("x.w.h.test", Qtype::MX, true),
        ("nope.h.test", Qtype::A, true),
        ("x.localhost", Qtype::A, true),
        ("4.3.2.10.in-addr.arpa", Qtype::PTR, true),
    ] {
        let name = NameBuf::from_text(name).unwrap();
        for dnssec_ok in [false, true] {
            let packet = QueryBuilder { edns: Some(dnssec_ok), ..QueryBuilder::new(name.as_name(), qtype) };
            assert_eq!(answer(&packet.to_vec()), (0, replied), "{name} {qtype}");
        }
    }
    assert_eq!(answer(b"\0\0\x01\0\0\x07"), (0, false));
    // A reply from the cache costs nothing either, nor does looking at what it gives: a rule that names
    // clients makes that happen each time.
    let cached = encode(NameBuf::from_text("Cached.test").unwrap().as_name(), Qtype::A);
    keep(&engine, &cached);
    assert_eq!(answer(&cached), (0, true));
    // Nor does reading ahead, once there is room for a batch.
    let packets = [&cached[..]; 64];
    let mut room = Vec::new();
    let snapshot = engine.snapshot();
    for expected in [None, Some(0)] {
        let before = COUNT.with(Cell::get);
        read_ahead(&snapshot, packets.len(), |slot| packets.get(slot).copied(), &mut room);
        let allocated = COUNT.with(Cell::get) - before;
        assert!(expected.is_none_or(|e| e == allocated), "{allocated}");
    }
    drop(snapshot);
    // The counter counts at all.
    let before = COUNT.with(Cell::get);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(COUNT.with(Cell::get) - before, 1);
}
