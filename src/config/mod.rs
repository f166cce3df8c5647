//! The configuration file: its shape, its checks, its errors with file, line and remedy.

pub mod check;
mod groups;
pub mod raw;
