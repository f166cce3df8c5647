//! Authoritative data from master files.

pub mod answer;
pub mod build;
mod nsec3;
mod proof;
pub mod read;
pub mod rrset;
pub mod zone;
