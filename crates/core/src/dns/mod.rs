//! DNS on the wire: names, queries, replies. Values and pure functions over bytes.
//!
//! [`Query`] is a borrowed view of a packet that asks, [`Message`] one of a packet that answers, and
//! [`ReplyWriter`] writes an answer into a buffer of the caller's. [`Name`] and [`NameBuf`] are names in wire
//! form, borrowed and owned, as `str` and `String` are texts.

pub mod ede;
pub mod edns;
pub mod found;
pub mod header;
pub mod master;
pub mod message;
pub mod name;
pub mod pattern;
pub mod query;
pub mod rdata;
pub mod relay;
pub mod reply;
pub mod sde;
pub mod types;

pub use self::ede::{Ede, EdeCode};
pub use self::edns::{DO, Edns, OPTION_EDE, PAYLOAD_SIZE};
pub use self::found::{Item, MAX_ALIASES, Via, found};
pub use self::header::{Header, LEN, MAX_MESSAGE, flag};
pub use self::message::{Message, Record};
pub use self::name::{
    Folded, Labels, MAX_LABEL, MAX_LABELS, MAX_NAME, Match, Name, NameBuf, NameError, Offsets,
};
pub use self::pattern::{Pattern, Start};
pub use self::query::{MAX_QUERY, Query, QueryBuilder, QueryError, ReplyMatch, encode, match_reply};
pub use self::relay::{expanded_rdata, without_ech};
pub use self::reply::{Full, MAX_EDE, ReplyWriter, Section, Transport};
pub use self::types::{Class, Opcode, Qtype, Rcode, UnknownMnemonic};
