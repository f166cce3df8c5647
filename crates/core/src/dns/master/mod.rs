//! Master files (RFC 1035 §5): octets → entries of words → records in wire format.
//!
//! [`read()`] takes the octets of a file and hands each record, and each mistake, to a [`Handler`], which also
//! fetches what `$INCLUDE` names: there is no file system here. Nothing is changed on the way. What can't be
//! kept as it is written is a mistake with its line.

mod data;
mod field;
mod generate;
mod read;
mod special;
mod svcb;
mod token;
mod value;
mod words;

pub use data::{check, from_words};
pub use read::{Handler, Place, Record, read};
pub use token::{Entries, Entry, Problem, Word, unescape};
