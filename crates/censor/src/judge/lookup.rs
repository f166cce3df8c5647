//! One question and its replies, as OONI's probe reads them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::Seen;
use crate::action::End;
use portcullis_core::dns::{
    self, Class, EdeCode, Header, Message, NameBuf, Qtype, QueryBuilder, Rcode, Section, flag,
};

/// A question that a probe sends.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name.
    pub name: NameBuf,
    /// A or AAAA.
    pub qtype: Qtype,
    /// The id, which is unknown to anyone off the path.
    pub id: u16,
    /// Whether the query has an OPT record. OONI's probe sends none over UDP and TCP.
    pub edns: bool,
}

impl Question {
    /// The query.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let edns = self.edns.then_some(false);
        QueryBuilder { id: self.id, edns, ..QueryBuilder::new(self.name.as_name(), self.qtype) }.to_vec()
    }
}

/// Why a lookup returned no address, in OONI's terms (`netxlite/errno.go`, spec `df-007-errors`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// NXDOMAIN.
    NxDomain,
    /// REFUSED.
    Refused,
    /// SERVFAIL.
    ServFail,
    /// Another code.
    Misbehaving,
    /// NOERROR without an address of the type. TC is ignored.
    NoAnswer,
    /// No reply.
    Timeout,
    /// The first reply had another id, which ends the lookup.
    WrongId,
    /// The first reply was not a message or not a response.
    Undecodable,
    /// The port is closed.
    ConnectionRefused,
    /// The TCP connection ended by RST.
    Reset,
    /// The TCP connection ended by FIN.
    Eof,
    /// The query could not be sent.
    Unreachable,
}

impl Failure {
    /// OONI's word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::NxDomain => "dns_nxdomain_error",
            Self::Refused => "dns_refused_error",
            Self::ServFail => "dns_servfail_error",
            Self::Misbehaving => "dns_server_misbehaving",
            Self::NoAnswer => "dns_no_answer",
            Self::Timeout => "generic_timeout_error",
            Self::WrongId => "dns_reply_with_wrong_query_id",
            Self::Undecodable => "unknown_failure",
            Self::ConnectionRefused => "connection_refused",
            Self::Reset => "connection_reset",
            Self::Eof => "eof_error",
            Self::Unreachable => "host_unreachable",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One question, all replies, and the result according to OONI's probe.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// A or AAAA.
    pub qtype: Qtype,
    /// The addresses of the first reply, or the reason why there are none.
    pub result: Result<Vec<IpAddr>, Failure>,
    /// How many further replies OONI would keep (`x_dns_duplicate_responses`): those before the first that
    /// it cannot match to its query.
    pub duplicates: usize,
    /// All replies, in order.
    pub replies: Vec<Reply>,
    /// How the TCP connection ended.
    pub end: End,
}

/// One reply.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The delay after the query.
    pub after: Duration,
    /// Its content; `None`: it is not a DNS message.
    pub said: Option<Said>,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Whether it is a response with the query's id.
    pub ours: bool,
    /// The code.
    pub rcode: Rcode,
    /// Addresses of the requested type anywhere in the answer, sorted.
    pub addresses: Vec<IpAddr>,
    /// Targets of aliases in the answer, in their order.
    pub aliases: Vec<NameBuf>,
    /// Other records in the answer.
    pub others: usize,
    /// Whether the answer has addresses of the other type.
    pub stray: bool,
    /// The lowest TTL in the answer.
    pub ttl: Option<u32>,
    /// Whether it repeats the question.
    pub question: bool,
    /// Whether it has an OPT record.
    pub opt: bool,
    /// Whether an OPT record is in the wrong section (RFC 6891 §6.1.1).
    pub opt_astray: bool,
    /// Whether octets follow the last record.
    pub trailing: bool,
    /// Whether TC is set.
    pub truncated: bool,
    /// Extended DNS Errors (RFC 8914), which are sent only if the query had EDNS.
    pub edes: Vec<(EdeCode, String)>,
}

impl Said {
    fn read(question: &Question, octets: &[u8]) -> Option<Self> {
        let header = Header::read(octets)?;
        let ours = header.id == question.id && header.has(flag::QR);
        let truncated = header.has(flag::TC);
        let empty = |rcode| Self {
            ours,
            rcode,
            addresses: Vec::new(),
            aliases: Vec::new(),
            others: 0,
            stray: false,
            ttl: None,
            question: false,
            opt: false,
            opt_astray: false,
            trailing: false,
            truncated,
            edes: Vec::new(),
        };
        // Some servers reply to a query that they can't parse with only the header.
        if octets.len() == dns::HEADER_LEN && (header.qdcount, header.ancount) == (0, 0) {
            return Some(empty(header.rcode()));
        }
        let message = Message::parse(octets)?;
        let name = message.qname().is_some_and(|name| name == question.name.as_name());
        let mut said = empty(message.rcode());
        said.question = name && message.question().ends_with(&asked(question.qtype));
        said.edes.extend(message.edes());
        let mut end = message.question_end();
        for record in message.records() {
            end = record.rdata_at() + record.rdata.len();
            let is_opt = record.rtype == Qtype::OPT;
            said.opt |= is_opt && record.section == Section::Additional;
            said.opt_astray |= is_opt && record.section != Section::Additional;
            // OONI's decoder rejects a message with an address of the wrong length.
            let address = match record.rtype {
                Qtype::A => Some(Ipv4Addr::from(<[u8; 4]>::try_from(record.rdata).ok()?).into()),
                Qtype::AAAA => Some(Ipv6Addr::from(<[u8; 16]>::try_from(record.rdata).ok()?).into()),
                _ => None,
            };
            if record.section != Section::Answer {
                continue;
            }
            said.ttl = Some(said.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
            match address {
                Some(address) if record.rtype == question.qtype => said.addresses.push(address),
                _ if record.rtype == Qtype::CNAME => said.aliases.extend(message.name_at(record.rdata_at())),
                _ => {
                    said.others += 1;
                    said.stray |= address.is_some();
                }
            }
        }
        said.trailing = end < octets.len();
        said.addresses.sort_unstable();
        said.addresses.dedup();
        Some(said)
    }

    /// Compares what the client learns, ignoring what differs between honest servers: TTL, order, EDNS.
    fn same_as(&self, other: &Self) -> bool {
        (self.rcode, &self.addresses, &self.aliases, self.others, self.truncated)
            == (other.rcode, &other.addresses, &other.aliases, other.others, other.truncated)
    }

    /// The result according to OONI's probe, if this is the first reply.
    fn result(&self) -> Result<Vec<IpAddr>, Failure> {
        match self.rcode {
            _ if !self.ours => Err(Failure::WrongId),
            Rcode::NOERROR if self.addresses.is_empty() => Err(Failure::NoAnswer),
            Rcode::NOERROR => Ok(self.addresses.clone()),
            Rcode::NXDOMAIN => Err(Failure::NxDomain),
            Rcode::REFUSED => Err(Failure::Refused),
            Rcode::SERVFAIL => Err(Failure::ServFail),
            _ => Err(Failure::Misbehaving),
        }
    }
}

/// The type and the class of a question in wire format.
fn asked(qtype: Qtype) -> [u8; 4] {
    let ([a, b], [c, d]) = (qtype.0.to_be_bytes(), Class::IN.0.to_be_bytes());
    [a, b, c, d]
}

impl Lookup {
    /// Reads the replies.
    #[must_use]
    pub fn read(question: &Question, seen: &Seen) -> Self {
        let replies: Vec<Reply> = seen
            .replies
            .iter()
            .map(|(after, octets)| Reply { after: *after, said: Said::read(question, octets) })
            .collect();
        let result = match replies.first() {
            None => Err(match seen.end {
                End::Open => Failure::Timeout,
                End::Reset => Failure::Reset,
                End::Close => Failure::Eof,
            }),
            Some(Reply { said: None, .. }) => Err(Failure::Undecodable),
            Some(Reply { said: Some(said), .. }) => said.result(),
        };
        let taken = replies.iter().take_while(|r| r.said.as_ref().is_some_and(|s| s.ours)).count();
        Self { qtype: question.qtype, result, duplicates: taken.saturating_sub(1), replies, end: seen.end }
    }

    /// A lookup for which the query could not be sent.
    #[must_use]
    pub const fn failed(qtype: Qtype, failure: Failure) -> Self {
        Self { qtype, result: Err(failure), duplicates: 0, replies: Vec::new(), end: End::Open }
    }

    /// The addresses; none if it failed.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        self.result.as_deref().unwrap_or_default()
    }

    /// The first reply, if it matches the query.
    #[must_use]
    pub fn first(&self) -> Option<&Said> {
        self.replies.first().and_then(|r| r.said.as_ref()).filter(|s| s.ours)
    }

    /// Replies that match the query.
    pub fn ours(&self) -> impl Iterator<Item = &Said> {
        self.replies.iter().filter_map(|r| r.said.as_ref()).filter(|s| s.ours)
    }

    /// Whether two replies to the query have different content.
    #[must_use]
    pub fn differs(&self) -> bool {
        let mut ours = self.ours();
        ours.next().is_some_and(|first| ours.any(|other| !other.same_as(first)))
    }

    /// The time from the first reply to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        let at = |reply: Option<&Reply>| reply.map_or(Duration::ZERO, |r| r.after);
        at(self.replies.last()).saturating_sub(at(self.replies.first()))
    }
}
