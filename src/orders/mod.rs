//! Orders at run time: pause, allow, block. All interfaces, such as the control socket, call these functions.
//!
//! An order (see [`Orders`](crate::policy::Orders)) has a number and, usually, an end. [`Operator`] gives and
//! revokes orders; those to be kept are written to a file that the next start reads.

pub mod json;
pub mod kept;
#[expect(clippy::module_inception, reason = "the room has the name of what it holds")]
mod orders;
mod status;

pub use json::{Asked, MAX_SECONDS};
pub use orders::{Operator, OrderError};
pub use status::Status;
