//! Sends what a censor answers, each packet at its time, over UDP; tells the exchange when all have left.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::delay::Delayer;
use super::passage::Passage;
use super::udp::worker::Shared;
use super::udp::{Return, send_marked};
use crate::censor::plan::{Plan, Shot};
use crate::dns::edns::PAYLOAD_SIZE;
use crate::dns::types::Rcode;
use crate::observe::event::{Event, Source};
use crate::observe::exchange::{Exchange, Sent};
use crate::resolver::censored::{Observer, Play};
use crate::resolver::moment::{Clock, Moment};
use crate::resolver::outcome::Outcome;
use crate::resolver::resolve::resolve;
use crate::resolver::snapshot::Client;

/// The longest genuine reply over UDP.
const MAX_REPLY: usize = PAYLOAD_SIZE as usize;

/// What sending needs beside a packet.
pub(super) struct Player {
    /// Keeps the packets until it is their time.
    pub(super) delayer: Arc<Delayer>,
    /// The way on to whoever was asked, for a censor that stands on it.
    pub(super) passage: Option<Arc<Passage>>,
}

/// One query that came over UDP.
#[derive(Clone)]
pub(super) struct Came {
    /// Who asks.
    pub(super) client: Client,
    /// The way back.
    pub(super) to: Return,
    /// The socket that it came to, from which all replies leave.
    pub(super) socket: Arc<UdpSocket>,
    /// When.
    pub(super) at: Moment,
}

impl Came {
    /// The address and port that were asked.
    fn server(&self) -> Option<SocketAddr> {
        let mut server = self.socket.local_addr().ok()?;
        self.to.asked.inspect(|asked| server.set_ip(*asked));
        Some(server)
    }
}

/// Plays what was planned for one query.
pub(super) fn over_udp(shared: &Shared, player: &Player, play: Play, packet: &[u8], came: Came) {
    let Play { plan, behind, exchange } = play;
    if player.passage.as_ref().is_some_and(|p| p.is_own(came.client.address)) {
        return;
    }
    let teller = exchange.map(|(mut exchange, observer)| {
        exchange.server = came.server().unwrap_or(exchange.server);
        Arc::new(Teller::new(exchange, observer, shared.clock, came.at.at, &plan))
    });
    let (delayer, query) = (Arc::clone(&player.delayer), packet.len());
    let mut outgoing = Outgoing { came, delayer, teller, query, waits: false };
    let engine = &shared.engine;
    let censored = censored(&plan, outgoing.came.client);
    let genuine = plan.genuine;
    for shot in plan.forged {
        outgoing.send(shot, false);
    }
    if let Some(event) = &censored {
        engine.observe(&mut &*shared.waited, &behind, event, packet);
    }
    let Some(after) = genuine else { return };
    let mut out = [0u8; MAX_REPLY];
    let Came { client, at, .. } = outgoing.came;
    if let Some(passage) = &player.passage
        && let Some(asked) = outgoing.came.server().filter(|asked| Passage::leads_on(*asked))
    {
        let (way, packet, shared) = (Arc::clone(passage), packet.to_vec(), shared.clone());
        return passage.spawn(async move {
            let reply = way.over_udp(asked, &packet).await;
            let event = passed(reply.as_deref(), client, at, shared.clock);
            outgoing.genuine(after, reply.unwrap_or_default());
            if censored.is_none() {
                shared.engine.observe(&mut &*shared.waited, &behind, &event, &packet);
            }
        });
    }
    let mut event = Event::new(client.address, client.transport);
    let len = match resolve(engine, &behind, packet, client, at, &mut out, &mut event) {
        Outcome::Reply(len) => len,
        Outcome::ReplyAndRefresh(len, pending) => {
            pending.refresh(shared.clock);
            len
        }
        Outcome::Later(pending) => {
            let shared = shared.clone();
            pending.begin(shared.clock, move |pending, answered| {
                let mut out = [0u8; MAX_REPLY];
                let (len, event) = pending.write(answered, &mut out);
                outgoing.genuine(after, out.get(..len).unwrap_or_default().to_vec());
                if censored.is_none() {
                    shared.engine.observe(&mut &*shared.waited, pending.snapshot(), &event, pending.packet());
                }
            });
            return;
        }
        // Behind the censor there is no other.
        Outcome::Drop | Outcome::Play(_) => 0,
    };
    outgoing.genuine(after, out.get(..len).unwrap_or_default().to_vec());
    if censored.is_none() {
        engine.observe(&mut &*shared.waited, &behind, &event, packet);
    }
}

/// What is counted for a query that the censor answered, or kept from being answered.
pub(super) fn censored(plan: &Plan, client: Client) -> Option<Event> {
    if plan.forged.is_empty() && plan.genuine.is_some() {
        return None;
    }
    let rcode = plan.forged.first().and_then(|s| s.octets.get(3)).map(|b| Rcode(u16::from(b & 0xf)));
    Some(Event { source: Source::Censor, rcode, ..Event::new(client.address, client.transport) })
}

/// What is counted for a query that was passed on to whoever was asked.
pub(super) fn passed(reply: Option<&[u8]>, client: Client, came: Moment, clock: Clock) -> Event {
    let rcode = reply.and_then(|r| r.get(3)).map(|b| Rcode(u16::from(b & 0xf)));
    let took = clock().at.saturating_duration_since(came.at);
    Event { source: Source::Upstream, rcode, took, ..Event::new(client.address, client.transport) }
}

/// The way out for all packets of one query.
struct Outgoing {
    came: Came,
    delayer: Arc<Delayer>,
    teller: Option<Arc<Teller>>,
    /// The octets of the query.
    query: usize,
    /// A packet before the next one waits for its time.
    waits: bool,
}

impl Outgoing {
    fn send(&mut self, shot: Shot, genuine: bool) {
        let (Came { to, socket, at, .. }, teller) = (self.came.clone(), self.teller.clone());
        // The query waits too, in its exchange.
        let (due, octets) = (at.at + shot.after, shot.octets.len() + self.query);
        let job = move || {
            // A packet that the kernel will not take is lost as any datagram may be.
            let _ = send_marked(&socket, &shot.octets, &to, shot.ip_ttl);
            if let Some(teller) = teller {
                teller.sent(shot, genuine);
            }
        };
        // Where one waits those behind it do too, or they might overtake it.
        self.waits = if self.waits {
            self.delayer.in_turn(due, octets, job)
        } else {
            self.delayer.at(due, octets, job)
        };
    }

    /// What the honest network says, if it says anything.
    fn genuine(mut self, after: Duration, octets: Vec<u8>) {
        match (octets.is_empty(), &self.teller) {
            (false, _) => self.send(Shot { after, octets, ip_ttl: None }, true),
            (true, Some(teller)) => teller.silent(),
            (true, None) => {}
        }
    }
}

/// Gathers the exchange of one query, and tells it when the last who had something to send is gone.
pub(super) struct Teller {
    exchange: Mutex<Option<Exchange>>,
    observer: Arc<dyn Observer>,
    clock: Clock,
    received: Instant,
    /// Packets that have yet to be sent.
    ahead: AtomicUsize,
}

impl Teller {
    /// An exchange that has just begun, and goes on as planned.
    pub(super) fn new(
        exchange: Exchange,
        observer: Arc<dyn Observer>,
        clock: Clock,
        received: Instant,
        plan: &Plan,
    ) -> Self {
        let ahead = AtomicUsize::new(plan.forged.len() + usize::from(plan.genuine.is_some()));
        Self { exchange: Mutex::new(Some(exchange)), observer, clock, received, ahead }
    }

    /// There is nothing to be sent in the place of a packet that was planned.
    pub(super) fn silent(&self) {
        self.ahead.fetch_sub(1, Relaxed);
    }

    /// A packet has just left.
    pub(super) fn sent(&self, shot: Shot, genuine: bool) {
        let after = (self.clock)().at.saturating_duration_since(self.received);
        let Shot { after: planned, octets, ip_ttl } = shot;
        self.ahead.fetch_sub(1, Relaxed);
        if let Some(exchange) = &mut *self.exchange.lock().unwrap_or_else(PoisonError::into_inner) {
            exchange.replies.push(Sent { planned, after, octets, genuine, ip_ttl });
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let exchange = self.exchange.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut exchange) = exchange {
            exchange.cut = *self.ahead.get_mut() > 0;
            self.observer.ended(exchange);
        }
    }
}
