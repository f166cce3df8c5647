//! The mock upstream: one address for every name, or one of the ways to fail.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use crate::batch::{self, Batch, Wait};
use crate::query::{HEADER, end_of_question};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Manner {
    /// One address; nothing for other types.
    Answer,
    /// SERVFAIL.
    Fail,
    /// TC and nothing else.
    Truncate,
    /// No reply.
    Silent,
}

#[derive(Args)]
pub struct Upstream {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long, value_enum, default_value = "answer")]
    manner: Manner,
    /// Milliseconds before each reply
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// TTL of the answers in seconds
    #[arg(long, default_value_t = 300)]
    ttl: u32,
    /// Threads, each with a socket of its own
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

/// 192.0.2.1 for the name in the question; the TTL is filled in later.
const ANSWER: [u8; 16] = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1];
/// The type and class of a question for an address.
const ADDRESS: [u8; 4] = [0, 1, 0, 1];

impl Manner {
    /// Makes a reply of the query in `packet`; returns its length.
    fn reply(self, ttl: u32, packet: &mut [u8], received: usize) -> Option<usize> {
        let end = end_of_question(packet.get(..received)?)?;
        let address = packet[end - 4..end] == ADDRESS;
        let (truncated, rcode) = (self == Self::Truncate, if self == Self::Fail { 2 } else { 0 });
        packet[2] = packet[2] & 0x79 | 0x80 | u8::from(truncated) << 1;
        packet[3] = 0x80 | rcode;
        packet[4..HEADER].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        if self == Self::Answer && address {
            packet[7] = 1;
            let answer = packet.get_mut(end..end + ANSWER.len())?;
            answer.copy_from_slice(&ANSWER);
            answer[6..10].copy_from_slice(&ttl.to_be_bytes());
            return Some(end + ANSWER.len());
        }
        Some(end)
    }
}

/// Replies that wait until they are due.
struct Held {
    due: Instant,
    batch: Batch,
    count: usize,
}

fn answer(upstream: &Upstream, socket: &UdpSocket) -> io::Result<()> {
    let fresh = || Batch::new(64, 1232, true);
    let delay = Duration::from_millis(upstream.delay);
    let mut held: VecDeque<Held> = VecDeque::new();
    let mut spare = vec![fresh()];
    loop {
        let now = Instant::now();
        while held.front().is_some_and(|held| held.due <= now) {
            let Some(Held { mut batch, count, .. }) = held.pop_front() else { break };
            batch.send_back(socket, count)?;
            spare.push(batch);
        }
        let most = held.front().map(|held| (held.due - now).max(Duration::from_micros(10)));
        if !delay.is_zero() {
            socket.set_read_timeout(most)?;
        }
        let mut batch = spare.pop().unwrap_or_else(fresh);
        let count = batch.receive(socket, Wait::First)?;
        for slot in 0..count {
            let received = batch.received(slot).len();
            let reply = upstream.manner.reply(upstream.ttl, batch.space(slot), received);
            batch.set_len(slot, reply.unwrap_or(received));
        }
        if upstream.manner == Manner::Silent {
            batch.forget(count);
            spare.push(batch);
        } else if delay.is_zero() || count == 0 {
            batch.send_back(socket, count)?;
            spare.push(batch);
        } else {
            held.push_back(Held { due: Instant::now() + delay, batch, count });
        }
    }
}

pub fn run(upstream: &Upstream) -> io::Result<()> {
    let sockets =
        (0..upstream.threads).map(|_| batch::bind(upstream.listen)).collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let threads: Vec<_> =
            sockets.iter().map(|socket| scope.spawn(move || answer(upstream, socket))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })
}
