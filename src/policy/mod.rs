//! The decision: rules of all lists compiled into one index, and the ladder that picks the winner.

pub mod compile;
pub mod decide;
pub mod explain;
