//! The decision: rules of all lists compiled into an index, and the ladder that picks the winner.
//!
//! [`compile`](compile::compile) turns lists into [`Compiled`], a [`Policy`] combines those with each
//! list's settings, and [`decide`](decide::decide) returns the [`Verdict`] on a name.

mod account;
mod active;
mod address;
mod ahead;
mod compile;
mod confine;
mod decide;
mod explain;
pub mod file;
mod garden;
mod group;
mod inspect;
mod kept;
mod ladder;
mod layer;
mod list;
mod merge;
mod network;
mod origin;
mod overrides;
#[expect(clippy::module_inception, reason = "the module's main type has its name")]
mod policy;
mod prefix;
pub mod schedule;
mod types;
mod verdict;
mod view;
mod walk;

pub use self::account::{Standing, account};
pub use self::active::Active;
pub use self::address::decide_address;
pub use self::ahead::Begun;
pub use self::compile::{
    Account, AddressRule, Compiled, Fate, LeftOut, Options, PatternRule, Tables, compile,
};
pub use self::decide::{decide, decide_in_answer};
pub use self::explain::{RuleText, one_line, rule_text, verdict_text};
pub use self::group::{Group, Groups};
pub use self::inspect::{Inspection, Inspector, because, inspect, is_private};
pub use self::kept::ScopedRule;
pub use self::ladder::{Decider, Precedence, Rung};
pub use self::layer::BadPattern;
pub use self::list::{KnownClient, ListPolicy, MAX_EDE_TEXT, Notes, Reference, known};
pub use self::merge::added_records;
pub use self::network::parse_network;
pub use self::origin::{Origin, RuleId};
pub use self::overrides::{MAX_ORDERS, Order, Ordered, Orders, What, Whom};
pub use self::policy::{CompileError, Policy};
pub use self::prefix::Prefixes;
pub use self::schedule::{Schedule, ScheduleError, Window};
pub use self::verdict::{Class, Verdict};
pub use self::view::View;
pub use self::walk::{Asker, Missed};
