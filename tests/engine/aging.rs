//! How cached replies age, with a clock that the test sets and an upstream that counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use crate::common::{Reply, Upstream, question, reply, until};
use portcullis::cache::store::Cache;
use portcullis::dns::{NameBuf, Qtype, Specials, Transport};
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::outcome::Outcome;
use portcullis::resolver::resolve::resolve;
use portcullis::resolver::snapshot::Client;
use portcullis::rule::{Action, Effect, Format};
use portcullis::settings::{ListSettings, Settings, TextSource, UpstreamSettings};
use portcullis::sources;
use portcullis::upstream::Server;
use tokio::runtime::Runtime;

/// Seconds since the test began, as the test says.
static SECONDS: AtomicU64 = AtomicU64::new(0);
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn clock() -> Moment {
    let seconds = SECONDS.load(Ordering::SeqCst);
    Moment { at: *BEGIN + Duration::from_secs(seconds), unix: i64::try_from(seconds).unwrap() }
}

/// The TTL of the address that a client hears, and whether it was fetched anew because of that; nothing
/// where the client hears of no address.
fn ask(runtime: &Runtime, engine: &Arc<Engine>, name: &str) -> Option<(u32, bool)> {
    let _runtime = runtime.enter();
    let packet = question(name, "A");
    let client =
        Client { address: "127.0.0.1:5353".parse().unwrap(), transport: Transport::Udp, listener: 0 };
    let mut out = [0; 1232];
    let mut event = Event::new(client.address, client.transport);
    let snapshot = Arc::clone(&engine.snapshot());
    let (len, anew) = match resolve(engine, &snapshot, &packet, client, clock(), &mut out, &mut event) {
        Outcome::Reply(len) => (len, false),
        Outcome::ReplyAndRefresh(len, pending) => {
            pending.refresh(clock);
            (len, true)
        }
        Outcome::Later(pending) => {
            let (sender, receiver) = mpsc::channel();
            pending.begin(clock, move |pending, answered| {
                let mut out = vec![0; 1232];
                let (len, _) = pending.write(answered, &mut out);
                out.truncate(len);
                sender.send(out).unwrap();
            });
            let reply = receiver.recv_timeout(crate::common::PATIENCE).expect("an answer");
            out[..reply.len()].copy_from_slice(&reply);
            (reply.len(), false)
        }
        Outcome::Drop => panic!("no reply"),
    };
    let reply = Reply(out[..len].to_vec());
    let address = reply.message().records().find(|r| r.rtype == Qtype::A)?.ttl;
    Some((address, anew))
}

/// An engine that asks an upstream whose answers live for 100 seconds, and with a list that makes
/// `alias.test` an alias of `a.test`.
fn engine() -> (Runtime, Arc<Engine>, Upstream) {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 100, &[192, 0, 2, 9])], &[], None)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let list = ListSettings {
        name: "aliases".into(),
        source: TextSource::Inline(vec!["||alias.test^".into()]),
        format: Format::AdGuard,
        effect: Effect::Block,
        action: Action::Cname(NameBuf::from_text("a.test").unwrap()),
        ..ListSettings::default()
    };
    let settings = Settings {
        upstream: UpstreamSettings::of(vec![Server::udp(upstream.addr.into())]),
        lists: vec![list],
        special: Specials::NONE,
        ..Settings::default()
    };
    let counters = Arc::new(CounterSet::default());
    let (snapshot, _) =
        sources::build(&settings, &Arc::new(Cache::new(1 << 20)), &counters, sources::Build::default(), 0)
            .unwrap();
    (runtime, Arc::new(Engine::new(snapshot, counters, None)), upstream)
}

/// The clock is the whole program's, so the tests take turns.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn what_is_asked_for_shortly_before_it_expires_is_fetched_once_and_nobody_waits() {
    // By its own name, and by an alias alone.
    for name in ["a.test", "alias.test"] {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (runtime, engine, upstream) = engine();
        let at = |second| {
            SECONDS.store(second, Ordering::SeqCst);
            ask(&runtime, &engine, name).expect("an address")
        };
        assert_eq!([at(0), at(50), at(89)], [(100, false), (50, false), (11, false)], "{name}");
        assert_eq!(upstream.asked(), 1);
        assert_eq!(at(90), (10, true), "{name}");
        // The fetched reply takes the old one's place; until then nobody fetches it a second time.
        until("the fetched reply is kept", || match at(90) {
            (100, false) => true,
            (10, false) => false,
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(upstream.asked(), 2);
        assert_eq!(at(150), (40, false), "{name}");
        // What nobody asks for near its end simply expires.
        assert_eq!(at(500), (100, false), "{name}");
        assert_eq!(upstream.asked(), 3);
    }
}

#[test]
fn while_too_many_wait_a_stale_answer_is_better_than_none() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let (runtime, engine, upstream) = engine();
    SECONDS.store(0, Ordering::SeqCst);
    assert_eq!(ask(&runtime, &engine, "a.test"), Some((100, false)));
    SECONDS.store(200, Ordering::SeqCst);
    let limit = engine.snapshot().queue.limit;
    let name = |n: usize| NameBuf::from_text(&format!("busy{n}.test")).unwrap();
    // Of as many clients, so that each place can be taken.
    let client = |n: usize| std::net::Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(n).unwrap()).into();
    let permits: Vec<_> =
        (0..4 * limit).filter_map(|n| engine.waiting.permit(name(n).as_name(), client(n), limit)).collect();
    for name in ["a.test", "alias.test"] {
        assert_eq!(ask(&runtime, &engine, name), Some((30, false)), "{name}");
    }
    assert_eq!(ask(&runtime, &engine, "new.test"), None);
    assert_eq!(upstream.asked(), 1);
    // With permits again both are asked for, and fresh.
    drop(permits);
    for name in ["alias.test", "a.test"] {
        assert_eq!(ask(&runtime, &engine, name), Some((100, false)), "{name}");
    }
    assert_eq!(upstream.asked(), 2);
}
