//! Asks the upstreams through hickory-resolver's connections.
//!
//! Its `NameServerPool` is not used: that turns NXDOMAIN and SERVFAIL into errors without their
//! octets (so that AD and the Extended DNS Errors are lost) and does not ask the next server after
//! SERVFAIL. The layer below gives every reply whole; the order of the servers is decided here.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, Edns, Message, MessageType, OpCode, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{DNSClass, Name, RecordType};
use hickory_resolver::proto::serialize::binary::BinDecodable;
use hickory_resolver::{ConnectionProvider, PoolContext, TlsConfig, system_conf};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::{Answer, Failure, Question, Server};
use crate::dns::edns::PAYLOAD_SIZE;

type Connection = <TokioRuntimeProvider as ConnectionProvider>::Conn;

/// One upstream, its kept connections, and how it has fared.
struct Upstream {
    server: Server,
    udp: Mutex<Option<Connection>>,
    tcp: Mutex<Option<Connection>>,
    /// Failures since the last success: the server with fewer is asked first.
    failures: AtomicU32,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// The configured upstreams, in order.
pub struct Forwarder {
    upstreams: Vec<Upstream>,
    patience: Duration,
    context: PoolContext,
    provider: TokioRuntimeProvider,
}

impl Forwarder {
    /// Asks `servers`, each for at most `patience` a try.
    ///
    /// # Errors
    /// hickory's, when its settings for connections cannot be made.
    pub fn new(servers: Vec<Server>, patience: Duration) -> Result<Self, String> {
        let mut options = ResolverOpts::default();
        options.timeout = patience;
        let tls = TlsConfig::new().map_err(|e| e.to_string())?;
        let upstreams = servers
            .into_iter()
            .map(|server| Upstream {
                server,
                udp: Mutex::default(),
                tcp: Mutex::default(),
                failures: AtomicU32::new(0),
                answered: AtomicU64::new(0),
                failed: AtomicU64::new(0),
            })
            .collect();
        Ok(Self {
            upstreams,
            patience,
            context: PoolContext::new(options, tls),
            provider: TokioRuntimeProvider::default(),
        })
    }

    /// The resolvers that this system is configured with.
    ///
    /// # Errors
    /// Why its configuration could not be read, or that it names none.
    pub fn system_servers() -> Result<Vec<Server>, String> {
        let (config, _) = system_conf::read_system_conf().map_err(|e| e.to_string())?;
        let mut servers: Vec<Server> = Vec::new();
        for server in config.name_servers() {
            let port = server.connections.first().map_or(53, |c| c.port);
            let server = Server { addr: SocketAddr::new(server.ip, port), tcp_only: false };
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.is_empty() { Err("the system names no resolver".into()) } else { Ok(servers) }
    }

    /// The upstreams with the replies of each that were used and the tries that failed.
    pub fn tallies(&self) -> impl Iterator<Item = (Server, u64, u64)> + '_ {
        self.upstreams.iter().map(|u| (u.server, u.answered.load(Relaxed), u.failed.load(Relaxed)))
    }

    /// Asks the upstreams in turn, those that failed last after the others, until one gives an
    /// answer. SERVFAIL, REFUSED and the like count as none, but the first such reply is given back
    /// if no server does better.
    ///
    /// # Errors
    /// No upstream sent any reply.
    pub async fn ask(&self, question: &Question<'_>) -> Result<Answer, Failure> {
        let mut order: Vec<(usize, &Upstream)> = self.upstreams.iter().enumerate().collect();
        // A stable sort: equals stay in the order of the configuration.
        order.sort_by_key(|(_, u)| u.failures.load(Relaxed).min(8));
        let mut refusal = None;
        let mut failure = Failure::NoServers;
        for (server, upstream) in order {
            match self.try_one(upstream, question).await {
                Ok((bytes, true)) => {
                    upstream.failures.store(0, Relaxed);
                    upstream.answered.fetch_add(1, Relaxed);
                    return Ok(Answer { bytes, server });
                }
                Ok((bytes, false)) => refusal = refusal.or(Some(Answer { bytes, server })),
                Err(reason) if failure == Failure::NoServers || reason != Failure::Timeout => {
                    failure = reason;
                }
                Err(_) => {}
            }
            upstream.failures.fetch_add(1, Relaxed);
            upstream.failed.fetch_add(1, Relaxed);
        }
        refusal.ok_or(failure)
    }

    /// One server's reply, and whether it is an answer. A truncated reply over UDP is asked again
    /// over TCP (RFC 7766 §5), a FORMERR again without EDNS (RFC 6891 §6.2.2).
    async fn try_one(
        &self,
        upstream: &Upstream,
        question: &Question<'_>,
    ) -> Result<(Vec<u8>, bool), Failure> {
        let mut edns = true;
        let mut tcp = upstream.server.tcp_only;
        loop {
            let request = request(question, edns)
                .ok_or_else(|| Failure::Network("the name was not accepted".into()))?;
            let (message, bytes) = self.exchange(upstream, tcp, request).await?;
            if !echoes(&message, question) {
                return Err(Failure::Network(format!("{} answered another question", upstream.server)));
            }
            match message.metadata.response_code {
                _ if message.metadata.truncation && !tcp => tcp = true,
                ResponseCode::FormErr if edns && !question.dnssec_ok => edns = false,
                ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain => {
                    return Ok((bytes, true));
                }
                _ => return Ok((bytes, false)),
            }
        }
    }

    async fn exchange(
        &self,
        upstream: &Upstream,
        tcp: bool,
        request: DnsRequest,
    ) -> Result<(Message, Vec<u8>), Failure> {
        let slot = if tcp { &upstream.tcp } else { &upstream.udp };
        // A kept connection may have been closed by the other side meanwhile: one fresh try.
        for _ in 0..2 {
            let kept = slot.lock().await.clone();
            let fresh = kept.is_none();
            let once = async {
                let connection = match kept {
                    Some(connection) => connection,
                    None => {
                        let connection = self.connect(upstream.server, tcp).await?;
                        *slot.lock().await = Some(connection.clone());
                        connection
                    }
                };
                connection.send(request.clone()).first_answer().await
            };
            match timeout(self.patience, once).await {
                Ok(Ok(response)) => return Ok(response.into_parts()),
                Ok(Err(error)) => {
                    *slot.lock().await = None;
                    if fresh || matches!(error, NetError::Timeout) {
                        return Err(self.failure(upstream.server, &error));
                    }
                }
                Err(_) => {
                    *slot.lock().await = None;
                    return Err(Failure::Timeout);
                }
            }
        }
        Err(Failure::Network(format!("{} closes its connections", upstream.server)))
    }

    async fn connect(&self, server: Server, tcp: bool) -> Result<Connection, NetError> {
        let mut config = if tcp { ConnectionConfig::tcp() } else { ConnectionConfig::udp() };
        config.port = server.addr.port();
        self.provider.new_connection(server.addr.ip(), &config, &self.context)?.await
    }

    fn failure(&self, server: Server, error: &NetError) -> Failure {
        match error {
            NetError::Timeout => Failure::Timeout,
            NetError::Dns(DnsError::ResponseCode(code)) => Failure::Network(format!("{server}: {code}")),
            other => {
                let text: String = other.to_string().chars().take(80).collect();
                Failure::Network(format!("{server}: {text}"))
            }
        }
    }
}

fn request(question: &Question<'_>, with_edns: bool) -> Option<DnsRequest> {
    let name = Name::from_bytes(question.qname.to_folded().as_bytes()).ok()?;
    let mut query = Query::query(name, RecordType::from(question.qtype.0));
    query.set_query_class(DNSClass::from(question.qclass.0));
    // The connection sets the id: a random one for each query.
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = question.checking_disabled;
    message.metadata.authentic_data = question.authentic_data;
    message.add_query(query);
    let mut options = DnsRequestOptions::default();
    options.use_edns = with_edns;
    options.edns_payload_len = PAYLOAD_SIZE;
    options.edns_set_dnssec_ok = question.dnssec_ok;
    if with_edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_SIZE).set_dnssec_ok(question.dnssec_ok);
        message.set_edns(edns);
    }
    Some(DnsRequest::new(message, options))
}

/// A reply must repeat the question (RFC 5452 §9.1).
fn echoes(message: &Message, question: &Question<'_>) -> bool {
    let [asked] = message.queries.as_slice() else { return false };
    u16::from(asked.query_type()) == question.qtype.0
        && u16::from(asked.query_class()) == question.qclass.0
        && Name::from_bytes(question.qname.as_bytes()).is_ok_and(|name| name == *asked.name())
}
