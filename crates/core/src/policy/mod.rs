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
mod view;

pub use self::active::Active;
pub use self::ahead::Begun;
pub use self::compile::{Account, Compiled, Fate, LeftOut, Options, PatternRule, Tables, compile};
pub use self::decide::{
    Asker, Class, Decider, Precedence, Rung, Verdict, candidates, decide, decide_in_answer, ladder,
};
pub use self::explain::{RuleText, one_line, rule_text, verdict_text};
pub use self::group::{Group, Groups};
pub use self::inspect::{Inspection, Inspector, because, inspect, is_private};
pub use self::layer::BadPattern;
use self::layer::{Entry, Layer};
pub use self::list::{KnownClient, ListPolicy, MAX_EDE_TEXT, Notes, Reference, known};
pub use self::network::network as parse_network;
pub use self::origin::{Origin, RuleId};
pub use self::overrides::{MAX_ORDERS, Order, Ordered, Orders, What, Whom};
pub use self::policy::{CompileError, Policy};
pub use self::prefix::Prefixes;
pub use self::schedule::{Schedule, ScheduleError, Window};
pub use self::view::View;
