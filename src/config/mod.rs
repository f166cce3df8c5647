//! The configuration file: its shape, its checks, its errors with file, line and remedy.

mod addresses;
pub mod check;
mod groups;
pub mod raw;
#[cfg(test)]
mod tests;
