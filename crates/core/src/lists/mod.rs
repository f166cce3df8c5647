//! Parses lists: from octets to rules with their lines, and an account of every other line.
//!
//! A [`Reader`] takes a list in chunks of any size, so that neither a large file nor an endless line is
//! ever held in memory as a whole. It detects the format from the first lines if none is given.
//! [`List::parse`] reads a list that is in memory.

mod addresses;
mod adguard;
mod attributes;
mod breadth;
mod comment;
mod condition;
mod confine;
mod detect;
mod dnscrypt;
mod dnsmasq;
mod domains;
mod expression;
mod host;
mod hosts;
mod list;
mod may;
mod network;
mod reader;
mod regex;
mod rpz;
mod sink;
mod skip;
mod unbound;
mod v2fly;

pub use self::attributes::Attributes;
pub use self::detect::NotAList;
pub use self::list::{Include, List, NameRule};
pub use self::may::{Confined, May, Power, name_is_wide, pattern_is_wide};
pub use self::reader::{Addresses, Reader, parse};
pub use self::skip::{MAX_LINE, SkipReason, Skipped};
pub use crate::rule::Format;
