//! Portcullis, a DNS server that decides for every query whether the name may pass.

// Core: values and pure functions.
pub mod answer;
pub mod dns;
pub mod lists;
pub mod policy;
pub mod rule;
pub mod trie;

// Engine: state, and the order of the steps.
pub mod cache;
pub mod guard;
pub mod observe;
pub mod resolver;
pub mod sources;
pub mod upstream;
pub mod zones;

// Edges: sockets, files, HTTP, the command line.
pub mod cli;
pub mod config;
pub mod server;
pub mod web;
