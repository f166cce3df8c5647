//! Who is answered, how often, and with which cookie.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis::dns::{Cookie, CookieSecret, OPTION_COOKIE, Standing};

use crate::common::{PATIENCE, Reply, Server, Upstream, question, reply, until, without_edns};

/// Type, TTL, RDATA.
type Answers<'a> = &'a [(u16, u32, &'a [u8])];

const ONE: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const TWO: &str = "445536bcd2513298075a5d379663c962";
const CLIENT: &[u8] = b"\x24\x64\xc4\xab\xcf\x10\xc9\x57";

/// A query with a COOKIE option.
fn with_cookie(mut packet: Vec<u8>, cookie: &[u8]) -> Vec<u8> {
    let end = packet.len();
    let len = u16::try_from(cookie.len()).unwrap();
    packet[end - 2..].copy_from_slice(&(len + 4).to_be_bytes());
    packet.extend(OPTION_COOKIE.to_be_bytes());
    packet.extend(len.to_be_bytes());
    packet.extend(cookie);
    packet
}

/// The COOKIE options of a reply.
fn cookies(reply: &Reply) -> Vec<Vec<u8>> {
    let message = reply.message();
    let options = message.edns().into_iter().flat_map(|edns| edns.options().collect::<Vec<_>>());
    options.filter(|(code, _)| *code == OPTION_COOKIE).map(|(_, data)| data.to_vec()).collect()
}

/// What a server with this secret says about a cookie.
fn standing(cookie: &[u8], secret: &str) -> Standing {
    let secret = u128::from_str_radix(secret, 16).unwrap().to_be_bytes();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Cookie::parse(cookie).unwrap().check(&[CookieSecret::new(secret)], client, now).0
}

fn upstream() -> Upstream {
    Upstream::start(|query, _| {
        // What an upstream says about cookies is between it and whoever asked it.
        let options = b"\0\x0a\0\x08upstream";
        let silent = query.windows(7).any(|w| w == b"\x06refuse");
        let (flags, answers): (u16, Answers<'_>) =
            if silent { (5, &[]) } else { (0, &[(1, 300, &[192, 0, 2, 9])]) };
        Some(reply(query, flags, answers, &[], Some(options)))
    })
}

/// Queries of every kind, and the response codes.
const KINDS: [(&str, &str, &str); 10] = [
    ("blocked.test", "A", "NXDOMAIN"),
    ("alias.test", "A", "NOERROR"),
    ("open.test", "A", "NOERROR"),
    ("open.test", "A", "NOERROR"),
    ("refuse.test", "A", "REFUSED"),
    ("www.z.test", "A", "NOERROR"),
    ("out.z.test", "A", "NOERROR"),
    ("localhost", "A", "NOERROR"),
    ("open.test", "AXFR", "REFUSED"),
    ("open.test", "OPT", "FORMERR"),
];

fn config(server: &str, upstream: &Upstream) -> String {
    format!(
        "{server}\n[metrics]\nlisten = \"127.0.0.1:0\"\n{}[[list]]\nname = \"l\"\nrules = [\"||blocked.test^\"]\n\
         [[list]]\nname = \"a\"\nrules = [\"||alias.test^\"]\naction = {{ cname = \"target.test\" }}\n\
         [[zone]]\norigin = \"z.test\"\nfile = \"z\"\n",
        Upstream::config(&[upstream])
    )
}

const ZONE: (&str, &str) =
    ("z", "@ 60 IN SOA ns host 1 2 3 4 5\nwww 60 IN A 192.0.2.4\nout 60 IN CNAME open.test.\n");

#[test]
fn every_reply_to_a_client_cookie_has_the_servers() {
    let upstream = upstream();
    let server = Server::start(&config(&format!("cookie-secrets = [\"{ONE}\"]"), &upstream), &[ZONE]);
    for (name, qtype, status) in KINDS {
        let ask = |cookie: &[u8]| with_cookie(question(name, qtype), cookie);
        for (way, first) in
            [("UDP", server.send(&ask(CLIENT)).unwrap()), ("TCP", server.send_tcp(&ask(CLIENT)).unwrap())]
        {
            assert_eq!(first.status(), status, "{name} {qtype} {way}");
            let [cookie] = cookies(&first).try_into().unwrap();
            assert_eq!(cookie[..8], *CLIENT, "{name} {qtype} {way}");
            assert_eq!(standing(&cookie, ONE), Standing::Valid, "{name} {qtype} {way}");
            // A good cookie stays; a bad one is replaced, and the query is answered all the same.
            let second = server.send(&ask(&cookie)).unwrap();
            assert_eq!(cookies(&second), std::slice::from_ref(&cookie), "{name} {qtype} {way}");
            let bad = server.send(&ask(&[&cookie[..23], b"\0"].concat())).unwrap();
            assert_eq!(bad.status(), status);
            let [cookie] = cookies(&bad).try_into().unwrap();
            assert_eq!(standing(&cookie, ONE), Standing::Valid);
        }
        let without = server.send(&question(name, qtype)).unwrap();
        assert_eq!((without.status(), cookies(&without)), (status.to_owned(), Vec::new()));
    }
    assert!(server.send(&without_edns(question("blocked.test", "A"))).unwrap().message().edns().is_none());
    let refuses = Server::start(&config("allow = [\"192.0.2.0/24\"]", &upstream), &[ZONE]);
    let refused = refuses.send(&with_cookie(question("www.z.test", "A"), CLIENT)).unwrap();
    assert_eq!((refused.status(), cookies(&refused).len()), ("REFUSED".into(), 1));
    let off = Server::start(&config("answer-cookie = false", &upstream), &[ZONE]);
    let reply = off.send(&with_cookie(question("www.z.test", "A"), CLIENT)).unwrap();
    assert_eq!((reply.status(), cookies(&reply)), ("NOERROR".into(), Vec::new()));
}

#[test]
fn a_cookie_of_a_wrong_length_is_a_format_error() {
    let upstream = upstream();
    let server = Server::start(&config("", &upstream), &[ZONE]);
    for len in [0, 1, 7, 9, 15, 16, 24, 40, 41, 100] {
        let packet = with_cookie(question("www.z.test", "A"), &vec![7; len]);
        let good = (16..=40).contains(&len);
        let status = if good { "NOERROR" } else { "FORMERR" };
        let reply = server.send(&packet).unwrap();
        assert_eq!((reply.status(), cookies(&reply).len()), (status.into(), usize::from(good)), "{len}");
        assert_eq!(server.send_tcp(&packet).unwrap().status(), status, "{len} over TCP");
    }
    // The first one counts.
    let mut two = with_cookie(question("www.z.test", "A"), CLIENT);
    let at = two.len() - 14;
    two[at..at + 2].copy_from_slice(&19_u16.to_be_bytes());
    two.extend(b"\0\x0a\0\x03bad");
    assert_eq!(server.send(&two).unwrap().status(), "NOERROR");
}

#[test]
fn secrets_are_shared_and_replaced_and_a_random_one_outlives_a_reload() {
    let upstream = upstream();
    let with = |secrets: &str| config(&format!("require-cookie = true\n{secrets}"), &upstream);
    let server = Server::start(&with(&format!("cookie-secrets = [\"{ONE}\"]")), &[ZONE]);
    let next = Server::start(&with(&format!("cookie-secrets = [\"{TWO}\", \"{ONE}\"]")), &[ZONE]);
    let last = Server::start(&with(&format!("cookie-secrets = [\"{TWO}\"]")), &[ZONE]);
    let random = Server::start(&with(""), &[ZONE]);
    let ask = |server: &Server, cookie: &[u8]| {
        let reply = server.send(&with_cookie(question("www.z.test", "A"), cookie)).unwrap();
        let [cookie] = cookies(&reply).try_into().unwrap();
        (reply.status(), cookie)
    };
    // Without a server cookie the client gets one, and an error.
    let (status, cookie) = ask(&server, CLIENT);
    assert_eq!(status, "BADCOOKIE");
    assert_eq!(ask(&server, &cookie), ("NOERROR".into(), cookie.clone()));
    // Who sends no cookie, or comes over TCP, need have none.
    assert_eq!(server.ask("www.z.test", "A").status(), "NOERROR");
    let tcp = server.send_tcp(&with_cookie(question("www.z.test", "A"), CLIENT)).unwrap();
    assert_eq!(tcp.status(), "NOERROR");
    // The old secret is accepted, and the reply has a cookie by the new one.
    let (status, renewed) = ask(&next, &cookie);
    assert_eq!((status.as_str(), standing(&renewed, TWO)), ("NOERROR", Standing::Valid));
    assert_eq!(ask(&last, &cookie).0, "BADCOOKIE");
    assert_eq!(ask(&last, &renewed), ("NOERROR".into(), renewed.clone()));
    assert_eq!(ask(&random, &renewed).0, "BADCOOKIE");

    let (_, cookie) = ask(&random, CLIENT);
    let path = random.folder.path().join("portcullis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("||blocked.test^", "||www.z.test^")).unwrap();
    random.signal("-HUP");
    until("the reload", || random.ask("www.z.test", "A").status() == "NXDOMAIN");
    assert_eq!(ask(&random, &cookie), ("NXDOMAIN".into(), cookie));
}

/// Sends so many queries with consecutive numbers from one socket, then one that must be answered; returns the
/// replies to the others.
fn flood(server: &Server, packet: &[u8], queries: u16, last: &[u8]) -> Vec<Reply> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let send = |packet: &[u8], id: u16| {
        let mut packet = packet.to_vec();
        packet[..2].copy_from_slice(&id.to_be_bytes());
        socket.send_to(&packet, server.dns).unwrap();
    };
    (0..queries).for_each(|id| send(packet, id));
    send(last, queries);
    let mut replies = Vec::new();
    loop {
        let mut out = [0; 4096];
        let len = socket.recv(&mut out).expect("the last query is answered");
        let reply = Reply(out[..len].to_vec());
        if out[..2] == queries.to_be_bytes() {
            assert_eq!(reply.status(), "NXDOMAIN", "the last query");
            return replies;
        }
        replies.push(reply);
    }
}

fn metric(server: &Server, name: &str) -> usize {
    let page = server.metrics();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{page}"))
}

#[test]
fn a_network_gets_no_more_replies_than_its_share_over_udp() {
    let upstream = upstream();
    let limited = "threads = 1\n[ratelimit]\nrate = 1\nburst = 10\nslip = 2\nexempt = []\n";
    let ask = || question("blocked.test", "A");
    for (what, packet, slipped) in
        [("plain", ask(), "NOERROR"), ("with a client cookie", with_cookie(ask(), CLIENT), "BADCOOKIE")]
    {
        let server = Server::start(&config(limited, &upstream), &[ZONE]);
        let [cookie] = cookies(&server.send_tcp(&with_cookie(ask(), CLIENT)).unwrap()).try_into().unwrap();
        let replies = flood(&server, &packet, 100, &with_cookie(ask(), &cookie));
        let whole = replies.iter().filter(|reply| reply.status() == "NXDOMAIN").count();
        let slips = replies.iter().filter(|reply| reply.status() == slipped).count();
        assert_eq!(whole + slips, replies.len(), "{what}");
        // A slow machine lets a token or two more pass.
        assert!((10..80).contains(&whole), "{what}: {whole}");
        assert!(slips >= (100 - whole) / 2 && slips <= (101 - whole) / 2, "{what}: {slips} of {whole}");
        for slip in replies.iter().filter(|reply| reply.status() == slipped) {
            let header = slip.message().header;
            assert_eq!((header.ancount, header.nscount), (0, 0), "{what}");
            assert!(slip.0.len() <= packet.len() + 16, "{what}: no more octets than asked, but a cookie");
            assert_eq!(slip.text().contains(" tc "), slipped == "NOERROR", "{what}: {}", slip.text());
        }
        assert_eq!(metric(&server, "portcullis_ratelimit_slipped_total"), slips, "{what}");
        assert_eq!(metric(&server, "portcullis_ratelimit_dropped_total"), 100 - whole - slips, "{what}");
        // Over TCP and with a valid cookie there is no limit.
        for _ in 0..20 {
            assert_eq!(server.ask_tcp("blocked.test", "A").status(), "NXDOMAIN");
            assert_eq!(server.send(&with_cookie(ask(), &cookie)).unwrap().status(), "NXDOMAIN");
        }
    }
}

#[test]
fn private_networks_have_no_limit_unless_told_and_refusals_have_one() {
    let upstream = upstream();
    let few = "threads = 1\n[ratelimit]\nrate = 1\nburst = 1\nslip = 0\n";
    let server = Server::start(&config(few, &upstream), &[ZONE]);
    assert_eq!(flood(&server, &question("blocked.test", "A"), 50, &question("blocked.test", "A")).len(), 50);
    // A client that may not ask: refused as often as the limit says.
    let config = config(&format!("allow = [\"192.0.2.0/24\"]\n{few}exempt = []\n"), &upstream);
    let server = Server::start(&config, &[ZONE]);
    assert_eq!(server.ask("blocked.test", "A").status(), "REFUSED");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    for _ in 0..50 {
        socket.send_to(&question("blocked.test", "A"), server.dns).unwrap();
    }
    until("refusals are limited", || metric(&server, "portcullis_ratelimit_dropped_total") >= 20);
}

#[test]
fn who_gets_no_recursion_gets_what_this_server_knows_itself() {
    let upstream = upstream();
    let of = |recursion: &str| {
        Server::start(&config(&format!("allow-recursion = [\"{recursion}\"]"), &upstream), &[ZONE])
    };
    let (server, open) = (of("192.0.2.0/24"), of("127.0.0.0/8"));
    assert_eq!(
        open.ask("open.test", "A").text(),
        "status: NOERROR, flags: qr rd ra\nanswer     open.test. 300 IN A 192.0.2.9\n"
    );
    let asked = upstream.asked();
    for (name, qtype, told) in [
        ("www.z.test", "A", "status: NOERROR, flags: qr aa rd\nanswer     www.z.test. 60 IN A 192.0.2.4\n"),
        (
            "out.z.test",
            "A",
            "status: NOERROR, flags: qr aa rd\nanswer     out.z.test. 60 IN CNAME open.test.\n",
        ),
        ("open.test", "A", "status: REFUSED, flags: qr rd\nEDE: 18 (Prohibited)\n"),
        ("open.test", "ANY", "status: REFUSED, flags: qr rd\nEDE: 18 (Prohibited)\n"),
        ("alias.test", "A", "CNAME target.test."),
        ("blocked.test", "A", "status: NXDOMAIN, flags: qr rd\n"),
        ("localhost", "A", "127.0.0.1"),
    ] {
        for reply in [server.ask(name, qtype), server.ask_tcp(name, qtype)] {
            assert!(reply.told().contains(told), "{name} {qtype}: {}", reply.told());
            assert!(
                !reply.told().lines().next().unwrap().ends_with(" ra"),
                "{name} {qtype}: {}",
                reply.told()
            );
        }
    }
    assert_eq!(upstream.asked(), asked, "nothing was forwarded");
}

#[test]
fn a_server_for_everybody_forwards_for_private_networks_alone() {
    let upstream = upstream();
    // This client is in a private network.
    let server = Server::start(&config("allow = [\"0.0.0.0/0\", \"::/0\"]", &upstream), &[ZONE]);
    assert_eq!(server.ask("open.test", "A").status(), "NOERROR");
}
