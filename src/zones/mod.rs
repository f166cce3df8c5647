//! Authoritative data from master files.

pub mod answer;
pub mod read;
pub mod zone;
