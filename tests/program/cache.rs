//! The cache, and what happens when the upstreams fail or too many wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::common::{PATIENCE, SILENCE, Server, Upstream, exchange, find, question, reply, soa, until};

const A: &[u8] = &[192, 0, 2, 9];

/// An upstream whose replies live for a second; told to, it answers SERVFAIL or not at all.
fn moody() -> (Upstream, Arc<AtomicU8>) {
    let mood = Arc::new(AtomicU8::new(0));
    let heard = Arc::clone(&mood);
    let upstream = Upstream::start(move |query, _| match heard.load(Ordering::Relaxed) {
        0 if query[13..].starts_with(b"gone") => Some(reply(query, 3, &[], &[(6, 1, &soa(1))], None)),
        0 => Some(reply(query, 0, &[(1, 1, A)], &[], None)),
        1 => Some(reply(query, 2, &[], &[], None)),
        _ => None,
    });
    (upstream, mood)
}

/// Asks until the reply says that it is stale.
fn stale(server: &Server, name: &str) -> String {
    find("a stale answer", || Some(server.ask(name, "A").text()).filter(|text| text.contains("EDE: ")))
}

#[test]
fn what_has_expired_is_served_while_the_upstreams_fail() {
    for mode in [1, 2] {
        let (upstream, mood) = moody();
        let config = Upstream::config(&[&upstream]);
        let server = Server::start(&format!("{config}[cache]\nstale-after = \"200ms\"\n"), &[]);
        server.ask("kept.test", "A");
        server.ask("gone.test", "A");
        mood.store(mode, Ordering::Relaxed);
        let expected = "status: NOERROR, flags: qr rd ra\nEDE: 3 (Stale Answer)\n\
                        answer     kept.test. 30 IN A 192.0.2.9\n";
        assert_eq!(stale(&server, "kept.test"), expected);
        let denied = stale(&server, "gone.test");
        assert!(denied.starts_with("status: NXDOMAIN, flags: qr rd ra\nEDE: 19 (Stale NXDOMAIN"), "{denied}");
        assert!(denied.contains("gone.test. 30 IN SOA"), "{denied}");
        // Once the failure is known, nobody is asked for a while.
        let mut asked = upstream.asked();
        until("nobody is asked", || {
            assert_eq!(server.ask("kept.test", "A").text(), expected);
            let before = std::mem::replace(&mut asked, upstream.asked());
            before == asked
        });
        // What was never asked has no stale answer.
        assert_eq!(server.ask("new.test", "A").status(), "SERVFAIL");
    }
}

#[test]
fn serving_stale_can_be_switched_off() {
    let (upstream, mood) = moody();
    let config = Upstream::config(&[&upstream]);
    let server = Server::start(&format!("{config}[cache]\nmax-stale = \"0s\"\n"), &[]);
    server.ask("kept.test", "A");
    mood.store(1, Ordering::Relaxed);
    until("the entry expires", || server.ask("kept.test", "A").status() != "NOERROR");
    assert_eq!(server.ask("kept.test", "A").text(), "status: SERVFAIL, flags: qr rd ra\n");
}

#[test]
fn too_many_that_wait_are_shed_and_others_do_not_notice() {
    for (when_full, shed) in [("servfail", true), ("drop", false)] {
        let (upstream, mood) = moody();
        let config = Upstream::config(&[&upstream]).replace("300ms", "30s");
        let config = format!(
            "{config}max-waiting = 8\nwhen-full = \"{when_full}\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n\
             [[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n[[zone]]\norigin = \"z.test\"\nfile = \"z\"\n"
        );
        let server =
            Server::start(&config, &[("z", "@ 60 IN SOA ns. host. 1 2 3 4 5\n@ 60 IN A 192.0.2.4\n")]);
        assert_eq!(server.ask("long.test", "A").status(), "NOERROR");
        mood.store(2, Ordering::Relaxed);
        let flood = |name: &str| exchange(server.dns, &question(name, "A"), SILENCE);
        // Names of one domain get a quarter of the places.
        for name in ["a.one.example", "B.ONE.example"] {
            assert!(flood(name).is_none());
        }
        let turned_away =
            |name: &str| exchange(server.dns, &question(name, "A"), if shed { PATIENCE } else { SILENCE });
        let third = turned_away("c.one.example");
        if shed {
            let text = third.unwrap().text();
            assert!(text.starts_with("status: SERVFAIL"), "{text}");
            assert!(text.contains("EDE: 23 (Network Error): too many queries are waiting"), "{text}");
        } else {
            assert!(third.is_none());
        }
        // What is counted is counted after the reply has left.
        let counts = |what: &str| until(what, || server.metrics().contains(&format!("{what}\n")));
        counts("portcullis_queries_waiting 2");
        for n in 3..=8 {
            assert!(flood(&format!("x.n{n}.example")).is_none());
        }
        counts("portcullis_queries_waiting 8");
        assert_eq!(turned_away("one.more.example").is_some(), shed);
        counts("portcullis_answered_by_total{step=\"shed\"} 2");
        assert_eq!(server.ask("www.blocked.test", "A").status(), "NXDOMAIN");
        assert_eq!(server.ask("z.test", "A").status(), "NOERROR");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn on_a_wildcard_address_the_reply_comes_from_the_address_that_was_asked() {
    let (upstream, _) = moody();
    let config = format!(
        "listen = [\"0.0.0.0:0\"]\n{}[[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n",
        Upstream::config(&[&upstream])
    );
    let server = Server::start(&config, &[]);
    for address in ["127.0.0.1", "127.0.0.9"] {
        let address = format!("{address}:{}", server.dns.port()).parse().unwrap();
        // `exchange` holds that the reply comes from where the question went; the second answer comes
        // by way of the upstream.
        for (name, status) in [("blocked.test", "NXDOMAIN"), ("a.test", "NOERROR")] {
            let reply = exchange(address, &question(name, "A"), crate::common::PATIENCE).expect("a reply");
            assert_eq!(reply.status(), status);
        }
    }
}

/// A newer reply takes the place of the one kept even if it may not be kept itself (RFC 8767 §4).
#[test]
fn what_the_upstream_has_taken_back_is_not_served_stale() {
    let mood = Arc::new(AtomicU8::new(0));
    let heard = Arc::clone(&mood);
    let upstream = Upstream::start(move |query, _| match heard.load(Ordering::Relaxed) {
        0 => Some(reply(query, 0, &[(1, 1, A)], &[], None)),
        // Without a SOA: may not be kept.
        1 => Some(reply(query, 3, &[], &[], None)),
        _ => Some(reply(query, 2, &[], &[], None)),
    });
    let server = Server::start(&Upstream::config(&[&upstream]), &[]);
    assert_eq!(server.ask("kept.test", "A").status(), "NOERROR");
    mood.store(1, Ordering::Relaxed);
    until("the entry expires", || server.ask("kept.test", "A").status() == "NXDOMAIN");
    mood.store(2, Ordering::Relaxed);
    assert_eq!(server.ask("kept.test", "A").status(), "SERVFAIL");
}
