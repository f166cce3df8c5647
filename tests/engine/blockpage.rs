//! The block page over loopback, as browsers, scripts and clients that mean no good meet it.

// The helpers below are test code, though clippy does not take them for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portcullis::dns::NameBuf;
use portcullis::web::block_page::{Limits, Refusal, Site, Why, refuse_tls, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Long enough for an answer on a busy machine, where one is to come.
const PATIENT: Duration = Duration::from_secs(10);
/// For servers that are to lose patience.
const HASTY: Duration = Duration::from_millis(200);

/// `access_denied`, fatal, in a record of its own.
const ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 0x31];

fn own(name: &str) -> Refusal {
    Refusal {
        name: name.into(),
        list: "Advertising".into(),
        reason: Some("It follows <people> & \"tells\".".into()),
        authority: None,
        blocked_by: Some("https://library.example/".into()),
        since: None,
        contact: Vec::new(),
        organization: None,
        id: "7f3a".into(),
    }
}

fn legal(name: &str) -> Refusal {
    Refusal {
        name: name.into(),
        list: "register".into(),
        reason: Some("Decision 2-3491/2016 of 4 August 2016".into()),
        authority: Some("Roskomnadzor".into()),
        blocked_by: Some("https://isp.example/".into()),
        since: Some("2016-11-17".into()),
        contact: vec!["mailto:help@isp.example".into(), "https://isp.example/blocking".into()],
        organization: Some("Example ISP".into()),
        id: "9c41-22".into(),
    }
}

/// Blocks `own.test`, `legal.test` and what lies below, and a name for one client alone.
fn site(limits: Limits) -> Site {
    let why: Why = Arc::new(|client: IpAddr, name: &NameBuf| {
        let is_within = |text| name.as_name().is_within(NameBuf::from_text(text).unwrap().as_name());
        let text = name.to_string();
        match () {
            () if is_within("own.test") => Some(own(&text)),
            () if is_within("legal.test") || is_within("xn--bcher-kva.test") => Some(legal(&text)),
            () if is_within("local.test") && client == Ipv4Addr::LOCALHOST => Some(own(&text)),
            () => None,
        }
    });
    Site { why, operator: Some("Example Library".into()), limits, admits: Arc::new(|_| true) }
}

async fn start(limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, site(limits)));
    address
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|l| l.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What comes until the server closes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(PATIENT, stream.read_to_end(&mut bytes)).await.expect("the server did not close").unwrap();
    bytes
}

async fn send(address: SocketAddr, request: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    Reply::read(&rest(&mut stream).await)
}

async fn get(address: SocketAddr, host: &str, headers: &str) -> Reply {
    let request =
        format!("GET /some/page?x=1 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n");
    send(address, request.as_bytes()).await
}

/// One answer on a connection that stays open; its body must not be empty.
async fn ask(stream: &mut TcpStream, host: &str) -> Reply {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"}\n") {
        let n = timeout(PATIENT, stream.read_buf(&mut bytes)).await.expect("no answer").unwrap();
        assert_ne!(n, 0, "closed before the answer was whole");
    }
    Reply::read(&bytes)
}

#[tokio::test]
async fn each_gets_the_status_the_form_and_the_language_that_are_due() {
    let address = start(Limits::default()).await;
    let html = "text/html; charset=utf-8";
    let cases: &[(&str, &str, u16, &str, &[&str])] = &[
        (
            "own.test",
            "",
            403,
            html,
            &["<html lang=\"en\" dir=\"ltr\">", "This site is blocked", "own.test", "Advertising", "7f3a"],
        ),
        ("OWN.test:80", "Accept: */*\r\n", 403, html, &["own.test", "403 · Access refused"]),
        ("a.own.test.", "", 403, html, &["a.own.test", "contact the operator of this network"]),
        ("local.test", "", 403, html, &["local.test"]),
        (
            "legal.test",
            "Accept: text/html\r\nAccept-Language: en-GB,en;q=0.9\r\n",
            451,
            html,
            &[
                "451 · Unavailable for legal reasons",
                "Roskomnadzor",
                "Decision 2-3491/2016",
                "2016-11-17",
                "<a href=\"https://isp.example/\"><bdi>Example ISP</bdi></a>",
                "<a href=\"mailto:help@isp.example\"><bdi>help@isp.example</bdi></a>",
                "9c41-22",
            ],
        ),
        ("legal.test", "Accept-Language: zh, ru;q=0.8, en;q=0.7\r\n", 451, html, &["Сайт заблокирован"]),
        ("legal.test", "Accept-Language: de-CH\r\n", 451, html, &["<html lang=\"de\"", "Kennung"]),
        ("own.test", "Accept-Language: fr\r\n", 403, html, &["Ce site est bloqué"]),
        ("own.test", "Accept-Language: es-419\r\n", 403, html, &["Este sitio está bloqueado"]),
        (
            "legal.test",
            "Accept-Language: ar\r\n",
            451,
            html,
            &["<html lang=\"ar\" dir=\"rtl\">", "<bdi dir=\"ltr\">legal.test</bdi>"],
        ),
        (
            "xn--bcher-kva.test",
            "",
            451,
            html,
            &["<bdi>bücher.test</bdi> (<span dir=\"ltr\">xn--bcher-kva.test"],
        ),
        ("free.test", "", 404, html, &["This site is not blocked here", "free.test", "old answer"]),
        ("127.0.0.1:8080", "", 404, html, &["This is the block page of <bdi>Example Library</bdi>."]),
        ("[::1]", "Accept-Language: de\r\n", 404, html, &["Sperrseite"]),
        ("", "", 404, html, &["Block page"]),
        ("<script>alert(1)</script>.test", "", 400, html, &["Block page"]),
        ("own.test\r\nHost: free.test", "", 400, html, &["Block page"]),
        ("free.test", "Accept: application/json\r\n", 404, "application/json", &["\"name\":\"free.test\""]),
        ("192.0.2.1", "Accept: application/json\r\n", 404, "application/json", &["\"name\":null"]),
    ];
    for (host, headers, status, kind, phrases) in cases {
        let reply = get(address, host, headers).await;
        assert_eq!(reply.status, *status, "{host} {headers}");
        assert_eq!(reply.header("content-type"), Some(*kind), "{host} {headers}");
        for phrase in *phrases {
            assert!(reply.body.contains(phrase), "{host} {headers}: {phrase} is not in {}", reply.body);
        }
        assert!(!reply.body.contains("<script"), "{host}");
        assert!(!reply.body.contains("<people>"), "{host}");
        assert_eq!(reply.header("link").is_some(), *status == 451, "{host}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.header("vary"), Some("Accept, Accept-Language"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    }
    let reply = get(address, "legal.test", "").await;
    assert_eq!(reply.header("link"), Some("<https://isp.example/>; rel=\"blocked-by\""));
    assert_eq!(reply.header("content-language"), Some("en"));
}

#[tokio::test]
async fn json_holds_all_that_the_page_does() {
    let address = start(Limits::default()).await;
    let reply = get(address, "legal.test", "Accept: application/json\r\n").await;
    let said: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    let expected = serde_json::json!({
        "status": 451, "name": "legal.test", "list": "register", "reason": "Decision 2-3491/2016 of 4 August 2016",
        "authority": "Roskomnadzor", "blocked_by": "https://isp.example/", "since": "2016-11-17",
        "contact": ["mailto:help@isp.example", "https://isp.example/blocking"], "organization": "Example ISP",
        "id": "9c41-22",
    });
    assert_eq!(said, expected);
    let reply = get(address, "own.test", "Accept: application/json\r\n").await;
    let said: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
    assert_eq!((&said["status"], &said["authority"]), (&403.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn every_method_and_target_has_the_same_answer() {
    let address = start(Limits::default()).await;
    let whole = get(address, "own.test", "").await;
    let heads = [
        "HEAD / HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n\r\n",
        "POST /form HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\nContent-Length: 3\r\n\r\na=b",
        "PUT / HTTP/1.1\r\nHost: own.test\r\nContent-Length: 1000000\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: own.test\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: own.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n\r\n",
        "BREW /pot HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n\r\n",
        "CONNECT own.test:443 HTTP/1.1\r\nHost: own.test:443\r\nConnection: close\r\n\r\n",
        "GET http://own.test/x HTTP/1.1\r\nHost: free.test\r\nConnection: close\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: own.test\r\n\r\n",
    ];
    for head in heads {
        let reply = send(address, head.as_bytes()).await;
        assert_eq!(reply.status, 403, "{head}");
        let length = whole.body.len().to_string();
        assert_eq!(reply.header("content-length"), Some(length.as_str()), "{head}");
        assert_eq!(reply.body, if head.starts_with("HEAD") { "" } else { &whole.body }, "{head}");
    }
    let without = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(send(address, without.as_bytes()).await.status, 404);
    let without = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert_eq!(send(address, without.as_bytes()).await.status, 400, "RFC 9112 section 3.2");
    let icon = "GET /favicon.ico HTTP/1.1\r\nHost: own.test\r\nConnection: close\r\n\r\n";
    let icon = send(address, icon.as_bytes()).await;
    assert_eq!((icon.status, icon.body.as_str()), (403, ""));
}

#[tokio::test]
async fn a_body_that_nobody_reads_does_not_cost_the_answer() {
    let address = start(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: legal.test\r\nContent-Length: 50000\r\n\r\n").await.unwrap();
    // The answer is there before the body, which must not meet a reset.
    timeout(PATIENT, stream.readable()).await.expect("no answer").unwrap();
    for _ in 0..5 {
        stream.write_all(&[b'x'; 10_000]).await.unwrap();
    }
    assert_eq!(Reply::read(&rest(&mut stream).await).status, 451);
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let address = start(Limits::default()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (host, status) in [("own.test", 403), ("legal.test", 451), ("free.test", 404)] {
        assert_eq!(ask(&mut stream, host).await.status, status);
    }
}

#[tokio::test]
async fn long_heads_are_refused() {
    let address = start(Limits::default()).await;
    let cookie = |length| format!("Cookie: {}\r\n", "c".repeat(length));
    assert_eq!(get(address, "own.test", &cookie(7000)).await.status, 403);
    for length in [8192, 9000, 60_000] {
        assert_eq!(get(address, "own.test", &cookie(length)).await.status, 431, "{length}");
    }
    assert_eq!(get(address, "own.test", &"A: b\r\n".repeat(200)).await.status, 431);
    assert_eq!(send(address, b"\x00\x01\x02\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let address = start(Limits { wait: HASTY, ..Limits::default() }).await;
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: own.test\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut stream).await, b"", "{start}");
    }
    // One that sends an octet now and then is no better.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    let dripping = async {
        let mut octet = [0];
        loop {
            match timeout(HASTY / 10, stream.read(&mut octet)).await {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(_)) => panic!("an answer"),
                Err(_) => drop(stream.write_all(b"y").await),
            }
        }
    };
    timeout(PATIENT, dripping).await.expect("the client was not cut off");
    // And one that keeps quiet after an answer.
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut stream, "own.test").await.status, 403);
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn no_connection_lasts_for_ever() {
    let address = start(Limits { life: HASTY, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut stream, "own.test").await.status, 403);
    assert_eq!(rest(&mut stream).await, b"");
}

#[tokio::test]
async fn a_thousand_idle_connections_keep_nobody_out() {
    // Both ends are in this process, and the server takes an eighth of what it may open.
    let _ = rlimit::increase_nofile_limit(16_384);
    let address = start(Limits { wait: Duration::from_secs(120), ..Limits::default() }).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    assert_eq!(get(address, "own.test", "").await.status, 403);
    for mut stream in idle {
        assert_eq!(ask(&mut stream, "legal.test").await.status, 451);
    }
}

#[tokio::test]
async fn past_the_limit_the_oldest_connection_goes() {
    let address = start(Limits { open: 3, ..Limits::default() }).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream, "own.test").await.status, 403);
        open.push(stream);
    }
    let mut fourth = TcpStream::connect(address).await.unwrap();
    assert_eq!(ask(&mut fourth, "own.test").await.status, 403);
    assert_eq!(rest(&mut open[0]).await, b"");
    assert_eq!(ask(&mut open[1], "own.test").await.status, 403);
    // One that ended by itself leaves room.
    drop(fourth);
    drop(open.pop());
    assert_eq!(ask(&mut open[1], "own.test").await.status, 403);
}

/// The beginning of a ClientHello, in a record said to be so long.
fn client_hello(length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut bytes = vec![0x16, 3, 1, high, low, 1, 0];
    bytes.resize(5 + usize::from(length), 0x5a);
    bytes
}

#[tokio::test]
async fn tls_is_refused_at_once_on_either_port() {
    let limits = Limits { wait: HASTY, ..Limits::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = listener.local_addr().unwrap();
    tokio::spawn(refuse_tls(listener, limits, Arc::new(|_| true)));
    for address in [tls, start(limits).await] {
        let hello = client_hello(1700);
        // Whole; with more behind it; in part; and claiming more than there can be.
        let more = [client_hello(517), vec![0x17; 3000]].concat();
        for sent in [&hello[..], &more, &hello[..100], &hello[..1], &client_hello(u16::MAX)[..20_000]] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            assert_eq!(rest(&mut stream).await, ALERT, "{} octets", sent.len());
        }
    }
    // What is no TLS has no business there.
    let mut stream = TcpStream::connect(tls).await.unwrap();
    stream.write_all(b"G").await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(PATIENT, stream.read_to_end(&mut bytes)).await.expect("the server did not close");
    assert_eq!(bytes, b"");
    let mut silent = TcpStream::connect(tls).await.unwrap();
    assert_eq!(rest(&mut silent).await, b"");
}
