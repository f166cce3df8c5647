//! One question and what came back for it, as OONI's probe reads it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::Seen;
use crate::action::End;
use portcullis_core::dns::{
    self, Class, EdeCode, Header, Message, NameBuf, Qtype, QueryBuilder, Rcode, Section, flag,
};

/// A question that a probe asks.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name.
    pub name: NameBuf,
    /// A or AAAA.
    pub qtype: Qtype,
    /// The id, which nobody off the path can know.
    pub id: u16,
    /// With an OPT record. OONI's probe sends none over UDP and TCP.
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

/// Why a lookup gave no address, in the words of OONI (`netxlite/errno.go`, spec `df-007-errors`).
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
    /// NOERROR, and no address of the type. TC is not looked at.
    NoAnswer,
    /// Nothing came.
    Timeout,
    /// The first that came had another id, which ends the lookup.
    WrongId,
    /// The first that came was no message, or no response.
    Undecodable,
    /// Nobody is there.
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

/// One question, all that came back, and what OONI's probe makes of it.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// A or AAAA.
    pub qtype: Qtype,
    /// The addresses of the first reply, or why there are none.
    pub result: Result<Vec<IpAddr>, Failure>,
    /// How many further replies OONI would keep (`x_dns_duplicate_responses`): those before the first
    /// that it cannot take for a reply to its query.
    pub duplicates: usize,
    /// Everything that came, in its order.
    pub replies: Vec<Reply>,
    /// How the TCP connection ended.
    pub end: End,
}

/// One thing that came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// How long after the query.
    pub after: Duration,
    /// What it says; `None`: it is no DNS message.
    pub said: Option<Said>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// It is a response and has the query's id.
    pub ours: bool,
    /// The code.
    pub rcode: Rcode,
    /// Addresses of the type that was asked for, wherever in the answer, sorted.
    pub addresses: Vec<IpAddr>,
    /// Targets of aliases in the answer, in their order.
    pub aliases: Vec<NameBuf>,
    /// Other records in the answer.
    pub others: usize,
    /// There are addresses of the other type in the answer.
    pub stray: bool,
    /// The least TTL in the answer.
    pub ttl: Option<u32>,
    /// It repeats the question.
    pub question: bool,
    /// It has an OPT record.
    pub opt: bool,
    /// An OPT record stands where none may (RFC 6891 §6.1.1).
    pub opt_astray: bool,
    /// Octets follow the last record.
    pub trailing: bool,
    /// TC is set.
    pub truncated: bool,
    /// Extended DNS Errors (RFC 8914), which only queries with EDNS are told.
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
        // Some servers answer what they cannot read with the header alone.
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
            // OONI's decoder takes no message in which an address has not its length.
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

    /// What the client is told, without what honest servers vary: TTL, order, EDNS.
    fn same_as(&self, other: &Self) -> bool {
        (self.rcode, &self.addresses, &self.aliases, self.others, self.truncated)
            == (other.rcode, &other.addresses, &other.aliases, other.others, other.truncated)
    }

    /// What OONI's probe makes of it, if it is the first reply.
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

/// The type and the class of a question on the wire.
fn asked(qtype: Qtype) -> [u8; 4] {
    let ([a, b], [c, d]) = (qtype.0.to_be_bytes(), Class::IN.0.to_be_bytes());
    [a, b, c, d]
}

impl Lookup {
    /// Reads what came back.
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

    /// The addresses, none if it failed.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        self.result.as_deref().unwrap_or_default()
    }

    /// The first reply, if it is one to the query.
    #[must_use]
    pub fn first(&self) -> Option<&Said> {
        self.replies.first().and_then(|r| r.said.as_ref()).filter(|s| s.ours)
    }

    /// Replies to the query.
    pub fn ours(&self) -> impl Iterator<Item = &Said> {
        self.replies.iter().filter_map(|r| r.said.as_ref()).filter(|s| s.ours)
    }

    /// Two replies to the query say different things.
    #[must_use]
    pub fn differs(&self) -> bool {
        let mut ours = self.ours();
        ours.next().is_some_and(|first| ours.any(|other| !other.same_as(first)))
    }

    /// From the first reply to the last.
    #[must_use]
    pub fn span(&self) -> Duration {
        let at = |reply: Option<&Reply>| reply.map_or(Duration::ZERO, |r| r.after);
        at(self.replies.last()).saturating_sub(at(self.replies.first()))
    }
}
