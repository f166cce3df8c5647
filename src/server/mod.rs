//! Binds the sockets, starts the threads, drains and stops them.

pub mod clock;
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
pub use clock::now;
pub use running::{Bound, Running, UdpThreads, bind, bind_transparent, start, start_behind};
