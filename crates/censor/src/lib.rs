//! A network that lies on purpose: the imitated censor as validated values.
#![doc = ""]
#![doc = include_str!("../README.md")]
//!
//! # The parts
//!
//! A [`Scenario`] is data: [`Network`]s, and [`Rule`]s with their [`Names`], [`When`], and [`Action`].
//! [`plan`](plan()) turns a scenario and one question ([`Asked`]) into the packets that the censor would
//! send, each with its delay and its quirks ([`Plan`]). [`Expect`] is the expected reply to a question,
//! [`Seen`] the actual one.

mod action;
mod asked;
mod delay;
mod draw;
mod expect;
mod expression;
mod forge;
pub mod judge;
mod names;
mod plan;
mod scenario;
mod seen;
mod shape;
mod stub;
mod when;

pub use self::stub::apply_stubs;
pub use action::{Action, Addresses, Body, End, Forged, Identity, Other, Soa};
pub use asked::{Asked, Counter, Turns};
pub use delay::{Delay, Spread};
pub use draw::Draw;
pub use expect::{Expect, Wanted, WantedMessage, WantedRecord, WantedReply};
pub use expression::{Expression, ExpressionError};
pub use names::{Names, Pattern};
pub use plan::{Plan, Shot, plan};
pub use scenario::{Event, Evidence, Network, Pick, Pool, Rule, Scenario, StubMode, Stubs, ZoneText};
pub use seen::{Difference, Seen, Slack, describe};
pub use shape::{EdnsManner, Extra, Flags, Malform, Shape, TtlMode};
pub use when::{Chance, Sticky, When};
