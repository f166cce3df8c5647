//! The core of Portcullis: lists, the index over their names, the decision, and the reply.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The modules
//!
//! [`lists`] parses a list into rules ([`rule`]); [`policy`] compiles them into an index ([`trie`]) and
//! decides; [`dns`] reads queries and writes replies, and [`answer`] turns a verdict into a reply.

pub mod answer;
pub mod dns;
pub mod lists;
pub mod policy;
pub mod rule;
pub mod trie;
