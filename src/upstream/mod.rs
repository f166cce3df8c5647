//! The servers that questions are passed on to, and what comes back from them.
//!
//! [`Upstream`] is the one way in: it takes a [`Question`] and hands back the reply exactly as a server
//! sent it, so that nothing in it is lost: not the AD bit, not an extended error, not the SOA of a
//! negative answer. Whatever stands between the cache and the servers, such as a validator, is an
//! [`Upstream`] that wraps another.
//!
//! The [`Forwarder`] decides which server is asked, in which order and for how long. It knows no
//! transport: each of its servers is asked over `udp` (sockets that many questions share) or
//! `stream` (connections that many questions share). Both move octets and check only that a reply
//! belongs to an open question, which `flights` keeps. [`hickory`] reads the system's configuration
//! and finds the addresses of servers that are given by name; it puts no client's question.

pub mod ask;
mod deadline;
mod flights;
pub mod forwarder;
pub mod hickory;
mod name_server;
mod question;
pub mod route;
mod server;
mod stream;
mod transports;
mod udp;

pub use ask::{Answer, Done, Failure, Tally, Upstream};
pub use forwarder::Forwarder;
pub use question::Question;
pub use server::{Endpoint, Server};
