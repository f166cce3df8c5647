//! Sends queries to a list of servers until one gives a good reply.
//!
//! Most queries take the fast path: each is sent once to the first server. Only if that brings no good
//! reply in the usual time does a task run the race of the servers for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::unbounded_channel;

use super::ask::{Answer, Done, Failure, Tally, Upstream};
use super::course::{Course, First, Stage};
use super::deadline::clock;
use super::flights::Missed;
use super::hickory::Bootstrap;
use super::name_server::{Limits, NameServer};
use super::servers::{InVain, Servers};
use super::{Endpoint, Question, Server};

/// Sends queries to a list of servers, in order, until one gives a good reply.
pub struct Forwarder {
    servers: Arc<Servers>,
    mixes_case: bool,
}

impl Forwarder {
    /// Queries `servers` in the order given, each for at most `timeout` at a time. The system's resolver
    /// finds servers that are given by name; see [`Forwarder::with_bootstrap`].
    #[must_use]
    pub fn new(servers: Vec<Server>, timeout: Duration) -> Self {
        Self::with_bootstrap(servers, timeout, &Arc::new(Bootstrap::default()))
    }

    /// The same, but `bootstrap` resolves servers that are given by name: before their first use, when the
    /// TTL of the addresses expires, and when none of them replies.
    #[must_use]
    pub fn with_bootstrap(servers: Vec<Server>, timeout: Duration, bootstrap: &Arc<Bootstrap>) -> Self {
        Self { servers: Arc::new(Servers::new(servers, timeout, bootstrap)), mixes_case: false }
    }

    /// Sends each query over UDP in random letter case, which its reply must repeat: that makes replies
    /// harder to forge. A server that does not keep the case is queried over TCP.
    #[must_use]
    pub fn mixing_case(self, mixes_case: bool) -> Self {
        Self { mixes_case, ..self }
    }

    /// Sends the query to the servers until one replies with something other than SERVFAIL, REFUSED, NOTIMP
    /// or FORMERR. If none does better, the first such reply is the answer. Takes at most the timeout times
    /// one more than the number of servers.
    ///
    /// Dropping the future cancels the query.
    ///
    /// # Errors
    /// [`Failure`] if no server sent any reply that can be used.
    pub async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        let (sender, told) = unbounded_channel();
        let course =
            Course::new(&self.servers, self.prepared(question.clone()), self.mixes_case, clock(), sender);
        course.run(told).await
    }

    fn prepared(&self, question: Question) -> Question {
        if self.mixes_case { question.in_mixed_case() } else { question }
    }
}

impl Upstream for Forwarder {
    /// Sends the query to the first server once. If that brings no complete and good reply, continues as
    /// [`Forwarder::ask`]; while no server replies to anything, only for a bounded number of queries.
    fn begin(self: Arc<Self>, question: Question, now: Instant, done: Done) {
        let servers = &self.servers;
        let mut in_vain = None;
        if servers.are_mute() {
            in_vain = InVain::new(servers);
            if in_vain.is_none() {
                return done(Err(Failure::Down));
            }
        }
        let question = self.prepared(question);
        let known = servers.first().and_then(|(at, server)| Some((at, server, server.transports(now)?)));
        let Some((index, server, transports)) = known else {
            let (sender, told) = unbounded_channel();
            let course = Course::new(servers, question, self.mixes_case, now, sender);
            tokio::spawn(async move {
                let answer = course.run(told).await;
                drop(in_vain);
                match answer {
                    Ok(answer) => done(Ok(&answer.bytes)),
                    Err(failure) => done(Err(failure)),
                }
            });
            return;
        };
        let way = server.way(servers.millis(now));
        let asked = question.clone();
        let slow = (!way.tcp).then(|| server.rtt.wait(servers.timeout));
        let limits = Limits { slow, wait: servers.timeout, exact: self.mixes_case };
        let mut stage = Stage::First(First {
            servers: Arc::clone(servers),
            question,
            exact: self.mixes_case,
            index,
            way,
            sent: now,
            done,
            in_vain,
        });
        let on_reply = Box::new(move |reply: Result<&[u8], Missed>| stage.hear(reply));
        NameServer::send(&transports, &asked, way, now, limits, on_reply);
    }

    fn tallies(&self) -> Vec<(&Endpoint, &Tally)> {
        self.servers.all.iter().map(|server| (&server.server.at, &server.tally)).collect()
    }

    fn revivals(&self) -> u64 {
        self.servers.revivals.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("servers", &self.servers.all.iter().map(|s| &s.server).collect::<Vec<_>>())
            .field("timeout", &self.servers.timeout)
            .finish_non_exhaustive()
    }
}
