//! The decision: rules of all lists compiled into an index, and the ladder that picks the winner.
//!
//! [`compile`](compile::compile) makes [`Compiled`] of lists, a [`Policy`] holds what was compiled with what
//! the configuration says of each list, and [`decide`](decide::decide) gives the [`Verdict`] on a name.

pub mod active;
pub mod ahead;
pub mod compile;
pub mod decide;
pub mod explain;
pub mod file;
pub mod group;
pub mod inspect;
mod layer;
pub mod list;
pub mod network;
mod origin;
pub mod overrides;
#[expect(clippy::module_inception, reason = "the room's main type has its name")]
mod policy;
pub mod prefix;
pub mod schedule;

pub use self::layer::BadPattern;
use self::layer::{Entry, Layer};
pub use self::origin::{Origin, RuleId};
pub use self::policy::Policy;
