//! A listener receives the octets that the clients receive.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, channel};

use portcullis::app::{Service, runtime};
use portcullis::dns::{MAX_MESSAGE, NameBuf, Specials, Transport};
use portcullis::observe::event::{Line, Source};
use portcullis::observe::sink::{Capacity, Sink};
use portcullis::rule::{Effect, Format};
use portcullis::settings::{
    ListSettings, ServerSettings, Settings, TextSource, UpstreamSettings, ZoneSettings,
};
use portcullis::sources::Silent;
use portcullis::upstream::Server;

use crate::common::{PATIENCE, Upstream, connect, question, read_framed, reply, write_framed};

/// A list, a zone with a reply that no datagram holds, and an upstream.
fn settings(upstream: SocketAddr, udp_batch: usize) -> Settings {
    let long = (0..200).map(|n| format!("long 60 IN A 192.0.2.{n}"));
    let zone = ["@ 60 IN SOA ns host 1 2 3 4 5".into(), "www 60 IN A 192.0.2.1".into()];
    let listen = vec!["127.0.0.1:0".parse().unwrap()];
    Settings {
        server: ServerSettings { listen, threads: 1, udp_batch, ..ServerSettings::default() },
        upstream: UpstreamSettings::of(vec![Server::udp(upstream.into())]),
        lists: vec![ListSettings {
            name: "list".into(),
            source: TextSource::Inline(vec!["||blocked.test^".into()]),
            format: Format::AdGuard,
            effect: Effect::Block,
            ..ListSettings::default()
        }],
        zones: vec![ZoneSettings {
            origin: NameBuf::from_text("zone.test").unwrap(),
            source: TextSource::Inline(zone.into_iter().chain(long).collect()),
        }],
        special: Specials::NONE,
        ..Settings::default()
    }
}

/// Packets, each with a number of its own as its id, and the step that answers it. The names that upstreams
/// are asked for differ by transport, so that nothing comes from the cache.
fn packets(transport: Transport) -> Vec<(Vec<u8>, Source)> {
    let upstream = ["one", "two"].map(|name| format!("{name}.{}.test", transport.word()));
    let asked = [
        ("blocked.test", Source::Policy),
        (&upstream[0], Source::Upstream),
        ("www.zone.test", Source::Local),
        ("long.zone.test", Source::Local),
        ("a.blocked.test", Source::Policy),
        (&upstream[1], Source::Upstream),
    ];
    let mut packets: Vec<_> = asked.map(|(name, source)| (question(name, "A"), source)).into();
    // No question, which is told, and a response, which is passed over.
    packets.push((vec![0; 12], Source::Malformed));
    packets.push((packets[0].0.clone(), Source::Malformed));
    packets[7].0[2] |= 0x80;
    for (number, (packet, _)) in (0u8..).zip(&mut packets) {
        packet[..2].copy_from_slice(&[7, number]);
    }
    packets
}

/// The packets that get a reply.
const REPLIES: usize = 7;

type Replies = HashMap<(Transport, [u8; 2]), (SocketAddr, Vec<u8>)>;

/// Sends all packets at once over UDP, then over TCP; gives what comes back for each, and to whom it came.
fn ask(server: SocketAddr) -> Replies {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = connect(server);
    let (udp, tcp) = (socket.local_addr().unwrap(), stream.local_addr().unwrap());
    let mut replies = Replies::new();
    let mut keep = |transport, to, reply: &[u8]| {
        replies.insert((transport, [reply[0], reply[1]]), (to, reply.to_vec()));
    };
    for (packet, _) in packets(Transport::Udp) {
        socket.send_to(&packet, server).unwrap();
    }
    for _ in 0..REPLIES {
        let mut room = [0; MAX_MESSAGE];
        let len = socket.recv(&mut room).expect("a reply over UDP");
        keep(Transport::Udp, udp, &room[..len]);
    }
    for (packet, _) in packets(Transport::Tcp) {
        write_framed(&mut stream, &packet);
    }
    for _ in 0..REPLIES {
        keep(Transport::Tcp, tcp, &read_framed(&mut stream).expect("a reply over TCP"));
    }
    replies
}

/// Checks one line for each packet and transport.
fn compare(lines: &Receiver<Line>, replies: &Replies) {
    let mut seen = HashMap::new();
    for _ in packets(Transport::Udp).iter().chain(&packets(Transport::Tcp)) {
        let line = lines.recv_timeout(PATIENCE).expect("a line for each packet");
        let transport = line.event.transport;
        let (packet, source) = &packets(transport)[usize::from(line.query[1])];
        assert_eq!(*line.query, **packet);
        let got = replies.get(&(transport, [line.query[0], line.query[1]]));
        assert_eq!(&line.reply[..], got.map_or(&[][..], |(_, reply)| reply), "{line:?}");
        assert!(got.is_none_or(|(client, _)| *client == line.event.client), "{line:?}");
        assert_eq!(line.event.rcode.is_some(), got.is_some(), "{line:?}");
        assert_eq!(line.event.source, *source, "{line:?}");
        let rule = (*source == Source::Policy).then_some("||blocked.test^");
        assert_eq!(line.rule.as_ref().map(|rule| &*rule.rule), rule, "{line:?}");
        *seen.entry((transport, line.query[1])).or_insert(0) += 1;
    }
    assert!(seen.values().all(|lines| *lines == 1), "{seen:?}");
    assert!(lines.try_recv().is_err(), "one line a packet");
}

#[test]
fn a_listener_sees_what_the_client_got() {
    let upstream = Upstream::start(|query, _| Some(reply(query, 0, &[(1, 100, &[192, 0, 2, 9])], &[], None)));
    // Datagrams one by one, and many with one call.
    for udp_batch in [1, 64] {
        let runtime = runtime().unwrap();
        let (sink, drain) = Sink::new(Capacity::default());
        let service = runtime
            .block_on(async { Service::start(&settings(upstream.addr, udp_batch), Some(sink), &Silent) });
        let service = service.unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || drain.for_each(|line| drop(sender.send(line))));
        let server = service.addresses.dns[0];
        compare(&lines, &ask(server));
        runtime.block_on(service.stop());
    }
}
