//! Parses lists: from octets to rules with their lines, and an account of every other line.
//!
//! A [`Reader`] takes a list in chunks of any size, so that neither a large file nor an endless line is
//! ever held in memory as a whole. If no format is given, it guesses one from the first lines and confirms
//! it with the whole list; a wrong guess means that the list must be read again ([`ReadError::OtherFormat`]).
//! [`List::parse`] reads a list that is in memory.

mod addresses;
mod adguard;
mod attributes;
mod budget;
mod breadth;
mod comment;
mod condition;
mod confine;
mod detect;
mod detected;
mod dnscrypt;
mod dnsmasq;
mod domains;
mod expression;
mod foreign;
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
pub use self::budget::{Budget, Exceeded};
pub use self::detected::Detected;
pub use self::foreign::NotAList;
pub use self::list::{Include, List, NameRule, Unkept};
pub use self::may::{Confined, May, Power, name_is_wide, network_is_wide, pattern_is_wide};
pub use self::reader::{Addresses, ReadError, Reader, parse};
pub use self::skip::{MAX_LINE, SkipReason, Skipped};
pub use crate::rule::Format;
