//! The core of Portcullis: lists, the index over their names, the decision, and the reply.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The rooms
//!
//! A list goes through [`lists`] into rules ([`rule`]); [`policy`] compiles them into an index ([`trie`]) and
//! decides; [`dns`] reads queries and writes replies, and [`answer`] makes a reply of a verdict.

pub mod answer;
pub mod dns;
pub mod lists;
pub mod policy;
pub mod rule;
pub mod trie;
