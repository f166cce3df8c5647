//! The timing accuracy of a censor's packets: 5,000 queries a second for ten seconds, each answered by two
//! forged replies and a late genuine one.
//!
//! `cargo bench --bench delays [-- SECONDS [QUERIES A SECOND]]`. The time from the query's sending to the
//! reply's arrival, less the planned delay; it includes the path through the kernel and back.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation
)]

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use portcullis::dns::{NameBuf, Qtype, encode};
use portcullis::stage::Harness;

const SCENARIO: &str = r#"
[scenario]
name = "delays"
sources = ["a bench"]
[[network]]
id = "isp"
[[rule]]
id = "inject"
match = { any = true }
action = { kind = "inject", genuine = "150ms", replies = [
    { a = ["10.0.0.1"], after = "1ms" }, { a = ["10.0.0.2"], after = "20ms" },
] }
[[zone]]
origin = "test"
records = """
@ 3600 SOA ns.test. host.test. 1 3600 600 86400 60
* 300 A 198.51.100.7
"""
"#;

/// The planned delays, identified by the last octet of the address.
const PLANNED: [(u8, Duration); 3] =
    [(1, Duration::from_millis(1)), (2, Duration::from_millis(20)), (7, Duration::from_millis(150))];

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let seconds = numbers.first().copied().unwrap_or(10);
    let rate = numbers.get(1).copied().unwrap_or(5_000);
    let censor = Harness::of_text(SCENARIO).unwrap().start().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(censor.address("isp").unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20).unwrap();
    let packet = encode(NameBuf::from_text("a.test").unwrap().as_name(), Qtype::A);
    // When the query with each id was sent, in microseconds; ids repeat after 13 seconds.
    let sent: Arc<Vec<AtomicU64>> = Arc::new((0..65_536).map(|_| AtomicU64::new(0)).collect());
    let start = Instant::now();
    let total = seconds * rate;
    let sender = {
        let (socket, sent, mut packet) = (socket.try_clone().unwrap(), Arc::clone(&sent), packet);
        std::thread::spawn(move || {
            for number in 0..total {
                let due = Duration::from_nanos(1_000_000_000 * number / rate);
                if let Some(wait) = due.checked_sub(start.elapsed()) {
                    std::thread::sleep(wait);
                }
                let id = number as u16;
                packet[..2].copy_from_slice(&id.to_be_bytes());
                sent[usize::from(id)].store(start.elapsed().as_nanos() as u64, Ordering::Release);
                socket.send(&packet).unwrap();
            }
        })
    };
    let mut errors: [Vec<i64>; 3] = Default::default();
    let mut buffer = [0; 512];
    while let Ok(len) = socket.recv(&mut buffer) {
        let arrived = start.elapsed().as_nanos() as u64;
        let id = usize::from(u16::from_be_bytes([buffer[0], buffer[1]]));
        // The address ends the answer; the OPT record of eleven octets follows.
        let last = buffer[len - 12];
        let at = PLANNED.iter().position(|(octet, _)| *octet == last).unwrap();
        let took = arrived.saturating_sub(sent[id].load(Ordering::Acquire));
        errors[at].push(took as i64 - PLANNED[at].1.as_nanos() as i64);
    }
    sender.join().unwrap();
    println!("{rate} queries a second, {seconds} s; late by, in microseconds:");
    println!(
        "{:>10} {:>8} {:>7} {:>7} {:>7} {:>7} {:>8}",
        "planned", "replies", "least", "p50", "p95", "p99", "most"
    );
    for (errors, (_, planned)) in errors.iter_mut().zip(PLANNED) {
        errors.sort_unstable();
        let at = |share: usize| errors.get((errors.len() * share / 1000).min(errors.len().saturating_sub(1)));
        let micros = |share| at(share).map_or_else(|| "-".into(), |e| (e / 1000).to_string());
        println!(
            "{:>10} {:>8} {:>7} {:>7} {:>7} {:>7} {:>8}",
            format!("{planned:?}"),
            errors.len(),
            micros(0),
            micros(500),
            micros(950),
            micros(990),
            micros(1000)
        );
    }
    println!("sent early because too many were delayed: {}", censor.hurried());
}
