//! The configuration file: its shape, its checks, its errors with file, line and remedy.

mod addresses;
pub mod check;
mod groups;
pub mod raw;
pub mod scenario;
mod table;
#[cfg(test)]
mod tests;
