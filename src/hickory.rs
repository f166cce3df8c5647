//! Portcullis in front of the handlers of a server that is built on hickory-server.
//!
//! [`Gate`] is a [`RequestHandler`] that wraps another: it answers the queries that a [`Policy`] blocks and
//! passes all others on. `examples/hickory.rs` is a complete server.
//!
//! hickory-server accepts replies only as records, so Portcullis's reply is decoded and encoded once more
//! on its way out. Records, response code and extended errors (RFC 8914) are preserved; name compression
//! may differ.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Message, MessageType, Metadata, ResponseCode};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::answer::{self, Blocked, Link, Right};
use crate::dns::{MAX_MESSAGE, Query, Transport};
use crate::net;
use crate::policy::{Active, Asker, Orders, Policy, Verdict, added_records, decide};
use crate::rule::Data;

/// Answers what a policy blocks, and passes the rest to `H`.
///
/// The decision concerns the question alone: the replies of `H` are not inspected. Groups of clients and
/// schedules apply; if the action is an alias, only the CNAME is sent, not its target's records.
pub struct Gate<H> {
    policy: Policy,
    /// The part of the policy that its schedules put in force now.
    active: ArcSwap<Active>,
    inner: H,
}

/// What the gate does with a query.
enum Answer {
    Pass,
    Drop,
    /// The reply's octets.
    Reply(Vec<u8>),
}

impl<H> Gate<H> {
    /// Puts this policy in front of `inner`.
    #[must_use]
    pub fn new(policy: Policy, inner: H) -> Self {
        let active = Active::new(&policy, &Orders::default(), net::now().unix);
        Self { policy, active: ArcSwap::from_pointee(active), inner }
    }

    /// The handler behind the gate.
    pub const fn inner(&self) -> &H {
        &self.inner
    }

    /// The part of the policy in force at `now`, in seconds since 1970 (UTC).
    fn active(&self, now: i64) -> Arc<Active> {
        let active = self.active.load_full();
        if active.holds_at(now) {
            return active;
        }
        let next = Arc::new(Active::new(&self.policy, &Orders::default(), now));
        self.active.store(Arc::clone(&next));
        next
    }

    fn answer(&self, packet: &[u8], client: IpAddr, transport: Transport, now: i64) -> Answer {
        // Other opcodes, and malformed messages, are left to the inner handler.
        let Ok(query) = Query::parse(packet) else { return Answer::Pass };
        // So are other versions of EDNS (RFC 6891 §6.1.3). Other classes are not: hickory's catalog answers them
        // with what is in the class IN.
        if query.edns.is_some_and(|edns| edns.version > 0) {
            return Answer::Pass;
        }
        let active = self.active(now);
        let view = active.view(&self.policy, client, 0);
        let asker = Asker { client, qtype: query.qtype, view };
        let Verdict::Blocked(decider) = decide(&self.policy, query.qname, asker) else { return Answer::Pass };
        let (Some(list), Some(action)) = (self.policy.list(decider.list), self.policy.action(decider, view))
        else {
            return Answer::Pass;
        };
        let by = (list, if decider.rung.is_rewrite() { Right::Rewrite } else { Right::Block });
        let mut out = vec![0; MAX_MESSAGE];
        let added = |each: &mut dyn FnMut(&Data)| {
            if decider.rung.is_rewrite() {
                added_records(&self.policy, query.qname, asker, decider, &mut |record| each(record));
            }
        };
        let len = match answer::blocked(by, (action, &added), &query, transport, &mut out) {
            Blocked::Pass => return Answer::Pass,
            Blocked::Drop => return Answer::Drop,
            Blocked::Reply(len) => len,
            Blocked::Alias(target) => {
                answer::aliased(by, &[Link::cname(None, target, list.ttl)], None, &query, transport, &mut out)
            }
        };
        out.truncate(len);
        Answer::Reply(out)
    }
}

#[async_trait::async_trait]
impl<H: RequestHandler> RequestHandler for Gate<H> {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let transport = match request.protocol() {
            Protocol::Udp => Transport::Udp,
            _ => Transport::Tcp,
        };
        let (packet, client) = (request.as_slice(), request.src().ip().to_canonical());
        match self.answer(packet, client, transport, net::now().unix) {
            Answer::Pass => self.inner.handle_request::<R, T>(request, response).await,
            Answer::Drop => info(request, ResponseCode::NoError),
            Answer::Reply(reply) => send(&reply, request, response).await,
        }
    }
}

async fn send<R: ResponseHandler>(reply: &[u8], request: &Request, mut response: R) -> ResponseInfo {
    let mut builder = MessageResponseBuilder::from_message_request(request);
    let sent = match Message::from_vec(reply) {
        Ok(message) => {
            if let Some(edns) = &message.edns {
                builder.edns(edns);
            }
            let (answers, authorities) = (message.answers.iter(), message.authorities.iter());
            let parts = builder.build(message.metadata, answers, authorities, [], message.additionals.iter());
            response.send_response(parts).await
        }
        // hickory can't decode a record of the rule: the name stays blocked.
        Err(error) => {
            tracing::warn!(%error, "a reply could not be handed to hickory; the client gets SERVFAIL");
            response.send_response(builder.error_msg(&request.metadata, ResponseCode::ServFail)).await
        }
    };
    sent.unwrap_or_else(|error| {
        tracing::debug!(%error, "a reply could not be sent");
        info(request, ResponseCode::ServFail)
    })
}

/// What hickory-server logs for a request that got no reply.
fn info(request: &Request, rcode: ResponseCode) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    metadata.response_code = rcode;
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}
