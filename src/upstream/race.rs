//! The course of one question: which server is queried next, and when.
//!
//! Nothing here sends or waits; the time is an argument. Replies to all tries are welcome until the end, so
//! a slow server costs nothing but time. Each step goes to the server that has been tried least, the better
//! one first, as soon as the previous one should have replied.

use std::time::{Duration, Instant};

/// The most tries over UDP at one server. At a round-trip time of a few milliseconds, the last is sent after
/// 3 s; with 30 % of all packets lost on each way, one question in a thousand fails.
const MAX_TRIES: u32 = 10;
/// After so many tries, each wait is twice the one before.
const STEADY_TRIES: u32 = 4;
/// The most tries at once after errors from the network; then time has to pass.
const MAX_ERRORS: u32 = 3;

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(1);

/// How a server is doing, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It replies.
    Up,
    /// It has not replied to some queries; a probe is on its way.
    Suspect,
    /// It did not even reply to the probe.
    Down,
}

/// One server in a race.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) rank: Rank,
    /// It is queried over a stream, which repeats by itself what is lost.
    pub(super) stream: bool,
    /// How long a reply usually takes at most.
    pub(super) wait: Duration,
    tries: u32,
    errors: u32,
    /// Tries that may still bring a reply.
    open: u32,
    /// It can't contribute any more.
    out: bool,
}

impl Runner {
    pub(super) const fn new(rank: Rank, stream: bool, wait: Duration) -> Self {
        Self { rank, stream, wait, tries: 0, errors: 0, open: 0, out: false }
    }

    const fn tried(&self) -> bool {
        self.tries > 0
    }

    fn may_try(&self, has_poor: bool) -> bool {
        let most = match (self.stream, has_poor) {
            (true, _) => 1,
            // Some reply is known already: once more in case of a loss.
            (false, true) if self.rank < Rank::Down => 2,
            (false, true) => 0,
            (false, false) => MAX_TRIES,
        };
        !self.out && self.tries < most && !(self.rank == Rank::Down && self.errors >= MAX_ERRORS)
    }
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Query the server with this index.
    Send(usize),
    /// Wait for a reply, but no longer.
    Wait(Instant),
    /// No more replies are to be expected in time.
    End,
}

/// The race of the servers for one question.
#[derive(Debug)]
pub(super) struct Race {
    runners: Vec<Runner>,
    end: Instant,
    /// The server queried last, and when.
    last: Option<(usize, Instant)>,
    /// A server replied, but another may do better.
    has_poor: bool,
    /// The next try need not wait.
    urgent: bool,
    /// A server to be queried next, in another way.
    again: Option<usize>,
}

impl Race {
    /// A race of servers, in order of preference, that ends at `end`.
    pub(super) const fn new(runners: Vec<Runner>, end: Instant) -> Self {
        Self { runners, end, last: None, has_poor: false, urgent: true, again: None }
    }

    pub(super) const fn end(&self) -> Instant {
        self.end
    }

    /// How a server is doing by now, and how long a reply usually takes at most.
    pub(super) fn update(&mut self, index: usize, rank: Rank, wait: Duration) {
        if let Some(runner) = self.runners.get_mut(index) {
            (runner.rank, runner.wait) = (rank, wait);
        }
    }

    /// A query was sent to a server.
    pub(super) fn sent(&mut self, index: usize, now: Instant) {
        if let Some(runner) = self.runners.get_mut(index) {
            runner.tries += 1;
            runner.open += 1;
        }
        (self.last, self.urgent, self.again) = (Some((index, now)), false, None);
    }

    /// The network reported an error for a try, which may still bring a reply: the error may be about
    /// another packet, or forged.
    pub(super) fn error(&mut self, index: usize) {
        if let Some(runner) = self.runners.get_mut(index) {
            runner.errors += 1;
            self.urgent |= runner.errors < MAX_ERRORS;
        }
    }

    /// A try has ended without a reply.
    pub(super) fn lost(&mut self, index: usize) {
        if let Some(runner) = self.runners.get_mut(index) {
            runner.open = runner.open.saturating_sub(1);
        }
    }

    /// A try has ended for a reason that does not concern the server; the next need not wait.
    pub(super) fn retry(&mut self, index: usize) {
        self.lost(index);
        self.urgent = true;
    }

    /// A try has ended because the server can't be reached, or replies with what can't be used.
    pub(super) fn out(&mut self, index: usize) {
        self.lost(index);
        if let Some(runner) = self.runners.get_mut(index) {
            runner.out = true;
        }
        self.urgent = true;
    }

    /// A server replied, but another may do better.
    pub(super) fn poor(&mut self, index: usize) {
        self.has_poor = true;
        self.out(index);
    }

    /// A server is to be queried at once in another way, whatever its tries.
    pub(super) fn again(&mut self, index: usize) {
        self.lost(index);
        self.again = Some(index);
    }

    /// A server is to be queried over a stream at once, and not again: the stream repeats by itself what is
    /// lost, and a copy would only make a slow server slower.
    pub(super) fn over_stream(&mut self, index: usize) {
        self.again(index);
        if let Some(runner) = self.runners.get_mut(index) {
            // Errors so far were about UDP.
            (runner.stream, runner.errors) = (true, 0);
        }
    }

    /// What to do at `now`. `patience` is how long a server has to be waited for before it is queried again,
    /// while it replies to nobody.
    pub(super) fn step(&self, now: Instant, patience: impl Fn(usize) -> Duration) -> Step {
        if now >= self.end {
            return Step::End;
        }
        if let Some(index) = self.again {
            return Step::Send(index);
        }
        let next =
            self.runners.iter().enumerate().filter(|(_, runner)| runner.may_try(self.has_poor)).min_by_key(
                |(index, runner)| {
                    // A server that is down is queried after two tries at one that is up.
                    let late = if runner.rank == Rank::Down { 1 } else { 0 };
                    (runner.tries + late, runner.rank, *index)
                },
            );
        let Some((last, at)) = self.last else {
            return next.map_or(Step::End, |(index, _)| Step::Send(index));
        };
        let Some(waited) = self.runners.get(last) else { return Step::End };
        let doubled = waited.wait.saturating_mul(1 << waited.tries.saturating_sub(STEADY_TRIES).min(16));
        match next {
            Some((index, _)) if self.urgent => Step::Send(index),
            Some((index, runner)) => {
                // A server that was asked already may just be slow, for all questions.
                let wait = if runner.tried() { doubled.max(patience(index)) } else { doubled };
                // What a server has to be waited for may change meanwhile.
                let look = (at + wait).min(now + waited.wait.max(SHORTEST));
                if now >= at + wait { Step::Send(index) } else { Step::Wait(look.min(self.end)) }
            }
            None if !self.hopes() => Step::End,
            // A known answer is not withheld for long (RFC 9520 is for the rest).
            None if self.has_poor && now >= at + waited.wait * 2 => Step::End,
            None if self.has_poor => Step::Wait((at + waited.wait * 2).min(self.end)),
            // Every try met an error. If all of them were forged, a reply comes in the usual time.
            None => {
                let errors = self.runners.iter().all(|r| r.out || r.errors >= r.tries.min(MAX_ERRORS));
                let down = self.runners.iter().all(|r| r.out || r.rank == Rank::Down);
                let end = match (errors, down) {
                    (true, true) => now,
                    (true, false) => (at + waited.wait).min(self.end),
                    (false, _) => self.end,
                };
                if now >= end { Step::End } else { Step::Wait(end) }
            }
        }
    }

    /// True if some try may still bring a reply that is worth waiting for.
    fn hopes(&self) -> bool {
        self.runners
            .iter()
            .any(|runner| runner.open > 0 && !(self.has_poor && (runner.out || runner.rank == Rank::Down)))
    }

    /// True if a server was queried.
    pub(super) fn has_tried(&self, index: usize) -> bool {
        self.runners.get(index).is_some_and(Runner::tried)
    }

    /// The servers that were queried.
    pub(super) fn tried(&self) -> impl Iterator<Item = usize> + '_ {
        self.runners.iter().enumerate().filter(|(_, runner)| runner.tried()).map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// What happens in a race, as text: `12:a` is a query to the first server after 12 ms, `END` its end.
    /// `events` are what comes back: (time in ms, server, what).
    fn course(mut runners: Vec<Runner>, limit: u64, events: &[(u64, usize, &str)], patience: u64) -> String {
        #[expect(clippy::disallowed_methods, reason = "there is no other way to make an instant")]
        let start = Instant::now();
        for runner in &mut runners {
            runner.wait = runner.wait.max(MS(1));
        }
        let mut race = Race::new(runners, start + MS(limit));
        let (mut text, mut now) = (Vec::new(), 0);
        let mut events = events.iter().peekable();
        loop {
            match race.step(start + MS(now), |_| MS(patience)) {
                Step::Send(index) => {
                    race.sent(index, start + MS(now));
                    text.push(format!("{now}:{}", ['a', 'b', 'c'][index]));
                }
                Step::End => {
                    text.push(format!("{now}:END"));
                    return text.join(" ");
                }
                Step::Wait(until) => {
                    let until = u64::try_from((until - start).as_millis()).unwrap();
                    match events.next_if(|(at, _, _)| *at <= until) {
                        Some((at, index, what)) => {
                            now = now.max(*at);
                            match *what {
                                "error" => race.error(*index),
                                "poor" => race.poor(*index),
                                "out" => race.out(*index),
                                "lost" => race.lost(*index),
                                "tc" => race.over_stream(*index),
                                _ => race.again(*index),
                            }
                        }
                        None => now = until,
                    }
                }
            }
            assert!(text.len() < 50, "{text:?}");
        }
    }

    const fn udp(rank: Rank, wait: u64) -> Runner {
        Runner::new(rank, false, Duration::from_millis(wait))
    }

    const fn tcp(rank: Rank, wait: u64) -> Runner {
        Runner::new(rank, true, Duration::from_millis(wait))
    }

    use Rank::{Down, Suspect, Up};

    #[test]
    fn silence() {
        for (runners, limit, patience, expected) in [
            (vec![udp(Up, 100)], 1000, 0, "0:a 100:a 200:a 300:a 400:a 600:a 1000:END"),
            // The server has not replied to anybody for a while.
            (vec![udp(Up, 100)], 1000, 600, "0:a 600:a 1000:END"),
            (
                vec![udp(Up, 100), udp(Up, 50)],
                600,
                0,
                "0:a 100:b 150:a 250:b 300:a 400:b 450:a 550:b 600:END",
            ),
            (vec![udp(Up, 100), udp(Up, 50)], 600, 400, "0:a 100:b 500:a 600:END"),
            (vec![udp(Suspect, 100), udp(Up, 50)], 300, 0, "0:b 50:a 150:b 200:a 300:END"),
            // One that is down gets its turn late.
            (vec![udp(Down, 100), udp(Up, 50)], 400, 0, "0:b 50:b 100:a 200:b 250:a 350:b 400:END"),
            (vec![udp(Down, 100)], 150, 0, "0:a 100:a 150:END"),
            (vec![tcp(Up, 100)], 1000, 0, "0:a 1000:END"),
            (vec![tcp(Up, 100), udp(Up, 50)], 300, 0, "0:a 100:b 150:b 200:b 250:b 300:END"),
        ] {
            assert_eq!(course(runners, limit, &[], patience), expected);
        }
    }

    #[test]
    fn a_poor_reply_goes_on_to_the_others_but_not_for_long() {
        for (runners, events, expected) in [
            (vec![udp(Up, 50)], vec![(7, 0, "poor")], "0:a 7:END"),
            (vec![udp(Up, 50), udp(Up, 50)], vec![(7, 0, "poor"), (9, 1, "poor")], "0:a 7:b 9:END"),
            // The other is silent: one more try, and no more than that.
            (vec![udp(Up, 50), udp(Up, 20)], vec![(7, 0, "poor")], "0:a 7:b 27:b 67:END"),
            // The first one is slow, the other poor.
            (vec![udp(Up, 50), udp(Up, 20)], vec![(60, 1, "poor")], "0:a 50:b 60:a 160:END"),
            // One that is down is not waited for.
            (vec![udp(Up, 50), udp(Down, 20)], vec![(7, 0, "poor")], "0:a 7:END"),
            (vec![tcp(Up, 50), udp(Up, 20)], vec![(7, 0, "out"), (9, 1, "poor")], "0:a 7:b 9:END"),
        ] {
            assert_eq!(course(runners, 5000, &events, 0), expected);
        }
    }

    #[test]
    fn an_error_is_no_proof() {
        for (runners, events, expected) in [
            // Elsewhere at once.
            (vec![udp(Up, 50), udp(Up, 50)], vec![(1, 0, "error"), (2, 1, "poor")], "0:a 1:b 2:a 102:END"),
            // Three times at once, then in the usual course.
            (
                vec![udp(Up, 50)],
                vec![(1, 0, "error"), (2, 0, "error"), (3, 0, "error")],
                "0:a 1:a 2:a 52:a 102:a 202:a 402:a 802:a 900:END",
            ),
            (
                vec![udp(Down, 50)],
                vec![(1, 0, "error"), (2, 0, "error"), (3, 0, "error")],
                "0:a 1:a 2:a 3:END",
            ),
            (vec![tcp(Up, 50)], vec![(1, 0, "out")], "0:a 1:END"),
        ] {
            assert_eq!(course(runners, 900, &events, 0), expected);
        }
    }

    #[test]
    fn another_way_is_taken_at_once() {
        let events = [(5, 0, "again"), (8, 0, "out")];
        assert_eq!(course(vec![udp(Up, 50), udp(Up, 50)], 100, &events, 0), "0:a 5:a 8:b 58:b 100:END");
    }

    #[test]
    fn a_stream_gets_one_copy() {
        for (runners, events, expected) in [
            (vec![udp(Up, 50)], vec![(5, 0, "tc")], "0:a 5:a 900:END"),
            // Another server gets its turn.
            (vec![udp(Up, 50), tcp(Up, 50)], vec![(5, 0, "tc")], "0:a 5:a 55:b 900:END"),
            // Without EDNS, it is another query.
            (vec![udp(Up, 50)], vec![(5, 0, "tc"), (9, 0, "again")], "0:a 5:a 9:a 900:END"),
            // It ends without a reply.
            (vec![udp(Up, 50)], vec![(5, 0, "tc"), (400, 0, "lost")], "0:a 5:a 400:END"),
            (vec![udp(Up, 50)], vec![(5, 0, "tc"), (7, 0, "out")], "0:a 5:a 7:END"),
            // Errors over UDP say nothing about the stream.
            (
                vec![udp(Up, 50)],
                vec![(1, 0, "error"), (2, 0, "error"), (3, 0, "error"), (5, 0, "tc")],
                "0:a 1:a 2:a 5:a 900:END",
            ),
        ] {
            assert_eq!(course(runners, 900, &events, 0), expected);
        }
    }
}
