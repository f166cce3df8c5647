//! Portcullis, a DNS server that decides for every query whether the name may pass.

pub mod dns;
pub mod rule;
