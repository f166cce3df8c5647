//! Assembles the server that `serve`, `demo`, tests and embedders start, reload and stop.
//!
//! ```no_run
//! use portcullis::app::{self, Service, Signals};
//! use portcullis::settings::Settings;
//! use portcullis::sources::Silent;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! app::runtime()?.block_on(async {
//!     let mut signals = Signals::new()?;
//!     let service = Service::start(&Settings::default(), None, &Silent)?;
//!     signals.stop().await;
//!     service.stop().await;
//!     Ok(())
//! })
//! # }
//! ```

mod control;
mod error;
#[cfg(feature = "cli")]
pub mod log;
pub mod privileges;
mod refusal;
mod reload;
mod service;
mod signals;
mod worker;

pub use control::kept_orders;
pub use error::StartError;
pub use reload::{Reloaded, Reloader};
pub use service::{Addresses, Prepared, Service, runtime};
pub use signals::{Signal, Signals};
pub use worker::{Turn, Worker};
