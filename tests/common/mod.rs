//! Shared by the tests: a server started from the real binary, a mock upstream, queries.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

pub mod recorded;
mod wait;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis::dns::{MAX_MESSAGE, Message, NameBuf, Qtype, encode};
use tempfile::TempDir;

pub use wait::{Gate, PATIENCE, Process, RUN, Run, connect, find, until};

/// How long a test waits for a reply that must not arrive.
pub const SILENCE: Duration = Duration::from_millis(300);

/// The program under test.
pub fn portcullis() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
}

/// `portcullis serve` on free ports with a configuration of its own folder.
pub struct Server {
    pub child: Process,
    pub dns: SocketAddr,
    pub web: Option<SocketAddr>,
    /// The ready line.
    pub ready: serde_json::Value,
    pub folder: TempDir,
}

impl Server {
    /// Writes `files` and the configuration, starts the server and waits until it is ready.
    pub fn start(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let listen = if config.contains("listen = [") { "" } else { "listen = [\"127.0.0.1:0\"]\n" };
        // The names of the tests are below `test`, and come from upstreams too.
        let special = if config.contains("[special]") { "" } else { "\n[special]\ntest = false\n" };
        let config = format!("[server]\n{listen}{config}{special}");
        let path = folder.path().join("portcullis.toml");
        std::fs::write(&path, config).unwrap();
        Self::run(folder)
    }

    /// Starts the server whose configuration is in the folder, and waits until it is ready.
    fn run(folder: TempDir) -> Self {
        let config = folder.path().join("portcullis.toml");
        let child = Process::start(portcullis().args(["serve", "--ready-json", "--config"]).arg(config));
        Self::of(child, folder)
    }

    /// A server that was started with `--ready-json`; waits until it is ready.
    pub fn of(child: Process, folder: TempDir) -> Self {
        let ready = ready(&child);
        let dns = ready["dns"][0].as_str().unwrap().parse().unwrap();
        let web = ready["web"][0].as_str().map(|a| a.parse().unwrap());
        Self { child, dns, web, ready, folder }
    }

    /// Starts another server in the folder of this one, which has ended.
    pub fn start_again(&mut self) {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        *self = Self::run(folder);
    }

    /// Stops the server, and starts another one in its folder.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Stops the server and waits for its end.
    pub fn stop(&mut self) {
        self.signal("-TERM");
        let status = self.child.ended();
        assert!(status.success(), "{status}\n{}", self.child.log());
    }

    /// Queries over UDP.
    pub fn ask(&self, name: &str, qtype: &str) -> Reply {
        self.send(&question(name, qtype)).expect("a reply")
    }

    /// Queries over TCP.
    pub fn ask_tcp(&self, name: &str, qtype: &str) -> Reply {
        self.send_tcp(&question(name, qtype)).expect("a reply")
    }

    /// Sends a packet over UDP; `None`: no reply.
    pub fn send(&self, packet: &[u8]) -> Option<Reply> {
        exchange(self.dns, packet, PATIENCE)
    }

    /// Sends a packet over TCP; `None`: no reply.
    pub fn send_tcp(&self, packet: &[u8]) -> Option<Reply> {
        let mut stream = connect(self.dns);
        write_framed(&mut stream, packet);
        read_framed(&mut stream).map(Reply)
    }

    /// Sends a signal, such as `-TERM`.
    pub fn signal(&self, name: &str) {
        self.child.signal(name);
    }

    /// The metrics page.
    pub fn metrics(&self) -> String {
        let mut stream = connect(self.web.unwrap());
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }
}

/// Waits until a server is ready; returns its ready line.
fn ready(server: &Process) -> serde_json::Value {
    let Some(line) = server.line() else { panic!("the server did not start: {}", server.log()) };
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["ready"], true);
    ready
}

/// A reply's octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply(pub Vec<u8>);

impl Reply {
    pub fn message(&self) -> Message<'_> {
        Message::parse(&self.0).unwrap_or_else(|| panic!("not a whole message: {:?}", self.0))
    }

    /// The reply as text: status and flags, errors, records.
    pub fn text(&self) -> String {
        self.message().to_string()
    }

    /// The same without the references that refusals have in their errors.
    pub fn told(&self) -> String {
        let without = |line: &str| match line.rsplit_once(" [") {
            Some((text, id)) if line.starts_with("EDE: ") && id.len() == 9 => format!("{text}\n"),
            _ => format!("{line}\n"),
        };
        self.text().lines().map(without).collect()
    }

    pub fn status(&self) -> String {
        self.message().rcode().to_string()
    }
}

pub fn question(name: &str, qtype: &str) -> Vec<u8> {
    let qtype: Qtype = qtype.parse().unwrap();
    let mut packet = encode(NameBuf::from_text(name).unwrap().as_name(), qtype);
    packet[..2].copy_from_slice(&[0x12, 0x34]);
    packet
}

/// The same query without EDNS.
pub fn without_edns(mut packet: Vec<u8>) -> Vec<u8> {
    packet.truncate(packet.len() - 11);
    packet[11] = 0;
    packet
}

pub fn exchange(server: SocketAddr, packet: &[u8], patience: Duration) -> Option<Reply> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.send_to(packet, server).unwrap();
    let mut out = [0; MAX_MESSAGE];
    let (len, from) = socket.recv_from(&mut out).ok()?;
    assert_eq!(from, server);
    Some(Reply(out[..len].to_vec()))
}

pub fn write_framed(stream: &mut impl Write, packet: &[u8]) {
    let mut framed = u16::try_from(packet.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(packet);
    stream.write_all(&framed).unwrap();
}

pub fn read_framed(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// A mock upstream, which counts its queries.
pub struct Upstream {
    pub addr: SocketAddr,
    pub asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Upstream {
    /// `answer` gets the query and whether it came over TCP; `None` is silence.
    pub fn start(answer: impl Fn(&[u8], bool) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let (socket, listener) = loop {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
            if let Ok(listener) = TcpListener::bind(socket.local_addr().unwrap()) {
                break (socket, listener);
            }
        };
        let addr = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let udp = {
            let (answer, stop, asked) = (Arc::clone(&answer), Arc::clone(&stop), Arc::clone(&asked));
            std::thread::spawn(move || {
                let mut packet = [0; 4096];
                while !stop.load(Ordering::Relaxed) {
                    let Ok((len, from)) = socket.recv_from(&mut packet) else { continue };
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Some(reply) = answer(&packet[..len], false) {
                        let _ = socket.send_to(&reply, from);
                    }
                }
            })
        };
        {
            let asked = Arc::clone(&asked);
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
                    // A forwarder may keep one connection open while it makes another.
                    std::thread::spawn(move || {
                        while let Some(packet) = read_framed(&mut stream) {
                            asked.fetch_add(1, Ordering::Relaxed);
                            if let Some(reply) = answer(&packet, true) {
                                write_framed(&mut stream, &reply);
                            }
                        }
                    });
                }
            });
        }
        Self { addr, asked, stop, threads: vec![udp] }
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The configuration that forwards to these upstreams.
    pub fn config(upstreams: &[&Self]) -> String {
        let servers: Vec<String> = upstreams.iter().map(|u| format!("\"udp://{}\"", u.addr)).collect();
        format!("[upstream]\nservers = [{}]\ntimeout = \"300ms\"\n", servers.join(", "))
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// A reply to `query`: header bits and rcode, records as (type, TTL, RDATA) on the question's name
/// for answer and authority, and an OPT with these options if given.
pub fn reply(
    query: &[u8],
    flags: u16,
    answers: &[(u16, u32, &[u8])],
    authority: &[(u16, u32, &[u8])],
    options: Option<&[u8]>,
) -> Vec<u8> {
    let end = 12 + query[12..].iter().position(|b| *b == 0).unwrap() + 5;
    let mut out = query[..end].to_vec();
    out[2..4].copy_from_slice(&(0x8180 | flags).to_be_bytes());
    let counts = [answers.len(), authority.len(), usize::from(options.is_some())];
    for (at, count) in [6, 8, 10].into_iter().zip(counts) {
        out[at..at + 2].copy_from_slice(&u16::try_from(count).unwrap().to_be_bytes());
    }
    for (rtype, ttl, rdata) in answers.iter().chain(authority) {
        out.extend(b"\xc0\x0c");
        out.extend(rtype.to_be_bytes());
        out.extend(b"\0\x01");
        out.extend(ttl.to_be_bytes());
        out.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
        out.extend(*rdata);
    }
    if let Some(options) = options {
        out.extend(b"\0\0\x29\x04\xd0\0\0\0\0");
        out.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        out.extend(options);
    }
    out
}

/// The RDATA of an SOA whose MINIMUM is `minimum`.
pub fn soa(minimum: u32) -> Vec<u8> {
    let mut rdata = b"\x02ns\0\x04host\0".to_vec();
    for word in [1, 2, 3, 4, minimum] {
        rdata.extend(u32::to_be_bytes(word));
    }
    rdata
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
