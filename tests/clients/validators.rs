//! Validators behind the server see what they see when they ask BIND itself: delv and Unbound, with signed zones of
//! BIND's as upstream, as forwards, and as own zones.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::Trial;
use portcullis::dns::{Section, flag};
use tempfile::TempDir;

use crate::client::{DELV, DNSSEC_KEYGEN, DNSSEC_SIGNZONE, NAMED, UNBOUND, test};
use crate::common::{Process, Run, Server, exchange, question, until};

pub fn tests() -> Vec<Trial> {
    vec![test(
        "validators::they_see_what_they_see_of_bind",
        &[NAMED, DNSSEC_KEYGEN, DNSSEC_SIGNZONE, DELV, UNBOUND],
        they_see_what_they_see_of_bind,
    )]
}

/// A zone with all that is answered differently. `OTHER` is a zone beside it.
const CHILD: &str = "$TTL 300
@ SOA ns host 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.1
www A 192.0.2.2
Mixed AAAA 2001:db8::1
*.wild A 192.0.2.3
*.wcn CNAME www
x.ent TXT \"below an empty non-terminal\"
alias CNAME www
far CNAME www.OTHER.
away CNAME www.c.lab.
none CNAME nope
old DNAME new
host.new A 192.0.2.4
*.new MX 10 www
gone DNAME OTHER.
long DNAME a-name-that-makes-what-is-below-it-longer-than-it-was
big TXT \"BIG\" \"BIG\" \"BIG\" \"BIG\" \"BIG\" \"BIG\" \"BIG\" \"BIG\"
insecure NS ns.insecure
ns.insecure A 127.0.0.1
";
const INSECURE: &str = "$TTL 300
@ SOA ns host 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.9
alias CNAME www.a.lab.
";
const PARENT: &str = "$TTL 300
@ SOA ns host 1 3600 600 86400 60
@ NS ns
ns A 127.0.0.1
www A 192.0.2.8
a NS ns.a
ns.a A 127.0.0.1
b NS ns.b
ns.b A 127.0.0.1
c NS ns.c
ns.c A 127.0.0.1
d NS ns.d
ns.d A 127.0.0.1
";
/// The signed children, and how they prove what does not exist.
const SIGNED: [(&str, &str, &[&str]); 3] =
    [("a", "b.lab", &[]), ("b", "a.lab", &["-3", "-"]), ("d", "a.lab", &["-3", "abcd", "-H", "2", "-A"])];

/// What is asked of each signed child.
const OF_CHILDREN: &[(&str, &str)] = &[
    ("www", "A"),
    ("www", "MX"),
    ("WWW", "ANY"),
    ("mixed", "AAAA"),
    ("nope", "A"),
    ("x.y.nope", "A"),
    ("x.wild", "A"),
    ("x.wild", "MX"),
    ("x.y.wild", "A"),
    ("*.wild", "A"),
    ("wild", "A"),
    ("x.wcn", "A"),
    ("ent", "A"),
    ("x.ent", "TXT"),
    ("alias", "A"),
    ("alias", "CNAME"),
    ("far", "A"),
    ("away", "A"),
    ("none", "A"),
    ("old", "DNAME"),
    ("old", "A"),
    ("host.old", "A"),
    ("host.old", "CNAME"),
    ("nope.old", "A"),
    ("nope.old", "MX"),
    ("www.gone", "A"),
    ("nope.gone", "A"),
    ("LONG.long", "A"),
    ("big", "TXT"),
    ("insecure", "DS"),
    ("", "DNSKEY"),
    ("", "SOA"),
    ("", "NS"),
    ("", "MX"),
    ("", "DS"),
];
const OF_OTHERS: &[(&str, &str)] = &[
    ("lab", "DNSKEY"),
    ("lab", "MX"),
    ("www.lab", "A"),
    ("nope.lab", "A"),
    ("x.nope.lab", "A"),
    ("c.lab", "DS"),
    ("c.lab", "SOA"),
    ("www.c.lab", "A"),
    ("www.c.lab", "MX"),
    ("nope.c.lab", "A"),
    ("alias.c.lab", "A"),
];

fn questions() -> Vec<(String, &'static str)> {
    let long = [["l"; 60].concat(), ["m"; 60].concat(), ["n"; 60].concat()].join(".");
    let of_children = SIGNED.iter().flat_map(|(child, ..)| {
        let long = long.clone();
        OF_CHILDREN.iter().map(move |(name, qtype)| {
            let dot = if name.is_empty() { "" } else { "." };
            (format!("{}{dot}{child}.lab", name.replace("LONG", &long)), *qtype)
        })
    });
    of_children.chain(OF_OTHERS.iter().map(|(name, qtype)| ((*name).to_owned(), *qtype))).collect()
}

/// Servers between the validators and BIND. `BIND` is its address.
const SERVERS: [(&str, &str); 6] = [
    ("an upstream", "[upstream]\nservers = [\"BIND\"]\n"),
    (
        "forwards",
        "[upstream]\nservers = []\n[[forward]]\nsuffix = \"lab\"\nservers = [\"BIND\"]\n\
         [[forward]]\nsuffix = \"a.lab\"\nservers = [\"BIND\"]\n[[forward]]\nsuffix = \"c.lab\"\nservers = [\"BIND\"]\n",
    ),
    (
        "own zones",
        "[upstream]\nservers = []\n[[zone]]\norigin = \"lab\"\nfile = \"lab.signed\"\n\
         [[zone]]\norigin = \"a.lab\"\nfile = \"a.signed\"\n[[zone]]\norigin = \"b.lab\"\nfile = \"b.signed\"\n\
         [[zone]]\norigin = \"c.lab\"\nfile = \"c.zone\"\n[[zone]]\norigin = \"d.lab\"\nfile = \"d.signed\"\n",
    ),
    (
        "an own parent, and forwards",
        "[upstream]\nservers = []\n[[zone]]\norigin = \"lab\"\nfile = \"lab.signed\"\n\
         [[forward]]\nsuffix = \"a.lab\"\nservers = [\"BIND\"]\n[[forward]]\nsuffix = \"b.lab\"\nservers = [\"BIND\"]\n\
         [[forward]]\nsuffix = \"c.lab\"\nservers = [\"BIND\"]\n[[forward]]\nsuffix = \"d.lab\"\nservers = [\"BIND\"]\n",
    ),
    (
        "an own parent, and its delegations",
        "[upstream]\nservers = [\"BIND\"]\n[[zone]]\norigin = \"lab\"\nfile = \"lab.signed\"\n",
    ),
    (
        "own children",
        "[upstream]\nservers = [\"BIND\"]\n[[zone]]\norigin = \"a.lab\"\nfile = \"a.signed\"\n\
         [[zone]]\norigin = \"b.lab\"\nfile = \"b.signed\"\n[[zone]]\norigin = \"c.lab\"\nfile = \"c.zone\"\n\
         [[zone]]\norigin = \"d.lab\"\nfile = \"d.signed\"\n",
    ),
];

fn they_see_what_they_see_of_bind() {
    let folder = tempfile::tempdir().unwrap();
    let key = sign(folder.path());
    let (_bind, bind) = serve_by_bind(&folder);
    let anchors = folder.path().join("anchors");
    std::fs::write(&anchors, format!("trust-anchors {{ lab. static-key {key}; }};\n")).unwrap();
    let all = questions();
    let by_delv: Vec<String> = all.iter().map(|asked| delv(bind, asked, &anchors, "+notcp")).collect();
    let validated = by_delv.iter().filter(|text| text.contains("fully validated")).count();
    assert!(validated > all.len() * 3 / 4, "{validated} of {}: {by_delv:#?}", all.len());
    let by_unbound = unbound(bind, &all, &key, false);
    let secure = by_unbound.values().filter(|seen| seen.contains("secure")).count();
    assert!(secure > all.len() / 2, "{secure} of {}: {by_unbound:#?}", all.len());
    let files = ["lab.signed", "a.signed", "b.signed", "d.signed", "c.zone"]
        .map(|name| (name, std::fs::read_to_string(folder.path().join(name)).unwrap()));
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    std::thread::scope(|scope| {
        for (number, (what, config)) in SERVERS.iter().enumerate() {
            let (files, all, anchors, by_delv, by_unbound, key) =
                (&files, &all, &anchors, &by_delv, &by_unbound, &key);
            scope.spawn(move || {
                let config = config.replace("BIND", &bind.to_string());
                let server = Server::start(&config, files);
                // Half of the servers are asked over TCP first, while nothing is cached.
                let over_tcp_first = number % 2 == 1;
                let transports = if over_tcp_first { ["+tcp", "+notcp"] } else { ["+notcp", "+tcp"] };
                for transport in transports {
                    for (asked, expected) in all.iter().zip(by_delv) {
                        let seen = delv(server.dns, asked, anchors, transport);
                        assert_eq!(seen, *expected, "{what}: delv {transport} {asked:?}");
                    }
                }
                let fresh = Server::start(&config, files);
                let seen = unbound(fresh.dns, all, key, over_tcp_first);
                for (asked, expected) in by_unbound {
                    assert_eq!(seen.get(asked), Some(expected), "{what}: Unbound {asked:?}");
                }
            });
        }
    });
}

/// Signs the zones; returns the key that validators trust, as `257 3 13 "…"`.
fn sign(folder: &Path) -> String {
    let big = ["0123456789"; 20].concat();
    let tool = |program: &std::path::PathBuf, args: &[&str]| {
        let done = Command::new(program).current_dir(folder).args(args).run();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let (keygen, signzone) = (DNSSEC_KEYGEN.path(), DNSSEC_SIGNZONE.path());
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    let keys = |zone: &str| {
        tool(&keygen, &["-q", "-a", "ECDSAP256SHA256", zone]);
        tool(&keygen, &["-q", "-a", "ECDSAP256SHA256", "-f", "KSK", zone]).trim().to_owned()
    };
    for (child, other, proofs) in SIGNED {
        let (zone, file, signed) =
            (format!("{child}.lab"), format!("{child}.zone"), format!("{child}.signed"));
        write(&file, &CHILD.replace("OTHER", other).replace("BIG", &big));
        keys(&zone);
        tool(&signzone, &[&["-S", "-q"], proofs, &["-o", &zone, "-f", &signed, &file]].concat());
    }
    write("c.zone", INSECURE);
    write("lab.zone", PARENT);
    let key = keys("lab");
    tool(&signzone, &["-S", "-q", "-g", "-o", "lab", "-f", "lab.signed", "lab.zone"]);
    let key = std::fs::read_to_string(folder.join(format!("{key}.key"))).unwrap();
    let record = key.lines().find_map(|line| line.split_once(" DNSKEY ")).unwrap().1;
    let words: Vec<&str> = record.split_whitespace().collect();
    format!("{} \"{}\"", words[..3].join(" "), words[3..].concat())
}

/// A port that is free for UDP and TCP.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn ready(what: &str, server: SocketAddr, process: &Process) {
    let asked = question("lab", "SOA");
    until(&format!("{what} answers: {}", process.log()), || {
        exchange(server, &asked, Duration::from_millis(200)).is_some()
    });
}

fn serve_by_bind(folder: &TempDir) -> (Process, SocketAddr) {
    let (port, path) = (free_port(), folder.path());
    let zone =
        |(name, file): (&str, &str)| format!("zone \"{name}\" {{ type primary; file \"{file}\"; }};\n");
    let zones = [
        ("lab", "lab.signed"),
        ("a.lab", "a.signed"),
        ("b.lab", "b.signed"),
        ("c.lab", "c.zone"),
        ("d.lab", "d.signed"),
    ];
    let config = format!(
        "options {{ directory \"{}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         pid-file none; session-keyfile none; recursion yes; allow-recursion {{ any; }}; dnssec-validation no;\n\
         minimal-responses yes; empty-zones-enable no; minimal-any yes; }};\ncontrols {{ }};\n{}",
        path.display(),
        zones.map(zone).concat()
    );
    std::fs::write(path.join("named.conf"), config).unwrap();
    let port_text = port.to_string();
    let args = ["-g", "-n", "1", "-p", &port_text, "-c", "named.conf"];
    let process = Process::start(Command::new(NAMED.path()).current_dir(path).args(args));
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    ready("BIND", at, &process);
    (process, at)
}

/// What delv says, without TTLs and signatures, in the order of the alphabet.
fn delv(server: SocketAddr, (name, qtype): &(String, &str), anchors: &Path, transport: &str) -> String {
    let mut command = Command::new(DELV.path());
    command.args(["-a", anchors.to_str().unwrap(), "+root=lab", transport, name, qtype]);
    command.args([&format!("@{}", server.ip()), "-p", &server.port().to_string()]);
    let done = command.run();
    let text = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.contains("RRSIG\t") && !line.contains(" RRSIG "))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ttl = words.iter().position(|word| *word == "IN").map(|at| at.wrapping_sub(1));
            let kept = words.iter().enumerate().filter(|(at, _)| Some(*at) != ttl).map(|(_, word)| *word);
            kept.collect::<Vec<_>>().join(" ")
        })
        .collect();
    lines.sort();
    lines.join("\n")
}

/// What Unbound makes of a server's answers: response code, whether they are secure, and the answers.
fn unbound(
    server: SocketAddr,
    all: &[(String, &'static str)],
    key: &str,
    tcp: bool,
) -> BTreeMap<(String, &'static str), String> {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = format!(
        "server:\n interface: 127.0.0.1@{port}\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n\
         directory: \"{}\"\n use-syslog: no\n logfile: \"\"\n do-not-query-localhost: no\n do-ip6: no\n num-threads: 1\n\
         module-config: \"validator iterator\"\n trust-anchor: \"lab. DNSKEY {}\"\n tcp-upstream: {}\n\
         access-control: 127.0.0.0/8 allow\n minimal-responses: yes\n rrset-roundrobin: no\n\
         forward-zone:\n name: \".\"\n forward-addr: {}@{}\nremote-control:\n control-enable: no\n",
        folder.path().display(),
        key.replace('"', ""),
        if tcp { "yes" } else { "no" },
        server.ip(),
        server.port()
    );
    std::fs::write(folder.path().join("unbound.conf"), config).unwrap();
    let args = ["-d", "-c", "unbound.conf"];
    let process = Process::start(Command::new(UNBOUND.path()).current_dir(folder.path()).args(args));
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    ready("Unbound", at, &process);
    let ask = |(name, qtype): &(String, &'static str)| {
        let mut packet = question(name, qtype);
        // AD: tell whether it is secure (RFC 6840 §5.7).
        packet[3] |= 0x20;
        let reply = exchange(at, &packet, crate::common::PATIENCE).expect("a reply");
        let message = reply.message();
        let mut answers: Vec<String> = message
            .records()
            .filter(|record| record.section == Section::Answer)
            .map(|record| {
                let owner = message.owner_text(&record).to_ascii_lowercase();
                format!("{owner} {} {}", record.rtype, message.rdata_text(&record))
            })
            .collect();
        answers.sort();
        let secure = if message.header.has(flag::AD) { "secure" } else { "not signed" };
        ((name.clone(), *qtype), format!("{}, {secure}: {}", message.rcode(), answers.join("; ")))
    };
    all.iter().map(ask).collect()
}
