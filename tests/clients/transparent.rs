//! A middlebox between a client and the resolvers of the internet, each in a network namespace of its own
//! (Linux).
//!
//! The client's part is run by this binary, started once more within the client's namespace.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use portcullis::censor::Evidence;
use portcullis::stage::exchange::Exchange;
use portcullis::stage::record::from_json;
use socket2::{Domain, Protocol, Socket, Type};

use crate::client::{IP, NSENTER, UNSHARE, namespaces, test_if};
use crate::common::{PATIENCE, Reply, Run, SILENCE, connect, question, read_framed, write_framed};

/// The argument with which this binary is the client and runs no tests.
pub const AS_CLIENT: &str = "as-the-client-behind-a-middlebox";

pub fn tests() -> Vec<Trial> {
    vec![test_if(
        "transparent::a_censor_on_the_way_answers_for_the_resolver_and_lets_others_through",
        &[IP, NSENTER, UNSHARE],
        || namespaces().and_then(|()| ipv6()),
        a_censor_on_the_way_answers_for_the_resolver_and_lets_others_through,
    )]
}

fn ipv6() -> Result<(), String> {
    let there = std::path::Path::new("/proc/sys/net/ipv6").exists();
    there.then_some(()).ok_or_else(|| "the kernel has no IPv6".into())
}

/// The censor. Its own network knows other addresses than the resolvers do, so that it shows who answered.
const SCENARIO: &str = r#"
[scenario]
name = "xx-test"
sources = ["https://example.org/"]
stub-mode = "historical"
[[network]]
id = "first"
[[network]]
id = "lan"
[[network]]
id = "dead"
clients = ["10.77.1.3/32"]
mode = "injector-only"
[[rule]]
id = "poison"
match = { suffix = ["banned.test"] }
when = { transport = "udp" }
action = { kind = "inject", genuine = "200ms", replies = [
    { a = ["192.0.2.10"], ip-ttl = 57 },
    { a = ["192.0.2.11"], ip-ttl = 99, after = "60ms" },
] }
[[rule]]
id = "reset"
match = { suffix = ["banned.test"] }
when = { transport = "tcp" }
action = { kind = "reset" }
[[zone]]
origin = "test"
records = """
@ 60 SOA ns host 1 2 3 4 5
* 60 A 198.51.100.1
"""
"#;

/// The resolver behind; it has two addresses.
const RESOLVER: &str = r#"
[server]
listen = ["8.8.8.8:53", "[2001:db8:8::8]:53"]
allow = ["10.77.0.0/16", "fd77::/16"]
[upstream]
servers = []
[[zone]]
origin = "test"
file = "zone"
"#;

const ZONE: &str = "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nns 60 A 203.0.113.7\n* 60 A 203.0.113.8\n*.banned 60 A 203.0.113.8\n";

/// Lays the cables, starts the resolver and the middlebox, lets the client ask, and ends both.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs none /run
ip netns add client
ip netns add resolver
in_client="nsenter --net=/run/netns/client"
in_resolver="nsenter --net=/run/netns/resolver"
ip link set lo up
ip -n resolver link set lo up
ip link add lab0 type veth peer name eth0 netns client
ip link add wan0 type veth peer name eth0 netns resolver
ip addr add 10.77.1.1/24 dev lab0
ip addr add 10.77.1.9/24 dev lab0
ip addr add 10.77.2.1/24 dev wan0
ip -n client addr add 10.77.1.2/24 dev eth0
ip -n client addr add 10.77.1.3/24 dev eth0
ip -n resolver addr add 10.77.2.2/24 dev eth0
ip -n resolver addr add 8.8.8.8/32 dev lo
ip addr add fd77:1::1/64 dev lab0 nodad
ip addr add fd77:2::1/64 dev wan0 nodad
ip -n client addr add fd77:1::2/64 dev eth0 nodad
ip -n resolver addr add fd77:2::2/64 dev eth0 nodad
ip -n resolver addr add 2001:db8:8::8/128 dev lo nodad
for one in lab0 wan0; do ip link set $one up; done
for one in client resolver; do ip -n $one link set eth0 up; done
ip -n client route add default via 10.77.1.1
ip -n client route add default via fd77:1::1
ip -n resolver route add default via 10.77.2.1
ip -n resolver route add default via fd77:2::1
ip route add default via 10.77.2.2
ip route add default via fd77:2::2
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/ipv6/conf/all/forwarding

# As the manual says.
for family in -4 -6; do
    ip $family rule add iif lab0 ipproto udp dport 53 lookup 100
    ip $family rule add iif lab0 ipproto tcp dport 53 lookup 100
    ip $family route add local default dev lo table 100
done

mkfifo ready
$in_resolver "$1" serve --config portcullis.toml --ready-json > ready 2> resolver.log &
resolver=$!
trap 'cat resolver.log; kill $resolver' EXIT
read -r line < ready
"$1" scenario run scenario.toml --transparent --network lan --record run.jsonl --ready-json > ready 2> middlebox.log &
middlebox=$!
trap 'cat resolver.log middlebox.log; kill $resolver $middlebox' EXIT
read -r line < ready
# One that stands on no way, but listens on all addresses.
"$1" scenario run scenario.toml --listen 0.0.0.0:5300 --ready-json > ready 2> other.log &
other=$!
trap 'cat resolver.log middlebox.log other.log; kill $resolver $middlebox $other' EXIT
read -r line < ready
$in_client "$2" "$3"
kill $middlebox
wait $middlebox
kill $resolver $other
trap 'cat middlebox.log' EXIT
"#;

fn a_censor_on_the_way_answers_for_the_resolver_and_lets_others_through() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), RESOLVER).unwrap();
    std::fs::write(folder.path().join("zone"), ZONE).unwrap();
    std::fs::write(folder.path().join("scenario.toml"), SCENARIO).unwrap();
    let seen = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "--net", "sh", "-c", SCRIPT, "sh"])
        .arg(env!("CARGO_BIN_EXE_portcullis"))
        .arg(std::env::current_exe().unwrap())
        .arg(AS_CLIENT)
        .current_dir(folder.path())
        .run();
    let (text, errors) = (String::from_utf8_lossy(&seen.stdout), String::from_utf8_lossy(&seen.stderr));
    assert!(seen.status.success() && text.contains(ALL_SEEN), "{text}\n{errors}");
    assert!(!text.contains("come back"), "queries went round\n{text}");

    let record = std::fs::read_to_string(folder.path().join("run.jsonl")).unwrap();
    let exchanges: Vec<Exchange> = record.lines().map(|line| from_json(line).unwrap()).collect();
    let banned = &exchanges[0];
    assert_eq!(banned.server, address("8.8.8.8:53"), "who was asked");
    assert_eq!(banned.client.ip(), address("10.77.1.2:0").ip());
    assert_eq!(banned.network, "lan");
    assert_eq!(banned.rule.as_ref().unwrap().evidence, Evidence::Modelled);
    let genuine: Vec<_> = banned.replies.iter().map(|reply| reply.genuine).collect();
    assert_eq!(genuine, [false, false, true]);
    assert!(exchanges.iter().any(|s| s.server == address("9.9.9.9:53")));
    assert!(exchanges.iter().any(|s| s.server == address("[2001:db8:8::8]:53")));
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn local(peer: SocketAddr) -> SocketAddr {
    address(if peer.is_ipv4() { "10.77.1.2:0" } else { "[fd77:1::2]:0" })
}

/// Sends one question and takes what comes back from exactly the address that was asked, `count` replies
/// and then silence.
fn ask(from: SocketAddr, server: SocketAddr, packet: &[u8], count: usize) -> Vec<(Duration, Reply)> {
    let socket = UdpSocket::bind(from).unwrap();
    // What comes from elsewhere is not for a connected socket.
    socket.connect(server).unwrap();
    let start = Instant::now();
    socket.send(packet).unwrap();
    let mut replies = Vec::new();
    let mut octets = [0; 4096];
    loop {
        let patience = if replies.len() < count { PATIENCE } else { SILENCE };
        socket.set_read_timeout(Some(patience)).unwrap();
        let Ok(len) = socket.recv(&mut octets) else { break };
        replies.push((start.elapsed(), Reply(octets[..len].to_vec())));
    }
    replies
}

fn told(from: SocketAddr, server: &str, name: &str, count: usize) -> Vec<String> {
    let server = address(server);
    let replies = ask(from, server, &question(name, "A"), count);
    let known = ["192.0.2.10", "192.0.2.11", "203.0.113.8", "198.51.100.1"];
    let which = |reply: &Reply| {
        let text = reply.text();
        known.iter().find(|known| text.contains(*known)).map_or(text.clone(), |known| (*known).to_owned())
    };
    replies.iter().map(|(_, reply)| which(reply)).collect()
}

/// What the client says in the end.
const ALL_SEEN: &str = "the client has seen all of it";

/// What a client behind the middlebox sees.
pub fn as_the_client_sees_it() {
    let client = address("10.77.1.2:0");

    // The censor is faster than the resolver that was asked, and what that says comes late.
    let all = ["192.0.2.10", "192.0.2.11", "203.0.113.8"];
    assert_eq!(told(client, "8.8.8.8:53", "www.banned.test", 3), all);
    assert_eq!(told(local(address("[::]:0")), "[2001:db8:8::8]:53", "www.banned.test", 3), all);
    let replies = ask(client, address("8.8.8.8:53"), &question("banned.test", "A"), 3);
    assert!(replies[2].0 >= Duration::from_millis(200), "{replies:?}");

    // Others are answered by the resolver, not by what the scenario knows.
    assert_eq!(told(client, "8.8.8.8:53", "www.free.test", 1), ["203.0.113.8"]);
    // What is no plain query, too.
    let mut update = question("free.test", "SOA");
    update[2] = 5 << 3;
    let replies = ask(client, address("8.8.8.8:53"), &update, 1);
    assert_eq!(replies[0].1.0[3] & 0xf, 4, "NOTIMP");

    // Where nobody is, only the censor answers.
    assert_eq!(told(client, "9.9.9.9:53", "www.banned.test", 2), all[..2]);
    assert_eq!(told(client, "9.9.9.9:53", "www.free.test", 0), [""; 0]);
    // And in a network where only the censor is.
    let dead = address("10.77.1.3:0");
    assert_eq!(told(dead, "8.8.8.8:53", "www.banned.test", 2), all[..2]);
    assert_eq!(told(dead, "8.8.8.8:53", "www.free.test", 0), [""; 0]);

    // The machine in the middle answers for itself from its scenario.
    for server in ["10.77.1.1:53", "10.77.1.9:53"] {
        assert_eq!(told(client, server, "www.free.test", 1), ["198.51.100.1"]);
    }

    // TCP: one connection for several questions, and reset for what is banned.
    for server in ["8.8.8.8:53", "[2001:db8:8::8]:53"] {
        let mut stream = connect(address(server));
        assert_eq!(stream.peer_addr().unwrap(), address(server));
        for name in ["www.free.test", "free.test"] {
            write_framed(&mut stream, &question(name, "A"));
            let reply = Reply(read_framed(&mut stream).unwrap());
            let expected = if name == "free.test" { "NOERROR" } else { "203.0.113.8" };
            assert!(reply.text().contains(expected), "{}", reply.text());
        }
        write_framed(&mut stream, &question("banned.test", "A"));
        let ended = stream.read(&mut [0; 1]).unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    }

    times_to_live(address("8.8.8.8:53"));
    times_to_live(address("10.77.1.9:5300"));
    println!("{ALL_SEEN}");
}

/// The packets themselves, with their IP heads: the first forged one comes with its own TTL, so does the
/// delayed one, and the genuine one with the system's.
fn times_to_live(server: SocketAddr) {
    let mut raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::UDP)).unwrap();
    raw.set_read_timeout(Some(PATIENCE)).unwrap();
    let socket = UdpSocket::bind("10.77.1.2:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    socket.send_to(&question("ttl.banned.test", "A"), server).unwrap();
    let (mut seen, mut octets) = (Vec::new(), [0; 4096]);
    while seen.len() < 3 {
        let len = raw.read(&mut octets).unwrap();
        let (head, rest) = octets[..len].split_at(usize::from(octets[0] & 0xf) * 4);
        if rest[2..4] == port.to_be_bytes() {
            let source = IpAddr::from([head[12], head[13], head[14], head[15]]);
            assert_eq!(SocketAddr::new(source, u16::from_be_bytes([rest[0], rest[1]])), server);
            seen.push(head[8]);
        }
    }
    assert_eq!(seen, [57, 99, 64]);
}
