//! What is kept of a query until it is sent, and the messages that come of it.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use super::message::{Action, Kind, Matched, Message, Policy, Sender};
use crate::dns::{Header, Query, Rcode, Transport, flag};
use crate::observe::event::{Event, Source};
use crate::observe::listen::{Heard, Listen};
use crate::observe::sink::{Item, Sink};
use crate::policy::{Class, RuleText, Verdict};
use crate::upstream::{Exchange, Overhear};

/// Something that becomes messages.
pub enum Tapped {
    /// A client's query, and the reply to it.
    Client(Box<ClientTap>),
    /// A query to an upstream, and the reply to it.
    Forwarder(Box<ForwarderTap>),
}

/// A query to an upstream, and the reply to it.
pub struct ForwarderTap {
    /// When the reply came, in microseconds since 1970.
    at: i64,
    took: Duration,
    server: SocketAddr,
    transport: Transport,
    query: Box<[u8]>,
    reply: Option<Box<[u8]>>,
}

/// A client's query, and the reply to it.
pub struct ClientTap {
    /// When the reply was sent, in microseconds since 1970.
    at: i64,
    event: Event,
    query: Box<[u8]>,
    reply: Box<[u8]>,
    rule: Option<RuleText>,
    reference: Option<u32>,
}

impl Item for Tapped {
    fn octets(&self) -> usize {
        match self {
            Self::Client(tap) => {
                let rule = tap.rule.as_ref().map_or(0, |rule| rule.rule.len() + rule.list.len());
                tap.query.len() + tap.reply.len() + rule
            }
            Self::Forwarder(tap) => tap.query.len() + tap.reply.as_ref().map_or(0, |reply| reply.len()),
        }
    }
}

/// Puts each query into a queue.
pub struct Tap {
    /// The queue.
    pub sink: Sink<Tapped>,
    /// Microseconds since 1970.
    pub clock: fn() -> i64,
}

impl Listen for Tap {
    fn hear(&self, heard: &Heard<'_>) {
        self.sink.push(Tapped::Client(Box::new(ClientTap {
            at: (self.clock)(),
            event: *heard.event,
            query: heard.packet.into(),
            reply: heard.reply.into(),
            rule: heard.rule.cloned(),
            reference: heard.reference.map(|reference| reference.0),
        })));
    }
}

impl Overhear for Tap {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        self.sink.push(Tapped::Forwarder(Box::new(ForwarderTap {
            at: (self.clock)(),
            took: exchange.took,
            server: exchange.server,
            transport: exchange.transport,
            query: exchange.query.into(),
            reply: exchange.reply.map(Into::into),
        })));
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl Tapped {
    /// The messages, encoded.
    pub(super) fn encode(&self, sender: &Sender) -> Vec<Vec<u8>> {
        match self {
            Self::Client(tap) => tap.encode(sender),
            Self::Forwarder(tap) => tap.encode(sender),
        }
    }
}

/// The time of a query whose reply came at `at`.
fn before(at: i64, took: Duration) -> i64 {
    at.saturating_sub(i64::try_from(took.as_micros()).unwrap_or(i64::MAX))
}

impl ForwarderTap {
    fn encode(&self, sender: &Sender) -> Vec<Vec<u8>> {
        let message = |kind, answered_at, response| {
            let message = Message {
                kind,
                transport: self.transport,
                asker: None,
                answerer: Some(self.server),
                asked_at: before(self.at, self.took),
                query: Some(&self.query[..]),
                answered_at,
                response,
                policy: None,
            };
            sender.encode(&message, None)
        };
        let mut all = vec![message(Kind::ForwarderQuery, None, None)];
        if let Some(reply) = &self.reply {
            all.push(message(Kind::ForwarderResponse, Some(self.at), Some(&reply[..])));
        }
        all
    }
}

impl ClientTap {
    fn encode(&self, sender: &Sender) -> Vec<Vec<u8>> {
        let event = &self.event;
        let asked_at = before(self.at, event.took);
        let message = |kind, query, answered_at, response, policy| Message {
            kind,
            transport: event.transport,
            asker: Some(event.client),
            answerer: None::<SocketAddr>,
            asked_at,
            query,
            answered_at,
            response,
            policy,
        };
        let is_answered = !self.reply.is_empty();
        let (policy, extra) = (self.policy(), self.extra());
        // What was done to a query that nobody answered has no other message to stand in.
        let (with_query, with_reply) = if is_answered { (None, policy) } else { (policy, None) };
        let of_query = extra.as_deref().filter(|_| !is_answered);
        let mut all =
            vec![sender.encode(
                &message(Kind::ClientQuery, Some(&self.query[..]), None, None, with_query),
                of_query,
            )];
        if is_answered {
            let reply = message(
                Kind::ClientResponse,
                Some(&self.query[..]),
                Some(self.at),
                Some(&self.reply[..]),
                with_reply,
            );
            all.push(sender.encode(&reply, extra.as_deref()));
        }
        all
    }

    fn policy(&self) -> Option<Policy<'_>> {
        let verdict = self.event.verdict;
        if verdict == Verdict::NoRule {
            return None;
        }
        let name = Query::parse(&self.query).ok().map(|query| query.qname.to_folded().to_string());
        let (matched, value) = match verdict {
            Verdict::Address(_) | Verdict::NotedAddress(_) | Verdict::Rebinding => {
                (Some(Matched::ResponseIp), None)
            }
            // The name is one in the answer, for which the schema has no word.
            Verdict::InAnswer(_) => (None, None),
            _ => (Some(Matched::Qname), name),
        };
        let rule = self.rule.as_ref().map_or("", |rule| rule.rule.as_str());
        Some(Policy { rule, action: self.action(), matched, value })
    }

    /// What was done, by what was sent; `None`: the schema has no word for it.
    fn action(&self) -> Option<Action> {
        if self.event.source != Source::Policy
            && !matches!(self.event.verdict.class(), Class::Blocked | Class::Rewritten)
        {
            return Some(Action::Pass);
        }
        let Some(header) = Header::read(&self.reply) else { return Some(Action::Drop) };
        match self.event.rcode? {
            _ if header.has(flag::TC) && header.ancount == 0 => Some(Action::Truncate),
            Rcode::NXDOMAIN => Some(Action::NxDomain),
            Rcode::NOERROR if header.ancount == 0 => Some(Action::NoData),
            Rcode::NOERROR => Some(Action::LocalData),
            _ => None,
        }
    }

    /// What the schema has no field for.
    fn extra(&self) -> Option<String> {
        if self.event.verdict == Verdict::NoRule {
            return None;
        }
        let rule = self.rule.as_ref();
        let line = rule.map(|rule| rule.line).filter(|line| *line > 0);
        let extra = json!({
            "verdict": self.event.verdict.class().word(), "answered_by": self.event.source.word(),
            "list": rule.map(|rule| &rule.list), "line": line,
            "reference": self.reference.map(|reference| format!("{reference:08x}")),
        });
        Some(extra.to_string())
    }
}
