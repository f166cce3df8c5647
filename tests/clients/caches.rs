//! BIND and Unbound as caches in front: what this server refuses for one type they don't deny for the others.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use libtest_mimic::Trial;
use portcullis::dns::Message;
use tempfile::TempDir;

use crate::client::{Client, NAMED, UNBOUND, test};
use crate::common::{PATIENCE, Process, SILENCE, Server, Upstream, exchange, question, reply, soa, until};

pub fn tests() -> Vec<Trial> {
    vec![
        test("caches::a_refused_type_leaves_the_name_to_bind", &[NAMED], || in_front(&NAMED, bind)),
        test("caches::a_refused_type_leaves_the_name_to_unbound", &[UNBOUND], || in_front(&UNBOUND, unbound)),
    ]
}

const CONFIG: &str = r#"
[[list]]
name = "lines"
rules = [
    "||line.example.net^$dnstype=AAAA",
    "||told.example.net^$dnstype=AAAA,dnsrewrite=NXDOMAIN",
    "||allowed.example.net^",
    "@@||allowed.example.net^$dnstype=A",
    "||target.example.org^",
    "||target6.example.org^$dnstype=AAAA",
]
[[list]]
name = "types"
rules = ["||types.example.net^"]
types = ["AAAA", "HTTPS"]
[[list]]
name = "nets"
kind = "addresses"
source = "nets"
"#;

/// The names, and the types of each that are refused: each is asked for first, then A.
const REFUSED: [(&str, &[&str]); 7] = [
    ("line.example.net", &["AAAA"]),
    ("told.example.net", &["AAAA"]),
    ("allowed.example.net", &["AAAA", "HTTPS", "TXT"]),
    ("types.example.net", &["AAAA", "HTTPS"]),
    ("service.example.net", &["HTTPS"]),
    ("hint.example.net", &["HTTPS"]),
    ("address.example.net", &["AAAA"]),
];

fn in_front(client: &Client, start: fn(&Path, SocketAddr, SocketAddr) -> (Process, TempDir)) {
    let upstream = Upstream::start(|query, _| Some(answer(query)));
    let config = format!("{}{CONFIG}", Upstream::config(&[&upstream]));
    let server = Server::start(&config, &[("nets", "2001:db8:bad::/48\n")]);
    let cache = free();
    let (_running, _folder) = start(&client.path(), cache, server.dns);
    let ask = |name: &str, qtype: &str| {
        exchange(cache, &question(name, qtype), PATIENCE).unwrap_or_else(|| panic!("{name} {qtype}: silence"))
    };
    until("the cache answers", || exchange(cache, &question("up.example.net", "A"), SILENCE).is_some());
    for (name, refused) in REFUSED {
        for qtype in refused {
            let told = ask(name, qtype);
            let message = told.message();
            let answers = message.header.ancount;
            assert_eq!((told.status().as_str(), answers), ("NOERROR", 0), "{name} {qtype}: {}", told.text());
        }
        let told = ask(name, "A").text();
        assert!(told.contains("192.0.2.200"), "{name} A, after {refused:?}: {told}");
    }
    // Of a name of which no type passes the cache may know it.
    assert_eq!(ask("target.example.org", "AAAA").status(), "NXDOMAIN");
    assert_eq!(ask("target.example.org", "A").status(), "NXDOMAIN");
}

/// What the upstream says: an address of the type, or the service binding that the name is for.
fn answer(query: &[u8]) -> Vec<u8> {
    let message = Message::parse(query).unwrap();
    let name = message.qname().unwrap().to_folded().to_string();
    let qtype = message.question().last_chunk::<4>().map_or(0, |c| u16::from_be_bytes([c[0], c[1]]));
    let last: [u8; 2] = if name.starts_with("address") { [0x0b, 0xad] } else { [0, 0] };
    let v6 = [[0x20, 0x01], [0x0d, 0xb8], last, [0, 0], [0, 0], [0, 0], [0, 0], [2, 0]].concat();
    // 1 target.example.org., without parameters.
    let service = b"\0\x01\x06target\x07example\x03org\0".to_vec();
    // 1 . ipv6hint=2001:db8:bad::1
    let mut hint = b"\0\x01\0\0\x06\0\x10".to_vec();
    hint.extend([0x20, 0x01, 0x0d, 0xb8, 0x0b, 0xad, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    match qtype {
        1 => reply(query, 0, &[(1, 60, &[192, 0, 2, 200])], &[], None),
        28 => reply(query, 0, &[(28, 60, &v6)], &[], None),
        65 if name.starts_with("service") => reply(query, 0, &[(65, 60, &service)], &[], None),
        65 if name.starts_with("hint") => reply(query, 0, &[(65, 60, &hint)], &[], None),
        _ => reply(query, 0, &[], &[(6, 60, &soa(60))], None),
    }
}

/// A free port on loopback for both transports.
fn free() -> SocketAddr {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = tcp.local_addr().unwrap();
    drop(UdpSocket::bind(address).unwrap());
    address
}

fn bind(named: &Path, listen: SocketAddr, server: SocketAddr) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("named.conf");
    let text = format!(
        "options {{ directory \"{}\"; listen-on port {} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none;\n\
         session-keyfile none; recursion yes; allow-query {{ any; }}; dnssec-validation no; forward only;\n\
         forwarders {{ 127.0.0.1 port {}; }}; }};\ncontrols {{ }};\n",
        folder.path().display(),
        listen.port(),
        server.port()
    );
    std::fs::write(&config, text).unwrap();
    (Process::start(Command::new(named).args(["-g", "-n", "1", "-c"]).arg(config)), folder)
}

fn unbound(unbound: &Path, listen: SocketAddr, server: SocketAddr) -> (Process, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("unbound.conf");
    let text = format!(
        "server:\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n directory: \"{}\"\n\
         interface: 127.0.0.1@{}\n do-not-query-localhost: no\n module-config: \"iterator\"\n num-threads: 1\n\
         remote-control:\n control-enable: no\nforward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@{}\n",
        folder.path().display(),
        listen.port(),
        server.port()
    );
    std::fs::write(&config, text).unwrap();
    (Process::start(Command::new(unbound).args(["-d", "-c"]).arg(config)), folder)
}
