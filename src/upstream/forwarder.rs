//! Asking upstream servers by means of hickory's client transports.
//!
//! The transports are used directly, one level below hickory's name server pool: the pool turns every
//! negative or failing reply into an error without its bytes, keeps no failover on SERVFAIL, and so
//! cannot serve a forwarder. Random ids, random source ports, retransmission, and the check that a
//! datagram belongs to the question are hickory's; order, failover and deadlines are decided here.
//!
//! hickory opens a socket and several tasks for each question. Most questions need none of its care,
//! so each is put to the first server by `upstream::udp` once, and comes here only if that brings no
//! plain reply.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, Edns, Message, Query};
use hickory_resolver::proto::rr::{DNSClass, Name as HickoryName, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_resolver::system_conf::read_system_conf;
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use super::udp::{Missed, Ports};
use super::{Answer, Failure, Question, Server, Tally};
use crate::dns::edns::PAYLOAD_SIZE;
use crate::dns::header::{Header, LEN, flag};
use crate::dns::message::Message as Reply;
use crate::dns::name::Name;
use crate::dns::types::Rcode;

/// How long one server may take when the system's configuration does not ask for less.
const SYSTEM_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a server goes last after its first failure; each further failure in a row adds as much.
const PENALTY: Duration = Duration::from_secs(5);
/// The penalty grows no further than this many times [`PENALTY`].
const MAX_PENALTIES: u32 = 6;
/// Questions that are asked carefully at once while every server is under a penalty. Enough to notice
/// that one is back; the others would only cost what those need that can be answered.
const MAX_PROBES: usize = 64;
/// While these are out, one in so many other questions still goes out in a plain datagram: the probes
/// may all be for names that nobody can answer.
const STILL_ASKED: usize = 16;
/// Questions that are asked carefully over UDP at once; each takes a socket.
const MAX_CAREFUL: usize = 512;
/// Datagrams sent for one question to one server before its time is up.
const SENDS: u8 = 3;
/// Questions that may wait on one TCP connection at once.
const MAX_ON_TCP: usize = 4096;
/// The most characters of a library's error text that are passed on.
const MAX_TEXT: usize = 100;

/// Puts questions to a list of servers, in order, until one gives a good reply.
pub struct Forwarder {
    upstreams: Vec<Upstream>,
    timeout: Duration,
    runtime: Runtime,
    /// Questions that are asked carefully now though no server has replied to them.
    probes: AtomicUsize,
    /// Questions that came while there were enough probes.
    refused: AtomicUsize,
    /// Sockets that hickory may still open.
    sockets: Semaphore,
    /// The zero of [`Upstream::failed_at`].
    born: Instant,
}

struct Upstream {
    server: Server,
    tally: Tally,
    /// Failures since the last reply.
    failures: AtomicU32,
    /// When the last of them was, in milliseconds since [`Forwarder::born`].
    failed_at: AtomicU64,
    ports: Ports,
    /// When the last reply came, in milliseconds since [`Forwarder::born`]; 0: none yet.
    replied_at: AtomicU64,
    tcp: Mutex<Kept>,
}

/// The TCP connection to a server that is kept for the next question.
#[derive(Default)]
struct Kept {
    exchange: Option<DnsExchange<Runtime>>,
    /// Which connection this is, so that only the one that failed is dropped.
    serial: u64,
}

/// What a plain datagram has shown, by the server's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    /// The server replied, but another may do better, or this one when asked in another way.
    Poor,
    /// The reply does not fit into a datagram.
    Truncated(usize),
    /// The server did not reply, or can't be reached.
    Bad(usize),
}

/// Why one server gave no usable reply.
#[derive(Debug)]
enum Trouble {
    Timeout,
    /// A reply with an empty question section, as servers send that could not read the query.
    NoQuestion(Rcode),
    Network(String),
}

impl Forwarder {
    /// Asks `servers` in the order given, each for at most `timeout` at a time.
    #[must_use]
    pub fn new(servers: Vec<Server>, timeout: Duration) -> Self {
        let upstreams = servers.into_iter().map(Upstream::new).collect();
        Self {
            upstreams,
            timeout,
            runtime: Runtime::default(),
            probes: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            sockets: Semaphore::new(MAX_CAREFUL),
            born: clock(),
        }
    }

    /// Asks the servers that the system is configured with: on Unix, those of `/etc/resolv.conf`.
    ///
    /// # Errors
    /// The reason, as a sentence for the user, if the configuration cannot be read or names no server.
    pub fn system() -> Result<Self, String> {
        let (config, options) = read_system_conf()
            .map_err(|e| format!("the system's DNS configuration gives no upstream server: {}", text(&e)))?;
        let servers = system_servers(&config);
        if servers.is_empty() {
            return Err("the system's DNS configuration names no upstream server".to_owned());
        }
        let timeout = match options.timeout {
            Duration::ZERO => SYSTEM_TIMEOUT,
            asked => asked.min(SYSTEM_TIMEOUT),
        };
        Ok(Self::new(servers, timeout))
    }

    /// Every server's address with its counters, in the order of [`Answer::server`].
    pub fn tallies(&self) -> impl ExactSizeIterator<Item = (SocketAddr, &Tally)> {
        self.upstreams.iter().map(|upstream| (upstream.server.addr, &upstream.tally))
    }

    /// Puts the question to the first server in a plain datagram, and if that brings no plain and good
    /// reply, does as [`Forwarder::ask`], unless all servers are in trouble. `done` is called once, on whatever thread the reply comes.
    /// Returns at once. Must run within a runtime.
    ///
    /// Passes on a [`Failure`] if no server sent any reply to the question.
    pub fn begin(
        self: &Arc<Self>,
        question: Question,
        now: Instant,
        done: impl FnOnce(Result<&[u8], Failure>) + Send + 'static,
    ) {
        if self.has_probes_enough()
            && !self.refused.fetch_add(1, Ordering::Relaxed).is_multiple_of(STILL_ASKED)
        {
            return done(Err(Failure::Timeout));
        }
        let first = self
            .upstreams
            .iter()
            .enumerate()
            .min_by_key(|(index, upstream)| self.rank(*index, upstream, Known::Nothing))
            .filter(|(_, upstream)| !upstream.server.tcp_only);
        let this = Arc::clone(self);
        let Some((index, upstream)) = first else {
            return this.carefully(question, Known::Nothing, done);
        };
        let asked = question.clone();
        let heard = move |reply: Result<&[u8], Missed>| match this.judge(index, reply) {
            Ok(reply) => done(Ok(reply)),
            Err(Known::Bad(_)) if this.has_probes_enough() => done(Err(Failure::Timeout)),
            Err(known) => this.carefully(asked, known, done),
        };
        upstream.ports.ask(&question, now, self.plain_wait(), Box::new(heard));
    }

    /// How long a plain datagram may take.
    fn plain_wait(&self) -> Duration {
        self.timeout / u32::from(SENDS)
    }

    /// The reply to a plain datagram if it is good, or what it shows to whoever asks on.
    fn judge<'r>(&self, index: usize, reply: Result<&'r [u8], Missed>) -> Result<&'r [u8], Known> {
        let upstream = self.upstreams.get(index).ok_or(Known::Nothing)?;
        match reply {
            Ok(bytes) => {
                upstream.has_replied(self.now());
                let Some(reply) = Reply::parse(bytes) else { return Err(Known::Poor) };
                if reply.header.has(flag::TC) {
                    return Err(Known::Truncated(index));
                }
                // Another server may do better, or this one when it is asked without EDNS.
                let rcode = reply.rcode();
                if is_poor(rcode) && (self.upstreams.len() > 1 || rcode == Rcode::FORMERR) {
                    return Err(Known::Poor);
                }
                upstream.succeeded();
                Ok(bytes)
            }
            Err(Missed::NoQuestion) => Err(Known::Poor),
            Err(Missed::Silence) => {
                // One datagram may be lost; a server that meanwhile replied to no other is in trouble.
                if upstream.is_silent(self.now(), self.plain_wait()) {
                    upstream.has_failed(self.now());
                }
                Err(Known::Bad(index))
            }
            Err(Missed::Network(error)) => {
                tracing::debug!(server = %upstream.server.addr, %error, "no reply from upstream");
                upstream.has_failed(self.now());
                Err(Known::Bad(index))
            }
            Err(Missed::Local(error)) => {
                tracing::debug!(server = %upstream.server.addr, %error, "a question could not be sent");
                Err(Known::Nothing)
            }
        }
    }

    /// [`Forwarder::ask`] in a task of its own.
    fn carefully(
        self: Arc<Self>,
        question: Question,
        known: Known,
        done: impl FnOnce(Result<&[u8], Failure>) + Send + 'static,
    ) {
        let probe = matches!(known, Known::Nothing | Known::Bad(_)).then(|| Probe::new(&self));
        tokio::spawn(async move {
            let answer = self.ask_knowing(&question, known).await;
            drop(probe);
            match answer {
                Ok(answer) => done(Ok(&answer.bytes)),
                Err(failure) => done(Err(failure)),
            }
        });
    }

    /// True if every server is under a penalty, and enough questions wait for one to come back.
    fn has_probes_enough(&self) -> bool {
        self.probes.load(Ordering::Relaxed) >= MAX_PROBES
            && self.upstreams.iter().enumerate().all(|(i, u)| self.rank(i, u, Known::Nothing) > 0)
    }

    /// Puts the question to the servers, those that failed lately last, until one replies with
    /// something other than SERVFAIL, REFUSED, NOTIMP or FORMERR. If none does better, the first such
    /// reply is the answer. Takes at most the timeout times one more than the number of servers.
    ///
    /// Dropping the future gives the question up.
    ///
    /// # Errors
    /// [`Failure`] if no server sent any reply to the question.
    pub async fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        self.ask_knowing(question, Known::Nothing).await
    }

    async fn ask_knowing(&self, question: &Question, known: Known) -> Result<Answer, Failure> {
        if self.upstreams.is_empty() {
            return Err(Failure::NoServers);
        }
        let turns = u32::try_from(self.upstreams.len()).unwrap_or(u32::MAX).saturating_add(1);
        let deadline = Deadline { end: clock() + self.timeout.saturating_mul(turns), each: self.timeout };
        let mut poor = None;
        let mut network = None;
        for (index, upstream) in self.in_order(known) {
            if deadline.next().is_zero() {
                break;
            }
            let truncated = known == Known::Truncated(index);
            match self.ask_one(upstream, question, truncated, &deadline).await {
                Ok(bytes) => {
                    upstream.has_replied(self.now());
                    upstream.succeeded();
                    let good = Reply::parse(&bytes).is_some_and(|reply| !is_poor(reply.rcode()));
                    let answer = Answer { bytes, server: index };
                    if good {
                        return Ok(answer);
                    }
                    poor.get_or_insert(answer);
                }
                Err(trouble) => {
                    // Names that nobody can answer, and TCP that does not work, say nothing against a
                    // server that replies to others.
                    if !truncated && upstream.is_silent(self.now(), self.timeout) {
                        upstream.has_failed(self.now());
                    } else {
                        upstream.tally.failed.fetch_add(1, Ordering::Relaxed);
                    }
                    tracing::debug!(server = %upstream.server.addr, ?trouble, "no reply from upstream");
                    let addr = upstream.server.addr;
                    match trouble {
                        Trouble::Timeout => {}
                        Trouble::NoQuestion(rcode) => {
                            network.get_or_insert(format!("{addr}: {rcode} without a question"));
                        }
                        Trouble::Network(why) => {
                            network.get_or_insert(format!("{addr}: {why}"));
                        }
                    }
                }
            }
        }
        match (poor, network) {
            (Some(answer), _) => Ok(answer),
            (None, Some(why)) => Err(Failure::Network(why)),
            (None, None) => Err(Failure::Timeout),
        }
    }

    /// Whether a server is asked first (0), late because of a penalty, or last because it has just been
    /// of no use.
    fn rank(&self, index: usize, upstream: &Upstream, known: Known) -> u8 {
        match known {
            Known::Bad(bad) if bad == index => 2,
            _ => u8::from(upstream.is_late(self.now())),
        }
    }

    /// Milliseconds since [`Forwarder::born`].
    fn now(&self) -> u64 {
        millis(clock().saturating_duration_since(self.born))
    }

    /// The servers with their indexes, by rank, then as configured.
    fn in_order(&self, known: Known) -> Vec<(usize, &Upstream)> {
        let mut order: Vec<_> = self.upstreams.iter().enumerate().collect();
        order.sort_by_cached_key(|(index, upstream)| self.rank(*index, upstream, known));
        order
    }

    /// One server's reply, without EDNS if that is the only way it understands the question.
    async fn ask_one(
        &self,
        upstream: &Upstream,
        question: &Question,
        truncated: bool,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Trouble> {
        let first = self.exchange(upstream, question, true, truncated, deadline).await;
        let misread = match &first {
            Ok(bytes) => rcode(bytes) == Some(Rcode::FORMERR),
            Err(Trouble::NoQuestion(rcode)) => *rcode == Rcode::FORMERR,
            Err(_) => false,
        };
        if !misread {
            return first;
        }
        match self.exchange(upstream, question, false, truncated, deadline).await {
            Ok(bytes) => Ok(bytes),
            Err(second) => first.map_err(|_| second),
        }
    }

    async fn exchange(
        &self,
        upstream: &Upstream,
        question: &Question,
        edns: bool,
        truncated: bool,
        deadline: &Deadline,
    ) -> Result<Vec<u8>, Trouble> {
        let request = request(question, edns, deadline.next() / u32::from(SENDS))?;
        if !upstream.server.tcp_only && !truncated {
            let bytes = self.over_udp(upstream, request.clone(), deadline.next()).await?;
            let header = check(&bytes, question)?;
            if !header.has(flag::TC) {
                return Ok(bytes);
            }
        }
        let bytes = self.over_tcp(upstream, request, deadline.next()).await?;
        check(&bytes, question)?;
        Ok(bytes)
    }

    async fn over_udp(
        &self,
        upstream: &Upstream,
        request: DnsRequest,
        budget: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        let asked = async {
            // Never closed, so that this only waits.
            let _socket = self.sockets.acquire().await;
            let mut stream = UdpClientStream::builder(upstream.server.addr, self.runtime.clone())
                .with_timeout(Some(budget))
                .with_max_retries(SENDS)
                .build();
            stream.send_message(request).first_answer().await
        };
        match timeout(budget, asked).await {
            Ok(Ok(response)) => Ok(response.into_buffer()),
            Ok(Err(error)) => Err(trouble(&error)),
            Err(_) => Err(Trouble::Timeout),
        }
    }

    /// Asks over the kept connection; if that turns out to be closed, once more over a new one.
    async fn over_tcp(
        &self,
        upstream: &Upstream,
        request: DnsRequest,
        budget: Duration,
    ) -> Result<Vec<u8>, Trouble> {
        // The connection in use, to be dropped if the time runs out on it: it may be dead.
        let mut used = None;
        let result = timeout(budget, async {
            let (exchange, serial, fresh) = self.connection(upstream).await?;
            used = Some(serial);
            let error = match exchange.send(request.clone()).first_answer().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            upstream.forget(serial).await;
            if fresh || is_timeout(&error) {
                return Err(error);
            }
            let (exchange, serial, _) = self.connection(upstream).await?;
            used = Some(serial);
            let second = exchange.send(request).first_answer().await;
            if second.is_err() {
                upstream.forget(serial).await;
            }
            second
        })
        .await;
        match result {
            Ok(Ok(response)) => Ok(response.into_buffer()),
            Ok(Err(error)) => Err(trouble(&error)),
            Err(_) => {
                if let Some(serial) = used {
                    upstream.forget(serial).await;
                }
                Err(Trouble::Timeout)
            }
        }
    }

    /// The kept connection or a new one, its serial, and whether it is new.
    async fn connection(&self, upstream: &Upstream) -> Result<(DnsExchange<Runtime>, u64, bool), NetError> {
        let mut kept = upstream.tcp.lock().await;
        if let Some(exchange) = &kept.exchange {
            return Ok((exchange.clone(), kept.serial, false));
        }
        let exchange = TcpClientStream::exchange(
            upstream.server.addr,
            None,
            self.timeout,
            Some(MAX_ON_TCP),
            self.runtime.clone(),
        )
        .await?;
        kept.serial = kept.serial.wrapping_add(1);
        kept.exchange = Some(exchange.clone());
        Ok((exchange, kept.serial, true))
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder")
            .field("servers", &self.upstreams.iter().map(|u| u.server).collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    fn new(server: Server) -> Self {
        Self {
            server,
            tally: Tally::default(),
            failures: AtomicU32::new(0),
            failed_at: AtomicU64::new(0),
            ports: Ports::new(server.addr),
            replied_at: AtomicU64::new(0),
            tcp: Mutex::default(),
        }
    }

    fn succeeded(&self) {
        self.tally.answered.fetch_add(1, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }

    fn has_failed(&self, now: u64) {
        self.tally.failed.fetch_add(1, Ordering::Relaxed);
        self.failed_at.store(now, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn has_replied(&self, now: u64) {
        self.replied_at.store(now.max(1), Ordering::Relaxed);
    }

    /// True if no reply has come for so long, whatever the question.
    fn is_silent(&self, now: u64, wait: Duration) -> bool {
        match self.replied_at.load(Ordering::Relaxed) {
            0 => true,
            last => now.saturating_sub(last) >= millis(wait),
        }
    }

    /// True while the server's penalty lasts.
    fn is_late(&self, now: u64) -> bool {
        let failures = self.failures.load(Ordering::Relaxed).min(MAX_PENALTIES);
        let since = now.saturating_sub(self.failed_at.load(Ordering::Relaxed));
        since < millis(PENALTY.saturating_mul(failures))
    }

    /// Keeps the connection no longer; questions that wait on it go on waiting.
    async fn forget(&self, serial: u64) {
        let mut kept = self.tcp.lock().await;
        if kept.serial == serial {
            kept.exchange = None;
        }
    }
}

/// One of [`Forwarder::probes`], until dropped.
struct Probe(Arc<Forwarder>);

impl Probe {
    fn new(forwarder: &Arc<Forwarder>) -> Self {
        forwarder.probes.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(forwarder))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.probes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// When a question must be done with.
struct Deadline {
    end: Instant,
    each: Duration,
}

impl Deadline {
    /// How long the next step may take.
    fn next(&self) -> Duration {
        self.end.saturating_duration_since(clock()).min(self.each)
    }
}

/// Time-outs run on the runtime's clock, which is this one.
#[expect(clippy::disallowed_methods, reason = "waiting needs a clock of its own")]
fn clock() -> Instant {
    Instant::now()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn system_servers(config: &ResolverConfig) -> Vec<Server> {
    let mut servers: Vec<Server> = Vec::new();
    for found in config.name_servers() {
        let port = found.connections.first().map_or(53, |connection| connection.port);
        let addr = SocketAddr::new(found.ip, port);
        if !servers.iter().any(|server| server.addr == addr) {
            servers.push(Server { addr, tcp_only: false });
        }
    }
    servers
}

fn rcode(bytes: &[u8]) -> Option<Rcode> {
    Header::read(bytes).map(Header::rcode)
}

/// True for the code of a reply that another server may better.
fn is_poor(rcode: Rcode) -> bool {
    !matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN)
}

fn request(question: &Question, edns: bool, retry_interval: Duration) -> Result<DnsRequest, Trouble> {
    let name = HickoryName::read(&mut BinDecoder::new(question.qname.as_bytes()))
        .map_err(|e| Trouble::Network(short(&e.to_string())))?;
    let mut query = Query::query(name, RecordType::from(question.qtype.0));
    query.set_query_class(DNSClass::from(question.qclass.0));
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = question.checking_disabled;
    message.metadata.authentic_data = question.authentic_data;
    message.queries.push(query);
    if edns {
        let mut options = Edns::new();
        options.set_max_payload(PAYLOAD_SIZE).set_dnssec_ok(question.dnssec_ok);
        message.edns = Some(options);
    }
    // The multiplexer takes it for granted that a message can be read back.
    let readable = message.to_vec().is_ok_and(|bytes| Message::from_vec(&bytes).is_ok());
    if !readable {
        return Err(Trouble::Network("the question cannot be put into a message".to_owned()));
    }
    let mut options = DnsRequestOptions::default();
    options.use_edns = edns;
    options.retry_interval = retry_interval;
    Ok(DnsRequest::new(message, options))
}

/// Checks that the message is a reply to this very question.
fn check(bytes: &[u8], question: &Question) -> Result<Header, Trouble> {
    let wrong = |why: &str| Trouble::Network(why.to_owned());
    let header = Header::read(bytes).ok_or_else(|| wrong("a reply too short for a header"))?;
    if !header.has(flag::QR) {
        return Err(wrong("a query in place of a reply"));
    }
    if header.qdcount == 0 {
        return Err(Trouble::NoQuestion(header.rcode()));
    }
    let other = || wrong("a reply to another question");
    let rest = bytes.get(LEN..).ok_or_else(other)?;
    let name = Name::parse(rest).map_err(|_| other())?;
    let fixed = rest.get(name.as_bytes().len()..).and_then(<[u8]>::first_chunk::<4>).ok_or_else(other)?;
    let [t0, t1, c0, c1] = *fixed;
    let same = header.qdcount == 1
        && name == question.qname.as_name()
        && u16::from_be_bytes([t0, t1]) == question.qtype.0
        && u16::from_be_bytes([c0, c1]) == question.qclass.0;
    if same { Ok(header) } else { Err(other()) }
}

fn is_timeout(error: &NetError) -> bool {
    match error {
        NetError::Timeout => true,
        NetError::Io(error) => error.kind() == io::ErrorKind::TimedOut,
        _ => false,
    }
}

fn trouble(error: &NetError) -> Trouble {
    if is_timeout(error) {
        return Trouble::Timeout;
    }
    if let NetError::Io(io) = error
        && let Some(NoQuestion(rcode)) = io.get_ref().and_then(|inner| inner.downcast_ref())
    {
        return Trouble::NoQuestion(*rcode);
    }
    Trouble::Network(text(error))
}

fn text(error: &NetError) -> String {
    match error {
        // What hickory says of a connection whose other end has gone.
        NetError::Busy => "the connection is closed or overloaded".to_owned(),
        NetError::Io(io) => short(&io.to_string()),
        other => short(&other.to_string()),
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

/// hickory's Tokio runtime, but with UDP sockets that are connected to their server: only so does the
/// kernel report that nothing listens there, and it drops datagrams from anyone else.
#[derive(Clone, Default)]
struct Runtime(TokioRuntimeProvider);

impl RuntimeProvider for Runtime {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = Connected;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> Self::Handle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server_addr: SocketAddr,
        bind_addr: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = Result<Self::Tcp, io::Error>>>> {
        self.0.connect_tcp(server_addr, bind_addr, timeout)
    }

    fn bind_udp(
        &self,
        local_addr: SocketAddr,
        server_addr: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = Result<Self::Udp, io::Error>>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local_addr).await?;
            socket.connect(server_addr).await?;
            Ok(Connected { socket, server: server_addr, id: OnceLock::new() })
        })
    }
}

/// A socket for one query to one server.
struct Connected {
    socket: UdpSocket,
    server: SocketAddr,
    /// The first two octets of the query.
    id: OnceLock<[u8; 2]>,
}

/// Inside an [`io::Error`]: the reply carries the query's id but no question. hickory would pass over
/// such a reply, and with it over the FORMERR of a server that knows no EDNS (RFC 6891 §7).
#[derive(Debug)]
struct NoQuestion(Rcode);

impl fmt::Display for NoQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} without a question", self.0)
    }
}

impl std::error::Error for NoQuestion {}

impl Connected {
    /// The socket's pending error; `WouldBlock` if there is none.
    fn pending_error(&self) -> io::Result<()> {
        Err(self.socket.take_error()?.unwrap_or_else(|| io::ErrorKind::WouldBlock.into()))
    }

    /// Passes a datagram on, unless it is a reply to the query without a question.
    fn accept(&self, reply: &[u8]) -> io::Result<(usize, SocketAddr)> {
        if let Some(header) = Header::read(reply)
            && header.has(flag::QR)
            && header.qdcount == 0
            && reply.first_chunk::<2>() == self.id.get()
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, NoQuestion(header.rcode())));
        }
        Ok((reply.len(), self.server))
    }
}

#[async_trait::async_trait]
impl DnsUdpSocket for Connected {
    type Time = TokioTime;

    fn poll_recv_from(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buf = ReadBuf::new(buf);
        ready!(self.socket.poll_recv(cx, &mut buf))?;
        Poll::Ready(self.accept(buf.filled()))
    }

    // Not by way of `poll_recv`: on Linux an ICMP error raises EPOLLERR without EPOLLIN, and Tokio wakes
    // no reader for that.
    async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
            // `WouldBlock` clears the readiness, here and in `try_recv`.
            match self.socket.try_io(Interest::ERROR, || self.pending_error()) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => {}
            }
            match self.socket.try_recv(buf) {
                Ok(len) => return self.accept(buf.get(..len).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn poll_send_to(&self, cx: &mut Context<'_>, buf: &[u8], _target: SocketAddr) -> Poll<io::Result<usize>> {
        if let Some(id) = buf.first_chunk::<2>() {
            self.id.get_or_init(|| *id);
        }
        self.socket.poll_send(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_penalty_grows_and_ends() {
        let upstream = Upstream::new(Server { addr: ([127, 0, 0, 1], 53).into(), tcp_only: false });
        assert!(!upstream.is_late(0));
        for (failures, until) in [(1, 5_000), (2, 10_000), (6, 30_000), (1000, 30_000)] {
            upstream.failures.store(failures, Ordering::Relaxed);
            upstream.failed_at.store(100, Ordering::Relaxed);
            assert!(upstream.is_late(100 + until - 1), "{failures}");
            assert!(!upstream.is_late(100 + until), "{failures}");
        }
        upstream.succeeded();
        assert!(!upstream.is_late(100));
    }

    #[test]
    fn error_texts_are_cut() {
        assert_eq!(short("one\ntwo"), "one");
        assert_eq!(short(&"é".repeat(101)).chars().count(), 101);
        assert_eq!(short(&"é".repeat(100)), "é".repeat(100));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn resolv_conf_gives_the_servers_in_order() {
        use hickory_resolver::system_conf::parse_resolv_conf;
        let text = "nameserver 192.0.2.1\nsearch lan\nnameserver 2001:db8::1\nnameserver 192.0.2.1\n";
        let (config, _) = parse_resolv_conf(text).unwrap();
        let addrs: Vec<String> = system_servers(&config).iter().map(|s| s.addr.to_string()).collect();
        assert_eq!(addrs, ["192.0.2.1:53", "[2001:db8::1]:53"]);
        assert!(parse_resolv_conf("search lan\n").is_err());
    }
}
