//! `examples/hickory.rs`, run and asked: Portcullis' decision before a handler of hickory-server.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::dns::{Message, NameBuf, Qtype, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

#[allow(dead_code, unreachable_pub)]
#[path = "../../examples/hickory.rs"]
mod example;

/// How long the test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

async fn over_udp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(query, server).await.unwrap();
    let mut reply = vec![0; 65_535];
    let len =
        timeout(PATIENCE, socket.recv(&mut reply)).await.expect("a reply over UDP comes in time").unwrap();
    reply.truncate(len);
    reply
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    let framed = [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], query].concat();
    stream.write_all(&framed).await.unwrap();
    let reply = async {
        let mut reply = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut reply).await.unwrap();
        reply
    };
    timeout(PATIENCE, reply).await.expect("a reply over TCP comes in time")
}

/// A UDP socket and a TCP listener on one port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()).await {
            return (socket, listener);
        }
    }
}

#[tokio::test]
async fn the_gate_answers_what_is_blocked_and_passes_the_rest_on() {
    let (socket, listener) = sockets().await;
    let address = socket.local_addr().unwrap();
    let _server = example::server(socket, listener).unwrap();
    for (name, expected) in [
        (
            "www.example.test",
            "status: NOERROR, flags: qr aa rd\nanswer     www.example.test. 300 IN A 192.0.2.1\n",
        ),
        ("x.ads.example.test", BLOCKED),
        ("Ads.Example.Test", BLOCKED),
        (
            "good.ads.example.test",
            "status: NOERROR, flags: qr aa rd\nanswer     good.ads.example.test. 300 IN A 192.0.2.1\n",
        ),
        // What the zone does not know is the zone's to say.
        ("none.example.test", "status: NXDOMAIN, flags: qr aa rd\n"),
        ("elsewhere.test", "status: REFUSED, flags: qr rd\n"),
    ] {
        let mut query = encode(NameBuf::from_text(name).unwrap().as_name(), Qtype::A);
        query[..2].copy_from_slice(&[0x12, 0x34]);
        for reply in [over_udp(address, &query).await, over_tcp(address, &query).await] {
            assert_eq!(reply[..2], [0x12, 0x34], "{name}");
            assert_eq!(reply[12..query.len() - 11], query[12..query.len() - 11], "{name}: its question");
            let text = Message::parse(&reply).unwrap().to_string();
            assert!(text.starts_with(expected), "{name}: {text}");
        }
    }
    // The catalog answers other classes like IN, so they are blocked as well; it refuses other versions of EDNS.
    let query = encode(NameBuf::from_text("ads.example.test").unwrap().as_name(), Qtype::A);
    for (what, from_end, octet, expected) in
        [("class CH", 12, 3, BLOCKED), ("EDNS 1", 5, 1, "status: BADVERS")]
    {
        let mut query = query.clone();
        let at = query.len() - from_end;
        query[at] = octet;
        for reply in [over_udp(address, &query).await, over_tcp(address, &query).await] {
            let text = Message::parse(&reply).unwrap().to_string();
            assert!(text.starts_with(expected), "{what}: {text}");
        }
    }
}

const BLOCKED: &str = "status: NXDOMAIN, flags: qr rd ra\nEDE: 15 (Blocked): ads";
