//! The settings of the engine and the edges: plain values, validated by whatever created them.
//!
//! One file per table of the configuration, named after its key.

mod all;
mod answers;
mod block;
mod blockpage;
mod cache;
mod control;
mod data;
mod dnstap;
mod forward;
mod group;
mod list;
mod log;
mod metrics;
mod policy;
mod ratelimit;
mod rewrite;
mod server;
mod upstream;
mod zone;

pub use all::Settings;
pub use answers::{AnswersSettings, Order};
pub use block::{BlockSettings, Contact};
pub use blockpage::BlockPageSettings;
pub use cache::CacheSettings;
pub use control::ControlSettings;
pub use data::DataSettings;
pub use dnstap::{DnstapSettings, DnstapTo};
pub use forward::ForwardSettings;
pub use group::GroupSettings;
pub use list::{Addresses, ListBounds, ListSettings, May, Power, TextSource};
pub use log::{ClientPrivacy, LogLines, LogSettings, LogStore, Privacy};
pub use metrics::MetricsSettings;
pub use policy::PolicySettings;
pub use rewrite::RewriteSettings;
pub use server::{ServerSettings, is_everybody, is_private, private_networks};
pub use upstream::{Queue, UpstreamSettings};
pub use zone::ZoneSettings;
