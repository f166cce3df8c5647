//! One thread of the load generator: it sends queries until the time is up, over several sockets in turn.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::batch::{self, Batch, Wait};
use crate::common::Random;
use crate::lane::Lane;
use crate::load::{Idle, Load};
use crate::machine;
use crate::report::{Count, Sample};
use crate::workload::Stream;

/// When a run ends.
pub struct Until {
    /// Counting begins.
    pub from: Instant,
    pub to: Instant,
    /// The number of correct replies that ends the run.
    pub replies: u64,
}

pub struct Asker<'a> {
    load: &'a Load,
    lanes: Vec<Lane>,
    inbox: Batch,
    pub count: Count,
    random: Random,
    /// Broken packets that are still to be sent.
    owed: f64,
}

impl<'a> Asker<'a> {
    pub fn new(load: &'a Load) -> io::Result<Self> {
        let now = Instant::now();
        let lanes = (0..load.sockets).map(|_| Lane::new(load, now)).collect::<io::Result<_>>()?;
        Ok(Self {
            load,
            lanes,
            inbox: Batch::new(64, 4096, false),
            count: Count::default(),
            random: Random::new(5),
            owed: 0.0,
        })
    }

    /// Returns the system's statistics at the start and the end of counting.
    pub fn run(&mut self, stream: &mut Stream, until: &Until) -> io::Result<(Sample, Sample)> {
        let timeout = Duration::from_millis(self.load.timeout);
        let begin = Instant::now();
        let (mut first, mut sent) = (None, 0);
        let mut last_look = begin;
        let mut now = begin;
        let last = loop {
            if first.is_none() && now >= until.from {
                self.count = Count::default();
                first = Some(Sample::take(self.load));
            }
            if now >= until.to || self.count.right + self.count.wrong >= until.replies {
                break Sample::take(self.load);
            }
            if now - last_look > timeout / 8 {
                last_look = now;
                for lane in &mut self.lanes {
                    self.count.lost += lane.ask_again(now - timeout)?;
                }
            }
            let due = self.load.rate.map_or(u64::MAX, |rate| {
                ((now - begin).as_secs_f64() * rate / self.load.threads as f64) as u64
            });
            let before = sent;
            let heard = self.sweep(|lane| {
                while sent < due && lane.ask(stream) {
                    sent += 1;
                }
            })?;
            self.send_broken((sent - before) as f64 * self.load.broken / 100.0)?;
            let nothing = heard == 0 && sent == before;
            if nothing {
                self.rest();
            }
            let then = Instant::now();
            if nothing {
                self.count.idle += then - now;
            }
            now = then;
        };
        self.count.in_time = self.count.right;
        // Queries in flight may still be answered; the others are lost.
        while now < last.at + timeout && self.lanes.iter().any(|lane| lane.waiting() > 0) {
            self.sweep(|_| {})?;
            self.rest();
            now = Instant::now();
        }
        self.count.lost += self.lanes.iter().map(|lane| lane.waiting() as u64).sum::<u64>();
        Ok((first.unwrap_or_else(|| Sample::take(self.load)), last))
    }

    /// Receives the pending replies of each socket, and sends the queries with which `ask` replaces them.
    fn sweep(&mut self, mut ask: impl FnMut(&mut Lane)) -> io::Result<usize> {
        let mut heard = 0;
        for lane in &mut self.lanes {
            loop {
                let received = self.inbox.receive(&lane.socket, Wait::Never)?;
                if received > 0 {
                    let now = Instant::now();
                    for slot in 0..received {
                        lane.hear(self.inbox.received(slot), now, &mut self.count);
                    }
                    heard += received;
                }
                if received < self.inbox.slots() {
                    break;
                }
            }
            ask(lane);
            lane.send()?;
        }
        Ok(heard)
    }

    /// Sends this many broken packets, over the sockets in turn.
    fn send_broken(&mut self, count: f64) -> io::Result<()> {
        self.owed += count;
        while self.owed >= 1.0 {
            self.owed -= 1.0;
            self.count.broken += 1;
            let lane = self.count.broken as usize % self.lanes.len();
            self.lanes[lane].send_broken(&mut self.random)?;
        }
        Ok(())
    }

    fn rest(&self) {
        match self.load.idle {
            Idle::Spin => std::hint::spin_loop(),
            Idle::Yield => thread::yield_now(),
            Idle::Sleep => batch::poll(self.lanes.iter().map(|lane| &lane.socket), Duration::from_millis(1)),
        }
    }

    /// Datagrams that the server's sockets and those of this thread have dropped so far.
    pub fn drops(&self) -> u64 {
        let own = self.lanes.iter().filter_map(|lane| lane.socket.local_addr().ok()).map(|a| a.port());
        machine::drops_at(&own.chain([self.load.server.port()]).collect::<Vec<_>>())
    }
}
