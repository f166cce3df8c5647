//! The rule index: a frozen label trie over names, root first. Names in, ids out.
//!
//! ```text
//!   header   magic, version, checksum, lengths of the parts below
//!   slots    8 octets × 2^k   hashed child edges: tag of the hash, node; open addressing
//!   nodes    one after the other, each with its label and its values; see [`node::Node`]
//! ```
//!
//! A lookup walks the question's labels from the root. At each it hashes (node, label), probes the
//! slots; where the tag agrees it *compares* parent and label, so that two names never share a verdict by chance.

pub mod build;
pub mod index;
pub mod node;
