//! Exchanges of every shape, as a scenario records them.

use std::path::Path;
use std::time::Duration;

use portcullis::censor::{End, Evidence, Network};
use portcullis::dns::{MAX_MESSAGE, NameBuf, Qtype, Query, ReplyWriter, Section, Transport, encode};
use portcullis::stage::exchange::{Decided, Exchange, Sent};
use portcullis::stage::recorder::{Recorder, Summary};

/// 2024-01-01 00:00:00 UTC, in microseconds.
pub const STARTED: i64 = 1_704_067_200_000_000;

fn query(name: &str, qtype: Qtype) -> Vec<u8> {
    encode(NameBuf::from_text(name).unwrap().as_name(), qtype)
}

/// A reply with these addresses.
fn reply(query: &[u8], addresses: impl IntoIterator<Item = [u8; 4]>) -> Vec<u8> {
    let query = Query::parse(query).unwrap();
    let mut buf = vec![0; MAX_MESSAGE];
    let mut writer = ReplyWriter::new(&query, &mut buf, MAX_MESSAGE);
    for address in addresses {
        writer.record(Section::Answer, None, Qtype::A, 600, &[&address]).unwrap();
    }
    let len = writer.finish();
    buf.truncate(len);
    buf
}

fn sent(octets: Vec<u8>, after: u64, ip_ttl: Option<u8>) -> Sent {
    let after = Duration::from_millis(after);
    Sent { planned: after, after, octets, genuine: ip_ttl.is_none(), ip_ttl }
}

fn exchange(number: u64, client: &str, transport: Transport, query: Vec<u8>, replies: Vec<Sent>) -> Exchange {
    let client: std::net::SocketAddr = client.parse().unwrap();
    Exchange {
        run: std::sync::Arc::default(),
        number,
        at: 1_395_921_600,
        uptime: Duration::from_millis(number * 1000),
        network: "isp-a".into(),
        client,
        server: if client.is_ipv4() { "127.0.0.1:5300" } else { "[::1]:5300" }.parse().unwrap(),
        transport,
        query,
        rule: Some(Decided {
            id: "isp-dpi".into(),
            action: "inject".into(),
            intent: "Two answers race".into(),
            evidence: Evidence::Measured,
        }),
        replies,
        end: End::Open,
        cut: false,
    }
}

/// One of each kind.
pub fn exchanges() -> Vec<Exchange> {
    let [a, b, c, d, e] =
        ["a.example", "b.example", "c.example", "d.example", "e.example"].map(|n| query(n, Qtype::A));
    let address = [5, 3, 3, 17];
    let short = |octets: Vec<u8>| octets[..octets.len() - 15].to_vec();
    vec![
        // Over IPv4, a forged answer with a TTL of its own before the genuine one.
        exchange(
            1,
            "127.0.1.5:40001",
            Transport::Udp,
            a.clone(),
            vec![sent(reply(&a, [address]), 1, Some(47)), sent(reply(&a, [[192, 0, 2, 1]]), 150, None)],
        ),
        // Over IPv6.
        exchange(2, "[::1]:40002", Transport::Udp, b.clone(), vec![sent(reply(&b, [address]), 2, Some(3))]),
        // One answer over TCP, a long one, and then a reset on the same connection.
        exchange(
            3,
            "127.0.1.5:40003",
            Transport::Tcp,
            c.clone(),
            vec![sent(reply(&c, [address; 4000]), 0, None)],
        ),
        Exchange {
            end: End::Reset,
            network: "isp-b".into(),
            ..exchange(4, "127.0.1.5:40004", Transport::Tcp, d, vec![])
        },
        // Cut off within the answer.
        exchange(
            5,
            "127.0.1.5:40005",
            Transport::Udp,
            e.clone(),
            vec![sent(short(reply(&e, [address])), 0, Some(64))],
        ),
        Exchange { end: End::Close, ..exchange(6, "127.0.1.5:40003", Transport::Tcp, a, vec![]) },
    ]
}

pub fn networks() -> Vec<Network> {
    let network =
        |id: &str, title: &str| Network { id: id.into(), title: title.into(), ..Network::default() };
    vec![network("isp-a", "Provider A"), network("isp-b", "Provider B")]
}

/// Records all of them in `folder/truth.jsonl` and `folder/truth.pcapng`.
pub fn recorded(folder: &Path) {
    let recorder = Recorder::create(&folder.join("truth"), &networks(), STARTED).unwrap();
    let sink = recorder.sink();
    let exchanges = exchanges();
    let count = exchanges.len() as u64;
    exchanges.into_iter().for_each(|s| sink.push(s));
    assert_eq!(recorder.finish().unwrap(), Summary { written: count, dropped: 0, problem: None });
    // A handle that outlives the record drops exchanges without blocking.
    sink.push(self::exchanges().remove(0));
    assert_eq!(sink.dropped(), 1);
}
