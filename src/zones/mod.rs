//! Authoritative data from master files.

pub mod answer;
pub mod load;
pub mod zone;
