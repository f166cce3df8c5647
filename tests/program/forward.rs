//! Forwarding, against upstreams that the test makes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Instant;

use crate::common::{Gate, PATIENCE, Reply, Server, Upstream, question, reply, soa, until};

const A: &[u8] = &[192, 0, 2, 9];

#[test]
fn the_answer_comes_as_the_upstream_gave_it() {
    let upstream = Upstream::start(|query, _| {
        let name = String::from_utf8_lossy(&query[13..]).into_owned();
        Some(match name.as_str() {
            // An unknown type (RFC 3597).
            n if n.starts_with("unknown") => reply(query, 0, &[(65_280, 77, b"\x01\x02\x03")], &[], None),
            n if n.starts_with("chain") => {
                // www CNAME, compressed against the question, then an address under the target.
                let mut bytes = reply(query, 0, &[(5, 50, b"\x06target\xc0\x0c"), (1, 40, A)], &[], None);
                bytes[7] = 2;
                bytes
            }
            n if n.starts_with("gone") => {
                reply(query, 3, &[], &[(6, 900, &soa(120))], Some(b"\0\x0f\0\x09\0\x11ads.txt"))
            }
            n if n.starts_with("secure") => reply(query, 0x20, &[(1, 60, A)], &[], Some(b"")),
            _ => reply(query, 0, &[(1, 300, A)], &[], Some(b"")),
        })
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    for (name, qtype, expected) in [
        ("a.test", "A", "status: NOERROR, flags: qr rd ra\nanswer     a.test. 300 IN A 192.0.2.9\n"),
        (
            "unknown.test",
            "TYPE65280",
            "status: NOERROR, flags: qr rd ra\nanswer     unknown.test. 77 IN TYPE65280 \\# 3 010203\n",
        ),
        (
            "chain.test",
            "A",
            "status: NOERROR, flags: qr rd ra\nanswer     chain.test. 50 IN CNAME target.chain.test.\n\
             answer     chain.test. 40 IN A 192.0.2.9\n",
        ),
        (
            "gone.test",
            "A",
            "status: NXDOMAIN, flags: qr rd ra\nEDE: 17 (Filtered): ads.txt\n\
             authority  gone.test. 120 IN SOA ns. host. 1 2 3 4 120\n",
        ),
    ] {
        // The second time it comes from the cache.
        assert_eq!(server.ask(name, qtype).text(), expected.to_owned(), "{name}");
        assert_eq!(server.ask(name, qtype).status(), Reply::status(&server.ask_tcp(name, qtype)), "{name}");
    }
    assert_eq!(upstream.asked(), 4);
    // AD is for those who ask for it.
    assert!(!server.ask("secure.test", "A").text().contains(" ad"));
    let mut packet = question("secure.test", "A");
    packet[3] |= 0x20;
    assert!(server.send(&packet).unwrap().text().starts_with("status: NOERROR, flags: qr rd ra ad\n"));
}

#[test]
fn a_blocked_name_is_never_asked_upstream() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 300, A)], &[], None)));
    let config =
        format!("{}[[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n", Upstream::config(&[&upstream]));
    let server = Server::start(&config, &[]);
    assert_eq!(server.ask("blocked.test", "A").status(), "NXDOMAIN");
    assert_eq!(upstream.asked(), 0);
}

#[test]
fn a_silent_or_failing_upstream_gives_way_to_the_next() {
    for first in [None, Some(2u16), Some(5)] {
        // By the first letter of the name. A server that may be in trouble is probed too, for the root.
        let asked = Arc::new(Mutex::new(Vec::new()));
        let names = asked.clone();
        let bad = Upstream::start(move |query, _| {
            names.lock().unwrap().push(query[13]);
            first.map(|rcode| reply(query, rcode, &[], &[], None))
        });
        let good = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 300, A)], &[], None)));
        let server = Server::start(&Upstream::config(&[&bad, &good]), &[]);
        assert!(server.ask("a.test", "A").text().contains("192.0.2.9"), "{first:?}");
        assert!(asked.lock().unwrap().contains(&b'a'), "{first:?}");
        assert_eq!(server.ask("b.test", "A").status(), "NOERROR");
        // SERVFAIL may be for that name alone; silence is not.
        assert_eq!(
            asked.lock().unwrap().contains(&b'b'),
            first.is_some(),
            "one that was silent is asked last"
        );
    }
}

#[test]
fn an_upstream_given_by_name_is_found_by_the_bootstrap_servers() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 300, A)], &[], None)));
    let bootstrap = Upstream::start(|query, _| {
        let (name, qtype) = query[12..].split_at(13);
        let known = name == b"\x03dns\x07example\0" && qtype.starts_with(&[0, 1]);
        let addresses: &[(u16, u32, &[u8])] = &[(1, 60, &[127, 0, 0, 1])];
        Some(reply(query, if known { 0 } else { 3 }, if known { addresses } else { &[] }, &[], None))
    });
    let server = Server::start(
        &format!(
            "[upstream]\nservers = [\"dns.example:{}\"]\nbootstrap = [\"{}\"]\n",
            upstream.addr.port(),
            bootstrap.addr
        ),
        &[],
    );
    for name in ["a.test", "b.test"] {
        assert!(server.ask(name, "A").text().contains("192.0.2.9"), "{name}");
    }
    assert_eq!(upstream.asked(), 2);
    // Nobody is asked about the clients' names to find the upstream.
    let asked = bootstrap.asked();
    assert!((1..=2).contains(&asked), "{asked} questions for A and AAAA");
    // A name that nobody knows is a reason.
    let server = Server::start(
        &format!("[upstream]\nservers = [\"other.example\"]\nbootstrap = [\"{}\"]\n", bootstrap.addr),
        &[],
    );
    let text = server.ask("a.test", "A").text();
    assert!(text.starts_with("status: SERVFAIL, flags: qr rd ra\nEDE: 23 (Network Error): other.example:53: no address was found"), "{text}");
}

#[test]
fn when_all_fail_the_client_hears_why() {
    let silent = Upstream::start(|_, _| None);
    let server = Server::start(&Upstream::config(&[&silent]), &[]);
    let text = server.ask("a.test", "A").text();
    assert!(
        text.starts_with("status: SERVFAIL, flags: qr rd ra\nEDE: 22 (No Reachable Authority)"),
        "{text}"
    );
    // A port where nobody listens is a network error.
    let dead = Upstream::start(|_, _| None).addr;
    let server =
        Server::start(&format!("[upstream]\nservers = [\"tcp://{dead}\"]\ntimeout = \"300ms\"\n"), &[]);
    drop(silent);
    let text = server.ask("a.test", "A").text();
    assert!(text.starts_with("status: SERVFAIL, flags: qr rd ra\nEDE: 2"), "{text}");
    // SERVFAIL of the only upstream is passed on.
    let failing = Upstream::start(|query, _| Some(reply(query, 2, &[], &[], None)));
    let server = Server::start(&Upstream::config(&[&failing]), &[]);
    assert_eq!(server.ask("a.test", "A").text(), "status: SERVFAIL, flags: qr rd ra\n");
}

#[test]
fn a_truncated_reply_is_fetched_over_tcp() {
    let long = [b'x'; 200];
    let mut text = vec![200u8];
    text.extend(long);
    let upstream = Upstream::start(move |query, tcp| {
        let text: &[u8] = &text;
        let many: Vec<(u16, u32, &[u8])> = vec![(16, 60, text); 10];
        Some(if tcp { reply(query, 0, &many, &[], None) } else { reply(query, 0x200, &[], &[], None) })
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    let over_udp = server.ask("long.test", "TXT");
    assert!(over_udp.text().starts_with("status: NOERROR, flags: qr tc rd ra"), "{}", over_udp.text());
    let over_tcp = server.ask_tcp("long.test", "TXT");
    assert_eq!(over_tcp.message().header.ancount, 10);
}

#[test]
fn identical_questions_in_flight_are_asked_once() {
    let gate = Gate::default();
    let first = Arc::new(AtomicUsize::new(0));
    let upstream = {
        let gate = gate.clone();
        Upstream::start(move |query, _| {
            if first.fetch_add(1, Ordering::Relaxed) == 0 {
                gate.pass("all twenty wait");
            }
            Some(reply(query, 0, &[(1, 300, A)], &[], None))
        })
    };
    let config = Upstream::config(&[&upstream]).replace("300ms", "30s");
    let server = Server::start(&format!("{config}[metrics]\nlisten = \"127.0.0.1:0\"\n"), &[]);
    std::thread::scope(|scope| {
        let asks: Vec<_> = (0..20).map(|_| scope.spawn(|| server.ask("same.test", "A").status())).collect();
        // All twenty wait before the upstream answers the first.
        until("twenty queries wait", || server.metrics().contains("portcullis_queries_waiting 20"));
        gate.open();
        for ask in asks {
            assert_eq!(ask.join().unwrap(), "NOERROR");
        }
    });
    assert_eq!(upstream.asked(), 1);
}

#[test]
fn without_recursion_desired_nobody_is_asked() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 300, A)], &[], None)));
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    let mut packet = question("a.test", "A");
    packet[2] = 0;
    assert_eq!(server.send(&packet).unwrap().status(), "REFUSED");
    assert_eq!(upstream.asked(), 0);
    server.ask("a.test", "A");
    assert_eq!(server.send(&packet).unwrap().status(), "NOERROR", "what is cached may be told");
}

#[test]
fn another_portcullis_is_an_upstream_like_any_other() {
    let zone =
        "@ 60 IN SOA ns. host. 1 2 3 4 5\nwww 60 IN CNAME a\na 60 IN A 192.0.2.4\na 60 IN A 192.0.2.5\n";
    let far = Server::start(
        "[upstream]\nservers = []\n[[zone]]\norigin = \"far.test\"\nfile = \"z\"\n",
        &[("z", zone)],
    );
    let near = Server::start(&format!("[upstream]\nservers = [\"{}\"]\n", far.dns), &[]);
    assert_eq!(near.ask("www.far.test", "A").message().header.ancount, 3);
    assert_eq!(near.ask("nope.far.test", "A").status(), "NXDOMAIN");
}

/// A reply that is not kept (TTL 0) is asked for again and again; the end of one asking must never
/// take the next one's waiters with it.
#[test]
fn askings_that_follow_each_other_do_not_disturb_each_other() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 0, A)], &[], None)));
    let server = Server::start(&Upstream::config(&[&upstream]).replace("300ms", "5s"), &[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..400 {
                    assert_eq!(server.ask("zero.test", "A").status(), "NOERROR");
                }
            });
        }
    });
}

#[test]
fn an_extended_code_never_becomes_a_success() {
    // BADVERS: the low bits are zero, the upper ones in the OPT.
    let upstream = Upstream::start(|query, _| {
        let mut bytes = reply(query, 0, &[], &[], Some(b""));
        let at = bytes.len() - 6;
        bytes[at] = 1;
        Some(bytes)
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    let asked = server.send(&crate::common::without_edns(question("a.test", "A"))).unwrap();
    assert_eq!(asked.status(), "SERVFAIL");
}

/// Names that nobody can answer, as many as anybody likes to ask for, say nothing against a server that
/// answers others.
#[test]
fn names_without_an_answer_do_not_close_the_way_to_others() {
    let upstream = Upstream::start(|query, _| {
        (!query[13..].starts_with(b"lost")).then(|| reply(query, 0, &[(1, 0, A)], &[], None))
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    let flood = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for round in 0..30 {
        // More than are asked carefully at once while all servers are in trouble.
        for i in 0..20 {
            flood.send_to(&question(&format!("lost{round}.n{i}.example"), "A"), server.dns).unwrap();
        }
        assert_eq!(server.ask(&format!("good{round}.test"), "A").status(), "NOERROR", "round {round}");
    }
}

#[test]
fn after_a_reload_nothing_of_the_old_upstream_is_told() {
    let (arrived, slow_arrives) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let gate = Mutex::new(gate);
    let old = Upstream::start(move |query, _| {
        if query[13..].starts_with(b"slow") {
            arrived.send(()).unwrap();
            gate.lock().unwrap().recv_timeout(PATIENCE).expect("the test asks for the reply");
        }
        Some(reply(query, 0, &[(1, 300, A)], &[], None))
    });
    let new = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 300, &[192, 0, 2, 77])], &[], None)));
    let server = Server::start(&Upstream::config(&[&old]).replace("300ms", "30s"), &[]);
    assert!(server.ask("kept.test", "A").text().contains("192.0.2.9"));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| server.ask("slow.test", "A").text());
        // That some query waits does not say that this one was asked: it might be read after the reload.
        slow_arrives.recv_timeout(PATIENCE).expect("the old upstream is asked");
        let path = server.folder.path().join("portcullis.toml");
        let before = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, before.replace(&old.addr.to_string(), &new.addr.to_string())).unwrap();
        server.signal("-HUP");
        let end = Instant::now() + PATIENCE;
        while !server.ask("kept.test", "A").text().contains("192.0.2.77") {
            assert!(Instant::now() < end, "the new upstream is asked after the reload");
            std::thread::yield_now();
        }
        // Does not join the one that still waits for the old server.
        assert!(server.ask("slow.test", "A").text().contains("192.0.2.77"));
        open.send(()).unwrap();
        // Who asked before the reload gets what was asked for.
        assert!(slow.join().unwrap().contains("192.0.2.9"));
        assert!(server.ask("slow.test", "A").text().contains("192.0.2.77"));
    });
}

#[test]
fn a_reply_that_no_library_can_read_is_no_silence() {
    // An OPT record with a name, which RFC 6891 forbids, twice.
    let upstream = Upstream::start(|query, _| {
        let mut bytes = reply(query, 0, &[(1, 300, A)], &[], None);
        bytes[11] = 2;
        bytes.extend(b"\x01x\0\0\x29\x04\xd0\0\0\0\0\0\0".repeat(2));
        Some(bytes)
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    for reply in [server.ask("a.test", "A"), server.ask_tcp("a.test", "A")] {
        assert!(["SERVFAIL", "NOERROR"].contains(&reply.status().as_str()), "{}", reply.text());
    }
}

/// Cases W12 (RFC 9520): what failed is remembered, each question for itself.
#[test]
fn a_question_that_fails_is_not_asked_again_at_once() {
    for rcode in [2u16, 5] {
        let failing = Upstream::start(move |query, _| Some(reply(query, rcode, &[], &[], None)));
        let server = Server::start(&Upstream::config(&[&failing]), &[]);
        let first = server.ask("a.test", "A").text();
        for _ in 0..9 {
            assert_eq!(server.ask("a.test", "A").text(), first);
        }
        // Once, and again after a second or more on a busy machine.
        assert!(failing.asked() < 5, "{} askings of {rcode}", failing.asked());
        let before = failing.asked();
        assert_eq!(server.ask("b.test", "A").text(), first);
        assert_eq!(failing.asked(), before + 1, "another question");
        // Switched off, each is asked.
        let config = format!("{}[cache]\nmax-failure = \"0s\"\n", Upstream::config(&[&failing]));
        let server = Server::start(&config, &[]);
        let before = failing.asked();
        for _ in 0..5 {
            server.ask("a.test", "A");
        }
        assert_eq!(failing.asked(), before + 5);
    }
}

/// One line when a server fails, one when it answers again; the metric says the same.
#[test]
fn a_failing_upstream_is_told_once_and_once_when_it_is_back() {
    let mute = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let heard = Arc::clone(&mute);
    let upstream = Upstream::start(move |query, _| {
        (!heard.load(Ordering::Relaxed)).then(|| reply(query, 0, &[(1, 0, A)], &[], None))
    });
    let config = format!("{}[metrics]\nlisten = \"127.0.0.1:0\"\n", Upstream::config(&[&upstream]));
    let server = Server::start(&config, &[]);
    let up = |value: u8| {
        until("the metric shows it", || {
            server.ask("a.test", "A");
            let line = format!("portcullis_upstream_up{{upstream=\"{}\"}} {value}\n", upstream.addr);
            server.metrics().contains(&line)
        });
    };
    up(0);
    mute.store(false, Ordering::Relaxed);
    up(1);
    assert_eq!(server.ask("b.test", "A").status(), "NOERROR");
}
