//! The expected replies to a question: the rows by which a scenario is tested.

use std::net::IpAddr;
use std::time::Duration;

use super::action::End;
use portcullis_core::dns::{Class, NameBuf, Qtype, Transport};

/// One question and the replies expected.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Its line in the file.
    pub line: u32,
    /// The network that is queried, by its index.
    pub network: u16,
    /// The scenario's time; `None`: its last state.
    pub at: Option<i64>,
    /// The client's address; `None`: any.
    pub client: Option<IpAddr>,
    /// The question.
    pub qname: NameBuf,
    /// The question.
    pub qtype: Qtype,
    /// The question.
    pub qclass: Class,
    /// The transport.
    pub transport: Transport,
    /// Whether the query has an OPT record.
    pub edns: bool,
    /// Whether the query has RD.
    pub rd: bool,
    /// Whether the query has AD.
    pub ad: bool,
    /// All expected replies, in this order.
    pub replies: Vec<Wanted>,
    /// How the TCP connection ends.
    pub end: End,
}

/// One expected reply.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The delay after the query.
    pub after: Duration,
    /// The reply.
    pub what: WantedReply,
}

/// The content of an expected reply.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WantedReply {
    /// The reply of the honest network.
    Genuine,
    /// These octets after the id.
    Octets(Vec<u8>),
    /// A message with exactly this content.
    Message(WantedMessage),
}

/// The full content of a message. The question must be the query's, including its case.
#[derive(Clone, Debug, Default)]
pub struct WantedMessage {
    /// The flags, including the response code.
    pub flags: u16,
    /// Records of the answer.
    pub answer: Vec<WantedRecord>,
    /// Records of the authority section.
    pub authority: Vec<WantedRecord>,
    /// Records of the additional section, without OPT.
    pub additional: Vec<WantedRecord>,
    /// Whether there is an OPT record.
    pub opt: bool,
    /// Extended DNS Errors: code and text.
    pub edes: Vec<(u16, String)>,
    /// Whether the id differs from the query's.
    pub wrong_id: bool,
    /// Whether the name in the question is in lower case, whatever its case in the query.
    pub lower_case: bool,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRecord {
    /// The owner.
    pub owner: NameBuf,
    /// The least and the greatest TTL allowed, in seconds.
    pub ttl: (u32, u32),
    /// The type; the class is the question's, IN if that is ANY.
    pub rtype: Qtype,
    /// The data as [`Message::rdata_text`](portcullis_core::dns::Message::rdata_text) writes it.
    pub data: String,
}
