//! Carries out the [`Race`] of the servers for one question: sends the queries and hears the replies.

use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout_at;

use super::Question;
use super::ask::{Answer, Done, Failure};
use super::deadline::clock;
use super::flights::Missed;
use super::name_server::{Limits, NameServer, Way};
use super::race::{Race, Rank, Runner, Step};
use super::servers::{Came, InVain, Servers};
use super::watch::{Trouble, watch};

/// The most characters of a library's error text that are passed on.
const MAX_TEXT: usize = 100;
/// How often it is looked up how the servers are doing while one of them is in trouble.
const LOOK: Duration = Duration::from_millis(100);

//--- The first try

/// The first try at a question, until it is known what came of it.
pub(super) struct First {
    pub(super) servers: Arc<Servers>,
    pub(super) question: Question,
    /// Replies have to repeat the letter case.
    pub(super) exact: bool,
    pub(super) index: usize,
    pub(super) way: Way,
    pub(super) sent: Instant,
    pub(super) done: Done,
    pub(super) in_vain: Option<InVain>,
}

/// What the first try leads to.
pub(super) enum Stage {
    /// Nothing is known yet.
    First(First),
    /// A race is on, which hears what still comes.
    Racing(Try, UnboundedSender<Told>),
    /// The question is answered.
    Over,
}

impl Stage {
    /// Hears what came of the first try.
    pub(super) fn hear(&mut self, reply: Result<&[u8], Missed>) {
        *self = match mem::replace(self, Self::Over) {
            Self::First(first) => first.hear(reply),
            Self::Racing(tried, sender) => {
                // The receiver is gone once another try was answered.
                let _ = sender.send(Told { tried, reply: reply.map(<[u8]>::to_vec) });
                Self::Racing(tried, sender)
            }
            Self::Over => Self::Over,
        }
    }
}

impl First {
    fn hear(self, reply: Result<&[u8], Missed>) -> Stage {
        let Self { servers, question, exact, index, way, sent, done, in_vain } = self;
        let came = match servers.judge(index, way, Some(sent), reply) {
            Came::Good(bytes) => {
                servers.count(index, true);
                done(Ok(&bytes));
                return Stage::Over;
            }
            // Nobody else can do better.
            Came::Poor(bytes) if servers.all.len() == 1 => {
                servers.count(index, true);
                spoke_poorly(&servers, index);
                done(Ok(&bytes));
                return Stage::Over;
            }
            Came::Poor(bytes) => Came::Poor(bytes.into_owned().into()),
            Came::Plain(reply, has_opt) => Came::Plain(reply, has_opt),
            Came::OverTcp(why) => Came::OverTcp(why),
            Came::Open(missed) => Came::Open(missed),
            Came::Ended(missed) => Came::Ended(missed),
        };
        let tried = Try { index, way, sent };
        let (sender, told) = unbounded_channel();
        let stage = match &came {
            Came::Open(_) => Stage::Racing(tried, sender.clone()),
            _ => Stage::Over,
        };
        let mut course = Course::new(&servers, question, exact, sent, sender);
        course.race.sent(index, sent);
        tokio::spawn(async move {
            let answer = match course.hear(tried, came) {
                Some(answer) => Ok(answer),
                None => course.run(told).await,
            };
            drop(in_vain);
            match answer {
                Ok(answer) => done(Ok(&answer.bytes)),
                Err(failure) => done(Err(failure)),
            }
        });
        stage
    }
}

//--- The race

/// One query to one server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    index: usize,
    way: Way,
    sent: Instant,
}

/// What was heard of a try.
#[derive(Debug)]
pub(super) struct Told {
    tried: Try,
    reply: Result<Vec<u8>, Missed>,
}

/// The race for one question.
pub(super) struct Course {
    servers: Arc<Servers>,
    question: Question,
    exact: bool,
    race: Race,
    /// How each server is queried.
    ways: Vec<Way>,
    /// Those that replied.
    replied: Vec<bool>,
    /// Those that did not understand EDNS, as it seems.
    plain: Vec<bool>,
    /// The last query: for which server, and when.
    last: Option<(usize, Instant)>,
    poor: Option<Answer>,
    network: Option<String>,
    sender: UnboundedSender<Told>,
}

impl Course {
    /// A race that began at `start`.
    pub(super) fn new(
        servers: &Arc<Servers>,
        question: Question,
        exact: bool,
        start: Instant,
        sender: UnboundedSender<Told>,
    ) -> Self {
        let all = &servers.all;
        // While nobody replies to anything, a question is not worth more than one try.
        let turns = if servers.are_mute() {
            1
        } else {
            u32::try_from(all.len()).unwrap_or(u32::MAX).saturating_add(1)
        };
        let now = servers.millis(start);
        let runner = |server: &NameServer| {
            Runner::new(server.rank(), server.server.tcp_only, server.rtt.wait(servers.timeout))
        };
        Self {
            servers: Arc::clone(servers),
            question,
            exact,
            race: Race::new(all.iter().map(runner).collect(), start + servers.timeout.saturating_mul(turns)),
            ways: all.iter().map(|server| server.way(now)).collect(),
            replied: vec![false; all.len()],
            plain: vec![false; all.len()],
            last: None,
            poor: None,
            network: None,
            sender,
        }
    }

    /// Runs the race to its end.
    ///
    /// # Errors
    /// [`Failure`] if no server sent any reply that can be used.
    pub(super) async fn run(mut self, mut told: UnboundedReceiver<Told>) -> Result<Answer, Failure> {
        if self.servers.all.is_empty() {
            return Err(Failure::NoServers);
        }
        loop {
            let mut troubled = false;
            for (index, server) in self.servers.all.iter().enumerate() {
                let rank = server.rank();
                troubled |= rank != Rank::Up;
                self.race.update(index, rank, server.rtt.wait(self.servers.timeout));
            }
            let (now, servers) = (clock(), Arc::clone(&self.servers));
            // While it replies to others, this question got lost; else it may be slow for all.
            let sent = self.last.map_or(0, |(_, at)| servers.millis(at));
            let patience = |index: usize| match servers.all.get(index) {
                Some(server) if !server.has_replied_since(sent) => server.rtt.patient_wait(servers.timeout),
                _ => Duration::ZERO,
            };
            match self.race.step(now, patience) {
                Step::End => return self.end(),
                Step::Send(index) => self.send(index, now),
                Step::Wait(until) => {
                    let until = if troubled { until.min(now + LOOK) } else { until };
                    if let Ok(Some(Told { tried, reply })) = timeout_at(until.into(), told.recv()).await {
                        let reply = match reply {
                            Ok(ref bytes) => Ok(bytes.as_slice()),
                            Err(missed) => Err(missed),
                        };
                        let came = servers.judge(tried.index, tried.way, Some(tried.sent), reply);
                        if let Some(answer) = self.hear(tried, came) {
                            self.count();
                            return Ok(answer);
                        }
                    }
                }
            }
        }
    }

    fn end(mut self) -> Result<Answer, Failure> {
        self.count();
        match (self.poor.take(), self.network.take()) {
            (Some(answer), _) => Ok(answer),
            (None, Some(why)) => Err(Failure::Network(why)),
            (None, None) => Err(Failure::Timeout),
        }
    }

    /// Counts for each server that was queried whether it replied.
    fn count(&self) {
        for index in self.race.tried() {
            self.servers.count(index, self.replied.get(index).is_some_and(|replied| *replied));
        }
    }

    /// Sends the query to a server.
    fn send(&mut self, index: usize, now: Instant) {
        // Time has passed without a reply to the previous try.
        if let Some((last, at)) = self.last
            && let Some(server) = self.servers.all.get(last)
            && now.saturating_duration_since(at) >= server.rtt.wait(self.servers.timeout)
        {
            self.waited(last, at);
            let at = self.servers.millis(at);
            if self.race.has_tried(index)
                && let Some(server) = self.servers.all.get(index)
                && !server.has_replied_since(at)
            {
                server.rtt.double();
            }
        }
        self.race.sent(index, now);
        self.last = Some((index, now));
        let (Some(server), Some(way)) = (self.servers.all.get(index), self.ways.get(index)) else { return };
        let tried = Try { index, way: *way, sent: now };
        let wait = self.race.end().saturating_duration_since(now).min(self.servers.timeout);
        let limits = Limits { slow: None, wait, exact: self.exact };
        let sender = self.sender.clone();
        let tell = move |reply: Result<&[u8], Missed>| {
            // The receiver is gone once another try was answered.
            let _ = sender.send(Told { tried, reply: reply.map(<[u8]>::to_vec) });
        };
        if let Some(transports) = server.transports(now) {
            return NameServer::send(&transports, &self.question, *way, now, limits, Box::new(tell));
        }
        // Its address is looked up meanwhile.
        let (servers, question) = (Arc::clone(&self.servers), self.question.clone());
        tokio::spawn(async move {
            let Some(server) = servers.all.get(index) else { return };
            match tokio::time::timeout(wait, server.find()).await {
                Ok(Ok(transports)) => {
                    NameServer::send(&transports, &question, tried.way, clock(), limits, Box::new(tell));
                }
                Ok(Err(missed)) => tell(Err(missed)),
                Err(_) => tell(Err(Missed::Silence)),
            }
        });
    }

    /// A server has not replied to this question in the usual time; unless it replies to others, it may be
    /// in trouble.
    fn waited(&self, index: usize, sent: Instant) {
        let sent = self.servers.millis(sent);
        if self.servers.all.get(index).is_some_and(|server| !server.has_replied_since(sent)) {
            watch(&self.servers, index, Trouble::Silent);
        }
    }

    /// What came of a try; returns the answer if it is one.
    fn hear(&mut self, tried: Try, came: Came<'_>) -> Option<Answer> {
        let Try { index, way, sent } = tried;
        self.last = self.last.or(Some((index, sent)));
        let mut note = |text: &str| {
            let at = self.servers.all.get(index).map(|server| &server.server.at);
            if let Some(at) = at {
                tracing::debug!(upstream = %at, why = text, "no reply that can be used");
                self.network.get_or_insert_with(|| format!("{at}: {}", short(text)));
            }
        };
        match came {
            Came::Good(bytes) => {
                set(&mut self.replied, index);
                if !way.edns && self.plain.get(index) == Some(&true) {
                    let now = self.servers.millis(clock());
                    if let Some(server) = self.servers.all.get(index) {
                        server.needs_plain(now);
                    }
                }
                return Some(Answer { bytes: bytes.into_owned(), server: index });
            }
            Came::Poor(bytes) => {
                set(&mut self.replied, index);
                spoke_poorly(&self.servers, index);
                self.poor.get_or_insert(Answer { bytes: bytes.into_owned(), server: index });
                self.race.poor(index);
            }
            Came::Plain(reply, has_opt) => {
                set(&mut self.replied, index);
                if let Some(bytes) = reply {
                    self.poor.get_or_insert(Answer { bytes, server: index });
                }
                if !has_opt {
                    set(&mut self.plain, index);
                }
                match self.ways.get_mut(index) {
                    Some(way) if way.edns => {
                        way.edns = false;
                        self.race.again(index);
                    }
                    // It was sent without EDNS already, after an earlier try.
                    _ => self.race.lost(index),
                }
            }
            Came::OverTcp(why) => {
                match why {
                    Some(why) => note(&why),
                    None => set(&mut self.replied, index),
                }
                match self.ways.get_mut(index) {
                    // It was sent over TCP already, after an earlier try.
                    Some(way) if way.tcp => self.race.lost(index),
                    Some(way) => {
                        way.tcp = true;
                        self.race.over_stream(index);
                    }
                    None => {}
                }
            }
            Came::Open(Missed::Error(error)) => {
                note(&error.to_string());
                self.waited(index, sent);
                if let Some(server) = self.servers.all.get(index) {
                    server.move_on(clock());
                }
                self.race.error(index);
            }
            Came::Open(_) => self.waited(index, sent),
            Came::Ended(Missed::Guessed) => self.race.retry(index),
            Came::Ended(Missed::Silence) => {
                self.race.lost(index);
                self.waited(index, sent);
            }
            Came::Ended(missed) => {
                note(&missed.to_string());
                // Broken TCP does not count against a server that replies over UDP.
                if matches!(missed, Missed::Network(_)) {
                    self.waited(index, sent);
                }
                self.race.out(index);
            }
        }
        None
    }
}

/// A server gave a reply that can't be used, perhaps once too often.
fn spoke_poorly(servers: &Arc<Servers>, index: usize) {
    let now = servers.millis(clock());
    if servers.all.get(index).is_some_and(|server| server.replied_poorly(now)) {
        watch(servers, index, Trouble::Poor);
    }
}

fn set(flags: &mut [bool], index: usize) {
    if let Some(flag) = flags.get_mut(index) {
        *flag = true;
    }
}

/// The first line of a text, cut to [`MAX_TEXT`] characters.
fn short(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_cut() {
        assert_eq!(short("one\ntwo"), "one");
        assert_eq!(short(&"é".repeat(101)).chars().count(), 101);
        assert_eq!(short(&"é".repeat(100)), "é".repeat(100));
    }
}
