//! The configuration file: its shape, its checks, its errors with file, line and remedy.

pub mod check;
pub mod raw;
