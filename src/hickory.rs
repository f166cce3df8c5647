//! Portcullis before the handlers of a server that is built on hickory-server.
//!
//! [`Gate`] is a [`RequestHandler`] around another one: it answers the questions that a [`Policy`]
//! blocks and hands all others on. `examples/hickory.rs` is a whole server.
//!
//! hickory-server takes replies as records only, so the reply that Portcullis writes is decoded and
//! encoded once more on its way out. Its records, its code and its extended errors (RFC 8914) stay as
//! they are; the compression of names may differ.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::proto::op::{Header, HeaderCounts, Message, MessageType, Metadata, ResponseCode};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use crate::answer::{self, Blocked, Right};
use crate::dns::{Query, Transport};
use crate::policy::{Active, Asker, Orders, Policy, Rung, Verdict, decide};
use crate::server::clock;

/// The longest message, in octets (RFC 1035 §4.2.2).
const MAX_MESSAGE: usize = 65_535;

/// Answers what a policy blocks, and leaves the rest to `H`.
///
/// The decision is about the question alone: what `H` answers is not looked at. Groups of clients and
/// schedules count; an alias as an action is given without what it leads to.
pub struct Gate<H> {
    policy: Policy,
    /// What is in force now, by the schedules.
    active: ArcSwap<Active>,
    inner: H,
}

/// What the gate does with a question.
enum Answer {
    Pass,
    Drop,
    /// The reply's octets.
    Reply(Vec<u8>),
}

impl<H> Gate<H> {
    /// Puts this policy before `inner`.
    #[must_use]
    pub fn new(policy: Policy, inner: H) -> Self {
        let active = Active::new(&policy, &Orders::default(), clock::now().unix);
        Self { policy, active: ArcSwap::from_pointee(active), inner }
    }

    /// The handler behind the gate.
    pub const fn inner(&self) -> &H {
        &self.inner
    }

    /// What is in force at `now`, in seconds since 1970 (UTC).
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
        // Updates and the like, and what is broken, are the inner handler's affair.
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
        let (Some(list), Some(action)) =
            (self.policy.list(decider.list), self.policy.action(decider.rule, decider.list, view))
        else {
            return Answer::Pass;
        };
        let rewrite = matches!(decider.rung, Rung::OwnRewrite | Rung::Rewrite);
        let by = (list, if rewrite { Right::Rewrite } else { Right::Block });
        let mut out = vec![0; MAX_MESSAGE];
        let len = match answer::blocked(by, action, &query, transport, &mut out) {
            Blocked::Pass => return Answer::Pass,
            Blocked::Drop => return Answer::Drop,
            Blocked::Reply(len) => len,
            Blocked::Alias(target) => {
                answer::aliased(by, &[(target.clone(), list.ttl)], None, &query, transport, &mut out)
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
        match self.answer(packet, client, transport, clock::now().unix) {
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
        // Records of a rule that hickory can't read: the name stays blocked.
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

/// What hickory-server logs of a request to which nothing was sent.
fn info(request: &Request, rcode: ResponseCode) -> ResponseInfo {
    let mut metadata = Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code);
    metadata.response_code = rcode;
    ResponseInfo::from(Header { metadata, counts: HeaderCounts::default() })
}
