//! From settings to the next snapshot: reads lists and zones, compiles, keeps count.

pub mod refresh;
