//! How cached replies age, with a clock that the test sets and an upstream that counts.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, mpsc};
use std::time::{Duration, Instant};

use common::{Reply, Upstream, question, reply};
use portcullis::cache::store::Cache;
use portcullis::dns::reply::Transport;
use portcullis::observe::counters::CounterSet;
use portcullis::observe::event::Event;
use portcullis::resolver::live::Engine;
use portcullis::resolver::moment::Moment;
use portcullis::resolver::outcome::Outcome;
use portcullis::resolver::resolve::resolve;
use portcullis::resolver::snapshot::Client;
use portcullis::settings::{Settings, UpstreamSettings};
use portcullis::sources::refresh;
use portcullis::upstream::Server;
use tokio::runtime::Runtime;

/// Seconds since the test began, as the test says.
static SECONDS: AtomicU64 = AtomicU64::new(0);
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn clock() -> Moment {
    let seconds = SECONDS.load(Ordering::SeqCst);
    Moment { at: *BEGIN + Duration::from_secs(seconds), unix: i64::try_from(seconds).unwrap() }
}

/// What a client hears, and whether the reply was fetched anew because of it.
fn ask(runtime: &Runtime, engine: &Arc<Engine>) -> (u32, bool) {
    let _runtime = runtime.enter();
    let packet = question("a.test", "A");
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
            let reply = receiver.recv_timeout(common::PATIENCE).expect("an answer");
            out[..reply.len()].copy_from_slice(&reply);
            (reply.len(), false)
        }
        Outcome::Drop | Outcome::Play(_) => panic!("no reply"),
    };
    let reply = Reply(out[..len].to_vec());
    (reply.message().records().next().unwrap().ttl, anew)
}

#[test]
fn what_is_asked_for_shortly_before_it_expires_is_fetched_once_and_nobody_waits() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 100, &[192, 0, 2, 9])], &[], None)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Server { addr: upstream.addr, tcp_only: false };
    let settings = Settings {
        upstream: UpstreamSettings { servers: Some(vec![server]), ..UpstreamSettings::default() },
        ..Settings::default()
    };
    let counters = Arc::new(CounterSet::default());
    let (snapshot, _) =
        refresh::build(&settings, &Arc::new(Cache::new(1 << 20)), &counters, refresh::Build::default(), 0)
            .unwrap();
    let engine = Arc::new(Engine::new(snapshot, counters, None));
    let at = |second| {
        SECONDS.store(second, Ordering::SeqCst);
        ask(&runtime, &engine)
    };
    assert_eq!([at(0), at(50), at(89)], [(100, false), (50, false), (11, false)]);
    assert_eq!(upstream.asked(), 1);
    assert_eq!(at(90), (10, true));
    // The fetched reply takes the old one's place; until then nobody fetches it a second time.
    loop {
        match at(90) {
            (100, false) => break,
            (10, false) => std::thread::yield_now(),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(upstream.asked(), 2);
    assert_eq!(at(150), (40, false));
    // What nobody asks for near its end simply expires.
    assert_eq!(at(500), (100, false));
    assert_eq!(upstream.asked(), 3);
}
