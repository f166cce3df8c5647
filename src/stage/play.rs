//! Sends the packets that a censor planned for a query, each at its time, over UDP and TCP; passes the
//! exchange to its observer when all are sent.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::censor::{Censor, Interception, Observer};
use super::delay::{self, Delayer};
use super::exchange::{Exchange, Sent};
use super::passthrough::Passthrough;
use super::world::World;
use crate::censor::{End, Plan, Shot};
use crate::dns::{self, MAX_MESSAGE, PAYLOAD_SIZE, Transport};
use crate::observe::counters::Counters;
use crate::observe::event::{Event, Source};
use crate::resolver::live::Engine;
use crate::resolver::moment::{Clock, Moment};
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::Client;
use crate::server::intercept::{Interceptor, ReplyPath};
use crate::server::{self, Bound, Running, UdpThreads};

/// A censor is not faster than one thread per address.
const UDP: UdpThreads = UdpThreads { batch: 64, pin: false };

/// The interceptor that plays the censor of a scenario.
pub struct Player {
    parts: Parts,
    censor: Arc<Censor>,
    /// Forwards to the resolver that was asked, for a censor on the path.
    passthrough: Option<Arc<Passthrough>>,
}

/// State that all threads share.
#[derive(Clone)]
struct Parts {
    engine: Arc<Engine>,
    counters: Arc<Counters>,
    clock: Clock,
    /// Holds the packets until they are due.
    delayer: Arc<Delayer>,
}

impl Player {
    /// Plays a scenario on bound sockets; with `passthrough`, queries that the censor lets through are
    /// forwarded to the resolver that was asked. Must run within a multi-threaded runtime.
    ///
    /// # Errors
    /// The kernel's, when a thread cannot be started.
    pub fn start(
        world: &World,
        bound: Bound,
        clock: Clock,
        passthrough: Option<Passthrough>,
    ) -> io::Result<(Arc<Self>, Running)> {
        let parts = Parts {
            engine: Arc::clone(&world.engine),
            counters: world.engine.counters.shared(),
            clock,
            delayer: Arc::new(Delayer::start(clock, delay::Bound::default())?),
        };
        let (censor, passthrough) = (Arc::clone(&world.censor), passthrough.map(Arc::new));
        let player = Arc::new(Self { parts, censor, passthrough });
        let interceptor: Arc<dyn Interceptor> = Arc::<Self>::clone(&player);
        let running = server::start_behind(Some(interceptor), bound, &world.engine, clock, UDP)?;
        Ok((player, running))
    }

    /// How many packets were sent early, because too many were delayed.
    #[must_use]
    pub fn hurried(&self) -> u64 {
        self.parts.delayer.hurried()
    }

    /// How many queries were not forwarded, because too many were in flight.
    #[must_use]
    pub fn held_up(&self) -> u64 {
        self.passthrough.as_ref().map_or(0, |p| p.dropped())
    }
}

impl Interceptor for Player {
    fn intercept(&self, packet: &[u8], client: Client, at: Moment, path: ReplyPath) -> Result<(), ReplyPath> {
        if self.passthrough.as_ref().is_some_and(|p| p.is_own(client.address)) {
            return Ok(());
        }
        let Parts { engine, counters, clock, .. } = &self.parts;
        let behind = Arc::clone(&engine.snapshot_at(at.unix));
        let Some(Interception { plan, exchange }) = self.censor.intercept(packet, &behind, client, at) else {
            return Err(path);
        };
        let server = path.server();
        let exchange = exchange.map(|(mut exchange, observer)| {
            exchange.server = server.unwrap_or(exchange.server);
            (Mutex::new(exchange), observer)
        });
        let censored = censored(&plan, client).map(|event| {
            let first = plan.forged.first().map_or(&[][..], |shot| &shot.octets);
            (event, engine.copy_for_sink(first))
        });
        let ahead = AtomicUsize::new(plan.forged.len() + usize::from(plan.genuine.is_some()));
        let open = Open { path, client, at, clock: *clock, end: plan.end, ahead, exchange };
        let mut outgoing = Outgoing {
            open: Arc::new(open),
            delayer: Arc::clone(&self.parts.delayer),
            query: packet.len(),
            waits: false,
        };
        for shot in plan.forged {
            outgoing.send(shot, false);
        }
        if let Some((event, reply)) = &censored {
            engine.observe(&mut &**counters, &behind, event, packet, reply);
        }
        let Some(after) = plan.genuine else { return Ok(()) };
        if let Some(passthrough) = &self.passthrough
            && let Some(asked) = server.filter(|asked| Passthrough::leads_on(*asked))
        {
            let (way, packet, parts) = (Arc::clone(passthrough), packet.to_vec(), self.parts.clone());
            passthrough.spawn(async move {
                let reply = match client.transport {
                    Transport::Udp => way.over_udp(asked, &packet).await,
                    Transport::Tcp => way.over_tcp(asked, &packet).await,
                };
                let event = passed(reply.as_deref(), client, at, parts.clock);
                let reply = reply.unwrap_or_default();
                let copy = parts.engine.copy_for_sink(&reply);
                outgoing.genuine(after, reply);
                if censored.is_none() {
                    parts.engine.observe(&mut &*parts.counters, &behind, &event, &packet, &copy);
                }
            });
            return Ok(());
        }
        let mut out = vec![0; longest(client.transport)];
        let mut event = Event::new(client.address, client.transport);
        let len = match resolve(engine, &behind, packet, client, at, &mut out, &mut event) {
            Outcome::Reply(len) => len,
            Outcome::ReplyAndRefresh(len, pending) => {
                pending.refresh(*clock);
                len
            }
            Outcome::Later(pending) => {
                let parts = self.parts.clone();
                pending.begin(*clock, move |pending, answered| {
                    let mut out = vec![0; longest(client.transport)];
                    let (len, event) = pending.write(answered, &mut out);
                    let reply = out.get(..len).unwrap_or_default();
                    outgoing.genuine(after, reply.to_vec());
                    if censored.is_none() {
                        let (snapshot, query) = (pending.snapshot(), pending.packet());
                        parts.engine.observe(&mut &*parts.counters, snapshot, &event, query, reply);
                    }
                });
                return Ok(());
            }
            Outcome::Drop => 0,
        };
        let reply = out.get(..len).unwrap_or_default();
        outgoing.genuine(after, reply.to_vec());
        if censored.is_none() {
            event.took = clock().at.saturating_duration_since(at.at);
            engine.observe(&mut &**counters, &behind, &event, packet, reply);
        }
        Ok(())
    }

    fn under_way(&self) -> usize {
        // A forwarded query's reply may then wait for its time.
        self.passthrough.as_ref().map_or(0, |p| p.passing()) + self.parts.delayer.waiting()
    }

    fn stop(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            if let Some(passthrough) = &self.passthrough {
                passthrough.stop().await;
            }
            self.parts.delayer.stop();
        })
    }
}

/// Room for the longest genuine reply, in octets.
fn longest(transport: Transport) -> usize {
    match transport {
        Transport::Udp => usize::from(PAYLOAD_SIZE),
        Transport::Tcp => MAX_MESSAGE,
    }
}

/// The counts for a query that the censor answered, or left unanswered.
fn censored(plan: &Plan, client: Client) -> Option<Event> {
    if plan.forged.is_empty() && plan.genuine.is_some() {
        return None;
    }
    let rcode = plan.forged.first().and_then(|shot| dns::rcode(&shot.octets));
    Some(Event { source: Source::Censor, rcode, ..Event::new(client.address, client.transport) })
}

/// The counts for a query that was forwarded to the resolver that was asked.
fn passed(reply: Option<&[u8]>, client: Client, came: Moment, clock: Clock) -> Event {
    let rcode = reply.and_then(dns::rcode);
    let took = clock().at.saturating_duration_since(came.at);
    Event { source: Source::Upstream, rcode, took, ..Event::new(client.address, client.transport) }
}

/// Sends all packets of one query.
struct Outgoing {
    open: Arc<Open>,
    delayer: Arc<Delayer>,
    /// The octets of the query.
    query: usize,
    /// A packet before the next one is delayed.
    waits: bool,
}

impl Outgoing {
    fn send(&mut self, shot: Shot, genuine: bool) {
        let open = Arc::clone(&self.open);
        // The query waits too, in its exchange.
        let (due, octets) = (open.at.at + shot.after, shot.octets.len() + self.query);
        let job = move || open.send(shot, genuine);
        // If one waits, later ones wait too, or they might overtake it.
        self.waits = if self.waits {
            self.delayer.in_turn(due, octets, job)
        } else {
            self.delayer.at(due, octets, job)
        };
    }

    /// The honest network's reply, if any.
    fn genuine(mut self, after: Duration, octets: Vec<u8>) {
        if octets.is_empty() {
            self.open.silent();
        } else {
            self.send(Shot { after, octets, ip_ttl: None }, true);
        }
    }
}

/// An exchange in progress. When the last sender is dropped, the connection ends as planned, and the observer
/// gets the exchange.
struct Open {
    path: ReplyPath,
    client: Client,
    /// When the query arrived.
    at: Moment,
    clock: Clock,
    /// The planned end of the connection.
    end: End,
    /// Packets that are still to be sent.
    ahead: AtomicUsize,
    exchange: Option<(Mutex<Exchange>, Arc<dyn Observer>)>,
}

impl Open {
    fn send(self: Arc<Self>, Shot { after: planned, octets, ip_ttl }: Shot, genuine: bool) {
        // A stream cannot carry an empty message.
        if octets.is_empty() && self.client.transport == Transport::Tcp {
            return self.silent();
        }
        let open = Arc::clone(&self);
        self.path.send(octets, ip_ttl, move |octets| {
            open.ahead.fetch_sub(1, Relaxed);
            if let Some((exchange, _)) = &open.exchange {
                let after = (open.clock)().at.saturating_duration_since(open.at.at);
                let mut exchange = exchange.lock().unwrap_or_else(PoisonError::into_inner);
                exchange.replies.push(Sent { planned, after, octets, genuine, ip_ttl });
            }
        });
    }

    /// Records that a planned packet has nothing to send.
    fn silent(&self) {
        self.ahead.fetch_sub(1, Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        match self.end {
            End::Open => {}
            End::Close => self.path.close(),
            End::Reset => self.path.reset(),
        }
        if let Some((exchange, observer)) = self.exchange.take() {
            let mut exchange = exchange.into_inner().unwrap_or_else(PoisonError::into_inner);
            exchange.cut = *self.ahead.get_mut() > 0;
            observer.ended(exchange);
        }
    }
}
