//! What must come back for a question: the rows by which a scenario is tested.

use std::net::IpAddr;
use std::time::Duration;

use super::action::End;
use portcullis_core::dns::{Class, NameBuf, Qtype, Transport};

/// One question and all that must come back for it.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Its line in the file.
    pub line: u32,
    /// The network that is asked, by its place.
    pub network: u16,
    /// When; `None`: in the last state.
    pub at: Option<i64>,
    /// Who asks; `None`: nobody in particular.
    pub client: Option<IpAddr>,
    /// The question.
    pub qname: NameBuf,
    /// The question.
    pub qtype: Qtype,
    /// The question.
    pub qclass: Class,
    /// How it is asked.
    pub transport: Transport,
    /// With an OPT record.
    pub edns: bool,
    /// With RD.
    pub rd: bool,
    /// With AD.
    pub ad: bool,
    /// All that comes back, in this order.
    pub replies: Vec<Wanted>,
    /// How the TCP connection ends.
    pub end: End,
}

/// One reply that must come.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// How long after the query.
    pub after: Duration,
    /// What it is.
    pub what: WantedReply,
}

/// What a reply must be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum WantedReply {
    /// What the honest network says.
    Genuine,
    /// These octets after the id.
    Octets(Vec<u8>),
    /// A message with exactly this in it.
    Message(WantedMessage),
}

/// Everything that is in a message. The question must be the query's, letter for letter.
#[derive(Clone, Debug, Default)]
pub struct WantedMessage {
    /// The flags, code included.
    pub flags: u16,
    /// Records of the answer.
    pub answer: Vec<WantedRecord>,
    /// Records of the authority section.
    pub authority: Vec<WantedRecord>,
    /// Records of the additional section, OPT left out.
    pub additional: Vec<WantedRecord>,
    /// There is an OPT record.
    pub opt: bool,
    /// Extended DNS Errors: code and text.
    pub edes: Vec<(u16, String)>,
    /// The id is another than the query's.
    pub wrong_id: bool,
    /// The name in the question is in lower case, whatever was asked.
    pub lower_case: bool,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRecord {
    /// The owner.
    pub owner: NameBuf,
    /// The least and the greatest TTL, in seconds.
    pub ttl: (u32, u32),
    /// The type; the class is the question's, IN if that is ANY.
    pub rtype: Qtype,
    /// The data as [`Message::rdata_text`](portcullis_core::dns::Message::rdata_text) writes it.
    pub data: String,
}
