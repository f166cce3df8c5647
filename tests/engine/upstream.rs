//! The forwarder against mock upstreams on loopback that speak raw bytes.

// The helpers below are test code, though clippy does not take them for it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::disallowed_methods)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portcullis::dns::{Class, NameBuf, Qtype};
use portcullis::upstream::hickory::Bootstrap;
use portcullis::upstream::{Answer, Endpoint, Failure, Forwarder, Question, Server, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Long enough for an answer on a busy machine, where one is to come.
const PATIENT: Duration = Duration::from_secs(5);
/// For servers that keep silent.
const HASTY: Duration = Duration::from_millis(150);

const NOERROR: u8 = 0;
const FORMERR: u8 = 1;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;
const NOTIMP: u8 = 4;
const REFUSED: u8 = 5;
const TC: u8 = 0x02;

/// `192.0.2.1` for the name of the question.
const ADDRESS: &[u8] = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01";
/// The SOA of `example.org`, which the question's name must end in, 5 octets in.
const SOA: &[u8] = b"\xc0\x11\x00\x06\x00\x01\x00\x00\x0e\x10\x00\x20\x02ns\xc0\x11\x04host\xc0\x11\
    \x00\x00\x00\x01\x00\x00\x0e\x10\x00\x00\x02\x58\x00\x01\x51\x80\x00\x00\x01\x2c";
/// An OPT record with the extended error 15, Blocked, and its text "no".
const OPT_EDE: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x08\x00\x0f\x00\x04\x00\x0fno";

/// The octets of the header and the question.
fn question_of(query: &[u8]) -> &[u8] {
    let mut end = 12;
    while query[end] != 0 {
        end += 1 + usize::from(query[end]);
    }
    &query[..end + 5]
}

fn has_edns(query: &[u8]) -> bool {
    query[11] == 1
}

/// A reply with RD, RA and AD set, the further flags of `high`, and the records given.
fn reply(query: &[u8], high: u8, rcode: u8, answer: &[u8], authority: &[u8], additional: &[u8]) -> Vec<u8> {
    let mut bytes = question_of(query).to_vec();
    bytes[2] = 0x81 | high;
    bytes[3] = 0xa0 | rcode;
    for (at, section) in [(6, answer), (8, authority), (10, additional)] {
        bytes[at] = 0;
        bytes[at + 1] = u8::from(!section.is_empty());
        bytes.extend_from_slice(section);
    }
    bytes
}

fn good(query: &[u8]) -> Option<Vec<u8>> {
    Some(reply(query, 0, NOERROR, ADDRESS, b"", b""))
}

fn servfail(query: &[u8]) -> Option<Vec<u8>> {
    Some(reply(query, 0, SERVFAIL, b"", b"", b""))
}

fn silent(_: &[u8]) -> Option<Vec<u8>> {
    None
}

async fn udp(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    serve_udp(socket, answer);
    addr
}

fn serve_udp(socket: UdpSocket, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) {
    tokio::spawn(async move {
        let mut buf = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            if let Some(reply) = answer(&buf[..len]) {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
}

/// Answers `per_connection` queries on each connection and closes it; counts the connections.
fn serve_tcp(
    listener: TcpListener,
    per_connection: usize,
    answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Arc<AtomicUsize> {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let answer = answer.clone();
            tokio::spawn(async move {
                for _ in 0..per_connection {
                    let Some(query) = read_framed(&mut stream).await else { return };
                    let Some(reply) = answer(&query) else { continue };
                    if stream.write_all(&framed(&reply)).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    connections
}

/// The next message on a connection, unless it is closed.
async fn read_framed(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let len = stream.read_u16().await.ok()?;
    let mut query = vec![0; usize::from(len)];
    stream.read_exact(&mut query).await.ok()?;
    Some(query)
}

fn framed(reply: &[u8]) -> Vec<u8> {
    [&u16::try_from(reply.len()).unwrap().to_be_bytes()[..], reply].concat()
}

/// A UDP socket and a TCP listener on one port.
async fn both() -> (UdpSocket, TcpListener, SocketAddr) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        if let Ok(socket) = UdpSocket::bind(addr).await {
            return (socket, listener, addr);
        }
    }
}

/// An address where nothing listens, over UDP or TCP.
async fn dead() -> SocketAddr {
    both().await.2
}

fn forwarder(addrs: &[SocketAddr], timeout: Duration) -> Forwarder {
    Forwarder::new(addrs.iter().map(|&addr| Server::udp(addr.into())).collect(), timeout)
}

/// Waits for this, but not for ever.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(Duration::from_secs(30), future).await;
    waited.unwrap_or_else(|_| panic!("{what} did not come within 30 s"))
}

fn question(name: &str, qtype: u16) -> Question {
    Question {
        qname: NameBuf::from_text(name).unwrap(),
        qtype: Qtype(qtype),
        qclass: Class::IN,
        dnssec_ok: true,
        checking_disabled: false,
        authentic_data: false,
    }
}

async fn ask(forwarder: &Forwarder, name: &str, qtype: u16) -> Result<Answer, Failure> {
    within(name, forwarder.ask(&question(name, qtype))).await
}

/// Asks as the server does.
async fn begin(forwarder: &Arc<Forwarder>, name: &str) -> Result<Vec<u8>, Failure> {
    let (send, reply) = tokio::sync::oneshot::channel();
    let done = Box::new(move |reply: Result<&[u8], Failure>| {
        let _ = send.send(reply.map(<[u8]>::to_vec));
    });
    forwarder.clone().begin(question(name, 1), std::time::Instant::now(), done);
    within(name, reply).await.unwrap()
}

/// Asks `count` names at once as the server does; each must get the reply to its own.
async fn begin_at_once(forwarder: &Arc<Forwarder>, count: usize) {
    let asked = |i| {
        let forwarder = forwarder.clone();
        tokio::spawn(async move { begin(&forwarder, &format!("host{i:03}.example")).await })
    };
    for (i, task) in (0..count).map(asked).collect::<Vec<_>>().into_iter().enumerate() {
        let reply = task.await.unwrap().unwrap_or_else(|failure| panic!("host{i:03}: {failure}"));
        assert_eq!(reply[13..20], *format!("host{i:03}").as_bytes());
        assert!(reply.ends_with(ADDRESS));
    }
}

fn rcode(answer: &Answer) -> u8 {
    answer.bytes[3] & 0xf
}

fn counts(forwarder: &Forwarder) -> Vec<(u64, u64)> {
    forwarder.tallies().iter().map(|(_, tally)| (tally.answered(), tally.failed())).collect()
}

#[tokio::test]
async fn the_query_is_as_asked() {
    let (send, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let addr = udp(move |query| {
        send.send(query.to_vec()).unwrap();
        Some(reply(query, 0, NOERROR, b"", b"", b""))
    })
    .await;
    let forwarder = forwarder(&[addr], PATIENT);
    let name = portcullis::dns::Name::parse(b"\x03WwW\x04\x00\xff .\x00").unwrap();
    let mut question = Question {
        qname: name.to_buf(),
        qtype: Qtype(65280),
        qclass: Class(4711),
        dnssec_ok: true,
        checking_disabled: true,
        authentic_data: false,
    };
    within("the reply", forwarder.ask(&question)).await.unwrap();
    let query = within("the query", seen.recv()).await.unwrap();
    // RD and CD; one question, one additional record; the name's case kept; DO and 1232 octets.
    assert_eq!(
        query[2..],
        *b"\x01\x10\x00\x01\x00\x00\x00\x00\x00\x01\x03WwW\x04\x00\xff .\x00\xff\x00\x12\x67\
           \x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
    );
    question = Question { dnssec_ok: false, checking_disabled: false, authentic_data: true, ..question };
    within("the reply", forwarder.ask(&question)).await.unwrap();
    let query = within("the query", seen.recv()).await.unwrap();
    assert_eq!(query[2..4], [0x01, 0x20]);
    assert_eq!(query[query.len() - 4..], [0, 0, 0, 0]);
}

#[tokio::test]
async fn a_negative_reply_keeps_every_octet() {
    let (send, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let addr = udp(move |query| {
        let bytes = reply(query, 0, NXDOMAIN, b"", SOA, OPT_EDE);
        send.send(bytes.clone()).unwrap();
        Some(bytes)
    })
    .await;
    let forwarder = forwarder(&[addr], PATIENT);
    let answer = ask(&forwarder, "none.example.org", 1).await.unwrap();
    assert_eq!(Some(answer.bytes), within("the reply", sent.recv()).await);
    assert_eq!(counts(&forwarder), [(1, 0)]);
}

#[tokio::test]
async fn silence_moves_on_and_goes_last() {
    let quiet = udp(silent).await;
    let other = udp(good).await;
    let forwarder = forwarder(&[quiet, other], HASTY);
    assert_eq!(ask(&forwarder, "a.example", 1).await.unwrap().server, 1);
    assert_eq!(counts(&forwarder), [(0, 1), (1, 0)]);
    // The silent one is not asked first again.
    assert_eq!(ask(&forwarder, "b.example", 1).await.unwrap().server, 1);
    assert_eq!(counts(&forwarder), [(0, 1), (2, 0)]);
    let servers: Vec<_> = forwarder.tallies().iter().map(|(server, _)| server.to_string()).collect();
    assert_eq!(servers, [quiet.to_string(), other.to_string()]);
}

#[tokio::test]
async fn a_port_where_nothing_listens_costs_no_time() {
    // With a time-out of an hour, waiting for it would never end.
    let forwarder = forwarder(&[dead().await, udp(good).await], Duration::from_secs(3600));
    assert_eq!(ask(&forwarder, "a.example", 1).await.unwrap().server, 1);
}

#[tokio::test]
async fn a_server_failure_moves_on_without_a_penalty() {
    let forwarder = forwarder(&[udp(servfail).await, udp(good).await], PATIENT);
    for _ in 0..2 {
        let answer = ask(&forwarder, "a.example", 1).await.unwrap();
        assert_eq!((answer.server, rcode(&answer)), (1, NOERROR));
    }
    assert_eq!(counts(&forwarder), [(2, 0), (2, 0)]);
}

#[tokio::test]
async fn the_first_poor_reply_is_better_than_none() {
    let refused = udp(|query| Some(reply(query, 0, REFUSED, b"", b"", OPT_EDE))).await;
    let forwarder = forwarder(&[dead().await, refused, udp(servfail).await], PATIENT);
    let answer = ask(&forwarder, "a.example", 1).await.unwrap();
    assert_eq!((answer.server, rcode(&answer)), (1, REFUSED));
    assert!(answer.bytes.ends_with(OPT_EDE));
}

#[tokio::test]
async fn truncation_turns_to_tcp_and_the_connection_is_kept() {
    let (socket, listener, addr) = both().await;
    serve_udp(socket, |query| Some(reply(query, TC, NOERROR, b"", b"", b"")));
    let connections = serve_tcp(listener, usize::MAX, good);
    let forwarder = forwarder(&[addr], PATIENT);
    for _ in 0..3 {
        let answer = ask(&forwarder, "a.example", 1).await.unwrap();
        assert!(answer.bytes.ends_with(ADDRESS));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    assert_eq!(counts(&forwarder), [(3, 0)]);
}

/// TCP repeats by itself what is lost: a server that takes its time there gets no copies.
#[tokio::test]
async fn a_slow_answer_over_tcp_is_waited_for() {
    let (socket, listener, addr) = both().await;
    serve_udp(socket, |query| Some(reply(query, TC, NOERROR, b"", b"", b"")));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Some(query) = read_framed(&mut stream).await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(300)).await;
                if stream.write_all(&framed(&good(&query).unwrap())).await.is_err() {
                    break;
                }
            }
        }
    });
    let forwarder = Arc::new(forwarder(&[addr], PATIENT));
    for name in ["a.example", "b.example", "c.example"] {
        assert!(begin(&forwarder, name).await.unwrap().ends_with(ADDRESS), "{name}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert_eq!(counts(&forwarder), [(3, 0)]);
}

#[tokio::test]
async fn a_closed_connection_is_opened_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = serve_tcp(listener, 1, good);
    let forwarder = Forwarder::new(vec![Server::tcp(addr.into())], PATIENT);
    for _ in 0..4 {
        assert!(ask(&forwarder, "a.example", 1).await.unwrap().bytes.ends_with(ADDRESS));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 4);
    assert_eq!(counts(&forwarder), [(4, 0)]);
}

#[tokio::test]
async fn many_questions_share_one_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = serve_tcp(listener, usize::MAX, good);
    let forwarder = Forwarder::new(vec![Server::tcp(addr.into())], PATIENT);
    at_once(forwarder, 100).await;
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn twenty_questions_at_once() {
    at_once(forwarder(&[udp(good).await], PATIENT), 20).await;
}

/// Asks `count` names at once; each must get the reply to its own.
async fn at_once(forwarder: Forwarder, count: usize) {
    let forwarder = Arc::new(forwarder);
    let tasks: Vec<_> = (0..count)
        .map(|i| {
            let forwarder = forwarder.clone();
            tokio::spawn(async move { ask(&forwarder, &format!("host{i:03}.example"), 1).await.unwrap() })
        })
        .collect();
    for (i, task) in tasks.into_iter().enumerate() {
        let answer = task.await.unwrap();
        assert_eq!(answer.bytes[13..20], *format!("host{i:03}").as_bytes());
    }
    assert_eq!(counts(&forwarder), [(u64::try_from(count).unwrap(), 0)]);
}

#[tokio::test]
async fn nobody_answers() {
    let quiet = udp(silent).await;
    let asked = forwarder(&[quiet, udp(silent).await], HASTY);
    assert_eq!(ask(&asked, "a.example", 1).await, Err(Failure::Timeout));
    assert_eq!(counts(&asked), [(0, 1), (0, 1)]);

    let gone = dead().await;
    for addrs in [&[gone][..], &[quiet, gone]] {
        let Err(Failure::Network(text)) = ask(&forwarder(addrs, HASTY), "a.example", 1).await else {
            panic!("a network failure is due");
        };
        assert!(text.contains(&gone.to_string()) && text.contains("refused"), "{text}");
    }
    let tcp = Forwarder::new(vec![Server::tcp(gone.into())], HASTY);
    assert!(matches!(ask(&tcp, "a.example", 1).await, Err(Failure::Network(_))));

    assert_eq!(ask(&forwarder(&[], HASTY), "a.example", 1).await, Err(Failure::NoServers));
}

#[tokio::test]
async fn a_silent_tcp_server_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = serve_tcp(listener, usize::MAX, silent);
    let forwarder = Forwarder::new(vec![Server::tcp(addr.into())], HASTY);
    for _ in 0..2 {
        assert_eq!(ask(&forwarder, "a.example", 1).await, Err(Failure::Timeout));
    }
    // A connection on which time ran out is not used again.
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_type_nobody_knows_goes_through() {
    let record = b"\xc0\x0c\xff\x00\x00\x01\x00\x00\x00\x3c\x00\x03\x00\xff\x2e";
    let forwarder =
        forwarder(&[udp(|query| Some(reply(query, 0, NOERROR, record, b"", b""))).await], PATIENT);
    let answer = ask(&forwarder, "a.example", 65280).await.unwrap();
    assert!(answer.bytes.ends_with(record));
}

/// Cases W10: the questions that a closed connection leaves are asked again on another.
#[tokio::test]
async fn a_server_that_closes_after_each_reply_answers_all() {
    let (socket, listener, addr) = both().await;
    serve_udp(socket, |query| Some(reply(query, TC, NOERROR, b"", b"", b"")));
    let connections = serve_tcp(listener, 1, good);
    let truncated = Arc::new(forwarder(&[addr], PATIENT));
    begin_at_once(&truncated, 40).await;
    assert!(connections.load(Ordering::SeqCst) >= 40);
    let tcp = Arc::new(Forwarder::new(vec![Server::tcp(addr.into())], PATIENT));
    begin_at_once(&tcp, 40).await;
    assert_eq!(counts(&tcp), [(40, 0)]);
}

#[tokio::test]
async fn a_question_that_closes_connections_takes_no_others_with_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    serve_tcp(listener, usize::MAX, |query| {
        // The task ends and drops its connection.
        assert!(!query[13..].starts_with(b"poison"), "poison");
        good(query)
    });
    // With a time-out of an hour, waiting for it would never end.
    let forwarder = Arc::new(Forwarder::new(vec![Server::tcp(addr.into())], Duration::from_secs(3600)));
    for round in 0..4 {
        let poisoned = {
            let forwarder = forwarder.clone();
            tokio::spawn(async move { begin(&forwarder, &format!("poison{round}.example")).await })
        };
        begin_at_once(&forwarder, 20).await;
        let Err(Failure::Network(text)) = within("the failure", poisoned).await.unwrap() else {
            panic!("a network failure is due");
        };
        assert!(text.starts_with(&addr.to_string()), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_closes_every_connection_costs_no_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    serve_tcp(listener, 0, good);
    let closing = Arc::new(Forwarder::new(vec![Server::tcp(addr.into())], Duration::from_secs(3600)));
    let Err(Failure::Network(text)) = begin(&closing, "a.example").await else {
        panic!("a network failure is due");
    };
    assert!(text.starts_with(&addr.to_string()), "{text}");
    let servers = vec![Server::tcp(addr.into()), Server::udp(udp(good).await.into())];
    let both = Arc::new(Forwarder::new(servers, Duration::from_secs(3600)));
    assert!(begin(&both, "a.example").await.unwrap().ends_with(ADDRESS));
    assert_eq!(counts(&both), [(0, 1), (1, 0)]);
}

#[tokio::test]
async fn a_message_that_answers_nothing_is_passed_over() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let query = read_framed(&mut stream).await.unwrap();
        let mut others = [servfail(&query).unwrap(), servfail(&query).unwrap(), query.clone(), vec![0; 5]];
        others[0][13] = b'z';
        others[1][1] ^= 1;
        for message in others.into_iter().chain(good(&query)) {
            stream.write_all(&framed(&message)).await.unwrap();
        }
        // Open until the other side has read it all.
        let _ = read_framed(&mut stream).await;
    });
    let forwarder = Forwarder::new(vec![Server::tcp(addr.into())], PATIENT);
    let answer = ask(&forwarder, "a.example", 1).await.unwrap();
    assert!(answer.bytes.ends_with(ADDRESS));
}

/// As long as a message can be, in pieces of all lengths.
#[tokio::test]
async fn the_longest_reply_comes_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let long = |query: &[u8]| {
        let mut bytes = reply(query, 0, NOERROR, b"", b"", b"");
        let rest = 65_535 - bytes.len() - 12;
        let mut record = b"\xc0\x0c\xff\x00\x00\x01\x00\x00\x00\x3c".to_vec();
        record.extend(u16::try_from(rest).unwrap().to_be_bytes());
        record.resize(record.len() + rest, 7);
        bytes.extend(record);
        bytes[7] = 1;
        bytes
    };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        while let Some(query) = read_framed(&mut stream).await {
            for (i, piece) in framed(&long(&query)).chunks(4999).enumerate() {
                let (first, second) = piece.split_at(i.min(piece.len()));
                stream.write_all(first).await.unwrap();
                tokio::task::yield_now().await;
                stream.write_all(second).await.unwrap();
            }
        }
    });
    let forwarder = Forwarder::new(vec![Server::tcp(addr.into())], PATIENT);
    for _ in 0..2 {
        let answer = ask(&forwarder, "a.example", 65_280).await.unwrap();
        assert_eq!(answer.bytes[2..], long(&answer.bytes)[2..]);
    }
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let seen = AtomicUsize::new(0);
    let lossy = udp(move |query| {
        // What is asked first is a try in passing; then each question is sent up to three times.
        if seen.fetch_add(1, Ordering::SeqCst).is_multiple_of(3) { None } else { good(query) }
    })
    .await;
    let forwarder = Arc::new(forwarder(&[lossy], Duration::from_millis(600)));
    for name in ["a.example", "b.example", "c.example"] {
        assert!(ask(&forwarder, name, 1).await.unwrap().bytes.ends_with(ADDRESS));
        assert!(begin(&forwarder, name).await.unwrap().ends_with(ADDRESS));
    }
}

/// Cases W14.
#[tokio::test]
async fn every_sign_that_edns_is_not_known_leads_to_a_question_without_it() {
    // BADVERS has its upper bits in an OPT record.
    let badvers = b"\x00\x00\x29\x04\xd0\x01\x00\x00\x00\x00\x00";
    for (code, additional) in [(FORMERR, &b""[..]), (NOTIMP, b""), (NOERROR, badvers)] {
        let old = move |query: &[u8]| {
            if has_edns(query) { Some(reply(query, 0, code, b"", b"", additional)) } else { good(query) }
        };
        let (socket, listener, addr) = both().await;
        serve_udp(socket, old);
        serve_tcp(listener, usize::MAX, old);
        for server in [Server::udp(addr.into()), Server::tcp(addr.into())] {
            let forwarder = Arc::new(Forwarder::new(vec![server], PATIENT));
            assert!(begin(&forwarder, "a.example").await.unwrap().ends_with(ADDRESS), "{code}");
            assert!(ask(&forwarder, "b.example", 1).await.unwrap().bytes.ends_with(ADDRESS), "{code}");
            assert_eq!(counts(&forwarder), [(2, 0)], "{code}");
        }
    }
    // What it says without EDNS too is its answer.
    let stubborn = udp(|query| Some(reply(query, 0, NOTIMP, b"", b"", b""))).await;
    let forwarder = Arc::new(forwarder(&[stubborn], PATIENT));
    assert_eq!(begin(&forwarder, "a.example").await.unwrap()[3] & 0xf, NOTIMP);
}

/// A server that knows the addresses of one host; counts the questions for A.
async fn hosts(addresses: &'static [[u8; 4]], ttl: u8) -> (SocketAddr, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let addr = udp(move |query| {
        if !query[12..].to_ascii_lowercase().starts_with(b"\x03dns\x07example\0\0\x01") {
            return Some(reply(query, 0, NXDOMAIN, b"", b"", b""));
        }
        count.fetch_add(1, Ordering::SeqCst);
        let mut bytes = reply(query, 0, NOERROR, b"", b"", b"");
        bytes[7] = u8::try_from(addresses.len()).unwrap();
        for address in addresses {
            bytes.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00");
            bytes.extend([ttl, 0, 4]);
            bytes.extend(address);
        }
        Some(bytes)
    })
    .await;
    (addr, asked)
}

fn by_name(name: &str, port: u16, bootstrap: SocketAddr, timeout: Duration) -> Arc<Forwarder> {
    let at = Endpoint::Host { name: NameBuf::from_text(name).unwrap(), port };
    let bootstrap = Arc::new(Bootstrap::new(vec![bootstrap]));
    Arc::new(Forwarder::with_bootstrap(vec![Server::udp(at)], timeout, &bootstrap))
}

#[tokio::test]
async fn a_server_given_by_name_is_found_once() {
    let server = udp(good).await;
    let (bootstrap, asked) = hosts(&[[127, 0, 0, 1]], 60).await;
    let forwarder = by_name("dns.example", server.port(), bootstrap, PATIENT);
    begin_at_once(&forwarder, 20).await;
    assert!(ask(&forwarder, "a.example", 1).await.unwrap().bytes.ends_with(ADDRESS));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(forwarder.tallies()[0].0.to_string(), format!("dns.example:{}", server.port()));
    assert_eq!(counts(&forwarder), [(21, 0)]);
}

#[tokio::test]
async fn the_next_address_of_a_name_is_asked_when_one_fails() {
    let server = udp(good).await;
    // Nothing listens at the second and third address.
    let (bootstrap, _) = hosts(&[[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 1]], 60).await;
    let forwarder = by_name("dns.example", server.port(), bootstrap, PATIENT);
    for _ in 0..3 {
        if begin(&forwarder, "a.example").await.is_ok() {
            return;
        }
    }
    panic!("the third address was not asked");
}

#[tokio::test]
async fn a_server_whose_name_has_no_address_is_a_failure_with_a_reason() {
    let (bootstrap, _) = hosts(&[], 60).await;
    for (name, why) in [
        ("other.example", "other.example:53: no address was found"),
        ("dns.example", "dns.example:53: no address was found"),
    ] {
        let forwarder = by_name(name, 53, bootstrap, PATIENT);
        for _ in 0..2 {
            let Err(Failure::Network(text)) = begin(&forwarder, "a.example").await else {
                panic!("a network failure is due");
            };
            assert!(text.starts_with(why), "{text}");
        }
    }
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without_it() {
    let whole =
        udp(
            |query| {
                if has_edns(query) { Some(reply(query, 0, FORMERR, b"", b"", b"")) } else { good(query) }
            },
        )
        .await;
    let bare = udp(|query| {
        if !has_edns(query) {
            return good(query);
        }
        let mut bytes = query[..12].to_vec();
        bytes[2..].copy_from_slice(&[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]);
        Some(bytes)
    })
    .await;
    for addr in [whole, bare] {
        let forwarder = forwarder(&[addr], PATIENT);
        let answer = ask(&forwarder, "a.example", 1).await.unwrap();
        assert!(answer.bytes.ends_with(ADDRESS));
        assert_eq!(counts(&forwarder), [(1, 0)]);
    }
}

#[tokio::test]
async fn a_reply_that_is_none_counts_as_failure() {
    // Another name, another type: passed over, so that who waits goes on waiting (RFC 5452 §9.1).
    for (at, value) in [(13, b'z'), (24, 28)] {
        let wrong = move |query: &[u8]| {
            let mut bytes = reply(query, 0, NOERROR, b"", b"", b"");
            bytes[at] = value;
            Some(bytes)
        };
        let (socket, listener, addr) = both().await;
        serve_udp(socket, wrong);
        serve_tcp(listener, usize::MAX, wrong);
        let first = forwarder(&[addr, udp(good).await], HASTY);
        assert_eq!(ask(&first, "a.example", 1).await.unwrap().server, 1);
        assert_eq!(counts(&first), [(0, 1), (1, 0)]);
        let tcp = Forwarder::new(vec![Server::tcp(addr.into())], HASTY);
        assert_eq!(ask(&tcp, "a.example", 1).await, Err(Failure::Timeout));
    }
    // An answer section that is cut off.
    let short = udp(|query| {
        let mut bytes = reply(query, 0, NOERROR, ADDRESS, b"", b"");
        bytes.truncate(bytes.len() - 2);
        Some(bytes)
    })
    .await;
    let forwarder = forwarder(&[short, udp(good).await], PATIENT);
    assert_eq!(ask(&forwarder, "a.example", 1).await.unwrap().server, 1);
}

#[tokio::test]
async fn case_may_differ_in_the_reply() {
    let shouting = udp(|query| {
        let mut bytes = reply(query, 0, NOERROR, ADDRESS, b"", b"");
        bytes[12..23].make_ascii_uppercase();
        Some(bytes)
    })
    .await;
    assert!(ask(&forwarder(&[shouting], PATIENT), "a.example", 1).await.is_ok());
}

//--- Fair judgement

/// A UDP server whose behaviour is a function of the query's number and octets; what it returns is sent
/// after that long.
async fn slow(
    answer: impl Fn(usize, &[u8]) -> Option<(Duration, Vec<u8>)> + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let addr = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut buf = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let Some((delay, reply)) = answer(number, &buf[..len]) else { continue };
            let socket = socket.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = socket.send_to(&reply, from).await;
            });
        }
    });
    (addr, asked)
}

/// The server takes four or eight tenths of the time limit: every question is answered, and few are sent
/// twice.
#[tokio::test]
async fn slow_is_not_dead() {
    let timeout = Duration::from_millis(1500);
    let case = async |part, servers| {
        let (addr, asked) = slow(move |_, query| Some((timeout * part / 10, good(query)?))).await;
        let slow = Arc::new(forwarder(&vec![addr; servers], timeout));
        begin_at_once(&slow, 100).await;
        // With another server, each is asked there too while the time of the first one is not known.
        let packets = asked.load(Ordering::SeqCst);
        assert!(packets <= 50 + 100 * servers, "{packets} packets for 100 questions, {servers} servers");
        begin_at_once(&slow, 100).await;
        let more = asked.load(Ordering::SeqCst) - packets;
        assert!(more <= 150, "{more} packets for 100 questions, {servers} servers");
    };
    tokio::join!(case(4, 1), case(8, 1), case(8, 2));
}

/// A third of all packets are lost, and all questions are answered.
#[tokio::test]
async fn loss_is_made_up_for() {
    let (addr, _) =
        slow(|number, query| (number % 10 >= 3).then(|| (Duration::ZERO, good(query).unwrap()))).await;
    let lossy = Arc::new(forwarder(&[addr], Duration::from_secs(10)));
    for round in 0..20 {
        begin_at_once(&lossy, 10 + round).await;
    }
}

/// Sends what the network would report if the port were closed: the kernel of this machine does that for a
/// port of ours that has gone.
#[tokio::test]
async fn a_port_that_comes_and_goes_loses_nothing() {
    let addr = dead().await;
    let refused = Arc::new(forwarder(&[addr], PATIENT));
    // Refused at once, then answered, as when the server starts again.
    let first = begin(&refused, "a.example").await;
    assert!(matches!(first, Err(Failure::Network(_))), "{first:?}");
    let socket = UdpSocket::bind(addr).await.unwrap();
    serve_udp(socket, good);
    begin_at_once(&refused, 50).await;
    assert!(refused.tallies()[0].1.is_up());
}

#[tokio::test]
async fn a_server_that_fails_is_told_and_asked_last_and_comes_back() {
    let mute = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let heard = mute.clone();
    let (addr, asked) =
        slow(move |_, query| (!heard.load(Ordering::SeqCst)).then(|| (Duration::ZERO, good(query).unwrap())))
            .await;
    let both = Arc::new(forwarder(&[addr, udp(good).await], HASTY));
    let is_up = |server: usize| both.tallies()[server].1.is_up();
    assert!(begin(&both, "a.example").await.is_ok());
    within("the failure", async {
        while is_up(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(is_up(1));
    let before = asked.load(Ordering::SeqCst);
    begin_at_once(&both, 50).await;
    // Probes at most.
    assert!(asked.load(Ordering::SeqCst) <= before + 6);
    assert_eq!(both.revivals(), 0);
    mute.store(false, Ordering::SeqCst);
    within("the recovery", async {
        while !is_up(0) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(both.revivals(), 1);
    let before = asked.load(Ordering::SeqCst);
    begin_at_once(&both, 50).await;
    assert_eq!(asked.load(Ordering::SeqCst), before + 50);
}

/// A server is not condemned for names that nobody can answer.
#[tokio::test]
async fn names_that_nobody_answers_say_nothing_about_the_server() {
    let (addr, _) =
        slow(|_, query| (!query[13..].starts_with(b"lost")).then(|| (Duration::ZERO, good(query).unwrap())))
            .await;
    let only = Arc::new(forwarder(&[addr], Duration::from_secs(1)));
    let lost: Vec<_> = (0..300)
        .map(|i| {
            let only = only.clone();
            tokio::spawn(async move { begin(&only, &format!("lost{i}.example")).await })
        })
        .collect();
    for round in 0..10 {
        begin_at_once(&only, 10).await;
        assert!(only.tallies()[0].1.is_up(), "round {round}");
    }
    for task in lost {
        assert_eq!(task.await.unwrap(), Err(Failure::Timeout));
    }
}

#[tokio::test]
async fn a_known_answer_is_not_withheld_for_a_silent_server() {
    // With a time-out of an hour, waiting for it would never end.
    let quiet = udp(silent).await;
    let two = Arc::new(forwarder(&[udp(servfail).await, quiet], Duration::from_secs(3600)));
    let reply = begin(&two, "a.example").await.unwrap();
    assert_eq!(reply[3] & 0xf, SERVFAIL);
    let two = Arc::new(forwarder(&[quiet, udp(good).await], Duration::from_secs(3600)));
    assert!(begin(&two, "a.example").await.unwrap().ends_with(ADDRESS));
}

#[tokio::test]
async fn questions_in_flight_have_ports_of_their_own() {
    let ports = Arc::new(std::sync::Mutex::new(std::collections::HashSet::new()));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let seen = ports.clone();
    tokio::spawn(async move {
        let mut buf = [0; 4096];
        let mut waiting = Vec::new();
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            seen.lock().unwrap().insert(from.port());
            waiting.push((buf[..len].to_vec(), from));
            if waiting.len() == 40 {
                for (query, from) in waiting.drain(..) {
                    let _ = socket.send_to(&good(&query).unwrap(), from).await;
                }
            }
        }
    });
    let forwarder = Arc::new(forwarder(&[addr], Duration::from_secs(60)));
    begin_at_once(&forwarder, 40).await;
    let ports = ports.lock().unwrap();
    assert!(ports.len() >= 30, "{} ports for 40 questions", ports.len());
    // From the whole range: the chance that all are in the kernel's is one in 10^10.
    assert!(ports.iter().any(|port| !(32_768..61_000).contains(port)), "{ports:?}");
}

/// Guesses do not keep a question from its answer, and are counted.
#[tokio::test]
async fn who_guesses_gets_nothing() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let ports = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = ports.clone();
    tokio::spawn(async move {
        let mut buf = [0; 4096];
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            let first = seen.lock().unwrap().is_empty();
            seen.lock().unwrap().push(from.port());
            let reply = good(&buf[..len]).unwrap();
            if first {
                for guess in 1..=20u16 {
                    let mut forged = reply.clone();
                    forged[..2]
                        .copy_from_slice(&(u16::from_be_bytes([reply[0], reply[1]]) ^ guess).to_be_bytes());
                    let _ = socket.send_to(&forged, from).await;
                }
            } else {
                let _ = socket.send_to(&reply, from).await;
            }
        }
    });
    let forwarder = Arc::new(forwarder(&[addr], Duration::from_secs(3600)));
    assert!(begin(&forwarder, "a.example").await.unwrap().ends_with(ADDRESS));
    assert_eq!(forwarder.tallies()[0].1.unwanted(), 20);
    let ports = ports.lock().unwrap();
    assert!(ports.len() == 2 && ports[0] != ports[1], "{ports:?}");
}

#[tokio::test]
async fn mixed_case_has_to_come_back() {
    let (socket, listener, addr) = both().await;
    serve_udp(socket, |query| {
        let mut lower = query.to_vec();
        lower[12..].make_ascii_lowercase();
        good(&lower)
    });
    serve_tcp(listener, usize::MAX, good);
    let name = "averylongnamewithmanyletters.example";
    let mixed = Arc::new(forwarder(&[addr], PATIENT).mixing_case(true));
    // Over UDP the case is lost, so TCP has the answer.
    assert!(begin(&mixed, name).await.unwrap().ends_with(ADDRESS));
    let keeps = Arc::new(forwarder(&[udp(good).await], PATIENT).mixing_case(true));
    let reply = begin(&keeps, name).await.unwrap();
    assert!(reply.ends_with(ADDRESS));
    assert!(reply[12..].iter().any(u8::is_ascii_uppercase));
}

/// What can't be relayed is asked of the next server, and is an error if there is none.
#[tokio::test]
async fn replies_that_are_wrong_are_not_relayed() {
    let wrong: [(&str, &[u8]); 4] = [
        ("a three-octet address", b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x03\xc0\x00\x02"),
        ("a pointer to itself", b"\xc0\x1b\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"),
        ("a pointer forwards", b"\xc0\x20\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"),
        ("another owner", b"\x01z\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x01"),
    ];
    for (what, record) in wrong {
        let answer = move |query: &[u8]| Some(reply(query, 0, NOERROR, record, b"", b""));
        let (socket, listener, addr) = both().await;
        serve_udp(socket, answer);
        serve_tcp(listener, usize::MAX, answer);
        let alone = Arc::new(forwarder(&[addr], PATIENT));
        let Err(Failure::Network(text)) = begin(&alone, "a.example").await else { panic!("{what}") };
        assert!(text.starts_with(&addr.to_string()), "{text}");
        let both = Arc::new(forwarder(&[addr, udp(good).await], PATIENT));
        assert!(begin(&both, "a.example").await.unwrap().ends_with(ADDRESS), "{what}");
    }
    // What does not belong to the answer is removed from it.
    let extra = b"\x04bank\x07example\x00\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc0\x00\x02\x07";
    let addr = udp(move |query| Some(reply(query, 0, NOERROR, ADDRESS, b"", extra))).await;
    let cleaned = begin(&Arc::new(forwarder(&[addr], PATIENT)), "a.example").await.unwrap();
    assert!(cleaned.ends_with(ADDRESS) && cleaned[11] == 0);
}

/// What a server does not understand is not sent to it again and again.
#[tokio::test]
async fn a_server_without_edns_is_remembered() {
    let (addr, asked) = slow(|_, query| {
        let bytes = if has_edns(query) { reply(query, 0, NOTIMP, b"", b"", b"") } else { good(query)? };
        Some((Duration::ZERO, bytes))
    })
    .await;
    let old = Arc::new(forwarder(&[addr], PATIENT));
    for _ in 0..5 {
        assert!(begin(&old, "a.example").await.unwrap().ends_with(ADDRESS));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 6);
}

/// One FORMERR does not take EDNS, and with it DNSSEC, from the questions that follow.
#[tokio::test]
async fn a_server_with_edns_keeps_getting_it() {
    for rcode in [FORMERR, NOTIMP] {
        let (send, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let addr = udp(move |query| {
            // The name, and whether there is an OPT record with the DO bit.
            let with_do = has_edns(query) && query[query.len() - 4] == 0x80;
            send.send((query[13], with_do)).unwrap();
            Some(match (query[13], has_edns(query)) {
                (b'f', true) => reply(query, 0, rcode, b"", b"", b""),
                (_, true) => reply(query, 0, NOERROR, ADDRESS, b"", OPT_EDE),
                (_, false) => good(query)?,
            })
        })
        .await;
        let server = Arc::new(forwarder(&[addr], PATIENT));
        for name in ["a.example", "f.example", "b.example", "f.example"] {
            assert_eq!(begin(&server, name).await.unwrap()[3] & 0xf, NOERROR, "{name}");
        }
        let mut queries = Vec::new();
        while let Ok(query) = seen.try_recv() {
            queries.push(query);
        }
        // A query that is late on a busy machine is sent again.
        queries.dedup();
        let expected = [(b'a', true), (b'f', true), (b'f', false), (b'b', true), (b'f', true), (b'f', false)];
        assert_eq!(queries, expected);
    }
}
