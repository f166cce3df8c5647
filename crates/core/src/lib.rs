//! The core of Portcullis: values and pure functions. It knows no socket, file, clock, thread or async;
//! the time and the random seed are arguments.

pub mod answer;
pub mod dns;
pub mod lists;
pub mod policy;
pub mod rule;
pub mod trie;
