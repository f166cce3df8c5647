//! Master files (RFC 1035 §5): octets → entries of words → records in wire format.
//!
//! [`read`](read::read) takes the octets of a file and hands each record, and each mistake, to a
//! [`Handler`](read::Handler), which also fetches what `$INCLUDE` names: there is no file system here. Nothing
//! is changed on the way. What can't be kept as it is written is a mistake with its line.

pub mod data;
mod field;
mod generate;
mod value;
pub mod read;
mod special;
mod svcb;
pub mod token;
mod words;
