//! Portcullis, a DNS server that decides for every query whether the name may pass.

// Core: values and pure functions.
pub mod answer;
pub mod dns;
pub mod policy;
pub mod rule;
pub mod trie;

// Engine: state, and the order of the steps.
pub mod cache;
pub mod guard;
