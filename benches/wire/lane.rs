//! One socket of the load generator and its queries in flight.

use std::io;
use std::net::UdpSocket;
use std::time::Instant;

use crate::batch::{self, Batch};
use crate::common::Random;
use crate::load::Load;
use crate::query::{self, Expect};
use crate::report::Count;
use crate::workload::Stream;

/// A query in flight.
#[derive(Clone, Copy)]
struct Asked {
    id: u16,
    expect: Expect,
    at: Instant,
    waiting: bool,
}

/// A socket and its queries.
pub struct Lane {
    pub socket: UdpSocket,
    /// A slot for each query, and one for broken packets.
    out: Batch,
    asked: Vec<Asked>,
    free: Vec<u16>,
    ready: Vec<u16>,
    /// The bits of an id that encode the slot; all of them are set for broken packets.
    mask: u16,
    /// Any reply to the question is correct.
    any_reply: bool,
    ttl: Option<u32>,
}

impl Lane {
    pub fn new(load: &Load, now: Instant) -> io::Result<Self> {
        let nothing = Asked { id: 0, expect: Expect::Reply, at: now, waiting: false };
        Ok(Self {
            socket: batch::connect(load.server)?,
            out: Batch::new(load.window + 1, query::LONGEST, false),
            asked: vec![nothing; load.window],
            free: (0..load.window as u16).collect(),
            ready: Vec::with_capacity(load.window),
            mask: ((load.window + 1).next_power_of_two() - 1) as u16,
            any_reply: load.echo || load.any_code,
            ttl: load.ttl,
        })
    }

    /// Queues the next query of the stream; false if the maximum is in flight.
    pub fn ask(&mut self, stream: &mut Stream) -> bool {
        let Some(slot) = self.free.pop() else { return false };
        let (len, expect) = stream.next(self.out.space(usize::from(slot)));
        self.out.set_len(usize::from(slot), len);
        self.asked[usize::from(slot)].expect = if self.any_reply { Expect::Reply } else { expect };
        self.ready(slot);
        true
    }

    /// Resends unanswered queries that were sent before `then`; returns how many these are.
    pub fn ask_again(&mut self, then: Instant) -> io::Result<u64> {
        for slot in 0..self.asked.len() {
            if self.asked[slot].waiting && self.asked[slot].at < then {
                self.ready(slot as u16);
            }
        }
        let lost = self.ready.len() as u64;
        self.send()?;
        Ok(lost)
    }

    /// How many queries are in flight.
    pub fn waiting(&self) -> usize {
        self.asked.len() - self.free.len()
    }

    /// Queues a slot, under an id that it did not have before.
    fn ready(&mut self, slot: u16) {
        let asked = &mut self.asked[usize::from(slot)];
        asked.id = asked.id.wrapping_add(self.mask + 1) & !self.mask | slot;
        asked.waiting = true;
        let id = asked.id.to_be_bytes();
        self.out.space(usize::from(slot))[..2].copy_from_slice(&id);
        self.ready.push(slot);
    }

    /// Sends the queue.
    pub fn send(&mut self) -> io::Result<()> {
        if self.ready.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        for &slot in &self.ready {
            self.asked[usize::from(slot)].at = now;
        }
        let sent = self.out.send(&self.socket, &self.ready);
        self.ready.clear();
        sent
    }

    /// Sends a broken query.
    pub fn send_broken(&mut self, random: &mut Random) -> io::Result<()> {
        let slot = self.asked.len();
        let from = random.below(slot);
        let mut models = (from..slot).chain(0..from).map(|slot| self.out.outgoing(slot));
        let Some(model) = models.find(|m| !m.is_empty()).map(<[u8]>::to_vec) else { return Ok(()) };
        let packet = self.out.space(slot);
        packet[..model.len()].copy_from_slice(&model);
        let len = query::break_it(packet, model.len(), random);
        // An id that no query has; the upper bits need not differ.
        packet[..2].copy_from_slice(&self.mask.to_be_bytes());
        self.out.set_len(slot, len);
        self.out.send(&self.socket, &[slot as u16])
    }

    /// Handles one reply.
    pub fn hear(&mut self, reply: &[u8], now: Instant, count: &mut Count) {
        let id = reply.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        let slot = id & self.mask;
        let Some(asked) = self.asked.get_mut(usize::from(slot)).filter(|a| a.waiting && a.id == id) else {
            *(if id == self.mask { &mut count.broken_replies } else { &mut count.stray }) += 1;
            return;
        };
        let query = self.out.outgoing(usize::from(slot));
        if asked.expect.holds(query, reply) {
            count.right += 1;
            count.octets += reply.len() as u64;
            count.took.record(now.saturating_duration_since(asked.at));
            if let Some(ttl) = self.ttl
                && let Some(left) = query::answer_ttl(query, reply)
            {
                count.answers += 1;
                count.uncached += u64::from(left == ttl);
            }
        } else {
            count.wrong += 1;
            count.first_wrong.get_or_insert_with(|| describe(asked.expect, query, reply));
        }
        asked.waiting = false;
        self.free.push(slot);
    }
}

fn describe(expect: Expect, query: &[u8], reply: &[u8]) -> String {
    let name = String::from_utf8_lossy(query::question(query)).into_owned();
    format!("{name:?}: expected {expect:?}, got {reply:02x?}")
}
