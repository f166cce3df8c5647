//! Exchanges as packets in a pcapng file (draft-ietf-opsawg-pcapng), which Wireshark, tshark and tcpdump open.
//!
//! Nothing was captured on a wire: each packet is made from its exchange, with its addresses, IP TTL and
//! time. Unknown values are synthetic: the port of the server is always 53, so that every tool reads DNS
//! there; the Ethernet addresses mean nothing; TCP has a handshake at the first query of a connection, and
//! segments as long as IP allows. A packet's comment gives the rule that sent it and the reason.
//!
//! Each network is an interface. The time is the real one, not the scenario's. The packets of one query are
//! written together, so those of overlapping queries are out of order; `reordercap` sorts them.
//!
//! Only three kinds of blocks are needed, which is less code than using a crate would take.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep, TcpHeader};

use super::exchange::{Exchange, Sent};
use crate::censor::{End, Network};
use crate::dns::Transport;

/// The link type (LINKTYPE_ETHERNET). Packets that begin with their IP header (LINKTYPE_RAW) would need no
/// synthetic header, but libpcap, and so tcpdump, refuses them where there are two interfaces: it compares
/// the number in the file with its own for the same type, and Ethernet's are equal.
const ETHERNET: u16 = 1;
/// The Ethernet address of all clients, a locally administered one (RFC 9542 §2.1).
const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The Ethernet address of all servers.
const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 53];
/// The port of all servers in a capture.
const PORT: u16 = 53;
/// The IP TTL where the exchange has none: the default of most systems.
const TTL: u8 = 64;
/// The window in all segments, which has no effect.
const WINDOW: u16 = u16::MAX;
/// The longest data of a UDP datagram over IPv4: 65,535 octets less both headers.
const MAX_DATAGRAM: usize = 65_507;
/// The longest data of a TCP segment over IPv4.
const MAX_SEGMENT: usize = 65_495;
/// How many open TCP connections are tracked; one that was evicted begins with a new handshake.
const MAX_CONNECTIONS: usize = 4096;
/// The longest text of an option, in characters.
const MAX_TEXT: usize = 4000;

/// A capture in progress.
pub struct Capture<W> {
    out: W,
    started: i64,
    networks: Vec<String>,
    connections: HashMap<Flow, Numbers>,
    /// Connections looked up so far: a logical clock, to find the oldest.
    lookups: u64,
}

/// The two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Flow {
    interface: u32,
    client: SocketAddr,
    server: SocketAddr,
}

/// The next sequence number of each side of a connection.
#[derive(Clone, Copy)]
struct Numbers {
    client: u32,
    server: u32,
    used: u64,
}

/// One packet to be written.
#[derive(Clone, Copy)]
struct Packet<'p> {
    /// True for packets from the client to the server.
    asks: bool,
    /// Microseconds since 1970.
    at: u64,
    ttl: u8,
    data: &'p [u8],
    comment: &'p str,
}

/// The flags of a segment beside ACK (RFC 9293 §3.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    Syn,
    Push,
    Fin,
    Reset,
    Nothing,
}

impl<W: Write> Capture<W> {
    /// Begins a capture: a section, and an interface for each network. `started_unix_us` is the real time,
    /// in microseconds since 1970 (UTC), at which the scenario's uptime was 0.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn new(out: W, networks: &[Network], started_unix_us: i64) -> io::Result<Self> {
        let (started, connections) = (started_unix_us, HashMap::new());
        let mut capture = Self { out, started, networks: Vec::new(), connections, lookups: 0 };
        // Section Header Block (§4.1): little-endian, version 1.0, of unknown length.
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        body.extend((-1_i64).to_le_bytes());
        option(
            &mut body,
            1,
            b"Packets made from the record of a scenario; the server's port is always 53 here.",
        );
        option(&mut body, 4, concat!("portcullis ", env!("CARGO_PKG_VERSION")).as_bytes());
        capture.block(0x0a0d_0d0a, body)?;
        for network in networks {
            capture.add(&network.id, &network.title)?;
        }
        Ok(capture)
    }

    /// Writes the packets of one exchange.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn write(&mut self, exchange: &Exchange) -> io::Result<()> {
        let known = self.networks.iter().position(|n| *n == exchange.network);
        let interface = match known {
            Some(place) => place,
            // A network added by a reload.
            None => self.add(&exchange.network, "")?,
        };
        let interface = u32::try_from(interface).unwrap_or_default();
        let flow = Flow { interface, client: exchange.client, server: exchange.server };
        let asked = self.time(exchange, Duration::ZERO);
        let comment = format!("query {} in network {}", exchange.number, exchange.network);
        let query = Packet { asks: true, at: asked, ttl: TTL, data: &exchange.query, comment: &comment };
        let replies = exchange.replies.iter().map(|sent| (sent, comment_on(exchange, sent)));
        let replies: Vec<(&Sent, String)> = replies.collect();
        let replies = replies.iter().map(|(sent, comment)| Packet {
            asks: false,
            at: self.time(exchange, sent.after),
            ttl: sent.ip_ttl.unwrap_or(TTL),
            data: &sent.octets,
            comment,
        });
        let packets: Vec<Packet<'_>> = std::iter::once(query).chain(replies).collect();
        match exchange.transport {
            Transport::Udp => packets.iter().try_for_each(|p| self.datagram(flow, *p)),
            Transport::Tcp => self.stream(flow, &packets, exchange),
        }
    }

    /// Flushes all buffers.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// When a packet was sent, in real microseconds since 1970.
    fn time(&self, exchange: &Exchange, after: Duration) -> u64 {
        let passed = i64::try_from(exchange.uptime.saturating_add(after).as_micros()).unwrap_or(i64::MAX);
        u64::try_from(self.started.saturating_add(passed)).unwrap_or_default()
    }

    fn datagram(&mut self, flow: Flow, packet: Packet<'_>) -> io::Result<()> {
        let data = packet.data.get(..MAX_DATAGRAM).unwrap_or(packet.data);
        let (from, to) = flow.ports(packet.asks);
        let mut octets = Vec::with_capacity(data.len() + 62);
        let made = flow.head(packet).udp(from, to).write_to_vec(&mut octets, data);
        made.map_err(|e| io::Error::other(e.to_string()))?;
        self.packet(flow, packet, &octets)
    }

    /// The segments of one query and its replies.
    fn stream(&mut self, flow: Flow, packets: &[Packet<'_>], exchange: &Exchange) -> io::Result<()> {
        let first = self.time(exchange, Duration::ZERO);
        let mut numbers = self.open(flow, exchange, first)?;
        let mut last = first;
        for packet in packets {
            // Each message follows its length (RFC 1035 §4.2.2).
            let len = u16::try_from(packet.data.len()).unwrap_or(u16::MAX);
            let mut message = len.to_be_bytes().to_vec();
            message.extend(packet.data.iter().take(usize::from(len)));
            for data in message.chunks(MAX_SEGMENT) {
                self.segment(flow, &mut numbers, Control::Push, Packet { data, ..*packet })?;
            }
            last = packet.at;
        }
        let (control, what) = match exchange.end {
            End::Open => {
                self.remember(flow, numbers);
                return Ok(());
            }
            End::Reset => (Control::Reset, "reset"),
            End::Close => (Control::Fin, "closed"),
        };
        let comment = ruled(exchange, what);
        let packet = Packet { asks: false, at: last, ttl: TTL, data: &[], comment: &comment };
        self.segment(flow, &mut numbers, control, packet)
    }

    /// The sequence numbers of a connection; an unknown one begins with a handshake.
    fn open(&mut self, flow: Flow, exchange: &Exchange, at: u64) -> io::Result<Numbers> {
        if let Some(known) = self.connections.remove(&flow) {
            return Ok(known);
        }
        // A clock that ticks every 4 microseconds (RFC 9293 §3.4.1).
        let ticks = (exchange.uptime.as_micros() / 4) & u128::from(u32::MAX);
        let client = u32::try_from(ticks).unwrap_or_default();
        let mut numbers = Numbers { client, server: client ^ 1 << 31, used: 0 };
        let comment = "synthetic handshake";
        let packet = |asks| Packet { asks, at, ttl: TTL, data: &[], comment };
        self.segment(flow, &mut numbers, Control::Syn, packet(true))?;
        self.segment(flow, &mut numbers, Control::Syn, packet(false))?;
        self.segment(flow, &mut numbers, Control::Nothing, packet(true))?;
        Ok(numbers)
    }

    /// Stores the sequence numbers of a connection, and evicts another if there are too many.
    fn remember(&mut self, flow: Flow, numbers: Numbers) {
        if self.connections.len() >= MAX_CONNECTIONS {
            let oldest = self.connections.iter().min_by_key(|(_, n)| n.used).map(|(flow, _)| *flow);
            oldest.map(|flow| self.connections.remove(&flow));
        }
        self.lookups += 1;
        self.connections.insert(flow, Numbers { used: self.lookups, ..numbers });
    }

    fn segment(
        &mut self,
        flow: Flow,
        numbers: &mut Numbers,
        control: Control,
        packet: Packet<'_>,
    ) -> io::Result<()> {
        let (from, to) = flow.ports(packet.asks);
        let (own, other) = if packet.asks {
            (&mut numbers.client, numbers.server)
        } else {
            (&mut numbers.server, numbers.client)
        };
        let mut header = TcpHeader::new(from, to, *own, WINDOW);
        // Every segment but the first acknowledges.
        if !(control == Control::Syn && packet.asks) {
            header.ack = true;
            header.acknowledgment_number = other;
        }
        header.syn = control == Control::Syn;
        header.psh = control == Control::Push;
        header.fin = control == Control::Fin;
        header.rst = control == Control::Reset;
        // SYN and FIN take a sequence number (RFC 9293 §3.4).
        let len = u32::try_from(packet.data.len()).unwrap_or_default();
        *own = own.wrapping_add(len + u32::from(header.syn || header.fin));
        let mut octets = Vec::with_capacity(packet.data.len() + 74);
        let made = flow.head(packet).tcp_header(header).write_to_vec(&mut octets, packet.data);
        made.map_err(|e| io::Error::other(e.to_string()))?;
        self.packet(flow, packet, &octets)
    }

    /// An Interface Description Block (§4.2); gives its number. The time counts in microseconds unless an
    /// option says otherwise.
    fn add(&mut self, name: &str, title: &str) -> io::Result<usize> {
        let mut body = ETHERNET.to_le_bytes().to_vec();
        // Reserved, and no limit to the length of packets.
        body.extend([0; 6]);
        option(&mut body, 2, text(name).as_bytes());
        if !title.is_empty() {
            option(&mut body, 3, text(title).as_bytes());
        }
        self.block(1, body)?;
        self.networks.push(name.to_owned());
        Ok(self.networks.len() - 1)
    }

    /// An Enhanced Packet Block (§4.3) with a comment, and the direction as the server sees it: in or out.
    fn packet(&mut self, flow: Flow, packet: Packet<'_>, octets: &[u8]) -> io::Result<()> {
        let (low, high) = (packet.at & u64::from(u32::MAX), packet.at >> 32);
        let len = u64::try_from(octets.len()).unwrap_or_default();
        let mut body = Vec::with_capacity(octets.len() + packet.comment.len() + 64);
        for word in [u64::from(flow.interface), high, low, len, len] {
            body.extend(u32::try_from(word).unwrap_or(u32::MAX).to_le_bytes());
        }
        body.extend(octets);
        pad(&mut body);
        option(&mut body, 1, text(packet.comment).as_bytes());
        option(&mut body, 2, &(if packet.asks { 1_u32 } else { 2 }).to_le_bytes());
        self.block(6, body)
    }

    /// A block (§3.1) whose body ends in options: their end is written here.
    fn block(&mut self, kind: u32, mut body: Vec<u8>) -> io::Result<()> {
        body.extend([0; 4]);
        let len = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
        let whole = [&kind.to_le_bytes()[..], &len, &body, &len].concat();
        self.out.write_all(&whole)
    }
}

impl Flow {
    /// The ports of a packet: its source, its destination.
    fn ports(self, asks: bool) -> (u16, u16) {
        if asks { (self.client.port(), PORT) } else { (PORT, self.client.port()) }
    }

    /// The headers of a packet: Ethernet and IP. If only one side has an IPv4 address, that becomes a mapped
    /// one.
    fn head(self, packet: Packet<'_>) -> PacketBuilderStep<IpHeaders> {
        let (client, server) = (self.client.ip().to_canonical(), self.server.ip().to_canonical());
        let (from, to) = if packet.asks { (client, server) } else { (server, client) };
        let wide = |address| match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        let (source, destination) = if packet.asks { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let link = PacketBuilder::ethernet2(source, destination);
        match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => link.ipv4(from.octets(), to.octets(), packet.ttl),
            (from, to) => link.ipv6(wide(from), wide(to), packet.ttl),
        }
    }
}

fn comment_on(exchange: &Exchange, sent: &Sent) -> String {
    // Microseconds, as milliseconds with a fraction if there is one.
    let planned = sent.planned.as_micros() as f64 / 1000.0;
    if sent.genuine {
        return format!("genuine answer, planned {planned} ms");
    }
    ruled(exchange, &format!("forged, planned {planned} ms"))
}

/// The event, with the rule that caused it.
fn ruled(exchange: &Exchange, what: &str) -> String {
    match &exchange.rule {
        Some(rule) if rule.intent.is_empty() => format!("rule {}: {what}", rule.id),
        Some(rule) => format!("rule {}: {what}: {}", rule.id, rule.intent),
        None => what.to_owned(),
    }
}

/// Text for an option: one line of limited length.
fn text(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An option (§3.5): code, length, and the value, padded.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
    body.extend(code.to_le_bytes());
    body.extend(len.to_le_bytes());
    body.extend(value.iter().take(usize::from(len)));
    pad(body);
}

/// Pads to a multiple of 4 octets.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests make small numbers")]
mod tests {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    use super::*;
    use crate::censor::Evidence;
    use crate::stage::exchange::Decided;

    /// A packet as read from the file.
    #[derive(Debug)]
    struct Found {
        interface: u32,
        at: u64,
        octets: Vec<u8>,
        comment: String,
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// The options in the rest of a block: code and value.
    fn options(mut rest: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            let (code, len) = (word(rest, 0) & 0xffff, (word(rest, 0) >> 16) as usize);
            if code == 0 {
                assert_eq!(rest, [0; 4], "what follows the end of the options");
                return found;
            }
            found.push((code as u16, rest[4..4 + len].to_vec()));
            rest = &rest[4 + len.next_multiple_of(4)..];
        }
    }

    /// Walks the file by its lengths: the names of the interfaces, and the packets.
    fn walk(mut file: &[u8]) -> (Vec<String>, Vec<Found>) {
        let (mut interfaces, mut packets) = (Vec::new(), Vec::new());
        let mut first = true;
        while !file.is_empty() {
            let len = word(file, 4) as usize;
            let block = &file[..len];
            assert_eq!((len % 4, word(block, len - 4) as usize), (0, len));
            let body = &block[8..len - 4];
            match word(block, 0) {
                0x0a0d_0d0a => {
                    assert!(first);
                    assert_eq!(body[..16], *b"\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
                    assert_eq!(options(&body[16..]).len(), 2);
                }
                1 => {
                    assert_eq!(body[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
                    let options = options(&body[8..]);
                    let texts = options.iter().map(|(_, v)| String::from_utf8(v.clone()).unwrap());
                    interfaces.push(texts.collect::<Vec<_>>().join(": "));
                }
                6 => {
                    let len = word(body, 12) as usize;
                    assert_eq!(word(body, 16) as usize, len);
                    let options = options(&body[20 + len.next_multiple_of(4)..]);
                    assert_eq!((options[0].0, options[1].0, options.len()), (1, 2, 2));
                    packets.push(Found {
                        interface: word(body, 0),
                        at: u64::from(word(body, 4)) << 32 | u64::from(word(body, 8)),
                        octets: body[20..20 + len].to_vec(),
                        comment: String::from_utf8(options[0].1.clone()).unwrap(),
                    });
                }
                kind => panic!("block {kind}"),
            }
            first = false;
            file = &file[len..];
        }
        (interfaces, packets)
    }

    /// The sum that is all ones over a header or packet with a correct checksum (RFC 1071 §1).
    fn sum(bytes: &[u8]) -> u16 {
        let pairs = bytes.chunks(2).map(|p| u32::from(p[0]) << 8 | u32::from(*p.get(1).unwrap_or(&0)));
        let mut sum: u32 = pairs.sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// Checks both checksums; returns the IP TTL, and TCP or UDP.
    fn sliced(octets: &[u8]) -> (u8, TransportSlice<'_>) {
        let packet = SlicedPacket::from_ethernet(octets).unwrap();
        let (ttl, head, pseudo, kind) = match packet.net.unwrap() {
            NetSlice::Ipv4(v4) => {
                assert_eq!(sum(v4.header().slice()), 0xffff);
                let pseudo = [v4.header().source(), v4.header().destination()].concat();
                (v4.header().ttl(), 34, pseudo, v4.header().protocol().0)
            }
            NetSlice::Ipv6(v6) => {
                let pseudo = [v6.header().source(), v6.header().destination()].concat();
                (v6.header().hop_limit(), 54, pseudo, v6.header().next_header().0)
            }
            NetSlice::Arp(_) => panic!("ARP"),
        };
        let len = (octets.len() - head) as u32;
        let whole = [&pseudo[..], &[0, kind], &len.to_be_bytes(), &octets[head..]].concat();
        assert_eq!(sum(&whole), 0xffff, "checksum of the data");
        (ttl, packet.transport.unwrap())
    }

    fn exchange(number: u64, client: &str, transport: Transport, replies: Vec<Sent>, end: End) -> Exchange {
        Exchange {
            run: std::sync::Arc::default(),
            number,
            at: 0,
            uptime: Duration::from_secs(number),
            network: "b".into(),
            client: client.parse().unwrap(),
            server: "127.0.0.1:5300".parse().unwrap(),
            transport,
            query: b"query".into(),
            rule: Some(Decided {
                id: "liar".into(),
                action: "stub".into(),
                intent: "A lie,\nand more".into(),
                evidence: Evidence::Measured,
            }),
            replies,
            end,
            cut: false,
        }
    }

    fn sent(octets: &[u8], ip_ttl: Option<u8>) -> Sent {
        let (planned, after) = (Duration::from_micros(1500), Duration::from_millis(2));
        Sent { planned, after, octets: octets.into(), genuine: ip_ttl.is_none(), ip_ttl }
    }

    fn networks() -> Vec<Network> {
        let network = |id: &str, title: &str| Network {
            id: id.to_owned(),
            title: title.to_owned(),
            ..Network::default()
        };
        vec![network("a", "First"), network("b", "")]
    }

    fn captured(exchanges: &[Exchange]) -> (Vec<String>, Vec<Found>) {
        let mut file = Vec::new();
        let mut capture = Capture::new(&mut file, &networks(), 1_000_000_000_000_000).unwrap();
        for exchange in exchanges {
            capture.write(exchange).unwrap();
        }
        walk(&file)
    }

    #[test]
    fn datagrams_are_what_was_sent() {
        let replies = || vec![sent(b"forged", Some(7)), sent(b"genuine", None)];
        for (client, from) in [
            ("192.0.2.9:4000", [192, 0, 2, 9]),
            ("[::ffff:192.0.2.9]:4000", [192, 0, 2, 9]),
            ("[2001:db8::9]:4000", [0, 0, 0, 9]),
        ] {
            let (interfaces, packets) =
                captured(&[exchange(3, client, Transport::Udp, replies(), End::Open)]);
            assert_eq!(interfaces, ["a: First", "b"]);
            let wanted = [
                (&b"query"[..], 64, (4000, 53), 0, "query 3 in network b"),
                (b"forged", 7, (53, 4000), 2000, "rule liar: forged, planned 1.5 ms: A lie, and more"),
                (b"genuine", 64, (53, 4000), 2000, "genuine answer, planned 1.5 ms"),
            ];
            assert_eq!(packets.len(), wanted.len());
            for (packet, (data, ttl, ports, after, comment)) in packets.iter().zip(wanted) {
                let (has, TransportSlice::Udp(udp)) = sliced(&packet.octets) else { panic!("no UDP") };
                assert_eq!((udp.payload(), has), (data, ttl));
                assert_eq!((udp.source_port(), udp.destination_port()), ports);
                assert_eq!((packet.at, packet.interface), (1_000_000_003_000_000 + after, 1));
                assert_eq!(packet.comment, comment);
            }
            let first = &packets[0].octets[14..];
            let source = if first[0] >> 4 == 4 { &first[12..16] } else { &first[20..24] };
            assert_eq!(source, from);
        }
    }

    /// Reassembles the segments of both sides: the queries, the replies, and the flags in order.
    fn reassembled(packets: &[Found]) -> (Vec<u8>, Vec<u8>, String) {
        let (mut asked, mut said, mut flags) = (Vec::new(), Vec::new(), String::new());
        let mut next = [None; 2];
        for packet in packets {
            let (_, TransportSlice::Tcp(tcp)) = sliced(&packet.octets) else { panic!("no TCP") };
            let side = usize::from(tcp.source_port() == 53);
            if tcp.syn() && side == 0 {
                next = [None; 2];
            }
            let own = *next[side].get_or_insert(tcp.sequence_number());
            assert_eq!(tcp.sequence_number(), own, "{packet:?}");
            if tcp.ack() {
                assert_eq!(Some(tcp.acknowledgment_number()), next[1 - side], "{packet:?}");
            }
            let len = tcp.payload().len() as u32 + u32::from(tcp.syn() || tcp.fin());
            next[side] = Some(own.wrapping_add(len));
            if side == 0 { &mut asked } else { &mut said }.extend_from_slice(tcp.payload());
            let letters = [(tcp.syn(), 'S'), (tcp.psh(), 'P'), (tcp.fin(), 'F'), (tcp.rst(), 'R')];
            flags.extend(letters.iter().filter(|(set, _)| *set).map(|(_, letter)| *letter));
            flags.push(if tcp.ack() { '.' } else { ' ' });
        }
        (asked, said, flags)
    }

    #[test]
    fn a_connection_is_one_stream_to_its_end() {
        let long = vec![7; crate::dns::MAX_MESSAGE];
        let exchange = |n, replies, end| exchange(n, "192.0.2.9:4000", Transport::Tcp, replies, end);
        let (_, packets) = captured(&[
            exchange(1, vec![sent(b"one", None)], End::Open),
            exchange(2, vec![sent(&long, None)], End::Close),
            exchange(3, vec![], End::Reset),
        ]);
        let (asked, said, flags) = reassembled(&packets);
        assert_eq!(flags, "S S..P.P.P.P.P.F.S S..P.R.");
        assert_eq!(asked, b"\0\x05query".repeat(3));
        assert_eq!(said, [&b"\0\x03one\xff\xff"[..], &long].concat());
        assert_eq!(packets[8].comment, "rule liar: closed: A lie, and more");
        assert_eq!(packets[13].comment, "rule liar: reset: A lie, and more");
    }

    #[test]
    fn only_so_many_connections_are_remembered() {
        let mut capture = Capture::new(Vec::new(), &networks(), 0).unwrap();
        let count = MAX_CONNECTIONS as u64 + 10;
        let clients: Vec<String> = (0..count).map(|n| format!("192.0.2.9:{}", 1000 + n)).collect();
        for (n, client) in (0..).zip(&clients) {
            capture.write(&exchange(n, client, Transport::Tcp, vec![], End::Open)).unwrap();
            // The first connection is always in use, and so is never the oldest.
            capture.write(&exchange(n, &clients[0], Transport::Tcp, vec![], End::Open)).unwrap();
        }
        assert_eq!(capture.connections.len(), MAX_CONNECTIONS);
        let known = |capture: &Capture<_>, at: usize| {
            let client: SocketAddr = clients[at].parse().unwrap();
            capture.connections.keys().any(|flow| flow.client == client)
        };
        assert!(known(&capture, 0) && !known(&capture, 1) && !known(&capture, 10) && known(&capture, 11));
    }

    #[test]
    fn a_network_that_came_later_gets_an_interface() {
        let late = |n| Exchange {
            network: "late".into(),
            ..exchange(n, "[::1]:9", Transport::Udp, vec![], End::Open)
        };
        let (interfaces, packets) = captured(&[late(1), late(2)]);
        assert_eq!(interfaces, ["a: First", "b", "late"]);
        assert!(packets.iter().all(|p| p.interface == 2));
    }

    proptest! {
        #[test]
        fn any_story_is_written(
            (client, server) in any::<(std::net::IpAddr, std::net::IpAddr)>(),
            (client_port, tcp, ip_ttl) in any::<(u16, bool, Option<u8>)>(),
            (uptime, planned, after) in any::<(Duration, Duration, Duration)>(),
            started in any::<i64>(),
            (octets, intent) in (proptest::collection::vec(any::<u8>(), 0..2000), ".*"),
            len in 0_usize..70_000,
        ) {
            let transport = if tcp { Transport::Tcp } else { Transport::Udp };
            let reply = |octets| Sent { planned, after, octets, genuine: false, ip_ttl };
            let exchange = Exchange {
                uptime,
                client: SocketAddr::new(client, client_port),
                server: SocketAddr::new(server, 5300),
                rule: Some(Decided { intent, id: "x".into(), action: "raw".into(), evidence: Evidence::Modelled }),
                ..exchange(1, "[::1]:1", transport, vec![reply(octets), reply(vec![1; len])], End::Reset)
            };
            let mut file = Vec::new();
            Capture::new(&mut file, &networks(), started).unwrap().write(&exchange).unwrap();
            let (_, packets) = walk(&file);
            for packet in &packets {
                sliced(&packet.octets);
            }
        }
    }
}
