//! The shipped scenarios: everything that they expect; one case of each shape over real sockets; and that one
//! seed always plays the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::cast_possible_truncation)]

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use portcullis::censor::{Expect, Seen, Slack, WantedMessage, WantedReply};
use portcullis::dns::{NameBuf, Qtype, Transport, encode};
use portcullis::net::now;
use portcullis::resolver::snapshot::Client;
use portcullis::stage::collect::{self, Patience};
use portcullis::stage::harness::Playing;
use portcullis::stage::world::{Setting, World};
use portcullis::stage::{Harness, shipped};

/// A scenario of every behaviour that a censor can have.
const TAXONOMY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/taxonomy.toml");
/// How much later than planned a packet may come on a busy machine. How exact the times are is measured
/// elsewhere.
const LATE: Duration = Duration::from_millis(400);
/// How long it is listened for packets that must not come.
const QUIET: Duration = Duration::from_millis(120);

fn seen(playing: &Playing, expect: &Expect, packet: &[u8], runtime: &tokio::runtime::Runtime) -> Seen {
    let network = &playing.scenario().networks[usize::from(expect.network)];
    let server = playing.address(&network.id).unwrap();
    let after = |wanted: Option<&portcullis::censor::Wanted>| wanted.map_or(Duration::ZERO, |w| w.after);
    let (first, last) = (after(expect.replies.first()), after(expect.replies.last()));
    let patience = match expect.replies.len() {
        0 => Patience { timeout: QUIET + Duration::from_millis(100), wait: QUIET },
        _ => Patience { timeout: first + Duration::from_secs(5), wait: last - first + QUIET },
    };
    runtime.block_on(async {
        match expect.transport {
            Transport::Udp => collect::udp(server, expect.client, packet, patience).await.unwrap(),
            Transport::Tcp => collect::tcp(server, expect.client, packet, patience).await.unwrap(),
        }
    })
}

/// The part of a case that makes it another path through the server than others: how it is asked, how often and
/// when it is answered, and what kinds of packets these are.
fn shape(expect: &Expect) -> String {
    let mut shape = format!("{:?} {:?} edns {}:", expect.transport, expect.end, expect.edns);
    for wanted in &expect.replies {
        shape += if wanted.after.is_zero() { " at once" } else { " later" };
        match &wanted.what {
            WantedReply::Genuine => shape += " genuine",
            WantedReply::Octets(_) => shape += " octets",
            WantedReply::Message(message) => {
                let mut types: Vec<u16> = message.answer.iter().map(|record| record.rtype.0).collect();
                types.dedup();
                let WantedMessage { flags, opt, wrong_id, lower_case, .. } = message;
                shape += &format!(" {flags:x} {types:?} {opt} {wrong_id} {lower_case}");
                shape += &format!(" {} {}", message.edes.len(), message.authority.len());
            }
            other => panic!("a kind of reply without a shape: {other:?}"),
        }
    }
    shape
}

/// Asks all that a scenario expects, without sending anything; gives how much that was.
fn in_process(name: &str) -> usize {
    let scenario = shipped::load(name).unwrap();
    let asked = scenario.expects.len();
    let world = World::new(scenario, &Setting { by_listener: true, ..Setting::default() }, now()).unwrap();
    if let Err(wrong) = world.check(now()) {
        panic!("{name}: {wrong:#?}");
    }
    asked
}

/// Asks these expectations of a scenario, by their places, each as if nobody had asked before.
fn over_sockets(name: &str, places: &[usize]) {
    let playing = Harness::new(name).unwrap().start().unwrap();
    playing.hold_uptime(Duration::ZERO);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let setting = Setting { by_listener: true, ..Setting::default() };
    let honest = World::new(shipped::load(name).unwrap(), &setting, now()).unwrap();
    let scenario = playing.scenario();
    for expect in places.iter().map(|place| &scenario.expects[*place]) {
        playing.rewind();
        playing.set_clock_unix(expect.at.unwrap_or_else(|| scenario.last_state()));
        let packet = expect.query(0x1d00 + u16::try_from(expect.line).unwrap());
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
        let client = Client { address, transport: expect.transport, listener: expect.network };
        let genuine = honest.genuine(&packet, client, now());
        let seen = seen(&playing, expect, &packet, &runtime);
        if let Err(difference) = expect.holds(&packet, &seen, genuine.as_deref(), Slack { late: LATE }) {
            panic!("{name}, line {}: {difference}\n{seen:?}", expect.line);
        }
    }
}

/// One case of each shape. Most of it is waiting, so that the scenarios wait side by side.
#[test]
fn what_is_sent_is_what_was_planned() {
    let mut shapes = HashSet::new();
    std::thread::scope(|scope| {
        for name in [TAXONOMY].into_iter().chain(shipped::ALL.iter().map(|(name, _)| *name)) {
            let scenario = shipped::load(name).unwrap();
            let new = |expect: &Expect| shapes.insert(shape(expect));
            let new: Vec<bool> = scenario.expects.iter().map(new).collect();
            let places: Vec<usize> = (0..new.len()).filter(|place| new[*place]).collect();
            scope.spawn(move || over_sockets(name, &places));
        }
    });
    assert!(shapes.len() >= 40, "{shapes:#?}");
    println!("{} shapes", shapes.len());
}

macro_rules! scenarios {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            // A scenario that expects next to nothing is not tested.
            assert!(in_process($name) >= 15);
        })+

        #[test]
        fn none_is_forgotten() {
            let tested = [$($name),+];
            let all: Vec<&str> = shipped::ALL.iter().map(|(name, _)| *name).collect();
            assert_eq!(all, tested);
        }
    };
}

scenarios! {
    s1_ru_2016_linkedin: "ru-2016-linkedin",
    s2_ru_2017_ertelecom: "ru-2017-ertelecom",
    s3_ru_2026_nsdi: "ru-2026-nsdi",
    s4_cn_gfw_injection: "cn-gfw-injection",
    s5_ir_injection: "ir-injection",
    s6_tr_2014_twitter: "tr-2014-twitter",
    s7_id_2022_trustpositif: "id-2022-trustpositif",
    s8_de_cuii: "de-cuii-2021-2025",
    s9_fr_honest_blocking: "fr-honest-blocking",
    s10_tm_2021_substring: "tm-2021-substring",
    a_school: "school-safesearch",
}

#[test]
fn every_behaviour_of_the_taxonomy() {
    assert!(in_process(TAXONOMY) >= 60);
}

/// How many of `count` questions get no answer; `client` says who asks the nth, and `minute` when.
fn dropped(
    when: &str,
    count: u32,
    client: impl Fn(u32) -> [u8; 4],
    minute: impl Fn(u32) -> i64,
) -> Vec<bool> {
    let text = format!(
        "[scenario]\nname = \"draws\"\nsources = [\"a test\"]\n[[network]]\nid = \"isp\"\n[[rule]]\nid = \"r\"\n\
         match = {{ any = true }}\nwhen = {{ {when} }}\naction = {{ kind = \"drop\" }}\n"
    );
    let scenario = portcullis::config::scenario::parse(&text, "draws".as_ref()).unwrap();
    let world = World::new(scenario, &Setting { seed: Some(5), ..Setting::default() }, now()).unwrap();
    let name = |n: u32| NameBuf::from_text(&format!("n{}.test", n % 7)).unwrap();
    (0..count)
        .map(|n| {
            world.censor.clock.set(now().at, 60 * minute(n));
            let address = SocketAddr::new(client(n).into(), 7);
            let client = Client { address, transport: Transport::Udp, listener: 0 };
            world.ask(&encode(name(n).as_name(), Qtype::A), client, now()).replies.is_empty()
        })
        .collect()
}

#[test]
fn draws_fall_as_often_as_they_should_and_stick_as_long() {
    let one = |_| [127, 0, 0, 1];
    let share = |all: &[bool]| all.iter().filter(|d| **d).count();
    // Each query anew.
    let anew = dropped("chance = 0.3", 7_000, one, |_| 0);
    assert!((1_900..2_300).contains(&share(&anew)), "{}", share(&anew));
    // One of four servers.
    let backends = dropped("backends = 4, bad = 1", 7_000, one, |_| 0);
    assert!((1_550..1_950).contains(&share(&backends)), "{}", share(&backends));
    // A name always fares alike, and not all names do.
    let names = dropped("chance = 0.5, sticky = \"name\"", 700, one, |_| 0);
    assert!(names.chunks(7).all(|c| c == &names[..7]));
    assert!(names[..7].contains(&true) && names[..7].contains(&false), "{:?}", &names[..7]);
    // So does a client.
    let clients = dropped("chance = 0.5, sticky = \"client\"", 4_000, |n| [10, 0, 0, (n % 40) as u8], |_| 0);
    assert!(clients.chunks(40).all(|c| c == &clients[..40]));
    assert!((8..32).contains(&share(&clients[..40])), "{}", share(&clients[..40]));
    // Ten minutes long, whatever is asked.
    let minutes = dropped("chance = 0.5, sticky = \"10m\"", 4_000, one, i64::from);
    assert!(minutes.chunks(10).all(|c| c.iter().all(|d| *d == c[0])));
    assert!((120..280).contains(&(share(&minutes) / 10)), "{}", share(&minutes) / 10);
    // Never and always.
    assert_eq!(share(&dropped("chance = 0.0", 500, one, |_| 0)), 0);
    assert_eq!(share(&dropped("chance = 1.0", 500, one, |_| 0)), 500);
}

/// Every name of a scenario, at every time, in each network and by each transport: all the octets.
fn played(name: &str, seed: Option<u64>) -> Vec<Seen> {
    let scenario = shipped::load(name).unwrap();
    let setting = Setting { by_listener: true, seed, ..Setting::default() };
    let world = World::new(scenario, &setting, now()).unwrap();
    world.censor.clock.hold_uptime(Duration::from_secs(17));
    let scenario = &world.censor.scenario;
    let mut names: Vec<NameBuf> = scenario.expects.iter().map(|e| e.qname.clone()).collect();
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    names.dedup();
    let mut all = Vec::new();
    let moments: Vec<i64> =
        scenario.expects.iter().filter_map(|e| e.at).chain([scenario.last_state()]).collect();
    for at in moments {
        world.censor.clock.set(now().at, at);
        for (listener, _) in (0..).zip(&scenario.networks) {
            for name in &names {
                for qtype in [Qtype::A, Qtype::AAAA, Qtype::MX, Qtype::HTTPS] {
                    for transport in [Transport::Udp, Transport::Tcp, Transport::Udp] {
                        let address = SocketAddr::from(([127, 0, 0, 1], 7));
                        let client = Client { address, transport, listener };
                        all.push(world.ask(&encode(name.as_name(), qtype), client, now()));
                    }
                }
            }
        }
    }
    all
}

#[test]
fn one_seed_gives_the_same_octets_at_the_same_times() {
    for (name, _) in shipped::ALL {
        assert!(played(name, Some(7)) == played(name, Some(7)), "{name}");
    }
}

#[test]
fn another_seed_gives_others_where_something_is_drawn() {
    for name in ["cn-gfw-injection", "de-cuii-2021-2025"] {
        assert!(played(name, Some(7)) != played(name, Some(8)), "{name}");
    }
}

#[test]
fn one_seed_gives_the_same_octets_over_sockets_too() {
    let run = || {
        let playing = Harness::new("cn-gfw-injection").unwrap().seed(3).start().unwrap();
        playing.hold_uptime(Duration::ZERO);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let scenario = playing.scenario();
        let mut all = Vec::new();
        for _ in 0..3 {
            for expect in
                scenario.expects.iter().filter(|e| e.transport == Transport::Udp && !e.replies.is_empty())
            {
                let seen = seen(&playing, expect, &expect.query(1), &runtime);
                all.push(seen.replies.into_iter().map(|(_, octets)| octets).collect::<Vec<_>>());
            }
        }
        all
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(run);
        (run(), other.join().unwrap())
    });
    assert!(one == other);
}

#[test]
fn forged_addresses_are_those_for_documentation() {
    for (name, _) in shipped::ALL {
        for seen in played(name, None) {
            for (_, octets) in seen.replies {
                let Some(message) = portcullis::dns::Message::parse(&octets) else { continue };
                for record in message.records().filter(|r| r.rtype == Qtype::A && r.rdata.len() == 4) {
                    let a = Ipv4Addr::from(<[u8; 4]>::try_from(record.rdata).unwrap());
                    let nowhere = a.is_documentation()
                        || a.is_private()
                        || a.is_loopback()
                        || a.octets()[0] >= 240
                        || a.is_unspecified();
                    assert!(nowhere, "{name} gives out {a}");
                }
            }
        }
    }
}
