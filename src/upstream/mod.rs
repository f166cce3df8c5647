//! The upstream servers, to which queries are forwarded.
//!
//! [`Upstream`] is the interface: it takes a [`Question`] and returns the reply exactly as a server sent
//! it, so that nothing is lost: not the AD bit, not an extended error, not the SOA of a negative answer.
//! Anything between the cache and the servers, such as a validator, is an [`Upstream`] that wraps another.
//!
//! The [`Forwarder`] decides which server is queried, in which order and for how long. It is independent of
//! the transports: each of its servers is queried over `udp` (sockets that many queries share) or
//! `stream` (connections that many queries share). Both transfer octets and check only that a reply
//! belongs to a query in flight, which `flights` tracks. [`hickory`] reads the system's configuration and
//! resolves servers that are given by name; it sends no client's query.

pub mod ask;
mod course;
mod deadline;
mod flights;
pub mod forwarder;
pub mod hickory;
mod name_server;
mod overhear;
mod question;
mod race;
mod reader;
pub mod route;
mod rtt;
mod server;
mod servers;
mod stream;
mod transports;
mod udp;
mod watch;

pub use ask::{Answer, Done, Failure, Tally, Upstream};
pub use forwarder::Forwarder;
pub use overhear::{Exchange, Overhear};
pub use question::Question;
pub use server::{Endpoint, Server};
