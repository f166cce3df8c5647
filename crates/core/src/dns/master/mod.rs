//! Master files (RFC 1035 §5): from octets to entries of words to records in wire format.
//!
//! [`read()`] parses the octets of a file and passes each record, and each mistake, to a [`Handler`], which
//! also fetches the files that `$INCLUDE` names: this module does not access the file system. It alters
//! nothing. Input that can't be represented exactly is reported as a mistake with its line.

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
