//! Portcullis is a DNS server that decides for every query whether the name may be resolved. It can also
//! imitate a censor faithfully enough to test software against.
//!
//! ```
//! use std::net::UdpSocket;
//! use std::time::Duration;
//!
//! use portcullis::censor::describe;
//! use portcullis::dns::{NameBuf, Qtype, encode};
//! use portcullis::stage::Harness;
//!
//! // A documented censor on a free port, with its clock set to a day on which LinkedIn was blocked.
//! let censor = Harness::new("ru-2016-linkedin")?.at("2016-11-18T00:00:00+03:00")?.start()?;
//! let resolver = censor.address("isp-auto").ok_or("no such network")?;
//!
//! // The program under test would send the query; here a socket does.
//! let socket = UdpSocket::bind("127.0.0.1:0")?;
//! socket.set_read_timeout(Some(Duration::from_secs(5)))?;
//! socket.send_to(&encode(NameBuf::from_text("linkedin.com")?.as_name(), Qtype::A), resolver)?;
//! let mut reply = [0; 1232];
//! let len = socket.recv(&mut reply)?;
//! assert!(describe(&reply[..len]).contains("A 192.0.2.1"), "the address of a page that says why");
//! assert_eq!(censor.queries().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Two crates can be used by themselves: `portcullis-core` reads, compiles and looks up lists;
//! `portcullis-censor` plans what a censor sends. This one adds sockets, configuration and the program.
//! Without its default features (`cli`, which includes `web`, and `hickory`) it builds neither clap nor
//! axum: the resolver, the servers, the configuration and the harness remain.
//!
//! The modules form three rings; an inner one never imports an outer one, which `tests/layers` checks. To
//! follow one query, read [`resolver::resolve::resolve`] from top to bottom.

// ── core: values and pure functions ─────────────────────────────────────────────────────────────

pub use portcullis_censor as censor;
pub use portcullis_core::{answer, dns, lists, policy, rule, trie};

// ── engine: state, and the order of the steps ───────────────────────────────────────────────────

pub mod settings;
pub mod guard;
pub mod cache;
pub mod zones;
pub mod upstream;
pub mod observe;
pub mod resolver;
pub mod sources;
pub mod orders;

// ── edges: sockets, files, HTTP, the command line ───────────────────────────────────────────────

pub mod net;
pub mod server;
#[cfg(feature = "hickory")]
pub mod hickory;
#[cfg(feature = "web")]
pub mod web;
pub mod config;
pub mod stage;
pub mod sinks;
#[cfg(feature = "web")]
pub mod app;
#[cfg(feature = "cli")]
pub mod cli;

pub use dns::Query;
pub use policy::{Policy, Verdict};
pub use trie::Index;
