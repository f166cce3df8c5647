//! DNS in wire format: names, queries, replies. Values and pure functions over octets.
//!
//! [`Query`] is a borrowed view of a query packet, [`Message`] one of a reply, and [`ReplyWriter`] writes a
//! reply into a caller's buffer. [`Name`] and [`NameBuf`] are names in wire format, borrowed and owned,
//! like `str` and `String` for text.

mod clean;
mod cookie;
mod ede;
mod edns;
mod found;
mod header;
mod host;
pub mod master;
mod message;
mod name;
mod pattern;
mod query;
pub mod rdata;
mod relay;
mod reply;
mod rotate;
mod screen;
pub mod sde;
mod special;
mod types;

pub use self::clean::{clean, clean_json, clean_lines, is_unsafe};
pub use self::cookie::{
    COOKIE_LEN, Cookie, CookieSecret, MalformedCookie, OPTION_COOKIE, SECRET_LEN, Standing,
};
pub use self::ede::{Ede, EdeCode};
pub use self::edns::{EDNS_DO, Edns, OPTION_EDE, PAYLOAD_SIZE};
pub use self::found::{Found, MAX_ALIASES, Via, found};
pub use self::header::{HEADER_LEN, Header, MAX_MESSAGE, clear_ra, flag, rcode};
pub use self::host::{HostError, host_in};
pub use self::message::{Message, Record};
pub use self::name::{
    Folded, Labels, MAX_LABEL, MAX_LABELS, MAX_NAME, Match, Name, NameBuf, NameError, Offsets, ancestors,
};
pub use self::pattern::{Pattern, Start};
pub use self::query::{MAX_QUERY, Query, QueryBuilder, QueryError, ReplyMatch, encode, match_reply};
pub use self::relay::{expanded_rdata, without_ech};
pub use self::reply::{Full, MAX_EDE, ReplyWriter, Section, Transport};
pub use self::rotate::{rotate, turns_of};
pub use self::screen::{Screened, Unsound, screen};
pub use self::special::{FoundSpecial, Special, Specials};
pub use self::types::{Class, Opcode, Qtype, Rcode, UnknownMnemonic};
