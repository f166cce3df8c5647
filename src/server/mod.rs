//! Binds the sockets, starts the threads, drains and stops them.

#[cfg(unix)]
pub mod control;
mod frames;
pub mod intercept;
mod reply;
mod running;
mod stream;
mod tcp;
pub mod udp;

pub use crate::net::bind::BindError;
pub use running::{Bound, Running, UdpThreads, bind, bind_transparent, start, start_behind};
